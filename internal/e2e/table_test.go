package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	inPackage = regexp.MustCompile("`([a-z0-9/]+)` ((?:Test[A-Za-z0-9]+(?:, )?)+)")
	testName  = regexp.MustCompile(`Test[A-Za-z0-9]+`)
)

// TestFaultsAreTested: docs/faults.md has a test for each fault, and each test
// that it names is there.
func TestFaultsAreTested(t *testing.T) {
	t.Parallel()
	rows := 0
	for line := range strings.Lines(read(t, "../../docs/faults.md")) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.HasPrefix(line, "| fault") || strings.HasPrefix(line, "|---") {
			continue
		}
		rows++
		found := inPackage.FindAllStringSubmatch(cells[3], -1)
		if len(found) == 0 {
			t.Errorf("no test for:%s", cells[1])
		}
		for _, m := range found {
			for _, name := range testName.FindAllString(m[2], -1) {
				if !hasTest(t, filepath.Join("../..", m[1]), name) {
					t.Errorf("%s has no %s, which is to show:%s", m[1], name, cells[1])
				}
			}
		}
	}
	if rows < 27 { // as many as there are faults that were asked for
		t.Errorf("%d rows, want at least 27", rows)
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}
	return false
}
