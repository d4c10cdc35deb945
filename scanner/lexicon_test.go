package scanner

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// naiveKind is what a character of a word is: 1 of those that stand together, 2 alone.
func naiveKind(r rune) int {
	switch {
	case r <= unicode.MaxASCII:
		if unicode.In(r, unicode.L, unicode.Nd) {
			return 1
		}
		return 0
	case r >= '\u2e80', unicode.In(r, unicode.Thai, unicode.Lao, unicode.Tibetan, unicode.Myanmar, unicode.Khmer), !unicode.In(r, unicode.L, unicode.M):
		return 2
	}
	return 1
}

// naiveWord is how many bytes the word has that s begins with.
func naiveWord(s string) (n int) {
	for i, r := range s {
		switch k := naiveKind(r); {
		case k == 0, k == 2 && i > 0:
			return i
		case k == 2:
			return utf8.RuneLen(r)
		}
		n = i + utf8.RuneLen(r)
	}
	return n
}

// naiveEdge reports whether no word goes on at text[i:].
func naiveEdge(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i:])
	return naiveKind(before) != 1 || naiveKind(after) != 1
}

// naiveTerm compares each term of p with what stands at text[i:], and returns
// where the longest ends and how it is listed; 0 where none does.
func naiveTerm(p *patterns.Pattern, text string, i int) (end int, term string) {
	if naiveWord(text[i:]) == 0 || !utf8.RuneStart(text[i]) || i > 0 && !naiveEdge(text, i) {
		return 0, ""
	}
	words := slices.Clone(p.Terms)
	for _, w := range p.Terms {
		if s := patterns.Plural(w); p.Plural && s != "" {
			words = append(words, s)
		}
	}
	for _, w := range words {
		at, ok := i, true
		for n, tok := range tokenise(w) {
			if n > 0 {
				for k := at; at < len(text) && at-k < maxSeparators && separator(text[at]); {
					at++
				}
			}
			to := at + naiveWord(text[at:])
			if !wordByte(tok[0]) {
				to = min(at+1, len(text))
			}
			if ok = strings.ToLower(text[at:to]) == tok; !ok {
				break
			}
			at = to
		}
		if ok && at > end {
			end, term = at, strings.Join(tokenise(w), " ")
		}
	}
	return end, term
}

// randomTerms writes terms that have beginnings in common.
func randomTerms(r *rand.Rand) string {
	bits := []string{"ab", "abc", "a", "x1", "word", "word", "abcdefgh", "abcdefghi", "Crohn's", "ménière", "STRASSE", "漢", "漢字", "lung漢", "ไทย", "lung", "y", "stenosis", "b12", "#", "+"}
	var out []string
	for range 1 + r.IntN(8) {
		term := bits[r.IntN(len(bits)-2)]
		for range r.IntN(4) {
			term += []string{" ", "-", " ", "/"}[r.IntN(4)] + bits[r.IntN(len(bits))]
		}
		out = append(out, fmt.Sprintf("%q", term))
	}
	return strings.Join(out, ", ")
}

// loosely writes a term in some case, with other separators between its words.
func loosely(r *rand.Rand, w string) string {
	if r.IntN(3) == 0 {
		w = strings.ToUpper(w)
	}
	return strings.ReplaceAll(w, " ", []string{" ", "\n", "-", "  ", " . ", "_", strings.Repeat(" ", 8), strings.Repeat(" ", 9)}[r.IntN(8)])
}

// loadText loads one file of rules.
func loadText(tb testing.TB, text string) *patterns.Set {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte("schema = 1\n"+text), 0o600); err != nil {
		tb.Fatal(err)
	}
	set, err := patterns.Load(tb.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	return set
}

