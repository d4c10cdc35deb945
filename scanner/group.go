package scanner

import (
	"regexp/syntax"
	"slices"

	"github.com/stanch-dlp/stanch/patterns"
)

// group is patterns that are looked for from the same bytes.
type group struct {
	prog     *program
	patterns []int               // numbers of the patterns, by expression
	exprs    []*pattern          // those, made by Scanner.take
	bounds   []patterns.Boundary // by expression
	needs    []uint64            // by expression: maskOf the words that its pattern asks for, or unasked
	match    *matcher
	anywhere []bool // by expression: may begin within a word
	within   bool   // some may

	anchor   byteSet
	back     *lazy    // where anchor is not empty and lead is nil: from an anchor backward to where matches may begin
	lead     *lead    // the one pattern begins with a run before its anchor
	long     *longRun // the patterns begin with long runs
	words    bool     // without an anchor: matches begin where words do
	pairs    pairs    // without an anchor: the pairs of bytes that a match may begin with
	free     pairs    // of those, the pairs of what asks for no words
	asks     uint64   // without an anchor: needs of what asks for some, together
	forms    *forms   // with digits as anchor
	precede  byteSet  // with an anchor: the bytes that may stand before it in a match
	straight bool     // with an anchor: a match may begin with it
}

// maxSpecial is how many different bytes, digits aside, are looked for.
const maxSpecial = 12

// sorter puts patterns into groups.
type sorter struct {
	groups   []*group
	digits   *group
	rest     *group
	long     *group
	byAnchor map[byteSet]*group
	special  byteSet // the anchors so far, digits aside
}

func newSorter() *sorter { return &sorter{byAnchor: map[byteSet]*group{}} }

// add puts p, which is number n, into the group that it is looked for with.
func (s *sorter) add(n int, p *pattern, b patterns.Boundary) error {
	re, _, err := patterns.ParseRegex(p.Regex)
	if err != nil {
		return err
	}
	value := max(slices.Index(re.CapNames(), patterns.ValueGroup), 0)
	p.valued = value > 0
	anywhere := b == patterns.BoundaryNone
	g := s.choose(re, anywhere)
	if _, err := g.prog.add(re, value); err != nil {
		return err
	}
	needs := uint64(unasked)
	if p.support != nil {
		needs = maskOf(p.support.list)
	}
	g.patterns, g.anywhere, g.needs = append(g.patterns, n), append(g.anywhere, anywhere), append(g.needs, needs)
	g.bounds = append(g.bounds, b)
	return nil
}

func (s *sorter) choose(re *syntax.Regexp, anywhere bool) *group {
	if l, ok := leading(re); ok && s.room(&l.anchor) {
		g := s.group()
		g.lead, g.anchor = &l, l.anchor
		return g
	}
	one := newProgram()
	if _, err := one.add(re, 0); err == nil {
		// A match that begins within a run of digits cannot be found from the run's start.
		if pre, ok := one.anchored(0, &digits); ok && !(anywhere && pre.straight && one.beginsWithin(&digits)) {
			if s.digits == nil {
				s.digits = s.group()
				s.digits.anchor = digits
			}
			return s.digits
		}
		if set, ok := one.anchorOf(); ok && s.room(&set) {
			if s.byAnchor[set] == nil {
				s.byAnchor[set] = s.group()
				s.byAnchor[set].anchor = set
			}
			return s.byAnchor[set]
		}
	}
	if r, ok := running(re); ok {
		if s.long == nil {
			s.long = s.group()
			s.long.long = &longRun{step: maxLead}
		}
		s.long.long.class.add(&r.class)
		s.long.long.step = min(s.long.long.step, r.step)
		return s.long
	}
	if s.rest == nil {
		s.rest = s.group()
	}
	return s.rest
}

// room reports whether the bytes of set may be looked for, too.
func (s *sorter) room(set *byteSet) bool {
	sum := s.special
	sum.add(set)
	if sum.len() > maxSpecial {
		return false
	}
	s.special = sum
	return true
}

func (s *sorter) group() *group {
	g := &group{prog: newProgram()}
	s.groups = append(s.groups, g)
	return g
}

