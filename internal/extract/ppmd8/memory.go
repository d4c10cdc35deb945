package ppmd8

import "encoding/binary"

// The model lives in one stretch of memory, whose places are numbers. At its
// bottom the text grows upwards, units of twelve bytes are taken from above it, and
// contexts from the top down. Which unit is taken when is part of the format:
// the model starts anew when there is none.
//
//	unit, a context:   symbols-1 u8, flags u8, sum of frequencies u16, states u32, suffix u32
//	a context of one:  0 u8, flags u8, its state 6 bytes, suffix u32
//	a state:           symbol u8, frequency u8, successor u32
//	a free unit:       mark u32, next u32, units u32
const (
	unit    = 12
	sizes   = 38 // of blocks: 1 to 4, 6 to 12, 15 to 24, 28 to 128 units
	free    = 1<<32 - 1
	bottom  = 4 // where the text begins: 0 is no place
	biggest = 128
)

// blockUnits are the units of a block of each size; blockOf is the size that holds
// so many units.
var blockUnits, blockOf = func() (units [sizes]uint32, of [biggest + 1]uint8) {
	n := uint32(0)
	for i := range units {
		step := uint32(4)
		if i < 12 {
			step = uint32(i/4 + 1)
		}
		for range step {
			n++
			of[n] = uint8(i)
		}
		units[i] = n
	}
	return units, of
}()

func (m *model) u16(at uint32) uint32      { return uint32(binary.LittleEndian.Uint16(m.mem[at:])) }
func (m *model) u32(at uint32) uint32      { return binary.LittleEndian.Uint32(m.mem[at:]) }
func (m *model) put16(at, v uint32)        { binary.LittleEndian.PutUint16(m.mem[at:], uint16(v)) }
func (m *model) put32(at, v uint32)        { binary.LittleEndian.PutUint32(m.mem[at:], v) }
func (m *model) others(c uint32) uint32    { return uint32(m.mem[c]) } // symbols of a context beyond the first
func (m *model) sum(c uint32) uint32       { return m.u16(c + 2) }
func (m *model) setSum(c, v uint32)        { m.put16(c+2, v) }
func (m *model) states(c uint32) uint32    { return m.u32(c + 4) }
func (m *model) suffix(c uint32) uint32    { return m.u32(c + 8) }
func (m *model) one(c uint32) uint32       { return c + 2 }
func (m *model) symbol(s uint32) byte      { return m.mem[s] }
func (m *model) freq(s uint32) uint32      { return uint32(m.mem[s+1]) }
func (m *model) setFreq(s, v uint32)       { m.mem[s+1] = byte(v) }
func (m *model) next(s uint32) uint32      { return m.u32(s + 2) }
func (m *model) setNext(s, to uint32)      { m.put32(s+2, to) }
func (m *model) copyState(to, s uint32)    { copy(m.mem[to:to+6], m.mem[s:s+6]) }
func (m *model) copyUnits(to, a, n uint32) { copy(m.mem[to:to+n*unit], m.mem[a:a+n*unit]) }

func (m *model) swap(a, b uint32) {
	var t [6]byte
	copy(t[:], m.mem[a:])
	m.copyState(a, b)
	copy(m.mem[b:], t[:])
}

// find returns the state of a symbol that a context has.
func (m *model) find(c uint32, symbol byte) uint32 {
	s := m.states(c)
	for m.symbol(s) != symbol {
		s += 6
	}
	return s
}

// give makes a block free.
func (m *model) give(at uint32, size uint8) {
	m.put32(at, free)
	m.put32(at+4, m.lists[size])
	m.put32(at+8, blockUnits[size])
	m.lists[size] = at
	m.count[size]++
}

// taken takes a block that is free.
func (m *model) taken(size uint8) uint32 {
	at := m.lists[size]
	m.lists[size] = m.u32(at + 4)
	m.count[size]--
	return at
}

// giveRest makes n units free, at most biggest, which may be two blocks.
func (m *model) giveRest(at, n uint32) {
	size := blockOf[n]
	if blockUnits[size] != n {
		size--
		k := blockUnits[size]
		m.give(at+k*unit, uint8(n-k-1))
	}
	m.give(at, size)
}

