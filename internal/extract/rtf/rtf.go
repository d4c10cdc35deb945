package rtf

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Errors of a document. They quote nothing of it.
var (
	ErrCorrupt = errors.New("rtf: cut or damaged")
	ErrTooMany = errors.New("rtf: more objects and pictures than a document may have")
)

// Bounds of a document.
const (
	maxGroups = 10_000   // within one another; deeper ones share what the last one says
	maxFonts  = 1 << 16  // a document names a few dozen
	maxFiles  = 1 << 14  // objects and pictures
	maxNested = 3        // of them within one another: each is decoded with what is in it
	maxAside  = 16 << 20 // bytes beside the text, told after the paragraph
	maxPara   = 64 << 10 // bytes of a paragraph before it is told in pieces
)

// Sink takes what a document holds. An error ends the reading and is returned.
type Sink interface {
	// Text takes the next text, valid UTF-8: lines end in LF, cells in a tab.
	Text(b []byte) error
	// File takes what is embedded, once all text is told.
	File(f File) error
}

// Kind says what an embedded File is.
type Kind uint8

// Kinds of files.
const (
	Object  Kind = iota // an OLE object
	Picture             // Media says of what kind it claims to be
	Behind              // bytes behind the document's end
)

// File is something embedded.
type File struct {
	Kind  Kind
	Name  string // "" when it has none
	Media string // of a picture
	Data  []byte
	Cut   bool // fewer bytes than it says
}

// Is reports bytes that Word opens as RTF: whatever stands behind its first
// four letters.
func Is(head []byte) bool {
	if bytes.HasPrefix(head, []byte(`{\rt`)) {
		return true
	}
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n\x00"), []byte(`{\rtf`))
}

// Wraps reports a document in which HTML is wrapped.
//
// Source: [MS-OXRTFEX] 2.1.3.1.1: it says so among its first ten words.
func Wraps(b []byte) bool { return bytes.Contains(b[:min(len(b), 4096)], []byte(`\fromhtml`)) }

// Read reads a document as programs show it that know nothing of HTML in it.
func Read(b []byte, to Sink) error {
	p := newParser(b, to)
	return p.run()
}

// HTML reads the HTML that is wrapped in a document, in UTF-8.
//
// Source: [MS-OXRTFEX] 2.2.
func HTML(b []byte, to Sink) error {
	p := newParser(b, to)
	p.unwrap = true
	return p.run()
}

// group is what holds until a closing brace.
type group struct {
	to      target
	level   int16 // of the paragraph it writes to
	opened  bool  // it has begun that paragraph
	fresh   bool  // nothing but \* has been seen of it
	star    bool  // \* has
	hidden  bool  // \v, \deleted
	deleted bool
	instead bool  // it is what stood where a SYMBOL field shows its character
	rtfOnly bool  // \htmlrtf: nothing of the HTML
	page    int32 // code page of bytes, 0 for the document's
	uc      int32 // characters that stand in for one of \u
	outer   int16 // of \upr: the level of what it stands in
	blob    int32 // index of the file it holds, and 1
}

// para is a paragraph at hand.
type para struct {
	shown []byte
	all   []byte // with what is hidden; only while hid
	hid   bool
	role  byte // what it is of a thing that is put together, 0 for text
}

// blob is an embedded file not yet decoded.
type blob struct {
	kind       Kind
	media      string
	start, end int
}

type parser struct {
	b       []byte
	at      int
	to      Sink
	err     error
	unwrap  bool // HTML is wanted
	wrapped bool
	corrupt bool
	tooMany bool

	g     group
	stack []group
	over  int  // groups deeper than the stack
	ended bool // the outermost group is

	paras []para
	begun bool   // a line of the text is told and has no end yet
	aside []byte // whole lines, told when the line is

	page     int // of the document
	deffont  int
	fonts    map[int]int
	font     int // of the font table, at hand
	raw      []byte
	standIn  int32 // characters to pass over behind \u
	high     rune  // a high surrogate waiting
	blobs    []blob
	nested   int    // of them that are open
	behind   int    // where what is no RTF begins
	pictured bool   // a picture of today's kind was seen: the older one is the same
	name     string // of the shape's property at hand
	lists    lists
	shows    bool // a field has just shown its character
}

func newParser(b []byte, to Sink) *parser {
	return &parser{b: b, to: to, page: codepage.Latin1, fonts: map[int]int{}, paras: make([]para, 1), behind: -1,
		g: group{to: inline, uc: 1}, wrapped: Wraps(b)}
}

