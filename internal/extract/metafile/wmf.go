package metafile

import (
	"math"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/layout"
)

// Records. [MS-WMF] 2.1.1.1.
const (
	metaEOF          = 0x0000
	metaSaveDC       = 0x001e
	metaSetMapMode   = 0x0103
	metaRestoreDC    = 0x0127
	metaSelect       = 0x012d
	metaSetTextAlign = 0x012e
	metaDelete       = 0x01f0
	metaSetWindowOrg = 0x020b
	metaSetWindowExt = 0x020c
	metaSetViewOrg   = 0x020d
	metaSetViewExt   = 0x020e
	metaMoveTo       = 0x0214
	metaCreateFont   = 0x02fb
	metaTextOut      = 0x0521
	metaEscape       = 0x0626
	metaExtTextOut   = 0x0a32

	escComment = 0x000f
)

// wmf runs through the records of a metafile of Windows 3.
func (p *player) wmf(b []byte) error {
	p.state = begin()
	p.mode = mapAnisotropic // a placeable file scales to its box
	if string(b[:4]) == placeable {
		b = b[22:]
	}
	var used []bool // numbers of objects
	low := 0        // below it all are in use
	var inner []byte
	b = b[18:]
	for len(b) >= 6 {
		words, kind := le32(b), le16(b[4:])
		if words < 3 || words > len(b)/2 {
			return ErrCorrupt
		}
		r := b[6 : 2*words]
		switch kind {
		case metaEOF:
			p.inner(inner)
			p.behind(b[2*words:])
			return nil
		case 0x00f7, 0x0142, 0x01f9, 0x02fa, metaCreateFont, 0x02fc, 0x06ff: // they make objects
			n := low
			for n < len(used) && used[n] {
				n++
			}
			if n == len(used) && n < maxFonts {
				used = append(used, true)
			} else if n < len(used) {
				used[n] = true
			}
			low = n
			if kind == metaCreateFont && len(r) >= 18 {
				p.keep(n, font{height: math.Abs(float64(i16(r))), turn: float64(i16(r[4:])) * math.Pi / 1800, page: codepage.OfCharset(int(r[13]))}.sized())
			}
		case metaDelete:
			if len(r) >= 2 && le16(r) < len(used) {
				used[le16(r)] = false
				low = min(low, le16(r))
				delete(p.fonts, le16(r))
			}
		case metaEscape:
			if part := enhanced(r); len(inner)+len(part) <= p.room {
				inner = append(inner, part...)
			}
		default:
			p.meta(kind, r)
		}
		b = b[2*words:]
	}
	p.inner(inner)
	return ErrCorrupt
}

// meta plays one record.
func (p *player) meta(kind int, r []byte) {
	word := func(n int) int {
		if b := at(r, 2*n, 2); b != nil {
			return i16(b)
		}
		return 0
	}
	x, y := float64(word(1)), float64(word(0))
	switch kind {
	case metaSaveDC:
		p.save()
	case metaRestoreDC:
		p.restore(word(0))
	case metaSelect:
		if f, ok := p.fonts[word(0)]; ok {
			p.font = f
		}
	case metaSetTextAlign:
		p.align = word(0)
	case metaSetMapMode:
		p.mode = word(0)
	case metaSetWindowOrg:
		p.winX, p.winY = x, y
	case metaSetWindowExt:
		// The picture is fitted into its place: only signs and shares count.
		p.extX, p.extY = x, y
		p.vextX, p.vextY = math.Abs(x), math.Abs(y)
	case metaSetViewOrg, metaSetViewExt: // said by the program that shows the picture
	case metaMoveTo:
		p.x, p.y = x, y
	case metaTextOut:
		n := word(0)
		if s := at(r, 2, n); s != nil {
			after := 1 + (n+1)/2
			p.draw(p.bytesText(s), float64(word(after+1)), float64(word(after)), -1)
		}
	case metaExtTextOut:
		p.extText(r, word)
	case 0x0538, 0x0940, 0x0922, 0x0b41, 0x0b23, 0x0d33, 0x0f43: // letters with holes; bitmaps
		p.drawn = true
	}
}

// extText draws a text with its advances. [MS-WMF] 2.3.3.5.
func (p *player) extText(r []byte, word func(int) int) {
	n, options := word(2), word(3)
	off := 8
	if options&6 != 0 { // a box
		off += 8
	}
	s := at(r, off, n)
	if s == nil {
		return
	}
	if p.byNumber(options, n) {
		return
	}
	width := -1.0
	if d := at(r, off+(n+1)&^1, 2*n); d != nil && n > 0 {
		width = 0
		for i := range n {
			width += float64(i16(d[2*i:]))
		}
	}
	p.draw(p.bytesText(s), float64(word(1)), float64(word(0)), width)
}

// enhanced returns the piece of an enhanced metafile that a comment holds.
// [MS-WMF] 2.3.6.25.
func enhanced(r []byte) []byte {
	if len(r) < 38 || le16(r) != escComment || string(r[4:8]) != "WMFC" || le32(r[8:]) != 1 {
		return nil
	}
	return at(r, 38, le32(r[26:]))
}

// inner reads the same picture in its enhanced form.
func (p *player) inner(b []byte) {
	if p.nested || !IsEMF(b) {
		return
	}
	q := &player{room: p.room, nested: true}
	_ = q.emf(b) // a copy: the metafile around it was read
	p.drawn = p.drawn || q.drawn
	p.extra = append(p.extra, layout.Lines(q.pieces)...)
	p.extra = append(p.extra, layout.Lines(q.plus.pieces)...)
}
