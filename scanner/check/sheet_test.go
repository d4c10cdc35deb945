package check_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/scanner/check"
)

func TestSpreadsheetNumbers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check func(string) bool
		yes   string
		no    string
	}{
		{"truncated card", check.TruncatedCard, "4532015112830360 5105105105105100 6304000000000000000 4532015112830360000",
			"4532015112830366 453201511283036 9532015112830360 0000000000000000 45320151128303600000 4532015112830360.0 371449635398430"},
		{"SSN", check.ScientificSSN, "5.36228145E+08 5.36228145e8 3.6228145E+7 5.3622814E+08 5.36228145E+008",
			"5.36228E+08 9.36228145E+08 5.36228145E+09 5.36228145E+06 5.36228145E-08 .36228145E+08 5.E+08 E+08 5.36228145 5.36228145E+ 5.36228145E+0008"},
		{"cut SSN", check.CutSSN, "5.36228E+08 3.62E+07", "9.36228E+08 6.66228E+08 5.36228E+09 5E+08 5.36228E+03"},
		{"card", check.ScientificCard, "4.53201511283036E+15 4.53201511283036E+015 3.71449635398431E+14", "4.53202E+15 9.53201511283036E+15 3.71449635398432E+14 4.53201511283036E+16"},
		{"cut card", check.CutCard, "4.53202E+15 3.7145E+14", "9.53202E+15 4.53202E+08 4E+15 4.53202E+25"},
		{"record", check.ScientificRecord, "4.82914E+12 1.2E+4", "4.82914E+40 1.2E+3 4E+12 0.5E+12 4829137"},
		{"day of birth", check.BirthDayNumber, "29314 1000 1879 2100 10000 73050", "1961 1880 2099 999 98765 0293 29314.0 -2931 73051"},
	} {
		for _, s := range strings.Fields(tt.yes) {
			if !tt.check(s) {
				t.Errorf("%s: %q is none, want one", tt.name, s)
			}
		}
		for _, s := range strings.Fields(tt.no) {
			if tt.check(s) {
				t.Errorf("%s: %q is one, want none", tt.name, s)
			}
		}
	}
}

// TestDayNumber: the date of a day number as spreadsheets show it.
func TestDayNumber(t *testing.T) {
	for s, want := range map[string][3]int{"29314": {1980, 4, 3}, "1000": {1902, 9, 26}, "22344": {1961, 3, 4}, "36526": {2000, 1, 1}} {
		if y, m, d, ok := check.DayNumber(s); !ok || [3]int{y, m, d} != want {
			t.Errorf("%s: %d-%d-%d (%t), want %v", s, y, m, d, ok, want)
		}
	}
}

// TestNote: what is known of a value tells nothing of it unless it is revealed.
func TestNote(t *testing.T) {
	for _, name := range []string{"card-truncated", "card-scientific", "card-cut", "us-ssn-scientific", "us-ssn-cut", "record-scientific", "birth-serial"} {
		if note := check.Note(name, "29314", false); note == "" || strings.ContainsAny(note, "0123456789") {
			t.Errorf("%s: %q, want words without digits", name, note)
		}
	}
	if note := check.Note("birth-serial", "29314", true); !strings.HasSuffix(note, "1980-04-03") {
		t.Errorf("revealed: %q, want the date", note)
	}
	if note := check.Note("us-ssn", "536-22-8145", true); note != "" {
		t.Errorf("us-ssn: %q, want nothing", note)
	}
}
