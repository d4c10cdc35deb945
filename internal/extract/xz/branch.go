package xz

import (
	"encoding/binary"
	"io"
)

// A branch filter undoes what was done to the targets of jumps and calls in a
// program: they stand as places of the file, and become distances again. It
// changes p in place and returns how many bytes of it are done; pos is where p
// stands in the file. The rest, less than a filter's longest instruction, is given
// again with what follows, and stays as it is where nothing does.
//
// Source: The .xz File Format 1.2.1, 5.3.2; the forms of the instructions are
// those of each processor's manual.
type branch func(p []byte, pos uint32) int

// newBranch returns the filter of an identifier and its alignment, nil where it is
// none of these.
func newBranch(id uint64) (f branch, align uint32) {
	switch id {
	case 4:
		return (&x86{seen: ^uint32(4)}).undo, 1 // as if the last call stood five bytes before
	case 5:
		return everyWord(powerPC), 4
	case 6:
		return itanium, 16
	case 7:
		return everyWord(arm), 4
	case 8:
		return armThumb, 2
	case 9:
		return everyWord(sparc), 4
	case 10:
		return everyWord(arm64), 4
	case 11:
		return riscV, 2
	}
	return nil, 0
}

// everyWord is a filter that looks at words of four bytes, one by one.
func everyWord(undo func(w []byte, pos uint32)) branch {
	return func(p []byte, pos uint32) int {
		n := len(p) &^ 3
		for i := 0; i < n; i += 4 {
			undo(p[i:i+4:i+4], pos+uint32(i))
		}
		return n
	}
}

func powerPC(w []byte, pos uint32) { // bl
	if v := binary.BigEndian.Uint32(w); v>>26 == 0x12 && v&3 == 1 {
		binary.BigEndian.PutUint32(w, 0x48000001|(v-pos)&0x03fffffc)
	}
}

func arm(w []byte, pos uint32) { // BL, always
	if w[3] == 0xeb {
		v := binary.LittleEndian.Uint32(w)
		binary.LittleEndian.PutUint32(w, 0xeb000000|(v-(pos+8)>>2)&0x00ffffff)
	}
}

func sparc(w []byte, pos uint32) { // call
	v := binary.BigEndian.Uint32(w)
	if top := v >> 22; top != 0x100 && top != 0x1ff {
		return
	}
	d := (v<<2 - pos) >> 2
	sign := (0 - d>>22&1) << 22 & 0x3fffffff
	binary.BigEndian.PutUint32(w, 0x40000000|sign|d&0x003fffff)
}

func arm64(w []byte, pos uint32) {
	v := binary.LittleEndian.Uint32(w)
	switch {
	case v>>26 == 0x25: // BL
		v = 0x94000000 | (v-pos>>2)&0x03ffffff
	case v&0x9f000000 == 0x90000000: // ADRP, within 512 MiB
		page := v>>29&3 | v>>3&0x001ffffc
		if (page+0x00020000)&0x001c0000 != 0 {
			return
		}
		page -= pos >> 12
		v = v&0x9000001f | page&3<<29 | page&0x0003fffc<<3 | (0-page&0x00020000)&0x00e00000
	default:
		return
	}
	binary.LittleEndian.PutUint32(w, v)
}

// riscV looks at JAL and at AUIPC with the instruction behind it, which may begin at
// any even byte. A pair was written as AUIPC to x2 with the second instruction in its
// upper bits, and the place behind it, high byte first; one that stood like that
// before, as a pair.
func riscV(p []byte, pos uint32) int {
	i := 0
	for ; i+8 <= len(p); i += 2 {
		w := p[i : i+8 : i+8]
		switch {
		case w[0] == 0xef && w[1]&0x0d == 0: // JAL to x1 or x5
			d := uint32(w[1]&0xf0)<<13 | uint32(w[2])<<9 | uint32(w[3])<<1 - (pos + uint32(i))
			w[1] = w[1]&0x0f | byte(d>>8)&0xf0
			w[2] = byte(d>>16)&0x0f | byte(d>>7)&0x10 | byte(d<<4)&0xe0
			w[3] = byte(d>>4)&0x7f | byte(d>>13)&0x80
			i += 2
		case w[0]&0x7f == 0x17:
			i += riscVPair(w, pos+uint32(i))
		}
	}
	return i
}

// riscVPair undoes what was done to AUIPC and the instruction behind it, and returns
// how many bytes more than two are done.
func riscVPair(w []byte, pos uint32) int {
	first, second := binary.LittleEndian.Uint32(w), binary.LittleEndian.Uint32(w[4:])
	if first&0xe80 != 0 { // not to x0 or x2: it is as it was, or was like what is written for a pair
		if (first<<8^(second-3))&0xf8003 != 0 {
			return 4
		}
		binary.LittleEndian.PutUint32(w, 0x117|second<<12)
		binary.LittleEndian.PutUint32(w[4:], first&0xfffff000+second>>20)
		return 6
	}
	from := first >> 27
	if (first-0x3117)<<18 >= from&0x1d {
		return 2
	}
	d := binary.BigEndian.Uint32(w[4:]) - pos
	binary.LittleEndian.PutUint32(w, 0x17|from<<7|(d+0x800)&0xfffff000)
	binary.LittleEndian.PutUint32(w[4:], first>>12|d<<20)
	return 6
}

// NewBranch returns what r holds with the branch filter of an identifier of xz undone,
// nil where there is none. pos is where r begins in the program.
func NewBranch(r io.Reader, id uint64, pos uint32) io.Reader {
	undo, _ := newBranch(id)
	if undo == nil {
		return nil
	}
	return &branchReader{r: r, undo: undo, pos: pos}
}

func armThumb(p []byte, pos uint32) int { // BL, in two halves
	i := 0
	for ; i+4 <= len(p); i += 2 {
		a, b := binary.LittleEndian.Uint16(p[i:]), binary.LittleEndian.Uint16(p[i+2:])
		if a>>11 != 0x1e || b>>11 != 0x1f {
			continue
		}
		d := (uint32(a&0x7ff)<<11|uint32(b&0x7ff))<<1 - (pos + uint32(i) + 4)
		binary.LittleEndian.PutUint16(p[i:], 0xf000|uint16(d>>12&0x7ff))
		binary.LittleEndian.PutUint16(p[i+2:], 0xf800|uint16(d>>1&0x7ff))
		i += 2
	}
	return i
}

// itaniumSlots tells by a bundle's template which of its three slots may hold a
// branch.
var itaniumSlots = [32]byte{16: 4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0}

func itanium(p []byte, pos uint32) int {
	n := len(p) &^ 15
	for i := 0; i < n; i += 16 {
		for slot := range 3 {
			if itaniumSlots[p[i]&31]>>slot&1 == 0 {
				continue
			}
			bit := 5 + 41*slot
			at, shift := p[i+bit/8:], uint(bit%8)
			raw := uint64(binary.LittleEndian.Uint32(at)) | uint64(binary.LittleEndian.Uint16(at[4:]))<<32
			v := raw >> shift
			if v>>37&15 != 5 || v>>9&7 != 0 { // br.call
				continue
			}
			d := (uint32(v>>13&0xfffff)|uint32(v>>36&1)<<20)<<4 - (pos + uint32(i))
			d >>= 4
			v = v&^(0x8fffff<<13) | uint64(d&0xfffff)<<13 | uint64(d>>20&1)<<36
			raw = raw&(1<<shift-1) | v<<shift
			binary.LittleEndian.PutUint32(at, uint32(raw))
			binary.LittleEndian.PutUint16(at[4:], uint16(raw>>32))
		}
	}
	return n
}

// x86 is the filter for CALL and JMP with 32 bits, which begin at any byte. So
// that data is not taken for calls, it keeps where in the last bytes an opcode
// stood that was none.
type x86 struct {
	seen uint32 // where the last opcode stood
	mask uint32 // opcodes before it, a bit a byte; 0x10 and up: with a plausible end
}

func (x *x86) undo(p []byte, pos uint32) int {
	if len(p) < 5 {
		return 0
	}
	if pos-x.seen > 5 {
		x.seen = pos - 5
	}
	i := 0
	for i+5 <= len(p) {
		if p[i]&0xfe != 0xe8 {
			i++
			continue
		}
		here := pos + uint32(i)
		back := here - x.seen
		x.seen = here
		if back > 5 {
			x.mask = 0
		} else {
			for range back {
				x.mask = x.mask & 0x77 << 1
			}
		}
		if !endsCall(p[i+4]) || !mayFollow(x.mask>>1) {
			if x.mask |= 1; endsCall(p[i+4]) {
				x.mask |= 0x10
			}
			i++
			continue
		}
		binary.LittleEndian.PutUint32(p[i+1:], x.target(binary.LittleEndian.Uint32(p[i+1:]), here+5))
		x.mask = 0
		i += 5
	}
	return i
}

// endsCall reports the highest byte of a near distance.
func endsCall(b byte) bool { return b == 0 || b == 0xff }

// mayFollow reports opcodes before a call that leave it one.
func mayFollow(mask uint32) bool {
	return mask < 16 && (mask&7 < 3 || mask&7 == 4)
}

// target returns the distance that was kept as place v, from the instruction
// that ends at next on.
func (x *x86) target(v, next uint32) uint32 {
	for {
		d := v - next
		if x.mask != 0 {
			bit := [8]uint32{0, 1, 2, 2, 3, 3, 3, 3}[x.mask>>1&7] * 8
			if endsCall(byte(d >> (24 - bit))) {
				v = d ^ (1<<(32-bit) - 1)
				continue
			}
		}
		return d&0x01ffffff | (0-d>>24&1)<<24
	}
}

// branchReader undoes a branch filter over a stream.
type branchReader struct {
	r    io.Reader
	undo branch
	pos  uint32 // of buf

	buf      [4096]byte
	from, to int // bytes of buf that are done, and not yet read
	end      int // bytes in buf
	err      error
}

func (b *branchReader) Read(p []byte) (int, error) {
	for b.from == b.to {
		if b.err != nil {
			return 0, b.err
		}
		b.pos += uint32(b.to)
		b.end = copy(b.buf[:], b.buf[b.to:b.end])
		b.from, b.to = 0, 0
		var n int
		n, b.err = b.r.Read(b.buf[b.end:])
		b.end += n
		b.to = b.undo(b.buf[:b.end], b.pos)
		if b.err != nil {
			b.to = b.end
		}
	}
	n := copy(p, b.buf[b.from:b.to])
	b.from += n
	return n, nil
}
