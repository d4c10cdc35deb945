package picture

import (
	"bytes"
	"image"
	"io"
	"math/bits"

	"golang.org/x/image/ccitt"
)

// Ways that fax pages are packed, and what a page's zeros are. TIFF 6.0, sections
// 3, 8 and 10.
const (
	tagFillOrder = 266

	group3TIFF = 3
	group4TIFF = 4
	blackZero  = 1 // of tagPhotometric
)

// fax decodes a strip of Group 3 with one-dimensional coding.
func (d *ifd) fax(b []byte, w, h int) (*image.Gray, error) {
	rows, line := make([]byte, (w+7)/8*h), (w+7)/8
	r := ccitt.NewReader(bytes.NewReader(unfilled(b, d.fillOrder == 2)), ccitt.MSB, ccitt.Group3, w, h, &ccitt.Options{Invert: true})
	if _, err := io.ReadFull(r, rows); err != nil {
		return nil, errTIFF
	}
	g := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			if dark := rows[y*line+x/8]>>(7-x%8)&1 == 1; dark == (d.photometric == blackZero) {
				g.Pix[y*g.Stride+x] = 0xff
			}
		}
	}
	return g, nil
}

// unfilled returns a fax without the zeros that fill its lines up, the highest
// bit first: as many as a line's end has, and no code, are left of each run.
//
// Source: ITU-T T.4 4.1.2, 4.1.3.
func unfilled(b []byte, lowFirst bool) []byte {
	const end = 11 // zeros in front of the one of a line's end
	out, have, zeros := make([]byte, 0, len(b)+1), 0, 0
	put := func(bit byte) {
		if have%8 == 0 {
			out = append(out, 0)
		}
		out[len(out)-1] |= bit << (7 - have%8)
		have++
	}
	for _, c := range b {
		if lowFirst {
			c = bits.Reverse8(c)
		}
		for i := range 8 {
			bit := c >> (7 - i) & 1
			if bit == 1 {
				zeros = 0
			} else if zeros++; zeros > end {
				continue
			}
			put(bit)
		}
	}
	return out
}

// inverted makes dark what is light.
func inverted(g *image.Gray) *image.Gray {
	for i, v := range g.Pix {
		g.Pix[i] = 0xff - v
	}
	return g
}
