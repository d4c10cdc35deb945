package scanner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// year is an imported table: codes, and headings with a plus sign.
type year string

func (y year) Lists(v string) bool { return y.has(v, "") || y.has(v, "+") }
func (y year) Bills(v string) bool { return y.has(v, "") }
func (y year) Digest() string      { return string(y) }
func (y year) has(v, sign string) bool {
	return strings.Contains(" "+string(y)+" ", " "+strings.ReplaceAll(v, ".", "")+sign+" ")
}

// TestImportedTable: what an imported table lists is found as the rule says; a
// code of another year is found a level lower, and never lost; a code that it
// can bill stands for itself where it is long enough.
func TestImportedTable(t *testing.T) {
	const codes = "E11+ E116+ E119 E1165 I10 QA00109 T200+ T2001+ A10 A101"
	load := func(tables map[string]patterns.Table) *patterns.Set {
		set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true, Only: []dlp.RuleID{"icd10"}, Tables: tables}, scanner.NewTester(readCSV))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	structure, table := load(nil), load(map[string]patterns.Table{"icd10cm": year(codes)})
	for _, c := range []struct {
		text            string
		built, imported string // how sure; "": not found
	}{
		{"Dx: E11.9", "high", "high"},
		{"Dx: E11.73", "high", "medium"}, // not of this year
		{"Dx: E11.6", "high", "high"},    // a heading
		{"version E11.73, Dx", "medium", "medium"},
		{"Dx: I10", "medium", "medium"},
		{"Dx: I15", "medium", "low"},
		{"seen for E11.65 again", "low", "medium"},
		{"seen for E11.66 again", "low", "low"},
		{"seen for E11.9 again", "low", "low"},   // too short
		{"seen for T20.01 again", "low", "low"},  // a heading
		{"S72.001A", "medium", "low"},            // not of this year
		{"Dx: A10.1", "", "high"},                // a category that the structure does not know
		{"seen for QA0.0109", "low", "medium"},   // letters in the second place
		{"I10 and E1165 and A101", "", ""},       // bare
		{"Dx: D99.9", "", ""},                    // of no year
		{"part no E11.65", "low", "low"},         // demoted
		{"Dx: E11.65, E11.73.", "high", "high"},  // the first of them
		{"diagnosis\tE11.X", "medium", "medium"}, // E11 of it
	} {
		for name, want := range map[string]string{"structure": c.built, "table": c.imported} {
			set := structure
			if name == "table" {
				set = table
			}
			scan := scanner.New(set).Begin(scanner.Options{})
			if err := scanner.Feed(scan, dlp.PartInfo{}, []byte(c.text)); err != nil {
				t.Fatal(err)
			}
			found, _ := scan.Finish()
			got := ""
			if len(found) > 0 {
				got = found[0].Confidence.String()
			}
			if got != want {
				t.Errorf("%s: %q is found at %q, want %q", name, c.text, got, want)
			}
		}
	}
	digests := map[string]bool{structure.Digest(): true, table.Digest(): true,
		load(map[string]patterns.Table{"icd10cm": year(codes + " E1199")}).Digest(): true}
	if len(digests) != 3 {
		t.Errorf("%d digests of the structure and two tables, want 3", len(digests))
	}
	if again := load(map[string]patterns.Table{"icd10cm": year(codes)}); again.Digest() != table.Digest() {
		t.Error("the same table gives another digest, want the same")
	}
}

// TestBirthStillToCome: a birth on a day to come is somebody's all the same, and a
// level less sure; by the day of the scan, not by the clock.
func TestBirthStillToCome(t *testing.T) {
	set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true, Only: []dlp.RuleID{"dob"}}, scanner.NewTester(readCSV))
	if err != nil {
		t.Fatal(err)
	}
	s := scanner.New(set)
	for _, c := range []struct {
		text, past, future string // how sure on either side of 2030
	}{
		{"DOB: 03/04/2030", "medium", "high"},
		{"DOB 20300304", "low", "medium"},
		{"DOB: 3/4/29", "high", "high"}, // of 1929, too
		{"DOB: 03/04/1961", "high", "high"},
	} {
		for year, want := range map[int]string{2029: c.past, 2031: c.future} {
			scan := s.Begin(scanner.Options{Now: time.Date(year, time.June, 1, 0, 0, 0, 0, time.UTC)})
			if err := scanner.Feed(scan, dlp.PartInfo{MediaType: "text/plain"}, []byte(c.text)); err != nil {
				t.Fatal(err)
			}
			found, _ := scan.Finish()
			if len(found) != 1 || found[0].Confidence.String() != want {
				t.Errorf("%q in %d: %v, want one at %s", c.text, year, found, want)
			}
		}
	}
	x := s.Explain(scanner.ExplainOptions{Now: time.Date(2029, time.June, 1, 0, 0, 0, 0, time.UTC)})
	if err := scanner.Feed(x, dlp.PartInfo{MediaType: "text/plain"}, []byte("DOB: 03/04/2030")); err != nil {
		t.Fatal(err)
	}
	if e := x.Finish(); len(e.Candidates) == 0 || !slices.ContainsFunc(e.Candidates[0].Steps, func(s scanner.StepReport) bool { return s.Step == "day" && s.Outcome == "lowers" }) {
		t.Errorf("explained as %+v, want that its day lowers it", e.Candidates)
	}
}
