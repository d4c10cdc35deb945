// Package report prints what scanning found, for people and for machines.
//
// It promises that machines get exactly the fields of docs/contract.md, one
// document at a time and flushed, that people get columns that align, and that
// nothing a document contains can move the cursor, colour the terminal, become
// a formula in a spreadsheet or markup in a page.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/survey"
)

// Writer prints documents as they are ready. Close prints what comes last;
// whole is false where the run ended before every document was read.
type Writer interface {
	Document(survey.Document) error
	Close(whole bool) error
}

// Options say what a Writer may tell beside the documents.
type Options struct {
	Colour        bool // of tables
	Reveal        bool // the documents hold values: csv, sarif and html say so
	MinConfidence dlp.Confidence
	Version       string // of the program
	RuleSet       string // digest
	Rules         []Rule // all that were asked, by ID
	Now           time.Time
}

// Rule is what sarif and html tell of a rule.
type Rule struct {
	ID          dlp.RuleID
	Type        dlp.Type
	Description string
	Tags        []dlp.Tag
	Severity    dlp.Severity
}

// Formats lists the names New accepts.
func Formats() []string { return []string{"table", "json", "jsonl", "csv", "sarif", "html"} }

// New returns the Writer of that format.
func New(format string, w io.Writer, o Options) (Writer, error) {
	switch format {
	case "jsonl":
		return &lines{enc: encoder(w)}, nil
	case "json":
		return &array{w: w}, nil
	case "table":
		return &table{w: w, paint: painter(o.Colour)}, nil
	case "csv":
		return newSheet(w, o.Reveal), nil
	case "sarif":
		return newSarif(w, o), nil
	case "html":
		return newPage(w, o), nil
	}
	return nil, fmt.Errorf("unknown format: want one of %s", strings.Join(Formats(), ", "))
}

func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// lines is JSON Lines: one document a line.
type lines struct{ enc *json.Encoder }

func (l *lines) Document(d survey.Document) error { return l.enc.Encode(d) }
func (l *lines) Close(bool) error                 { return nil }

// array is one JSON array.
type array struct {
	w   io.Writer
	any bool
}

func (a *array) Document(d survey.Document) error {
	open := ","
	if !a.any {
		open = "["
	}
	a.any = true
	if _, err := io.WriteString(a.w, open); err != nil {
		return err
	}
	return encoder(a.w).Encode(d)
}

func (a *array) Close(bool) error {
	end := "]\n"
	if !a.any {
		end = "[]\n"
	}
	_, err := io.WriteString(a.w, end)
	return err
}

// table is for a person: a block for each document in which there is something
// to see, then a line that counts.
type table struct {
	w     io.Writer
	paint func(code, s string) string

	docs, withFindings, withGaps, failed, findings int
}

// SGR codes (ECMA-48 8.3.117).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

func painter(colour bool) func(code, s string) string {
	if !colour {
		return func(_, s string) string { return s }
	}
	return func(code, s string) string { return "\x1b[" + code + "m" + s + "\x1b[0m" }
}

