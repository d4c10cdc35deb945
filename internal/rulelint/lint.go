// Package rulelint finds in a set of rules what their author may not mean.
//
// It promises that what it calls wrong is: that a pattern finds nothing, as the
// scanner shows. The rest are warnings, each with what to do. Questions about
// the languages of expressions are answered by automata within bounds, and by
// texts made from the expressions where that takes too long, which is said.
package rulelint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

const (
	maxMade    = 20_000 // texts made from an expression to find some that pass its checks
	fewMade    = 12     // texts of two rules that are scanned
	someMade   = 200    // texts that stand for a language where automata do not tell
	maxWitness = 2_000  // texts of two expressions' meeting made to find one that passes both checks
)

// Problem is one thing that an author may not mean.
type Problem struct {
	patterns.Error
	Wrong bool // it cannot be meant; else a warning
}

// Options say what is linted, and with what.
type Options struct {
	// Rules are those spoken of; nil: all of the set.
	Rules []*patterns.Rule
	// CSV hands the parts of a test in CSV to sink, as extraction would; nil: what
	// such tests reach is not known, and not asked for.
	CSV func(ctx context.Context, text string, sink dlp.Sink) error
	// Corpus, if not nil, is text that keywords are counted in.
	Corpus *Corpus
}

// Lint returns what it finds in the order of rules. Its error is that of ctx or
// of reading a test.
func Lint(ctx context.Context, set *patterns.Set, opt Options) ([]Problem, error) {
	l := &linter{set: set, opt: opt, languages: map[string]*language{}, told: map[[2]dlp.RuleID]bool{}}
	if l.opt.Rules == nil {
		l.opt.Rules = set.Rules()
	}
	for _, r := range l.opt.Rules {
		if err := l.rule(ctx, r); err != nil {
			return nil, err
		}
	}
	return l.out, nil
}

type linter struct {
	set       *patterns.Set
	opt       Options
	languages map[string]*language
	told      map[[2]dlp.RuleID]bool // pairs of rules that overlap
	out       []Problem
}

func (l *linter) say(wrong bool, r *patterns.Rule, k int, key, format string, args ...any) {
	p := &r.Patterns[k]
	l.out = append(l.out, Problem{patterns.Error{File: p.File, Line: p.Line, Key: fmt.Sprintf("%s.patterns[%d].%s", r.ID, k, key),
		Want: fmt.Sprintf(format, args...)}, wrong})
}

// language returns the language of an expression.
func (l *linter) language(expr string) *language {
	if x, ok := l.languages[expr]; ok {
		return x
	}
	re, _, err := patterns.ParseRegex(expr)
	if err != nil {
		panic("rulelint: an expression passed loading and does not parse")
	}
	x, err := newLanguage(expr, re)
	if err != nil {
		panic("rulelint: an expression passed loading and does not compile")
	}
	l.languages[expr] = x
	return x
}

func (l *linter) rule(ctx context.Context, r *patterns.Rule) error {
	alive, err := l.reach(ctx, r)
	if err != nil {
		return err
	}
	for k := range r.Patterns {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("rulelint: %w", err)
		}
		if r.Patterns[k].Site != nil {
			continue // the site's forms follow its configuration, not the author
		}
		l.common(r, k)
		if r.Patterns[k].Waits() {
			continue // what it finds is the table's
		}
		if r.Patterns[k].Terms != nil {
			continue // words are found as they are written
		}
		if r.Patterns[k].Index != nil {
			continue // what it finds is the patient index's, of which tests know nothing
		}
		if alive[k] != reached && alive[k] != onlyProved && l.never(r, k) {
			continue
		}
		if alive[k] != reached && alive[k] != unknown {
			l.say(false, r, k, "regex", "a match test that this pattern alone or beside others finds: none of the rule's tests reaches it")
		}
		l.shadowed(r, k)
		l.hidden(r, k)
		l.overlapping(r, k)
	}
	return nil
}

