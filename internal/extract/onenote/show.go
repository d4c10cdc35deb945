package onenote

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Properties by their meaning. [MS-ONE] 2.1.12.
const (
	propText      = 0x1c001c22 // RichEditTextUnicode
	propASCII     = 0x1c003498 // TextExtendedAscii
	propFileName  = 0x1c001d9c // EmbeddedFileName
	propImageName = 0x1c001dd7 // ImageFilename
	propFile      = 0x20001d9b // EmbeddedFileContainer
	propPicture   = 0x20001c3f // PictureContainer
	propPicture14 = 0x200034c8 // WebPictureContainer14
	propChildren  = 0x24001c20 // ElementChildNodes
	propContent   = 0x24001c1f // ContentChildNodes
	propStructure = 0x24001d5f // StructureElementChildNodes
)

// Kinds of objects. [MS-ONE] 2.1.13.
const (
	kindTable     = 0x00060022
	kindTableRow  = 0x00060023
	kindTableCell = 0x00060024
	kindInk       = 0x00060014
	kindInkData   = 0x0002003b
	kindInkStroke = 0x00020047
)

// names are the properties whose values are known to be words, by their meaning;
// what has no name here and is text is a value without one.
var names = map[uint32]string{
	0x1c001cf3:    "title",  // CachedTitleString
	0x1c001d3c:    "title",  // CachedTitleStringFromPage
	0x1c001d75:    "author", // Author
	0x1c001d9e:    "author", // ConflictingUserName
	0x1c00349b:    "section",
	0x1c001d9d:    "path", // SourceFilepath
	0x1c001e20:    "link", // WzHyperlinkUrl
	0x1c0035f3:    "link", // ImageEmbeddedUrl
	0x1c001e58:    "alt",  // ImageAltText
	0x1c003468:    "tag",  // NoteTagLabel
	propFileName:  "file",
	propImageName: "file",
	0x1c001d6b:    "file", // FolderChildFilename
}

// mute are properties of bytes that hold no words: measures, ids, names of fonts
// and styles.
var mute = map[uint32]bool{
	0x1c001c12: true, // RgOutlineIndentDistance
	0x1c001e12: true, // TextRunIndex
	0x1c001d66: true, // TableColumnWidths
	0x1c001d7d: true, // TableColumnsLocked
	0x1c001d94: true, // FileIdentityGuid
	0x1c001d95: true, // FileAncestorIdentityGuid
	0x1c001c30: true, // NotebookManagementEntityGuid
	0x1c00340a: true, // InkDimensions
	0x1c00340b: true, // InkPath
	0x1c003418: true, // InkBoundingBox
	0x1c001c1a: true, // NumberListFormat
	0x1c001c0a: true, // Font
	0x1c001c52: true, // ListFont
	0x1c00345a: true, // ParagraphStyleId
	0x1c00348a: true, // NextStyle
}

// isText reports whether the bytes of a property are kept.
func isText(prop uint32, b []byte) bool {
	if prop == propText || prop == propASCII || names[prop] != "" {
		return true
	}
	return !mute[prop] && unnamed(b) != ""
}

// unnamed returns the words that the bytes of a property of no known meaning are;
// "" where they are none.
func unnamed(b []byte) string {
	const least = 4 // letters: what is shorter is as likely a number
	s := decode16(b)
	if len(b)%2 == 0 && utf8.RuneCountInString(s) >= least && printed(s) {
		return s
	}
	s = strings.TrimRight(string(b), "\x00")
	if len(s) >= least && utf8.ValidString(s) && printed(s) {
		return s
	}
	return ""
}

// printed reports text of nothing but characters that texts have, of which one in
// two at least is of the scripts up to Arabic: chance makes of bytes those of all
// others. In a longer one, nearly all of those scripts, there may be some few others.
func printed(s string) bool {
	const longer = 16
	all, near, foreign := 0, 0, 0
	for _, r := range s {
		all++
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\v' || r == '\f':
		case r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cf):
			foreign++
		case r < 0x600 || unicode.In(r, unicode.Z, unicode.Cf):
			near++
		}
	}
	if foreign > 0 {
		return all >= longer && near*4 >= all*3
	}
	return near*2 >= all
}

// decode16 returns UTF-16 without the zeros at its end.
func decode16(b []byte) string {
	return strings.TrimRight(codepage.Decode16(b), "\x00")
}

// western is the code page of TextExtendedAscii: windows-1252.
const western = 1252

// text returns a property's text.
func (v *value) text() string {
	switch {
	case v.prop == propASCII:
		return codepage.Decode(western, bytes.TrimRight(v.data, "\x00"))
	case v.prop == propText || names[v.prop] != "":
		return decode16(v.data)
	}
	return unnamed(v.data)
}

// page shows what objects hold, in the order of the pages.
type page struct {
	*reader
	s     Sink
	shown []bool    // versions of objects
	cell  *[]string // paragraphs of the cell at hand; nil outside a table
	row   bool      // a row is at hand
	cells []string  // of it
	top   bool      // no row of the table was shown
	err   error
}

