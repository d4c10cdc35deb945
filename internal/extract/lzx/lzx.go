// Package lzx unpacks LZX as cabinets and compiled help have it: frames of 32 KiB
// behind one another, each of which begins on even bytes.
//
// It promises to hold a window of at most 2 MiB and a frame, and to return what
// came out before any damage.
package lzx

import (
	"encoding/binary"
	"errors"

	"github.com/stanch-dlp/stanch/internal/extract/prefix"
)

// ErrDamaged says that a frame could not be unpacked whole.
var ErrDamaged = errors.New("lzx: damaged")

// Frame is the most bytes that a frame unpacks to.
const Frame = 32 << 10

// Windows that there are, as powers of two.
const (
	MinWindow = 15
	MaxWindow = 21
)

// Reader unpacks LZX, frame by frame.
//
// Source: [MS-PATCH] 2 (LZX DELTA, of which this is the form without delta);
// the window's sizes and the translation of calls as in Microsoft's LZX
// Data Compression Format (1997).
type Reader struct {
	window []byte
	pos    int   // in window, of the next byte
	ahead  int   // bytes of the next frame that a match has written already
	total  int64 // bytes of all frames handed out
	slots  int

	started    bool
	calls      int32 // the size that addresses of calls are translated by; 0: they are not
	kind       int   // of the block at hand
	left, size int   // of the block at hand, in bytes

	r0, r1, r2                     int
	mainLens                       [256 + 8*50]byte
	lenLens                        [249]byte
	mainTree, lenTree, alignedTree prefix.Code
	pre                            prefix.Code

	in  bits
	out [Frame]byte
}

const (
	lzxVerbatim = 1
	lzxAligned  = 2
	lzxRaw      = 3
)

// New returns a reader with a window of that power of two, from MinWindow to
// MaxWindow.
func New(window int) *Reader {
	return &Reader{window: make([]byte, 1<<window), slots: [...]int{30, 32, 34, 36, 38, 42, 50}[window-15], r0: 1, r1: 1, r2: 1}
}

// Reset makes z begin anew, as if it had unpacked nothing.
func (z *Reader) Reset() {
	*z = Reader{window: z.window, slots: z.slots, r0: 1, r1: 1, r2: 1}
}

// Frame unpacks one frame to n bytes, which are valid until the next call; with
// ErrDamaged those before the damage.
func (z *Reader) Frame(in []byte, n int) ([]byte, error) {
	z.in = bits{b: in}
	if !z.started {
		z.started = true
		if z.in.take(1) == 1 {
			hi := z.in.take(16)
			z.calls = int32(hi<<16 | z.in.take(16))
		}
	}
	start, err := z.pos-z.ahead, error(nil)
	have := z.ahead
	for have < n && err == nil {
		if z.left == 0 {
			err = z.block()
			continue
		}
		before := z.left
		if z.kind == lzxRaw {
			err = z.raw(min(z.left, n-have))
		} else {
			err = z.symbols(n - have)
		}
		have += before - z.left
		if z.left < 0 {
			err = ErrDamaged
			z.left = 0
		}
	}
	z.ahead = max(have-n, 0)
	n = min(n, have)
	for i := range n {
		z.out[i] = z.window[(start+i)&(len(z.window)-1)]
	}
	z.translate(z.out[:n])
	z.total += int64(n)
	return z.out[:n], err
}

// block reads the head of a block.
func (z *Reader) block() error {
	if z.kind == lzxRaw && z.size&1 == 1 { // back to even bytes
		z.in.skip(8)
		z.size = 0
	}
	z.kind = int(z.in.take(3))
	hi := z.in.take(16)
	z.left = int(hi<<8 | z.in.take(8))
	z.size = z.left
	if z.left == 0 || z.in.over() {
		z.left = 0
		return ErrDamaged
	}
	switch z.kind {
	case lzxAligned:
		var lens [8]byte
		for i := range lens {
			lens[i] = byte(z.in.take(3))
		}
		if z.alignedTree.Build(lens[:]) != nil {
			return ErrDamaged
		}
		return z.trees()
	case lzxVerbatim:
		return z.trees()
	case lzxRaw:
		z.in.align()
		for _, r := range []*int{&z.r0, &z.r1, &z.r2} {
			v, ok := z.in.word()
			if !ok {
				return ErrDamaged
			}
			*r = int(v)
		}
		return nil
	}
	return ErrDamaged
}

func (z *Reader) trees() error {
	main := z.mainLens[:256+8*z.slots]
	if !z.lengths(main[:256]) || !z.lengths(main[256:]) || !z.lengths(z.lenLens[:]) {
		return ErrDamaged
	}
	if z.mainTree.Build(main) != nil || z.lenTree.Build(z.lenLens[:]) != nil {
		return ErrDamaged
	}
	return nil
}

