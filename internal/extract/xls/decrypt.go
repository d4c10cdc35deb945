package xls

import (
	"encoding/binary"

	"github.com/stanch-dlp/stanch/internal/extract/offcrypto"
)

// block is after how many bytes RC4 takes another key. [MS-XLS] 2.2.10.
const block = 1024

// Lock is how a workbook is encrypted.
type Lock struct {
	b    []byte
	info []byte // behind its record's header
	biff int
}

// Locked returns how a workbook is encrypted; nil where it is not.
func Locked(b []byte) *Lock {
	k := &book{b: b}
	if len(b) < 8 || k.begin(u16(b, 0), b[4:]) == 0 {
		return nil
	}
	for at := 0; at >= 0; {
		id, rec, next := k.record(at)
		switch id {
		case recFilePass:
			return &Lock{b: b, info: rec, biff: k.biff}
		case recEOF:
			return nil
		}
		at = next
	}
	return nil
}

// Open returns the workbook as it was before it was encrypted; nil where the
// password does not open it. The result is as long as the workbook.
func (l *Lock) Open(password string) []byte {
	info := l.info
	if l.biff == biff8 {
		if u16(info, 0) == 1 {
			key := offcrypto.Open(from(info, 2), password)
			if key == nil {
				return nil
			}
			plain := key.Decrypt(l.b, block)
			return l.join(func(at, _ int, b []byte) { copy(b, plain[at:]) })
		}
		info = from(info, 2)
	}
	if len(info) < 4 {
		return nil
	}
	key, ok := offcrypto.XORKey(u16(info, 0), u16(info, 2), password)
	if !ok {
		return nil
	}
	return l.join(func(at, end int, b []byte) {
		size := int(binary.LittleEndian.Uint16(l.b[end-2:]))
		for i := range b {
			c := b[i]
			b[i] = (c<<3 | c>>5) ^ key[(at+i+size)&15]
		}
	})
}

// join copies the workbook with each record opened by decrypt, which is given
// the place of the bytes and where the record's header ends. Some records, and
// all headers, are never encrypted; FilePass is put out of force. [MS-XLS] 2.2.10.
func (l *Lock) join(decrypt func(at, head int, b []byte)) []byte {
	out := append([]byte{}, l.b...)
	for at := 0; at+4 <= len(out); {
		id, size := u16(l.b, at), int(u16(l.b, at+2))
		head := at + 4
		end := min(len(out), head+size)
		switch id {
		case 0x809, 0x409, 0x209, 0x009, 0xe1, 0x194, 0x195, 0x196, 0x138:
		case recFilePass:
			binary.LittleEndian.PutUint16(out[at:], 0x3d) // a place of the window: read by nobody
		case recBoundSheet:
			if head+4 < end { // where the sheet begins stays
				decrypt(head+4, head, out[head+4:end])
			}
		default:
			decrypt(head, head, out[head:end])
		}
		at = end
	}
	return out
}
