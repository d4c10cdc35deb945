package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/survey"
)

// sheet is RFC 4180 for spreadsheets and analysts: a row for each finding and
// each gap, and one for a document that has neither, so that none is absent.
type sheet struct {
	csv    *csv.Writer
	reveal bool
	begun  bool
}

func newSheet(w io.Writer, reveal bool) *sheet {
	s := &sheet{csv: csv.NewWriter(w), reveal: reveal}
	s.csv.UseCRLF = true // RFC 4180 2.1
	return s
}

// columns are named as in the JSON, but for row, which says what the row is,
// and document_type, which there is the document's type. With --reveal, value
// is the last.
func columns() []string {
	return []string{"row", "path", "document_type", "size", "sha256", "status", "verdict", "policy", "monitored", "monitored_policy", "ruleset",
		"rule", "type", "tags", "confidence", "severity", "part", "name", "start", "end", "line", "masked", "cause", "detail", "error"}
}

// The columns from rule to masked, and those of what was not read. Rules and
// tags begin with a letter or a digit, verdicts, types and causes are closed
// sets, parts begin with a number or HEADER: only the others need Cell.
const (
	findingColumns = 11
	gapColumns     = 2
)

// begin writes the header, once.
func (s *sheet) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	head := columns()
	if s.reveal {
		head = append(head, "value")
	}
	return s.csv.Write(head)
}

func (s *sheet) Document(d survey.Document) error {
	if err := s.begin(); err != nil {
		return err
	}
	about := []string{Cell(d.Path), Cell(d.Type), strconv.FormatInt(d.Size, 10), d.SHA256, d.Status, d.Verdict, Cell(d.Policy),
		d.Monitored, Cell(d.MonitoredPolicy), d.RuleSet}
	var row []string
	// write writes a row about d: of a finding, a gap, or neither.
	write := func(kind string, f [findingColumns]string, g [gapColumns]string, value *string) error {
		row = append(append(append(append(row[:0], kind), about...), f[:]...), g[:]...)
		row = append(row, Cell(d.Error))
		if s.reveal {
			v := ""
			if value != nil {
				v = Cell(*value)
			}
			row = append(row, v)
		}
		return s.csv.Write(row)
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		cells := [findingColumns]string{string(f.Rule), string(f.Type), tagList(f.Tags, " "), f.Confidence.String(), f.Severity.String(), f.Part, Cell(f.Name),
			strconv.FormatInt(f.Start, 10), strconv.FormatInt(f.End, 10), strconv.Itoa(f.Line), Cell(f.Masked)}
		if err := write("finding", cells, [gapColumns]string{}, f.Value); err != nil {
			return err
		}
	}
	for _, g := range d.Gaps {
		cells := [findingColumns]string{5: g.Part, 6: Cell(g.Name)}
		if err := write("gap", cells, [gapColumns]string{g.Cause, Cell(g.Detail)}, nil); err != nil {
			return err
		}
	}
	if len(d.Findings)+len(d.Gaps) == 0 {
		if err := write("document", [findingColumns]string{}, [gapColumns]string{}, nil); err != nil {
			return err
		}
	}
	s.csv.Flush()
	return s.csv.Error()
}

// tagList is tags as one text.
func tagList(tags []dlp.Tag, between string) string {
	words := make([]string, 0, len(tags))
	for _, t := range tags {
		words = append(words, string(t))
	}
	return strings.Join(words, between)
}

func (s *sheet) Close(bool) error {
	if err := s.begin(); err != nil {
		return err
	}
	s.csv.Flush()
	return s.csv.Error()
}

// Cell makes foreign text safe in a spreadsheet. It is Plain, so that a row is a
// line. What a spreadsheet would take for a formula gets an apostrophe in front,
// and so does what begins with an apostrophe: taking one away gives the text
// back. What follows a semicolon, at which spreadsheets of many countries split
// a line, is treated alike.
//
// Source: OWASP, CSV Injection: = + - @, their full-width forms, tab and CR (of
// which Plain leaves none).
func Cell(s string) string {
	cells := strings.Split(Plain(s), ";")
	for i, c := range cells {
		bare := strings.TrimLeft(c, " \u00a0\u3000")
		if strings.HasPrefix(c, "'") || len(bare) > 1 && strings.ContainsRune("=+-@＝＋－＠", firstRune(bare)) { // a sign alone is text
			cells[i] = "'" + c
		}
	}
	return strings.Join(cells, ";")
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}
