package scanner

import (
	"regexp/syntax"
	"slices"
)

// matcher says of a place in a text which expressions of a program match from
// there on, and how far: as far as a search that prefers as Perl does.
//
// A state is the threads that are alive after the bytes so far, those of one
// expression together and the preferred first. A thread is the instruction it
// waits at, and the node within a character. That an expression has matched is
// told by the transition after its last byte, since \b looks at one more.
type matcher struct {
	*lazy
	prog *program

	// Used while a transition is made, under lazy.mu.
	mark []uint32 // by instruction: the round in which it was followed
	now  uint32
	work []uint32
	list []uint64
	next []uint64
	outs []uint16
}

// Places that a walk of a matcher starts from.
const (
	afterOther = iota // the text's start, or a byte that is no part of a word
	afterWord         // a byte of a word: only for expressions that may begin there
)

// wordThread stands first in a state where it matters that the last byte was
// one of a word.
const wordThread = ^uint64(0)

func thread(pc, node uint32) uint64 { return uint64(pc)<<32 | uint64(node) }

// newMatcher makes a matcher of prog, of whose expressions those marked
// anywhere may match from within a word on.
func newMatcher(prog *program, anywhere []bool) *matcher {
	m := &matcher{prog: prog, mark: make([]uint32, len(prog.inst))}
	root := make([][]uint64, 2)
	for place := range root {
		m.round()
		m.next = m.next[:0]
		for n, pc := range prog.start {
			if place == afterOther || anywhere[n] {
				m.next = m.follow(m.next, pc, edgeUnknown)
			}
		}
		root[place] = slices.Clone(m.remember(m.next, place == afterWord))
	}
	m.lazy = newLazy(prog.columns(), m.take, root)
	return m
}

// startAt returns the state in which a walk from place starts.
func (m *matcher) startAt(place int) uint32 { return uint32(place+1) * m.stride }

// columns tells apart the bytes that some set, node or edge tells apart.
func (p *program) columns() []func(byte) uint32 {
	var cols []func(byte) uint32
	if p.edges {
		cols = append(cols, func(c byte) uint32 { return uint32(wordTable[c]) })
	}
	for i := range p.sets {
		s := &p.sets[i]
		cols = append(cols, func(c byte) uint32 {
			if c >= 0x80 {
				return s.lead[c-0x80]
			}
			if s.has(c) {
				return charEnd
			}
			return 0
		})
	}
	for i := range p.nodes[2:] {
		n := &p.nodes[2+i]
		cols = append(cols, func(c byte) uint32 {
			if c&0xc0 == 0x80 {
				return n[c&0x3f]
			}
			return 0
		})
	}
	return cols
}

// step returns what a thread that waits at set s, within a character at node,
// comes to by byte c: 0 nothing, charEnd, or the node within the character.
func (p *program) step(s, node uint32, c byte) uint32 {
	switch {
	case node != 0:
		if c&0xc0 != 0x80 {
			return 0
		}
		return p.nodes[node][c&0x3f]
	case c >= 0x80:
		return p.sets[s].lead[c-0x80]
	case p.sets[s].has(c):
		return charEnd
	}
	return 0
}

func (m *matcher) round() { m.now++ }

// edges is what is known of the edge at the current place.
type edges uint8

const (
	edgeUnknown edges = iota
	edgeThere         // \b holds
	edgeAbsent        // \B holds
)

// edgeBetween is the edge between a byte before and a byte after.
func edgeBetween(before, after bool) edges {
	if before != after {
		return edgeThere
	}
	return edgeAbsent
}