// split keeps of a block what a smaller one needs.
func (m *model) split(at uint32, from, to uint8) {
	m.giveRest(at+blockUnits[to]*unit, blockUnits[from]-blockUnits[to])
}

// glue joins free blocks that are neighbours.
func (m *model) glue() {
	m.untilGlue = 1 << 13
	m.count = [sizes]uint32{}
	if m.low != m.high {
		m.put32(m.low, 0)
	}
	head, last := uint32(0), uint32(0) // last: the block whose next is still to be said
	link := func(to uint32) {
		if last == 0 {
			head = to
		} else {
			m.put32(last+4, to)
		}
	}
	for i := range m.lists {
		at := m.lists[i]
		m.lists[i] = 0
		for at != 0 {
			if n := m.u32(at + 8); n != 0 {
				link(at)
				last = at
				for m.u32(at+n*unit) == free {
					after := at + n*unit
					n += m.u32(after + 8)
					m.put32(after+8, 0)
				}
				m.put32(at+8, n)
			}
			at = m.u32(at + 4)
		}
	}
	link(0)
	for head != 0 {
		at, n := head, m.u32(head+8)
		head = m.u32(head + 4)
		if n == 0 {
			continue
		}
		for ; n > biggest; n -= biggest {
			m.give(at, sizes-1)
			at += biggest * unit
		}
		m.giveRest(at, n)
	}
}

// rare takes a block where neither its list nor the gap has one; 0: there is none.
func (m *model) rare(size uint8) uint32 {
	if m.untilGlue == 0 {
		m.glue()
		if m.lists[size] != 0 {
			return m.taken(size)
		}
	}
	for i := size + 1; i < sizes; i++ {
		if m.lists[i] != 0 {
			at := m.taken(i)
			m.split(at, i, size)
			return at
		}
	}
	m.untilGlue--
	n := blockUnits[size] * unit
	if m.units-m.text <= n {
		return 0
	}
	m.units -= n
	return m.units
}

func (m *model) alloc(size uint8) uint32 {
	if m.lists[size] != 0 {
		return m.taken(size)
	}
	if n := blockUnits[size] * unit; n <= m.high-m.low {
		m.low += n
		return m.low - n
	}
	return m.rare(size)
}

// shrink makes a block of from units one of to.
func (m *model) shrink(at, from, to uint32) uint32 {
	a, b := blockOf[from], blockOf[to]
	if a == b {
		return at
	}
	if m.lists[b] != 0 {
		p := m.taken(b)
		m.copyUnits(p, at, to)
		m.give(at, a)
		return p
	}
	m.split(at, a, b)
	return at
}

func (m *model) giveUnit(at uint32) {
	if at == m.units {
		m.units += unit
	} else {
		m.give(at, 0)
	}
}

// moveUp moves a block away from the text.
func (m *model) moveUp(at, n uint32) uint32 {
	size := blockOf[n]
	if at > m.units+16<<10 || at > m.lists[size] {
		return at
	}
	p := m.taken(size)
	m.copyUnits(p, at, n)
	if at == m.units {
		m.units += blockUnits[size] * unit
	} else {
		m.give(at, size)
	}
	return p
}

// widen gives the free blocks that follow on the text to it.
func (m *model) widen() {
	var n [sizes]uint32
	if m.low != m.high {
		m.put32(m.low, 0)
	}
	for m.u32(m.units) == free {
		m.put32(m.units, 0)
		k := m.u32(m.units + 8)
		n[blockOf[k]]++
		m.units += k * unit
	}
	for i := range m.lists {
		prev, at := uint32(0), m.lists[i]
		for n[i] > 0 && at != 0 {
			after := m.u32(at + 4)
			if m.u32(at) != 0 {
				prev, at = at, after
				continue
			}
			if prev == 0 {
				m.lists[i] = after
			} else {
				m.put32(prev+4, after)
			}
			m.count[i]--
			n[i]--
			at = after
		}
	}
}

// used returns how many bytes the model takes.
func (m *model) used() uint32 {
	n := uint32(0)
	for i, k := range m.count {
		n += k * blockUnits[i]
	}
	return m.size - (m.high - m.low) - (m.units - m.text) - n*unit
}
