package scanner_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// benchRules loads the frozen rules.
func benchRules(tb testing.TB) *patterns.Set {
	tb.Helper()
	set, err := patterns.Load(tb.Context(), patterns.Source{Paths: []string{filepath.Join(benchDir, "rules40.toml")}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func scanText(tb testing.TB, s *scanner.Scanner, text []byte) []dlp.Finding {
	scan := s.Begin(scanner.Options{})
	if err := scanner.Feed(scan, dlp.PartInfo{}, text); err != nil {
		tb.Fatal(err)
	}
	found, _ := scan.Finish()
	return found
}

// scanInto is scanText into the memory of list.
func scanInto(tb testing.TB, s *scanner.Scanner, text []byte, list []dlp.Finding) []dlp.Finding {
	scan := s.Begin(scanner.Options{Into: list[:0]})
	if err := scanner.Feed(scan, dlp.PartInfo{}, text); err != nil {
		tb.Fatal(err)
	}
	found, _ := scan.Finish()
	return found
}

// BenchmarkScanInto is BenchmarkScan with the forty rules by a caller who hands in
// the list of findings.
func BenchmarkScanInto(b *testing.B) {
	s := scanner.New(benchRules(b))
	for _, name := range benchNames {
		text := benchText(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			list := scanInto(b, s, text, nil)
			start := cpu()
			for b.Loop() {
				list = scanInto(b, s, text, list)
			}
			b.ReportMetric(float64(cpu()-start)/float64(b.N)/float64(len(text)), "cpu-ns/B")
		})
	}
}

func BenchmarkScan(b *testing.B) {
	sets := map[string]*patterns.Set{"40": benchRules(b), "packs": loadBuiltIn(b, patterns.Site{})}
	for _, rules := range []string{"40", "packs"} {
		s := scanner.New(sets[rules])
		for _, name := range benchNames {
			text := benchText(b, name)
			b.Run(rules+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				start := cpu()
				for b.Loop() {
					scanText(b, s, text)
				}
				b.ReportMetric(float64(cpu()-start)/float64(b.N)/float64(len(text)), "cpu-ns/B")
			})
		}
	}
}

// expressions compiles those of set with the standard library.
func expressions(set *patterns.Set) (all []*regexp.Regexp) {
	for _, r := range set.Rules() {
		for _, p := range r.Patterns {
			if p.Regex != "" {
				all = append(all, regexp.MustCompile(p.Regex))
			}
		}
	}
	return all
}

// BenchmarkRegexp runs the expressions of the same rules one by one with the
// standard library, without anything else that a scan does.
func BenchmarkRegexp(b *testing.B) {
	all := expressions(benchRules(b))
	for _, name := range benchNames {
		text := benchText(b, name)[:64<<10]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for _, re := range all {
					re.FindAllIndex(text, -1)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	set := benchRules(b)
	b.ReportAllocs()
	for b.Loop() {
		scanner.New(set)
	}
}

// BenchmarkScanMail scans as much prose as a mail of 10 KiB has, where what a
// document costs beside its bytes counts.
func BenchmarkScanMail(b *testing.B) {
	s := scanner.New(loadBuiltIn(b, patterns.Site{}))
	text := benchText(b, "prose")[:10<<10]
	scanText(b, s, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		scanText(b, s, text)
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N)/float64(len(text)), "cpu-ns/B")
}
