package scanner

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// oracle finds with the standard library what a Scanner is to find: each
// pattern is tried at every character of the text, what stands alone is kept,
// and overlaps are settled over all of it at once.
type oracle struct {
	crowd bool // in the text at hand may be a chain of overlapping matches that a Scan settles piece by piece (maxChain)
	set   *patterns.Set
	run   []func(byte) bool   // by pattern: the class of the run that it begins with, of whose places the first counts; nil for none
	at    [][2]*regexp.Regexp // by pattern in the order of rules: at the start of a text, and one character after it
}

func newOracle(set *patterns.Set) *oracle {
	o := &oracle{set: set}
	for _, r := range set.Rules() {
		for _, p := range r.Patterns {
			if p.Terms != nil {
				o.run, o.at = append(o.run, nil), append(o.at, [2]*regexp.Regexp{})
				continue
			}
			re, _, _ := patterns.ParseRegex(p.Regex)
			o.run = append(o.run, runOf(re))
			o.at = append(o.at, [2]*regexp.Regexp{regexp.MustCompile(`\A(?P<whole>` + p.Regex + `)`), regexp.MustCompile(`\A(?s:.)(?P<whole>` + p.Regex + `)`)})
		}
	}
	return o
}

// runOf is the class of the run that re begins with; nil where it begins with none
// in the sense of docs/adr/0019: a class of ASCII, once or more and from 8 to 64
// times at most, and then one of at most four rare bytes that are not in it. It asks
// the standard library's program, not the scanner's.
func runOf(re *syntax.Regexp) func(byte) bool {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpRepeat || re.Sub[0].Sub[0].Op != syntax.OpCharClass {
		return nil
	}
	run, rest := re.Sub[0], *re
	if rest.Sub = re.Sub[1:]; run.Min < 1 || run.Max < 8 || run.Max > 64 {
		return nil
	}
	class, wide, _ := firstOf(run.Sub[0])
	next, foreign, empty := firstOf(&rest)
	if wide || foreign || empty || strings.ContainsAny(next, class) || len(next) > 4 {
		return nil
	}
	common := 0 // about, of a thousand bytes of text
	for _, c := range next {
		switch {
		case strings.ContainsRune("bpwvk,.\n-|/", c):
			common += 10
		case strings.ContainsRune("jqxz:^\"'\r\t_ETAOINSRHLDC", c):
			common += 4
		case c == ' ', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			common += 40
		default:
			common++
		}
	}
	if common > 20 {
		return nil
	}
	return func(c byte) bool { return strings.IndexByte(class, c) >= 0 }
}

// wideRunes are the characters of the first plane, outside ASCII, that a text keeps.
var wideRunes = sync.OnceValue(func() (all []rune) {
	for c := rune(utf8.RuneSelf); c <= 0xffff; c++ {
		if fold(c) == keep && latinOf(c) == 0 && enclosedDigit(c) == 0 {
			all = append(all, c)
		}
	}
	return all
})

// firstOf is the bytes of ASCII that a match of re may begin with, whether other
// characters may, and whether it may be empty.
func firstOf(re *syntax.Regexp) (ascii string, wide, empty bool) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return "", false, true
	}
	seen, todo := map[uint32]bool{}, []uint32{uint32(prog.Start)}
	var first [utf8.RuneSelf]bool
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch in := &prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstEmptyWidth, syntax.InstNop:
			todo = append(todo, in.Out)
		case syntax.InstMatch:
			empty = true
		case syntax.InstFail:
		default:
			for c := range rune(utf8.RuneSelf) {
				first[c] = first[c] || in.MatchRune(c)
			}
			wide = wide || slices.ContainsFunc(wideRunes(), in.MatchRune)
		}
	}
	for c, ok := range first {
		if ok {
			ascii += string(rune(c))
		}
	}
	return ascii, wide, empty
}

type expected struct {
	start, end, rule int
	typ              dlp.Type
	id               dlp.RuleID
	confidence       dlp.Confidence
	term             string // as it is listed, of a pattern that is words
}

