package scanner

import (
	"math/bits"
	"regexp/syntax"
	"unicode/utf8"
)

const (
	depth     = 12 // bytes of a candidate that the filter looks at
	groupSize = 64 // patterns that one group of masks holds
	maxLead   = 64 // bytes of a leading run that are looked back over
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

// group says, for up to groupSize patterns at once, which of them a match may
// begin with the bytes at hand: bit i of at[k][c] is set when pattern i may
// have c as its byte k, counted from its start.
type group struct {
	at    [depth][256]uint64
	prev  [256]uint64 // by the byte before
	first int         // number of the pattern that bit 0 stands for
}

// lead is a pattern that begins with a run of a class and then has a byte
// outside it, such as the @ of an address: it is looked for from that byte.
type lead struct {
	pattern  int
	min, max int // length of the run
	class    byteSet
	anchor   byteSet
}

// prefixes returns, for each of the first depth bytes of a match of re, the
// bytes that can stand there. It errs on the side of more.
func prefixes(re *syntax.Regexp) ([depth]byteSet, error) {
	var sets [depth]byteSet
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return sets, err
	}
	states := closure(prog, []uint32{uint32(prog.Start)})
	for k := range depth {
		next, open := stepSet(prog, states, &sets[k])
		if open {
			for i := k; i < depth; i++ {
				if i > k || sets[i].len() == 0 || accepting(prog, states) {
					sets[i].all()
				}
			}
			return sets, nil
		}
		states = closure(prog, next)
	}
	return sets, nil
}

// stepSet collects into set the bytes that states can take. open says that
// nothing is known of the bytes after: a match may have ended, or a character
// of several bytes been taken.
func stepSet(prog *syntax.Prog, states []uint32, set *byteSet) (next []uint32, open bool) {
	open = len(states) == 0 || accepting(prog, states)
	for _, pc := range states {
		inst := &prog.Inst[pc]
		for c := range utf8.RuneSelf {
			if takes(inst, rune(c)) {
				set.add(byte(c))
			}
		}
		if takesWide(inst) {
			open = true
			for c := utf8.RuneSelf; c < 256; c++ {
				set.add(byte(c))
			}
		}
		next = append(next, inst.Out)
	}
	return next, open
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

// closure returns the states that take a character or accept, reached from
// states without taking one.
func closure(prog *syntax.Prog, states []uint32) []uint32 {
	var out []uint32
	seen := make([]bool, len(prog.Inst))
	stack := append([]uint32(nil), states...)
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

func accepting(prog *syntax.Prog, states []uint32) bool {
	for _, pc := range states {
		if prog.Inst[pc].Op == syntax.InstMatch {
			return true
		}
	}
	return false
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
	class, err := prefixes(run.Sub[0])
	if err != nil || class[0].has(utf8.RuneSelf) { // a run of characters of several bytes
		return l, false
	}
	l.class = class[0]
	rest := *re
	rest.Sub = re.Sub[1:]
	after, err := prefixes(&rest)
	if err != nil {
		return l, false
	}
	l.anchor = after[0]
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
