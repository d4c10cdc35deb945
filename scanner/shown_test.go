package scanner_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// foundAt is what is found in text at medium or above, given in windows of so many
// bytes, parted by |.
func foundAt(t *testing.T, s *scanner.Scanner, text string, window int) string {
	t.Helper()
	c := s.Begin(scanner.Options{})
	if err := c.Part(dlp.PartInfo{}); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < len(text); {
		to := min(from+window, len(text))
		for to < len(text) && !utf8.RuneStart(text[to]) {
			to++
		}
		if err := c.Text(dlp.Window{Offset: int64(from), Text: []byte(text[from:to])}); err != nil {
			t.Fatal(err)
		}
		from = to
	}
	found, gaps := c.Finish()
	if len(gaps) > 0 {
		t.Errorf("%q: gaps %v", text, gaps)
	}
	var got []string
	for _, f := range found {
		if f.Confidence > dlp.Low {
			got = append(got, text[f.Start:f.End])
		}
	}
	return strings.Join(got, "|")
}

// TestLookAlikeLetters: letters of other scripts are read as the Latin ones they look
// like where they stand in a word with these, or with digits, and nowhere else.
func TestLookAlikeLetters(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for text, want := range map[string]string{
		"\u0405\u0405N 536228145":                       "536228145", // Cyrillic DZE
		"SS\u039d: 536228145":                           "536228145", // Greek NU
		"\u041cRN: 4482913":                             "4482913",   // Cyrillic EM
		"MBI: 1\u0415G4-\u0422\u04155-\u041c\u041a73":   "1\u0415G4-\u0422\u04155-\u041c\u041a73",
		"DEA: \u0410\u04121234563":                      "\u0410\u04121234563",
		"D\u041e\u200bB: 03/12/1961":                    "03/12/1961",
		strings.Repeat("\u0410", 40) + "5 MRN: 4482913": "4482913",
		"\u041c\u0420N: 4482913":                        "", // MPN
		"\u041c\u0420\u041d: 4482913":                   "", // letters of one script are no Latin word
		"\u0441\u043e\u0440 \u0440\u0435\u0441 4482913": "",
	} {
		for _, window := range []int{len(text), 1} {
			if got := foundAt(t, s, text, window); got != want {
				t.Errorf("%q in windows of %d: found %q, want %q", text, window, got, want)
			}
		}
	}
}

// TestTurnedText: what an override shows turned round is found as it is shown, and as
// it came.
func TestTurnedText(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for text, want := range map[string]string{
		"SSN \u202e5418-22-635\u202c end":                                "5418-22-635",
		"SSN \u202e5418-22-635\nend":                                     "5418-22-635",
		"SSN \u202e5418-22-635":                                          "5418-22-635",
		"SSN \u202e536-22-8145\u202c end":                                "536-22-8145",
		"SSN \u202e\u202e5418-22-635\u202c\u202c end":                    "5418-22-635",
		"\u202e5418-22-635 NSS\u202c":                                    "5418-22-635 NSS",
		"é \u202e\u0665\u0664\u0661\u0668-22-635\u202c SSN":              "\u0665\u0664\u0661\u0668-22-635",
		"SSN \u202e" + strings.Repeat("x ", 200) + "536-22-8145\u202c":   "536-22-8145", // too long to be turned round
		"SSN \u202e" + strings.Repeat("x ", 200) + "5418-22-635\u202c":   "",
		"SSN " + strings.Repeat("\u202e", 500) + "5418-22-635\u202c 3":   "5418-22-635",
		"SSN 5418-22-635":                                                "",
		"SSN \u202d536-22-8145\u202c, and again \u202e6418-22-635\u202c": "536-22-8145|6418-22-635",
	} {
		for _, window := range []int{len(text), 3} {
			if got := foundAt(t, s, text, window); got != want {
				t.Errorf("%q in windows of %d: found %q, want %q", text, window, got, want)
			}
		}
	}
}

// TestNameOfOtherScript: a column's name that ends in such a letter is whole.
func TestNameOfOtherScript(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	found, _ := scanWhole(t, s, scanner.Options{}, dlp.PartInfo{}, "x 715240012 y", dlp.Span{Start: 2, End: 11, Label: "\u043f\u0430\u0441\u043f\u043e\u0440\u0442\u0430", Group: 1})
	if len(found) != 1 || found[0].Type != "PASSPORT" {
		t.Errorf("found %v, want a passport under the Russian word for one", found)
	}
}

// TestCanonicalOfOtherScripts: a value that ends in such a letter is whole.
func TestCanonicalOfOtherScripts(t *testing.T) {
	for value, want := range map[string]string{"\u0416\u0410": "\u0416\u0410", "12-\u0410": "12\u0410", "\u0410\u041212": "AB12", "A\u202e12": "A1221"} {
		if got := string(scanner.Canonical("CUSTOM", value)); got != want {
			t.Errorf("%q counts as %q, want %q", value, got, want)
		}
	}
}
