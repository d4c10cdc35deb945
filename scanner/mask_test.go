package scanner

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gold"
)

// masking is a text with the places of the values in it.
type masking struct {
	text   string
	labels []gold.Span
}

// reveals gathers at which offsets of text a mask of text[start:end] shows a letter
// or digit.
func reveals(t *testing.T, seen map[int64]bool, text, masked string, start, end int64) {
	t.Helper()
	if masked == "***" {
		return
	}
	value := []rune(text[start:end])
	at := start
	for _, r := range value[:max(0, len(value)-maxMasked)] {
		at += int64(utf8.RuneLen(r))
	}
	value = value[max(0, len(value)-maxMasked):]
	if len(value) != len([]rune(masked)) {
		t.Fatalf("%q is no mask of %q", masked, string(value))
	}
	for i, r := range []rune(masked) {
		if r == value[i] && !separates(r) {
			seen[at] = true
		}
		at += int64(utf8.RuneLen(value[i]))
	}
}

// holdsBound fails where more of a value is seen than its mask may show.
func holdsBound(t *testing.T, what string, m masking, seen map[int64]bool) {
	t.Helper()
	for _, l := range m.labels {
		n, most := 0, min(maxShown, (utf8.RuneCountInString(m.text[l.Start:l.End])+1)/3)
		if showsNone(l.Type) {
			most = 0
		}
		for at := l.Start; at < l.End; at++ {
			if seen[at] {
				n++
			}
		}
		if n > most {
			t.Errorf("%s: %d characters of the %s %q are shown, want at most %d: %q", what, n, l.Type, m.text[l.Start:l.End], most, m.text)
		}
	}
}

// TestMasksTogetherShowNoMoreThanOne: all that an explanation and a report say of a
// value, whichever candidates and findings overlap in it, stays within the bound of
// one mask: four characters, a third, none of a name or date.
func TestMasksTogetherShowNoMoreThanOne(t *testing.T) {
	s := New(builtIn(t))
	for _, m := range maskings(t) {
		var values []string
		scan := s.Begin(Options{})
		if err := Feed(scan, dlp.PartInfo{}, []byte(m.text)); err != nil {
			t.Fatal(err)
		}
		found, _ := scan.Finish()
		for _, f := range found {
			values = append(values, m.text[f.Start:f.End])
			m.labels = append(m.labels, gold.Span{Type: f.Type, Start: f.Start, End: f.End})
		}
		seen := map[int64]bool{}
		for i, masked := range MaskFindings(found, values) {
			reveals(t, seen, m.text, masked, found[i].Start, found[i].End)
		}
		holdsBound(t, "scan", m, seen)

		x := s.Explain(ExplainOptions{Max: 1 << 20, Near: true})
		if err := Feed(x, dlp.PartInfo{}, []byte(m.text)); err != nil {
			t.Fatal(err)
		}
		e := x.Finish()
		seen = map[int64]bool{}
		for i := range e.Candidates {
			c := &e.Candidates[i]
			reveals(t, seen, m.text, c.Value, c.Start, c.End)
			for _, r := range c.Remedies {
				if form, ok := strings.CutPrefix(r.Change, "written "); ok && form != "***" {
					rewritten(seen, m.text, form, c.Start, c.End)
				}
			}
			if strings.ContainsAny(c.Before+c.After, "0123456789") && !strings.ContainsAny(m.text, "abcdefghijklmnopqrstuvwxyz") {
				t.Errorf("surroundings %q and %q show a number", c.Before, c.After)
			}
		}
		for i := range e.Near {
			reveals(t, seen, m.text, e.Near[i].Value, e.Near[i].Start, e.Near[i].End)
		}
		holdsBound(t, "explain", m, seen)
	}
}

// rewritten gathers what a masked other form of text[start:end] shows of it.
func rewritten(seen map[int64]bool, text, form string, start, end int64) {
	var letters []int64
	for at := start; at < end; at++ {
		if isWord(text[at]) && text[at] != '_' {
			letters = append(letters, at)
		}
	}
	k := 0
	for _, r := range form {
		if r == '*' || !separates(r) {
			if r != '*' && k < len(letters) {
				seen[letters[k]] = true
			}
			k++
		}
	}
}

