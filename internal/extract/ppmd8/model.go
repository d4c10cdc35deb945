package ppmd8

const mostFreq = 124

var (
	expEscape = [16]uint8{25, 14, 9, 7, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2}
	firstBin  = [8]int{0x3cdd, 0x1f3f, 0x59bf, 0x48f3, 0x64a1, 0x5abc, 0x6632, 0x6051}
)

// freqIndex coarsens a frequency or a number of symbols.
var freqIndex = func() (t [260]uint8) {
	at, step := 5, 1
	for i := range t {
		if i < 5 {
			t[i] = uint8(i)
			continue
		}
		t[i] = uint8(at)
		if step--; step == 0 {
			at++
			step = at - 4
		}
	}
	return t
}()

// symbolsIndex coarsens how many symbols the suffix of a context of one has.
func symbolsIndex(others uint32) uint32 {
	switch {
	case others < 2:
		return others * 2
	case others < 11:
		return 4
	}
	return 6
}

// see estimates how probable an escape is: secondary escape estimation.
type see struct {
	sum          uint16
	shift, count uint8
}

func (e *see) update() {
	if e.shift >= 7 {
		return
	}
	if e.count--; e.count == 0 {
		e.sum <<= 1
		e.count = 3 << e.shift
		e.shift++
	}
}

func mean(p uint16) uint16 { return (p + 32) >> 7 }

// model is the statistics of what was decoded so far.
type model struct {
	mem       []byte
	size      uint32
	text      uint32 // where the text goes on
	units     uint32 // where the units begin
	low, high uint32 // the gap between what is taken from below and from above
	lists     [sizes]uint32
	count     [sizes]uint32 // blocks in each list
	untilGlue uint32

	order    uint32
	cut      bool   // when memory is full, keep a part of the model
	min, max uint32 // contexts
	found    uint32 // state
	fall     uint32 // by how much the order fell
	escape   uint32
	success  uint32
	run      int32
	firstRun int32
	bin      [25][64]uint16
	sees     [24][32]see
	none     see
}

func newModel(order int, size uint32, cut bool) *model {
	m := &model{mem: make([]byte, bottom+size+unit), size: size, order: uint32(order), cut: cut, none: see{shift: 7, count: 64}}
	m.restart()
	return m
}

func (m *model) restart() {
	m.lists, m.count = [sizes]uint32{}, [sizes]uint32{}
	m.text = bottom
	m.high = bottom + m.size
	m.low = m.high - m.size/8/unit*7*unit
	m.units = m.low
	m.untilGlue = 0
	m.fall = m.order
	m.firstRun = -int32(min(m.order, 12)) - 1
	m.run = m.firstRun
	m.success = 0

	m.high -= unit
	m.min, m.max = m.high, m.high
	m.found = m.low
	m.low += 128 * unit
	m.mem[m.min], m.mem[m.min+1] = 255, 0
	m.setSum(m.min, 257)
	m.put32(m.min+4, m.found)
	m.put32(m.min+8, 0)
	for i := range uint32(256) {
		s := m.found + 6*i
		m.mem[s], m.mem[s+1] = byte(i), 1
		m.setNext(s, 0)
	}
	i := 0
	for k := range m.bin {
		for int(freqIndex[i]) == k {
			i++
		}
		for n := range m.bin[k] {
			m.bin[k][n] = uint16(1<<14 - firstBin[n%8]/(i+1))
		}
	}
	i = 0
	for k := range m.sees {
		for int(freqIndex[i+3]) == k+3 {
			i++
		}
		for n := range m.sees[k] {
			m.sees[k][n] = see{sum: uint16(2*i+5) << 3, shift: 3, count: 7}
		}
	}
}

// highFlag returns the flag where a symbol is of the upper three quarters.
func highFlag(symbol byte, flag byte) byte {
	if symbol >= 0x40 {
		return flag
	}
	return 0
}

