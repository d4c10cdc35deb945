package formats

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/transform"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of an HTML page.
const (
	maxToken = 16 << 20 // one tag, comment or run of text
	maxAside = 4 << 20  // what is not shown, kept back until the text is out
)

// html reads a page as a reader sees it. What is not shown, and may be seen all
// the same, follows the text: attributes, comments, scripts, styles.
func (j *job) html(at place, k kind, s *stream) error {
	head, err := s.head()
	if err != nil {
		return err
	}
	enc := asBytes(at, htmlEncoding(head, at.charset))
	if at.decoded {
		enc = encUTF8
	}
	order := newByteOrder(at, head, enc) // head is good until the next read
	guess := enc == encUTF8 && !at.decoded && !plain(head)
	xml := k.format == fSVG || bytes.HasPrefix(head, []byte("<?xml"))
	declares := xml && bytes.Contains(head, []byte(entityMark))
	if order != nil || guess || declares {
		s.keep(maxEncoded)
	}
	j.part(at, k.media)
	if declares && s.r != nil {
		j.tooManyEntities(at)
	}
	h := &htmlText{j: j, out: j.out}
	h.shown.h = h
	h.shown.cells.tell = func(line []byte) { h.addAside(string(line)) }
	r, watch := j.watch(s)
	err = h.read(transform.NewReader(order.follow(r), decoder(enc)))
	if err == nil {
		for i, b := range h.files {
			j.leaf(at.inside(itoa(i+1)), memory(b))
		}
	}
	if h.shown.over {
		j.gap(at, dlp.TooLarge, "content of styles", 0)
	}
	j.watched(&at, watch, s)
	at = j.otherOrder(at, order, s)
	if guess && s.r == nil && err == nil {
		if t := undeclared(at, enc, s.mem); t != nil {
			q := at.again()
			q.media, q.decoded, q.charset = "text/html", true, encUTF8
			j.leaf(q, memory(t))
			at.readings++
		}
	}
	if declares && s.r == nil && err == nil {
		at = j.declared(at, s.mem)
	}
	if s.r == nil && err == nil && likeASCII(enc) {
		if page := asOutlook(s.mem); page != nil {
			q := at.again()
			q.media = "text/html"
			j.leaf(q, memory(page))
		}
	}
	return err
}

// cidsOnly looks again for the pictures that an HTML part shows, after the part
// itself was read by an earlier child.
func (j *job) cidsOnly(at place, s *stream) {
	h := &htmlText{j: j}
	defer func() { _ = recover() }() // it was read without a panic before; without cids the pictures are weighed more
	_ = h.read(transform.NewReader(s.reader(), decoder(encUTF8)))
}

// htmlEncoding finds a page's encoding: mark, declared, meta, guess.
func htmlEncoding(head []byte, declared string) string {
	enc := textEncoding(head, declared)
	if enc != encUTF8 || bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		return enc
	}
	_, name, certain := charset.DetermineEncoding(head[:min(len(head), 1024)], "")
	if certain {
		if e := declaredEncoding(name); e != "" && digitsAsASCII(e) {
			return e
		}
	}
	return encUTF8
}

// Elements that begin a line of their own, and those whose content is not shown.
var (
	blocks = map[atom.Atom]bool{atom.Address: true, atom.Article: true, atom.Aside: true, atom.Blockquote: true, atom.Body: true,
		atom.Br: true, atom.Caption: true, atom.Center: true, atom.Dd: true, atom.Details: true, atom.Dir: true, atom.Div: true,
		atom.Dl: true, atom.Dt: true, atom.Fieldset: true, atom.Figcaption: true, atom.Figure: true, atom.Footer: true,
		atom.Form: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true,
		atom.Header: true, atom.Hr: true, atom.Html: true, atom.Legend: true, atom.Li: true, atom.Main: true, atom.Menu: true,
		atom.Nav: true, atom.Ol: true, atom.Optgroup: true, atom.Option: true, atom.P: true, atom.Plaintext: true, atom.Pre: true,
		atom.Section: true, atom.Select: true, atom.Summary: true, atom.Table: true, atom.Tbody: true, atom.Textarea: true,
		atom.Tfoot: true, atom.Thead: true, atom.Title: true, atom.Tr: true, atom.Ul: true, atom.Xmp: true}
	cells = map[atom.Atom]bool{atom.Td: true, atom.Th: true}
	raws  = map[atom.Atom]bool{atom.Script: true, atom.Style: true, atom.Template: true, atom.Noscript: true}
	// whose content a browser does not show where it stands: what stands for it in
	// programs that know less, what scripts take, the small text above a word
	notShown = map[string]bool{"title": true, "head": true, "template": true, "noscript": true, "noframes": true, "noembed": true, "datalist": true,
		"audio": true, "video": true, "canvas": true, "iframe": true, "dialog": true, "rt": true, "rp": true, "rtc": true, "desc": true, "metadata": true}
	// shown only in some programs, or never: names whose values are not text
	dull = map[string]bool{"class": true, "style": true, "width": true, "height": true, "border": true, "cellpadding": true,
		"cellspacing": true, "align": true, "valign": true, "bgcolor": true, "color": true, "face": true, "size": true,
		"colspan": true, "rowspan": true, "dir": true, "lang": true, "rel": true, "target": true, "type": true,
		"xmlns": true, "d": true, "points": true, "transform": true, "viewbox": true, "fill": true}
)

