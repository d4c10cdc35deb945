package formats

import (
	"archive/zip"
	"path"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/listnum"
)

// Bounds of the lists of a document and of its styles.
const (
	maxLists      = 1 << 12 // Word allows 2,047
	maxListUses   = 1 << 14
	maxWordStyles = 1 << 12 // Word allows 4,095
	maxBases      = 16      // styles that build on one another
)

// wordLists are the lists of the documents of a folder, and the styles that put
// paragraphs into them.
//
// Source: ECMA-376-1 17.9, 17.7.
type wordLists struct {
	listnum.Lists
	styles map[string]wordStyle
	normal string               // style of paragraphs that name none
	levels map[styledLevel]byte // levels that are a style's
}

// styledLevel is the level of a list that paragraphs of a style have.
type styledLevel struct {
	list  int32
	style string
}

// wordStyle is what a paragraph style, or a paragraph, says of lists.
type wordStyle struct {
	base               string
	use                int32
	depth              uint8
	haveUse, haveDepth bool
}

// wordLists reads the lists and styles of each folder, before any text.
func (d *officeDoc) wordLists(files []*zip.File) error {
	const numbering = "numbering"
	numbered := map[string]bool{} // folders with lists: styles of others number nothing
	for _, f := range files {
		dir, base := path.Split(strings.ToLower(f.Name))
		numbered[dir] = numbered[dir] || strings.HasPrefix(base, numbering)
	}
	for _, f := range files {
		dir, base := path.Split(strings.ToLower(f.Name))
		numbers := strings.HasPrefix(base, numbering)
		if !strings.HasPrefix(dir, "word/") || !numbered[dir] || path.Ext(base) != ".xml" || !numbers && !strings.HasPrefix(base, "styles") {
			continue
		}
		l := d.lists[dir]
		if l == nil {
			if len(d.lists) == maxBases { // Word writes two: of the document and of its building blocks
				continue
			}
			l = &wordLists{Lists: listnum.Lists{Levels: map[int32][]listnum.Level{}, Uses: map[int32]listnum.Use{}},
				styles: map[string]wordStyle{}, levels: map[styledLevel]byte{}}
			d.lists[dir] = l
		}
		var h xmlHandler = &styleLists{l: l}
		lists := &listReader{l: l, linked: map[int32]string{}, links: map[string]int32{}}
		if numbers {
			h = lists
		}
		if err := d.scan(f, h); err != nil {
			return err
		}
		lists.join()
	}
	return nil
}

// listReader reads numbering.xml.
type listReader struct {
	quiet
	l      *wordLists
	list   int32 // at hand, -1 for none
	use    int32 // at hand, -1 for none
	depth  uint8 // of the level at hand
	level  listnum.Level
	linked map[int32]string // lists that are another, by the style which names it
	links  map[string]int32
}

func (r *listReader) start(name string, a attrs) {
	val := a.get("val")
	switch name {
	case "abstractNum":
		r.list, r.use = -1, -1
		if id, ok := listID(a.get("abstractNumId")); ok && len(r.l.Levels) < maxLists {
			r.list = id
			r.l.Levels[id] = make([]listnum.Level, listnum.Levels)
		}
	case "num":
		r.list, r.use = -1, -1
		if id, ok := listID(a.get("numId")); ok && len(r.l.Uses) < maxListUses {
			r.use = id
			r.l.Uses[id] = listnum.Use{List: -1, Starts: map[uint8]int32{}, Levels: map[uint8]listnum.Level{}}
		}
	case "abstractNumId":
		if u, ok := r.l.Uses[r.use]; ok {
			u.List, _ = listID(val) // without one there is no such list
			r.l.Uses[r.use] = u
		}
	case "styleLink":
		if r.list >= 0 {
			r.links[val] = r.list
		}
	case "numStyleLink":
		if r.list >= 0 {
			r.linked[r.list] = val
		}
	case "lvlOverride":
		r.depth = listDepth(a.get("ilvl"))
	case "startOverride":
		if u, ok := r.l.Uses[r.use]; ok {
			u.Starts[r.depth] = listNumber(val)
		}
	case "lvl":
		r.level, r.depth = listnum.Level{}, listDepth(a.get("ilvl"))
	default:
		r.levelProperty(name, val, a)
	}
}