func (o *oracle) find(text string) []string {
	var all []expected
	seen := map[[2]int]bool{} // pattern and end of its run
	for i := range text {
		before := i
		if i > 0 {
			_, size := utf8.DecodeLastRuneInString(text[:i])
			before -= size
		}
		n := 0
		for k, r := range o.set.Rules() {
			for _, p := range r.Patterns {
				re, inRun := o.at[n][min(i, 1)], o.run[n]
				n++
				if p.Terms != nil {
					if end, term := naiveTerm(&p, text, i); end > i && bounded(r.Boundary, []byte(text), i, end) {
						all = append(all, expected{i, end, k, r.Type, r.ID, p.Confidence, term})
					}
					continue
				}
				loc := re.FindStringSubmatchIndex(text[before:])
				if loc == nil {
					continue
				}
				whole := 2 * re.SubexpIndex("whole")
				if !bounded(r.Boundary, []byte(text), i, before+loc[whole+1]) {
					continue
				}
				value := whole
				if g := re.SubexpIndex(patterns.ValueGroup); g > 0 {
					if value = 2 * g; loc[value] < 0 || loc[value] == loc[value+1] {
						continue
					}
				}
				if inRun != nil {
					k := i
					for k < len(text) && inRun(text[k]) {
						k++
					}
					if seen[[2]int{n, k}] {
						continue
					}
					seen[[2]int{n, k}] = true
				}
				all = append(all, expected{before + loc[value], before + loc[value+1], k, r.Type, r.ID, p.Confidence, ""})
			}
		}
	}
	o.crowd = len(all) >= maxChain
	slices.SortStableFunc(all, func(a, b expected) int {
		return cmp.Or(cmp.Compare(b.confidence, a.confidence), cmp.Compare(b.end-b.start, a.end-a.start), cmp.Compare(a.start, b.start), cmp.Compare(a.rule, b.rule),
			cmp.Compare(min(len(a.term), 1), min(len(b.term), 1)))
	})
	var out []string
	var kept []expected
	for _, x := range all {
		if !slices.ContainsFunc(kept, func(k expected) bool {
			return k.start < x.end && x.start < k.end && (k.confidence > x.confidence || k.typ == x.typ)
		}) {
			kept = append(kept, x)
		}
	}
	slices.SortStableFunc(kept, func(a, b expected) int { return cmp.Compare(a.start, b.start) })
	told := map[string]dlp.Confidence{} // terms are told of once
	for _, x := range kept {
		if key := string(x.id) + " " + x.term; x.term != "" && !o.set.Rules()[x.rule].CountAll {
			if old, seen := told[key]; seen && old >= x.confidence {
				continue
			}
			told[key] = x.confidence
		}
		out = append(out, fmt.Sprintf("%05d-%05d %s %s", x.start, x.end, x.id, x.confidence))
	}
	slices.Sort(out)
	return out
}

// FeedPieces hands text to scan as one part in windows that end at cuts.
func FeedPieces(tb testing.TB, scan *Scan, p dlp.PartInfo, text string, cuts []int) {
	tb.Helper()
	if err := scan.Part(p); err != nil {
		tb.Fatal(err)
	}
	at := 0
	for _, cut := range append(slices.Clone(cuts), len(text)) {
		if err := scan.Text(dlp.Window{Offset: int64(at), Text: []byte(text[at:cut])}); err != nil {
			tb.Fatal(err)
		}
		at = cut
	}
}

// scanPlaces scans text, cut at cuts, and tells findings as oracle.find does.
func scanPlaces(tb testing.TB, s *Scanner, text string, cuts []int) []string {
	tb.Helper()
	scan := s.Begin(Options{})
	FeedPieces(tb, scan, dlp.PartInfo{}, text, cuts)
	found, gaps := scan.Finish()
	if len(gaps) > 0 {
		tb.Fatalf("gaps %v, want none", gaps)
	}
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%05d-%05d %s %s", f.Start, f.End, f.Rule, f.Confidence))
	}
	slices.Sort(out)
	return out
}

