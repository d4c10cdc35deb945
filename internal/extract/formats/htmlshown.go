package formats

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

// Bounds of what is followed of a page's layout.
const (
	maxOpen     = 1 << 14 // elements within one another
	maxParts    = 512     // children of one that are put in order
	maxAgain    = 64      // elements that go on in the next paragraph
	maxShown    = 4 << 10 // bytes of a line
	maxSelector = 4 << 10 // of style sheets
	maxStyle    = 64 << 10
	maxContent  = 4 << 10 // of what content says of an element, on either side
	maxContents = 1 << 20 // of what it says of all of them
	shownDigits = 5       // of a line that is told once more
	offScreen   = -500
)

// look is what styles say of an element, as far as it moves or hides digits.
type look struct {
	hidden   bool // a reader does not see it
	gone     bool // nor is it counted
	inline   bool // it ends no line, though its kind does
	row      bool // its children stand side by side
	reverse  bool
	override bool // its text runs from right to left
	order    int  // among its siblings
	spot     spot // of a text in a picture
	before   string
	after    string
	item     string // what stands before an item of a list
	marker   string // the kind of what stands there, "" for that of what is around
	count    string // what is done with counters
}

// onPage follows a page as a browser lays it out, a line at a time: without what is
// hidden, and with side by side what styles put there. A line that is another than
// the page's text tells, and holds digits, is told below it.
//
// Source: CSS 2.2 9.2, 9.3, 9.5, 11.2; CSS Flexible Box Layout 5.
type onPage struct {
	h      *htmlText
	open   openTags
	hidden int  // of them
	added  int  // bytes of content that were put into lines
	over   bool // it says more than is followed
	text   []byte
	space  bool
	other  bool // the line is another than the text's
	lines  int  // that have ended
	cell   bool // is open
	cells  joiner
	sheet  map[string]look
	attrs  bool // style sheets show attributes

	gone     int // of open elements
	counters []counter
}

type shownElement struct {
	name string
	a    atom.Atom // 0 where HTML knows no such name
	look
	outer   int // the next element of that name on the stack, -1 for none
	scope   int // the innermost scope that it stands in or is, -1 for none
	special int // the same of special elements
	holder  int // the same of those that an item of a list does not look beyond
	lines   int // that had ended when it began
	from    int // where it begins in the line
	parts   []shownPart
}

// shownPart is a child, or what stands between two.
type shownPart struct{ row, order, from int }

// begin takes a start tag. alone: the element ends with it, as <path/> does in a
// picture.
func (p *onPage) begin(name string, a atom.Atom, l look, t *tagAttrs, alone bool) {
	if at := p.open.implied(a); at >= 0 {
		p.closeTo(at, !tableEnds[a])
	}
	side := l.inline
	if n := len(p.open.all); n > 0 && p.open.all[n-1].row {
		side = true
	}
	if !l.hidden {
		p.boundary(a, true, side)
	}
	if p.gone == 0 && !l.gone {
		p.counted(l.count, len(p.open.all))
	}
	if voids[a] || len(p.open.all) >= maxOpen {
		return
	}
	if n := len(p.open.all); l.marker == "" && n > 0 {
		l.marker = p.open.all[n-1].marker
	}
	if t.all != nil {
		l.before, l.after, l.item = withAttributes(l.before, t.all), withAttributes(l.after, t.all), withAttributes(l.item, t.all)
	}
	p.part(&l)
	if l.override {
		p.h.bdo(true)
	}
	p.push(shownElement{name: name, a: a, look: l})
	if a == atom.Li {
		p.markItem(&p.open.all[len(p.open.all)-1])
	}
	p.content(l.before)
	if alone && (p.open.find("svg") >= 0 || p.open.find("math") >= 0) {
		p.pop()
	}
}

func (p *onPage) push(e shownElement) {
	if e.hidden {
		p.hidden++
	}
	if e.gone {
		p.gone++
	}
	e.lines, e.from, e.parts = p.lines, len(p.text), nil
	p.open.push(e)
}

// content puts what a style sheet adds to an element into the line, as long as that
// is not more than a page has.
func (p *onPage) content(s string) {
	if s == "" || p.gone > 0 {
		return
	}
	if s = p.counted(s, len(p.open.all)); s == "" {
		return
	}
	if p.added += len(s); p.added > maxContents {
		if p.over = true; len(p.sheet) > 0 { // what is not followed is not put together either
			for k, l := range p.sheet {
				l.before, l.after, l.item = "", "", ""
				p.sheet[k] = l
			}
		}
		return
	}
	p.put([]byte(s))
	p.other = true
}

