package scanner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// Outcomes of a step.
const (
	stepOK     = "ok"
	stepStops  = "stops"
	stepRaises = "raises"
	stepLowers = "lowers"
)

// describe tells of m step by step. Each outcome is that of the function by which
// a Scan decides; only the words are made here.
func (x *Explainer) describe(m *match) Candidate {
	p := &x.s.pats[m.pattern]
	r := &x.s.rules[p.rule]
	own := x.own
	c := Candidate{Rule: r.Rule, Pattern: x.indexOf(p), Part: own.part.Path, Name: own.part.Name, Line: x.line(m.start),
		Start: own.text.rawStart(int64(m.start)), End: own.text.rawEnd(int64(m.end)),
		StoppedBy: m.step, Confidence: m.confidence, Folded: m.folded, term: m.term}
	if m.step != Proved {
		c.Outcome = Stopped
	}
	value := string(x.raw[c.Start:c.End])
	c.Value = x.shown.mask(r.Type, value, c.Start)
	if x.opt.Reveal {
		c.Value = value
	}
	lists := evidenceOf(p, r)
	c.Before = x.context(lists, max(0, m.start-contextBytes), m.start)
	c.After = x.context(lists, m.end, min(len(own.text.norm), m.end+contextBytes))
	c.Steps = x.steps(m, p, r)
	if m.step != Proved && !x.opt.bare {
		c.Remedies = x.remedies(m, p, r)
	}
	return c
}

func (x *Explainer) indexOf(p *pattern) int {
	for k := range x.s.rules[p.rule].Patterns {
		if &x.s.rules[p.rule].Patterns[k] == p.Pattern {
			return k
		}
	}
	return -1
}

// evidenceOf is the lists that speak for p and against its rule.
func evidenceOf(p *pattern, r *rule) []int {
	var lists []int
	if p.support != nil {
		lists = append(lists, p.support.list)
	}
	for i := range r.demote {
		lists = append(lists, r.demote[i].list)
	}
	return lists
}

// context is the normalised text from lo to hi on one line; unless revealed,
// each run of letters and digits that is no keyword of lists becomes "***".
func (x *Explainer) context(lists []int, lo, hi int) string {
	norm := x.own.text.norm
	for lo > 0 && lo < hi && !utf8.RuneStart(norm[lo]) {
		lo++
	}
	for hi > lo && hi < len(norm) && !utf8.RuneStart(norm[hi]) {
		hi--
	}
	var b strings.Builder
	for i := lo; i < hi; {
		c := norm[i]
		switch {
		case x.opt.Reveal || !isWord(c) && c < utf8.RuneSelf:
			if c < ' ' || c == 0x7f {
				c = ' '
			}
			b.WriteByte(c)
			i++
		default:
			e := i
			for e < hi && (isWord(norm[e]) || norm[e] >= utf8.RuneSelf) {
				e++
			}
			if k := x.keywordAt(lists, i, hi); k > i {
				b.Write(norm[i:k])
				i = k
				continue
			}
			b.WriteString("***")
			i = e
		}
	}
	return b.String()
}

// keywordAt returns the end of a keyword of lists that begins at i and ends by hi.
func (x *Explainer) keywordAt(lists []int, i, hi int) (end int) {
	k, _ := slices.BinarySearchFunc(x.words, int64(i), func(w wordHit, at int64) int { return int(w.start - at) })
	for ; k < len(x.words) && x.words[k].start == int64(i); k++ {
		w := &x.words[k]
		if int(w.end) <= hi && slices.ContainsFunc(lists, func(l int) bool { return x.s.words.has(w.node, l) }) {
			end = max(end, int(w.end))
		}
	}
	return end
}

