package scanner_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// place is a finding without its key, which differs from scan to scan.
func place(f dlp.Finding) string {
	return fmt.Sprintf("%s %s %d-%d line %d %s group %d", f.Rule, f.Path, f.Start, f.End, f.Line, f.Confidence, f.Group)
}

// scanPieces scans text cut at the given offsets and returns places, the
// matched bytes and gaps.
func scanPieces(tb testing.TB, s *scanner.Scanner, text string, cuts []int) (places []string, raws []string, gaps []dlp.Gap) {
	tb.Helper()
	byPlace := map[string]string{}
	scan := s.Begin(scanner.Options{OnFinding: func(f dlp.Finding, raw []byte) { byPlace[place(f)] = string(raw) }})
	scanner.FeedPieces(tb, scan, dlp.PartInfo{Path: "1"}, text, cuts)
	found, gaps := scan.Finish()
	for _, f := range found {
		if f.Start < 0 || f.End > int64(len(text)) || f.Start >= f.End {
			tb.Fatalf("finding %s lies outside a text of %d bytes", place(f), len(text))
		}
		if got, want := byPlace[place(f)], text[f.Start:f.End]; got != want {
			tb.Errorf("raw bytes of %s = %q, want %q", place(f), got, want)
		}
		if got, want := f.Line, 1+strings.Count(text[:f.Start], "\n"); got != want {
			tb.Errorf("line of %s, want %d", place(f), want)
		}
		places = append(places, place(f))
		raws = append(raws, text[f.Start:f.End])
	}
	return places, raws, gaps
}

// randomText makes text dense in what rules look for and in what bends
// normalisation.
func randomText(r *rand.Rand, n int) string {
	bits := []string{"SSN: ", "536-22-8145", "ssn ", "536228145", "512 44 1234", " ", "\n", ", ", "social security ", "PO number ",
		"the patient was seen in clinic ", "５３６－２２－８１４５", "536\u00ad-22-\u200b8145", "٥٣٦-٢٢-٨١٤٥", "0.304262935 ", "$", "/", "-",
		"MRN: ", "E1234567", "MRN 00482913", "jane.roe@clinic.example", "a@b", "@", "555-0142", "(212) 555-0142 ", "DOB 03/04/1961", "March 3, 1961",
		"1EG4-TE5-MK73", "E11.9", "NPI 1234567893", "\r", "\f", "536-22", "-8145", "5362\v28145", "é", "漢", strings.Repeat("x", 300), strings.Repeat("9", 40), "2.16.840.1.113883.4.1 "}
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(bits[r.IntN(len(bits))])
	}
	return b.String()
}

func randomCuts(r *rand.Rand, text string) []int {
	var cuts []int
	most := 1 + r.IntN(400)
	for at := 0; at < len(text); {
		at += 1 + r.IntN(most)
		for at < len(text) && !utf8.RuneStart(text[at]) {
			at++
		}
		if at < len(text) {
			cuts = append(cuts, at)
		}
	}
	return cuts
}

func TestWindowsDoNotMatter(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{MRN: []patterns.MRNFormat{{Regex: `E\d{7}`, Distinctive: true}}}))
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := randomText(r, 200+r.IntN(6000))
		want, _, _ := scanPieces(t, s, text, nil)
		got, _, _ := scanPieces(t, s, text, randomCuts(r, text))
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: findings in windows\n%s\nwant those of the whole\n%s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func FuzzWindows(f *testing.F) {
	f.Add("SSN: 536-22-8145 and more", uint16(7))
	f.Add("ssn ５３６２２８１４５", uint16(3))
	f.Add("jane.roe@clinic.example 536\u00ad22-8145\nssn", uint16(1))
	s := scanner.New(loadBuiltIn(f, patterns.Site{}))
	f.Fuzz(func(t *testing.T, text string, step uint16) {
		text = strings.ToValidUTF8(text, "?")
		want, _, _ := scanPieces(t, s, text, nil)
		r := rand.New(rand.NewPCG(uint64(step), 2))
		if got, _, _ := scanPieces(t, s, text, randomCuts(r, text)); !slices.Equal(got, want) {
			t.Errorf("findings in windows %q, want those of the whole %q", got, want)
		}
	})
}