// holdsAt reports whether the demands of an opEdge hold at e.
func (i *inst) holdsAt(e edges) bool {
	switch want := syntax.EmptyOp(i.arg); {
	case want&^(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0: // refused by patterns.ParseRegex
		return false
	case want&syntax.EmptyWordBoundary != 0:
		return e == edgeThere
	}
	return e == edgeAbsent
}

// follow appends to list the threads that pc leads to without a byte, the
// preferred first, less those that this round has already.
func (m *matcher) follow(list []uint64, pc uint32, e edges) []uint64 {
	m.work = append(m.work[:0], pc)
	for len(m.work) > 0 {
		pc := m.work[len(m.work)-1]
		m.work = m.work[:len(m.work)-1]
		if m.mark[pc] == m.now {
			continue
		}
		m.mark[pc] = m.now
		switch i := &m.prog.inst[pc]; i.op {
		case opAlt:
			m.work = append(m.work, i.arg, i.out)
		case opGo, opCap:
			m.work = append(m.work, i.out)
		case opEdge:
			if e == edgeUnknown {
				list = append(list, thread(pc, 0))
			} else if i.holdsAt(e) {
				m.work = append(m.work, i.out)
			}
		case opTake, opMatch:
			list = append(list, thread(pc, 0))
		}
	}
	return list
}

// remember puts wordThread before the threads where some asks for the edge.
func (m *matcher) remember(set []uint64, word bool) []uint64 {
	if word && m.prog.edges && slices.ContainsFunc(set, func(t uint64) bool { return m.prog.inst[t>>32].op == opEdge }) {
		return slices.Insert(set, 0, wordThread)
	}
	return set
}

// take is the step of a matcher's automaton: what the threads of set come to
// by byte c, and the expressions that had matched before it.
func (m *matcher) take(set []uint64, c int) ([]uint64, []uint16) {
	word := len(set) > 0 && set[0] == wordThread
	if word {
		set = set[1:]
	}
	edge := edgeBetween(word, c != endOfText && isWord(byte(c)))
	m.round()
	m.list = m.list[:0]
	for _, t := range set {
		if uint32(t) != 0 {
			m.list = append(m.list, t)
			continue
		}
		m.list = m.follow(m.list, uint32(t>>32), edge)
	}
	m.round()
	m.next, m.outs = m.next[:0], m.outs[:0]
	const nobody = ^uint32(0)
	done := nobody // the expression that matched: its other threads are less preferred
	for _, t := range m.list {
		pc, node := uint32(t>>32), uint32(t)
		i := &m.prog.inst[pc]
		if i.owner == done {
			continue
		}
		if i.op == opMatch {
			done = i.owner
			m.outs = append(m.outs, uint16(i.owner))
			continue
		}
		if c == endOfText {
			continue
		}
		switch to := m.prog.step(i.set, node, byte(c)); to {
		case 0:
		case charEnd:
			m.next = m.follow(m.next, i.out, edgeUnknown)
		default:
			m.next = append(m.next, thread(pc, to))
		}
	}
	m.next = m.remember(m.next, c != endOfText && isWord(byte(c)))
	return m.next, m.outs
}

// ends is what a walk has found.
type ends struct {
	found []end // by place; of an expression that is in several the last counts
	cost  int   // bytes of proof

	proved []uint32 // by expression: the round in which it was proved
	round  uint32
}

// end is the expressions that match up to a place.
type end struct {
	*outcome
	at int
}

// next begins a round.
func (r *ends) next() {
	if r.round++; r.round == 0 {
		clear(r.proved)
		r.round = 1
	}
}

// first reports whether expression n is looked at for the first time in this
// round, in which the last ends come first.
func (r *ends) first(n int) bool {
	if len(r.found) > 1 {
		if r.proved[n] == r.round {
			return false
		}
		r.proved[n] = r.round
	}
	return true
}

// lasts empties r and appends to out the expressions found with their ends, by
// number.
func (r *ends) lasts(out []last) []last {
	r.next()
	for k := len(r.found) - 1; k >= 0; k-- {
		for _, n := range r.found[k].list {
			if r.first(int(n)) {
				out = append(out, last{int(n), r.found[k].at})
			}
		}
	}
	r.found = r.found[:0]
	slices.SortFunc(out, func(a, b last) int { return a.expr - b.expr })
	return out
}

// last is an expression and where its match ends.
type last struct{ expr, at int }

// walk finds what matches from text[at:] on and enters it in r, which holds
// nothing and has room for each expression.
func (m *matcher) walk(text []byte, at, place int, r *ends) {
	t := m.cur.Load()
	state := m.startAt(place)
	for i := at; ; i++ {
		var e uint32
		i, state, e = t.pass(&m.class, text, i, state)
		c := m.stride - 1
		if i < len(text) {
			c = uint32(m.class[text[i]])
		} else {
			e = t.next[state+c].Load()
		}
		var out *outcome
		if e == 0 {
			var cost int
			t, e, out, cost = m.find(t, state, c)
			r.cost += cost
		} else if e&output != 0 {
			out = t.told(e)
		}
		if e&output != 0 {
			r.note(out, i)
		}
		if state = e & toMask; state == 0 || i == len(text) {
			r.cost += i - at
			return
		}
	}
}

// pass goes on from state with text[i:] as long as transitions are passing. It
// returns where it stands then, and the transition that is none; 0 at the end of
// the text.
func (t *table) pass(class *[256]uint8, text []byte, i int, state uint32) (at int, in, e uint32) {
	next := t.next
	for k := uint(i); k < uint(len(text)); k++ {
		e = next[state+uint32(class[text[k]])].Load()
		if !passing(e) {
			return int(k), state, e
		}
		state = e
	}
	return len(text), state, 0
}

func (r *ends) note(out *outcome, at int) {
	if k := len(r.found) - 1; k >= 0 && r.found[k].outcome == out {
		r.found[k].at = at
		return
	}
	r.found = append(r.found, end{out, at})
}