// ready makes the automata of g, to which no pattern is added any more.
func (g *group) ready() {
	g.match = newMatcher(g.prog, g.anywhere)
	g.match.needs = g.needs
	g.within = slices.Contains(g.anywhere, true)
	switch {
	case g.lead != nil, g.long != nil:
	case g.anchor.len() > 0:
		g.back = g.newBack()
		if g.anchor == digits {
			g.forms = g.newForms()
		}
	default:
		g.pairs = g.newPairs(func(int) bool { return true })
		g.free = g.newPairs(func(n int) bool { return g.needs[n] == unasked })
		for _, needs := range g.needs {
			g.asks |= needs &^ unasked
		}
		g.words = true
		for c := range 256 {
			for place := range g.pairs {
				some := [4]uint64(g.pairs[place][4*c:]) != [4]uint64{}
				g.words = g.words && !(some && (place == afterWord || !isWord(byte(c))))
			}
		}
	}
}

// newBack makes the automaton that walks backward from what stands before an
// anchor. A state is the instructions that may take the character that ends
// before the current place, or some byte of it. Its transitions have an output
// where a match may begin at the byte that was taken. It forgets what edges are
// asked for, what bytes a character beyond ASCII has and which of its bytes the
// anchor is, so it errs on the side of more.
func (g *group) newBack() *lazy {
	before, begins := map[uint32][]uint32{}, map[uint32]bool{}
	var root []uint64
	for n := range g.patterns {
		pre, _ := g.prog.anchored(n, &g.anchor)
		g.straight = g.straight || pre.straight
		for pc, list := range pre.before {
			before[pc] = list
		}
		for pc := range pre.begins {
			begins[pc] = true
		}
		for _, pc := range pre.leaves {
			for _, b := range pre.before[pc] {
				root = append(root, uint64(b))
				takes := g.prog.bytesAt(b)
				if g.prog.sets[g.prog.inst[b].set].wide {
					takes.add(&byteSet{2: ^uint64(0), 3: ^uint64(0)})
				}
				g.precede.add(&takes)
			}
		}
	}
	slices.Sort(root)
	root = slices.Compact(root)
	for i := range g.precede {
		g.precede[i] &^= g.anchor[i]
	}
	var next []uint64
	yes := []uint16{0}
	step := func(set []uint64, c int) ([]uint64, []uint16) {
		next = next[:0]
		if c == endOfText || g.anchor.has(byte(c)) {
			return nil, nil
		}
		var out []uint16
		for _, x := range set {
			pc := uint32(x)
			s := &g.prog.sets[g.prog.inst[pc].set]
			switch {
			case s.has(byte(c)):
			case c >= 0x80 && s.wide:
				next = append(next, x)
			default:
				continue
			}
			if begins[pc] {
				out = yes
			}
			for _, b := range before[pc] {
				next = append(next, uint64(b))
			}
		}
		slices.Sort(next)
		next = slices.Compact(next)
		return next, out
	}
	return newLazy(append(g.prog.columns(), func(c byte) uint32 {
		if g.anchor.has(c) {
			return 1
		}
		return 0
	}), step, [][]uint64{root})
}

// pairs is a bit for each pair of bytes: after another byte than one of a word, and
// after one.
type pairs [2][]uint64

// newPairs tells with which two bytes a match of the expressions that has holds for
// may begin.
func (g *group) newPairs(has func(n int) bool) (p pairs) {
	for place := range p {
		p[place] = make([]uint64, 1<<16/64)
		for n, start := range g.prog.start {
			if !has(n) || place == afterWord && !g.anywhere[n] {
				continue
			}
			for first, e := range map[bool]edges{true: edgeBetween(place == afterWord, true), false: edgeBetween(place == afterWord, false)} {
				for _, pc := range g.prog.reachableAt(start, e) {
					g.addPairs(p[place], pc, first)
				}
			}
		}
	}
	return p
}

// addPairs adds the pairs that the instruction at pc begins, with a byte of a
// word or another.
func (g *group) addPairs(pairs []uint64, pc uint32, word bool) {
	i := &g.prog.inst[pc]
	takes, second := g.prog.bytesAt(pc), byteSet{}
	if g.prog.sets[i.set].wide { // a further byte of the same character
		second = byteSet{2: ^uint64(0), 3: ^uint64(0)}
	}
	for _, to := range g.prog.reachable(i.out) {
		b := g.prog.bytesAt(to)
		if g.prog.inst[to].op == opMatch {
			b = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		}
		second.add(&b)
	}
	for c := range 256 {
		if takes.has(byte(c)) && isWord(byte(c)) == word {
			for k := range second {
				pairs[c*4+k] |= second[k]
			}
		}
	}
}

// begins reports whether what stands at text[at:] is one of p.
func (p *pairs) begins(text []byte, at, place int) bool {
	if at+1 == len(text) {
		return true
	}
	return p[place][int(text[at])*4+int(text[at+1]>>6)]>>(text[at+1]&63)&1 != 0
}