// maskings is labelled text, and numbers made at random as people write them.
func maskings(t *testing.T) (out []masking) {
	t.Helper()
	r := rand.New(rand.NewPCG(4, 3))
	before := []string{"SSN ", "MRN ", "account ", "DOB 3/4/1961 ssn ", "", "id:", "x"}
	after := []string{"", " W123456789012", ", MRN 4829137", " 3/4/1961", "/12", "x"}
	forms := []struct {
		typ  dlp.Type
		form string
	}{
		{"SSN", "###-##-####"}, {"SSN", "#########"}, {"SSN", "### ## ####"}, {"MRN", "W############"}, {"MBI", "1EG4-TE5-MK7#"}, {"MBI", "#EG4TE5MK##"},
		{"CARD", "4111 1111 1111 ####"}, {"CARD", "4111-####-####-1111"}, {"CARD", "41111111111#####"}, {"PHONE", "(212) 555-0###"}, {"DOB", "0#/0#/19##"},
		{"EMAIL", "jane.roe#@clinic.example"}, {"MRN", "E#######"}, {"ACCOUNT", "##-##-####-##-####"},
	}
	n := 12
	if testing.Short() {
		n = 2
	}
	for _, f := range forms {
		for range n {
			value := []byte(f.form)
			for i, c := range value {
				if c == '#' {
					value[i] = byte('1' + r.IntN(9))
				}
			}
			b, a := before[r.IntN(len(before))], after[r.IntN(len(after))]
			out = append(out, masking{b + string(value) + a, []gold.Span{{Type: f.typ, Start: int64(len(b)), End: int64(len(b) + len(value))}}})
		}
	}
	out = append(out, masking{"SSN 536-22-8145", []gold.Span{{Type: "SSN", Start: 4, End: 15}}}, masking{"W123456789012", []gold.Span{{Type: "MRN", End: 13}}})
	files, _ := filepath.Glob(filepath.Join("../../shared", "gold", "*.jsonl"))
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
		every := 20
		if testing.Short() {
			every = 200
		}
		for i := range docs {
			if i%every == 0 && len(docs[i].Text) < 20_000 {
				// Of a name, street or year that no rule knows, a number may be shown as another's.
				out = append(out, masking{docs[i].Text, slices.DeleteFunc(docs[i].Spans, func(l gold.Span) bool { return showsNone(l.Type) })})
			}
		}
	}
	return out
}

// TestOverlappingFindingsAreMaskedAsOne: of findings of different types in one place
// each shows its part of what the surest shows.
func TestOverlappingFindingsAreMaskedAsOne(t *testing.T) {
	find := func(typ dlp.Type, part string, start, end int64, sure dlp.Confidence) dlp.Finding {
		return dlp.Finding{Type: typ, Path: part, Start: start, End: end, Confidence: sure}
	}
	const text = "9912345678A"
	for _, tt := range []struct {
		found []dlp.Finding
		want  []string
	}{
		{[]dlp.Finding{find("ACCOUNT", "", 0, 11, dlp.Medium), find("MRN", "", 2, 8, dlp.Medium)}, []string{"*******678A", "*****6"}},
		{[]dlp.Finding{find("ACCOUNT", "", 0, 11, dlp.Medium), find("MRN", "", 2, 8, dlp.High)}, []string{"*******6***", "****56"}},
		{[]dlp.Finding{find("ACCOUNT", "", 0, 11, dlp.Medium), find("MRN", "2", 2, 8, dlp.High)}, []string{"*******678A", "****56"}},
		{[]dlp.Finding{find("ACCOUNT", "", 0, 11, dlp.High), find("DOB", "", 2, 10, dlp.Low)}, []string{"**********A", "********"}},
	} {
		var values []string
		for _, f := range tt.found {
			values = append(values, text[f.Start:f.End])
		}
		if got := MaskFindings(tt.found, values); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", fmt.Sprint(tt.found), got, tt.want)
		}
	}
}
