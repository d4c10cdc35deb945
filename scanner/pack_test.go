package scanner_test

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// readCSV stands in for extraction: cells are spans named by the first row.
func readCSV(_ context.Context, text string, sink dlp.Sink) error {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	var head []string
	var spans []dlp.Span
	for row := uint32(0); ; row++ {
		cells, err := r.Read()
		if err != nil {
			break
		}
		if row == 0 {
			head = cells
			continue
		}
		for i, cell := range cells {
			line, col := r.FieldPos(i)
			start := lineStart(text, line) + col - 1
			if i < len(head) {
				spans = append(spans, dlp.Span{Start: int64(start), End: int64(start + len(cell)), Label: head[i], Group: row})
			}
		}
	}
	if err := sink.Part(dlp.PartInfo{MediaType: "text/csv"}); err != nil {
		return err
	}
	return sink.Text(dlp.Window{Text: []byte(text), Spans: spans})
}

func lineStart(text string, line int) int {
	at := 0
	for ; line > 1; line-- {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	return at
}

func loadBuiltIn(tb testing.TB, site patterns.Site) *patterns.Set {
	tb.Helper()
	set, err := patterns.Load(tb.Context(), patterns.Source{BuiltIn: true, Site: site}, scanner.NewTester(readCSV))
	if err != nil {
		tb.Fatalf("built-in packs: %v", err)
	}
	return set
}

func TestBuiltInPacksHold(t *testing.T) {
	set := loadBuiltIn(t, patterns.Site{})
	for _, r := range set.Rules() {
		if r.Description == "" || len(r.Tags) == 0 || len(r.Tests) < 4 {
			t.Errorf("%s: want a description, tags and at least four tests", r.ID)
		}
	}
}

// TestGuideExamples: the examples of docs/rules.md load and hold as they stand.
func TestGuideExamples(t *testing.T) {
	guide, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"## A worked example", "## Words as patterns", "## Adding to a rule"} {
		_, example, _ := strings.Cut(string(guide), section)
		_, example, _ = strings.Cut(example, "```toml\n")
		example, _, _ = strings.Cut(example, "```")
		path := filepath.Join(t.TempDir(), "guide.toml")
		if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}, BuiltIn: true}, scanner.NewTester(readCSV))
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		for _, w := range set.Lint(time.Now()) {
			if w.Key != "site.mrn" { // no site is named here
				t.Errorf("%s: lint: %v", section, w)
			}
		}
	}
}

// TestHIPAACoverage: docs/hipaa-coverage.md names every built-in rule, and
// none that is not there.
func TestHIPAACoverage(t *testing.T) {
	page, err := os.ReadFile("../docs/hipaa-coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	set := loadBuiltIn(t, patterns.Site{})
	for _, r := range set.Rules() {
		if !strings.Contains(string(page), "`"+string(r.ID)+"`") {
			t.Errorf("%s is not in docs/hipaa-coverage.md, want every rule", r.ID)
		}
	}
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || len(strings.TrimSpace(cells[1])) != 1 {
			continue
		}
		for _, id := range strings.Split(cells[3], ",") {
			if id = strings.Trim(id, " `"); id != "none" && set.Rule(dlp.RuleID(id)) == nil {
				t.Errorf("docs/hipaa-coverage.md names %q, want a built-in rule", id)
			}
		}
	}
}
