package formats

import (
	"archive/zip"
	"encoding/binary"
	"math"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/layout"
)

const mediaXPS = "application/oxps"

// pageOrder gives the pages of XPS the numbers under which its documents name
// them, from 1; what they do not name has none.
//
// Source: ECMA-388 10.1 (FixedDocumentSequence), 10.2 (FixedDocument).
func (d *officeDoc) pageOrder(files []*zip.File) (map[string]int, error) {
	byName := make(map[string]*zip.File, len(files))
	var sequences []string
	for _, f := range files {
		name := strings.ToLower(strings.TrimPrefix(f.Name, "/"))
		if byName[name] == nil && strings.HasSuffix(name, ".fdseq") {
			sequences = append(sequences, name)
		}
		byName[name] = f
	}
	order := make(map[string]int)
	read := make(map[string]bool) // documents: each once, however often it is named
	for _, s := range sequences {
		docs, err := d.sources(byName, s, "DocumentReference")
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			if read[doc] {
				continue
			}
			read[doc] = true
			pages, err := d.sources(byName, doc, "PageContent")
			if err != nil {
				return nil, err
			}
			for _, p := range pages {
				if order[p] == 0 {
					order[p] = len(order) + 1
				}
			}
		}
	}
	return order, nil
}

// sources returns the parts that the elements of a part name, in lower case.
func (d *officeDoc) sources(byName map[string]*zip.File, part, element string) ([]string, error) {
	f := byName[part]
	if f == nil {
		return nil, nil
	}
	r, err := d.open(f)
	if err != nil {
		return nil, nil //nolint:nilerr // told when the part is read
	}
	defer r.Close() // it was only read
	h := &sourceList{element: element, of: "/" + part}
	if err := scanXML(r, h); err != nil {
		if over := d.j.overspent(); over != nil {
			return nil, over
		}
	}
	return h.names, nil
}

// sourceList collects the sources that elements of a name have.
type sourceList struct {
	quiet
	element, of string
	names       []string
}

func (l *sourceList) start(name string, a attrs) {
	if s := a.get("Source"); name == l.element && s != "" && len(l.names) < 1<<16 {
		l.names = append(l.names, partName(l.of, s))
	}
}

// partName returns the name of the part that a reference in another means, in
// lower case and without a slash in front. ECMA-376-2 8.1, 8.3.
func partName(from, ref string) string {
	if !strings.HasPrefix(ref, "/") {
		ref = path.Join(path.Dir(from), ref)
	}
	return strings.ToLower(strings.TrimPrefix(path.Clean(ref), "/"))
}

// fixedPage writes a page of XPS: its runs of glyphs as they follow one another,
// where one that goes on where the last one ended, on the same line, is joined to
// it; then the lines that are seen, where they read otherwise. A run that names
// its glyphs only by their numbers in a font cannot be read.
//
// Source: ECMA-388 12.1 (Glyphs), 12.1.4 (UnicodeString), 14.4 (transformations).
type fixedPage struct {
	quiet
	d     *officeDoc
	some  bool    // something was written
	y, to float64 // the last run's line, and where it is taken to end
	blind bool    // the gap was told
	paths int     // lines and curves that were drawn

	open   []layout.Matrix // of each element that may move what is in it
	keyed  map[string]layout.Matrix
	pieces []layout.Piece
	held   int // bytes of their texts
	line   strings.Builder
	told   map[string]bool // lines that were written, without blanks
}

const (
	// letterWidth is how wide a letter is taken to be, in ems: letters are closer, words
	// and columns farther apart.
	letterWidth = 0.6
	maxGlyphs   = 1 << 16 // runs that are put together; a page has a few thousand
	maxPageText = 4 << 20 // bytes of their texts
)

func (p *fixedPage) start(name string, a attrs) {
	switch name {
	case "Canvas", "Glyphs", "Path":
		m := p.now()
		if t := a.get("RenderTransform"); t != "" {
			m = p.matrix(t).Then(m)
		}
		p.open = append(p.open, m)
	case "MatrixTransform": // of the element it stands in
		m := p.matrix(a.get("Matrix"))
		if key := a.get("Key"); key != "" {
			if p.keyed == nil {
				p.keyed = map[string]layout.Matrix{}
			}
			p.keyed[key] = m
		} else if n := len(p.open); n > 0 {
			p.open[n-1] = m.Then(p.open[n-1])
		}
	}
	switch name {
	case "Glyphs":
		p.glyphs(a)
	case "Path":
		p.paths++
	}
}

