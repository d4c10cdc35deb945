package formats

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/stanch-dlp/stanch/internal/extract/cab"
)

// maxStub is how many bytes of a program are looked at for an archive that it
// unpacks: the programs that archivers put in front are below one MiB.
const maxStub = 16 << 20

// embedded finds the 7z, rar or cabinet that a program carries to unpack itself,
// the first one whose header holds: such a program has the bare signature among
// its own constants as well. A zip is known by its end.
func embedded(b []byte) (at int, k kind, ok bool) {
	at = min(len(b), maxStub)
	for _, s := range []struct {
		magic string
		k     kind
		holds func([]byte) bool
	}{
		{sevenMagic, kind{format: f7z, media: mediaSeven}, holdsSeven},
		{rarMagic, kind{format: fRar, media: mediaRar}, holdsRar},
		{cab.Magic, kind{format: fCab, media: mediaCab}, holdsCab},
	} {
		for from := 0; from < at; from++ {
			i := bytes.Index(b[from:at], []byte(s.magic))
			if i < 0 {
				break
			}
			if from += i; s.holds(b[from:]) {
				at, k, ok = from, s.k, true
			}
		}
	}
	return at, k, ok
}

// holdsSeven reports whether the checksum of the first header fits. 7zFormat.txt
// of the LZMA SDK.
func holdsSeven(b []byte) bool {
	return len(b) >= 32 && crc32.ChecksumIEEE(b[12:32]) == binary.LittleEndian.Uint32(b[8:])
}

// holdsRar reports whether the main header, or that of encryption, follows.
//
// Source: TechNote.txt of RAR 4; RAR 5.0 archive format.
func holdsRar(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	if b[6] == 0 {
		return b[9] == 0x73
	}
	if b[6] != 1 || b[7] != 0 {
		return false
	}
	size, n := binary.Uvarint(b[12:])
	if n <= 0 || n > 3 || size == 0 || size > 2<<20 || uint64(len(b)-12-n) < size {
		return false
	}
	head := b[12 : 12+n+int(size)]
	return crc32.ChecksumIEEE(head) == binary.LittleEndian.Uint32(b[8:]) && (head[n] == 1 || head[n] == 4)
}

func holdsCab(b []byte) bool {
	c, err := cab.Open(b[:min(len(b), 4<<20)])
	return err == nil && len(c.Files) > 0 && !c.Cut
}
