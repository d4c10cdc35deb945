// Package officeart reads what drawings of old Office files hold beside their
// text boxes: WordArt, alternative texts, tips of links; Windows metafiles.
//
// Source: [MS-ODRAW] 2.2.9, 2.3.22.
package officeart

import (
	"encoding/binary"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// words are the properties that hold text: WordArt, a shape's name, its
// description and its tip. [MS-ODRAW] 2.3.22.1, 2.3.4.
var words = map[uint16]bool{0x00c0: true, 0x0380: true, 0x0381: true, 0x038d: true}

// Words returns the words of all tables of properties in b, a drawing or
// whatever holds some: tables are found by their heads, wherever they stand. Of
// a cut one comes what there is.
func Words(b []byte) []string {
	var out []string
	for at := 0; at+8 <= len(b); at++ {
		kind := binary.LittleEndian.Uint16(b[at+2:])
		if b[at]&15 != 3 || kind != 0xf00b && kind != 0xf121 && kind != 0xf122 {
			continue
		}
		n, size := int(binary.LittleEndian.Uint16(b[at:])>>4), int64(binary.LittleEndian.Uint32(b[at+4:]))
		out = append(out, table(b[at+8:at+8+int(min(size, int64(len(b)-at-8)))], n)...)
	}
	return out
}

// table returns the words of n properties; the values of those that need more
// than four bytes stand behind all of them.
func table(b []byte, n int) []string {
	if 6*n > len(b) {
		return nil
	}
	var out []string
	rest := b[6*n:]
	for i := range n {
		id, size := binary.LittleEndian.Uint16(b[6*i:]), int64(binary.LittleEndian.Uint32(b[6*i+2:]))
		if id&0x8000 == 0 {
			continue
		}
		v := rest[:min(size, int64(len(rest)))]
		rest = rest[len(v):]
		if !words[id&0x3fff] {
			continue
		}
		s, _, _ := strings.Cut(codepage.Decode16(v[:len(v)&^1]), "\x00")
		if s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n").Replace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
