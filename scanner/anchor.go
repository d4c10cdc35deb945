package scanner

import (
	"math/bits"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

const (
	maxLead   = 64  // bytes of a leading run that are looked back over
	maxPrefix = 32  // bytes of a match before its anchor
	maxAnchor = 4   // bytes that may be the anchor of one pattern, digits aside
	maxCommon = 20  // how frequent those may be together, as frequency has it
	maxLeaves = 512 // instructions that may take a character up to the anchor
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) put(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }
func (s *byteSet) add(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
}
func (s *byteSet) len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}
func (s *byteSet) meets(o *byteSet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] != 0
}

// digits are the anchor of most patterns.
var digits = byteSet{0x3ff << '0'}

// frequency is about how many of a thousand bytes of text are c: it chooses
// between anchors, and is no promise.
func frequency(c byte) int {
	switch {
	case c >= utf8.RuneSelf, c == ' ', c >= 'a' && c <= 'z' && !isOneOf(c, "jkqvxzbpw"), isDigit(c):
		return 40
	case isOneOf(c, "bpwvk,.\n-|/"):
		return 10
	case isOneOf(c, "jqxz:^\"'\r\t_ETAOINSRHLDC"):
		return 4
	}
	return 1
}

func isOneOf(c byte, set string) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// prefixes is what stands before the first anchor in the matches of one
// expression: the instructions that take it, or the anchor itself.
type prefixes struct {
	leaves   []uint32            // instructions that may take the anchor
	before   map[uint32][]uint32 // by instruction: those that may take the character before
	begins   map[uint32]bool     // instructions that may take a match's first character
	straight bool                // a match may begin with its anchor
}

// reachable returns the instructions that take a character or accept, reached
// from pc without taking one, whatever edges are asked for.
func (p *program) reachable(pc uint32) []uint32 {
	return p.reachableAt(pc, edgeUnknown)
}

// reachableAt is reachable where the edge at the place is e.
func (p *program) reachableAt(pc uint32, e edges) []uint32 {
	var out []uint32
	for len(p.mark) < len(p.inst) {
		p.mark = append(p.mark, 0)
	}
	p.now++
	stack := []uint32{pc}
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if p.mark[pc] == p.now {
			continue
		}
		p.mark[pc] = p.now
		switch i := &p.inst[pc]; i.op {
		case opAlt:
			stack = append(stack, i.arg, i.out)
		case opGo, opCap:
			stack = append(stack, i.out)
		case opEdge:
			if e == edgeUnknown || i.holdsAt(e) {
				stack = append(stack, i.out)
			}
		case opTake, opMatch:
			out = append(out, pc)
		}
	}
	return out
}

// beginsWithin reports whether expression 0 may begin with a byte of set, all of
// them parts of words, after another part of a word.
func (p *program) beginsWithin(set *byteSet) bool {
	return slices.ContainsFunc(p.reachableAt(p.start[0], edgeAbsent), func(pc uint32) bool {
		takes := p.bytesAt(pc)
		return takes.meets(set)
	})
}

// bytesAt returns the bytes that the instruction at pc may begin with.
func (p *program) bytesAt(pc uint32) (set byteSet) {
	i := &p.inst[pc]
	if i.op != opTake {
		return set
	}
	s := &p.sets[i.set]
	set[0], set[1] = s.ascii[0], s.ascii[1]
	for k, to := range s.lead {
		if to != 0 {
			set.put(byte(0x80 + k))
		}
	}
	return set
}

// anchored tells whether each match of expression n has a byte of anchor among
// its first bytes, and what may stand before the first such byte.
func (p *program) anchored(n int, anchor *byteSet) (pre prefixes, ok bool) {
	pre = prefixes{before: map[uint32][]uint32{}, begins: map[uint32]bool{}}
	depth := map[uint32]int{} // how early an instruction may take its character
	queue := p.reachable(p.start[n])
	for _, pc := range queue {
		pre.begins[pc] = true
		depth[pc] = 0
	}
	for k := 0; k < len(queue); k++ {
		pc := queue[k]
		i := &p.inst[pc]
		if i.op == opMatch || len(queue) > maxLeaves || depth[pc] > maxPrefix {
			return pre, false
		}
		s := &p.sets[i.set]
		takes := p.bytesAt(pc)
		if takes.meets(anchor) {
			pre.leaves = append(pre.leaves, pc)
			pre.straight = pre.straight || pre.begins[pc]
		}
		rest := [2]uint64{s.ascii[0] &^ anchor[0], s.ascii[1] &^ anchor[1]}
		if rest == [2]uint64{} && !s.wide {
			continue
		}
		for _, to := range p.reachable(i.out) {
			pre.before[to] = append(pre.before[to], pc)
			if _, seen := depth[to]; !seen {
				depth[to] = depth[pc] + 1
				queue = append(queue, to)
			}
		}
	}
	return pre, p.bounded(&pre, queue)
}

