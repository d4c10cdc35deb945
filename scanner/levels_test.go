package scanner_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestLevels: how sure the built-in rules are of a type, by what stands beside it. A
// rule's own tests know medium and nothing; here low is told from both.
func TestLevels(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for _, tt := range []struct{ text, want string }{
		// a label overrides the SSN's range check; specimens are no one's whatever they are called
		{"SSN 123-45-6789", "SSN low"},
		{"SSN: 999-12-3456", "SSN low"},
		{"SSN 987-65-4321", "SSN low"},
		{"ssn 666123456", "SSN low"},
		{"123-45-6789", ""},
		{"999-12-3456", ""},
		{"SSN 078-05-1120", ""},
		{"SSN: 219-09-9999", ""},
		{"SSN 536-22-8145", "SSN high"},
		{"536-22-8145", "SSN medium"},
		{"SSN 536228145", "SSN medium"},
		{"536228145", ""},
		{"536-22-8145A", "SSN medium"}, // HICN
		{"Medicare no. 536228145B1", "SSN high"},
		{"claim 536228145A", ""},
		{"tracking 536-22-8145", "SSN low"},
		// what must be called one
		{"1234567893", "NPI low"},
		{"NPI 1234567893", "NPI high"},
		{"AB1234563", "DEA low"},
		{"DEA AB1234563", "DEA high"},
		{"E11.9", "ICD10 low"},
		{"patient E11.9", "ICD10 medium"},
		{"diagnosis E11.9", "ICD10 high"},
		{"S72.001A", "ICD10 medium"},
		{"E119", ""},
		{"E11", ""},
		{"dx E119", "ICD10 medium"},
		{"dx E11", "ICD10 medium"},
		{"19610304", ""},
		{"DOB 19610304", "DOB medium"},
		{"DOB 19610304153000", "DOB medium"},
		{"DOB 19610304153000-0500", "DOB medium"},
		{"DOB 19610304153000.0000-0500", "DOB medium"},
		{"DOB 1961-03-04T15:30:00Z", "DOB medium"},
		{"DOB 03/04/1961", "DOB high"},
		{"03/04/1961", ""},
		{"4829137", ""},
		{"MRN 4829137", "MRN medium"},
		{"1EG4-TE5-MK73", "MBI medium"},
		{"MBI 1EG4-TE5-MK73", "MBI high"},
		{"943 476 5919", "NATIONAL_ID low"},
		{"NHS 943 476 5919", "NATIONAL_ID high"},
	} {
		scan := s.Begin(scanner.Options{})
		if err := scanner.Feed(scan, dlp.PartInfo{}, []byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		found, _ := scan.Finish()
		var got []string
		for _, f := range found {
			if f.Type != "CONDITION" {
				got = append(got, fmt.Sprint(f.Type, " ", f.Confidence))
			}
		}
		if want := []string{tt.want}; tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", tt.text, got, want)
		}
	}
}
