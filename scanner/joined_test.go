package scanner_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// typed is what is found in text, which is cut at cuts: the type and the bytes
// of each finding.
func typed(t *testing.T, s *scanner.Scanner, text string, cuts []int) (out []string) {
	scan := s.Begin(scanner.Options{OnFinding: func(f dlp.Finding, raw []byte) { out = append(out, string(f.Type)+" "+string(raw)) }})
	scanner.FeedPieces(t, scan, dlp.PartInfo{Path: "1"}, text, cuts)
	scan.Finish()
	slices.Sort(out)
	return slices.Compact(out)
}

// TestNumbersSplitByControls: a carriage return, a vertical tab and a form feed
// inside a number hide it from nobody, wherever windows are cut; between lines,
// pages and columns they stay.
func TestNumbersSplitByControls(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for _, tt := range []struct {
		name, text string
		want       []string // % stands for the control
	}{
		{"before a hyphen", "SSN: 536-22%-8145.", []string{"SSN 536-22%-8145"}},
		{"behind a hyphen", "SSN: 536%-22-8145.", []string{"SSN 536%-22-8145"}},
		{"between digits", "SSN: 536-22-81%45.", []string{"SSN 536-22-81%45"}},
		{"without a label", "536-%22-8145", []string{"SSN 536-%22-8145"}},
		{"more than once", "SSN 5%36%-22-%81%%45\n", []string{"SSN 5%36%-22-%81%%45"}},
		{"bare digits", "SSN: 5362%28145 of", []string{"SSN 5362%28145"}},
		{"at a number beside it", "7 536%-22-8145 9", []string{"SSN 536%-22-8145"}},
		{"digits of other scripts", "SSN ５３６－２２%－８１４５", []string{"SSN ５３６－２２%－８１４５"}},
		{"beside what is not seen", "SSN 536-22\u200b%\u200b-8145", []string{"SSN 536-22\u200b%\u200b-8145"}},
		{"date", "date of birth: 03/04%/1961", []string{"DOB 03/04%/1961"}},
		{"lines", "536-22-8145%536-22-8146%", []string{"SSN 536-22-8145", "SSN 536-22-8146"}},
		{"lines of bare digits", "SSN%536228145%512441234%", []string{"SSN 512441234", "SSN 536228145"}},
		{"lines of five digits", "NPI%12345%67893%", nil},
		{"a page's number", "SSN 536-22-8145%12-3", []string{"SSN 536-22-8145"}},
		{"a page's number and a date", "page 12%2024-01-01 SSN 536-22-8145", []string{"SSN 536-22-8145"}},
		{"a line that ends", "536-22%\n-8145", nil},
		{"lines of a column", "a\t536-22%b\t-8145%", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, control := range []string{"\r", "\v", "\f"} {
				text := strings.ReplaceAll(tt.text, "%", control)
				var want []string
				for _, w := range tt.want {
					want = append(want, strings.ReplaceAll(w, "%", control))
				}
				for cut := range len(text) {
					if cut > 0 && text[cut]&0xc0 == 0x80 {
						continue
					}
					got := slices.DeleteFunc(typed(t, s, text, []int{cut}), func(f string) bool { return strings.HasPrefix(f, "DATE") })
					if !slices.Equal(got, want) {
						t.Fatalf("%q cut at %d: found %q, want %q", text, cut, got, want)
					}
				}
			}
		})
	}
}
