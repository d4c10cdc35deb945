package metafile

import (
	"bytes"
	"math"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/layout"
)

// Records that say something of texts, or draw what may hold some. [MS-EMF] 2.1.1.
const (
	emrSetWindowExt      = 9
	emrSetWindowOrg      = 10
	emrSetViewportExt    = 11
	emrSetViewportOrg    = 12
	emrEOF               = 14
	emrSetMapMode        = 17
	emrSetTextAlign      = 22
	emrMoveTo            = 27
	emrScaleViewport     = 31
	emrScaleWindow       = 32
	emrSaveDC            = 33
	emrRestoreDC         = 34
	emrSetWorld          = 35
	emrModifyWorld       = 36
	emrSelect            = 37
	emrDelete            = 40
	emrComment           = 70
	emrExtCreateFont     = 82
	emrExtTextOutA       = 83
	emrExtTextOutW       = 84
	emrPolyTextOutA      = 96
	emrPolyTextOutW      = 97
	emrSmallTextOut      = 108
	optGlyphs            = 0x10   // the text is numbers of a font's glyphs
	optNoRect            = 0x100  // of a small text
	optSmall             = 0x200  // a byte a character
	optPairs             = 0x2000 // advances are pairs
	emrHeadSize, objSize = 8, 40
)

// emf runs through the records of an enhanced metafile.
func (p *player) emf(b []byte) error {
	p.state = begin()
	for len(b) >= emrHeadSize {
		kind, size := le32(b), le32(b[4:])
		if size < emrHeadSize || size > len(b) {
			return ErrCorrupt
		}
		p.emr(kind, b[:size])
		if kind == emrEOF {
			p.behind(b[size:])
			return nil
		}
		b = b[size:]
	}
	return ErrCorrupt
}

// behind takes what stands after a metafile's end, which programs that go on see.
func (p *player) behind(b []byte) {
	p.drawn = p.drawn || len(bytes.Trim(b, "\x00")) > 0
}

// at returns n bytes of r from an offset on, nil where they are not there.
func at(r []byte, off, n int) []byte {
	if off < 0 || n < 0 || off > len(r) || n > len(r)-off {
		return nil
	}
	return r[off : off+n]
}

// emr plays one record. A record that is too short says nothing.
func (p *player) emr(kind int, r []byte) {
	two := func() (x, y float64, ok bool) {
		b := at(r, 8, 8)
		if b == nil {
			return 0, 0, false
		}
		return float64(i32(b)), float64(i32(b[4:])), true
	}
	one := func() int {
		if b := at(r, 8, 4); b != nil {
			return i32(b)
		}
		return 0
	}
	switch kind {
	case emrSetWindowExt, emrSetWindowOrg, emrSetViewportExt, emrSetViewportOrg, emrMoveTo:
		if x, y, ok := two(); ok {
			p.point(kind, x, y)
		}
	case emrScaleViewport, emrScaleWindow:
		p.scale(kind, r)
	case emrSetMapMode:
		p.mode = one()
	case emrSetTextAlign:
		p.align = one()
	case emrSaveDC:
		p.save()
	case emrRestoreDC:
		p.restore(one())
	case emrSetWorld:
		if m, ok := transform(r, 8); ok && m.Usable() {
			p.world = m
		}
	case emrModifyWorld:
		p.modify(r)
	case emrSelect:
		if f, ok := p.fonts[one()]; ok {
			p.font = f
		}
	case emrDelete:
		delete(p.fonts, one())
	case emrExtCreateFont:
		if b := at(r, 12, 28); b != nil {
			p.keep(one(), font{height: math.Abs(float64(i32(b))), turn: float64(i32(b[8:])) * math.Pi / 1800, page: codepage.OfCharset(int(b[23]))}.sized())
		}
	case emrExtTextOutA, emrExtTextOutW:
		p.text(r, 36, kind == emrExtTextOutW)
	case emrPolyTextOutA, emrPolyTextOutW:
		if b := at(r, 36, 4); b != nil {
			for i := 0; i < le32(b) && 40+(i+1)*objSize <= len(r) && !p.full; i++ {
				p.text(r, 40+i*objSize, kind == emrPolyTextOutW)
			}
		}
	case emrSmallTextOut:
		p.small(r)
	case emrComment:
		p.comment(r)
	default:
		p.drawn = p.drawn || draws(kind)
	}
}

