package patterns_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/patterns"
)

// TestTooManyInstructions: a set whose expressions are too much together is
// refused, though each of them would do.
func TestTooManyInstructions(t *testing.T) {
	var b strings.Builder
	b.WriteString("schema = 1\n[[rules]]\nid = \"x\"\ntype = \"CUSTOM\"\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "[[rules.patterns]]\nconfidence = \"low\"\nregex = '%d(?:[a-c]|de){0,250}'\n", i)
	}
	path := filepath.Join(t.TempDir(), "x.toml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err == nil || !strings.Contains(err.Error(), "instructions in all") {
		t.Errorf("error %v, want one about instructions in all", err)
	}
}
