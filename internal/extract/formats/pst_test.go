package formats_test

import (
	"strings"
	"testing"
)

// TestPST holds that each item of a store is a message of its own, its attachments
// and messages within below it.
func TestPST(t *testing.T) {
	for _, name := range []string{"wide", "narrow", "plain"} {
		a := serve(t, false, limits, seed(t, "pst/testdata/fuzz/FuzzRead/"+name))
		if len(a.gaps) > 0 {
			t.Errorf("%s: gaps %v", name, a.told())
		}
		for path, want := range map[string]string{
			"":           "Ward 3\n",
			"1/HEADER":   "mrn: 4482913\n",
			"1/1":        "Patient 536-22-8145\nPatient",
			"1/2":        "SSN 536-22-8145",
			"1/3.HEADER": "Subject: within\n",
			"2/HEADER":   "Subject: kept for a program\n",
		} {
			if !strings.Contains(a.texts[path], want) {
				t.Errorf("%s: part %q: got %q, want it to hold %q", name, path, a.texts[path], want)
			}
		}
	}
	b := seed(t, "pst/testdata/fuzz/FuzzRead/wide")
	b[513] = 0x10
	if got := serve(t, false, limits, b).told(); len(got) != 1 || got[0] != "encrypted pst" {
		t.Errorf("encrypted: got %q", got)
	}
	if got := serve(t, false, limits, seed(t, "pst/testdata/fuzz/FuzzRead/cut")).told(); len(got) != 1 || got[0] != "corrupt pst" {
		t.Errorf("cut: got %q", got)
	}
}
