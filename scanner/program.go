package scanner

import (
	"regexp/syntax"
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

// program is the expressions of a group as one list of instructions, which
// take characters or, through their sets, the bytes of characters.
type program struct {
	inst   []inst
	start  []uint32 // by expression: its first instruction
	first  []uint32 // by expression: its lowest instruction; its last lies before the next one's lowest
	sets   []charSet
	nodes  []charNode // 0 and 1 are not nodes: no character, and the end of one
	edges  bool       // some instruction asks for \b or \B
	bySet  map[string]uint32
	byNode map[charNode]uint32
	mark   []uint32 // by instruction: the round of reachable in which it was seen
	now    uint32
}

// op is what an instruction does.
type op uint8

const (
	opFail  op = iota
	opTake     // takes a character of set
	opAlt      // goes on at out, or else at arg
	opEdge     // goes on at out where the edges in arg hold
	opCap      // notes the offset as end arg (0 or 1) of the value
	opMatch    // the expression numbered arg has matched
	opGo       // goes on at out
)

type inst struct {
	op       op
	set      uint32
	out, arg uint32
	owner    uint32 // number of the expression
}

// charSet is a set of characters by their bytes in UTF-8.
type charSet struct {
	ascii [2]uint64
	lead  [128]uint32 // by byte from 0x80 on, as in charNode
	wide  bool        // some character beyond ASCII
}

func (s *charSet) has(c byte) bool { return c < utf8.RuneSelf && s.ascii[c>>6]>>(c&63)&1 != 0 }

// charNode is what may follow within a character: by the low six bits of the
// next byte, 0 for nothing, 1 for the character's last byte, else a node.
type charNode [64]uint32

const charEnd = 1

func newProgram() *program {
	return &program{nodes: make([]charNode, 2), bySet: map[string]uint32{}, byNode: map[charNode]uint32{}}
}

// add appends the expression re, whose value is the group numbered value (0:
// all of it), and returns its number.
func (p *program) add(re *syntax.Regexp, value int) (int, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0, err
	}
	n, base := uint32(len(p.start)), uint32(len(p.inst))
	p.start, p.first = append(p.start, base+uint32(prog.Start)), append(p.first, base)
	for i := range prog.Inst {
		from := &prog.Inst[i]
		to := inst{op: opGo, out: base + from.Out, owner: n}
		switch from.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			to.op, to.arg = opAlt, base+from.Arg
		case syntax.InstCapture:
			if value > 0 && int(from.Arg)/2 == value {
				to.op, to.arg = opCap, from.Arg%2
			}
		case syntax.InstEmptyWidth:
			to.op, to.arg = opEdge, from.Arg
			p.edges = true
		case syntax.InstMatch:
			to.op = opMatch
		case syntax.InstFail:
			to.op = opFail
		case syntax.InstNop:
		default:
			to.op, to.set = opTake, p.set(runesOf(from))
		}
		p.inst = append(p.inst, to)
	}
	return int(n), nil
}

// runesOf returns the characters that inst takes as pairs of lowest and
// highest.
func runesOf(inst *syntax.Inst) []rune {
	switch inst.Op {
	case syntax.InstRuneAny:
		return []rune{0, utf8.MaxRune}
	case syntax.InstRuneAnyNotNL:
		return []rune{0, '\n' - 1, '\n' + 1, utf8.MaxRune}
	}
	if len(inst.Rune) != 1 {
		return inst.Rune
	}
	r0 := inst.Rune[0]
	out := []rune{r0, r0}
	if inst.Op == syntax.InstRune && syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
		for r := unicode.SimpleFold(r0); r != r0; r = unicode.SimpleFold(r) {
			out = append(out, r, r)
		}
		slices.Sort(out)
	}
	return out
}

// set returns the number of the set of the characters in pairs.
func (p *program) set(pairs []rune) uint32 {
	pairs = unfolded(pairs)
	key := string(pairs)
	if n, ok := p.bySet[key]; ok {
		return n
	}
	var s charSet
	for c := range rune(utf8.RuneSelf) {
		if holds(pairs, c, c) != none {
			s.ascii[c>>6] |= 1 << (c & 63)
		}
	}
	// The first byte says how many follow and the highest bits: RFC 3629 3.
	for c := rune(0xc2); c <= 0xf4; c++ {
		switch {
		case c < 0xe0:
			s.lead[c-0x80] = p.node(pairs, c&0x1f<<6, 1)
		case c < 0xf0:
			s.lead[c-0x80] = p.node(from(pairs, 0x800), c&0x0f<<12, 2)
		default:
			s.lead[c-0x80] = p.node(from(pairs, 0x10000), c&0x07<<18, 3)
		}
		s.wide = s.wide || s.lead[c-0x80] != 0
	}
	n := uint32(len(p.sets))
	p.sets = append(p.sets, s)
	p.bySet[key] = n
	return n
}

// unfolded returns pairs less the two characters beyond ASCII that fold to s and
// k: normalised text has none (see fold).
func unfolded(pairs []rune) []rune {
	var out []rune
	for i := 0; i+1 < len(pairs); i += 2 {
		if lo := pairs[i]; lo != pairs[i+1] || lo != '\u017f' && lo != '\u212a' {
			out = append(out, lo, pairs[i+1])
		}
	}
	return out
}

// from returns pairs less the characters below lo, which have shorter forms.
func from(pairs []rune, lo rune) []rune {
	for len(pairs) > 0 && pairs[1] < lo {
		pairs = pairs[2:]
	}
	if len(pairs) > 0 && pairs[0] < lo {
		pairs = slices.Clone(pairs)
		pairs[0] = lo
	}
	return pairs
}

// node returns the node for the characters of pairs among those from lo on that
// differ in the bits of the next more bytes.
func (p *program) node(pairs []rune, lo rune, more int) uint32 {
	step := rune(1) << (6 * (more - 1))
	switch holds(pairs, lo, lo+step*64-1) {
	case none:
		return 0
	case all:
		return p.anyNode(more)
	}
	var n charNode
	for i := range n {
		from := lo + step*rune(i)
		switch {
		case more > 1:
			n[i] = p.node(pairs, from, more-1)
		case holds(pairs, from, from) != none:
			n[i] = charEnd
		}
	}
	return p.share(n)
}

// anyNode returns the node that takes any more bytes of a character.
func (p *program) anyNode(more int) uint32 {
	next := uint32(charEnd)
	if more > 1 {
		next = p.anyNode(more - 1)
	}
	var n charNode
	for i := range n {
		n[i] = next
	}
	return p.share(n)
}

func (p *program) share(n charNode) uint32 {
	if id, ok := p.byNode[n]; ok {
		return id
	}
	id := uint32(len(p.nodes))
	p.nodes = append(p.nodes, n)
	p.byNode[n] = id
	return id
}

// What holds says.
const (
	none = iota
	some
	all
)

// holds reports how many of the characters from lo to hi are in pairs, which
// are sorted.
func holds(pairs []rune, lo, hi rune) int {
	i := sort.Search(len(pairs)/2, func(i int) bool { return pairs[2*i+1] >= lo })
	switch {
	case 2*i == len(pairs) || pairs[2*i] > hi:
		return none
	case pairs[2*i] <= lo && pairs[2*i+1] >= min(hi, utf8.MaxRune):
		return all
	}
	return some
}
