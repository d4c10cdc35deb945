package rulebench_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/rulebench"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

func load(t *testing.T) *patterns.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.toml")
	text := `schema = 1
[[rules]]
id = "badge"
type = "CUSTOM"
  [[rules.patterns]]
  confidence = "medium"
  regex = '''B\d{6}'''
[[rules]]
id = "name"
type = "NAME"
  [[rules.patterns]]
  confidence = "low"
  regex = '''[A-Z][a-z]{2,8} [A-Z][a-z]{2,8}'''
[[rules]]
id = "ssn"
type = "SSN"
validator = "us-ssn"
  [[rules.patterns]]
  confidence = "medium"
  regex = '''\d{3}-\d{2}-\d{4}'''
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func feed(t *testing.T, c *rulebench.Corpus, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := scanner.Feed(c.Document(), dlp.PartInfo{}, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCounts: what is counted is what a scan proves and finds, each time alike;
// a pattern that nothing rare leads to is named.
func TestCounts(t *testing.T) {
	set := load(t)
	c := &rulebench.Corpus{}
	feed(t, c, strings.Repeat("Badge B482913 of Ada Roe, 512-44-1234 and 912-44-1234. ", 100), "B482914")
	want := map[dlp.RuleID]struct{ candidates, findings, slow int }{"badge": {101, 101, 0}, "ssn": {200, 100, 0}, "name": {100, 100, 1}}
	for range 2 {
		ticks := 0
		res, err := rulebench.Run(t.Context(), set, nil, c, 1, func(int, int) { ticks++ })
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Rules) != 3 || res.Bytes != c.Bytes() || ticks != 2*(2+2*3) {
			t.Fatalf("%d rules, %d bytes, %d ticks", len(res.Rules), res.Bytes, ticks)
		}
		for _, r := range res.Rules {
			if w := want[r.Rule.ID]; r.Candidates != w.candidates || r.Findings != w.findings || len(r.Slow) != w.slow {
				t.Errorf("%s: %d candidates, %d findings, %d slow patterns, want %+v", r.Rule.ID, r.Candidates, r.Findings, len(r.Slow), w)
			}
		}
	}
}

// TestCorpusIsBounded: text past the bound is left out, and that is said; what
// stays is whole windows from a part's start.
func TestCorpusIsBounded(t *testing.T) {
	c := &rulebench.Corpus{MaxBytes: 300_000}
	feed(t, c, strings.Repeat("512-44-1234 ", 60_000), "B482913")
	if c.Bytes() > 300_000 || c.Bytes() < 100_000 || !c.Cut() {
		t.Errorf("%d bytes, cut %t", c.Bytes(), c.Cut())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rulebench.Run(ctx, load(t), nil, c, 1, func(int, int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
