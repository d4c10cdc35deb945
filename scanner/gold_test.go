package scanner_test

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// shared is the folder of labelled text beside the checkout.
const shared = "../../shared"

type goldSpan struct {
	Start int64
	End   int64
	Type  dlp.Type
}

type goldDoc struct {
	ID    string
	Text  string
	Spans []goldSpan
	Meta  struct{ Labels, Tested string }
}

type score struct{ tp, fp, fn int }

func (s score) f1() float64 {
	if s.tp == 0 {
		return 0
	}
	return 2 * float64(s.tp) / float64(2*s.tp+s.fp+s.fn)
}

// scored lists the types of the first packs.
var scored = []dlp.Type{"SSN", "ITIN", "MRN", "MBI", "NPI", "DEA", "ICD10", "PHONE", "EMAIL", "DOB"}

// neither reports SSNs that labels disagree about: placeholders and specimens.
func neither(value string) bool {
	d := strings.NewReplacer("-", "", " ", "", ".", "").Replace(value)
	return d == "123456789" || d == "078051120" || d == "219099999" || strings.HasPrefix(d, "98765432") || strings.HasPrefix(d, "999")
}

// TestGold scores the built-in packs on labelled text and prints the table.
// Text is scanned as plain text: fields of HL7, X12, C-CDA and FHIR are named
// only where extraction names them, so structured sources stand apart.
func TestGold(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared, "gold", "*.jsonl"))
	if len(files) == 0 {
		t.Skip("no labelled text at " + shared)
	}
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	prose, structured := map[dlp.Type]*score{}, map[dlp.Type]*score{}
	for _, typ := range scored {
		prose[typ], structured[typ] = &score{}, &score{}
	}
	for _, name := range files {
		for _, doc := range readGold(t, name) {
			into := prose
			if doc.Meta.Labels == "structured" {
				into = structured
			}
			scoreDoc(t, s, doc, into)
		}
	}
	for _, kind := range []struct {
		name   string
		scores map[dlp.Type]*score
	}{{"prose", prose}, {"structured, as plain text", structured}} {
		t.Logf("%s\n%-8s %6s %6s %6s %6s", kind.name, "type", "found", "false", "missed", "F1")
		for _, typ := range scored {
			c := kind.scores[typ]
			t.Logf("%-8s %6d %6d %6d %6.3f", typ, c.tp, c.fp, c.fn, c.f1())
		}
	}
}

func readGold(tb testing.TB, name string) []goldDoc {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var docs []goldDoc
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var d goldDoc
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			tb.Fatal(err)
		}
		docs = append(docs, d)
	}
	return docs
}

func scoreDoc(tb testing.TB, s *scanner.Scanner, doc goldDoc, into map[dlp.Type]*score) {
	tb.Helper()
	scan := s.Begin(scanner.Options{})
	if err := scanner.Feed(scan, dlp.PartInfo{}, []byte(doc.Text)); err != nil {
		tb.Fatal(err)
	}
	found, _ := scan.Finish()
	found = slices.DeleteFunc(found, func(f dlp.Finding) bool {
		return f.Confidence < dlp.Medium || into[f.Type] == nil || f.Type == "SSN" && neither(doc.Text[f.Start:f.End])
	})
	hit := make([]bool, len(found))
	for _, g := range doc.Spans {
		if into[g.Type] == nil || g.Type == "SSN" && neither(doc.Text[g.Start:g.End]) {
			continue
		}
		if doc.Meta.Labels == "single" && doc.Meta.Tested != string(g.Type) {
			continue
		}
		got := false
		for i, f := range found {
			if f.Type == g.Type && 2*(min(f.End, g.End)-max(f.Start, g.Start)) >= g.End-g.Start {
				got, hit[i] = true, true
			}
		}
		if got {
			into[g.Type].tp++
		} else {
			into[g.Type].fn++
			explain(tb, "missed", g.Type, doc, g.Start, g.End)
		}
	}
	for i, f := range found {
		if hit[i] || !counts(doc, f.Type) || f.Type == "DOB" && labelledDate(doc, f) {
			continue
		}
		into[f.Type].fp++
		explain(tb, "false", f.Type, doc, f.Start, f.End)
	}
}

// labelledDate reports a date of birth where the label says date, which some
// sources do for both.
func labelledDate(doc goldDoc, f dlp.Finding) bool {
	return slices.ContainsFunc(doc.Spans, func(g goldSpan) bool { return g.Type == "DATE" && g.Start < f.End && f.Start < g.End })
}

// counts reports whether a hit without a label is false in doc.
func counts(doc goldDoc, typ dlp.Type) bool {
	switch doc.Meta.Labels {
	case "full":
		return true
	case "single":
		return doc.Meta.Tested == string(typ)
	case "structured":
		return slices.Contains([]dlp.Type{"SSN", "MRN", "MBI", "NPI", "DEA"}, typ)
	}
	return false
}

// explain prints one error when STANCH_EXPLAIN names its type.
func explain(tb testing.TB, what string, typ dlp.Type, doc goldDoc, start, end int64) {
	tb.Helper()
	if os.Getenv("STANCH_EXPLAIN") == string(typ) {
		tb.Logf("%s %s %s: %q [%q] %q", what, typ, doc.ID, doc.Text[max(0, start-40):start], doc.Text[start:end], doc.Text[end:min(int64(len(doc.Text)), end+20)])
	}
}

// TestNegatives counts what is found in text without any patient, for the
// types of which none stands there.
func TestNegatives(t *testing.T) {
	root := filepath.Join(shared, "negatives")
	if _, err := os.Stat(root); err != nil {
		t.Skip("no text without patients at " + shared)
	}
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	limits := map[dlp.Type]float64{"SSN": 0.05, "ITIN": 0.05, "MRN": 0.2, "NPI": 0.1, "MBI": 0.05, "DEA": 0.05, "ICD10": 0.05}
	hits := map[dlp.Type]int{}
	var size int64
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size += int64(len(text))
		scan := s.Begin(scanner.Options{})
		text = []byte(strings.ToValidUTF8(string(text), "?"))
		if err := scanner.Feed(scan, dlp.PartInfo{}, text); err != nil {
			return err
		}
		found, gaps := scan.Finish()
		if len(gaps) > 0 {
			t.Errorf("%s: gap %s", path, gaps[0].Detail)
		}
		for _, f := range found {
			if f.Confidence < dlp.Medium {
				continue
			}
			hits[f.Type]++
			explain(t, "false", f.Type, goldDoc{ID: path, Text: string(text)}, f.Start, f.End)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mb := float64(size) / 1e6
	for _, typ := range scored {
		rate := float64(hits[typ]) / mb
		t.Logf("%-8s %6d hits, %8.3f a megabyte", typ, hits[typ], rate)
		if limit, ok := limits[typ]; ok && rate > limit {
			t.Errorf("%s: %.3f false hits a megabyte, want at most %.2f", typ, rate, limit)
		}
	}
}