// steps is the proof of m, each step as if those before it had not stopped it.
func (x *Explainer) steps(m *match, p *pattern, r *rule) (out []StepReport) {
	say := func(step, outcome, format string, args ...any) {
		out = append(out, StepReport{step, outcome, fmt.Sprintf(format, args...)})
	}
	stops := func(ok bool) string {
		if ok {
			return stepOK
		}
		return stepStops
	}
	own, norm := x.own, x.own.text.norm
	s, e := int64(m.start), int64(m.end)
	say("boundary", stops(bounded(r.Boundary, norm, m.from, m.to)), "%s", beside(r.Boundary, norm, m.from, m.to))
	if m.step == StepValue {
		say("value", stepStops, "the group named value has no part in the match")
		return out
	}
	field, in := x.field(m)
	same := in && p.isOf(r, &field)
	if r.quiet && own.header && in {
		quiet := quietField(field.Label)
		why := "its header field is none of those for addresses, traces and dates of the mail itself"
		if quiet {
			why = "it stands in a header field for addresses, traces or dates of the mail itself"
		}
		say("header", stops(!quiet), "%s", why)
	}
	if p.support != nil {
		_, ok := own.supported(p.support, s, e, &field)
		say("evidence", stops(same || ok), "%s", x.evidence(p.support, m, field, same))
	}
	value := string(norm[m.start:m.end])
	refused := p.Refusals(value, same)
	for _, name := range checksOf(p) {
		k := slices.IndexFunc(refused, func(f patterns.Refusal) bool { return f.Check == name })
		if k < 0 {
			why := name
			if note := patterns.Note(name, value, x.opt.Reveal); note != "" {
				why += ": " + note
			}
			say("validator", stepOK, "%s", why)
			continue
		}
		say("validator", stepStops, "%s: %s", name, refused[k].Why)
	}
	values := []string{value}
	if m.term != 0 {
		values = append(values, x.s.lexicon.terms[m.term].value)
	}
	for _, value := range values {
		counted := own.canonical(r, value)
		until, listed := r.allow[string(counted)]
		if !listed && len(r.digests) > 0 {
			until, listed = r.digests[own.s.set.ValueDigest(counted)]
		}
		if listed {
			say("allowlist", stops(!own.holds(until)), "%s", x.allowlist(r, value, until))
			break
		}
	}
	if p.Index != nil {
		x.patient(m, p, &field, in, say)
	}
	x.weights(m, p, r, field, in, say)
	return out
}

// weights says what raises and what lowers the confidence of m: as weigh has it,
// it is lowered once at most, and never below low.
func (x *Explainer) weights(m *match, p *pattern, r *rule, field dlp.Span, in bool, say func(step, outcome, format string, args ...any)) {
	level, lowered := p.Confidence, false
	lower := func(step, why string) {
		switch {
		case lowered:
			say(step, stepOK, "%s, but it is lowered already", why)
		case level == dlp.Low:
			say(step, stepOK, "%s, but it is low as it is", why)
		default:
			level, lowered = level-1, true
			say(step, stepLowers, "%s", why)
		}
	}
	if in && field.Type != "" {
		why := fmt.Sprintf("the format itself says that this field is of type %s", field.Type)
		if field.Type == dlp.Definition {
			why = "the format itself says that this field names a system, a profile or a name space"
		}
		switch {
		case !p.isOf(r, &field):
			lower("field", why)
		case level < dlp.High:
			level++
			say("field", stepRaises, "%s", why)
		default:
			say("field", stepOK, "%s", why)
		}
	}
	own, s, e := x.own, int64(m.start), int64(m.end)
	if d := own.doubted(p, s, e); d != nil {
		lower(d.Step, d.Why)
	}
	for i := range r.demote {
		w := &r.demote[i]
		if named := own.fields.names(x.s.words, field.Label, w.list); named && in && p.isOf(r, &field) {
			say("demotion", stepOK, "the name of its column or field has %s, but the format itself says what it is", x.labelWord(w, field.Label))
		} else if named {
			lower("demotion", "the name of its column or field has "+x.labelWord(w, field.Label))
			continue
		}
		off, ok := own.hits.nearest(x.s.words, &own.text, w, own.fields.cell(&field), s, e)
		if !ok {
			continue
		}
		h, dist, _ := x.nearest(w, m, &field, true)
		if own.yields(p, w, off, s, e, &field, in && p.isOf(r, &field)) {
			say("demotion", stepOK, "%s: what speaks for it is nearer", x.apart(w, h, dist, m))
			continue
		}
		lower("demotion", x.apart(w, h, dist, m))
	}
}

// checksOf is the names of p's checks, in the order they are made.
func checksOf(p *pattern) (names []string) {
	for _, n := range []string{p.Validator, p.Dictionary} {
		if n != "" {
			names = append(names, n)
		}
	}
	if p.Site != nil {
		names = append(names, "site.mrn")
	}
	return names
}

