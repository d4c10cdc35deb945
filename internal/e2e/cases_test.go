package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gold/cases"
)

// TestCases: of each type, F1 0.97 or more on text made from what issuers
// publish. A label that `rules eval` counts neither way counts here as missed.
func TestCases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "cases.jsonl")
	var text strings.Builder
	if err := cases.Write(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	labels := map[dlp.Type]int{}
	for _, typ := range cases.Types() {
		for _, d := range cases.Of(typ) {
			labels[typ] += len(d.Spans)
		}
	}
	got := shell(t, dir, "", "rules", "eval", name, "--format", "json")
	var table struct {
		Types []struct {
			Type   dlp.Type
			TP, FP int
		}
	}
	if err := json.Unmarshal([]byte(got.out), &table); err != nil {
		t.Fatalf("%v\n%s", err, got.errs)
	}
	for _, row := range table.Types {
		n, ok := labels[row.Type]
		if !ok {
			continue
		}
		delete(labels, row.Type)
		f1 := 2 * float64(row.TP) / float64(row.TP+row.FP+n)
		t.Logf("%-14s found %d of %d, false %d, F1 %.3f", row.Type, row.TP, n, row.FP, f1)
		if f1 < 0.97 {
			t.Errorf("%s: F1 %.3f, want 0.97 or more", row.Type, f1)
		}
	}
	if len(labels) > 0 {
		t.Errorf("no row for %v", labels)
	}
}

// TestEvalWrongType: what --wrong is asked about must be a type.
func TestEvalWrongType(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "gold.jsonl")
	if err := os.WriteFile(name, []byte(`{"id":"a","text":"x","spans":[],"meta":{"labels":"full"}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, dir, "", "rules", "eval", name, "--wrong", "SSN,VINN"); got.code != 2 || !strings.Contains(got.errs, `--wrong: "VINN" is no type`) {
		t.Errorf("exit %d, %q; want 2 and the type that is none", got.code, got.errs)
	}
	if got := shell(t, dir, "", "rules", "eval", name, "--wrong", "SSN"); got.code != 0 {
		t.Errorf("exit %d, %q; want 0", got.code, got.errs)
	}
}