// show hands on all that was read.
func (r *reader) show(s Sink) error {
	p := &page{reader: r, s: s, shown: make([]bool, len(r.objects))}
	child := make([]bool, len(r.objects))
	for i := range r.objects {
		switch r.objects[i].jcid {
		case kindInk, kindInkData, kindInkStroke:
			r.found.Ink = true
		}
		r.each(r.objects[i].values, func(at int32) { child[at] = true })
	}
	for _, roots := range []bool{true, false} { // the second time: what leads to itself
		for i := range r.objects {
			if !roots || !child[i] {
				p.object(int32(i), 0)
			}
		}
	}
	if err := p.others(); err != nil {
		return err
	}
	return p.files()
}

// each calls f with every version of what an object has within it.
func (r *reader) each(values []value, f func(at int32)) {
	for i := range values {
		switch values[i].prop {
		case propChildren, propContent, propStructure:
			for _, of := range values[i].refs {
				if first, ok := r.first[of]; ok {
					f(first)
				}
			}
		}
	}
}

// object shows all versions of an object from the first on: what an earlier
// revision says is in the file as well. Equal texts are shown once.
func (p *page) object(first int32, depth int) {
	if depth > maxDepth || p.shown[first] || p.err != nil {
		return
	}
	var before []string
	for i := first; i >= 0; i = p.objects[i].next {
		if p.shown[i] {
			continue
		}
		p.shown[i] = true
		o := &p.objects[i]
		for k := range o.values {
			if v := &o.values[k]; v.prop == propText || v.prop == propASCII {
				if s := v.text(); s != "" && !slices.Contains(before[:min(len(before), 8)], s) {
					before = append(before, s)
					p.text(s)
				}
			}
		}
	}
	switch p.objects[first].jcid {
	case kindTable:
		p.top = true
	case kindTableRow:
		if p.cell == nil && !p.row {
			p.row, p.cells = true, nil
			p.children(first, depth)
			p.row = false
			if len(p.cells) > 0 && p.err == nil {
				p.err = p.s.Row(p.cells, p.top)
				p.top = false
			}
			return
		}
	case kindTableCell:
		if p.row && p.cell == nil {
			p.cell = &[]string{}
			p.children(first, depth)
			p.cells = append(p.cells, strings.Join(*p.cell, " "))
			p.cell = nil
			return
		}
	}
	p.children(first, depth)
}

func (p *page) children(first int32, depth int) {
	for i := first; i >= 0; i = p.objects[i].next {
		p.each(p.objects[i].values, func(at int32) { p.object(at, depth+1) })
	}
}

// linkMark begins a field within a text: what follows up to the second quote is
// its instruction, then comes what is shown.
const linkMark = "\ufddf"

// text shows a paragraph, and where it has links their targets below it.
func (p *page) text(s string) {
	s = strings.NewReplacer("\v", "\n", "\r\n", "\n", "\r", "\n").Replace(s)
	var targets []string
	if strings.Contains(s, linkMark) {
		var b strings.Builder
		for {
			before, rest, ok := strings.Cut(s, linkMark)
			b.WriteString(before)
			if !ok {
				break
			}
			_, quoted, ok := strings.Cut(rest, `"`)
			target, shown, end := strings.Cut(quoted, `"`)
			if !ok || !end {
				b.WriteString(rest)
				break
			}
			targets, s = append(targets, target), shown
		}
		s = b.String()
	}
	for _, t := range append([]string{s}, targets...) {
		switch {
		case t == "" || p.err != nil:
		case p.cell != nil:
			*p.cell = append(*p.cell, t)
		default:
			p.err = p.s.Text(t)
		}
	}
}

// others shows the values beside the texts, each once.
func (p *page) others() error {
	const (
		most = 256     // bytes of one that is remembered
		all  = 1 << 14 // of them
	)
	type pair struct{ name, value string }
	seen := map[pair]bool{}
	for i := range p.objects {
		if p.err != nil {
			return p.err
		}
		for k := range p.objects[i].values {
			v := &p.objects[i].values[k]
			if len(v.data) == 0 || v.prop == propText || v.prop == propASCII {
				continue
			}
			x := pair{names[v.prop], v.text()}
			if x.value == "" || seen[x] {
				continue
			}
			if len(x.value) <= most && len(seen) < all {
				seen[x] = true
			}
			if err := p.s.Value(x.name, x.value); err != nil {
				return err
			}
		}
	}
	return p.err
}

// files hands on the files, each under the name that the page has for it.
func (p *page) files() error {
	name := map[id]string{}
	for i := range p.objects {
		var of []id
		said := ""
		for k := range p.objects[i].values {
			switch v := &p.objects[i].values[k]; v.prop {
			case propFile, propPicture, propPicture14:
				of = append(of, v.refs...)
			case propFileName, propImageName:
				said = v.text()
			}
		}
		for _, x := range of {
			if said != "" {
				name[x] = said
			}
		}
	}
	told := map[*byte]bool{} // versions of a container have one file
	for i := range p.objects {
		if o := &p.objects[i]; o.isFile {
			if len(o.file) > 0 {
				if told[&o.file[0]] {
					continue
				}
				told[&o.file[0]] = true
			}
			if err := p.s.File(name[o.id], o.file, o.cut); err != nil {
				return err
			}
		}
	}
	return nil
}
