package scanner

import "slices"

// capture finds where the value lies within a match. It is used for the few
// patterns that name one.
type capture struct {
	seen  []uint64 // a bit for each instruction and offset that has been tried
	stack []attempt
}

// attempt is an instruction still to be tried at an offset, or, with back set,
// the value's bound to be put back as it was.
type attempt struct {
	pc   uint32
	at   int32
	back bool
}

// value returns the bounds of the value in the match text[s:e] of expression n;
// false where its group had no part in the match. It tries the ways through the
// expression in the order of preference until one leads to e.
func (c *capture) value(p *program, n int, text []byte, s, e int) (from, to int, ok bool) {
	first, size := p.first[n], uint32(len(p.inst))
	if n+1 < len(p.first) {
		size = p.first[n+1]
	}
	size -= first
	c.seen = slices.Grow(c.seen[:0], (int(size)*(e-s+1)+63)/64)[:(int(size)*(e-s+1)+63)/64]
	clear(c.seen)
	bounds := [2]int{-1, -1}
	c.stack = append(c.stack[:0], attempt{pc: p.start[n], at: int32(s)})
	for len(c.stack) > 0 {
		a := c.stack[len(c.stack)-1]
		c.stack = c.stack[:len(c.stack)-1]
		if a.back {
			bounds[a.pc] = int(a.at)
			continue
		}
		at := int(a.at)
		bit := (at-s)*int(size) + int(a.pc-first)
		if c.seen[bit>>6]>>(bit&63)&1 != 0 {
			continue
		}
		c.seen[bit>>6] |= 1 << (bit & 63)
		switch i := &p.inst[a.pc]; i.op {
		case opMatch:
			if at == e {
				return bounds[0], bounds[1], bounds[0] >= 0 && bounds[1] > bounds[0]
			}
		case opAlt:
			c.stack = append(c.stack, attempt{pc: i.arg, at: a.at}, attempt{pc: i.out, at: a.at})
		case opGo:
			c.stack = append(c.stack, attempt{pc: i.out, at: a.at})
		case opCap:
			c.stack = append(c.stack, attempt{pc: i.arg, at: int32(bounds[i.arg]), back: true}, attempt{pc: i.out, at: a.at})
			bounds[i.arg] = at
		case opEdge:
			before, after := at > 0 && isWord(text[at-1]), at < len(text) && isWord(text[at])
			if i.holdsAt(edgeBetween(before, after)) {
				c.stack = append(c.stack, attempt{pc: i.out, at: a.at})
			}
		case opTake:
			node := uint32(0)
			for at < e {
				node = p.step(i.set, node, text[at])
				at++
				if node <= charEnd {
					break
				}
			}
			if node == charEnd {
				c.stack = append(c.stack, attempt{pc: i.out, at: int32(at)})
			}
		}
	}
	return 0, 0, false
}
