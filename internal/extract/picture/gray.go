package picture

import (
	"image"
	"image/color"
)

// Gray returns m in grey on white paper, with its first pixel at (0, 0). It may
// be m itself.
func Gray(m image.Image) *image.Gray {
	r := m.Bounds()
	if g, ok := m.(*image.Gray); ok && r.Min == (image.Point{}) && g.Stride == r.Dx() {
		return g
	}
	g := image.NewGray(image.Rect(0, 0, r.Dx(), r.Dy()))
	var row func(to []byte, y int)
	switch m := m.(type) {
	case *image.Gray:
		row = func(to []byte, y int) { copy(to, m.Pix[m.PixOffset(r.Min.X, y):]) }
	case *image.YCbCr:
		row = func(to []byte, y int) { copy(to, m.Y[m.YOffset(r.Min.X, y):]) }
	case *image.Paletted:
		var shades [256]byte
		for i, c := range m.Palette[:min(len(m.Palette), 256)] {
			shades[i] = onWhite(c)
		}
		row = func(to []byte, y int) {
			from := m.Pix[m.PixOffset(r.Min.X, y):]
			for i := range to {
				to[i] = shades[from[i]]
			}
		}
	case *image.RGBA:
		row = func(to []byte, y int) {
			p := m.Pix[m.PixOffset(r.Min.X, y):]
			for i := range to {
				to[i] = byte(min(luma(p[4*i], p[4*i+1], p[4*i+2])+255-uint32(p[4*i+3]), 255))
			}
		}
	case *image.NRGBA:
		row = func(to []byte, y int) {
			p := m.Pix[m.PixOffset(r.Min.X, y):]
			for i := range to {
				a := uint32(p[4*i+3])
				to[i] = byte((luma(p[4*i], p[4*i+1], p[4*i+2])*a + 255*(255-a)) / 255)
			}
		}
	default:
		row = func(to []byte, y int) {
			for i := range to {
				to[i] = onWhite(m.At(r.Min.X+i, y))
			}
		}
	}
	for y := range r.Dy() {
		row(g.Pix[y*g.Stride:][:r.Dx()], r.Min.Y+y)
	}
	return g
}

// luma is how light a colour is. ITU-R BT.601, as image/color has it.
func luma(r, g, b byte) uint32 {
	return (19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16
}

func onWhite(c color.Color) byte {
	r, g, b, a := c.RGBA()
	return byte(min((19595*r+38470*g+7471*b+1<<15)>>24+(0xffff-a)>>8, 255))
}

// Resize returns g at another size: of several pixels their mean, between two
// what lies between.
func Resize(g *image.Gray, w, h int) *image.Gray {
	from := g.Rect.Size()
	if w == from.X && h == from.Y {
		return g
	}
	if w >= from.X && h >= from.Y {
		return enlarge(g, w, h)
	}
	out := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		y0, y1 := span(y, from.Y, h)
		for x := range w {
			x0, x1 := span(x, from.X, w)
			sum := 0
			for j := y0; j < y1; j++ {
				for _, v := range g.Pix[j*g.Stride+x0 : j*g.Stride+x1] {
					sum += int(v)
				}
			}
			out.Pix[y*out.Stride+x] = byte(sum / ((y1 - y0) * (x1 - x0)))
		}
	}
	return out
}

// span is what the i-th of n pixels covers of many.
func span(i, many, n int) (from, to int) {
	from = i * many / n
	return from, max(from+1, (i+1)*many/n)
}

func enlarge(g *image.Gray, w, h int) *image.Gray {
	const one = 1 << 10
	from, out := g.Rect.Size(), image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		y0, fy := between(y, from.Y, h, one)
		a, b := g.Pix[y0*g.Stride:], g.Pix[min(y0+1, from.Y-1)*g.Stride:]
		for x := range w {
			x0, fx := between(x, from.X, w, one)
			x1 := min(x0+1, from.X-1)
			top := int(a[x0])*(one-fx) + int(a[x1])*fx
			low := int(b[x0])*(one-fx) + int(b[x1])*fx
			out.Pix[y*out.Stride+x] = byte((top*(one-fy) + low*fy) / (one * one))
		}
	}
	return out
}

// between says beside which pixel of few the i-th of n lies, and how far on
// towards the next.
func between(i, few, n, one int) (at, far int) {
	pos := max((2*i+1)*few*one/(2*n)-one/2, 0)
	return min(pos/one, few-1), pos % one
}