// closeTo ends the elements from the place at on. Those that only give letters a
// look go on in what follows, where again says so.
func (p *onPage) closeTo(at int, again bool) {
	var on []shownElement
	for len(p.open.all) > at {
		if e := p.open.all[len(p.open.all)-1]; again && len(p.open.all)-1 > at && formatting[e.a] && len(on) < maxAgain {
			on = append(on, e)
		}
		p.pop()
	}
	for i := len(on) - 1; i >= 0; i-- {
		e := on[i]
		e.before, e.after, e.override = "", "", false
		p.push(e)
	}
}

// part notes that a child of the innermost element begins, or what is behind it.
func (p *onPage) part(l *look) {
	n := len(p.open.all)
	if n == 0 || len(p.open.all[n-1].parts) >= maxParts {
		return
	}
	e := &p.open.all[n-1]
	picture := e.spot.inside
	if picture && l.spot.told && p.space && len(p.text) > e.from { // it is of the text before
		p.text, p.space = append(p.text, ' '), false
	}
	next := shownPart{0, l.order, len(p.text)}
	if picture && l.spot.told {
		next.row, next.order = l.spot.row, l.spot.xs[0]
	}
	if len(e.parts) == 0 {
		if next.row == 0 && next.order == 0 && !e.reverse && !l.spot.told {
			return
		}
		first := shownPart{from: e.from}
		if picture && e.spot.told {
			first.row, first.order = e.spot.row, e.spot.xs[0]
		}
		e.parts = append(e.parts, first)
	}
	switch last := e.parts[len(e.parts)-1]; {
	case picture && !l.spot.told: // it stands where the one before ends
		next.row, next.order = last.row, last.order
	case picture && !l.spot.line:
		next.row = last.row
	}
	e.parts = append(e.parts, next)
}

// end takes an end tag.
func (p *onPage) end(name string, a atom.Atom) {
	at := p.open.ended(name, a)
	side := at > 0 && (p.open.all[at].inline || p.open.all[at-1].row) || at == 0 && p.open.all[0].inline
	hidden := at >= 0 && p.open.all[at].hidden
	switch {
	case at < 0:
	case formatting[a] && p.open.all[len(p.open.all)-1].special > at: // a block within stays open, and is out of it
		e := &p.open.all[at]
		if e.hidden {
			e.hidden = false
			p.hidden--
		}
		if e.gone {
			e.gone = false
			p.gone--
		}
		p.open.forget(e)
		p.closeTo(p.open.all[len(p.open.all)-1].special+1, true)
	default:
		p.closeTo(at, !tableEnds[a])
	}
	if !hidden {
		p.boundary(a, false, side)
	}
}

func (p *onPage) pop() {
	n := len(p.open.all) - 1
	p.content(p.open.all[n].after)
	p.arrange(&p.open.all[n])
	p.glyphs(&p.open.all[n])
	e := p.open.pop()
	if e.hidden {
		p.hidden--
	}
	if e.gone {
		p.gone--
	}
	p.uncount()
	if e.override {
		p.h.bdo(false)
	}
	p.part(&look{})
}

// arrange puts the children of an element in the order in which they are shown.
func (p *onPage) arrange(e *shownElement) {
	if len(e.parts) < 2 || e.lines != p.lines {
		return
	}
	type piece struct {
		row, order int
		text       []byte
	}
	var pieces []piece
	for i, c := range e.parts {
		to := len(p.text)
		if i+1 < len(e.parts) {
			to = e.parts[i+1].from
		}
		if c.from > to {
			return
		}
		pieces = append(pieces, piece{c.row, c.order, bytes.Clone(p.text[c.from:to])})
	}
	if e.reverse {
		slices.Reverse(pieces)
	}
	before := func(a, b piece) int { return cmp.Or(a.row-b.row, a.order-b.order) }
	if e.spot.inside && slices.IsSortedFunc(pieces, before) { // texts of a picture, as they are told
		return
	}
	slices.SortStableFunc(pieces, before)
	p.text = p.text[:e.parts[0].from]
	for i, c := range pieces {
		if i > 0 && c.row != pieces[i-1].row {
			p.text = append(p.text, ' ')
		}
		p.text = append(p.text, c.text...)
	}
	p.other = true
}