// TestTermsAreWords: what of a text is a term, and what only holds one.
func TestTermsAreWords(t *testing.T) {
	s := New(loadText(t, `[[rules]]
id = "w"
type = "CONDITION"
count = "all"
  [[rules.patterns]]
  confidence = "medium"
  words = ["asthma", "type 2 diabetes", "Crohn's disease", "Ménière's disease", "biopsy", "stenosis", "aortic stenosis", "mrsa", "x-ray", "poliomyélite"]
  plural = true
`))
	long := strings.Repeat("z", 4096-3)
	tests := []struct {
		text string
		want []string // what is found, as it stands in text
	}{
		{"asthma", []string{"asthma"}},
		{"ASTHMA, asthmas; asthmatic xasthma asthma2 asthma_ _asthma asthmaé", []string{"ASTHMA", "asthmas"}},
		{"(Type-2  diabetes)", []string{"Type-2  diabetes"}},
		{"type 2\r\n\tdiabetes type 2, diabetes", []string{"type 2\r\n\tdiabetes"}},
		{"Crohn’s disease, crohn s disease", []string{"Crohn’s disease", "crohn s disease"}},
		{"MÉNIÈRE'S DISEASE", []string{"MÉNIÈRE'S DISEASE"}},
		{"biopsies of aortic stenoses", []string{"biopsies", "aortic stenoses"}},
		{"MRSA asth\u00adma", []string{"MRSA", "asth\u00adma"}},
		{"POLIOMYÉLITE poliomyelite", []string{"POLIOMYÉLITE"}},
		{"xray x ray", []string{"x ray"}},
		{long + " asthma", []string{"asthma"}},
		{long[:len(long)-2] + " asthma", []string{"asthma"}},
		{"", nil},
	}
	for _, tt := range tests {
		for _, cuts := range [][]int{nil, {len(tt.text) / 2}} {
			if len(cuts) > 0 && cuts[0] < len(tt.text) && tt.text[cuts[0]]&0xc0 == 0x80 {
				continue
			}
			scan := s.Begin(Options{})
			FeedPieces(t, scan, dlp.PartInfo{}, tt.text, cuts)
			found, _ := scan.Finish()
			var got []string
			for _, f := range found {
				got = append(got, tt.text[f.Start:f.End])
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("in %.60q, cut at %v: found %q, want %q", tt.text, cuts, got, tt.want)
			}
		}
	}
}