func (p *parser) run() error {
	for p.at < len(p.b) && p.err == nil {
		switch c := p.b[p.at]; c {
		case '{':
			p.at++
			p.open()
		case '}':
			p.at++
			p.shut()
		case '\\':
			p.at++
			p.control()
		case '\r', '\n', 0:
			p.at++
		default:
			p.literal()
		}
	}
	p.finish()
	if p.err != nil {
		return p.err
	}
	switch {
	case p.tooMany:
		return ErrTooMany
	case p.corrupt:
		return ErrCorrupt
	}
	return nil
}

// finish closes what is open, and tells of the embedded files.
func (p *parser) finish() {
	p.flush()
	if n := len(p.stack); n > 0 && p.g.blob > 0 {
		p.blobs[p.g.blob-1].end = len(p.b)
		p.corrupt = true
	}
	for n := len(p.paras) - 1; n >= 0; n-- {
		p.endPara(n)
	}
	if p.err != nil || p.unwrap {
		return
	}
	for _, f := range p.blobs {
		if p.err == nil {
			p.file(f)
		}
	}
	if p.behind >= 0 && p.err == nil {
		p.err = p.to.File(File{Kind: Behind, Data: p.b[p.behind:]})
	}
}

func (p *parser) open() {
	p.flush()
	p.standIn = 0
	p.g.fresh = false
	if len(p.stack) >= maxGroups {
		p.over++
		return
	}
	p.stack = append(p.stack, p.g)
	p.g.opened, p.g.fresh, p.g.star, p.g.blob = false, true, false, 0
}

func (p *parser) shut() {
	p.flush()
	p.standIn = 0
	switch {
	case p.over > 0:
		p.over--
		return
	case len(p.stack) == 0: // one too many
		return
	}
	if p.g.opened {
		p.endPara(len(p.paras) - 1)
		p.paras = p.paras[:len(p.paras)-1]
	}
	if p.g.blob > 0 {
		p.blobs[p.g.blob-1].end = p.at - 1
		p.nested--
	}
	table := p.g.to == fonts
	p.g = p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if table && p.g.to != fonts {
		p.setFont(p.deffont)
	}
	if len(p.stack) == 0 {
		p.end()
	}
}

// end looks at what stands behind the outermost group. Word reads no further;
// text is read on all the same, and what is none is a file.
func (p *parser) end() {
	p.endPara(0)
	p.g = group{to: inline, uc: 1}
	if p.ended {
		return
	}
	p.ended = true
	rest := bytes.TrimLeft(p.b[p.at:], " \t\r\n\x00}")
	if bytes.IndexByte(rest, 0) >= 0 && bytes.ContainsFunc(rest, func(r rune) bool { return r != 0 }) {
		p.behind = len(p.b) - len(rest)
		p.at = len(p.b)
	}
}

// literal takes bytes that stand for themselves.
func (p *parser) literal() {
	p.g.fresh = false
	n := bytes.IndexAny(p.b[p.at:min(len(p.b), p.at+4096)], "\\{}\r\n\x00")
	if n < 0 {
		n = min(len(p.b)-p.at, 4096)
	}
	s := p.b[p.at : p.at+n]
	p.at += n
	if k := min(int(p.standIn), len(s)); k > 0 {
		p.standIn -= int32(k)
		s = s[k:]
	}
	p.bytes(s)
}

// bytes takes bytes in the code page of the font.
func (p *parser) bytes(s []byte) {
	if p.silent() || len(s) == 0 {
		return
	}
	p.raw = append(p.raw, s...)
	if len(p.raw) > maxPara {
		p.flush()
	}
}

// silent reports a place whose text is nobody's.
func (p *parser) silent() bool {
	switch p.g.to {
	case inline, aside, choice, second:
		return p.unwrap && (p.g.rtfOnly || p.g.to != inline)
	case htmlTag:
		return !p.unwrap || p.g.rtfOnly
	}
	return true
}