// htmlText turns tokens into text.
type htmlText struct {
	j     *job
	out   *emitter // nil: only cids are wanted
	aside strings.Builder
	files [][]byte // written into the page as data: URLs
	held  int      // bytes of them

	some  bool // something was written
	line  bool // something was written on this line
	space bool // a space is owed
	pre   int
	raw   atom.Atom // the element whose content is not shown
	rtl   int       // open bdo elements
	back  []byte    // text inside bdo
	shown onPage

	tables []*htmlTable // that are open, the innermost last
	rows   uint32       // of tables with names, so far
}

func (h *htmlText) read(r io.Reader) error {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			err := z.Err()
			h.rest()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if errors.Is(err, html.ErrBufferExceeded) {
				return gapOf(dlp.TooLarge, "html token")
			}
			return err
		case html.TextToken:
			h.text(z.Text())
		case html.StartTagToken:
			h.tag(z, true, false)
		case html.SelfClosingTagToken:
			h.tag(z, true, true)
		case html.EndTagToken:
			h.tag(z, false, false)
		case html.CommentToken, html.DoctypeToken:
			b := z.Text()
			if i := bytes.Index(b, []byte("]>")); i >= 0 && bytes.HasPrefix(b, []byte("[if")) { // shown by some programs only
				sub := &htmlText{j: h.j, out: nil}
				sub.aside.Grow(len(b))
				sub.intoAside(b[i+2:])
				h.addAside(sub.aside.String())
				break
			}
			h.addAside(string(b))
		}
		if h.out != nil && h.out.err != nil {
			return nil
		}
	}
}

// intoAside reads a page inside a comment.
func (h *htmlText) intoAside(b []byte) {
	z := html.NewTokenizer(bytes.NewReader(b))
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			h.addAside(string(bytes.TrimSpace(z.Text())))
		}
	}
}

func (h *htmlText) tag(z *html.Tokenizer, open, alone bool) {
	name, more := z.TagName()
	a := atom.Lookup(name)
	h.table(a, open)
	switch {
	case a == 0 && open && !bytes.ContainsAny(name, ":-") && bytes.ContainsAny(name, "0123456789"):
		h.addAside(string(name)) // <a536> is no element anybody knows
	case raws[a] && a != atom.Noscript && a != atom.Template:
		if open {
			h.raw = a
		} else {
			h.raw = 0
		}
	case a == atom.Pre || a == atom.Textarea || a == atom.Xmp || a == atom.Listing:
		if open {
			h.pre++
		} else {
			h.pre = max(h.pre-1, 0)
		}
		h.newline()
	case blocks[a]:
		h.newline()
	case cells[a]:
		if open {
			h.cell()
			h.openCell(a)
		}
	case a == atom.Bdo:
		h.bdo(open)
	}
	element := string(name)
	t := tagAttrs{hidden: notShown[element]}
	if h.shown.attrs {
		t.all = map[string]string{}
	}
	for more && open {
		var k, v []byte
		k, v, more = z.TagAttr()
		t.note(a, string(k), v)
		if string(k) == "srcdoc" && h.held < maxToken { // a page within this one
			h.file(append([]byte("<!doctype html>"), v...))
			continue
		}
		if cells[a] {
			h.cellAttribute(string(k), v)
		}
		h.attribute(string(k), v)
	}
	switch {
	case h.out == nil:
	case open:
		l := h.shown.styled(element, t.class, t.id, t.style, t.hidden)
		if h.shown.open.find("svg") >= 0 || element == "svg" {
			l.spot = spotOf(element, t.x, t.y)
		}
		l.listed(a, &t)
		h.shown.begin(element, a, l, &t, alone)
	default:
		h.shown.end(element, a)
	}
}