// levelProperty takes a property of the level at hand. ECMA-376-1 17.9.6.
func (r *listReader) levelProperty(name, val string, a attrs) {
	lv := &r.level
	switch name {
	case "start":
		lv.Start = listNumber(val)
	case "numFmt":
		if lv.Width > 0 { // what stands for programs that do not know of widths
			return
		}
		lv.Format = listFormats[val]
		if first, _, ok := strings.Cut(a.get("format"), ","); ok && val == "custom" && strings.Trim(first, "0") == "1" {
			lv.Width = uint8(min(len(first), maxWidth))
		}
	case "isLgl":
		lv.Legal = val != "0" && val != "false" && val != "off"
	case "lvlRestart":
		lv.Kept, lv.Above = true, uint8(min(max(listNumber(val), 0), listnum.Levels))
	case "suff":
		lv.Joined = val == "nothing"
	case "lvlText":
		lv.Text = levelText(val)
	case "pStyle":
		if r.list >= 0 && len(r.l.levels) < maxWordStyles {
			r.l.levels[styledLevel{r.list, strings.Clone(val)}] = r.depth
		}
	}
}

// maxWidth is how many digits Word can be told to write at least.
const maxWidth = 5

func (r *listReader) end(name string) {
	if name != "lvl" {
		return
	}
	if levels := r.l.Levels[r.list]; levels != nil {
		levels[r.depth] = r.level
	} else if u, ok := r.l.Uses[r.use]; ok {
		u.Levels[r.depth] = r.level
	}
}

// join gives lists that stand for another one its levels. ECMA-376-1 17.9.21.
func (r *listReader) join() {
	for list, style := range r.linked {
		if of, ok := r.links[style]; ok {
			r.l.Levels[list] = r.l.Levels[of]
		}
	}
}

// listFormats are the forms of numbers whose digits or letters are no figures of
// ten, and those without. ECMA-376-1 17.18.59.
var listFormats = map[string]uint8{"upperRoman": 1, "lowerRoman": 2, "upperLetter": 3, "lowerLetter": 4, "ordinal": 5,
	"decimalZero": listnum.TwoDigits, "bullet": listnum.Bullet, "none": listnum.None}

// levelText reads a level's text: %1 to %9 stand for numbers.
func levelText(s string) []rune {
	var out []rune
	in := []rune(s[:min(len(s), 4*listnum.MaxText)])
	for i := 0; i < len(in) && len(out) < listnum.MaxText; i++ {
		switch {
		case in[i] == '%' && i+1 < len(in) && in[i+1] >= '1' && in[i+1] <= '9':
			i++
			out = append(out, in[i]-'1')
		case in[i] >= ' ':
			out = append(out, in[i])
		}
	}
	return out
}

func listID(s string) (int32, bool) {
	n, err := strconv.ParseInt(s, 10, 32)
	return int32(max(n, -1)), err == nil && n >= 0
}

func listNumber(s string) int32 {
	n, _ := strconv.ParseInt(s, 10, 32) // what is no number is 0
	return int32(min(max(n, -1<<30), 1<<30))
}

func listDepth(s string) uint8 {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '8' {
		return s[0] - '0'
	}
	return 0
}

// styleLists reads of styles.xml which styles put paragraphs into lists.
type styleLists struct {
	quiet
	l  *wordLists
	id string // of the paragraph style at hand, "" for none
	p  listProps
}

func (s *styleLists) start(name string, a attrs) {
	switch name {
	case "style":
		s.id, s.p = "", listProps{}
		if a.get("type") == "paragraph" {
			s.id = strings.Clone(a.get("styleId"))
			if v := a.get("default"); v == "1" || v == "true" || v == "on" {
				s.l.normal = s.id
			}
		}
	case "basedOn":
		s.p.base = strings.Clone(a.get("val"))
	default:
		s.p.start(name, a)
	}
}

