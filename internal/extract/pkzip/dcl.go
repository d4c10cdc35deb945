package pkzip

import (
	"io"

	"github.com/stanch-dlp/stanch/internal/extract/prefix"
)

// The codes of PKWARE's Data Compression Library, which all its streams share:
// pairs of a word's length in the low four bits and how many more symbols in a row
// have it.
//
// Source: Ben Rudiak-Gould's description of the format, comp.compression,
// 2001-08-13.
var (
	dclLiterals = []byte{11, 124, 8, 7, 28, 7, 188, 13, 76, 4, 10, 8, 12, 10, 12, 10, 8, 23, 8, 9, 7, 6, 7, 8, 7, 6, 55, 8, 23, 24, 12, 11, 7, 9,
		11, 12, 6, 7, 22, 5, 7, 24, 6, 11, 9, 6, 7, 22, 7, 11, 38, 7, 9, 8, 25, 11, 8, 11, 9, 12, 8, 12, 5, 38, 5, 38, 5, 11, 7, 5, 6, 21, 6, 10, 53,
		8, 7, 24, 10, 27, 44, 253, 253, 253, 252, 252, 252, 13, 12, 45, 12, 45, 12, 61, 12, 45, 44, 173}
	dclLengths   = []byte{2, 35, 36, 53, 38, 23}
	dclDistances = []byte{2, 20, 53, 230, 247, 151, 248}

	dclBase = [16]int{3, 2, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24, 40, 72, 136, 264}
	dclMore = [16]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8} // bits behind a length's word
)

const dclEnd = 519 // a length that ends the stream

// dcl is the state of method 10: literals, and matches in a window of at most
// 4 KiB.
type dcl struct {
	imploded
	dictionary uint // bits of a distance that have no code
}

func newDCL(z *Reader) *dcl { return &dcl{imploded: imploded{z: z}} }

func fixed(c *prefix.Code, pairs []byte) error {
	var lens []byte
	for _, p := range pairs {
		for range p>>4 + 1 {
			lens = append(lens, p&15)
		}
	}
	return c.Build(lens)
}

func (d *dcl) begin() error {
	d.begun = true
	kind, err := d.z.take(8)
	if err != nil {
		return err
	}
	size, err := d.z.take(8)
	if err != nil {
		return err
	}
	if kind > 1 || size < 4 || size > 6 {
		return ErrDamaged
	}
	d.trees, d.dictionary = kind == 1, uint(size)
	if d.trees {
		if err := fixed(&d.literals, dclLiterals); err != nil {
			return err
		}
	}
	if err := fixed(&d.lengths, dclLengths); err != nil {
		return err
	}
	return fixed(&d.distances, dclDistances)
}

// step decodes a literal or a match.
func (d *dcl) step() error {
	if !d.begun {
		return d.begin()
	}
	match, err := d.z.take(1)
	if err != nil {
		return err
	}
	if match == 0 {
		return d.literal()
	}
	s, err := d.symbol(&d.lengths)
	if err != nil {
		return err
	}
	n, err := d.z.take(dclMore[s])
	if err != nil {
		return err
	}
	if n += dclBase[s]; n == dclEnd {
		return io.EOF
	}
	low := d.dictionary
	if n == 2 {
		low = 2
	}
	high, err := d.symbol(&d.distances)
	if err != nil {
		return err
	}
	back, err := d.z.take(low)
	if err != nil {
		return err
	}
	d.z.repeat(n, high<<low+back+1)
	return nil
}
