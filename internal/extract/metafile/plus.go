package metafile

import (
	"math"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/layout"
)

// Records of EMF+. [MS-EMFPLUS] 2.1.1.1.
const (
	plusObject       = 0x4008
	plusFillPath     = 0x4014
	plusDrawImage    = 0x401a
	plusDrawImagePts = 0x401b
	plusDrawString   = 0x401c
	plusSave         = 0x4025
	plusRestore      = 0x4026
	plusBegin        = 0x4027
	plusBeginNoParam = 0x4028
	plusEnd          = 0x4029
	plusSetWorld     = 0x402a
	plusResetWorld   = 0x402b
	plusMultiply     = 0x402c
	plusTranslate    = 0x402d
	plusScale        = 0x402e
	plusRotate       = 0x402f
	plusDriverString = 0x4036
	objFont          = 6
	cmapLookup       = 1 // the glyphs of a driver string are characters
)

// plus is the state of the EMF+ records. A file of both kinds says all in each;
// what they say is compared when it is read.
type plus struct {
	world  layout.Matrix
	saved  map[int]layout.Matrix
	sizes  map[int]float64 // of fonts, by their number
	pieces []layout.Piece
	began  bool
}

// emfPlus plays the records that a comment holds.
func (p *player) emfPlus(b []byte) {
	if !p.plus.began {
		p.plus = plus{began: true, world: layout.Identity(), saved: map[int]layout.Matrix{}, sizes: map[int]float64{}}
	}
	for len(b) >= 12 {
		kind, flags, size, n := le16(b), le16(b[2:]), le32(b[4:]), le32(b[8:])
		if size < 12 || size > len(b) || n > size-12 {
			return
		}
		p.plusRecord(kind, flags, b[12:12+n])
		b = b[size:]
	}
}

func (p *player) plusRecord(kind, flags int, r []byte) {
	u := &p.plus
	first := func() int {
		if b := at(r, 0, 4); b != nil {
			return le32(b)
		}
		return 0
	}
	change := func(m layout.Matrix) {
		if flags&0x2000 != 0 { // applied after what there is
			m = u.world.Then(m)
		} else {
			m = m.Then(u.world)
		}
		if m.Usable() {
			u.world = m
		}
	}
	switch kind {
	case plusObject:
		if b := at(r, 4, 4); b != nil && flags>>8&0x7f == objFont && len(u.sizes) < maxFonts {
			u.sizes[flags&0xff] = f32(b)
		}
	case plusDrawImage, plusDrawImagePts, plusFillPath:
		p.drawn = true
	case plusDrawString:
		p.plusString(flags, r)
	case plusDriverString:
		p.driverString(flags, r)
	case plusSave, plusBeginNoParam, plusBegin:
		n := first()
		if kind == plusBegin {
			if b := at(r, 32, 4); b != nil {
				n = le32(b)
			}
		}
		if len(u.saved) < maxStates {
			u.saved[n] = u.world
		}
	case plusRestore, plusEnd:
		if m, ok := u.saved[first()]; ok {
			u.world = m
		}
	case plusSetWorld:
		if m, ok := transform(r, 0); ok && m.Usable() {
			u.world = m
		}
	case plusResetWorld:
		u.world = layout.Identity()
	case plusMultiply:
		if m, ok := transform(r, 0); ok {
			change(m)
		}
	case plusTranslate:
		if b := at(r, 0, 8); b != nil {
			change(layout.Matrix{A: 1, D: 1, E: f32(b), F: f32(b[4:])})
		}
	case plusScale:
		if b := at(r, 0, 8); b != nil {
			change(layout.Matrix{A: f32(b), D: f32(b[4:])})
		}
	case plusRotate:
		if b := at(r, 0, 4); b != nil {
			sin, cos := math.Sincos(f32(b) * math.Pi / 180)
			change(layout.Matrix{A: cos, B: sin, C: -sin, D: cos})
		}
	}
}

// plusString draws a text in a box. [MS-EMFPLUS] 2.3.4.14.
func (p *player) plusString(flags int, r []byte) {
	b := at(r, 0, 28)
	if b == nil || le32(b[8:]) > len(r) {
		return
	}
	text := codepage.Decode16(at(r, 28, 2*le32(b[8:])))
	p.plusText(text, flags, f32(b[12:]), f32(b[16:]))
}

// driverString draws characters, each at its own place; they are put together as
// all pieces are. [MS-EMFPLUS] 2.3.4.6.
func (p *player) driverString(flags int, r []byte) {
	b := at(r, 0, 16)
	if b == nil {
		return
	}
	n := le32(b[12:])
	if n > len(r) {
		return
	}
	if le32(b[4:])&cmapLookup == 0 {
		p.drawn = p.drawn || n > 0
		return
	}
	glyphs := at(r, 16, 2*n)
	places := at(r, 16+(2*n+3)&^3, 8*n)
	if len(places) == 0 {
		if glyphs != nil {
			p.plusText(codepage.Decode16(glyphs), flags, 0, 0)
		}
		return
	}
	if le32(b[4:])&4 != 0 { // each place follows from the one before: the first alone is given
		p.plusText(codepage.Decode16(glyphs), flags, f32(places), f32(places[4:]))
		return
	}
	for i := range n {
		p.plusText(codepage.Decode16(glyphs[2*i:2*i+2]), flags, f32(places[8*i:]), f32(places[8*i+4:]))
	}
}

// plusText takes a text at a point of the world. How wide it is nothing says.
func (p *player) plusText(text string, flags int, x, y float64) {
	u := &p.plus
	height := u.sizes[flags&0xff]
	if !(height > 0) {
		height = 12
	}
	width := layout.Wide(text, height)
	ox, oy := u.world.Apply(x, y)
	dx, dy := u.world.A, u.world.B
	swap := p.pieces
	p.pieces = u.pieces
	p.add(text, layout.Place(ox, oy, dx, dy, width*math.Hypot(dx, dy), height*math.Hypot(u.world.C, u.world.D)))
	u.pieces, p.pieces = p.pieces, swap
}
