package scanner_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// BenchmarkPatients scans texts with all built-in rules: without an index of
// patients, with one of people who are not in the dense text, and with one of all
// who are.
func BenchmarkPatients(b *testing.B) {
	for _, way := range []string{"none", "others", "these"} {
		set := loadBuiltIn(b, patterns.Site{})
		if way != "none" {
			dir, key := filepath.Join(b.TempDir(), "patients"), index.NewKey()
			opt := index.Options{Dir: dir, Key: key, Now: time.Unix(0, 0)}
			if _, err := index.Build(b.Context(), opt, strings.NewReader(benchExtract(way))); err != nil {
				b.Fatal(err)
			}
			ix, err := index.Open(dir, key)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = ix.Close() }()
			if set, err = patterns.Load(b.Context(), patterns.Source{BuiltIn: true, Patients: ix}, nil); err != nil {
				b.Fatal(err)
			}
		}
		s := scanner.New(set)
		for _, name := range []string{"dense", "hl7", "csv"} {
			b.Run(way+"/"+name, func(b *testing.B) { benchPatients(b, s, benchText(b, name)) })
		}
	}
}

func benchPatients(b *testing.B, s *scanner.Scanner, text []byte) {
	scanText(b, s, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	start, found := cpu(), 0
	for b.Loop() {
		scan := s.Begin(scanner.Options{})
		if err := scanner.Feed(scan, dlp.PartInfo{}, text); err != nil {
			b.Fatal(err)
		}
		all, gaps := scan.Finish()
		if len(gaps) > 0 {
			b.Fatalf("gaps %v", gaps)
		}
		found = 0
		for _, f := range all {
			if f.Type == "PATIENT" {
				found++
			}
		}
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N)/float64(len(text)), "cpu-ns/B")
	b.ReportMetric(float64(found), "patients")
}

// benchExtract is the people of the dense text as its maker invents them, or as
// many others.
func benchExtract(which string) string {
	var out strings.Builder
	out.WriteString("mrn,ssn,name,dob\n") // of telephone numbers the dense text has too few different ones
	seed := uint64(3)
	if which == "others" {
		seed = 1000
	}
	r := rand.New(rand.NewPCG(seed, 40))
	for range 6000 {
		p := inventPerson(r)
		fmt.Fprintf(&out, "%s,%s,%s %s,%s\n", p.mrn, p.ssn, p.given, p.family, p.born.Format(time.DateOnly))
		if which != "others" { // as writeDense goes on
			skipDense(r, p)
		}
	}
	return out.String()
}

// skipDense draws what writeDense draws of a person.
func skipDense(r *rand.Rand, _ person) {
	switch r.IntN(4) {
	case 2:
		_, _ = r.IntN(9_000_000), r.IntN(100)
	case 3:
		_, _, _, _ = r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(100_000)
	}
}