// boundary takes what stands between two texts: the end of a line, of a cell or of
// nothing. side: it is put side by side with what is before it.
func (p *onPage) boundary(a atom.Atom, begins, side bool) {
	switch {
	case p.hidden > 0:
	case cells[a]:
		p.endCell()
		p.cell = begins
	case a == atom.Tr, a == atom.Table:
		p.endCell()
		p.cells.endRow()
		if a == atom.Table {
			p.cells.endTable()
		}
	case blocks[a] && side:
		p.other = p.other || len(p.text) > 0
		p.space = false
	case blocks[a] && p.cell:
		p.space = true
	case blocks[a]:
		p.endLine()
	}
}

func (p *onPage) endCell() {
	if p.cell {
		p.cells.cell(p.text)
	} else if len(p.text) > 0 {
		p.cells.line(p.text)
	}
	p.cell = false
	p.finish()
}

func (p *onPage) endLine() {
	if len(p.text) > 0 {
		p.cells.line(p.text)
	}
	p.finish()
}

// finish tells the line at hand where it is another.
func (p *onPage) finish() {
	if p.other && digitsIn(p.text) >= shownDigits {
		p.h.addAside(string(p.text))
	}
	p.text, p.space, p.other = p.text[:0], false, false
	p.lines++
}

// words takes a run of text.
func (p *onPage) words(b []byte) {
	if i := p.open.find("head"); i >= 0 && i == len(p.open.all)-1 && len(bytes.TrimSpace(b)) > 0 { // of the body
		p.closeTo(i, false)
	}
	p.put(b)
}

// put adds text to the line at hand.
func (p *onPage) put(b []byte) {
	if p.hidden > 0 {
		p.other = p.other || len(bytes.TrimSpace(b)) > 0
		return
	}
	for len(b) > 0 {
		n := bytes.IndexAny(b, " \t\r\n\f")
		if n != 0 {
			if n < 0 {
				n = len(b)
			}
			if len(p.text)+n > maxShown {
				p.finish()
			}
			if p.space && len(p.text) > 0 {
				p.text = append(p.text, ' ')
			}
			p.space = false
			p.text = append(p.text, b[:min(n, maxShown)]...)
		} else {
			n, p.space = 1, true
		}
		b = b[n:]
	}
}

// rest ends the page.
func (p *onPage) rest() {
	for len(p.open.all) > 0 {
		p.pop()
	}
	p.hidden, p.gone = 0, 0
	p.endCell()
	p.cells.finish()
}

func digitsIn(b []byte) int {
	n := 0
	for _, c := range b {
		if isDigit(c) {
			n++
		}
	}
	return n
}

var (
	cssRule    = expression(`([^{}]+)\{([^{}]*)\}`)
	cssComment = expression(`(?s)/\*.*?\*/`)
	cssEscape  = expression(`\\([0-9a-fA-F]{1,6})\s?`)
)

// styles takes a style sheet: of each selector what stands last, by class, id or name.
func (p *onPage) styles(b []byte) {
	b = cssComment().ReplaceAll(b[:min(len(b), maxStyle)], nil)
	p.attrs = p.attrs || showsAttributes(b)
	for _, m := range cssRule().FindAllSubmatch(b, maxSelector) {
		l := lookOf(string(m[2]))
		content := l.count + l.before
		if l.before = ""; p.over {
			content = ""
		}
		for _, s := range strings.Split(strings.ToLower(string(m[1])), ",") {
			f := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n>+~", r) })
			if len(f) == 0 || len(p.sheet) >= maxSelector {
				continue
			}
			key, pseudo, _ := strings.Cut(f[len(f)-1], ":")
			if i := strings.LastIndexAny(key, ".#"); i > 0 {
				key = key[i:]
			}
			was := p.sheet[key]
			switch strings.TrimPrefix(pseudo, ":") {
			case "before":
				was.before = joined(was.before, content)
			case "after":
				was.after = joined(was.after, content)
			case "marker":
				was.item = joined("", content)
			case "":
				was = was.with(l)
			}
			if p.sheet == nil {
				p.sheet = map[string]look{}
			}
			p.sheet[key] = was
		}
	}
}

