package scanner

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	maxShown  = 4  // characters that a masked value shows
	maxMasked = 64 // characters that a masked value has
)

// Mask returns value for people who need not know it: at most its last four
// letters and digits, no more than a third of its characters (to the nearest),
// the rest as asterisks, separators as they are: "***-**-8145". Names, dates, patients and
// secrets show nothing. It is at most 64 characters long. Of values that overlap
// each mask shows another part: [MaskFindings] masks these as one.
func Mask(t dlp.Type, value string) string {
	return maskWhere(t, value, func(int) bool { return true })
}

// MaskFindings masks the values of the findings of one Document, each as [Mask]
// does and those that overlap as one: together they show no more of any of them
// than its own mask would.
func MaskFindings(found []dlp.Finding, values []string) []string {
	out, byPart := make([]string, len(found)), map[string][]int{}
	for i := range found {
		byPart[found[i].Path] = append(byPart[found[i].Path], i)
	}
	for _, of := range byPart {
		spans := make([]maskSpan, len(of))
		for k, i := range of {
			f := &found[i]
			spans[k] = maskSpan{typ: &f.Type, start: f.Start, end: f.End, level: uint8(f.Confidence) + 1, of: int32(i)}
		}
		shown := shownOf(spans, func(s *maskSpan) string { return values[s.of] }, nil)
		for _, i := range of {
			out[i] = shown.mask(found[i].Type, values[i], found[i].Start)
		}
	}
	return out
}

// allowance is how many letters and digits a mask of value may show.
func allowance(t dlp.Type, value string) int {
	n := utf8.RuneCountInString(value)
	if n < 3 || showsNone(t) || t == "PATIENT" {
		return 0
	}
	return min(maxShown, (n+1)/3)
}

// showsNone reports whether no part of a value of type t may be shown, whatever
// else has its place.
func showsNone(t dlp.Type) bool {
	return hidesForm(t) || t == "DOB" || t == "DATE" || t == "AGE_OVER_89"
}

// hidesForm reports whether not even the form of a value of type t is shown.
func hidesForm(t dlp.Type) bool {
	switch t {
	case "NAME", "ADDRESS", "SECRET", "CONDITION", "DRUG", "LAB", "BIOMETRIC", "PHOTO":
		return true
	}
	return false
}

// separates reports whether a mask leaves r as it is.
func separates(r rune) bool {
	return r < unicode.MaxASCII && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// lastOf returns the offsets of the letters and digits that a mask of value
// shows, the last first.
func lastOf(t dlp.Type, value string) (at []int) {
	n := allowance(t, value)
	for i := len(value); i > 0 && len(at) < n; {
		r, size := utf8.DecodeLastRuneInString(value[:i])
		if i -= size; !unicode.IsControl(r) && !separates(r) {
			at = append(at, i)
		}
	}
	return at
}

// maskWhere masks value; of what Mask shows only that for whose offset may holds.
func maskWhere(t dlp.Type, value string, may func(offset int) bool) string {
	if hidesForm(t) {
		return "***"
	}
	last := lastOf(t, value)
	var out []rune
	for i, r := range value {
		switch {
		case unicode.IsControl(r):
			r = ' '
		case separates(r):
		case !slices.Contains(last, i) || !may(i):
			r = '*'
		}
		out = append(out, r)
	}
	return string(out[max(0, len(out)-maxMasked):])
}

// maskSpan is a place of a part's text that may be a value. Text full of numbers has
// hundreds of thousands, so each is small, and its value stays where it is.
type maskSpan struct {
	start, end int64 // as a Finding has them
	typ        *dlp.Type
	of         int32 // whose place it is, where values are given apart
	level      uint8 // 0: not proved, else its confidence from 1
	part       bool  // of a longer word or number: it is no value in its own right
}

// shown is the offsets of a part's text whose characters masks may show, in order.
type shown []int64

func (s shown) mask(t dlp.Type, value string, start int64) string {
	return maskWhere(t, value, func(i int) bool {
		_, ok := slices.BinarySearch(s, start+int64(i))
		return ok
	})
}

// shownOf makes one mask of each run of spans that overlap, or that joined says
// hang together across what stands between them. It shows what Mask shows of the
// surest and longest value in the run; no value that is as sure (if none is
// proved: none at all) has more shown than it may have. text is what stands at a place.
func shownOf(spans []maskSpan, text func(*maskSpan) string, joined func(a, b *maskSpan, end int64) bool) (out shown) {
	slices.SortFunc(spans, func(a, b maskSpan) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) })
	for len(spans) > 0 {
		n, last := 1, 0
		for n < len(spans) {
			end := spans[last].end
			if spans[n].start >= end && (joined == nil || !joined(&spans[last], &spans[n], end)) {
				break
			}
			if spans[n].end > end {
				last = n
			}
			n++
		}
		out = append(out, shownOfRun(spans[:n], text)...)
		spans = spans[n:]
	}
	return out
}

// shownOfRun is what the one mask of a run shows.
func shownOfRun(run []maskSpan, text func(*maskSpan) string) (out shown) {
	order := make([]*maskSpan, 0, len(run))
	for i := range run {
		if !run[i].part {
			order = append(order, &run[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *maskSpan) int {
		return cmp.Or(cmp.Compare(b.level, a.level), cmp.Compare(b.end-b.start, a.end-a.start))
	})
	if len(order) == 0 {
		return nil
	}
	if k := slices.IndexFunc(order, func(s *maskSpan) bool { return s.level == 0 }); k > 0 {
		order = order[:k] // what is no value does not count beside one
	}
	var heads []*maskSpan // apart from each other, by start
	for _, s := range order {
		k, _ := slices.BinarySearchFunc(heads, s.start, func(h *maskSpan, at int64) int { return cmp.Compare(h.start, at) })
		if k > 0 && heads[k-1].end > s.start || k < len(heads) && heads[k].start < s.end || s.level == 0 && len(heads) > 0 {
			continue
		}
		heads = slices.Insert(heads, k, s)
	}
	for _, s := range heads {
		last := lastOf(*s.typ, text(s))
		for i := range last {
			out = append(out, s.start+int64(last[len(last)-1-i]))
		}
	}
	for _, s := range order {
		lo, _ := slices.BinarySearch(out, s.start)
		hi, _ := slices.BinarySearch(out, s.end)
		t := *s.typ
		if t == "PATIENT" { // a number that is a patient's is masked as the number it is
			t = ""
		}
		most := allowance(t, text(s))
		if hi-lo > most {
			out = slices.Delete(out, lo, hi-most)
		}
	}
	return out
}
