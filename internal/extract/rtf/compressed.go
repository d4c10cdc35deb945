package rtf

import (
	"encoding/binary"
)

// What [MS-OXRTFCP] 2.1.3.1.4 and 2.1.3.2 give.
const (
	dictionary = "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArial" +
		"Times New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
	dictSize = 4096
	lzfu     = 0x75465a4c
	mela     = 0x414c454d
)

// IsCompressed reports compressed RTF.
func IsCompressed(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	kind := binary.LittleEndian.Uint32(b[8:])
	return kind == lzfu || kind == mela
}

// Decompress returns the RTF in its compressed form: at most eight bytes and a
// half for one. What is cut or points nowhere comes with ErrCorrupt behind what
// came before; the checksum is not looked at.
func Decompress(b []byte) ([]byte, error) {
	if !IsCompressed(b) {
		return nil, ErrCorrupt
	}
	size, kind := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	if n := int64(binary.LittleEndian.Uint32(b)) + 4; n > 16 && n < int64(len(b)) {
		b = b[:n]
	}
	b = b[16:]
	if kind == mela {
		if int64(size) > int64(len(b)) {
			return b, ErrCorrupt
		}
		return b[:size], nil
	}
	var dict [dictSize]byte
	at := copy(dict[:], dictionary)
	out := make([]byte, 0, min(int64(size), 9*int64(len(b))))
	put := func(c byte) {
		out = append(out, c)
		dict[at] = c
		at = (at + 1) % dictSize
	}
	for len(b) > 0 {
		flags := b[0]
		b = b[1:]
		for bit := 0; bit < 8; bit++ {
			if flags>>bit&1 == 0 {
				if len(b) == 0 {
					return out, ended(out, size)
				}
				put(b[0])
				b = b[1:]
				continue
			}
			if len(b) < 2 {
				return out, ended(out, size)
			}
			ref := int(binary.BigEndian.Uint16(b))
			b = b[2:]
			from, n := ref>>4, ref&15+2
			if from == at { // [MS-OXRTFCP] 3.1.3: the end
				return out, ended(out, size)
			}
			for range n {
				put(dict[from])
				from = (from + 1) % dictSize
			}
		}
	}
	return out, ended(out, size)
}

// ended reports a result that is shorter than was said.
func ended(out []byte, size uint32) error {
	if int64(len(out)) < int64(size) {
		return ErrCorrupt
	}
	return nil
}