func (s *styleLists) end(name string) {
	switch s.p.end(name); {
	case name == "style" && s.id != "" && len(s.l.styles) < maxWordStyles:
		s.l.styles[s.id] = s.p.wordStyle
	}
}

// listProps gathers of the properties of a paragraph or style what they say of lists.
type listProps struct {
	wordStyle
	open    bool // they have begun
	changed bool // what comes is how they were before a change
}

func (p *listProps) start(name string, a attrs) {
	switch name {
	case "pPr":
		p.open = true
	case "pPrChange":
		p.changed = true
	case "pStyle":
		if p.open && !p.changed {
			p.base = strings.Clone(a.get("val"))
		}
	case "numId":
		if p.open && !p.changed {
			p.use, p.haveUse = listNumber(a.get("val")), true // 0 is none
		}
	case "ilvl":
		if p.open && !p.changed {
			p.depth, p.haveDepth = listDepth(a.get("val")), true
		}
	}
}

// end reports that the properties are whole.
func (p *listProps) end(name string) bool {
	switch name {
	case "pPrChange":
		p.changed = false
	case "pPr":
		whole := p.open && !p.changed
		p.open = p.open && p.changed
		return whole
	}
	return false
}

// place returns the list and level of a paragraph, with what its style says.
func (l *wordLists) place(p wordStyle) (use int32, depth uint8) {
	at := p.base
	if at == "" {
		at = l.normal
	}
	named := at
	for range maxBases {
		s, ok := l.styles[at]
		if !ok || p.haveUse && p.haveDepth {
			break
		}
		if !p.haveUse && s.haveUse {
			p.use, p.haveUse = s.use, true
		}
		if !p.haveDepth && s.haveDepth {
			p.depth, p.haveDepth = s.depth, true
		}
		at = s.base
	}
	if !p.haveDepth {
		p.depth = l.levels[styledLevel{l.Uses[p.use].List, named}]
	}
	return p.use, p.depth
}

// listText writes the numbers of the paragraphs of a text.
type listText struct {
	lists       *wordLists // nil: there are none
	body, boxes *listnum.Counter
	box         int // text boxes around
	fallback    int // what stands for programs that do not know the choice before it
	props       listProps
	joined      []byte // the paragraph as it is with its number, where no blank parts them; nil for none
}

func newListText(l *wordLists) listText {
	if l == nil || len(l.Uses) == 0 {
		return listText{}
	}
	return listText{lists: l, body: l.Counter(), boxes: l.Counter()}
}

func (t *listText) start(name string, a attrs) {
	switch name {
	case "txbxContent":
		t.box++
	case "Fallback":
		t.fallback++
	case "pPr":
		if !t.props.changed {
			t.props = listProps{open: true}
		}
	default:
		t.props.start(name, a)
	}
}

// end returns the number of the paragraph whose properties end, "" for none.
func (t *listText) end(name string) (number string, joined bool) {
	switch name {
	case "txbxContent":
		t.box = max(t.box-1, 0)
	case "Fallback":
		t.fallback = max(t.fallback-1, 0)
	}
	if !t.props.end(name) || t.fallback > 0 {
		return "", false
	}
	c := t.body
	if t.box > 0 {
		c = t.boxes
	}
	use, depth := t.lists.place(t.props.wordStyle)
	if use <= 0 {
		return "", false
	}
	return c.Next(use, depth)
}

// number writes what stands before the paragraph that begins. Where its end and the
// paragraph would make one number, it is given both ways.
func (w *wordText) number(s string, joined bool) {
	if s == "" {
		return
	}
	t := w.innermost()
	first := t != nil && len(t.cells) > 0 && t.cells[len(t.cells)-1].from == w.d.j.out.pos()
	if joined && listnum.EndsInDigit(s) {
		w.list.joined, joined = append(w.list.joined[:0], s...), false
	}
	if !joined {
		s += " "
	}
	w.write(s)
	if first { // the number of its row
		w.kept()
	}
}