// lengths reads lengths of words, as differences from those of the block before.
func (z *Reader) lengths(lens []byte) bool {
	var pre [20]byte
	for i := range pre {
		pre[i] = byte(z.in.take(4))
	}
	if z.pre.Build(pre[:]) != nil {
		return false
	}
	for i := 0; i < len(lens); {
		sym := z.in.find(&z.pre)
		run, to := 1, byte(0)
		switch {
		case sym < 0 || z.in.over():
			return false
		case sym == 17:
			run = 4 + int(z.in.take(4))
		case sym == 18:
			run = 20 + int(z.in.take(5))
		case sym == 19:
			run = 4 + int(z.in.take(1))
			if sym = z.in.find(&z.pre); sym < 0 || sym > 16 {
				return false
			}
			to = byte((int(lens[i]) - sym + 17) % 17)
		default:
			to = byte((int(lens[i]) - sym + 17) % 17)
		}
		for ; run > 0 && i < len(lens); run-- {
			lens[i] = to
			i++
		}
	}
	return true
}

// raw copies n bytes.
func (z *Reader) raw(n int) error {
	b := z.in.bytes(n)
	for _, c := range b {
		z.put(c)
	}
	z.left -= len(b)
	if len(b) < n {
		return ErrDamaged
	}
	return nil
}

func (z *Reader) put(c byte) {
	z.window[z.pos] = c
	z.pos = (z.pos + 1) & (len(z.window) - 1)
}

// symbols decodes until n bytes are there or the block ends.
func (z *Reader) symbols(n int) error {
	for n > 0 && z.left > 0 {
		sym := z.in.find(&z.mainTree)
		if sym < 0 || z.in.over() {
			return ErrDamaged
		}
		if sym < 256 {
			z.put(byte(sym))
			n--
			z.left--
			continue
		}
		sym -= 256
		length := sym&7 + 2
		if sym&7 == 7 {
			more := z.in.find(&z.lenTree)
			if more < 0 {
				return ErrDamaged
			}
			length += more
		}
		z.offset(sym >> 3)
		if z.in.over() || z.r0 <= 0 || z.r0 > len(z.window) {
			return ErrDamaged
		}
		for range length {
			z.put(z.window[(z.pos-z.r0)&(len(z.window)-1)])
		}
		n -= length
		z.left -= length
	}
	return nil
}

// offset puts the distance of a match, by its slot, into r0.
func (z *Reader) offset(slot int) {
	switch slot {
	case 0:
		return
	case 1:
		z.r0, z.r1 = z.r1, z.r0
		return
	case 2:
		z.r0, z.r2 = z.r2, z.r0
		return
	}
	extra, base := 0, slot
	switch {
	case slot >= 36:
		extra, base = 17, (slot-34)<<17
	case slot >= 4:
		extra = slot/2 - 1
		base = (2 + slot&1) << extra
	}
	d := base - 2
	if z.kind == lzxAligned && extra >= 3 {
		d += int(z.in.take(extra-3)) << 3
		a := z.in.find(&z.alignedTree)
		if a < 0 {
			d = 0
		} else {
			d += a
		}
	} else {
		d += int(z.in.take(extra))
	}
	z.r0, z.r1, z.r2 = d, z.r0, z.r1
}

// translate turns the absolute addresses of x86 calls back into relative ones.
func (z *Reader) translate(b []byte) {
	if z.calls == 0 || z.total >= Frame*Frame || len(b) <= 10 {
		return
	}
	for i := 0; i < len(b)-10; i++ {
		if b[i] != 0xe8 {
			continue
		}
		at := int32(z.total) + int32(i)
		abs := int32(binary.LittleEndian.Uint32(b[i+1:]))
		if abs >= -at && abs < z.calls {
			rel := abs - at
			if abs < 0 {
				rel = abs + z.calls
			}
			binary.LittleEndian.PutUint32(b[i+1:], uint32(rel))
		}
		i += 4
	}
}

// bits reads bits from words of 16, the highest bit first. Past the end there
// are zeros, and over tells.
type bits struct {
	b   []byte
	pos int // in bits
}

// peek returns the next 16 bits.
func (r *bits) peek() uint16 {
	i := r.pos >> 4 << 1
	var v uint32
	for k := range 2 {
		v <<= 16
		if i+2*k+1 < len(r.b) {
			v |= uint32(binary.LittleEndian.Uint16(r.b[i+2*k:]))
		}
	}
	return uint16(v << (r.pos & 15) >> 16)
}

// take returns the next n bits, at most 17.
func (r *bits) take(n int) uint32 {
	if n == 0 {
		return 0
	}
	if n > 16 {
		hi := r.take(n - 16)
		return hi<<16 | r.take(16)
	}
	v := uint32(r.peek() >> (16 - n))
	r.pos += n
	return v
}

func (r *bits) find(c *prefix.Code) int {
	sym, n := c.Find(r.peek())
	r.pos += n
	return sym
}

func (r *bits) over() bool { return r.pos > 8*len(r.b) }
func (r *bits) skip(n int) { r.pos += n }
func (r *bits) align()     { r.pos = r.pos&^15 + 16 }
func (r *bits) bytes(n int) []byte {
	i := min(r.pos>>3, len(r.b))
	b := r.b[i:min(i+n, len(r.b))]
	r.pos += 8 * len(b)
	return b
}

func (r *bits) word() (uint32, bool) {
	b := r.bytes(4)
	if len(b) < 4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b), true
}
