package survey

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// place fills in where in the file the findings of its text stand. A file that
// cannot be read again has no places: the findings hold without.
func (s *Survey) place(doc *dlp.Document, found []Finding) {
	r, err := doc.Open()
	if err != nil {
		return
	}
	defer r.Close()
	var at []int64
	for i := range found {
		if found[i].Part == "" {
			at = append(at, found[i].Start, found[i].End)
		}
	}
	slices.Sort(at)
	where, err := lineColumns(r, slices.Compact(at))
	if err != nil {
		return
	}
	for i := range found {
		if f := &found[i]; f.Part == "" {
			a, b := where[f.Start], where[f.End]
			f.Place = &Place{StartLine: a[0], StartColumn: a[1], EndLine: b[0], EndColumn: b[1]}
		}
	}
}

// lineColumns returns the line and the column of each of these byte offsets,
// which ascend. A byte order mark has no column.
func lineColumns(r io.Reader, at []int64) (map[int64][2]int, error) {
	out := make(map[int64][2]int, len(at))
	in := bufio.NewReaderSize(r, 64<<10)
	line, column := 1, 1
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		column = 0
	}
	for pos := int64(0); len(at) > 0; pos++ {
		if pos == at[0] {
			out[pos] = [2]int{line, max(1, column)}
			at = at[1:]
		}
		c, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && len(at) == 0:
			return out, nil
		case err != nil:
			return nil, err
		case c == '\n':
			line, column = line+1, 1
		case c&0xc0 != 0x80: // the first byte of a character
			column++
		}
	}
	return out, nil
}

// explain fills in why the findings were found. What is not explained, for
// whatever reason, holds without.
func (s *Survey) explain(ctx context.Context, doc *dlp.Document, found []Finding) {
	var rules []dlp.RuleID
	index := make(map[findingKey]*Finding, len(found))
	for i := range found {
		f := &found[i]
		index[findingKey{f.Rule, f.Part, f.Start, f.End}] = f
		if !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
	}
	x := s.Explain(rules, len(found))
	if x == nil {
		return
	}
	if err := s.Extract.Extract(ctx, doc, x); err != nil {
		return
	}
	for _, e := range x.Finish() {
		if f := index[findingKey{e.Rule, e.Part, e.Start, e.End}]; f != nil {
			f.Why = &e.Why
		}
	}
}