func (t *table) Document(d survey.Document) error {
	t.docs++
	t.findings += len(d.Findings)
	if d.Status == survey.Failed && d.Error != "" {
		t.failed++
		_, err := fmt.Fprintf(t.w, "%s  %s\n", t.paint(bold, Plain(d.Path)), t.paint(red, "failed: "+Plain(d.Error)))
		return err
	}
	if len(d.Findings) > 0 {
		t.withFindings++
	}
	if len(d.Gaps) > 0 {
		t.withGaps++
	}
	if len(d.Findings) == 0 && len(d.Gaps) == 0 {
		return nil
	}
	policy := ""
	if d.Policy != "" {
		policy = " by " + d.Policy
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s%s\n", t.paint(bold, Plain(d.Path)), t.paint(verdictColour(d.Verdict), d.Verdict), policy)
	rows := make([][]string, 0, len(d.Findings)+len(d.Gaps))
	for _, f := range d.Findings {
		rows = append(rows, []string{place(f.Part, f.Name), fmt.Sprint("line ", f.Line), f.Confidence.String(), string(f.Type), string(f.Rule), Plain(f.Masked) + revealed(f), why(f.Why)})
	}
	for _, g := range d.Gaps {
		rows = append(rows, []string{place(g.Part, g.Name), "", "not read", g.Cause, "", Plain(g.Detail), ""})
	}
	writeRows(&b, rows, func(i int, col int, s string) string {
		switch {
		case i >= len(d.Findings) && col >= 2:
			return t.paint(yellow, s)
		case col == 2 && d.Findings[min(i, len(d.Findings)-1)].Confidence.String() == "high":
			return t.paint(red, s)
		case col == 0 || col == 1 || col == 6:
			return t.paint(faint, s)
		}
		return s
	})
	_, err := io.WriteString(t.w, b.String())
	return err
}

// why is in short what a finding rests on: what spoke for it and against it, else
// what its value passed. It quotes nothing of the text but words of the rules; "" where
// it was not explained.
func why(w *survey.Why) string {
	if w == nil {
		return ""
	}
	var spoke, passed []string
	field := slices.ContainsFunc(w.Steps, func(s survey.Step) bool { return s.Step == "field" }) // then no word is needed, which evidence says
	for _, s := range w.Steps {
		switch {
		case s.Outcome == "lowers":
			spoke = append(spoke, "lowered: "+Plain(s.Why))
		case s.Step == "evidence" && !field || s.Step == "field" || s.Step == "index":
			spoke = append(spoke, Plain(s.Why))
		case s.Step == "validator":
			passed = append(passed, "passes "+Plain(s.Why))
		}
	}
	switch {
	case len(spoke) > 0:
		return strings.Join(spoke, "; ")
	case len(passed) > 0:
		return "its form; " + strings.Join(passed, "; ")
	}
	return "its form"
}

func revealed(f survey.Finding) string {
	if f.Value == nil {
		return ""
	}
	return "  " + Plain(*f.Value)
}

func verdictColour(v string) string {
	switch v {
	case "allow":
		return green
	case "tag", "encrypt":
		return yellow
	}
	return red
}

// place names a part for a person.
func place(part, name string) string {
	switch {
	case part == "" && name == "":
		return ""
	case name == "":
		return part
	case part == "":
		return Plain(name)
	}
	return part + " " + Plain(name)
}

// writeRows prints rows under each other, two blanks in front, columns aligned.
func writeRows(b *strings.Builder, rows [][]string, paint func(row, col int, s string) string) {
	var width []int
	for _, r := range rows {
		for i, s := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	for n, r := range rows {
		b.WriteString(" ")
		for i, s := range r {
			if width[i] == 0 {
				continue
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(s))
			rest := strings.Join(r[i+1:], "")
			if s == "" && rest == "" {
				break
			}
			if rest == "" {
				pad = ""
			}
			b.WriteString(" " + paint(n, i, s) + pad)
		}
		b.WriteByte('\n')
	}
}

func (t *table) Close(bool) error {
	parts := []string{Count(t.docs, "document") + " read", Count(t.findings, "finding") + " in " + fmt.Sprint(t.withFindings)}
	if t.withGaps > 0 {
		parts = append(parts, fmt.Sprint(t.withGaps, " not wholly read"))
	}
	if t.failed > 0 {
		parts = append(parts, fmt.Sprint(t.failed, " failed"))
	}
	_, err := fmt.Fprintln(t.w, strings.Join(parts, ", "))
	return err
}

// Count is n of something, in words.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// Plain makes foreign text safe to print on a terminal: control and format
// characters become their escapes, so that a file name cannot move the cursor,
// and a byte that is no UTF-8 becomes \xNN.
func Plain(s string) string { return escaped(s, steers) }

// PlainText is Plain for text of many lines: line ends and tabs stay.
func PlainText(s string) string {
	return escaped(strings.ReplaceAll(s, "\r\n", "\n"), func(r rune) bool { return r != '\n' && r != '\t' && steers(r) })
}

func steers(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

func escaped(s string, unsafe func(rune) bool) string {
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	var b strings.Builder
	for i, n := 0, 0; i < len(s); i += n {
		var r rune
		r, n = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "\\x%02x", s[i])
		case unsafe(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Table prints rows under a header, columns aligned; for lists such as the
// quarantine's. Cells are made Plain.
func Table(w io.Writer, header []string, rows [][]string, colour bool) error {
	paint := painter(colour)
	all := append([][]string{header}, rows...)
	for i := range all {
		all[i] = slices.Clone(all[i])
		for j := range all[i] {
			all[i][j] = Plain(all[i][j])
		}
	}
	var b strings.Builder
	writeRows(&b, all, func(row, _ int, s string) string {
		if row == 0 {
			return paint(bold, s)
		}
		return s
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// Graded is a row of Grades.
type Graded struct {
	Grade string // "ok", "warn" or "fail"
	Cells []string
	Below string // a sentence under the last cell; "" for none
}

// Grades prints rows with their grade in front, columns aligned. Cells are made
// Plain.
func Grades(w io.Writer, rows []Graded, colour bool) error {
	paint := painter(colour)
	all := make([][]string, 0, len(rows))
	for _, r := range rows {
		cells := []string{r.Grade}
		for _, c := range r.Cells {
			cells = append(cells, Plain(c))
		}
		all = append(all, cells)
		if r.Below != "" {
			below := make([]string, len(cells))
			below[len(cells)-1] = "-> " + Plain(r.Below)
			all = append(all, below)
		}
	}
	var b strings.Builder
	writeRows(&b, all, func(_, col int, s string) string {
		if col != 0 || s == "" {
			return s
		}
		return paint(map[string]string{"ok": green, "warn": yellow, "fail": red}[s], s)
	})
	_, err := io.WriteString(w, b.String())
	return err
}