// flush decodes the bytes at hand.
func (p *parser) flush() {
	if len(p.raw) == 0 {
		return
	}
	page := int(p.g.page)
	if page == 0 {
		page = p.page
	}
	if p.unwrap && p.g.to == htmlTag {
		page = p.page // [MS-OXRTFEX] 2.1.3.1.3
	}
	raw := p.raw
	p.raw = p.raw[:0]
	if isASCII(raw) {
		p.put(raw)
		return
	}
	p.put([]byte(codepage.Decode(page, raw)))
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// put adds text to the paragraph at hand.
func (p *parser) put(s []byte) {
	if p.silent() {
		return
	}
	q := &p.paras[p.g.level]
	if (p.g.hidden || p.g.deleted || p.g.instead) && !p.unwrap {
		q.hide()
		q.all = append(q.all, s...)
	} else {
		q.shown = append(q.shown, s...)
		if q.hid {
			q.all = append(q.all, s...)
		}
	}
	if len(q.shown) > maxPara || len(q.all) > maxPara {
		p.tellPara(int(p.g.level))
	}
}

// hide keeps what is shown apart from all that is there, from here on.
func (q *para) hide() {
	if !q.hid {
		q.hid, q.all = true, append(q.all[:0], q.shown...)
	}
}

func (p *parser) rune(r rune) {
	p.flush()
	if r >= 0xf020 && r <= 0xf0ff { // a byte of a font of symbols: RTF 1.9.1, Unicode RTF
		r -= 0xf000
	}
	if p.high != 0 {
		both := utf16.DecodeRune(p.high, r)
		p.high = 0
		if both != utf8.RuneError {
			r = both
		}
	}
	if r >= 0xd800 && r < 0xdc00 {
		p.high = r
		return
	}
	var b [utf8.UTFMax]byte
	p.put(b[:utf8.EncodeRune(b[:], r)])
}

// newline ends a line, where text may stand.
func (p *parser) newline() {
	p.flush()
	if p.silent() {
		return
	}
	if p.unwrap {
		p.put([]byte("\r\n"))
		return
	}
	p.endPara(int(p.g.level))
}

// endPara tells a paragraph, if it has anything, and its end.
func (p *parser) endPara(n int) {
	q := &p.paras[n]
	if q.role != 0 && !p.piece(n) {
		q.shown, q.all, q.hid = q.shown[:0], q.all[:0], false
		return
	}
	some := len(q.shown) > 0 || q.hid
	p.tellPara(n)
	switch {
	case n == 0:
		if some || p.begun {
			p.text([]byte("\n"))
		}
		p.begun = false
		p.tellAside()
	case some && len(p.aside) > 0 && p.aside[len(p.aside)-1] != '\n':
		p.aside = append(p.aside, '\n')
	}
}

// piece takes a paragraph that is a piece of something, and reports whether it is
// to be told.
func (p *parser) piece(n int) bool {
	q := &p.paras[n]
	switch q.role {
	case roleName:
		p.name = string(q.shown[:min(len(q.shown), 32)])
		return false
	case roleValue:
		return p.property(q)
	case roleInst:
		p.field(n)
		return true
	}
	return p.lists.piece(q)
}

// property reports whether a paragraph of a shape's property holds words: a
// value that is none of its measures.
func (p *parser) property(q *para) bool {
	switch {
	case strings.HasPrefix(p.name, "wz"), strings.HasPrefix(p.name, "pihl"), p.name == "gtextUNICODE":
		return true
	case p.name == "metroBlob":
		return false
	}
	return bytes.ContainsFunc(q.shown, unicode.IsLetter)
}

// tellPara tells what is at hand of a paragraph: as it is shown, then, where
// something of it is hidden, all of it.
func (p *parser) tellPara(n int) {
	q := &p.paras[n]
	shown := q.shown
	if n > 0 && isHex(shown) { // of a destination that nobody knows: data, no words
		shown = nil
	}
	if n == 0 {
		p.text(shown)
		p.begun = len(shown) > 0
	} else {
		p.aside = append(p.aside, shown...)
	}
	if q.hid {
		if n > 0 && len(p.aside) > 0 {
			p.aside = append(p.aside, '\n')
		}
		p.aside = append(append(p.aside, q.all...), '\n')
	}
	q.shown, q.all, q.hid = q.shown[:0], q.all[:0], false
	if len(p.aside) > maxAside {
		p.text([]byte("\n"))
		p.tellAside()
		p.begun = false
	}
}

func (p *parser) tellAside() {
	if len(p.aside) > 0 {
		p.text(p.aside)
		if p.aside[len(p.aside)-1] != '\n' {
			p.text([]byte("\n"))
		}
		p.aside = p.aside[:0]
	}
}

func (p *parser) text(b []byte) {
	if p.err == nil && len(b) > 0 {
		p.err = p.to.Text(b)
	}
}

// isHex reports bytes written as digits: many of them and nothing else.
func isHex(b []byte) bool {
	const few = 64
	if len(b) < few {
		return false
	}
	for _, c := range b {
		if hexDigit(c) < 0 && c != ' ' && c != '\t' {
			return false
		}
	}
	return true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
