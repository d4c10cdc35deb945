package rulelint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/rulelint"
	"github.com/stanch-dlp/stanch/patterns"
)

// load loads rules written by hand, without their tests.
func load(t *testing.T, text string) *patterns.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.toml")
	if err := os.WriteFile(path, []byte("schema = 1\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// rule writes a rule; each pattern is the keys of one.
func rule(head, tests string, ps ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[rules]]\n%s\n", head)
	for _, p := range ps {
		fmt.Fprintf(&b, "  [[rules.patterns]]\n  %s\n", strings.ReplaceAll(p, "; ", "\n  "))
	}
	if tests != "" {
		fmt.Fprintf(&b, "  [rules.tests]\n  %s\n", tests)
	}
	return b.String()
}

// TestLint: each problem is found where it is, and not in its neighbour that is
// sound.
func TestLint(t *testing.T) { // long: a table
	const (
		head    = "id = \"a\"\ntype = \"CUSTOM\"\nboundary = \"word\""
		tests   = `match = ["x"]`
		tests12 = `match = ["A123456", "A1234567", "no A123456", "no A1234567"]`
	)
	high := func(re, more string) string { return "confidence = \"high\"; regex = '''" + re + "'''" + more }
	medium := func(re, more string) string { return "confidence = \"medium\"; regex = '''" + re + "'''" + more }
	near := func(n int, words string) string {
		return fmt.Sprintf("; supporting = { any = [%s], proximity = %d }", words, n)
	}
	for _, tt := range []struct {
		name  string
		rules string
		key   string // what is said, by the end of its key and a part of its text; "" for nothing
		want  string
		wrong bool
	}{
		{"shadowed by a wider expression", rule(head, tests12, medium(`[A-Z]\d{6,7}`, ""), medium(`[A-C]\d{6}`, "")), "patterns[1].regex", "every text it matches", false},
		{"not shadowed by a narrower one", rule(head, tests12, medium(`[A-C]\d{6}`, ""), medium(`[A-Z]\d{6,7}`, near(20, `"no"`))), "", "", false},
		{"not shadowed where it is surer", rule(head, tests12, medium(`[A-Z]\d{6,7}`, ""), high(`[A-C]\d{6}`, "")), "", "", false},
		{"not shadowed where the other asks for a word", rule(head, tests12, medium(`[A-Z]\d{6,7}`, near(20, `"no"`)), medium(`[A-C]\d{6}`, "")), "", "", false},
		{"shadowed where the other asks for more words", rule(head, tests12, medium(`[A-Z]\d{6,7}`, near(20, `"no", "badge"`)), medium(`[A-C]\d{6}`, near(10, `"no"`))), "patterns[1].regex", "line 6", false},
		{"not shadowed where the other looks less far", rule(head, tests12, medium(`[A-Z]\d{6,7}`, near(10, `"no"`)), medium(`[A-C]\d{6}`, near(20, `"no"`))), "", "", false},
		{"not shadowed where the other has a check", rule(head, `match = ["79927398713"]`, medium(`\d{10,11}`, "; validator = \"luhn\""), medium(`\d{11}`, "")), "", "", false},
		{"not shadowed where the other stops sooner", rule(head, `match = ["A12", "A1234"]`, medium(`A\d\d|A\d{4}`, ""), medium(`A\d{4}`, "")), "", "", false},
		{"shadowed, by texts made from it", rule(head, `match = ["A123456"]`, medium(`\b[A-Z]\d{6,7}`, ""), medium(`[A-C]\d{6}`, "")), "patterns[1].regex", "each of 200 texts", false},

		{"overlapping types", rule(head, `match = ["A123456"]`, medium(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"MRN\"", `match = ["A123456"]`, medium(`A\d{5,8}`, "")), "a.patterns[0].regex", "MRN of b", false},
		{"hidden by another rule of its type", rule(head, `match = ["A123456"]`, medium(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["no A123456"]`, medium(`A\d{6}`, near(20, `"no"`))), "b.patterns[0].regex", "leaves to it", false},
		{"hidden by a surer rule below it", rule(head, `match = ["A123456"]`, medium(`A\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["A123456"]`, high(`[A-Z]\d{6}`, "")), "a.patterns[0].regex", "leaves to it", false},
		{"not hidden by one below it", rule(head, `match = ["A123456"]`, medium(`A\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["A123456", "B123456"]`, medium(`[A-Z]\d{6}`, "")), "", "", false},
		{"not hidden where it is surer", rule(head, `match = ["A123456"]`, medium(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["no A123456"]`, high(`A\d{6}`, near(20, `"no"`))), "", "", false},
		{"not hidden where the other is lowered", rule(head+"\ndemote = [{ any = [\"lot\"], proximity = 20 }]", `match = ["A123456"]`, medium(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["A123456"]`, medium(`A\d{6}`, "")), "", "", false},
		{"not hidden within a word", rule(head, `match = ["A123456"]`, medium(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"\nboundary = \"none\"", `match = ["xA123456"]`, medium(`A\d{6}`, "")), "", "", false},
		{"overlapping, of one type", rule(head, `match = ["A123456"]`, medium(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"CUSTOM\"", `match = ["A123456"]`, medium(`A\d{5,8}`, "")), "", "", false},
		{"overlapping, one surer", rule(head, `match = ["A123456"]`, high(`[A-Z]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"MRN\"", `match = ["A123456"]`, medium(`A\d{5,8}`, "")), "", "", false},
		{"apart by their letters", rule(head, `match = ["A123456"]`, medium(`[A-C]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"MRN\"", `match = ["D123456"]`, medium(`[D-F]\d{6}`, "")), "", "", false},
		{"apart by a word", rule(head, `match = ["A123456"]`, medium(`[A-C]\d{6}`, "")) +
			rule("id = \"b\"\ntype = \"MRN\"", `match = ["mrn A123456"]`, medium(`[A-C]\d{6}`, near(20, `"mrn"`))), "", "", false},
		{"overlapping beside one word", rule(head, `match = ["chart A123456"]`, medium(`[A-C]\d{6}`, near(20, `"chart", "badge"`))) +
			rule("id = \"b\"\ntype = \"MRN\"", `match = ["chart A123456"]`, medium(`[A-Z]\d{6}`, near(20, `"chart", "mrn"`))), "a.patterns[0].regex", `where "chart" stands before it`, false},
		{"weighed against each other by a demotion", rule(head, `match = ["chart A123456"]`, medium(`[A-C]\d{6}`, near(20, `"chart"`))) +
			rule("id = \"b\"\ntype = \"MRN\"", `match = ["chart A123456"]`, medium(`[A-Z]\d{6}`, near(20, `"chart"`))+"\n  [[rules.demote]]\n  any = [\"chart\"]"), "", "", false},

		{"a validator that refuses all", rule(head, tests, medium(`\d{8}`, "; validator = \"us-ssn\"")), "patterns[0].validator", "none of 20000", false},
		{"a validator that takes few", rule(head, `match = ["79927398713"]`, medium(`\d{11}`, "; validator = \"luhn\"")), "", "", false},
		{"a boundary that contradicts", rule(head, tests, medium(`\B\d{6}`, "")), "patterns[0].regex", "contradict", true},
		{"the same without a boundary", rule("id = \"a\"\ntype = \"CUSTOM\"\nboundary = \"none\"", `match = ["x123456"]`, medium(`\B\d{6}`, "")), "", "", false},
		{"an edge that cannot be", rule(head, tests, medium(`\d{3}\b\d{3}`, "")), "patterns[0].regex", "can match by itself", false},
		{"what normalisation takes away", rule(head, tests, medium(`\d{3}–\d{4}`, "")), "patterns[0].regex", "normalised", true},
		{"an allowlist that takes all", rule(head, tests, medium(`A[12]`, "")+"\n  [[rules.allowlists]]\n  description = \"both\"\n  values = [\"A1\", \"A2\"]"), "patterns[0].regex", "allowlist", false},
		{"an allowlist that leaves one", rule(head, `match = ["A3"]`, medium(`A[123]`, "")+"\n  [[rules.allowlists]]\n  description = \"both\"\n  values = [\"A1\", \"A2\"]"), "", "", false},
		{"a word that cannot stand so near", rule(head, tests, medium(`\d{6}`, near(0, `"badge"`))), "patterns[0].supporting.proximity", "so near", true},
		{"a column's name needs no nearness", rule(head, `match = [{ text = "a,badge\nx,123456", as = "csv" }]`, medium(`\d{6}`, "; supporting = { any = [\"badge\"], proximity = 0, header = true }")), "", "", false},

		{"a word in any text", rule(head, `match = ["file 123456"]`, medium(`\d{6}`, near(20, `"file"`))), "patterns[0].supporting.any", `"file"`, false},
		{"a longer label", rule(head, `match = ["file number 123456"]`, medium(`\d{6}`, near(20, `"file number"`))), "", "", false},
		{"a short word that counts far", rule(head, `match = ["qx 123456"]`, medium(`\d{6}`, near(300, `"qx"`))), "patterns[0].supporting.any", `"qx"`, false},
		{"a short word that counts on its line", rule(head, `match = ["qx 123456"]`, medium(`\d{6}`, near(30, `"qx"`))), "", "", false},
		{"a short word with a sign", rule(head, `match = ["q# 123456"]`, medium(`\d{6}`, near(300, `"q#"`))), "", "", false},

		{"no test reaches it", rule(head, `match = ["A123456"]`, medium(`A\d{6}`, ""), medium(`B\d{6}`, "")), "patterns[1].regex", "none of the rule's tests reaches it", false},
		{"each is reached", rule(head, `match = ["A123456", "B123456"]`, medium(`A\d{6}`, ""), medium(`B\d{6}`, "")), "", "", false},
		{"a low one is reached by no_match", rule(head, `match = ["A123456"]`+"\n  no_match = [\"B123456\"]", medium(`A\d{6}`, ""), "confidence = \"low\"; regex = '''B\\d{6}'''"), "", "", false},
		{"a medium one is not", rule(head, `match = ["A123456"]`+"\n  no_match = [\"B123456\"]", medium(`A\d{6}`, ""), medium(`B\d{6}`, "")), "patterns[1].regex", "none of the rule's tests", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rulelint.Lint(t.Context(), load(t, tt.rules), rulelint.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.key == "" {
				if len(got) > 0 {
					t.Errorf("said %v, want nothing", got)
				}
				return
			}
			if len(got) != 1 || !strings.HasSuffix(got[0].Key, tt.key) || !strings.Contains(got[0].Want, tt.want) || got[0].Wrong != tt.wrong ||
				got[0].Line < 2 || !strings.HasSuffix(got[0].File, "r.toml") {
				t.Errorf("said %v, want %s and %q, wrong %t", got, tt.key, tt.want, tt.wrong)
			}
		})
	}
}

// TestLintOrder: problems stand in the order of the set, which is by id, and of
// each rule's patterns, each time anew.
func TestLintOrder(t *testing.T) {
	far := func(re, word string) string {
		return "confidence = \"medium\"; regex = '''" + re + "'''; supporting = { any = [\"" + word + "\"], proximity = 300 }"
	}
	text := rule("id = \"zebra\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["qx A123456", "qy B123456"]`, far(`A\d{6}`, "qx"), far(`B\d{6}`, "qy")) +
		rule("id = \"ant\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["qz C123456"]`, far(`C\d{6}`, "qz"), "confidence = \"medium\"; regex = '''D\\d{6}'''") +
		rule("id = \"moth\"\ntype = \"CUSTOM\"\nboundary = \"word\"", `match = ["qw E123456"]`, far(`E\d{6}`, "qw"))
	for range 5 {
		set := load(t, text)
		problems, err := rulelint.Lint(t.Context(), set, rulelint.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range problems {
			got = append(got, p.Key)
		}
		want := []string{"ant.patterns[0].supporting.any", "ant.patterns[1].regex", "moth.patterns[0].supporting.any", "zebra.patterns[0].supporting.any", "zebra.patterns[1].supporting.any"}
		if !slices.Equal(got, want) {
			t.Fatalf("said %q, want %q", got, want)
		}
	}
}

// TestCorpus: words are counted where an author's own text has them.
func TestCorpus(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("The ward round begins at eight. ", 200) + "The badge is blue. " + strings.Repeat("Nothing else is to be said about it here today. ", 200)
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := rulelint.ReadCorpus(dir)
	if err != nil {
		t.Fatal(err)
	}
	set := load(t, rule("id = \"a\"\ntype = \"CUSTOM\"", `match = ["ward 123456"]`, "confidence = \"medium\"; regex = '''\\d{6}'''; supporting = { any = [\"ward\", \"badge\", \"war\"], proximity = 40 }"))
	got, err := rulelint.Lint(t.Context(), set, rulelint.Options{Corpus: c})
	if err != nil || len(got) != 1 || !strings.Contains(got[0].Want, `"ward": 40 %`) {
		t.Errorf("said %v, %v, want that \"ward\" is common", got, err)
	}
	if _, err := rulelint.ReadCorpus(filepath.Join(dir, "nonesuch")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that of a folder that is not there", err)
	}
}

// TestBuiltInPacks: nothing is said of the built-in rules.
func TestBuiltInPacks(t *testing.T) {
	set, err := patterns.Load(t.Context(), patterns.Source{BuiltIn: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rulelint.Lint(t.Context(), set, rulelint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		t.Errorf("%v", &got[i].Error)
	}
}

// TestForms: a form of the site's that no number has is told, and none that some has.
func TestForms(t *testing.T) {
	for _, tt := range []struct {
		form patterns.MRNFormat
		key  string // "" for nothing
	}{
		{patterns.MRNFormat{Regex: `E\d{7}`}, ""},
		{patterns.MRNFormat{Regex: `E\d{7}`, Range: []string{"1000000", "4999999"}}, ""},
		{patterns.MRNFormat{Regex: `E\d{7}`, Range: []string{"4482000", "4482009"}}, ""},
		{patterns.MRNFormat{Regex: `E\d{7}`, Range: []string{"10000000", "49999999"}}, "site.mrn[0].range"},
		{patterns.MRNFormat{Regex: `E[1-9]\d{6}`, Range: []string{"10", "20"}}, "site.mrn[0].range"},
		{patterns.MRNFormat{Regex: `4\d{6}`, Range: []string{"5000000", "5999999"}}, "site.mrn[0].range"},
		{patterns.MRNFormat{Regex: `[45]\d{6}`, Range: []string{"5000000", "5999999"}}, ""},
		{patterns.MRNFormat{Regex: `\d{7}`, Check: "mod10"}, ""},
		{patterns.MRNFormat{Regex: `448291[0-2]`, Check: "mod10"}, "site.mrn[0].check"},
		{patterns.MRNFormat{Regex: `\d{3}\b\d{4}`}, "site.mrn[0].regex"},
	} {
		got := rulelint.Forms(&patterns.Site{MRN: []patterns.MRNFormat{tt.form}})
		if tt.key == "" && len(got) > 0 || tt.key != "" && (len(got) != 1 || got[0].Key != tt.key) {
			t.Errorf("%+v: said %v, want %q", tt.form, got, tt.key)
		}
	}
}
