package scanner

import (
	"math/bits"
	"regexp/syntax"
	"unicode/utf8"
)

const (
	depth   = 16 // bytes of a candidate that the filter looks at
	maxLead = 64 // bytes of a leading run that are looked back over
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }
func (s *byteSet) all()            { *s = [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)} }
func (s *byteSet) len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}
func (s *byteSet) union(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
}
func (s *byteSet) meets(o *byteSet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] != 0
}

// lead is a pattern that begins with a run of a class and then has a byte
// outside it, such as the @ of an address: it is looked for from that byte.
type lead struct {
	pattern  int
	min, max int // length of the run
	class    byteSet
	anchor   byteSet
}

// firstBytes returns the bytes that a match of re can begin with, all of them
// where it can be empty.
func firstBytes(re *syntax.Regexp) (set byteSet, err error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return set, err
	}
	for _, pc := range closure(prog, uint32(prog.Start)) {
		inst := &prog.Inst[pc]
		if inst.Op == syntax.InstMatch {
			set.all()
		}
		taken := bytesOf(inst)
		set.union(&taken)
	}
	return set, nil
}

// bytesOf returns the bytes that inst takes: ASCII, and every byte beyond
// where it takes a character beyond.
func bytesOf(inst *syntax.Inst) (set byteSet) {
	for c := range utf8.RuneSelf {
		if takes(inst, rune(c)) {
			set.add(byte(c))
		}
	}
	if takesWide(inst) {
		for c := utf8.RuneSelf; c < 256; c++ {
			set.add(byte(c))
		}
	}
	return set
}

func takes(inst *syntax.Inst, r rune) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1:
		return inst.MatchRune(r)
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return false
}

// takesWide reports whether inst takes a character beyond ASCII that can stand
// in normalised text. The two that fold to s and k cannot (see fold).
func takesWide(inst *syntax.Inst) bool {
	switch inst.Op {
	case syntax.InstRune1:
		return inst.Rune[0] >= utf8.RuneSelf
	case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	case syntax.InstRune:
		if len(inst.Rune) == 1 { // one character, perhaps in either case
			return inst.Rune[0] >= utf8.RuneSelf
		}
		for i := 0; i+1 < len(inst.Rune); i += 2 {
			lo, hi := inst.Rune[i], inst.Rune[i+1]
			if hi >= utf8.RuneSelf && !(lo == hi && (lo == '\u017f' || lo == '\u212a')) {
				return true
			}
		}
	}
	return false
}

// closure returns the states that take a character or accept, reached from pc
// without taking one.
func closure(prog *syntax.Prog, pc uint32) []uint32 {
	var out []uint32
	seen := make([]bool, len(prog.Inst))
	stack := []uint32{pc}
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			stack = append(stack, inst.Out)
		case syntax.InstFail:
		default:
			out = append(out, pc)
		}
	}
	return out
}

// leading tells whether re is a run of a class, at least eight long at most,
// followed by something that cannot begin with a byte of the class, a letter,
// a digit or a space.
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
	var err error
	l.class, err = firstBytes(run.Sub[0])
	if err != nil || l.class.has(utf8.RuneSelf) { // a run of characters of several bytes
		return l, false
	}
	rest := *re
	rest.Sub = re.Sub[1:]
	if l.anchor, err = firstBytes(&rest); err != nil {
		return l, false
	}
	var common byteSet
	for c := range 256 {
		if isWord(byte(c)) && c != '_' || c == ' ' {
			common.add(byte(c))
		}
	}
	return l, !l.anchor.meets(&l.class) && !l.anchor.meets(&common) && l.anchor.len() < 32
}

// hasWordEdge reports whether re asks for \b or \B somewhere.
func hasWordEdge(re *syntax.Regexp) bool {
	if re.Op == syntax.OpWordBoundary || re.Op == syntax.OpNoWordBoundary {
		return true
	}
	for _, sub := range re.Sub {
		if hasWordEdge(sub) {
			return true
		}
	}
	return false
}
