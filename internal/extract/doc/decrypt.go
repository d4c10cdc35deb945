package doc

import (
	"bytes"

	"github.com/stanch-dlp/stanch/internal/extract/offcrypto"
)

// Of a document that RC4 encrypts: after how many bytes the key changes, and
// what of the main stream is never encrypted. [MS-DOC] 2.2.6.2, 2.2.6.3.
const (
	block     = 512
	plainHead = 68
)

// Unlock returns the streams of an encrypted document as they were before;
// false where the password does not open it, or it is obfuscated by XOR.
func Unlock(s Streams, password string) (Streams, bool) {
	f, err := readFIB(s.Main)
	if err != nil || !f.encrypted || f.obfuscate || f.old {
		return Streams{}, false
	}
	header := int64(u32(s.Main, 14))
	key := offcrypto.Open(cut(s.Table, 0, header), password)
	if key == nil {
		return Streams{}, false
	}
	out := Streams{Main: key.Decrypt(s.Main, block), Table: key.Decrypt(s.Table, block), Data: key.Decrypt(s.Data, block)}
	copy(out.Main, s.Main[:min(len(s.Main), plainHead)])
	out.Main[11] &^= 1
	clear(out.Table[:min(int64(len(out.Table)), header)])
	return out, bytes.HasPrefix(out.Main, s.Main[:2])
}
