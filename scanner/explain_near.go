package scanner

import (
	"cmp"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/patterns"
)

const (
	maxNear      = 100     // near misses of a document
	maxNearBytes = 1 << 20 // of a part in which they are looked for
	nearTwo      = 8       // bytes from which on an expression's match may differ in two places
	nearOne      = 4       // and in one
)

// NearMiss is a word or number of the text that a pattern's expression does not
// match, but would if one or two of its characters were others.
type NearMiss struct {
	Rule       *patterns.Rule
	Pattern    int
	Part, Name string
	Line       int
	Start, End int64
	Value      string // as in Candidate
	Before     string
	After      string
	Differs    []string // in the order of the text
	from, to   int      // in normalised text
	lists      []int    // what is evidence beside it
}

// lookNear looks for near misses in the part in hand, away from what the same
// rule's expressions match.
func (x *Explainer) lookNear() []NearMiss {
	norm := x.own.text.norm
	if len(norm) > maxNearBytes {
		norm = norm[:maxNearBytes]
		x.out.NearCut = true
	}
	var out []NearMiss
	for _, pl := range x.s.why.pats {
		n := pl.g.patterns[pl.expr]
		p := &x.s.pats[n]
		if !x.explains(x.s.rules[p.rule].ID) {
			continue
		}
		a := x.nearly[n]
		if a == nil {
			a = newApproximator(p)
			x.nearly[n] = a
		}
		for at := 0; a.most > 0 && at < len(norm); at++ {
			if at > 0 && isWord(norm[at-1]) || norm[at] == ' ' || norm[at] == '\n' {
				continue
			}
			end, differs := a.match(norm, at)
			if end == 0 || x.taken(p.rule, at, end) {
				continue
			}
			if out = x.addNear(out, p, at, end, differs); len(out) > 8*maxNear {
				x.out.NearCut = true
				break
			}
		}
	}
	slices.SortStableFunc(out, func(a, b NearMiss) int { return cmp.Compare(a.from, b.from) })
	if room := maxNear - len(x.out.Near); len(out) > room {
		out, x.out.NearCut = out[:room], true
	}
	for i := range out {
		m := &out[i]
		x.maskPlace(nil, m.Rule, m.from, m.to, m.from, m.to)
	}
	return out
}

// describeNear tells of near misses, once the masks of their part are made.
func (x *Explainer) describeNear(near []NearMiss) {
	for i := range near {
		m := &near[i]
		if m.Value = string(x.raw[m.Start:m.End]); !x.opt.Reveal {
			m.Value = x.shown.mask(m.Rule.Type, m.Value, m.Start)
		}
		m.Before = x.context(m.lists, max(0, m.from-contextBytes), m.from)
		m.After = x.context(m.lists, m.to, min(len(x.own.text.norm), m.to+contextBytes))
	}
	x.out.Near = append(x.out.Near, near...)
}

// addNear adds one, or puts it in the place of one of the same rule that it
// overlaps and beats.
func (x *Explainer) addNear(out []NearMiss, p *pattern, at, end int, differs []string) []NearMiss {
	r := &x.s.rules[p.rule]
	m := NearMiss{Rule: r.Rule, Pattern: x.indexOf(p), Part: x.own.part.Path, Name: x.own.part.Name, Line: x.line(at),
		Start: x.own.text.rawStart(int64(at)), End: x.own.text.rawEnd(int64(end)), Differs: differs, from: at, to: end, lists: evidenceOf(p, r)}
	for i := range out {
		o := &out[i]
		if o.Rule != m.Rule || o.Start >= m.End || m.Start >= o.End {
			continue
		}
		if len(m.Differs) > len(o.Differs) || len(m.Differs) == len(o.Differs) && m.End-m.Start <= o.End-o.Start {
			return out
		}
		out = slices.Delete(out, i, i+1)
		break
	}
	return append(out, m)
}

// taken reports whether some expression of the rule matches in [from, to).
func (x *Explainer) taken(rule, from, to int) bool {
	return slices.ContainsFunc(x.found, func(m match) bool { return x.s.pats[m.pattern].rule == rule && m.from < to && from < m.to })
}

// approximator finds what an expression nearly matches: by its program, with at
// most so many characters missing, too many or different.
type approximator struct {
	prog  *syntax.Prog
	most  int // differences
	bytes int // longest match
	mark  []int
	round int
	lists [2][3][]nearState
}

type nearState struct {
	pc      uint32
	differs [2]difference
}

// difference is one character of a text that an expression does not take.
type difference struct {
	kind byte   // '-' missing, '+' too many, '~' another
	at   int32  // offset in the text
	pc   uint32 // the instruction that wants one
}

func newApproximator(p *pattern) *approximator {
	a := &approximator{bytes: p.MaxBytes}
	re, _, err := patterns.ParseRegex(p.Regex)
	if err != nil {
		return a
	}
	if a.prog, err = syntax.Compile(re.Simplify()); err != nil {
		return a
	}
	switch {
	case p.MinBytes >= nearTwo:
		a.most = 2
	case p.MinBytes >= nearOne:
		a.most = 1
	}
	a.mark = make([]int, 3*len(a.prog.Inst))
	return a
}

