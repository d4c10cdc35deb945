package scanner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// column is a column of a table: with a type, its values are found as that type
// under its name and, all but those of always, under no other.
type column struct {
	name   string
	typ    dlp.Type
	values []string
	always bool // its values' own form says what they are
}

var columns = []column{
	{"ssn", "SSN", []string{"512441234", "501229877", "498112233"}, false},
	{"mrn", "MRN", []string{"4829137", "7712345", "5567123"}, false},
	{"npi", "NPI", []string{"1234567893", "1245319599", "1003000126"}, false},
	{"dob", "DOB", []string{"03/04/1961", "11/12/1972", "07/08/1983"}, false},
	{"dx", "ICD10", []string{"E119", "I10", "Z794"}, false},
	{"phone", "PHONE", []string{"2125550142", "2125550143", "6175550144"}, false},
	{"card_number", "CREDIT_CARD", []string{"6304000000000000", "4111111111111111", "5555555555554444"}, true},
	{"member_id", "HEALTH_PLAN_ID", []string{"W123456789", "W223456781", "W323456782"}, false},
	{"zip", "ZIP", []string{"45402", "90210", "10001"}, false},
}

// plain are names that say nothing of a patient.
var plain = []string{"amount", "ref", "order_date"}

// table is text with its cells marked.
type table struct {
	text  strings.Builder
	spans []dlp.Span
}

// tables writes the rows under their columns' names in each form there is.
func tables(names []string, rows [][]string) map[string]*table {
	forms := map[string]*table{}
	for form, delim := range map[string]string{"csv": ",", "tsv": "\t", "semicolons": ";"} {
		t := &table{}
		t.text.WriteString(strings.Join(names, delim) + "\n")
		for r, row := range rows {
			for i, v := range row {
				if i > 0 {
					t.text.WriteString(delim)
				}
				t.cell(names[i], v, uint32(r+1))
			}
			t.text.WriteString("\n")
		}
		forms[form] = t
	}
	sheet, objects := &table{}, &table{}
	sheet.text.WriteString("Sheet1\n" + strings.Join(names, "\t") + "\n")
	objects.text.WriteString("[")
	for r, row := range rows {
		for i, v := range row { // a shown and a kept value, as of a cell with a number format
			sheet.cell(names[i], v, uint32(r+1))
			sheet.text.WriteString("\t")
			objects.text.WriteString(map[bool]string{true: "{", false: ", "}[i == 0] + `"` + names[i] + `": "`)
			objects.cell(names[i], v, uint32(r+1))
			objects.text.WriteString(`"`)
		}
		sheet.text.WriteString("\n")
		objects.text.WriteString("},\n")
	}
	forms["sheet"], forms["json"] = sheet, objects
	return forms
}

func (t *table) cell(name, value string, group uint32) {
	from := int64(t.text.Len())
	t.spans = append(t.spans, dlp.Span{Start: from, End: from + int64(len(value)), Label: name, Group: group})
	t.text.WriteString(value)
}

// scan returns what is found at medium and up in each cell, by row and column.
func (t *table) scan(tb testing.TB, s *scanner.Scanner, columns int) [][]dlp.Type {
	tb.Helper()
	scan := s.Begin(scanner.Options{})
	if err := scan.Part(dlp.PartInfo{}); err != nil {
		tb.Fatal(err)
	}
	if err := scan.Text(dlp.Window{Text: []byte(t.text.String()), Spans: t.spans}); err != nil {
		tb.Fatal(err)
	}
	found, _ := scan.Finish()
	cells := make([][]dlp.Type, len(t.spans))
	for _, f := range found {
		for i, span := range t.spans {
			if f.Confidence >= dlp.Medium && f.Start >= span.Start && f.End <= span.End {
				cells[i] = append(cells[i], f.Type)
			}
		}
	}
	if len(cells)%columns != 0 {
		tb.Fatalf("%d cells in %d columns", len(cells), columns)
	}
	return cells
}

// TestHeadersStayInTheirColumn: in a table of two or three columns the name of a
// column tells of its own cells, and neither supports nor lowers those beside it,
// in every row, whatever the order of the columns.
func TestHeadersStayInTheirColumn(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	try := func(cols ...column) {
		var names []string
		rows := make([][]string, len(cols[0].values))
		for _, c := range cols {
			names = append(names, c.name)
			for r := range rows {
				rows[r] = append(rows[r], c.values[r])
			}
		}
		for form, tab := range tables(names, rows) {
			for i, got := range tab.scan(t, s, len(cols)) {
				c := cols[i%len(cols)]
				var want []dlp.Type
				if c.typ != "" {
					want = []dlp.Type{c.typ}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s of %q: row %d, column %s: found %v, want %v", form, names, i/len(cols)+1, c.name, got, want)
				}
			}
		}
	}
	for _, c := range columns {
		for _, name := range plain {
			alike := column{name: name, values: c.values}
			if c.always {
				alike.values = []string{"12", "13", "14"}
			}
			try(c, alike)
			try(alike, c)
			for _, d := range columns {
				if d.name != c.name {
					try(c, alike, d)
				}
			}
		}
		for _, d := range columns {
			if d.name == c.name {
				continue
			}
			try(c, d)
			for _, e := range columns {
				if e.name != c.name && e.name != d.name {
					try(c, d, e)
				}
			}
		}
	}
}

