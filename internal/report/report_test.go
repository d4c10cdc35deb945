package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/survey"
)

// doc is one document with a finding and a gap, both with names that would
// move a terminal's cursor.
func doc() survey.Document {
	return survey.Document{Path: "in/a\x1b[2J.eml", Type: "message/rfc822", Size: 5120, Status: survey.Partial, Verdict: "quarantine", Policy: "phi-number",
		Findings: []survey.Finding{{Rule: "us-ssn", Type: "SSN", Tags: []dlp.Tag{}, Confidence: dlp.High, Part: "2", Name: "r\re.docx", Line: 3, Masked: "***-**-8145"}},
		Gaps:     []survey.Gap{{Part: "3/1", Name: "x.zip", Cause: "encrypted", Detail: "zip AES-256"}}}
}

func printed(t *testing.T, format string, colour bool, docs ...survey.Document) string {
	t.Helper()
	var b bytes.Buffer
	w, err := report.New(format, &b, report.Options{Colour: colour})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if err := w.Document(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(true); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	failed := survey.Document{Path: "in/b.txt", Status: survey.Failed, Error: "open: permission denied"}
	clean := survey.Document{Path: "in/c.txt", Status: survey.Scanned, Verdict: "allow"}
	got := printed(t, "table", false, doc(), failed, clean)
	for _, want := range []string{"in/a\\u001b[2J.eml  quarantine by phi-number\n", "***-**-8145", "3/1 x.zip", "not read", "encrypted",
		"in/b.txt  failed: open: permission denied\n", "3 documents read, 1 finding in 1, 1 not wholly read, 1 failed\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\r") || strings.Contains(got, "c.txt") {
		t.Errorf("the table moves the cursor, or names what needs no look:\n%q", got)
	}
	if coloured := printed(t, "table", true, doc()); !strings.Contains(coloured, "\x1b[31m") {
		t.Errorf("no colour where it was asked for: %q", coloured)
	}
}

func TestJSON(t *testing.T) {
	for _, tt := range []struct {
		format string
		docs   []survey.Document
		want   int
	}{{"json", nil, 0}, {"json", []survey.Document{doc()}, 1}, {"json", []survey.Document{doc(), doc()}, 2}} {
		var got []survey.Document
		text := printed(t, tt.format, false, tt.docs...)
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != tt.want {
			t.Errorf("%s of %d: %v, %d documents: %s", tt.format, len(tt.docs), err, len(got), text)
		}
	}
	lines := strings.Split(strings.TrimSuffix(printed(t, "jsonl", false, doc(), doc()), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2", len(lines))
	}
	var got survey.Document
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil || got.Path != doc().Path || got.Findings[0].Masked != "***-**-8145" {
		t.Errorf("line %s: %v", lines[0], err)
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := report.New("yaml", &bytes.Buffer{}, report.Options{}); err == nil {
		t.Error("yaml was taken for a format")
	}
}

func TestRowsAlign(t *testing.T) {
	var b bytes.Buffer
	if err := report.Table(&b, []string{"A", "B", "C"}, [][]string{{"long cell", "ü", "x"}, {"s", "yy\n", "z"}}, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), b.String())
	}
	for i, last := range []string{"C", "x", "z"} {
		at := len([]rune(lines[i])) - 1
		if !strings.HasSuffix(lines[i], last) || at != len([]rune(lines[0]))-1 {
			t.Errorf("line %d does not align: %q", i, b.String())
		}
	}
}