// Forms reports those of the site's own record numbers that no text can have: no
// match of the expression ends in the check digit, or by its digits none can lie in
// the range. Key is that of the configuration, and Line is 0.
func Forms(site *patterns.Site) (out []Problem) {
	l := &linter{languages: map[string]*language{}}
	for i := range site.MRN {
		f := site.MRN[i]
		say := func(key, format string, args ...any) {
			out = append(out, Problem{Error: patterns.Error{File: "stanch.toml", Key: fmt.Sprintf("site.mrn[%d].%s", i, key), Want: fmt.Sprintf(format, args...)}})
		}
		bounds := f.Range
		f.Range = nil
		texts, matched := l.made(&patterns.Pattern{Regex: f.Regex, Site: &f}, someForms)
		switch {
		case matched == 0:
			say("regex", `an expression that can match by itself: of %d texts made from it none does`, maxMade)
		case len(texts) == 0:
			say("check", "a check digit that some number of this form has: none of %d texts made from regex does", matched)
		case len(bounds) == 2 && !slices.ContainsFunc(texts, func(t string) bool { return mayLie(digitsOf(t), digitsOf(bounds[0]), digitsOf(bounds[1])) }):
			say("range", "two numbers between which some number of this form lies: none of %d texts made from regex has as many digits, or begins as these do", len(texts))
		}
	}
	return out
}

// someForms is how many texts stand for all beginnings of a form.
const someForms = 5_000

// digitsOf is the digits of s without zeros in front.
func digitsOf(s string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s), "0")
}

// mayLie reports whether a number written like n, of which only how many digits it
// has and the first of them are looked at, can lie between lo and hi: a text made
// at random tells no more.
func mayLie(n, lo, hi string) bool {
	if len(n) < len(lo) || len(n) == len(lo) && n != "" && n[0] < lo[0] {
		return false
	}
	return len(n) < len(hi) || len(n) == len(hi) && (n == "" || n[0] <= hi[0])
}

// source is a source of texts that is the same each time.
func source() *rand.Rand { return rand.New(rand.NewPCG(27, 5)) }

// made is texts that a pattern's expression matches whole and whose values pass
// its checks, at most n of them; matched is how many were made that match.
func (l *linter) made(p *patterns.Pattern, n int) (texts []string, matched int) {
	lang, r := l.language(p.Regex), source()
	whole := []*regexp.Regexp{regexp.MustCompile(`\A(?:` + p.Regex + `)\z`)}
	if lang.edges { // a \B may want a letter beside it
		whole = append(whole, regexp.MustCompile(`\Ax(?:`+p.Regex+`)x\z`))
	}
	for range maxMade {
		if len(texts) == n {
			break
		}
		text := lang.text(r)
		for beside, re := range whole {
			beside := "x"[:beside]
			m := re.FindStringSubmatch(beside + text + beside)
			if m == nil {
				continue
			}
			value := text
			if g := re.SubexpIndex(patterns.ValueGroup); g > 0 {
				value = m[g]
			}
			if value == "" {
				continue
			}
			if matched++; p.Valid(value) {
				texts = append(texts, text)
			}
			break
		}
	}
	return texts, matched
}

// setting is a text around a match in which it may be found.
type setting struct{ before, after, label string }

// settings are places in which a pattern may find something, with a word for it
// where it asks for one.
func settings(w *patterns.Words) []setting {
	if w == nil {
		return []setting{{" ", " ", ""}, {"", "", ""}, {"x", "x", ""}, {"7", "7", ""}, {"x", " ", ""}, {" ", "x", ""}}
	}
	words := slices.Clone(w.Any)
	slices.SortStableFunc(words, func(a, b string) int { return len(a) - len(b) })
	var out []setting
	for _, word := range words[:min(3, len(words))] {
		out = append(out, setting{word + " ", " ", ""}, setting{word + ":", " ", ""}, setting{"", "", word}, setting{" ", " " + word, ""}, setting{word, "", ""},
			setting{word + "x", "x", ""})
	}
	return out
}

// finds reports whether s finds something in text as the setting has it.
func finds(s *scanner.Scanner, text string, in setting) []dlp.Finding {
	scan := s.Begin(scanner.Options{})
	feed(scan, text, in)
	found, _ := scan.Finish()
	return slices.DeleteFunc(found, func(f dlp.Finding) bool {
		return f.Start >= int64(len(in.before)+len(text)) || f.End <= int64(len(in.before))
	})
}