// TestWordsInARow: in a cell its own words count, and a word in another cell of
// its row calls the next value something; those of other rows, and what stands
// between cells, do not.
func TestWordsInARow(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for _, c := range []struct {
		name  string
		names []string // "" for no header
		rows  [][]string
		want  [][]string // types by cell, "" for none
	}{
		{"kind and value", []string{"kind", "value"}, [][]string{{"SSN", "512441234"}, {"MRN", "4829137"}, {"Phone", "2125550142"}, {"Total", "7712345"}},
			[][]string{{"", "SSN"}, {"", "MRN"}, {"", "PHONE"}, {"", ""}}},
		{"kind, value and another", []string{"kind", "value", "amount"}, [][]string{{"SSN", "512441234", "536228145"}, {"MRN", "4829137", "7712345"}},
			[][]string{{"", "SSN", ""}, {"", "MRN", ""}}},
		{"another, kind and value", []string{"ref", "kind", "value"}, [][]string{{"536228145", "SSN", "512441234"}, {"7712345", "MRN", "4829137"}},
			[][]string{{"", "", "SSN"}, {"", "", "MRN"}}},
		{"value and kind", []string{"value", "kind"}, [][]string{{"512441234", "SSN"}, {"536228145", "total"}},
			[][]string{{"SSN", ""}, {"", ""}}},
		{"without a header", nil, [][]string{{"ssn", "512441234"}, {"amount", "536228145"}, {"mrn", "4829137"}, {"total", "7712345"}},
			[][]string{{"", "SSN"}, {"", ""}, {"", "MRN"}, {"", ""}}},
		{"in a note", []string{"id", "note"}, [][]string{{"536228145", "her SSN is 512441234"}, {"7712345", "MRN 4829137, called"}},
			[][]string{{"", "SSN"}, {"", "MRN"}}},
		{"a row speaks against", []string{"kind", "value"}, [][]string{{"tracking number", "512-44-1234"}, {"of her", "512-44-1235"}},
			[][]string{{"", ""}, {"", "SSN"}}},
		{"a column of its own is nearer than a word of the row", []string{"kind", "ssn"}, [][]string{{"order", "512-44-1234"}}, [][]string{{"", "SSN"}}},
	} {
		names := c.names
		if names == nil {
			names = make([]string, len(c.rows[0]))
		}
		for form, tab := range tables(names, c.rows) {
			for i, got := range tab.scan(t, s, len(names)) {
				want := c.want[i/len(names)][i%len(names)]
				if g := strings.Trim(fmt.Sprint(got), "[]"); g != want {
					t.Errorf("%s, %s: row %d, cell %d: found %q, want %q", c.name, form, i/len(names)+1, i%len(names)+1, g, want)
				}
			}
		}
	}
}

// TestCellsInWindows: the same is found of a table whole and in pieces that cut it
// anywhere.
func TestCellsInWindows(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	rows := [][]string{{"536228145", "SSN", "512441234", "order"}, {"7712345", "MRN", "4829137", "note"}, {"512441235", "SSN", "x", "y"}}
	tab := tables([]string{"ref", "kind", "value", "notes"}, rows)["json"]
	text := tab.text.String()
	run := func(size int) string {
		scan := s.Begin(scanner.Options{})
		if err := scan.Part(dlp.PartInfo{}); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(text); at += size {
			end := min(at+size, len(text))
			var spans []dlp.Span
			for _, span := range tab.spans {
				if span.Start >= int64(at) && span.Start < int64(end) {
					spans = append(spans, span)
				}
			}
			if err := scan.Text(dlp.Window{Offset: int64(at), Text: []byte(text[at:end]), Spans: spans}); err != nil {
				t.Fatal(err)
			}
		}
		found, _ := scan.Finish()
		return fmt.Sprint(brief(text, found))
	}
	whole := run(len(text))
	for size := 1; size < 80; size++ {
		if got := run(size); got != whole {
			t.Errorf("in pieces of %d bytes: %s, whole: %s", size, got, whole)
		}
	}
}

// TestShownAndKeptDate: a cell that shows a date, with the number by which the
// sheet keeps it beside it, holds one date of birth.
func TestShownAndKeptDate(t *testing.T) {
	tab := &table{}
	tab.cell("dob", "1980-04-03", 1)
	tab.text.WriteString(" (")
	tab.cell("dob", "29314", 1)
	tab.text.WriteString(")\t")
	tab.cell("room", "29314", 1)
	found, _ := scanWhole(t, scanner.New(loadBuiltIn(t, patterns.Site{})), scanner.Options{}, dlp.PartInfo{}, tab.text.String(), tab.spans...)
	if got, want := fmt.Sprint(brief(tab.text.String(), found)), "[dob high 1980-04-03 dob medium 29314]"; got != want {
		t.Fatalf("found %s, want %s", got, want)
	}
	if found[0].ValueKey != found[1].ValueKey {
		t.Error("two values, want one")
	}
}
