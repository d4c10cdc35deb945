package rtf

import (
	"bytes"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// maxWord is the most letters of a control word. RTF 1.9.1, Control Word: 32;
// readers take more.
const maxWord = 64

// control reads what stands behind a backslash.
func (p *parser) control() {
	if p.at >= len(p.b) {
		return
	}
	c := p.b[p.at]
	if !isLetter(c) {
		p.at++
		p.symbol(c)
		return
	}
	from := p.at
	for p.at < len(p.b) && p.at-from < maxWord && isLetter(p.b[p.at]) {
		p.at++
	}
	word := p.b[from:p.at]
	n, has := p.number()
	if p.at < len(p.b) && p.b[p.at] == ' ' {
		p.at++
	}
	p.word(word, n, has)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// number reads a control word's number. What is past 32 bits stays at their
// most.
func (p *parser) number() (n int, has bool) {
	at, minus := p.at, false
	if at < len(p.b) && p.b[at] == '-' {
		at, minus = at+1, true
	}
	for at < len(p.b) && p.b[at] >= '0' && p.b[at] <= '9' {
		n = min(n*10+int(p.b[at]-'0'), 1<<31-1)
		at, has = at+1, true
	}
	if !has {
		return 0, false
	}
	p.at = at
	if minus {
		n = -n
	}
	return n, true
}

// symbol takes a control symbol.
func (p *parser) symbol(c byte) {
	if c == '*' {
		p.g.star = true
		return
	}
	p.g.fresh = false
	switch c {
	case '\'':
		if p.at+1 < len(p.b) && hexDigit(p.b[p.at]) >= 0 && hexDigit(p.b[p.at+1]) >= 0 {
			v := byte(hexDigit(p.b[p.at])<<4 | hexDigit(p.b[p.at+1]))
			p.at += 2
			if p.standIn > 0 {
				p.standIn--
				return
			}
			p.bytes([]byte{v})
		}
	case '\r', '\n':
		p.newline()
	case '\t':
		p.char('\t')
	case '~':
		p.char('\u00a0')
	case '_': // a hyphen at which no line breaks
		p.char('-')
	case '{', '}', '\\':
		if p.standIn > 0 {
			p.standIn--
			return
		}
		p.bytes([]byte{c})
	}
}

// char takes a character that may stand in for another.
func (p *parser) char(r rune) {
	if p.standIn > 0 {
		p.standIn--
		return
	}
	p.rune(r)
}

// word takes a control word.
func (p *parser) word(w []byte, n int, has bool) {
	fresh, star := p.g.fresh, p.g.star
	p.g.fresh, p.g.star = false, false
	if p.g.to == skip {
		if string(w) == "bin" {
			p.pass(n)
		}
		return
	}
	if p.g.to == fonts && p.fontWord(w, n) {
		return
	}
	if formatting[string(w)] { // most words of most documents
		return
	}
	if r, ok := runes[string(w)]; ok {
		p.char(r)
		return
	}
	switch {
	case string(w) == "nestrow": // it stands among properties
		p.flush()
		p.endPara(int(p.g.level))
		return
	case breaks[string(w)]:
		p.newline()
		return
	}
	if p.state(string(w), n, has) {
		return
	}
	if m, ok := blips[string(w)]; ok && p.g.blob > 0 {
		p.blobs[p.g.blob-1].media = m
		return
	}
	t, known := destinations[string(w)]
	switch {
	case known:
		p.enter(t, string(w), fresh)
	case bytes.HasPrefix(w, []byte("pnseclvl")):
		p.enter(skip, "", fresh)
	case p.g.to == inline && w[0] == 'm' && bytes.HasSuffix(w, []byte("Pr")): // properties of a formula
		p.enter(skip, "", fresh)
	case star && p.g.to == fonts:
		p.enter(skip, "", fresh)
	case star:
		p.enter(aside, "", fresh)
	}
}

// state takes the words that change how text is read; false: w is none.
func (p *parser) state(w string, n int, has bool) bool {
	switch w {
	case "u":
		if !has {
			return true
		}
		if n < 0 {
			n += 1 << 16
		}
		p.standIn = 0
		if n >= 0 && n <= 0x10ffff && !p.silent() {
			p.rune(rune(n))
		}
		p.standIn = p.g.uc
	case "uc":
		p.g.uc = int32(max(0, min(n, 1<<10)))
	case "bin":
		p.pass(n)
		if p.standIn > 0 {
			p.standIn--
		}
	case "v":
		p.flush()
		p.g.hidden = !has || n != 0
	case "deleted":
		p.flush()
		p.g.deleted = !has || n != 0
	case "plain":
		p.flush()
		p.g.hidden, p.g.deleted = false, false
		p.setFont(p.deffont)
	case "f":
		p.setFont(n)
	case "deff":
		p.deffont = n
	case "ansicpg":
		p.flush()
		p.page = codepage.Latin1
		if codepage.Known(n) {
			p.page = n
		}
	case "mac":
		p.page = 10000
	case "pc":
		p.page = 437
	case "pca":
		p.page = 850
	case "ansi":
		p.page = codepage.Latin1
	case "htmlrtf":
		p.flush()
		p.g.rtfOnly = !has || n != 0
	default:
		if !p.lists.word(w, n) {
			return false
		}
		if w == "levelstartat" {
			p.overridden()
		}
	}
	return true
}

// pass passes over the bytes behind \bin.
func (p *parser) pass(n int) {
	if n > len(p.b)-p.at {
		p.corrupt = true
	}
	p.at = min(len(p.b), p.at+max(0, n))
}

// setFont makes the code page that of a font.
func (p *parser) setFont(n int) {
	page := int32(p.fonts[n])
	if page == codepage.Latin1 && codepage.Wide(p.page) { // fonts of East Asian documents claim the Latin set
		page = 0
	}
	if page != p.g.page {
		p.flush()
		p.g.page = page
	}
}

// fontWord takes a word of the font table; false: it is none of its own.
func (p *parser) fontWord(w []byte, n int) bool {
	switch string(w) {
	case "f":
		p.font = n
	case "fcharset", "cpg":
		if len(p.fonts) >= maxFonts {
			return true
		}
		page := codepage.OfCharset(n)
		if string(w) == "cpg" {
			page = n
		}
		if page != 0 && !codepage.Known(page) {
			page = 0
		}
		p.fonts[p.font] = page
	default:
		return false
	}
	return true
}

// enter makes the group at hand a destination. Where its word does not begin a
// group, no program knows a destination in it, so its words are words.
func (p *parser) enter(t target, w string, fresh bool) {
	p.flush()
	if p.unwrap {
		p.enterWrapped(t, fresh)
		return
	}
	switch t {
	case inline:
		if w == "fldrslt" && p.shows {
			p.g.instead, p.shows = true, false
		}
		if p.g.to == through && w != "shppict" || p.g.to == picture || p.g.to == object {
			p.g.to = inline
		}
	case htmlTag:
		if p.g.to = skip; !p.wrapped {
			p.beside()
		}
	case second:
		if p.g.to == choice {
			p.g.to, p.g.level = inline, p.g.outer
			if p.g.level > 0 {
				p.g.to = aside
			}
		}
	case choice:
		p.g.outer = p.g.level
		p.beside()
		p.g.to = choice
	case aside:
		p.beside()
		if r := roles[w]; r != 0 {
			p.paras[p.g.level].role = r
			p.lists.begin(r)
		}
	case skip, fonts, through:
		switch {
		case w == "nonshppict" && !p.pictured:
		case w == "object": // its result is shown where it stands
		case fresh && len(p.stack) > 1:
			p.g.to = t
		}
	case picture, object:
		p.embed(t)
	}
	if w == "shppict" {
		p.pictured = true
	}
}

// enterWrapped is enter while HTML is unwrapped: nothing but fonts, tags and
// what is shown counts.
func (p *parser) enterWrapped(t target, fresh bool) {
	switch {
	case t == htmlTag, t == fonts && fresh && len(p.stack) > 1:
		p.g.to = t
	case t == inline || !fresh || len(p.stack) < 2:
	default:
		p.g.to = skip
	}
}

// beside begins a paragraph of its own for the group at hand.
func (p *parser) beside() {
	const most = 1000 // of asides within one another
	p.g.to = aside
	if p.g.opened || len(p.paras) >= most {
		return
	}
	p.paras = append(p.paras, para{})
	p.g.level, p.g.opened = int16(len(p.paras)-1), true
}

// embed notes where the bytes of a picture or object begin.
func (p *parser) embed(t target) {
	p.g.to = t
	if p.g.blob > 0 || p.nested >= maxNested {
		return
	}
	p.nested++
	if len(p.blobs) >= maxFiles {
		p.tooMany = true
		return
	}
	f := blob{kind: Picture, start: p.at, end: len(p.b)}
	if t == object {
		f.kind = Object
	}
	p.blobs = append(p.blobs, f)
	p.g.blob = int32(len(p.blobs))
}