// TestTermsOnceAPart: a term is told of once in a part, and once in each row;
// in either number it is one value; what an e-mail address holds does not count
// as told.
func TestTermsOnceAPart(t *testing.T) {
	s := New(loadText(t, `[[rules]]
id = "w"
type = "CONDITION"
  [[rules.patterns]]
  confidence = "medium"
  words = ["asthma", "gout"]
  plural = true
  [[rules.patterns]]
  confidence = "high"
  words = ["gout"]
  supporting = { any = ["dx"], proximity = 4 }
  [[rules.allowlists]]
  description = "the name of a street"
  values = ["mild asthma", "asthmas"]
[[rules]]
id = "email"
type = "EMAIL"
boundary = "none"
  [[rules.patterns]]
  confidence = "high"
  regex = '''[a-z]{1,9}@x'''
`))
	feed := func(parts map[string]string, spans []dlp.Span) []string {
		scan := s.Begin(Options{})
		for _, path := range []string{"1", "2"} {
			if err := scan.Part(dlp.PartInfo{Path: path}); err != nil {
				t.Fatal(err)
			}
			if err := scan.Text(dlp.Window{Text: []byte(parts[path]), Spans: spans}); err != nil {
				t.Fatal(err)
			}
		}
		found, _ := scan.Finish()
		var out []string
		keys := map[dlp.ValueKey]bool{}
		for _, f := range found {
			out = append(out, fmt.Sprintf("%s %d %s", f.Path, f.Start, f.Confidence))
			keys[f.ValueKey] = true
		}
		return append(out, fmt.Sprint(len(keys)))
	}
	tests := []struct {
		name  string
		parts map[string]string
		spans []dlp.Span
		want  []string
	}{
		{"twice in a part, and in another", map[string]string{"1": "asthma, Asthma", "2": "asthma"}, nil, []string{"1 0 medium", "2 0 medium", "1"}},
		{"in both numbers, one of them allowed", map[string]string{"1": "gout gouts gouts asthmas"}, nil, []string{"1 0 medium", "1 5 medium", "1"}},
		{"surer later", map[string]string{"1": "gout and later dx gout, dx gout"}, nil, []string{"1 0 medium", "1 18 high", "1"}},
		{"first within an address", map[string]string{"1": "asthma@x asthma asthma"}, nil, []string{"1 0 high", "1 9 medium", "2"}},
		{"in each row", map[string]string{"1": "asthma asthma asthma"}, []dlp.Span{{Start: 0, End: 6, Group: 1}, {Start: 7, End: 20, Group: 2}}, []string{"1 0 medium", "1 7 medium", "1"}},
	}
	for _, tt := range tests {
		if got := feed(tt.parts, tt.spans); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestTermsNameNothingElse: two numbers that begin with the same term stay two
// values, and the term counts as one of them.
func TestTermsNameNothingElse(t *testing.T) {
	s := New(loadText(t, `[[rules]]
id = "w"
type = "CONDITION"
count = "all"
  [[rules.patterns]]
  confidence = "medium"
  words = ["gout study 7"]
[[rules]]
id = "m"
type = "MRN"
  [[rules.patterns]]
  confidence = "medium"
  regex = '''7-\d{2}'''
`))
	keys := map[dlp.ValueKey]int{}
	for _, f := range scanFindings(t, s, "gout study 7-12, gout study 7-34") {
		keys[f.ValueKey]++
	}
	if len(keys) != 2 {
		t.Fatalf("%d values, want 2", len(keys))
	}
	for _, n := range keys {
		if n != 2 {
			t.Errorf("%d findings of a value, want 2: a term and a number", n)
		}
	}
}

func scanFindings(tb testing.TB, s *Scanner, text string) []dlp.Finding {
	tb.Helper()
	scan := s.Begin(Options{})
	FeedPieces(tb, scan, dlp.PartInfo{}, text, nil)
	found, _ := scan.Finish()
	return found
}

// TestTermsTakeNoMemory: text whose words begin no term costs no allocation,
// also where words have letters beyond ASCII.
func TestTermsTakeNoMemory(t *testing.T) {
	s := New(loadText(t, "[[rules]]\nid = \"w\"\ntype = \"CONDITION\"\n[[rules.patterns]]\nconfidence = \"medium\"\nwords = [\"ménière\", \"type 2 diabetes\"]\n"))
	text := []byte(strings.Repeat("Über die naïve Straße, type 1 und 2, à côté: 漢字 MÉNI\n", 5000))
	scan := func() {
		c := s.Begin(Options{})
		if err := Feed(c, dlp.PartInfo{}, text); err != nil {
			t.Fatal(err)
		}
		if found, gaps := c.Finish(); len(found)+len(gaps) > 0 {
			t.Fatalf("%d findings and %d gaps, want none", len(found), len(gaps))
		}
	}
	scan()
	if n := testing.AllocsPerRun(10, scan); n > 0 {
		t.Errorf("%.0f allocations, want none", n)
	}
}

// FuzzTerms: on any text, whole and in windows, the terms that are found are
// those that comparing each of them at each place finds.
func FuzzTerms(f *testing.F) {
	f.Add("diagnosed with type-2\ndiabetes, Crohn’s disease; hip fractures", uint16(5))
	f.Add("MÉNIÈRE hip  hip fracture_ 漢x lung\u00adx stenoses", uint16(2))
	f.Add("hip漢x漢字hip fracture字gout№7 hip→ไทยdiabetes\u0e01漢 x", uint16(3))
	f.Add("hip . . . . fracture gouts gout@x"+strings.Repeat(" a b", 20), uint16(1))
	set := loadText(f, `[[rules]]
id = "w"
type = "CONDITION"
  [[rules.patterns]]
  confidence = "medium"
  words = ["type 2 diabetes", "type", "Crohn's disease", "hip fracture", "hip", "stenosis", "gout", "a b a b a", "b a", "lungx", "漢x"]
  plural = true
  [[rules.patterns]]
  confidence = "low"
  words = ["fracture", "diabetes, crohn", "ménière", "a"]
[[rules]]
id = "v"
type = "DRUG"
boundary = "none"
count = "all"
  [[rules.patterns]]
  confidence = "medium"
  words = ["disease", "hip", "b"]
`)
	s, o := New(set), newOracle(set)
	f.Fuzz(func(t *testing.T, text string, step uint16) {
		var n normalised
		n.add([]byte(strings.ReplaceAll(strings.ToValidUTF8(text, "?"), string(rune(turn)), "")))
		n.flush()
		if len(n.norm) == 0 || len(n.norm) > 4096 {
			return
		}
		text = string(n.norm)
		want := o.find(text)
		for _, cuts := range [][]int{nil, cutAnywhere(rand.New(rand.NewPCG(uint64(step), 3)), text)} {
			if got := scanPlaces(t, s, text, cuts); !slices.Equal(got, want) {
				t.Errorf("%q cut at %v: found\n%s\nwant\n%s", text, cuts, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}
