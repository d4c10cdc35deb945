// Package deflate64 decodes "enhanced deflating", method 9 of zip files: deflate
// with a window of 64 KiB and longer matches.
//
// It promises a stream that holds 64 KiB and small tables, whatever it reads.
package deflate64

import (
	"bufio"
	"errors"
	"io"
)

// ErrDamaged says that the stream is none.
var ErrDamaged = errors.New("deflate64: damaged")

const windowSize = 64 << 10

// Reader decodes one stream.
type Reader struct {
	r    io.ByteReader
	bits uint64
	have uint

	window [windowSize]byte
	at     int // where the next byte goes
	unread int // bytes before at that were not yet returned
	last   bool
	err    error

	stored      int // bytes of a stored block still to come
	inBlock     bool
	lit, dist   code
	copying     int // bytes of a match still to come
	copyingFrom int // how far back they stand
}

// NewReader returns a Reader of the stream in r.
func NewReader(r io.Reader) *Reader {
	br, ok := r.(io.ByteReader)
	if !ok {
		br = bufio.NewReader(r)
	}
	return &Reader{r: br}
}

// Read returns what the stream holds. The error is io.EOF, ErrDamaged,
// io.ErrUnexpectedEOF or the underlying reader's.
func (z *Reader) Read(p []byte) (int, error) {
	if z.unread == 0 && z.err == nil {
		z.err = z.fill(min(len(p), windowSize/2))
	}
	if z.unread == 0 {
		return 0, z.err
	}
	n := 0
	for n < len(p) && z.unread > 0 {
		from := (z.at - z.unread) & (windowSize - 1)
		k := copy(p[n:min(len(p), n+z.unread)], z.window[from:])
		n += k
		z.unread -= k
	}
	return n, nil
}

// fill decodes until at least n bytes are unread, or the stream ends.
func (z *Reader) fill(n int) error {
	for z.unread < max(n, 1) {
		switch {
		case z.copying > 0:
			z.copying--
			z.put(z.window[(z.at-z.copyingFrom)&(windowSize-1)])
		case z.stored > 0:
			v, err := z.take(8)
			if err != nil {
				return err
			}
			z.stored--
			z.put(byte(v))
		case z.inBlock:
			if err := z.symbol(); err != nil {
				return err
			}
		case z.last:
			return io.EOF
		default:
			if err := z.block(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (z *Reader) put(c byte) {
	z.window[z.at] = c
	z.at = (z.at + 1) & (windowSize - 1)
	z.unread++
}

// take takes n bits, n at most 32.
func (z *Reader) take(n uint) (uint32, error) {
	for z.have < n {
		c, err := z.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		z.bits |= uint64(c) << z.have
		z.have += 8
	}
	v := uint32(z.bits & (1<<n - 1))
	z.bits >>= n
	z.have -= n
	return v, nil
}

// Lengths and distances, RFC 1951 3.2.5, with the last ones of APPNOTE.TXT 5.5:
// code 285 has 16 more bits, and distances go on to code 31.
var (
	lengthBase = [29]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 3}
	lengthBits = [29]uint{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 16}
	orderOf    = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

func (z *Reader) symbol() error {
	s, err := z.decode(&z.lit)
	if err != nil {
		return err
	}
	switch {
	case s < 256:
		z.put(byte(s))
		return nil
	case s == 256:
		z.inBlock = false
		return nil
	case s > 285:
		return ErrDamaged
	}
	extra, err := z.take(lengthBits[s-257])
	if err != nil {
		return err
	}
	d, err := z.decode(&z.dist)
	if err != nil {
		return err
	}
	base, n := 1+d, uint(0)
	if d > 3 {
		n = uint(d)/2 - 1
		base = 1 + (2+d&1)<<n
	}
	more, err := z.take(n)
	if err != nil {
		return err
	}
	z.copying, z.copyingFrom = lengthBase[s-257]+int(extra), base+int(more)
	return nil
}

// block reads a block's header. RFC 1951 3.2.3 to 3.2.7.
func (z *Reader) block() error {
	h, err := z.take(3)
	if err != nil {
		return err
	}
	z.last = h&1 == 1
	switch h >> 1 {
	case 0:
		if _, err := z.take(z.have % 8); err != nil {
			return err
		}
		v, err := z.take(32)
		if err != nil {
			return err
		}
		if v&0xffff != ^v>>16 {
			return ErrDamaged
		}
		z.stored = int(v & 0xffff)
		return nil
	case 1:
		var lens [288]byte
		for i := range lens {
			switch {
			case i < 144:
				lens[i] = 8
			case i < 256:
				lens[i] = 9
			case i < 280:
				lens[i] = 7
			default:
				lens[i] = 8
			}
		}
		var dist [32]byte
		for i := range dist {
			dist[i] = 5
		}
		z.inBlock = true
		return errors.Join(z.lit.build(lens[:]), z.dist.build(dist[:]))
	case 2:
		return z.dynamic()
	}
	return ErrDamaged
}

func (z *Reader) dynamic() error {
	h, err := z.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, nlen := int(h&31)+257, int(h>>5&31)+1, int(h>>10)+4
	var cl [19]byte
	for i := range nlen {
		v, err := z.take(3)
		if err != nil {
			return err
		}
		cl[orderOf[i]] = byte(v)
	}
	var lens code
	if err := lens.build(cl[:]); err != nil {
		return err
	}
	all := make([]byte, nlit+ndist)
	for i := 0; i < len(all); {
		s, err := z.decode(&lens)
		if err != nil {
			return err
		}
		if s < 16 {
			all[i] = byte(s)
			i++
			continue
		}
		bits, base, c := uint(2), 3, byte(0)
		switch s {
		case 16:
			if i == 0 {
				return ErrDamaged
			}
			c = all[i-1]
		case 17:
			bits = 3
		default:
			bits, base = 7, 11
		}
		v, err := z.take(bits)
		if err != nil {
			return err
		}
		for range base + int(v) {
			if i == len(all) {
				return ErrDamaged
			}
			all[i] = c
			i++
		}
	}
	z.inBlock = true
	return errors.Join(z.lit.build(all[:nlit]), z.dist.build(all[nlit:]))
}

// code is a canonical Huffman code: how many words of each length there are, and
// the symbols in their order.
type code struct {
	count   [16]int
	symbols []uint16
}

func (c *code) build(lens []byte) error {
	c.count = [16]int{}
	for _, n := range lens {
		c.count[n]++
	}
	c.count[0] = 0
	left := 1
	var next [16]int
	for n := 1; n < 16; n++ {
		left = left*2 - c.count[n]
		if left < 0 {
			return ErrDamaged
		}
		next[n] = next[n-1] + c.count[n-1]
	}
	c.symbols = make([]uint16, len(lens))
	for s, n := range lens {
		if n > 0 {
			c.symbols[next[n]] = uint16(s)
			next[n]++
		}
	}
	return nil
}

func (z *Reader) decode(c *code) (int, error) {
	word, first, index := 0, 0, 0
	for n := 1; n < 16; n++ {
		b, err := z.take(1)
		if err != nil {
			return 0, err
		}
		word |= int(b)
		if k := c.count[n]; word-first < k {
			return int(c.symbols[index+word-first]), nil
		}
		index += c.count[n]
		first = (first + c.count[n]) << 1
		word <<= 1
	}
	return 0, ErrDamaged
}
