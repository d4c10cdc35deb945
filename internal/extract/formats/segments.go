package formats

import (
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// segmenter passes a message of HL7 v2 or X12 on unchanged and marks its
// fields: a span for each segment, with the patient or loop it belongs to as
// its group, and within it one for each field of which the standard says what
// it is. A segment longer than maxRow, and what is in it, is not marked.
type segmenter struct {
	out   *emitter
	ends  func(c byte) bool // whether c ends a segment
	mark  func(seg []byte)  // calls field and next for a segment, which comes without its end
	group uint32

	seg   []byte
	long  bool
	spans []dlp.Span
}

// write takes the next piece of the message.
func (s *segmenter) write(b []byte) {
	from := 0
	for i, c := range b {
		if s.ends(c) {
			s.seg = append(s.seg, b[from:i+1]...)
			from = i + 1
			s.pass(1)
		}
	}
	s.seg = append(s.seg, b[from:]...)
	if len(s.seg) > maxRow {
		s.out.write(s.seg)
		s.seg, s.long = s.seg[:0], true
	}
}

// end takes the end of the message.
func (s *segmenter) end() { s.pass(0) }

// pass marks the segment at hand, of which the last n bytes end it, and passes
// it on.
func (s *segmenter) pass(n int) {
	s.spans = s.spans[:0]
	if body := s.seg[:max(0, len(s.seg)-n)]; !s.long && len(body) > 0 {
		s.spans = append(s.spans, dlp.Span{End: int64(len(body))})
		s.mark(body)
		for i := range s.spans { // only now is its group known
			s.spans[i].Group = s.group
		}
		slices.SortStableFunc(s.spans, func(a, b dlp.Span) int { return int(a.Start - b.Start) })
		if s.group == 0 && len(s.spans) == 1 {
			s.spans = s.spans[:0]
		}
	}
	s.out.row(s.seg, s.spans)
	s.seg, s.long = s.seg[:0], false
}

// next begins another patient, loop or message.
func (s *segmenter) next() { s.group++ }

// field marks seg[from:to] as typ, under the name that a reader knows it by.
func (s *segmenter) field(from, to int, label string, typ dlp.Type) {
	if from < to && len(s.spans) < maxColumns {
		s.spans = append(s.spans, dlp.Span{Start: int64(from), End: int64(to), Label: label, Type: typ})
	}
}

// cut is a piece of a segment: seg[from:to].
type cut struct{ from, to int }

// split cuts seg[c.from:c.to] at each sep, into at most maxColumns pieces.
func split(seg []byte, c cut, sep byte) []cut {
	var out []cut
	from := c.from
	for i := c.from; i < c.to && len(out) < maxColumns; i++ {
		if seg[i] == sep {
			out = append(out, cut{from, i})
			from = i + 1
		}
	}
	return append(out, cut{from, c.to})
}

// at returns piece i, counted from 1, and an empty one where there are fewer.
func at(cuts []cut, i int) cut {
	if i < 1 || i > len(cuts) {
		return cut{}
	}
	return cuts[i-1]
}
