package scanner_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// BenchmarkLexicon scans each frozen text with all built-in rules, without and
// with those that are words, in turns, and tells what these cost a byte.
func BenchmarkLexicon(b *testing.B) {
	all := loadBuiltIn(b, patterns.Site{})
	var rest []dlp.RuleID
	for _, r := range all.Rules() {
		if r.Type != "CONDITION" && r.Type != "DRUG" && r.Type != "LAB" {
			rest = append(rest, r.ID)
		}
	}
	without, err := patterns.Load(b.Context(), patterns.Source{BuiltIn: true, Only: rest}, nil)
	if err != nil {
		b.Fatal(err)
	}
	scanners := []*scanner.Scanner{scanner.New(without), scanner.New(all)}
	for _, name := range benchNames {
		text := benchText(b, name)
		b.Run(name, func(b *testing.B) {
			var spent [2]float64
			for _, s := range scanners { // their automata are made as texts ask for them
				scanText(b, s, text)
			}
			for b.Loop() {
				for i, s := range scanners {
					start := cpu()
					scanText(b, s, text)
					spent[i] += float64(cpu() - start)
				}
			}
			per := float64(b.N) * float64(len(text))
			b.ReportMetric(spent[0]/per, "without-ns/B")
			b.ReportMetric(spent[1]/per, "with-ns/B")
			b.ReportMetric((spent[1]-spent[0])/per, "words-ns/B")
			b.ReportMetric(float64(len(scanText(b, scanners[1], text))-len(scanText(b, scanners[0], text))), "findings")
		})
	}
}
