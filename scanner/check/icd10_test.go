package check_test

import (
	"bufio"
	"compress/gzip"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/scanner/check"
)

// orderFile is a year's list of codes beside the checkout.
const orderFile = "../../../shared/tables/icd10cm-order-Jan-2021.txt.gz"

// codesOf returns the codes of the order file, without their dots, and skips
// the test where there is none.
func codesOf(t *testing.T) map[string]bool {
	t.Helper()
	f, err := os.Open(orderFile)
	if err != nil {
		t.Skip("no order file at " + orderFile)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		codes[strings.TrimSpace(lines.Text()[6:13])] = true
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return codes
}

func TestICD10CMForms(t *testing.T) {
	for _, s := range []string{
		"E11.9", "E119", "e11.9", "I10", "U07.1", "U09.9", "S72.001A", "T36.0X1A", "T36.0X1", "T36.0X", "T07.XXXA", "J09.X1", "J09.X", "M01.X11", "H21.1X1", "H54.0X3A",
		"C4A.0", "C7B.00", "M1A.00X0", "O9A.111", "Z3A.20", "I82.4Y1", "C91.Z0", "C44.1021", "S52.001R", "T86.8401",
		"I1A.0", "W44.A0XA", "QA0.0101", "S06.0XAA", "O35.AXX0", "G35.B1", "F01.A11", "E11.A", // of the years after 2021
	} {
		if !check.ICD10CM(s) {
			t.Errorf("%q does not pass, want it to", s)
		}
	}
	for _, s := range []string{
		"E11.X", "E11.", "E11.9.", "E1.19", "E119.1", "E11.9X", "E11.98765", "E11.9 ", "A00.XXXA", "S72.XX", "T36.XX1A", "T36.0XX", "T36.0X1Z", "T36.0X11", "S06.0X0B", "A00.0000", "F32.00X",
		"I82.YZ", "E11.Z", "Q00.X", "D99.9", "U99.1", "QA1.0", "EA1.0", "E1A.9", "I1B.0", "1E1.9", "E11-9", "É11.9", "", "E1", "E", "...", "E11..9",
	} {
		if check.ICD10CM(s) {
			t.Errorf("%q passes, want it not to", s)
		}
	}
}

// TestICD10CMYear: every code and heading of a year passes, with its dot and
// without; of three characters only those that are categories, or became one
// later; and of all forms that could be mistaken for a code few enough.
func TestICD10CMYear(t *testing.T) {
	codes := codesOf(t)
	for c := range codes {
		if !check.ICD10CM(c) || len(c) > 3 && !check.ICD10CM(c[:3]+"."+c[3:]) {
			t.Errorf("%q of the order file does not pass", c)
		}
	}
	const any36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	later := 0
	for _, a := range any36[10:] {
		for _, b := range any36 {
			for _, c := range any36 {
				s := string(a) + string(b) + string(c)
				if check.ICD10CM(s) && !codes[s] {
					later++
				}
			}
		}
	}
	if later != 4 {
		t.Errorf("%d categories are not in the order file, want U09, I1A, W44 and QA0", later)
	}
	// Of what the regular expression of the rule lets through.
	r := rand.New(rand.NewPCG(1, 1))
	for n, most := range []float64{0.002, 0.28, 0.16, 0.08, 0.008} {
		const tries = 300_000
		passed := 0
		for range tries {
			s := []byte{any36[10+r.IntN(26)], any36[r.IntN(10)], any36[r.IntN(12)]}
			for range n {
				s = append(s, any36[r.IntN(36)])
			}
			if !codes[string(s)] && check.ICD10CM(string(s)) {
				passed++
			}
		}
		rate := float64(passed) / tries
		t.Logf("%d characters behind the category: %.5f of all forms pass and are not listed", n, rate)
		if rate > most {
			t.Errorf("%d characters behind the category: %.5f of all forms pass and are not listed, want at most %.3f", n, rate, most)
		}
	}
}
