package metafile

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/layout"
)

// ErrCorrupt is a file that is cut or damaged. What could be read stands
// beside it.
var ErrCorrupt = errors.New("metafile: cut or damaged")

// Picture is what a metafile shows.
type Picture struct {
	Lines []string // from the top down, valid UTF-8
	// Drawn: it shows more than words, straight lines and boxes, such as a
	// bitmap, curves or letters of a font's own numbering, in which words may
	// stand that are not among the lines; or texts without a place, or bytes
	// behind its end.
	Drawn bool
}

const (
	maxPieces = 1 << 17
	maxStates = 256     // that are saved at a time
	maxFonts  = 1 << 12 // objects that are known at a time
	slack     = 64 << 10
)

// IsEMF reports the header of an enhanced metafile. [MS-EMF] 2.3.4.2.
func IsEMF(b []byte) bool {
	return len(b) >= 44 && binary.LittleEndian.Uint32(b) == 1 && string(b[40:44]) == " EMF"
}

// IsWMF reports the header of a metafile of Windows 3, with a placeable header
// or without. [MS-WMF] 2.3.2.
func IsWMF(b []byte) bool {
	if len(b) >= 22 && string(b[:4]) == placeable {
		b = b[22:]
	}
	if len(b) < 18 {
		return false
	}
	kind, head, version := le16(b), le16(b[2:]), le16(b[4:])
	return (kind == 1 || kind == 2) && head == 9 && (version == 0x300 || version == 0x100) && le16(b[16:]) == 0
}

const placeable = "\xd7\xcd\xc6\x9a"

// Read reads a metafile of either kind. Beside an error comes what was read.
func Read(b []byte) (Picture, error) {
	p := &player{room: 4*len(b) + slack}
	var err error
	switch {
	case IsEMF(b):
		err = p.emf(b)
	case IsWMF(b):
		err = p.wmf(b)
	default:
		return Picture{Drawn: true}, ErrCorrupt
	}
	out := Picture{Lines: layout.Lines(p.pieces), Drawn: p.drawn}
	p.extra = append(p.extra, layout.Lines(p.plus.pieces)...)
	out.Lines = p.others(out.Lines)
	if p.full && err == nil {
		err = ErrCorrupt
	}
	return out, err
}

func le16(b []byte) int    { return int(binary.LittleEndian.Uint16(b)) }
func le32(b []byte) int    { return int(binary.LittleEndian.Uint32(b)) }
func i16(b []byte) int     { return int(int16(binary.LittleEndian.Uint16(b))) }
func i32(b []byte) int     { return int(int32(binary.LittleEndian.Uint32(b))) }
func f32(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }

// font is what is known of a font that was made.
type font struct {
	height float64 // in logical units
	turn   float64 // counterclockwise, in radians
	page   int     // of texts in bytes
}

// state is a device context, as far as it says where text stands.
type state struct {
	world        layout.Matrix
	mode         int
	winX, winY   float64
	extX, extY   float64
	viewX, viewY float64
	vextX, vextY float64
	font         font
	align        int
	x, y         float64 // the current position
}

func begin() state {
	return state{world: layout.Identity(), mode: mapText, extX: 1, extY: 1, vextX: 1, vextY: 1, font: font{height: 12, page: codepage.Latin1}}
}

// Mapping modes. [MS-EMF] 2.1.21.
const (
	mapText        = 1
	mapIsotropic   = 7
	mapAnisotropic = 8
)

// Alignments of texts. [MS-WMF] 2.1.2.3.
const (
	alignUpdate = 1
	alignRight  = 2
	alignCenter = 6
)

// page maps logical units to those of the device.
func (s *state) page() layout.Matrix {
	m := layout.Identity()
	switch {
	case s.mode == mapIsotropic || s.mode == mapAnisotropic:
		if fit := (layout.Matrix{A: s.vextX / s.extX, D: s.vextY / s.extY}); fit.Usable() {
			m = fit
		}
	case s.mode > mapText:
		m.D = -1 // units of length grow upwards
	}
	m.E, m.F = s.viewX-s.winX*m.A, s.viewY-s.winY*m.D
	return m
}

// player runs through the records of a metafile.
type player struct {
	state
	saved  []state
	fonts  map[int]font
	pieces []layout.Piece
	plus   plus
	room   int  // bytes of text that may still come
	full   bool // a bound was passed
	drawn  bool
	nested bool // it is a metafile within another
	extra  []string
}

// save and restore keep states; a restore takes the n-th from the end where n
// is negative, else the n-th from the start.
func (p *player) save() {
	if len(p.saved) < maxStates {
		p.saved = append(p.saved, p.state)
	}
}

func (p *player) restore(n int) {
	if n < 0 {
		n += len(p.saved)
	} else {
		n--
	}
	if n >= 0 && n < len(p.saved) {
		p.state, p.saved = p.saved[n], p.saved[:n]
	}
}

func (p *player) keep(n int, f font) {
	if p.fonts == nil {
		p.fonts = map[int]font{}
	}
	if len(p.fonts) < maxFonts {
		p.fonts[n] = f
	}
}

// draw takes a text at a point in logical units. width is its advance, negative
// where it is not known.
func (p *player) draw(text string, x, y, width float64) {
	if p.align&alignUpdate != 0 {
		x, y = p.x, p.y
	}
	if text == "" {
		return
	}
	if width < 0 {
		width = layout.Wide(text, p.font.height)
	}
	along := x
	switch p.align & alignCenter {
	case alignCenter:
		along -= width / 2
	case alignRight:
		along -= width
	}
	if p.align&alignUpdate != 0 {
		p.x += width
	}
	m := p.world.Then(p.page())
	sin, cos := math.Sincos(p.font.turn)
	if m.D < 0 {
		sin = -sin
	}
	ox, oy := m.Apply(x+(along-x)*cos, y-(along-x)*sin)
	ex, ey := m.Apply(x+(along-x+1)*cos, y-(along-x+1)*sin)
	dx, dy := ex-ox, ey-oy
	scale := math.Hypot(dx, dy)
	if m.A < 0 && math.Abs(dy) < math.Abs(dx) && p.font.turn == 0 { // mirrored: letters still run to the right
		dx = -dx
		ox -= width * scale
	}
	up := math.Hypot(m.C, m.D) * p.font.height
	p.add(text, layout.Place(ox, oy, dx, dy, width*scale, up))
}

// add takes a piece whose text is printed.
func (p *player) add(text string, at layout.Piece) {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
	if text == "" {
		return
	}
	if p.room -= len(text); p.room < 0 || len(p.pieces) >= maxPieces {
		p.full = true
		return
	}
	at.Text, at.N = text, len(p.pieces)
	p.drawn = p.drawn || at.Lost()
	p.pieces = append(p.pieces, at)
}

// bytesText decodes a text in the bytes of the font's character set.
func (p *player) bytesText(b []byte) string {
	page := p.font.page
	if page == 0 {
		page = codepage.Latin1
	}
	return codepage.Decode(page, b)
}

// others adds the lines that a copy in another form says beside those.
func (p *player) others(seen []string) []string {
	if len(p.extra) == 0 {
		return seen
	}
	known := make(map[string]bool, len(seen))
	for _, s := range seen {
		known[squeeze(s)] = true
	}
	for _, s := range p.extra {
		if k := squeeze(s); !known[k] {
			known[k] = true
			seen = append(seen, s)
		}
	}
	return seen
}

// squeeze returns a text without its blanks.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }
