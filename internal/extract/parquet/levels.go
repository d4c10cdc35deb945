package parquet

import "encoding/binary"

// bitsAt returns width bits that stand at a bit of b, the lowest first, and
// whether they are all there.
func bitsAt(b []byte, bit uint64, width uint) (v uint64, ok bool) {
	at := bit >> 3
	if (bit+uint64(width)+7)>>3 > uint64(len(b)) {
		return 0, false
	}
	shift := uint(bit & 7)
	if width <= 56 && at+8 <= uint64(len(b)) {
		return binary.LittleEndian.Uint64(b[at:]) >> shift & (1<<width - 1), true
	}
	for i := uint(0); i < width+shift; i += 8 {
		c := uint64(b[at])
		at++
		if i < shift {
			v |= c >> shift
		} else {
			v |= c << (i - shift)
		}
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v, true
}

// hybrid reads small numbers in runs and in packed groups. Encodings.md, RLE.
type hybrid struct {
	b      []byte
	width  uint
	same   uint64 // left of a run
	value  uint32 // of the run
	group  uint64 // left of packed groups
	bit    uint64 // of the next packed one in b
	legacy bool   // all are packed, the highest bit first
}

// next returns the next number, false where there is none.
func (h *hybrid) next() (uint32, bool) {
	switch {
	case h.width == 0:
		return 0, true
	case h.legacy:
		return h.highFirst()
	}
	for h.same == 0 && h.group == 0 {
		h.b = h.b[min(uint64(len(h.b)), (h.bit+7)/8):]
		h.bit = 0
		n, used := binary.Uvarint(h.b)
		if used <= 0 {
			return 0, false
		}
		h.b = h.b[used:]
		if n&1 == 1 {
			h.group = n >> 1 << 3
			continue
		}
		size := int(h.width+7) / 8
		if size > len(h.b) {
			return 0, false
		}
		var v [4]byte
		copy(v[:], h.b[:size])
		h.same, h.value, h.b = n>>1, binary.LittleEndian.Uint32(v[:]), h.b[size:]
	}
	if h.same > 0 {
		h.same--
		return h.value, true
	}
	v, ok := bitsAt(h.b, h.bit, h.width)
	h.group--
	h.bit += uint64(h.width)
	return uint32(v), ok
}

// highFirst reads what old files have in place of runs. Encodings.md, BIT_PACKED.
func (h *hybrid) highFirst() (v uint32, ok bool) {
	if (h.bit+uint64(h.width)+7)>>3 > uint64(len(h.b)) {
		return 0, false
	}
	for range h.width {
		v = v<<1 | uint32(h.b[h.bit>>3]>>(7-h.bit&7)&1)
		h.bit++
	}
	return v, true
}

// delta reads integers that are kept as differences. Encodings.md,
// DELTA_BINARY_PACKED.
type delta struct {
	b      []byte
	left   uint64 // values still to come
	first  bool   // the next is the one in the head
	value  uint64
	per    uint64 // values of a small block
	blocks uint64 // small blocks of a block

	widths []byte // of the small blocks still to come
	least  uint64
	width  uint
	mini   uint64 // values left of the small block
	bit    uint64
}

const maxDelta = 1 << 32 // values of one sequence

// newDelta reads the head of a sequence.
func newDelta(b []byte) (d delta, ok bool) {
	t := &thrift{b: b} // whose numbers are written alike
	size, blocks, left, first := t.uvarint(), t.uvarint(), t.uvarint(), t.int()
	if t.bad || blocks == 0 || size > maxDelta || left > maxDelta || size/blocks == 0 || size%blocks != 0 || size/blocks%8 != 0 {
		return d, false
	}
	return delta{b: t.b, left: left, first: true, value: uint64(first), per: size / blocks, blocks: blocks}, true
}

// block enters the next small block.
func (d *delta) block() bool {
	d.b = d.b[min(uint64(len(d.b)), (d.bit+7)/8):]
	d.bit = 0
	if len(d.widths) == 0 {
		t := &thrift{b: d.b}
		d.least = uint64(t.int())
		if t.bad || d.blocks > uint64(len(t.b)) {
			return false
		}
		d.widths, d.b = t.b[:d.blocks], t.b[d.blocks:]
	}
	d.width, d.widths = uint(d.widths[0]), d.widths[1:]
	d.mini = d.per
	return d.width <= 64
}

// next returns the next integer.
func (d *delta) next() (uint64, bool) {
	if d.left == 0 {
		return 0, false
	}
	d.left--
	if d.first {
		d.first = false
		return d.value, true
	}
	if d.mini == 0 && !d.block() {
		return 0, false
	}
	v, ok := bitsAt(d.b, d.bit, d.width)
	d.mini--
	d.bit += uint64(d.width)
	d.value += d.least + v
	return d.value, ok
}

// behind returns what stands behind the sequence, whose values stay to be read.
func (d delta) behind() ([]byte, bool) {
	if d.left > 0 {
		d.left-- // the one in the head
	}
	for d.left > 0 {
		if !d.block() {
			return nil, false
		}
		d.left -= min(d.left, d.per)
		d.bit = d.per * uint64(d.width)
		if (d.bit+7)/8 > uint64(len(d.b)) {
			return nil, false
		}
	}
	return d.b[(d.bit+7)/8:], true
}
