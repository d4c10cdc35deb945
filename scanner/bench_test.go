package scanner_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// benchTexts are a megabyte each of invented prose, table and patient data.
func benchTexts() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(`the of patient was seen and a in to with for on is at by history pain no has she he denies reports which
		daily blood pressure follow up chest review of systems normal examination plan continue medication discharged home weeks
		given without evidence acute disease left right lower upper abdominal mild moderate severe therapy 2 10 50 mg, tablets.`)
	var prose, table, dense strings.Builder
	for prose.Len() < 1<<20 {
		prose.WriteString(words[r.IntN(len(words))])
		prose.WriteString([]string{" ", " ", " ", " ", " ", " ", " ", " ", ". ", ",\n"}[r.IntN(10)])
	}
	for table.Len() < 1<<20 {
		table.WriteString([]string{"Dayton", "Toledo", "Akron"}[r.IntN(3)])
		for range 8 {
			table.WriteString(",")
			table.WriteString(strings.Repeat("0", r.IntN(2)))
			for range 1 + r.IntN(7) {
				table.WriteByte(byte('0' + r.IntN(10)))
			}
		}
		table.WriteByte('\n')
	}
	for dense.Len() < 1<<20 {
		dense.WriteString("SSN: 536-22-8145, MRN: 4829137, DOB: 03/04/1961, phone (212) 555-0142, jane.roe@clinic.example, Dx: E11.9\n")
	}
	return map[string][]byte{"prose": []byte(prose.String()), "table": []byte(table.String()), "dense": []byte(dense.String())}
}

func BenchmarkScan(b *testing.B) {
	s := scanner.New(loadBuiltIn(b, patterns.Site{}))
	for name, text := range benchTexts() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				scan := s.Begin(scanner.Options{})
				if err := scanner.Feed(scan, dlp.PartInfo{}, text); err != nil {
					b.Fatal(err)
				}
				scan.Finish()
			}
		})
	}
}

// BenchmarkRegexp runs the expressions of the same patterns one by one with the
// standard library, without anything else that a scan does.
func BenchmarkRegexp(b *testing.B) {
	var all []*regexp.Regexp
	for _, r := range loadBuiltIn(b, patterns.Site{}).Rules() {
		for _, p := range r.Patterns {
			all = append(all, regexp.MustCompile(p.Regex))
		}
	}
	for name, text := range benchTexts() {
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
	set := loadBuiltIn(b, patterns.Site{})
	for b.Loop() {
		scanner.New(set)
	}
}
