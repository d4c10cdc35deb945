package scanner_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// TestDemotionsNeverDelete: whatever a rule's demotions are put beside what it
// finds, it is still found, a level lower at most.
func TestDemotionsNeverDelete(t *testing.T) {
	set := loadBuiltIn(t, patterns.Site{})
	tried := 0
	for _, r := range set.Rules() {
		only, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true, Only: []dlp.RuleID{r.ID}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := scanner.New(only)
		all := func(text string) []dlp.Finding {
			scan := s.Begin(scanner.Options{})
			if err := scanner.Feed(scan, dlp.PartInfo{}, []byte(text)); err != nil {
				t.Fatal(err)
			}
			found, _ := scan.Finish()
			return found
		}
		var words []string
		for _, d := range r.Demote {
			words = append(words, shortest(d.Any))
		}
		for _, test := range r.Tests {
			if !test.Match || test.As != "" || len(words) == 0 {
				continue
			}
			before := all(test.Text)
			for i := range len(before) * len(words) {
				f := before[i/len(words)]
				word := words[i%len(words)]
				kept := func(word string) bool {
					return slices.ContainsFunc(all(test.Text[:f.End]+" "+word+" "+test.Text[f.End:]), func(g dlp.Finding) bool {
						return g.Start == f.Start && g.End >= f.End && g.Confidence+1 >= f.Confidence
					})
				}
				if !kept(strings.Repeat("x", len(word))) {
					continue // a form goes on behind its value: any word there breaks it
				}
				tried++
				if !kept(word) {
					t.Errorf("%s: %q is found at %s, and not any more, or more than a level lower, before %q", r.ID, test.Text[f.Start:f.End], f.Confidence, word)
				}
			}
		}
	}
	if tried < 50 {
		t.Errorf("%d values tried, want 50 or more", tried)
	}
}

// shortest is the shortest word that begins with a letter: it moves what stands
// behind the value least.
func shortest(words []string) string {
	out := ""
	for _, w := range words {
		if w[0] >= 'a' && w[0] <= 'z' && (out == "" || len(w) < len(out)) {
			out = w
		}
	}
	return out
}
