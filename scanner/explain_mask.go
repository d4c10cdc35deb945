package scanner

import (
	"slices"

	"github.com/stanch-dlp/stanch/patterns"
)

// maxSpans bounds the places of a part that are masked together; from the first
// beyond them on nothing is shown.
const maxSpans = 400_000

// maskPlace notes that p, of rule r, explained or not, matches norm[from:to] with the
// value norm[start:end]: whichever rules are asked for, masks show the same.
func (x *Explainer) maskPlace(p *patterns.Pattern, r *patterns.Rule, from, to, start, end int) {
	if x.opt.Reveal || x.blind >= 0 {
		return
	}
	lo, hi := x.own.text.rawStart(int64(start)), x.own.text.rawEnd(int64(end))
	if len(x.spans) == maxSpans {
		x.blind = lo
		return
	}
	norm := x.own.text.norm
	field, in := x.own.fields.around(lo, hi)
	part := !bounded(r.Boundary, norm, from, to) || !bounded(patterns.BoundaryWord, norm, from, to)
	if p != nil && p.Validator != "" && showsNone(r.Type) { // a date is one beside a letter too
		inNumber := from > 0 && isDigit(norm[from-1]) || to < len(norm) && isDigit(norm[to])
		part = inNumber || len(p.Refusals(string(norm[start:end]), in && field.Type == r.Type)) > 0
	}
	if p != nil && p.Supporting != nil && p.Supporting.Header && p.Supporting.Proximity == 0 { // a value under a column's name only
		part = part || !in || field.Label == ""
	}
	for i := len(x.spans) - 1; i >= 0 && x.spans[i].start == lo; i-- {
		if s := &x.spans[i]; s.end == hi && s.part == part && *s.typ == r.Type { // several patterns match the same
			return
		}
	}
	x.spans = append(x.spans, maskSpan{typ: &r.Type, start: lo, end: hi, part: part})
}

// maskParts makes the masks of the part in hand from all that was found in it.
func (x *Explainer) maskParts() {
	for i := range x.found {
		m := &x.found[i]
		if m.step != Proved || x.opt.Reveal {
			continue
		}
		r := &x.s.rules[x.s.pats[m.pattern].rule]
		lo, hi := x.own.text.rawStart(int64(m.start)), x.own.text.rawEnd(int64(m.end))
		x.spans = append(x.spans, maskSpan{typ: &r.Type, start: lo, end: hi, level: uint8(m.confidence) + 1})
	}
	x.shown = shownOf(x.spans, func(s *maskSpan) string { return string(x.raw[s.start:s.end]) }, x.joined)
	if x.blind >= 0 {
		k, _ := slices.BinarySearch(x.shown, x.blind)
		x.shown = x.shown[:k]
	}
}

// joined reports whether the value that a ends at end and b that begins behind it
// may be parts of one value: a separator stands between them, or nothing; a blank
// only where neither is a value by itself.
func (x *Explainer) joined(a, b *maskSpan, end int64) bool {
	gap := x.raw[end:b.start]
	if len(gap) != 1 {
		return len(gap) == 0
	}
	switch gap[0] {
	case '-', '.', '/', '_', ':', '+':
		return true
	case ' ':
		return a.level == 0 && b.level == 0
	}
	return false
}
