// Package ppmd8 decodes PPMd, version I revision 1, as method 98 of zip files
// has it.
//
// It promises to hold no more than the memory that the stream names, and refuses
// one that names more than it was told.
//
// Source: APPNOTE.TXT 5.10; D. Shkarin, PPM: one step to practicality (DCC 2002),
// and his public domain program of the same year.
package ppmd8

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Errors of a Reader.
var (
	ErrDamaged = errors.New("ppmd8: damaged")
	// ErrMemory says that the stream needs more memory than may be held.
	ErrMemory = errors.New("ppmd8: memory too large")
	// ErrMethod says that the model is to be frozen when memory is full, which no
	// program writes.
	ErrMethod = errors.New("ppmd8: unknown way to restore")
)

// Reader decodes one stream.
type Reader struct {
	r                io.ByteReader
	m                *model
	low, width, code uint32
	left             int64 // bytes still to come, -1: up to a mark
	short            bool  // nothing more can be decoded
	err              error
}

// NewReader returns a Reader of the stream in r, which holds size bytes, or ends
// with a mark where size is negative. Its model may take at most memory bytes.
func NewReader(r io.Reader, size, memory int64) (*Reader, error) {
	br, ok := r.(io.ByteReader)
	if !ok {
		br = bufio.NewReader(r)
	}
	z := &Reader{r: br, left: size, width: 1<<32 - 1}
	var h [2]byte
	for i := range h {
		h[i] = z.byte()
	}
	for range 4 {
		z.code = z.code<<8 | uint32(z.byte())
	}
	v := binary.LittleEndian.Uint16(h[:])
	order, mb, restore := int(v&15)+1, int64(v>>4&255)+1, v>>12
	switch {
	case z.short || order < 2 || z.code == 1<<32-1:
		return nil, ErrDamaged
	case restore > 1:
		return nil, ErrMethod
	case mb<<20 > memory:
		return nil, ErrMemory
	}
	z.m = newModel(order, uint32(mb<<20), restore == 1)
	return z, nil
}

// Read returns what the stream holds.
func (z *Reader) Read(p []byte) (int, error) {
	for i := range p {
		if z.err == nil && z.left == 0 {
			z.err = io.EOF
		}
		if z.err == nil {
			p[i], z.err = z.symbol()
		}
		if z.err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, z.err
		}
		if z.left > 0 {
			z.left--
		}
	}
	return len(p), nil
}

func (z *Reader) byte() byte {
	c, err := z.r.ReadByte()
	if err != nil {
		z.short = true
	}
	return c
}

// threshold returns where of total the code stands; damaged: total or more.
func (z *Reader) threshold(total uint32) uint32 {
	if total == 0 || total > z.width {
		return total
	}
	z.width /= total
	return z.code / z.width
}

// narrow takes the part of the range from start on, size wide.
//
// Source: D. Subbotin, a range coder without carry (1999).
func (z *Reader) narrow(start, size uint32) {
	const top, least = 1 << 24, 1 << 15
	if size == 0 {
		z.short = true // no encoder writes it
		return
	}
	start *= z.width
	z.low += start
	z.code -= start
	z.width *= size
	for {
		if z.low^(z.low+z.width) >= top {
			if z.width >= least {
				return
			}
			z.width = -z.low & (least - 1)
		}
		z.code = z.code<<8 | uint32(z.byte())
		z.width <<= 8
		z.low <<= 8
	}
}

// symbol decodes a byte. The error is io.EOF at the mark where that ends the
// stream, else ErrDamaged.
func (z *Reader) symbol() (byte, error) {
	if z.short {
		return 0, ErrDamaged
	}
	var masked [256]bool
	m := z.m
	if n := m.others(m.min); n != 0 {
		s, total := m.states(m.min), m.sum(m.min)
		at, upTo := z.threshold(total), m.freq(s)
		if at >= total {
			return 0, ErrDamaged
		}
		if at < upTo {
			z.narrow(0, upTo)
			return m.first(s), nil
		}
		m.success = 0
		for range n {
			s += 6
			if upTo += m.freq(s); upTo > at {
				z.narrow(upTo-m.freq(s), m.freq(s))
				return m.later(s), nil
			}
		}
		z.narrow(upTo, total-upTo)
		for i := range n + 1 {
			masked[m.symbol(m.states(m.min)+6*i)] = true
		}
	} else {
		p := m.binary()
		if z.width >>= 14; z.code/z.width < uint32(*p) {
			z.narrow(0, uint32(*p))
			*p += 1<<7 - mean(*p)
			return m.only(), nil
		}
		z.narrow(uint32(*p), 1<<14-uint32(*p))
		*p -= mean(*p)
		m.escape = uint32(expEscape[*p>>10])
		masked[m.symbol(m.one(m.min))] = true
		m.success = 0
	}
	return z.escaped(&masked)
}

// escaped decodes a byte that the context at hand does not have.
func (z *Reader) escaped(masked *[256]bool) (byte, error) {
	m := z.m
	for !z.short {
		known := m.others(m.min)
		for m.others(m.min) == known {
			m.fall++
			if m.min = m.suffix(m.min); m.min == 0 {
				if z.left < 0 {
					return 0, io.EOF
				}
				return 0, ErrDamaged
			}
		}
		n, s := m.others(m.min), m.states(m.min)
		total := uint32(0)
		for i := range n + 1 {
			if !masked[m.symbol(s+6*i)] {
				total += m.freq(s + 6*i)
			}
		}
		see, esc := m.secondary(known)
		at := z.threshold(total + esc)
		if at >= total+esc {
			return 0, ErrDamaged
		}
		upTo := uint32(0)
		for ; at < total; s += 6 {
			if masked[m.symbol(s)] {
				continue
			}
			if upTo += m.freq(s); upTo > at {
				z.narrow(upTo-m.freq(s), m.freq(s))
				see.update()
				return m.new(s), nil
			}
		}
		z.narrow(total, esc)
		see.sum += uint16(total + esc)
		for i := range n + 1 {
			masked[m.symbol(m.states(m.min)+6*i)] = true
		}
	}
	return 0, ErrDamaged
}