func (l look) with(m look) look {
	l.hidden, l.inline, l.row, l.reverse, l.override = l.hidden || m.hidden, l.inline || m.inline, l.row || m.row, l.reverse || m.reverse, l.override || m.override
	if m.order != 0 {
		l.order = m.order
	}
	l.gone = l.gone || m.gone
	l.before, l.after = joined(l.before, m.before), joined(l.after, m.after)
	l.item, l.marker, l.count = cmp.Or(m.item, l.item), cmp.Or(m.marker, l.marker), cmp.Or(m.count, l.count)
	return l
}

// joined is a with b behind it, within maxContent.
func joined(a, b string) string {
	b = b[:min(len(b), max(0, maxContent-len(a)))]
	if strings.Count(b, countMark)%2 > 0 { // what is cut says nothing
		b = b[:strings.LastIndex(b, countMark)]
	}
	return a + b
}

// styled returns what style sheets and its own attributes say of an element.
func (p *onPage) styled(name, class, id, style string, hidden bool) look {
	var l look
	if len(p.sheet) > 0 {
		l = p.sheet[name].with(p.sheet["*"])
		for _, c := range strings.Fields(class) {
			l = l.with(p.sheet["."+strings.ToLower(c)])
		}
		if id != "" {
			l = l.with(p.sheet["#"+strings.ToLower(id)])
		}
	}
	if style != "" {
		own := lookOf(style)
		own.before = "" // content is nothing of an element's own
		l = l.with(own)
	}
	l.hidden, l.gone = l.hidden || hidden, l.gone || hidden
	return l
}

// lookOf reads declarations. What content says comes as before.
func lookOf(style string) (l look) {
	clipped, empty, rtl, column := false, false, false, false
	for _, d := range strings.Split(style[:min(len(style), maxShown)], ";") {
		k, raw, _ := strings.Cut(d, ":")
		k = strings.ToLower(strings.TrimSpace(k))
		v := strings.TrimSpace(strings.ReplaceAll(strings.ToLower(raw), "!important", ""))
		switch k {
		case "display":
			l.display(v)
		case "flex-direction", "flex-flow":
			l.reverse = strings.HasPrefix(v, "row-reverse")
			column = strings.HasPrefix(v, "column")
		case "float":
			l.inline = v == "left" || v == "right"
		case "position":
			l.inline = l.inline || v == "absolute" || v == "fixed"
		case "visibility":
			l.hidden = l.hidden || v == "hidden" || v == "collapse"
		case "opacity", "font-size", "font":
			l.hidden = l.hidden || strings.HasPrefix(v, "0") && measure(v) == 0
		case "mso-hide":
			l.hidden = l.hidden || v == "all"
		case "color":
			l.hidden = l.hidden || v == "transparent" || v == "white" || v == "#fff" || v == "#ffffff"
		case "width", "height", "max-width", "max-height", "line-height":
			empty = empty || strings.HasPrefix(v, "0") && measure(v) == 0
		case "overflow":
			clipped = v == "hidden" || v == "clip"
		case "text-indent", "top", "margin-left", "left":
			n := measure(v)
			l.hidden = l.hidden || n < offScreen
			if k == "left" {
				l.order = int(max(-1e6, min(n, 1e6)))
			}
		case "order":
			n, _ := strconv.Atoi(v) // what is no number is 0
			l.order = max(-1e6, min(n, 1e6))
		case "direction":
			rtl = v == "rtl"
		case "unicode-bidi":
			l.override = strings.HasSuffix(v, "override")
		case "content":
			l.before += cssContent(raw)
		case "counter-reset", "counter-set", "counter-increment":
			l.count += countersOf(k, v)
		case "list-style", "list-style-type":
			l.marker = cmp.Or(markerOf(v), l.marker)
		}
	}
	l.hidden = l.hidden || clipped && empty
	l.override = l.override && rtl
	l.row = l.row && !column
	return l
}

// display takes the value of display. CSS Display 3, 2.
func (l *look) display(v string) {
	switch v {
	case "none":
		l.hidden, l.gone = true, true
	case "flex", "grid":
		l.row = true
	case "inline-flex", "inline-grid":
		l.row, l.inline = true, true
	case "inline", "inline-block", "contents", "table-cell", "inline-table":
		l.inline = true
	}
}

// measure returns the number that v begins with, 0 where it begins with none.
func measure(v string) float64 {
	n := 0
	for n < len(v) && strings.IndexByte("+-.0123456789", v[n]) >= 0 {
		n++
	}
	f, _ := strconv.ParseFloat(v[:n], 64) // what is no number is 0
	return f
}
