package pdf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
)

// The page, in points: US Letter, since that is what clinics print on.
const (
	pageWidth, pageHeight = 612, 792
	margin                = 54
	fontSize              = 10
	leading               = 14
	linesPerPage          = (pageHeight - 2*margin) / leading
	maxPages              = 500 // past it the text is in the embedded file only
)

// face is the font of the pages: Go Regular (BSD), with Latin, Greek and
// Cyrillic.
type face struct {
	font *sfnt.Font
	buf  sfnt.Buffer
	used map[rune]glyph
}

type glyph struct {
	id    sfnt.GlyphIndex
	width int // thousandths of the font's size
}

var parsed = sync.OnceValues(func() (*sfnt.Font, error) { return sfnt.Parse(goregular.TTF) })

func newFace() (*face, error) {
	f, err := parsed()
	if err != nil {
		return nil, fmt.Errorf("pdf: font: %w", err)
	}
	return &face{font: f, used: map[rune]glyph{}}, nil
}

// glyph is r's; false where the font has none, or where a letter stands for
// itself only together with others.
func (f *face) glyph(r rune) (glyph, bool) {
	if g, ok := f.used[r]; ok {
		return g, true
	}
	if unicode.Is(unicode.M, r) || unicode.Is(unicode.C, r) {
		return glyph{}, false
	}
	id, err := f.font.GlyphIndex(&f.buf, r)
	if err != nil || id == 0 {
		return glyph{}, false
	}
	w, err := f.font.GlyphAdvance(&f.buf, id, fixed.I(1000), font.HintingNone)
	if err != nil {
		return glyph{}, false
	}
	g := glyph{id, w.Round()}
	f.used[r] = g
	return g, true
}

// clean is s as it is laid out: composed, line ends as LF, tabs as spaces,
// without marks that are not seen.
func clean(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "    ", "\u00a0", " ", "\u202f", " ", "\u00ad", "", "\u200b", "", "\ufeff", "", "\f", "\n").Replace(s)
	return norm.NFC.String(s)
}

// shows reports whether the font has all of s.
func (f *face) shows(s string) bool {
	for _, r := range s {
		if r == '\n' {
			continue
		}
		if _, ok := f.glyph(r); !ok {
			return false
		}
	}
	return true
}

// wrap breaks s into lines that fit the page, at spaces where there are any.
func (f *face) wrap(s string) (lines []string) {
	const room = (pageWidth - 2*margin) * 1000 / fontSize
	for line := range strings.SplitSeq(s, "\n") {
		start, width, space := 0, 0, -1
		for i, r := range line {
			g, _ := f.glyph(r)
			if width += g.width; width > room && i > start {
				cut := i
				if space > start {
					cut = space + 1
				}
				lines = append(lines, line[start:cut])
				start, space, width = cut, -1, 0
				for _, r := range line[start:i] {
					g, _ := f.glyph(r)
					width += g.width
				}
				width += g.width
			}
			if r == ' ' {
				space = i
			}
		}
		lines = append(lines, line[start:])
	}
	return lines
}

// draw is the content of a page with lines.
func (f *face) draw(lines []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "BT\n/F1 %d Tf\n%d TL\n%d %d Td\n", fontSize, leading, margin, pageHeight-margin-fontSize)
	for _, line := range lines {
		b.WriteByte('<')
		for _, r := range line {
			g, _ := f.glyph(r)
			fmt.Fprintf(&b, "%04x", g.id)
		}
		b.WriteString("> Tj T*\n")
	}
	b.WriteString("ET\n")
	return b.Bytes()
}

// write adds the font's objects and returns the number of the font.
//
// Source: ISO 32000-2 9.7.4 (CIDFonts), 9.10.3 (ToUnicode).
func (f *face) write(w *writer) int {
	root, cid, desc, file, to := w.reserve(), w.reserve(), w.reserve(), w.reserve(), w.reserve()
	w.stream(file, fmt.Sprintf("/Filter/FlateDecode/Length1 %d", len(goregular.TTF)), pack(goregular.TTF))
	runes := make([]rune, 0, len(f.used))
	for r := range f.used {
		runes = append(runes, r)
	}
	slices.Sort(runes)
	var widths, maps strings.Builder
	for _, r := range runes {
		fmt.Fprintf(&widths, "%d[%d]", f.used[r].id, f.used[r].width)
	}
	for chunk := range slices.Chunk(runes, 100) { // as many as one block may have
		fmt.Fprintf(&maps, "%d beginbfchar\n", len(chunk))
		for _, r := range chunk {
			fmt.Fprintf(&maps, "<%04x><%04x>\n", f.used[r].id, r) // the font has none beyond the first plane
		}
		maps.WriteString("endbfchar\n")
	}
	w.stream(to, "", []byte("/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n"+
		"/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n1 begincodespacerange <0000><ffff> endcodespacerange\n"+maps.String()+"endcmap CMapName currentdict /CMap defineresource pop end end\n"))
	w.object(desc, fmt.Sprintf("<</Type/FontDescriptor/FontName/GoRegular/Flags 32/FontBBox[-440 -432 2160 1075]/ItalicAngle 0/Ascent 935/Descent -211/CapHeight 714/StemV 80/FontFile2 %d 0 R>>", file))
	w.object(cid, fmt.Sprintf("<</Type/Font/Subtype/CIDFontType2/BaseFont/GoRegular/CIDSystemInfo<</Registry%s/Ordering%s/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/W[%s]>>",
		w.ascii("Adobe"), w.ascii("Identity"), desc, widths.String()))
	w.object(root, fmt.Sprintf("<</Type/Font/Subtype/Type0/BaseFont/GoRegular/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", cid, to))
	return root
}

// ascii is s as an encrypted byte string.
func (w *writer) ascii(s string) string { return fmt.Sprintf("<%x>", w.h.seal([]byte(s))) }