// randomExpr writes an expression of the rule language.
func randomExpr(r *rand.Rand, depth int) string {
	atoms := []string{`\d`, `\d`, `\d`, `[A-Z]`, `[a-z]`, `[0-9A-F]`, `-`, `[- ]`, `\.`, ` `, `@`, `:`, `=`, `/`, `a`, `K`, `AB`, `x1`, `(?i:mrn)`, `(?i:s)`, `é`, `[é漢]`, `[^a]`, `[^\n]`, `.`, `\w`, `\W`, `\pL`, `\b`, `\B`, `_`, `[a-z0-9.]`, `[A-Za-z0-9/]{17}`, `\b(?i:ser|sn)`, `\b\d{2}`}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		switch k := r.IntN(12); {
		case k < 6 || depth == 0:
			b.WriteString(atoms[r.IntN(len(atoms))])
		case k < 9:
			fmt.Fprintf(&b, "(?:%s)", randomExpr(r, depth-1))
		case k < 11:
			fmt.Fprintf(&b, "(?:%s|%s)", randomExpr(r, depth-1), randomExpr(r, depth-1))
		default:
			fmt.Fprintf(&b, "[a-z.]{1,%d}@", 8+r.IntN(20))
		}
		switch r.IntN(8) {
		case 0:
			b.WriteString("?")
		case 1:
			b.WriteString("??")
		case 2:
			fmt.Fprintf(&b, "{%d}", 1+r.IntN(4))
		case 3:
			fmt.Fprintf(&b, "{%d,%d}", r.IntN(2), 1+r.IntN(6))
		case 4:
			fmt.Fprintf(&b, "{0,%d}?", 1+r.IntN(3))
		}
	}
	return b.String()
}

