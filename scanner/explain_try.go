package scanner

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// edit is a change of a text: put instead of a value, with before and after
// around it.
type edit struct{ before, put, after string }

// remedies is what would have made m a finding: each is tried on the text around
// m by a Scan for its rule alone.
func (x *Explainer) remedies(m *match, p *pattern, r *rule) (out []Remedy) {
	if m.step == StepValue || m.step == StepQuiet {
		return nil
	}
	value := string(x.raw[x.own.text.rawStart(int64(m.start)):x.own.text.rawEnd(int64(m.end))])
	now, isNow := x.scanChanged(m, r, edit{put: value}, nil)
	better := func(change string, c dlp.Confidence, ok bool) {
		if ok && (!isNow || c > now) {
			out = append(out, Remedy{change, c})
		}
	}
	offer := func(change string, e edit) {
		c, ok := x.scanChanged(m, r, e, nil)
		better(change, c, ok)
	}
	switch m.step {
	case StepBoundary:
		offer("standing alone, with a blank on each side", edit{" ", value, " "})
	case StepEvidence:
		w := p.support
		word := w.Any[0]
		field, _ := x.field(m)
		if h, _, any := x.nearest(w, m, &field, true); any {
			word = x.keyword(w, h.node)
		}
		change := "with one of " + someWords(w.Any) + reachOf(w)
		switch {
		case w.Proximity == 0 && w.Header: // only the column counts in practice
			c, ok := x.scanChanged(m, r, edit{put: value}, &word)
			better(fmt.Sprintf("in a column or field named one of %s", someWords(w.Any)), c, ok)
		case w.Header:
			change += ", or in the name of its column or field"
			fallthrough
		default:
			offer(change, edit{word + strings.Repeat(" ", min(1, w.Proximity)), value, ""})
		}
	}
	for _, other := range x.rewritten(value, r) {
		shown := other
		if !x.opt.Reveal {
			shown = x.maskRewritten(r.Type, value, other, x.own.text.rawStart(int64(m.start)))
		}
		before := len(out)
		if offer("written "+shown, edit{put: other}); len(out) > before {
			break
		}
	}
	return out
}

// maskRewritten masks other, a form that rewritten gives value, which begins at
// offset start of the part: its letters and digits show what value's show.
func (x *Explainer) maskRewritten(t dlp.Type, value, other string, start int64) string {
	last := lastOf(t, value)
	var may []bool // by letter or digit
	for i := range len(value) {
		if isWord(value[i]) && value[i] != '_' {
			_, ok := slices.BinarySearch(x.shown, start+int64(i))
			may = append(may, ok && slices.Contains(last, i))
		}
	}
	return maskWhere(t, other, func(offset int) bool {
		k := 0
		for i := range offset {
			if isWord(other[i]) && other[i] != '_' {
				k++
			}
		}
		return k < len(may) && may[k]
	})
}

// scanChanged tells how sure the rule is of the place of m in the text around it
// as e changes it, in a field of that name if label is not nil; ok is false where
// it finds nothing there.
func (x *Explainer) scanChanged(m *match, r *rule, e edit, label *string) (best dlp.Confidence, ok bool) {
	s := x.s.why.alone(x.s, r)
	start, end := x.own.text.rawStart(int64(m.start)), x.own.text.rawEnd(int64(m.end))
	around := s.behind + s.ahead
	lo, hi := max(0, start-around), min(int64(len(x.raw)), end+around)
	for lo > 0 && !utf8.RuneStart(x.raw[lo]) {
		lo--
	}
	for hi < int64(len(x.raw)) && !utf8.RuneStart(x.raw[hi]) {
		hi++
	}
	changed := slices.Concat(x.raw[lo:start], []byte(e.before), []byte(e.put), []byte(e.after), x.raw[end:hi])
	delta := int64(len(e.before)+len(e.put)+len(e.after)) - (end - start)
	var spans []dlp.Span
	for _, f := range x.own.fields.spans {
		if f.End <= lo || f.Start >= hi {
			continue
		}
		if f.Start >= end {
			f.Start += delta
		}
		if f.End >= end {
			f.End += delta
		}
		f.Start, f.End = max(f.Start, lo)-lo, f.End-lo
		if label != nil && f.Start <= start-lo && f.End >= end-lo {
			f.Label = *label
		}
		spans = append(spans, f)
	}
	from := start - lo + int64(len(e.before))
	to := from + int64(len(e.put))
	if label != nil && len(spans) == 0 {
		spans = []dlp.Span{{Start: from, End: to, Label: *label}}
	}
	scan := s.Begin(Options{Now: x.opt.Now, testing: x.opt.testing})
	if err := scan.Part(x.own.part); err != nil {
		return 0, false
	}
	if err := scan.Text(dlp.Window{Text: changed, Spans: spans}); err != nil {
		return 0, false
	}
	found, _ := scan.Finish()
	for _, f := range found {
		if f.Start < to && from < f.End {
			best, ok = max(best, f.Confidence), true
		}
	}
	return best, ok
}

// maxRewrites bounds the forms of a value that are tried.
const maxRewrites = 8

// rewritten is value in other forms that patterns of r match: the same letters
// and digits with other separators.
func (x *Explainer) rewritten(value string, r *rule) (out []string) {
	var keep []byte
	for i := range len(value) {
		if c := value[i]; isDigit(c) || isWord(c) && c != '_' {
			keep = append(keep, c)
		}
	}
	if len(keep) == 0 {
		return nil
	}
	for k := range r.Patterns {
		re, _, err := patterns.ParseRegex(r.Patterns[k].Regex)
		if err != nil {
			continue
		}
		if form, ok := regrouped(re, keep); ok && form != value && !slices.Contains(out, form) {
			if out = append(out, form); len(out) == maxRewrites {
				break
			}
		}
	}
	return out
}

// separators is what regrouped may put between letters and digits, the usual
// first.
const separators = "-. /()"

// regrouped returns the shortest text that re matches whole whose letters and
// digits are keep; false where there is none.
func regrouped(re *syntax.Regexp, keep []byte) (string, bool) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return "", false
	}
	type state struct {
		pc uint32
		at int
	}
	type step struct {
		state
		text string
	}
	seen := map[state]bool{}
	var level, next []step
	var follow func(s step) // in the order of preference
	follow = func(s step) {
		if seen[s.state] {
			return
		}
		seen[s.state] = true
		switch inst := &prog.Inst[s.pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			follow(step{state{inst.Out, s.at}, s.text})
			follow(step{state{inst.Arg, s.at}, s.text})
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth: // the Scan that tries it has the last word on \b
			follow(step{state{inst.Out, s.at}, s.text})
		case syntax.InstFail:
		default:
			next = append(next, s)
		}
	}
	follow(step{state{uint32(prog.Start), 0}, ""})
	for len(next) > 0 {
		level, next = next, nil
		for _, s := range level {
			inst := &prog.Inst[s.pc]
			if inst.Op == syntax.InstMatch {
				if s.at == len(keep) {
					return s.text, true
				}
				continue
			}
			if s.at < len(keep) && inst.MatchRune(rune(keep[s.at])) {
				follow(step{state{inst.Out, s.at + 1}, s.text + string(rune(keep[s.at]))})
			}
			for _, c := range separators {
				if inst.MatchRune(c) {
					follow(step{state{inst.Out, s.at}, s.text + string(c)})
					break
				}
			}
		}
	}
	return "", false
}