// evidence says which word speaks for m, or which would have to.
func (x *Explainer) evidence(w *evidence, m *match, field dlp.Span, same bool) string {
	switch {
	case same:
		return "none needed: the format itself says what this field is"
	case w.Header && x.own.fields.names(x.s.words, field.Label, w.list):
		return "the name of its column or field has " + x.labelWord(w, field.Label)
	}
	h, dist, any := x.nearest(w, m, &field, true)
	if any && dist <= int64(w.Proximity) {
		return fmt.Sprintf("%s (at most %d)", x.apart(w, h, dist, m), w.Proximity)
	}
	why := "none of " + someWords(w.Any) + reachOf(w)
	if w.Header {
		why += ", nor in the name of its column or field"
	}
	if any {
		return why + ": the nearest, " + x.apart(w, h, dist, m)
	}
	if h, dist, any = x.nearest(w, m, &field, false); any {
		where := ", of another cell"
		if w.Before && h.end > int64(m.start) {
			where = ", on the side that does not count"
		}
		return why + ": " + x.apart(w, h, dist, m) + where
	}
	return why + ": this text has none"
}

// reachOf says how near the words of w have to stand.
func reachOf(w *evidence) string {
	if w.Proximity == 0 {
		return " right" + cmp.Or(sideOf(w), " beside it")
	}
	return " within " + bytesOf(int64(w.Proximity)) + sideOf(w)
}

func sideOf(w *evidence) string {
	if w.Before {
		return " before it"
	}
	return ""
}

// someWords is the shortest few of words.
func someWords(words []string) string {
	const few = 4
	words = slices.Clone(words)
	slices.SortStableFunc(words, func(a, b string) int { return len(a) - len(b) })
	var b strings.Builder
	for i, w := range words[:min(few, len(words))] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("`" + w + "`")
	}
	if n := len(words) - few; n > 0 {
		fmt.Fprintf(&b, " and %d more", n)
	}
	return b.String()
}

func bytesOf(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprint(n, " bytes")
}

// apart says how far the keyword at h stands from m.
func (x *Explainer) apart(w *evidence, h wordHit, dist int64, m *match) string {
	word := "`" + x.keyword(w, h.node) + "`"
	switch {
	case h.end <= int64(m.start):
		return word + ", " + bytesOf(dist) + " before it"
	case h.start >= int64(m.end):
		return word + ", " + bytesOf(dist) + " after it"
	}
	return word + ", in it"
}

// nearest returns the keyword of w that stands nearest to m; with counted only
// those on the side that counts, else those on the other.
func (x *Explainer) nearest(w *evidence, m *match, field *dlp.Span, counted bool) (best wordHit, dist int64, any bool) {
	s, e := int64(m.start), int64(m.end)
	in := x.own.fields.cell(field)
	for _, h := range x.words {
		if !x.s.words.has(h.node, w.list) || (w.Before && h.end > s || in.span != nil && !in.counts(&x.own.text, h.start, h.end, s, e)) == counted {
			continue
		}
		d := int64(0)
		switch {
		case h.end <= s:
			d = s - h.end
		case h.start >= e:
			d = h.start - e
		}
		if !any || d < dist {
			best, dist, any = h, d, true
		}
	}
	return best, dist, any
}

// labelWord is the keyword of w in a field's name.
func (x *Explainer) labelWord(w *evidence, label string) string {
	for _, node := range x.own.fields.labels[label] {
		if x.s.words.has(node, w.list) {
			return "`" + x.keyword(w, node) + "`"
		}
	}
	return "such a word"
}

// keyword is the word of w that ends at node of the vocabulary, as the rule has
// it.
func (x *Explainer) keyword(w *evidence, node int32) string {
	if x.names[w.list] == nil {
		m := map[int32]string{}
		for _, word := range w.Any {
			m[x.s.words.node(word)] = word
		}
		x.names[w.list] = m
	}
	return x.names[w.list][node]
}

// allowlist names the entry for value, which ends at until.
func (x *Explainer) allowlist(r *rule, value string, until time.Time) string {
	key := string(canonical(nil, r.Type, value))
	var lists []patterns.Allowlist
	for i := range x.s.rules {
		if alike(r, &x.s.rules[i]) {
			lists = append(lists, x.s.rules[i].Allowlists...)
		}
	}
	digest := x.s.set.ValueDigest([]byte(key))
	for _, a := range lists {
		end := a.Expires
		if !end.IsZero() {
			end = end.AddDate(0, 0, 1)
		}
		names := slices.ContainsFunc(a.Values, func(v string) bool { return string(Canonical(r.Type, v)) == key }) || slices.Contains(a.Digests, digest)
		switch {
		case !names || !end.Equal(until):
		case until.IsZero():
			return fmt.Sprintf("listed: %s", a.Description)
		case x.own.holds(until):
			return fmt.Sprintf("listed until %s: %s", a.Expires.Format(time.DateOnly), a.Description)
		default:
			return fmt.Sprintf("was listed until %s: %s", a.Expires.Format(time.DateOnly), a.Description)
		}
	}
	return "listed"
}