// randomRules loads rules of random expressions; nil where the language
// refuses them.
func randomRules(tb testing.TB, r *rand.Rand) *patterns.Set {
	tb.Helper()
	var b strings.Builder
	b.WriteString("schema = 1\n")
	for i := range 1 + r.IntN(6) {
		fmt.Fprintf(&b, "[[rules]]\nid = \"r%d\"\ntype = %q\nboundary = %q\ncount = %q\n", i, []string{"CUSTOM", "SSN", "MRN"}[r.IntN(3)],
			[]string{"none", "word", "number"}[r.IntN(3)], []string{"unique", "all"}[r.IntN(2)])
		for range 1 + r.IntN(3) {
			if r.IntN(4) == 0 {
				fmt.Fprintf(&b, "  [[rules.patterns]]\n  confidence = %q\n  words = [%s]\n  plural = %t\n", []string{"low", "medium", "high"}[r.IntN(3)], randomTerms(r), r.IntN(2) == 0)
				continue
			}
			expr := randomExpr(r, 2)
			if _, _, err := patterns.ParseRegex(expr); err != nil {
				expr = `\d{3}-?\d{2}`
			}
			if r.IntN(4) == 0 {
				if valued := `(?:` + expr + `)(?P<value>` + randomExpr(r, 1) + `)`; valid(valued) {
					expr = valued
				}
			}
			fmt.Fprintf(&b, "  [[rules.patterns]]\n  confidence = %q\n  regex = '''%s'''\n", []string{"low", "medium", "high"}[r.IntN(3)], expr)
		}
	}
	path := filepath.Join(tb.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	set, err := patterns.Load(tb.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		tb.Fatalf("%v\n%s", err, b.String())
	}
	return set
}

func valid(expr string) bool {
	_, _, err := patterns.ParseRegex(expr)
	return err == nil
}

// example writes a text that re may match.
func example(r *rand.Rand, b *strings.Builder, re *syntax.Regexp) {
	repeat := func(least, most int) {
		for range least + r.IntN(most-least+1) {
			example(r, b, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		for range 4 {
			i := 2 * r.IntN(len(re.Rune)/2)
			c := re.Rune[i] + rune(r.IntN(int(min(re.Rune[i+1]-re.Rune[i], 200))+1))
			if utf8.ValidRune(c) && fold(c) == keep && latinOf(c) == 0 && enclosedDigit(c) == 0 || c >= ' ' && c < 0x7f {
				b.WriteRune(c)
				return
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteString([]string{"a", "7", "-", "é", "漢"}[r.IntN(5)])
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpAlternate:
		example(r, b, re.Sub[r.IntN(len(re.Sub))])
	default:
		for _, sub := range re.Sub {
			example(r, b, sub)
		}
	}
}

// textFor writes text in which the rules of set nearly and truly match.
func textFor(r *rand.Rand, set *patterns.Set, n int) string {
	noise := []string{" ", " ", "-", ".", "@", ":", "/", "$", "_", "a", "K", "7", "12", "536-22-8145", "word ", "é", "漢", "\n", "x1", "mrn", "MRN 4", strings.Repeat("9", 35), strings.Repeat("ab.", 20)}
	var all []*syntax.Regexp
	for _, rule := range set.Rules() {
		for _, p := range rule.Patterns {
			for _, w := range p.Terms {
				noise = append(noise, loosely(r, w), loosely(r, patterns.Plural(w)+" "))
			}
			if p.Terms != nil {
				continue
			}
			re, _, _ := patterns.ParseRegex(p.Regex)
			all = append(all, re)
		}
	}
	var b strings.Builder
	for b.Len() < n {
		if len(all) == 0 || r.IntN(3) == 0 {
			b.WriteString(noise[r.IntN(len(noise))])
		} else {
			example(r, &b, all[r.IntN(len(all))])
		}
	}
	return b.String()
}

func cutAnywhere(r *rand.Rand, text string) (cuts []int) {
	most := 1 + r.IntN(200)
	for at := r.IntN(most); at < len(text); at += 1 + r.IntN(most) {
		for at < len(text) && !utf8.RuneStart(text[at]) {
			at++
		}
		if at < len(text) {
			cuts = append(cuts, at)
		}
	}
	return cuts
}

// compared is a set of rules as both read it.
type compared struct {
	set *patterns.Set
	s   *Scanner
	o   *oracle
}

// randomCompared makes rules by r; with small, the scanner has room for one state.
func randomCompared(tb testing.TB, r *rand.Rand, small bool) compared {
	tb.Helper()
	set := randomRules(tb, r)
	c := compared{set, New(set), newOracle(set)}
	if small {
		shrink(c.s, r.IntN(2)*maxTable)
	}
	return c
}

func compareWithOracle(t *testing.T, seed uint64, small bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 19))
	c := randomCompared(t, r, small)
	for _, text := range []string{textFor(r, c.set, 30), textFor(r, c.set, 300)} {
		c.compare(t, r, seed, text)
	}
}

// compare fails t where the scanner does not find in text, whole and cut by r, what
// the oracle finds.
func (c compared) compare(t *testing.T, r *rand.Rand, seed uint64, text string) {
	t.Helper()
	want := c.o.find(text)
	if c.o.crowd {
		return
	}
	for _, cuts := range [][]int{nil, cutAnywhere(r, text)} {
		if got := scanPlaces(t, c.s, text, cuts); !slices.Equal(got, want) {
			for _, rule := range c.set.Rules() {
				for _, p := range rule.Patterns {
					t.Logf("%s %s %s %s %s %q plural %t", rule.ID, rule.Type, rule.Boundary, p.Confidence, p.Regex, p.Terms, p.Plural)
				}
			}
			t.Fatalf("seed %d, text %q cut at %v: found\n%s\nwant\n%s", seed, text, cuts, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestOracle: on random rules and random text, whole and in windows, the scanner
// finds what the standard library finds.
func TestOracle(t *testing.T) {
	n := uint64(400)
	if testing.Short() {
		n = 60
	}
	for seed := range n {
		compareWithOracle(t, seed, false)
	}
}

// FuzzOracle compares on any text. To compile rules takes a hundred times as long as
// to compare a text by them, so that there are as many sets of them as a process
// keeps, every other with a scanner without room for states. One in four texts is one
// in which its rules match.
func FuzzOracle(f *testing.F) {
	const (
		most = 500  // bytes: the oracle's time goes by their number, and few matches are longer
		sets = 1024 // of rules
	)
	f.Add(uint64(1), "536-22-8145 mrn7 é5 漢字 AB12 x12y")
	f.Add(uint64(2), "a.b@c 1:2 99999999999999999999999999999999999999 K=a")
	f.Add(uint64(3*sets), "")
	kept := map[uint64]compared{}
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		c, ok := kept[seed%sets]
		if !ok {
			c = randomCompared(t, rand.New(rand.NewPCG(seed%sets, 19)), seed%2 == 1)
			kept[seed%sets] = c
		}
		r := rand.New(rand.NewPCG(seed, 20))
		var n normalised
		n.add([]byte(strings.ReplaceAll(strings.ToValidUTF8(text[:min(len(text), most)], "?"), string(rune(turn)), ""))) // what is turned round is no text of its own
		n.flush()
		if seed/sets%4 == 3 {
			n.norm = append(n.norm, '\n') // what follows makes no word with it
			n.norm = append(n.norm, textFor(r, c.set, 1+r.IntN(100))...)
		}
		if len(n.norm) > 0 {
			c.compare(t, r, seed, string(n.norm))
		}
	})
}

type normalised = text // the parameter hides the name
