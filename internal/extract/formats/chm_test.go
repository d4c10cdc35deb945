package formats_test

import (
	"slices"
	"strings"
	"testing"
)

// TestCHM holds that the files of compiled help are members, packed or not, and
// that a damaged one is told.
func TestCHM(t *testing.T) {
	a := serve(t, false, limits, seed(t, "chm/testdata/fuzz/FuzzRead/whole"))
	if len(a.gaps) > 0 || a.texts[""] != "/a.txt\n/b.html\n" || a.texts["1"] != "plain 536-22-8145" || !strings.Contains(a.texts["2"], "packed 536-22-8145") {
		t.Errorf("got %q, gaps %v", a.texts, a.told())
	}
	for name, want := range map[string][]string{"cut": {"2 corrupt chm file"}, "list": {"corrupt chm"}} {
		if got := serve(t, false, limits, seed(t, "chm/testdata/fuzz/FuzzRead/"+name)).told(); !slices.Equal(got, want) {
			t.Errorf("%s: got gaps %q, want %q", name, got, want)
		}
	}
}