// draws reports records that draw more than straight lines and boxes: bitmaps,
// curves, and polygons, of which letters may be made.
func draws(kind int) bool {
	switch kind {
	case 2, 5, // curves
		8,              // several polygons at once, as letters with holes are
		76, 77, 78, 79, // bitmaps
		80, 81, 85, 88, 91, 102, 103, 114, 116:
		return true
	case 62, 63: // a path is filled
		return true
	}
	return false
}

// sized is a font whose height is never nothing.
func (f font) sized() font {
	if f.height == 0 {
		f.height = 12
	}
	return f
}

func (p *player) point(kind int, x, y float64) {
	switch kind {
	case emrSetWindowExt:
		p.extX, p.extY = x, y
	case emrSetWindowOrg:
		p.winX, p.winY = x, y
	case emrSetViewportExt:
		p.vextX, p.vextY = x, y
	case emrSetViewportOrg:
		p.viewX, p.viewY = x, y
	case emrMoveTo:
		p.x, p.y = x, y
	}
}

func (p *player) scale(kind int, r []byte) {
	b := at(r, 8, 16)
	if b == nil || i32(b[4:]) == 0 || i32(b[12:]) == 0 {
		return
	}
	x, y := float64(i32(b))/float64(i32(b[4:])), float64(i32(b[8:]))/float64(i32(b[12:]))
	if x == 0 || y == 0 {
		return
	}
	if kind == emrScaleViewport {
		p.vextX, p.vextY = p.vextX*x, p.vextY*y
	} else {
		p.extX, p.extY = p.extX*x, p.extY*y
	}
}

func transform(r []byte, off int) (m layout.Matrix, ok bool) {
	b := at(r, off, 24)
	if b == nil {
		return m, false
	}
	return layout.Matrix{A: f32(b), B: f32(b[4:]), C: f32(b[8:]), D: f32(b[12:]), E: f32(b[16:]), F: f32(b[20:])}, true
}

// modify changes the transform of the world. [MS-EMF] 2.1.24.
func (p *player) modify(r []byte) {
	m, ok := transform(r, 8)
	b := at(r, 32, 4)
	if !ok || b == nil {
		return
	}
	switch le32(b) {
	case 1:
		m = layout.Identity()
	case 2:
		m = m.Then(p.world)
	case 3:
		m = p.world.Then(m)
	case 4:
	default:
		return
	}
	if m.Usable() {
		p.world = m
	}
}

// text draws the EmrText object at off. [MS-EMF] 2.2.5.
func (p *player) text(r []byte, off int, wide bool) {
	o := at(r, off, objSize)
	if o == nil {
		return
	}
	n, options := le32(o[8:]), le32(o[16:])
	size := n
	if wide {
		if n > len(r) {
			return
		}
		size = 2 * n
	}
	s := at(r, le32(o[12:]), size)
	if s == nil {
		return
	}
	if p.byNumber(options, n) {
		return
	}
	width := -1.0
	step := 4
	if options&optPairs != 0 {
		step = 8
	}
	if dx := le32(o[36:]); dx != 0 {
		if d := at(r, dx, n*step); d != nil {
			width = 0
			for i := 0; i < len(d); i += step {
				width += float64(i32(d[i:]))
			}
		}
	}
	text := ""
	if wide {
		text = codepage.Decode16(s)
	} else {
		text = p.bytesText(s)
	}
	p.draw(text, float64(i32(o)), float64(i32(o[4:])), width)
}

// byNumber reports a text of n numbers of its font's glyphs: what it says cannot
// be read.
func (p *player) byNumber(options, n int) bool {
	if options&optGlyphs == 0 {
		return false
	}
	p.drawn = p.drawn || n > 0
	return true
}

// small draws a text of the short form. [MS-EMF] 2.3.5.37.
func (p *player) small(r []byte) {
	b := at(r, 8, 28)
	if b == nil {
		return
	}
	n, options := le32(b[8:]), le32(b[12:])
	off := 36
	if options&optNoRect == 0 {
		off += 16
	}
	if n > len(r) {
		return
	}
	if p.byNumber(options, n) {
		return
	}
	text := ""
	if options&optSmall != 0 {
		text = p.bytesText(at(r, off, n))
	} else {
		text = codepage.Decode16(at(r, off, 2*n))
	}
	p.draw(text, float64(i32(b)), float64(i32(b[4:])), -1)
}

// comment plays the records of EMF+ that a comment holds. [MS-EMF] 2.3.3.
func (p *player) comment(r []byte) {
	b := at(r, 8, 8)
	if b == nil || string(b[4:]) != "EMF+" {
		return
	}
	if data := at(r, 16, le32(b)-4); data != nil {
		p.emfPlus(data)
	}
}
