package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"

	"golang.org/x/image/tiff"
)

// errTIFF says that a directory of pages is damaged.
var errTIFF = errors.New("picture: damaged directory")

// ifd is one page of a TIFF as its directory has it.
type ifd struct {
	width, height int
	xRes, yRes    float64 // pixels to a unit; 0: not told
	blocks
}

// Tags. TIFF 6.0, section 8.
const (
	tagWidth  = 256
	tagHeight = 257
	tagXRes   = 282
	tagYRes   = 283
)

// walkTIFF calls page with where each page's directory stands, in order.
//
// Source: TIFF 6.0, section 2.
func walkTIFF(b []byte, most Bounds, page func(at uint32, d ifd) error) error {
	var order binary.ByteOrder = binary.LittleEndian
	if len(b) < 8 {
		return errTIFF
	}
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	if order.Uint16(b[2:]) != 42 {
		return ErrUnknown // BigTIFF
	}
	at := order.Uint32(b[4:])
	for n := 0; at != 0; n++ {
		if n == most.Pages {
			return ErrTooMany
		}
		if uint64(at)+2 > uint64(len(b)) {
			return errTIFF
		}
		entries := int(order.Uint16(b[at:]))
		dir := b[at+2:]
		if len(dir) < 12*entries+4 {
			return errTIFF
		}
		var d ifd
		for i := range entries {
			e := dir[12*i:][:12]
			value := order.Uint32(e[8:])
			if order.Uint16(e[2:]) == 3 { // SHORT
				value = uint32(order.Uint16(e[8:]))
			}
			switch order.Uint16(e) {
			case tagWidth:
				d.width = int(value)
			case tagHeight:
				d.height = int(value)
			case tagXRes:
				d.xRes = rational(b, order, value)
			case tagYRes:
				d.yRes = rational(b, order, value)
			default:
				d.take(b, order, e, value)
			}
		}
		if err := page(at, d); err != nil {
			return err
		}
		at = order.Uint32(dir[12*entries:])
	}
	return nil
}

func rational(b []byte, order binary.ByteOrder, at uint32) float64 {
	if uint64(at)+8 > uint64(len(b)) {
		return 0
	}
	return float64(order.Uint32(b[at:])) / max(float64(order.Uint32(b[at+4:])), 1)
}

var errEnough = errors.New("picture: enough")

func lookTIFF(b []byte, most Bounds) error {
	err := walkTIFF(b, most, func(at uint32, d ifd) error {
		if err := check(image.Config{Width: d.width, Height: d.height}, most, nil); err != nil {
			return err
		}
		if d.ours() {
			return errEnough
		}
		if _, err := tiff.DecodeConfig(&oneTIFF{b: b, at: at, order: b[0]}); err != nil {
			return err
		}
		return errEnough
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err == nil:
		return errTIFF // it has no page
	}
	return err
}

func pagesTIFF(b []byte, most Bounds, page func(*image.Gray) error) error {
	return walkTIFF(b, most, func(at uint32, d ifd) error {
		err := check(image.Config{Width: d.width, Height: d.height}, most, nil)
		if errors.Is(err, ErrTooSmall) { // a smaller copy, or a mask
			return nil
		}
		if err != nil {
			return err
		}
		if d.ours() {
			g, err := d.decode(b)
			if err != nil {
				return err
			}
			return page(square(g, d, most))
		}
		m, err := tiff.Decode(&oneTIFF{b: b, at: at, order: b[0]})
		if err != nil {
			return err
		}
		g := Gray(m)
		if d.compression == group4TIFF && d.photometric == blackZero { // the decoder takes its white for white
			g = inverted(g)
		}
		return page(square(g, d, most))
	})
}

// square makes the pixels of a page square: a fax has half as many lines to an
// inch as dots.
//
// Source: ITU-T T.4 2: 204 dots by 98 lines an inch.
func square(g *image.Gray, d ifd, most Bounds) *image.Gray {
	if d.xRes <= 0 || d.yRes <= 0 {
		return g
	}
	size := g.Rect.Size()
	switch ratio := d.xRes / d.yRes; {
	case ratio > 1.3 && ratio < 3 && float64(size.X)*float64(size.Y)*ratio <= float64(most.Pixels):
		return Resize(g, size.X, int(float64(size.Y)*ratio))
	case ratio < 1/1.3 && ratio > 1.0/3 && float64(size.X)*float64(size.Y)/ratio <= float64(most.Pixels):
		return Resize(g, int(float64(size.X)/ratio), size.Y)
	}
	return g
}

// oneTIFF reads a TIFF as if the page at that place were its first.
type oneTIFF struct {
	b     []byte
	at    uint32
	order byte
	pos   int64
}

// ReadAt implements io.ReaderAt.
func (t *oneTIFF) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(t.b).ReadAt(p, off)
	var first [4]byte
	if t.order == 'M' {
		binary.BigEndian.PutUint32(first[:], t.at)
	} else {
		binary.LittleEndian.PutUint32(first[:], t.at)
	}
	for i := range first {
		if j := int64(4+i) - off; j >= 0 && j < int64(n) {
			p[j] = first[i]
		}
	}
	return n, err
}

// Read implements io.Reader.
func (t *oneTIFF) Read(p []byte) (int, error) {
	n, err := t.ReadAt(p, t.pos)
	t.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
