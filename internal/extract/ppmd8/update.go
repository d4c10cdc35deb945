package ppmd8

// first takes the found state, which is the first of its context.
func (m *model) first(s uint32) byte {
	m.found = s
	c := m.symbol(s)
	m.success = is(2*m.freq(s) >= m.sum(m.min))
	m.run += int32(m.success)
	m.setSum(m.min, m.sum(m.min)+4)
	m.setFreq(s, m.freq(s)+4)
	if m.freq(s) > mostFreq {
		m.rescale()
	}
	m.goOn()
	return c
}

// later takes the found state, which is not the first of its context.
func (m *model) later(s uint32) byte {
	m.found = s
	c := m.symbol(s)
	m.setSum(m.min, m.sum(m.min)+4)
	m.setFreq(s, m.freq(s)+4)
	if m.freq(s) > m.freq(s-6) {
		m.swap(s, s-6)
		m.found = s - 6
		if m.freq(m.found) > mostFreq {
			m.rescale()
		}
	}
	m.goOn()
	return c
}

// only takes the found state, which is the only one of its context.
func (m *model) only() byte {
	m.found = m.one(m.min)
	c := m.symbol(m.found)
	m.setFreq(m.found, m.freq(m.found)+is(m.freq(m.found) < 196))
	m.success = 1
	m.run++
	m.goOn()
	return c
}

// new takes the found state after an escape.
func (m *model) new(s uint32) byte {
	m.found = s
	c := m.symbol(s)
	m.setSum(m.min, m.sum(m.min)+4)
	m.setFreq(s, m.freq(s)+4)
	if m.freq(s) > mostFreq {
		m.rescale()
	}
	m.run = m.firstRun
	m.update()
	m.min = m.max
	return c
}

// goOn goes to the next context.
func (m *model) goOn() {
	if c := m.next(m.found); m.fall == 0 && c >= m.units {
		m.min, m.max = c, c
		return
	}
	m.update()
	m.min = m.max
}

// update adds the found symbol to the contexts in which it was new.
func (m *model) update() {
	next, freq, symbol := m.next(m.found), m.freq(m.found), m.symbol(m.found)
	s := uint32(0)
	if c := m.suffix(m.min); freq < mostFreq/4 && c != 0 {
		s = m.countInSuffix(c, symbol)
	}
	c := m.max
	if m.fall == 0 && next != 0 {
		to := m.successors(true, s, m.min)
		m.setNext(m.found, to)
		if to == 0 {
			m.restore(c)
		} else {
			m.max = to
		}
		return
	}
	m.mem[m.text] = symbol
	m.text++
	after := m.text
	if m.text >= m.units {
		m.restore(c)
		return
	}
	if next == 0 {
		next = m.reduce(s, m.min)
	} else if next < m.units {
		next = m.successors(false, s, m.min)
	}
	if next == 0 {
		m.restore(c)
		return
	}
	if m.fall--; m.fall == 0 {
		after = next
		m.text -= is(m.max != m.min)
	}
	ns := m.others(m.min)
	s0 := m.sum(m.min) - ns - freq
	for ; c != m.min; c = m.suffix(c) {
		if !m.add(c, symbol, after, ns, s0, freq) {
			m.restore(c)
			return
		}
	}
	m.min, m.max = next, next
}

// countInSuffix counts the symbol in the context c too, and returns its state there.
func (m *model) countInSuffix(c uint32, symbol byte) uint32 {
	if m.others(c) == 0 {
		s := m.one(c)
		if m.freq(s) < 32 {
			m.setFreq(s, m.freq(s)+1)
		}
		return s
	}
	s := m.find(c, symbol)
	if s != m.states(c) && m.freq(s) >= m.freq(s-6) {
		m.swap(s, s-6)
		s -= 6
	}
	if m.freq(s) < mostFreq-9 {
		m.setFreq(s, m.freq(s)+2)
		m.setSum(c, m.sum(c)+2)
	}
	return s
}