func feed(sink dlp.Sink, text string, in setting) {
	w := dlp.Window{Text: []byte(in.before + text + in.after)}
	if in.label != "" {
		w.Spans = []dlp.Span{{Start: int64(len(in.before)), End: int64(len(in.before) + len(text)), Label: in.label, Group: 1}}
	}
	if sink.Part(dlp.PartInfo{MediaType: "text/plain"}) == nil {
		_ = sink.Text(w) // one window, from the part's start: it follows
	}
}

// never reports that pattern k finds nothing, and why; silently where what it
// finds does not depend on the rule alone.
func (l *linter) never(r *patterns.Rule, k int) bool {
	p := &r.Patterns[k]
	texts, matched := l.made(p, someMade)
	if matched == 0 {
		l.say(false, r, k, "regex", `an expression that can match by itself: of %d texts made from it none does; look at \b and \B`, maxMade)
		return true
	}
	if len(texts) == 0 {
		l.say(false, r, k, "validator", "a form that some value of %s has: none of %d texts made from the expression passes", checksOf(p), matched)
		return true
	}
	s := scanner.New(l.set.OfPattern(r.ID, k))
	for _, text := range texts {
		for _, in := range settings(p.Supporting) {
			if len(finds(s, text, in)) > 0 {
				return false
			}
		}
	}
	key, why, certain := stopped(s, texts[0], settings(p.Supporting))
	if key == "" {
		return true // what it finds is not in the rule
	}
	l.say(certain && len(texts) == someMade, r, k, key, "a pattern that can find something: %s", why)
	return true
}

func checksOf(p *patterns.Pattern) string {
	if p.Validator == "" || p.Dictionary == "" {
		return p.Validator + p.Dictionary
	}
	return p.Validator + " and " + p.Dictionary
}

// stopped says by an explanation what is in the way of text, in the first setting
// in which the expression matches; it is certain where that does not depend on
// which text was made.
func stopped(s *scanner.Scanner, text string, all []setting) (key, why string, certain bool) {
	var e scanner.Explanation
	for i := 0; i < len(all) && len(e.Candidates) == 0; i++ {
		x := s.Explain(scanner.ExplainOptions{Reveal: true})
		feed(x, text, all[i])
		e = x.Finish()
	}
	if len(e.Candidates) == 0 {
		return "regex", fmt.Sprintf("text is normalised before it is matched, and what the expression asks for is not in it any more; %q, made from it, is read as plain ASCII", text), true
	}
	c := e.Candidates[0]
	for _, step := range c.Steps {
		if step.Outcome != "stops" {
			continue
		}
		switch c.StoppedBy {
		case scanner.StepBoundary:
			return "regex", fmt.Sprintf("the rule's boundary and the expression contradict each other; around %q, made from it: %s", text, step.Why), true
		case scanner.StepEvidence:
			return "supporting.proximity", fmt.Sprintf("no word of supporting can stand so near: %s", step.Why), true
		case scanner.StepAllowlist:
			return "regex", fmt.Sprintf("an allowlist takes away each of %d texts made from it: %s", someMade, step.Why), false
		}
		return "", "", false // by what the site has, such as an index of its own
	}
	return "regex", "nothing made from it is found", false
}

// shadowed reports that another pattern of the rule finds all that pattern k does,
// no less surely and asking for no more.
func (l *linter) shadowed(r *patterns.Rule, k int) {
	p := &r.Patterns[k]
	for i := range r.Patterns {
		q := &r.Patterns[i]
		if i == k || q.Site != nil || q.Terms != nil || q.Confidence < p.Confidence || !asksNoMore(q, p) || q.Regex == p.Regex {
			continue // the same expression: patterns.Lint says so
		}
		if asksNoMore(p, q) && p.Confidence == q.Confidence && i > k {
			if all, _ := l.language(p.Regex).includes(l.language(q.Regex)); all {
				continue // each has the other's language: the later one is told
			}
		}
		all, known := l.language(q.Regex).includes(l.language(p.Regex))
		if known && !all {
			continue
		}
		if !l.prefers(q, p) {
			continue
		}
		how := "every text it matches"
		if !known {
			how = fmt.Sprintf("each of %d texts made from it", someMade)
		}
		l.say(false, r, k, "regex", "a use for this pattern: the one in line %d finds %s, no less surely and asking for no more; take this one out, or ask less of it or be surer", q.Line, how)
		return
	}
}