// bounded reports whether no prefix is longer than maxPrefix bytes.
func (p *program) bounded(pre *prefixes, queue []uint32) bool {
	longest := map[uint32]int{}
	const walking = -1
	var walk func(pc uint32) int // the most bytes before the character that pc takes
	walk = func(pc uint32) int {
		if n, ok := longest[pc]; ok {
			if n == walking {
				return maxPrefix + 1 // a circle
			}
			return n
		}
		longest[pc] = walking
		most := 0
		for _, b := range pre.before[pc] {
			size := 1
			if p.sets[p.inst[b].set].wide {
				size = utf8.UTFMax
			}
			if most = max(most, walk(b)+size); most > maxPrefix {
				break
			}
		}
		longest[pc] = most
		return most
	}
	for _, pc := range queue {
		if walk(pc) > maxPrefix {
			return false
		}
	}
	return true
}

// lead is a pattern that begins with a run of a class and then has a byte
// outside it, such as the @ of an address: it is looked for from that byte.
type lead struct {
	min, max int // length of the run
	class    byteSet
	anchor   byteSet
}

// leading tells whether re is a run of a class, at least eight long at most,
// followed by one of few bytes outside it.
func leading(re *syntax.Regexp) (l lead, ok bool) {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 {
		return l, false
	}
	run := re.Sub[0]
	if run.Op != syntax.OpRepeat || run.Max < 8 || run.Max > maxLead || run.Min < 1 || run.Sub[0].Op != syntax.OpCharClass {
		return l, false
	}
	l.min, l.max = run.Min, run.Max
	if l.class, ok = firstBytes(run.Sub[0]); !ok || l.class[2]|l.class[3] != 0 { // a run of characters of several bytes
		return l, false
	}
	rest := *re
	rest.Sub = re.Sub[1:]
	if l.anchor, ok = firstBytes(&rest); !ok {
		return l, false
	}
	common := 0
	for c := range 256 {
		if l.anchor.has(byte(c)) {
			common += frequency(byte(c))
		}
	}
	return l, !l.anchor.meets(&l.class) && l.anchor.len() <= maxAnchor && common <= maxCommon
}

// minRun is how long a run must be to be looked for by samples.
const minRun = 16

// longRun is patterns that begin with a long run of a class, longer than words
// are: every step-th byte is looked at.
type longRun struct {
	class byteSet
	step  int // the shortest run, at most maxLead
}

// running tells whether re begins with a run of at least minRun bytes of a class.
func running(re *syntax.Regexp) (r longRun, ok bool) {
	for re.Op == syntax.OpCapture || re.Op == syntax.OpConcat && len(re.Sub) > 0 {
		sub := re.Sub
		for len(sub) > 1 && sub[0].Op == syntax.OpWordBoundary {
			sub = sub[1:]
		}
		re = sub[0]
	}
	if re.Op != syntax.OpRepeat || re.Min < minRun || re.Sub[0].Op != syntax.OpCharClass {
		return r, false
	}
	r.step = min(re.Min, maxLead)
	r.class, ok = firstBytes(re.Sub[0])
	return r, ok && r.class[2]|r.class[3] == 0
}

// firstBytes returns the bytes that a match of re can begin with; false where
// it can be empty.
func firstBytes(re *syntax.Regexp) (set byteSet, ok bool) {
	p := newProgram()
	if _, err := p.add(re, 0); err != nil {
		return set, false
	}
	for _, pc := range p.reachable(p.start[0]) {
		if p.inst[pc].op == opMatch {
			return set, false
		}
		b := p.bytesAt(pc)
		set.add(&b)
	}
	return set, true
}

// anchorOf chooses the bytes from which expression 0 of p is looked for: the
// rarest that every match has near its beginning. ok is false where there are
// none.
func (p *program) anchorOf() (best byteSet, ok bool) {
	rarest := maxCommon + 1
	try := func(set byteSet) {
		common := 0
		for c := range 256 {
			if set.has(byte(c)) {
				common += frequency(byte(c))
			}
		}
		if set.len() == 0 || set.len() > maxAnchor || common >= rarest {
			return
		}
		if _, anchored := p.anchored(0, &set); anchored {
			best, rarest, ok = set, common, true
		}
	}
	// By place: the bytes that may stand there. And the symbols: each alone,
	// and those that may be the first symbol of a match.
	level := p.reachable(p.start[0])
	var symbols byteSet
	for c := range byte(utf8.RuneSelf) {
		if (!isWord(c) || c == '_') && c > ' ' {
			symbols.put(c)
		}
	}
	if pre, anchored := p.anchored(0, &symbols); anchored {
		var set byteSet
		for _, pc := range pre.leaves {
			b := p.bytesAt(pc)
			for i := range set {
				set[i] |= b[i] & symbols[i]
			}
		}
		try(set)
	}
	for range maxPrefix {
		var set byteSet
		var next []uint32
		for _, pc := range level {
			if p.inst[pc].op == opMatch {
				return best, ok
			}
			b := p.bytesAt(pc)
			set.add(&b)
			next = append(next, p.reachable(p.inst[pc].out)...)
		}
		try(set)
		slices.Sort(next)
		level = slices.Compact(next)
	}
	return best, ok
}
