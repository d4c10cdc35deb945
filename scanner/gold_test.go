package scanner_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gold"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// shared is the folder of labelled text beside the checkout. `make eval` prints
// the whole table, of text as extraction reads it (docs/accuracy.md).
const shared = "../../shared"

// TestGold: the built-in packs do not get worse on labelled prose than
// docs/accuracy.md says they are ("Prose and single examples alone").
func TestGold(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared, "gold", "*.jsonl"))
	if len(files) == 0 {
		t.Skip("no labelled text at " + shared)
	}
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	var tally gold.Tally
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := gold.Read(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i := range docs {
			if docs[i].Meta.Labels != gold.Structured {
				tally.Add(&docs[i], foundIn(t, s, []byte(docs[i].Text)))
			}
		}
	}
	floors := map[dlp.Type]float64{"SSN": 0.968, "MRN": 0.980, "MBI": 1, "NPI": 0.615, "EMAIL": 0.963, "PHONE": 0.931, "DOB": 1,
		"CREDIT_CARD": 0.932, "IBAN": 1, "HEALTH_PLAN_ID": 0.989, "DRIVER_LICENSE": 1, "PASSPORT": 1, "VIN": 1, "ITIN": 0.667}
	for _, c := range tally.Table(slices.Collect(maps.Keys(floors))).Types {
		t.Logf("%-8s F1 %.3f", c.Type, c.F1())
		if c.F1() < floors[c.Type]-0.0005 { // as printed
			t.Errorf("%s: F1 %.3f, want %.3f or more", c.Type, c.F1(), floors[c.Type])
		}
	}
}

// foundIn returns what is found in text at medium or above.
func foundIn(tb testing.TB, s *scanner.Scanner, text []byte) []dlp.Finding {
	tb.Helper()
	scan := s.Begin(scanner.Options{})
	if err := scanner.Feed(scan, dlp.PartInfo{}, text); err != nil {
		tb.Fatal(err)
	}
	found, gaps := scan.Finish()
	if len(gaps) > 0 {
		tb.Errorf("gap %s, want none", gaps[0].Detail)
	}
	return slices.DeleteFunc(found, func(f dlp.Finding) bool { return f.Confidence < dlp.Medium })
}

// TestNegatives: in text without any patient no more is found than policies can
// live with.
func TestNegatives(t *testing.T) {
	root := filepath.Join(shared, "negatives")
	if _, err := os.Stat(root); err != nil {
		t.Skip("no text without patients at " + shared)
	}
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	limits := map[dlp.Type]float64{"SSN": 0.05, "ITIN": 0.05, "MRN": 0.2, "NPI": 0.1, "MBI": 0.05, "DEA": 0.05, "ICD10": 0.05, "CREDIT_CARD": 0.2}
	hits := map[dlp.Type]int{}
	size := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size += len(text)
		for _, f := range foundIn(t, s, []byte(strings.ToValidUTF8(string(text), "?"))) {
			hits[f.Type]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for typ, limit := range limits {
		if rate := float64(hits[typ]) / (float64(size) / 1e6); rate > limit {
			t.Errorf("%s: %.3f false hits a megabyte, want at most %.2f", typ, rate, limit)
		}
	}
}