// hidden reports that another rule of the type finds all that pattern k does: of one
// type a place gives one finding (docs/contract.md, scan), and it is the other's.
func (l *linter) hidden(r *patterns.Rule, k int) {
	p, later := &r.Patterns[k], true // the rules looked at come before r
	for _, o := range l.set.Rules() {
		if o.ID == r.ID {
			later = false
			continue
		}
		if o.Type != r.Type || len(o.Demote) > 0 || o.Boundary != r.Boundary && o.Boundary != patterns.BoundaryNone || len(o.Allowlists) > 0 && r.Type == "CUSTOM" {
			continue
		}
		for i := range o.Patterns {
			q := &o.Patterns[i]
			wins := q.Confidence > p.Confidence || later && q.Confidence == p.Confidence
			if !wins || q.Site != nil || q.Terms != nil || q.Index != nil || q.Waits() || !asksNoMore(q, p) {
				continue
			}
			if all, known := l.language(q.Regex).includes(l.language(p.Regex)); !known || !all || !l.prefers(q, p) {
				continue
			}
			l.say(false, r, k, "regex", "a text that %s (%s, line %d) leaves to it: that rule is of the same type and finds every text this pattern matches, as surely and asking for no more, and of one type a place gives one finding; ask less here, be surer, or take this one out",
				o.ID, q.File, q.Line)
			return
		}
	}
}

// asksNoMore reports whether all that q asks for beside its expression p asks for
// too.
func asksNoMore(q, p *patterns.Pattern) bool {
	if q.Validator != "" && q.Validator != p.Validator || q.Dictionary != "" && q.Dictionary != p.Dictionary {
		return false
	}
	a, b := q.Supporting, p.Supporting
	if a == nil || b == nil {
		return a == nil
	}
	if a.Proximity < b.Proximity || b.Header && !a.Header || a.Before && !b.Before {
		return false
	}
	return !slices.ContainsFunc(b.Any, func(w string) bool { return !slices.Contains(a.Any, w) })
}

// prefers reports whether q matches, as far as a search that prefers as it does,
// the whole of texts made from p.
func (l *linter) prefers(q, p *patterns.Pattern) bool {
	re := regexp.MustCompile(`\A(?:` + q.Regex + `)`)
	whole := regexp.MustCompile(`\A(?:` + p.Regex + `)\z`)
	if strings.Contains(p.Regex, "(?P<"+patterns.ValueGroup+">") != strings.Contains(q.Regex, "(?P<"+patterns.ValueGroup+">") {
		return false // the findings are not the same
	}
	lang, r, n := l.language(p.Regex), source(), 0
	for range 10 * someMade {
		text := lang.text(r)
		if !whole.MatchString(text) {
			continue
		}
		if loc := re.FindStringIndex(text); loc == nil || loc[1] != len(text) {
			return false
		}
		if n++; n == someMade {
			break
		}
	}
	return n > 0
}

// overlapping reports a rule of another type that finds the same place as surely
// as pattern k does, which then counts as both.
func (l *linter) overlapping(r *patterns.Rule, k int) {
	p := &r.Patterns[k]
	for _, o := range l.set.Rules() {
		if o.Type == r.Type || l.told[[2]dlp.RuleID{r.ID, o.ID}] || l.told[[2]dlp.RuleID{o.ID, r.ID}] {
			continue
		}
		for i := range o.Patterns {
			q := &o.Patterns[i]
			word, same := sharedWord(p.Supporting, q.Supporting)
			if q.Site != nil || q.Terms != nil || !same || p.Confidence != q.Confidence || p.MinBytes > q.MaxBytes || q.MinBytes > p.MaxBytes {
				continue
			}
			if word != "" && (lowers(r, word) || lowers(o, word)) {
				continue // the author has weighed the one against the other
			}
			text, in := l.both(r, o, p, q, word)
			if text == "" {
				continue
			}
			l.told[[2]dlp.RuleID{r.ID, o.ID}] = true
			where := ""
			if word != "" {
				where = " where " + fmt.Sprintf("%q", word) + " stands " + map[bool]string{true: "before it", false: "beside it"}[in.before != " "]
			}
			l.say(false, r, k, "regex", "a form that tells it from %s of %s (%s, line %d): both find %q%s, made for this, at %s; ask one for a word or a check that the other does not have, or make one surer",
				o.Type, o.ID, q.File, q.Line, text, where, p.Confidence)
			break
		}
	}
}