func (p *fixedPage) now() layout.Matrix {
	if n := len(p.open); n > 0 {
		return p.open[n-1]
	}
	return layout.Identity()
}

// matrix reads six numbers, or the name of a matrix of the page.
func (p *fixedPage) matrix(s string) layout.Matrix {
	if key, ok := strings.CutPrefix(s, "{StaticResource "); ok {
		if m, ok := p.keyed[strings.TrimSuffix(key, "}")]; ok {
			return m
		}
		return layout.Identity()
	}
	var v [6]float64
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	if len(parts) != len(v) {
		return layout.Identity()
	}
	for i := range v {
		v[i] = number(parts[i])
	}
	m := layout.Matrix{A: v[0], B: v[1], C: v[2], D: v[3], E: v[4], F: v[5]}
	if !m.Usable() {
		return layout.Identity()
	}
	return m
}

func (p *fixedPage) glyphs(a attrs) {
	s := validString(strings.TrimPrefix(a.get("UnicodeString"), "{}"))
	if s == "" {
		if a.get("Indices") != "" && !p.blind {
			p.blind = true
			p.d.j.gap(p.d.at, dlp.Unsupported, "xps glyphs without text", 0)
		}
		return
	}
	m := p.now()
	x, y := m.Apply(number(a.get("OriginX")), number(a.get("OriginY")))
	scale := math.Hypot(m.A, m.B)
	size := number(a.get("FontRenderingEmSize")) * scale
	width := size * letterWidth * float64(utf8.RuneCountInString(s))
	switch {
	case !p.some:
	case y != p.y || x < p.to-size*letterWidth*float64(utf8.RuneCountInString(s)+20):
		p.newline()
	case x > p.to+1.5*size:
		p.line.WriteString("\t")
	}
	p.line.WriteString(s)
	p.some, p.y, p.to = true, y, x+width
	if p.line.Len() > textChunk {
		p.d.j.out.writeString(p.line.String())
		p.line.Reset()
	}
	if p.held += len(s); len(p.pieces) < maxGlyphs && p.held <= maxPageText && scale > 0 {
		left := x
		if level, err := strconv.Atoi(a.get("BidiLevel")); err == nil && level&1 == 1 { // it runs to the left from there
			left -= width
		}
		piece := layout.Place(left, y, m.A/scale, m.B/scale, width, size)
		piece.Text, piece.N = s, len(p.pieces)
		p.pieces = append(p.pieces, piece)
	}
}

func (p *fixedPage) end(name string) {
	switch name {
	case "Canvas", "Glyphs", "Path":
		if n := len(p.open); n > 0 {
			p.open = p.open[:n-1]
		}
	case "FixedPage":
		p.finish()
	}
}

func (p *fixedPage) newline() {
	s := p.line.String()
	p.line.Reset()
	if p.told == nil {
		p.told = map[string]bool{}
	}
	p.told[strings.Join(strings.Fields(s), "")] = true
	p.d.j.out.writeString(s)
	p.d.j.out.writeString("\n")
}

// finish writes the last line, and those that are seen and were not written.
func (p *fixedPage) finish() {
	paths := p.paths
	p.paths = 0
	if !p.some {
		if paths >= manyPaths {
			p.d.j.gap(p.d.at, dlp.Image, "xps page without text", 0)
		}
		return
	}
	p.newline()
	for _, s := range layout.Lines(p.pieces) {
		if p.told[strings.Join(strings.Fields(s), "")] {
			continue
		}
		if p.d.spent(len(s)+1) != nil { // told when the part is read
			break
		}
		p.d.j.out.writeString(s)
		p.d.j.out.writeString("\n")
	}
	p.some, p.pieces, p.told, p.held = false, nil, nil, 0
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