func (h *htmlText) attribute(k string, v []byte) {
	if t := bytes.TrimSpace(v); len(t) > 5 && bytes.EqualFold(t[:5], []byte("data:")) && h.held < maxToken {
		if b := dataURL(t[5:]); len(b) > 0 {
			h.file(b)
			return
		}
	}
	if i := cidIndex(v); i >= 0 && h.j.scope != nil && (k == "src" || k == "background" || k == "href" || k == "xlink:href") {
		h.j.scope.show(string(v[i:]))
		return
	}
	if k == "style" && (bytes.Contains(v, []byte("content")) || bytes.Contains(v, []byte("url"))) {
		if i := cidIndex(v); i >= 0 && h.j.scope != nil {
			end := bytes.IndexAny(v[i:], `)"' `)
			if end < 0 {
				end = len(v) - i
			}
			h.j.scope.show(string(v[i : i+end]))
		}
		h.addAside(string(v))
		return
	}
	if dull[k] && !longDigits(v) {
		return
	}
	if longDigits([]byte(k)) {
		h.addAside(k)
	}
	if len(bytes.TrimSpace(v)) > 0 {
		h.addAside(string(v))
		if t := unescapeDigits(v); t != nil { // a link's ?ssn=%35%33…
			h.addAside(string(t))
		}
	}
}

// file keeps a file that is written into the page.
func (h *htmlText) file(b []byte) {
	h.files = append(h.files, b)
	h.held += len(b)
}

// dataURL decodes what follows "data:". RFC 2397.
func dataURL(v []byte) []byte {
	head, data, ok := bytes.Cut(v, []byte(","))
	if !ok {
		return nil
	}
	b := percentDecode(string(data))
	if bytes.Contains(bytes.ToLower(head), []byte("base64")) {
		b, _ = decodeBase64(b)
	}
	return b
}

// cidIndex returns where the id of a cid: URL begins, or -1. RFC 2392.
func cidIndex(v []byte) int {
	t := bytes.TrimLeft(v, " \t\r\n")
	if len(t) > 4 && bytes.EqualFold(t[:4], []byte("cid:")) {
		return len(v) - len(t) + 4
	}
	if i := bytes.Index(v, []byte("url(cid:")); i >= 0 {
		return i + 8
	}
	return -1
}

func longDigits(v []byte) bool {
	n := 0
	for _, c := range v {
		if c >= '0' && c <= '9' {
			n++
		}
	}
	return n >= 7
}

func (h *htmlText) addAside(s string) {
	if h.out == nil && h.aside.Cap() == 0 {
		return
	}
	s = strings.TrimSpace(validString(s))
	if s == "" {
		return
	}
	h.aside.WriteString(s)
	h.aside.WriteByte('\n')
	if h.aside.Len() > maxAside && h.out != nil {
		h.newline()
		h.flushAside()
	}
}

func (h *htmlText) flushAside() {
	if h.aside.Len() == 0 {
		return
	}
	for _, t := range h.tables {
		h.endCell(t)
	}
	h.out.writeString(h.aside.String())
	h.aside.Reset()
	h.some, h.line = true, false
}

// rest writes what was kept back.
func (h *htmlText) rest() {
	if h.out == nil {
		return
	}
	h.shown.rest()
	h.bdo(false)
	for _, t := range h.tables {
		h.endCell(t)
	}
	h.newline()
	if h.aside.Len() > 0 && h.some {
		h.out.writeString("\n")
	}
	h.flushAside()
}

// text writes a run of text, its white space as a program shows it.
func (h *htmlText) text(b []byte) {
	if h.out == nil {
		return
	}
	if h.raw != 0 {
		if h.raw == atom.Style {
			h.shown.styles(b)
		}
		h.addAside(string(b))
		return
	}
	b = bytes.ToValidUTF8(b, []byte("\ufffd"))
	h.shown.words(b)
	if h.rtl > 0 && len(h.back) < 64<<10 {
		h.back = append(h.back, b...)
	}
	if h.pre > 0 {
		if len(b) > 0 {
			h.put(b)
			h.line = b[len(b)-1] != '\n'
		}
		return
	}
	for len(b) > 0 {
		i := bytes.IndexAny(b, " \t\r\n\f")
		switch {
		case i < 0:
			h.put(b)
			return
		case i > 0:
			h.put(b[:i])
		}
		h.space = h.line
		b = bytes.TrimLeft(b[i:], " \t\r\n\f")
	}
}

func (h *htmlText) put(b []byte) {
	if h.space {
		h.emit([]byte(" "))
		h.space = false
	}
	h.emit(b)
	h.some, h.line = true, true
}

func (h *htmlText) newline() {
	h.space = false
	if h.line && h.out != nil {
		h.emit([]byte("\n"))
		h.line = false
	}
}

func (h *htmlText) cell() {
	h.space = false
	if h.line && h.out != nil {
		h.out.writeString("\t")
	}
}

// bdo keeps text that is shown in the other direction, and adds it turned round.
func (h *htmlText) bdo(open bool) {
	if open {
		h.rtl++
		return
	}
	h.rtl = max(h.rtl-1, 0)
	if h.rtl == 0 && len(h.back) > 0 {
		r := []rune(string(h.back))
		for i, k := 0, len(r)-1; i < k; i, k = i+1, k-1 {
			r[i], r[k] = r[k], r[i]
		}
		h.addAside(string(r))
		h.back = h.back[:0]
	}
}