// lowers reports whether word demotes what r finds.
func lowers(r *patterns.Rule, word string) bool {
	return slices.ContainsFunc(r.Demote, func(w patterns.Words) bool { return slices.Contains(w.Any, word) })
}

// sharedWord returns a word that is evidence for both; same is false where one
// needs evidence that the other does not have.
func sharedWord(a, b *patterns.Words) (word string, same bool) {
	if a == nil || b == nil {
		return "", a == nil && b == nil
	}
	for _, w := range a.Any {
		if slices.Contains(b.Any, w) {
			return w, true
		}
	}
	return "", false
}

// both makes up a text that p of r and q of o find alike, "" where none came up.
func (l *linter) both(r, o *patterns.Rule, p, q *patterns.Pattern, word string) (string, setting) {
	m := meet(l.language(p.Regex), l.language(q.Regex))
	if m == nil {
		return "", setting{}
	}
	first, second := regexp.MustCompile(`\A(?:`+p.Regex+`)\z`), regexp.MustCompile(`\A(?:`+q.Regex+`)\z`)
	in := setting{" ", " ", ""}
	if word != "" {
		in.before = word + " "
	}
	var s *scanner.Scanner
	src, tried := source(), 0
	for range maxWitness {
		text := m.text(src)
		if !first.MatchString(text) || !second.MatchString(text) || !passes(p, first, text) || !passes(q, second, text) {
			continue
		}
		if s == nil {
			s = scanner.New(l.set.Only(r.ID, o.ID))
		}
		if alike(finds(s, text, in), r, o) {
			return text, in
		}
		if tried++; tried == fewMade {
			break
		}
	}
	return "", setting{}
}

// passes reports whether the value in text passes p's checks.
func passes(p *patterns.Pattern, whole *regexp.Regexp, text string) bool {
	if g := whole.SubexpIndex(patterns.ValueGroup); g > 0 {
		text = whole.FindStringSubmatch(text)[g]
	}
	return text != "" && p.Valid(text)
}

// alike reports whether among found are both rules, equally sure.
func alike(found []dlp.Finding, r, o *patterns.Rule) bool {
	for _, a := range found {
		for _, b := range found {
			if a.Rule == r.ID && b.Rule == o.ID && a.Confidence == b.Confidence && a.Confidence >= dlp.Medium && a.Start == b.Start && a.End == b.End {
				return true
			}
		}
	}
	return false
}

// What the tests of a rule do for one of its patterns.
const (
	notReached = iota
	onlyProved // it proves something in a no_match test
	unknown    // some of the tests could not be read
	reached    // it proves something in a match test, or is low and does in any
)

// reach runs the tests of r and says what they do for each pattern.
func (l *linter) reach(ctx context.Context, r *patterns.Rule) ([]int, error) {
	s := scanner.New(l.set.Only(r.ID))
	refs := s.Patterns()
	out := make([]int, len(r.Patterns))
	tables, matches := false, false
	for _, test := range r.Tests {
		matches = matches || test.Match
		scan := s.Begin(scanner.Options{OnProof: func(n int, step scanner.Step) {
			k := refs[n].Pattern
			switch {
			case step != scanner.Proved:
			case test.Match || r.Patterns[k].Confidence < dlp.Medium:
				out[k] = reached
			default:
				out[k] = max(out[k], onlyProved)
			}
		}})
		switch {
		case test.As == "":
			if err := scanner.Feed(scan, dlp.PartInfo{MediaType: "text/plain"}, []byte(test.Text)); err != nil {
				return nil, fmt.Errorf("rulelint: %w", err)
			}
		case l.opt.CSV != nil:
			if err := l.opt.CSV(ctx, test.Text, scan); err != nil {
				return nil, fmt.Errorf("rulelint: read a test of %s: %w", r.ID, err)
			}
		default:
			tables = true
		}
		scan.Finish()
	}
	for k := range out {
		w := r.Patterns[k].Supporting
		if out[k] != reached && (!matches || tables && w != nil && w.Header) { // without match tests patterns.Lint has said so
			out[k] = max(out[k], unknown)
		}
	}
	return out, nil
}
