package main

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/tally"
)

// TestReportForms: all figures stand in both forms, and nothing that somebody named is
// a formula to a spreadsheet or the beginning of another line.
func TestReportForms(t *testing.T) {
	t.Parallel()
	evil := "=HYPERLINK(\"http://x.example\")\n,+1;-2"
	r := tally.Report{From: "2026-01-01", To: "2026-01-01", Together: tally.Flow{Passed: 1, Held: 2, Encrypted: 3, Rejected: 4, Released: 5, Refused: 6}, Watched: 7, Ways: []tally.Share{{Of: "tls", N: 8}},
		Days: []tally.Flow{{Day: "2026-01-01", Held: 2}}, Waits: tally.Waits{N: 9, MedianSeconds: 60, TenthSeconds: 7200}, Rules: []tally.RuleFlow{{Rule: "us-ssn", Held: 10, Watched: 11}},
		Precision: []tally.Precision{{Rule: "us-ssn", Decided: 12, PHI: 9, Low: 0.5, High: 0.9}}, Senders: []tally.Share{{Of: evil, N: 13}},
		Departments: []tally.DepartmentRow{{Name: evil, Messages: 14, Held: 15, Before: 16, Repeats: 17, Rules: []tally.Share{{Of: "us-ssn", N: 18}}, Senders: []tally.Share{{Of: evil, N: 19}}}}}
	var out bytes.Buffer
	a := &app{out: &out, errs: &out}
	if err := a.reportCSV(&r); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows[1:] {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) || strings.Contains(cell, "\n") {
				t.Errorf("a cell %q", cell)
			}
		}
		got = append(got, row[2]+" "+row[4]+" "+row[5])
	}
	for _, want := range []string{"together passed 1", "together refused 6", "together watched 7", "way encrypted 8", "time_to_decision decisions 9", "time_to_decision median_seconds 60",
		"time_to_decision slowest_tenth_seconds 7200", "day held 2", "rule held 10", "rule watched 11", "precision decided 12", "precision phi 9", "sender held 13", "department messages 14",
		"department held 15", "department held_before 16", "department senders_with_repeats 17", "department held by us-ssn 18"} {
		if !slices.Contains(got, want) {
			t.Errorf("the CSV lacks %q:\n%s", want, strings.Join(got, "\n"))
		}
	}
	if last := got[len(got)-1]; !strings.HasPrefix(last, "department held of ") || !strings.HasSuffix(last, " 19") {
		t.Errorf("who repeats: %q", last)
	}
	out.Reset()
	if err := a.reportText(&r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Passed 1, held 2, encrypted 3 (tls 8), refused at once 4; released 5, rejected 6.", "Only watched: 7", "about 1m0s (median of 9), the slowest tenth over 2h0m0s", "75 %", "50-90 %", "SENDERS WITH REPEATS"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, out.String())
		}
	}
}
