// Package lzw decodes the files of Unix compress (.Z).
//
// It promises a stream of at most some 90,000 bytes out for each code, and holds
// tables of 256 KiB.
package lzw

import (
	"bufio"
	"errors"
	"io"
)

// Magic begins a file.
const Magic = "\x1f\x9d"

// ErrDamaged says that the file is no such file, or that a code is impossible.
var ErrDamaged = errors.New("lzw: damaged")

const (
	firstBits = 9
	mostBits  = 16
	clearCode = 256
)

// Reader decodes one file.
type Reader struct {
	r     *bufio.Reader
	most  uint // bits of the widest code
	block bool // clearCode empties the table

	bits   uint // of the next code
	group  [mostBits]byte
	have   uint // bits in group
	pos    uint // bits taken of group
	next   int  // code that is made next
	prev   int  // last code, -1 after a clear
	first  byte // first byte of prev's string
	prefix [1 << mostBits]uint16
	suffix [1 << mostBits]byte

	out []byte // a string, its last byte first
	err error
}

// NewReader returns a Reader of the file in r. The error is ErrDamaged or r's.
//
// Source: compress(1) and its source, version 4.0.
func NewReader(r io.Reader) (*Reader, error) {
	z := &Reader{r: bufio.NewReader(r), bits: firstBits, prev: -1}
	var h [3]byte
	if _, err := io.ReadFull(z.r, h[:]); err != nil || string(h[:2]) != Magic {
		return nil, ErrDamaged
	}
	z.most, z.block = uint(h[2]&0x1f), h[2]&0x80 != 0
	if z.most < firstBits || z.most > mostBits || h[2]&0x60 != 0 {
		return nil, ErrDamaged
	}
	z.next = z.free()
	for i := range 256 {
		z.suffix[i] = byte(i)
	}
	return z, nil
}

func (z *Reader) free() int {
	if z.block {
		return clearCode + 1
	}
	return clearCode
}

// Read returns what the file holds. The error is io.EOF, ErrDamaged or the
// underlying reader's.
func (z *Reader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(z.out) == 0 {
			if z.err == nil {
				z.err = z.decode()
			}
			if z.err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, z.err
			}
			continue
		}
		p[n] = z.out[len(z.out)-1]
		z.out = z.out[:len(z.out)-1]
		n++
	}
	return n, nil
}

// code takes the next code. Codes come in groups of eight: what is left of a
// group when the width changes is padding.
func (z *Reader) code() (int, error) {
	if z.pos+z.bits > z.have {
		n, err := io.ReadFull(z.r, z.group[:z.bits])
		if n == 0 || uint(n)*8 < z.bits {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF // bits that fill the last byte
			}
			return 0, err
		}
		z.have, z.pos = uint(n)*8, 0
	}
	v := 0
	for i := range z.bits {
		at := z.pos + i
		v |= int(z.group[at/8]>>(at%8)&1) << i
	}
	z.pos += z.bits
	return v, nil
}

// decode puts the next string into out.
func (z *Reader) decode() error {
	if z.next >= 1<<z.bits && z.bits < z.most { // the table has outgrown the width
		z.bits++
		z.have, z.pos = 0, 0
	}
	c, err := z.code()
	if err != nil {
		return err
	}
	if c == clearCode && z.block {
		z.next, z.prev, z.bits, z.have, z.pos = clearCode+1, -1, firstBits, 0, 0
		return nil
	}
	if z.prev < 0 {
		if c > 255 {
			return ErrDamaged
		}
		z.prev, z.first = c, byte(c)
		z.out = append(z.out, byte(c))
		return nil
	}
	in := c
	if c >= z.next {
		if c > z.next {
			return ErrDamaged
		}
		z.out = append(z.out, z.first)
		c = z.prev
	}
	for c > 255 {
		z.out = append(z.out, z.suffix[c])
		c = int(z.prefix[c])
	}
	z.first = byte(c)
	z.out = append(z.out, z.first)
	if z.next < 1<<z.most {
		z.prefix[z.next], z.suffix[z.next] = uint16(z.prev), z.first
		z.next++
	}
	z.prev = in
	return nil
}