// add adds a symbol to the context c; false: memory is full. ns, s0 and freq are
// what the context in which it was found has.
func (m *model) add(c uint32, symbol byte, after, ns, s0, freq uint32) bool {
	n := m.others(c)
	if n == 0 {
		s := m.alloc(0)
		if s == 0 {
			return false
		}
		m.copyState(s, m.one(c))
		m.put32(c+4, s)
		if f := m.freq(s); f < mostFreq/4-1 {
			m.setFreq(s, 2*f)
		} else {
			m.setFreq(s, mostFreq-4)
		}
		m.setSum(c, m.freq(s)+m.escape+is(ns > 2))
	} else {
		if units := (n + 1) / 2; n%2 == 1 && blockOf[units] != blockOf[units+1] {
			to := m.alloc(blockOf[units] + 1)
			if to == 0 {
				return false
			}
			old := m.states(c)
			m.copyUnits(to, old, units)
			m.give(old, blockOf[units])
			m.put32(c+4, to)
		}
		m.setSum(c, m.sum(c)+is(3*n+1 < ns))
	}
	cf, sf := 2*freq*(m.sum(c)+6), s0+m.sum(c)
	if cf < 6*sf {
		cf = 1 + is(cf > sf) + is(cf >= 4*sf)
		m.setSum(c, m.sum(c)+4)
	} else {
		cf = 4 + is(cf > 9*sf) + is(cf > 12*sf) + is(cf > 15*sf)
		m.setSum(c, m.sum(c)+cf)
	}
	s := m.states(c) + 6*(n+1)
	m.mem[s], m.mem[s+1] = symbol, byte(cf)
	m.setNext(s, after)
	m.mem[c+1] |= highFlag(symbol, 8)
	m.mem[c] = byte(n + 1)
	return true
}

// rescale halves the frequencies of the context at hand, and drops what is 0 then.
func (m *model) rescale() {
	c := m.min
	first, n := m.states(c), m.others(c)
	m.toFront(m.found, first)
	s := first
	esc := m.sum(c) - m.freq(s)
	adder := is(m.fall != 0)
	m.setFreq(s, (m.freq(s)+4+adder)/2)
	sum := m.freq(s)
	for range n {
		s += 6
		esc -= m.freq(s)
		m.setFreq(s, (m.freq(s)+adder)/2)
		f := m.freq(s)
		sum += f
		to := s
		for to != first && f > m.freq(to-6) {
			to -= 6
		}
		m.toFront(s, to)
	}
	if gone := uint32(0); m.freq(s) == 0 {
		for ; m.freq(s) == 0; s -= 6 {
			gone++
		}
		esc += gone
		left := n - gone
		m.mem[c] = byte(left)
		if left == 0 {
			f := min((2*m.freq(first)+esc-1)/esc, mostFreq/3)
			m.found = m.one(c)
			m.mem[c+1] = m.mem[c+1]&0x10 + highFlag(m.symbol(first), 8)
			var t [6]byte
			copy(t[:], m.mem[first:])
			m.give(first, blockOf[(n+2)/2])
			copy(m.mem[m.found:], t[:])
			m.setFreq(m.found, f)
			return
		}
		first = m.shrink(first, (n+2)/2, (left+2)/2)
		m.put32(c+4, first)
		m.mem[c+1] &^= 8
		for i := range left + 1 {
			m.mem[c+1] |= highFlag(m.symbol(first+6*i), 8)
		}
	}
	m.setSum(c, sum+esc-esc/2)
	m.mem[c+1] |= 4
	m.found = first
}

// toFront moves the state s to a place before it.
func (m *model) toFront(s, to uint32) {
	if s == to {
		return
	}
	var t [6]byte
	copy(t[:], m.mem[s:])
	copy(m.mem[to+6:s+6], m.mem[to:s])
	copy(m.mem[to:], t[:])
}