// match returns the end of the longest text from at on that the expression nearly
// matches and that ends where a word does, with the fewest differences, one at
// least; 0 for none.
func (a *approximator) match(text []byte, at int) (end int, differs []string) {
	a.round++
	for k := range a.lists[0] {
		a.lists[0][k] = a.lists[0][k][:0]
	}
	best := a.most + 1
	var found nearState
	now := 0
	note := func(k, i int, s nearState) {
		if (k < best || k == best && i > end) && i > at && (i == len(text) || !isWord(text[i])) {
			best, end, found = k, i, s
		}
	}
	a.add(0, 0, at, nearState{pc: uint32(a.prog.Start)}, note)
	for i := at; i < len(text) && i-at < a.bytes+a.most; {
		r, size := utf8.DecodeRune(text[i:])
		a.round++
		next := 1 - now
		for k := range a.lists[next] {
			a.lists[next][k] = a.lists[next][k][:0]
		}
		alive := false
		for k := range a.most + 1 {
			for _, s := range a.lists[now][k] {
				inst := &a.prog.Inst[s.pc]
				alive = true
				to := s
				if to.pc = inst.Out; inst.MatchRune(r) {
					a.add(next, k, i+size, to, note)
				}
				if k == a.most {
					continue
				}
				blank := r <= ' ' // the next word is no part of this one
				apart := r < utf8.RuneSelf && !isWord(byte(r))
				if to.differs[k] = (difference{'~', int32(i), s.pc}); !inst.MatchRune(r) && !(apart && takesWord(inst)) {
					a.add(next, k+1, i+size, to, note)
				}
				stay := s
				if stay.differs[k] = (difference{'+', int32(i), s.pc}); !blank {
					a.add(next, k+1, i+size, stay, note)
				}
			}
		}
		if !alive {
			break
		}
		now, i = next, i+size
	}
	if best == 0 || best > a.most || end == 0 {
		return 0, nil
	}
	for _, d := range found.differs[:best] {
		differs = append(differs, a.words(d, text, at))
	}
	return end, differs
}

// add follows s without taking a character.
func (a *approximator) add(list, k, at int, s nearState, note func(k, at int, s nearState)) {
	slot := 3*int(s.pc) + k
	if a.mark[slot] == a.round {
		return
	}
	a.mark[slot] = a.round
	inst := &a.prog.Inst[s.pc]
	to := s
	switch inst.Op {
	case syntax.InstMatch:
		note(k, at, s)
	case syntax.InstFail:
	case syntax.InstAlt, syntax.InstAltMatch:
		to.pc = inst.Out
		a.add(list, k, at, to, note)
		to.pc = inst.Arg
		a.add(list, k, at, to, note)
	case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
		to.pc = inst.Out
		a.add(list, k, at, to, note)
	default:
		a.lists[list][k] = append(a.lists[list][k], s)
		if k < a.most {
			to.pc = inst.Out
			to.differs[k] = difference{'-', int32(at), s.pc}
			a.add(list, k+1, at, to, note)
		}
	}
}

// takesWord reports whether inst takes digits or letters.
func takesWord(inst *syntax.Inst) bool {
	return inst.MatchRune('0') || inst.MatchRune('a') || inst.MatchRune('A') || inst.MatchRune('X')
}

// words says what differs, of a match that begins at from.
func (a *approximator) words(d difference, text []byte, from int) string {
	n := 1 + utf8.RuneCount(text[from:d.at])
	switch d.kind {
	case '-':
		return fmt.Sprintf("lacks %s as character %d", wanted(&a.prog.Inst[d.pc]), n)
	case '+':
		return fmt.Sprintf("has %s too many as character %d", kindOf(text[d.at]), n)
	}
	return fmt.Sprintf("has %s where %s is wanted as character %d", kindOf(text[d.at]), wanted(&a.prog.Inst[d.pc]), n)
}

// wanted names what an instruction takes.
func wanted(inst *syntax.Inst) string {
	var takes []byte
	digits, letters := 0, 0
	for c := byte(' '); c < 0x7f; c++ {
		if !inst.MatchRune(rune(c)) {
			continue
		}
		takes = append(takes, c)
		switch {
		case isDigit(c):
			digits++
		case isWord(c) && c != '_':
			letters++
		}
	}
	switch {
	case len(takes) == 1:
		return "`" + string(takes) + "`"
	case len(takes) > 0 && len(takes) == digits:
		return "a digit"
	case len(takes) > 0 && len(takes) == letters:
		return "a letter"
	case len(takes) > 0 && len(takes) == digits+letters:
		return "a letter or digit"
	case len(takes) > 0 && len(takes) <= 6:
		return "one of `" + string(takes) + "`"
	}
	return "a character of its class"
}
