package rulelint

import (
	"encoding/binary"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxStates bounds what one question about two languages may cost.
const maxStates = 20_000

// language is the texts that an expression matches whole, as a nondeterministic
// automaton whose states take one character each. It is exact on characters that
// some expression of the comparison names and on a few that stand for the rest.
type language struct {
	expr  string
	re    *syntax.Regexp
	prog  *syntax.Prog
	start []uint32   // states that may take the first character
	next  [][]uint32 // by state: those that may take the one after
	ends  []bool     // by state: a text may end behind it
	edges bool       // asks for \b or \B, which the automaton passes over
}

// newLanguage returns the language of expr, which patterns.ParseRegex has passed.
func newLanguage(expr string, re *syntax.Regexp) (*language, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	l := &language{expr: expr, re: re, prog: prog, next: make([][]uint32, len(prog.Inst)), ends: make([]bool, len(prog.Inst))}
	l.start, _ = l.closure(uint32(prog.Start))
	for pc := range prog.Inst {
		if takes(&prog.Inst[pc]) {
			l.next[pc], l.ends[pc] = l.closure(prog.Inst[pc].Out)
		}
	}
	return l, nil
}

func takes(i *syntax.Inst) bool {
	switch i.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// closure returns the instructions that take a character reached from pc without
// taking one, and whether the end is.
func (l *language) closure(pc uint32) (states []uint32, ends bool) {
	seen := map[uint32]bool{}
	work := []uint32{pc}
	for len(work) > 0 {
		pc := work[len(work)-1]
		work = work[:len(work)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch i := &l.prog.Inst[pc]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			work = append(work, i.Arg, i.Out)
		case syntax.InstCapture, syntax.InstNop:
			work = append(work, i.Out)
		case syntax.InstEmptyWidth:
			l.edges = true
			work = append(work, i.Out)
		case syntax.InstMatch:
			ends = true
		case syntax.InstFail:
		default:
			states = append(states, pc)
		}
	}
	slices.Sort(states)
	return states, ends
}

// alphabet is one character for each set of characters that some instruction of
// a and b tells apart, of ASCII, of those they name beyond it, and of a few more.
func alphabet(a, b *language) []rune {
	all := []rune{'é', 'Ω', '漢'}
	for c := rune('0'); c < 0x7f; c++ { // digits and letters first: a witness is to look like what it stands for
		all = append(all, c)
	}
	for c := rune('\t'); c < '0'; c++ {
		all = append(all, c)
	}
	for _, l := range []*language{a, b} {
		for i := range l.prog.Inst {
			for _, r := range l.prog.Inst[i].Rune {
				if r > 0x7f && len(all) < 400 {
					all = append(all, r)
				}
			}
		}
	}
	seen := map[string]bool{}
	var out []rune
	for _, r := range all {
		var key strings.Builder
		for _, l := range []*language{a, b} {
			for i := range l.prog.Inst {
				if takes(&l.prog.Inst[i]) {
					if l.prog.Inst[i].MatchRune(r) {
						key.WriteByte('1')
					} else {
						key.WriteByte('0')
					}
				}
			}
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			out = append(out, r)
		}
	}
	return out
}

// includes reports whether every text of b is one of a; known is false where
// that took too long to find out, or where \b matters.
func (l *language) includes(b *language) (all, known bool) {
	if l.edges || b.edges {
		return false, false
	}
	type state struct {
		b uint32
		a string
	}
	letters := alphabet(l, b)
	pack := func(set []uint32) string {
		var buf []byte
		for _, s := range set {
			buf = binary.LittleEndian.AppendUint32(buf, s)
		}
		return string(buf)
	}
	seen := map[state]bool{}
	var work []state
	push := func(b uint32, a string) {
		if s := (state{b, a}); !seen[s] {
			seen[s] = true
			work = append(work, s)
		}
	}
	for _, s := range b.start {
		push(s, pack(l.start))
	}
	for len(work) > 0 {
		if len(seen) > maxStates {
			return false, false
		}
		s := work[len(work)-1]
		work = work[:len(work)-1]
		for _, r := range letters {
			if !b.prog.Inst[s.b].MatchRune(r) {
				continue
			}
			var to []uint32
			ends := false
			for k := 0; k < len(s.a); k += 4 {
				pc := binary.LittleEndian.Uint32([]byte(s.a[k:]))
				if l.prog.Inst[pc].MatchRune(r) {
					to = append(to, l.next[pc]...)
					ends = ends || l.ends[pc]
				}
			}
			if b.ends[s.b] && !ends {
				return false, true
			}
			slices.Sort(to)
			packed := pack(slices.Compact(to))
			for _, n := range b.next[s.b] {
				push(n, packed)
			}
		}
	}
	return true, true
}

// meeting is the texts that two expressions match: the pairs of states that such
// a text leads through, of which a way to the end is known.
type meeting struct {
	a, b    *language
	letters []rune
	starts  []pair
	far     map[pair]int // characters to the end, at least 1
}

type pair struct{ a, b uint32 }

// meet returns the meeting of a and b; nil where they have no text in common or
// that took too long to find out.
func meet(a, b *language) *meeting {
	m := &meeting{a: a, b: b, letters: alphabet(a, b), far: map[pair]int{}}
	back := map[pair][]pair{}
	seen := map[pair]bool{}
	var work, ends []pair
	push := func(p pair) {
		if !seen[p] {
			seen[p] = true
			work = append(work, p)
		}
	}
	for _, x := range a.start {
		for _, y := range b.start {
			if m.letter(pair{x, y}, nil) != 0 {
				push(pair{x, y})
				m.starts = append(m.starts, pair{x, y})
			}
		}
	}
	for len(work) > 0 {
		if len(seen) > maxStates {
			return nil
		}
		p := work[len(work)-1]
		work = work[:len(work)-1]
		if a.ends[p.a] && b.ends[p.b] {
			ends = append(ends, p)
		}
		for _, x := range a.next[p.a] {
			for _, y := range b.next[p.b] {
				if n := (pair{x, y}); m.letter(n, nil) != 0 {
					back[n] = append(back[n], p)
					push(n)
				}
			}
		}
	}
	for _, p := range ends {
		m.far[p] = 1
	}
	for i := 0; i < len(ends); i++ {
		for _, p := range back[ends[i]] {
			if m.far[p] == 0 {
				m.far[p] = m.far[ends[i]] + 1
				ends = append(ends, p)
			}
		}
	}
	m.starts = slices.DeleteFunc(m.starts, func(p pair) bool { return m.far[p] == 0 })
	if len(m.starts) == 0 {
		return nil
	}
	return m
}

// letter returns a character that both states of p take, any of those with r, the
// first without; 0 for none.
func (m *meeting) letter(p pair, r *rand.Rand) rune {
	x, y := &m.a.prog.Inst[p.a], &m.b.prog.Inst[p.b]
	if r != nil {
		for range 40 { // one of those that the alphabet has one for
			if c := rune(' ' + r.IntN(0x5f)); x.MatchRune(c) && y.MatchRune(c) {
				return c
			}
		}
	}
	for _, c := range m.letters {
		if x.MatchRune(c) && y.MatchRune(c) {
			return c
		}
	}
	return 0
}

// text makes up a text that both match.
func (m *meeting) text(r *rand.Rand) string {
	var b strings.Builder
	p := m.starts[r.IntN(len(m.starts))]
	for {
		b.WriteRune(m.letter(p, r))
		var ways []pair
		for _, x := range m.a.next[p.a] {
			for _, y := range m.b.next[p.b] {
				if n := (pair{x, y}); m.far[n] > 0 {
					ways = append(ways, n)
				}
			}
		}
		if end := m.a.ends[p.a] && m.b.ends[p.b]; len(ways) == 0 || end && r.IntN(2) == 0 {
			return b.String()
		}
		p = ways[r.IntN(len(ways))]
	}
}

// text makes up a text that the expression matches, \b aside.
func (l *language) text(r *rand.Rand) string {
	var b strings.Builder
	write(r, &b, l.re)
	return b.String()
}

func write(r *rand.Rand, b *strings.Builder, re *syntax.Regexp) {
	repeat := func(least, most int) {
		for range least + r.IntN(most-least+1) {
			write(r, b, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(oneOf(r, re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte("aK7-"[r.IntN(4)])
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, max(re.Min, re.Max))
	case syntax.OpAlternate:
		write(r, b, re.Sub[r.IntN(len(re.Sub))])
	default:
		for _, sub := range re.Sub {
			write(r, b, sub)
		}
	}
}

// oneOf is a character of a class, one of ASCII that can be seen where it has
// such.
func oneOf(r *rand.Rand, class []rune) rune {
	var n rune
	for i := 0; i+1 < len(class); i += 2 {
		if lo, hi := max(class[i], ' '), min(class[i+1], '~'); hi >= lo {
			n += hi - lo + 1
		}
	}
	if n == 0 {
		i := 2 * r.IntN(len(class)/2)
		return class[i] + rune(r.IntN(int(min(class[i+1]-class[i], 200))+1))
	}
	at := rune(r.IntN(int(n)))
	for i := 0; i+1 < len(class); i += 2 {
		lo, hi := max(class[i], ' '), min(class[i+1], '~')
		if hi < lo {
			continue
		}
		if at <= hi-lo {
			return lo + at
		}
		at -= hi - lo + 1
	}
	return class[0]
}