// is returns 1 for true.
func is(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// binary returns the estimate for the context at hand, which has one symbol.
func (m *model) binary() *uint16 {
	k := symbolsIndex(m.others(m.suffix(m.min))) + m.success + uint32(m.mem[m.min+1]) + uint32(m.run>>26)&0x20
	return &m.bin[freqIndex[m.freq(m.one(m.min))-1]][k]
}

// secondary returns the estimate of an escape from the context at hand, of which
// the longer one before knew some symbols.
func (m *model) secondary(known uint32) (e *see, esc uint32) {
	n := m.others(m.min)
	if n == 255 {
		return &m.none, 1
	}
	e = &m.sees[freqIndex[n+2]-3][is(m.sum(m.min) > 11*(n+1))+2*is(2*n < m.others(m.suffix(m.min))+known)+uint32(m.mem[m.min+1])]
	esc = uint32(e.sum >> e.shift)
	e.sum -= uint16(esc)
	return e, max(esc, 1)
}

// refresh counts a context anew after symbols went.
func (m *model) refresh(c, oldUnits, scale uint32) {
	n := m.others(c)
	s := m.shrink(m.states(c), oldUnits, (n+2)/2)
	m.put32(c+4, s)
	flags := m.mem[c+1]&byte(0x10+4*scale) + highFlag(m.symbol(s), 8)
	esc := m.sum(c) - m.freq(s)
	m.setFreq(s, (m.freq(s)+scale)>>scale)
	sum := m.freq(s)
	for range n {
		s += 6
		esc -= m.freq(s)
		m.setFreq(s, (m.freq(s)+scale)>>scale)
		sum += m.freq(s)
		flags |= highFlag(m.symbol(s), 8)
	}
	m.setSum(c, sum+(esc+scale)>>scale)
	m.mem[c+1] = flags
}

// toOne makes a context one of a single symbol, which s is.
func (m *model) toOne(c, s uint32) {
	m.mem[c+1] = m.mem[c+1]&0x10 + highFlag(m.symbol(s), 8)
	m.copyState(m.one(c), s)
	m.setFreq(m.one(c), (m.freq(m.one(c))+11)>>3)
}

// cutOff drops the contexts below c that nothing leads on from, and returns c, or 0
// where it went too.
func (m *model) cutOff(c, order uint32) uint32 {
	below := func(s uint32) uint32 {
		if order < m.order {
			return m.cutOff(m.next(s), order+1)
		}
		return 0
	}
	if m.others(c) == 0 {
		s := m.one(c)
		if m.next(s) >= m.units {
			m.setNext(s, below(s))
			if m.next(s) != 0 || order <= 9 {
				return c
			}
		}
		m.giveUnit(c)
		return 0
	}
	units := (m.others(c) + 2) / 2
	first := m.moveUp(m.states(c), units)
	m.put32(c+4, first)
	i := int(m.others(c))
	for k := i; k >= 0; k-- {
		s := first + 6*uint32(k)
		if m.next(s) < m.units {
			m.setNext(s, 0)
			m.swap(s, first+6*uint32(i))
			i--
		} else {
			m.setNext(s, below(s))
		}
	}
	if i == int(m.others(c)) || order == 0 {
		return c
	}
	m.mem[c] = byte(i)
	switch {
	case i < 0:
		m.give(first, blockOf[units])
		m.giveUnit(c)
		return 0
	case i == 0:
		m.toOne(c, first)
		m.give(first, blockOf[units])
	default:
		m.refresh(c, units, is(m.sum(c) > 16*uint32(i)))
	}
	return c
}

// restore makes room: the contexts up to c have got a symbol that cannot be kept.
func (m *model) restore(to uint32) {
	m.text = bottom
	c := m.max
	for ; c != to; c = m.suffix(c) {
		m.mem[c]--
		if m.others(c) == 0 {
			s := m.states(c)
			m.toOne(c, s)
			m.giveUnit(s)
		} else {
			m.refresh(c, (m.others(c)+3)/2, 0)
		}
	}
	for ; c != m.min; c = m.suffix(c) {
		if m.others(c) == 0 {
			s := m.one(c)
			m.setFreq(s, m.freq(s)-m.freq(s)/2)
			continue
		}
		m.setSum(c, m.sum(c)+4)
		if m.sum(c) > 128+4*m.others(c) {
			m.refresh(c, (m.others(c)+2)/2, 1)
		}
	}
	if !m.cut || m.used() < m.size/2 {
		m.restart()
		return
	}
	for m.suffix(m.max) != 0 {
		m.max = m.suffix(m.max)
	}
	for {
		m.cutOff(m.max, 0)
		m.widen()
		if m.used() <= 3*(m.size/4) {
			break
		}
	}
	m.untilGlue = 0
	m.fall = m.order
}

// successors makes the contexts that follow on the found state in c and its
// suffixes. s1, if any, is the state in the first suffix; skip leaves out the found
// state itself. It returns 0 where memory is full.
func (m *model) successors(skip bool, s1, c uint32) uint32 {
	symbol, up := m.symbol(m.found), m.next(m.found)
	var path [17]uint32
	n := 0
	if !skip {
		path[0], n = m.found, 1
	}
	for m.suffix(c) != 0 {
		c = m.suffix(c)
		s := s1
		s1 = 0
		switch {
		case s != 0:
		case m.others(c) != 0:
			if s = m.find(c, symbol); m.freq(s) < mostFreq-9 {
				m.setFreq(s, m.freq(s)+1)
				m.setSum(c, m.sum(c)+1)
			}
		default:
			s = m.one(c)
			if m.others(m.suffix(c)) == 0 && m.freq(s) < 24 {
				m.setFreq(s, m.freq(s)+1)
			}
		}
		if m.next(s) != up {
			c = m.next(s)
			if n == 0 {
				return c
			}
			break
		}
		path[n] = s
		n++
	}
	after := m.mem[up]
	flags := highFlag(symbol, 0x10) + highFlag(after, 8)
	var freq uint32
	if m.others(c) == 0 {
		freq = m.freq(m.one(c))
	} else {
		cf := m.freq(m.find(c, after)) - 1
		s0 := m.sum(c) - m.others(c) - cf
		if 2*cf <= s0 {
			freq = 1 + is(5*cf > s0)
		} else {
			freq = 1 + (cf+2*s0-3)/s0
		}
	}
	for n--; n >= 0; n-- {
		var child uint32
		switch {
		case m.high != m.low:
			m.high -= unit
			child = m.high
		case m.lists[0] != 0:
			child = m.taken(0)
		default:
			if child = m.rare(0); child == 0 {
				return 0
			}
		}
		m.mem[child], m.mem[child+1], m.mem[child+2], m.mem[child+3] = 0, flags, after, byte(freq)
		m.put32(child+4, up+1)
		m.put32(child+8, c)
		m.setNext(path[n], child)
		c = child
	}
	return c
}

// reduce finds the context that follows on a symbol which was new in c, 0 where
// memory is full. s1, if any, is its state in the suffix of c.
func (m *model) reduce(s1, c uint32) uint32 {
	from, up, symbol := c, m.text, m.symbol(m.found)
	m.setNext(m.found, up)
	m.fall++
	var s uint32
	for {
		if s1 == 0 && m.suffix(c) == 0 {
			return c
		}
		c = m.suffix(c)
		switch {
		case s1 != 0:
			s, s1 = s1, 0
		case m.others(c) != 0:
			if s = m.find(c, symbol); m.freq(s) < mostFreq-9 {
				m.setFreq(s, m.freq(s)+2)
				m.setSum(c, m.sum(c)+2)
			}
		default:
			if s = m.one(c); m.freq(s) < 32 {
				m.setFreq(s, m.freq(s)+1)
			}
		}
		if m.next(s) != 0 {
			break
		}
		m.setNext(s, up)
		m.fall++
	}
	if m.next(s) <= up {
		found := m.found
		m.found = s
		m.setNext(s, m.successors(false, 0, c))
		m.found = found
	}
	if m.fall == 1 && from == m.max {
		m.setNext(m.found, m.next(s))
		m.text--
	}
	return m.next(s)
}
