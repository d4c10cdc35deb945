package formats

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// fixedPage writes a page of XPS: its runs of glyphs stand where they are drawn,
// so one that goes on where the last one ended, on the same line, is joined to it.
// A run that names its glyphs only by their numbers in a font cannot be read.
//
// Source: ECMA-388 12.1 (Glyphs), 12.1.4 (UnicodeString).
type fixedPage struct {
	quiet
	d     *officeDoc
	some  bool    // something was written
	y, to float64 // the last run's line, and where it is taken to end
	blind bool    // the gap was told
}

// letterWidth is how wide a letter is taken to be, in ems: letters are closer, words
// and columns farther apart.
const letterWidth = 0.6

func (p *fixedPage) start(name string, a attrs) {
	if name != "Glyphs" {
		return
	}
	s := strings.TrimPrefix(a.get("UnicodeString"), "{}")
	if s == "" {
		if a.get("Indices") != "" && !p.blind {
			p.blind = true
			p.d.j.gap(p.d.at, dlp.Unsupported, "xps glyphs without text", 0)
		}
		return
	}
	x, y, size := number(a.get("OriginX")), number(a.get("OriginY")), number(a.get("FontRenderingEmSize"))
	switch {
	case !p.some:
	case y != p.y || x < p.to-size*letterWidth*float64(utf8.RuneCountInString(s)+20):
		p.d.j.out.writeString("\n")
	case x > p.to+1.5*size:
		p.d.j.out.writeString("\t")
	}
	p.d.j.out.writeString(validString(s))
	p.some, p.y, p.to = true, y, x+size*letterWidth*float64(utf8.RuneCountInString(s))
}

func (p *fixedPage) end(name string) {
	if name == "FixedPage" && p.some {
		p.d.j.out.writeString("\n")
	}
}

// number reads a decimal number, 0 where it is none.
func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v
}

// looksFont reports an OpenType font of that size: its directory says where its
// tables are, and they take up the file. The first 32 bytes of an embedded one are
// scrambled, and not looked at. A font holds no text.
//
// Source: OpenType 1.9 (font file); ECMA-376-4 2.8.1, ECMA-388 9.1.7.3 for the scrambling.
func looksFont(head []byte, size int64) bool {
	const (
		first, record = 12, 16
		least         = 6        // tables behind the first two; a font has ten or so
		signature     = 16 << 10 // bytes of the table whose place may be scrambled
	)
	seen, used := 0, int64(0)
	for i := first + 2*record; i+record <= len(head); i += record {
		off, n := int64(binary.BigEndian.Uint32(head[i+8:])), int64(binary.BigEndian.Uint32(head[i+12:]))
		if textual(head[i:i+4]) < 4 || off < first || off+n > size {
			break
		}
		seen, used = seen+1, max(used, off+n)
	}
	return seen >= least && size-used <= signature
}
