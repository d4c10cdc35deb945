package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract"
)

var update = flag.Bool("update", false, "rewrite the goldens of testdata/explain")

// TestMain plays the extraction child where the pool starts one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == extract.ChildArg {
		os.Exit(child())
	}
	dir, err := os.MkdirTemp("", "stanch-cmd-test-")
	if err != nil {
		panic(err)
	}
	cache = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// stanch runs a command and returns its output and exit code.
func stanch(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	t.Setenv("STANCH_CONFIG", "")
	t.Setenv("XDG_CACHE_HOME", cache)
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return o.String(), e.String(), code
}

// cache keeps what the children compile once, for all tests of this package.
var cache string

// TestExplainGoldens: the whole explanation of texts in which every step stops
// something, and of tables, HL7 and mail.
func TestExplainGoldens(t *testing.T) {
	const dir = "testdata/explain"
	mine := []string{"rules", "explain", "--rules", dir + "/rules.toml", "--rule", "us-ssn,example-mrn,example-member"}
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"prose.txt", []string{dir + "/prose.txt"}},
		{"prose-near.txt", []string{dir + "/prose.txt", "--near", "--max", "1"}},
		{"prose-revealed.txt", []string{dir + "/prose.txt", "--reveal", "--max", "6"}},
		{"prose.json", []string{dir + "/prose.txt", "--format", "json", "--near"}},
		{"visits.txt", []string{dir + "/visits.csv"}},
		{"visits.json", []string{dir + "/visits.csv", "--format", "json"}},
		{"admit.txt", []string{dir + "/admit.hl7"}},
		{"note.txt", []string{dir + "/note.eml"}},
		{"text.txt", []string{"--text", "MRN QX482913, order 536-22-8145"}},
		{"text-csv.txt", []string{"--text", "a,SSN\nb,536228145\n", "--as", "csv"}},
		{"two.json", []string{dir + "/visits.csv", dir + "/note.eml", "--format", "json", "--max", "1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, errs, code := stanch(t, append(mine[:len(mine):len(mine)], tt.args...)...)
			if code != 0 || errs != "" {
				t.Fatalf("exit %d: %s", code, errs)
			}
			if strings.HasSuffix(tt.name, ".json") && !json.Valid([]byte(out)) {
				t.Errorf("not JSON:\n%s", out)
			}
			if !strings.Contains(tt.name, "revealed") {
				for _, phi := range []string{"536-22", "536228", "Roe", "482913", "912-22"} {
					if strings.Contains(out, phi) {
						t.Errorf("%q is not masked", phi)
					}
				}
			}
			golden := filepath.Join(dir, "golden", tt.name)
			if *update {
				if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if out != string(want) {
				t.Errorf("got\n%s\nwant\n%s", out, want)
			}
		})
	}
}

// TestExplainBuiltIn: of the built-in rules the questions that authors and
// officers ask are answered.
func TestExplainBuiltIn(t *testing.T) {
	for _, tt := range []struct{ text, rule, want string }{
		{"SSN 536-22-8145", "us-ssn", "found, high"},
		{"his number is 536228145 he says", "us-ssn", "it would be medium with one of"},
		{"his number is 536228145 he says", "us-ssn", "it would be medium written ***-**-*145"},
		{"SSN 912-22-8145", "us-ssn", "areas 900 to 999 are never given out"},
		{"NPI 1234567890", "us-npi", "is not the check digit"},
		{"SSN 078-05-1120", "us-ssn", "listed: published specimen numbers"},
		{"x536-22-8145", "us-ssn", "a letter right before it"},
		{"x536-22-8145", "us-ssn", "it would be medium standing alone"},
	} {
		out, errs, code := stanch(t, "rules", "explain", "--text", tt.text, "--rule", tt.rule)
		if code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%q: exit %d %s, no %q in\n%s", tt.text, code, errs, tt.want, out)
		}
	}
}

// TestExplainOfOneAndPart: where a part of a form that is none is found, both say so.
func TestExplainOfOneAndPart(t *testing.T) {
	out, _, code := stanch(t, "rules", "explain", "--reveal", "--text", "Dx: E11.X", "--rule", "icd10")
	whole := strings.Index(out, "not found as a whole, stopped by its validator: a part of it is, see there")
	if part := strings.Index(out, "[E11].X"); code != 0 || whole < 0 || part < whole {
		t.Errorf("exit %d, want the whole form and then its part in\n%s", code, out)
	}
	out, _, _ = stanch(t, "rules", "explain", "--text", "seen: E11.X", "--rule", "icd10")
	if strings.Contains(out, "a part of it is") {
		t.Errorf("nothing is found, want no word of a part in\n%s", out)
	}
}

// TestExplainFile: of a file only what passed every step is told, with a line that
// says how to see the rest; all of it with --all, and of one rule.
func TestExplainFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(path, []byte("SSN 536-22-8145, ref 4829137 and 512441234 of 2,125,550,142 and 10.11.12.300\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const stopped, rest = "stopped by its", "more candidates that some step stopped (--all"
	for _, tt := range []struct {
		args          []string
		stopped, rest bool
	}{
		{[]string{path}, false, true},
		{[]string{path, "--all"}, true, false},
		{[]string{path, "--rule", "us-ssn"}, true, false},
		{[]string{"--text", "ref 512441234"}, true, false},
	} {
		out, errs, code := stanch(t, append([]string{"rules", "explain"}, tt.args...)...)
		if code != 0 || strings.Contains(out, stopped) != tt.stopped || strings.Contains(out, rest) != tt.rest {
			t.Errorf("%q: exit %d, %s; want %q %t and %q %t in\n%s", tt.args, code, errs, stopped, tt.stopped, rest, tt.rest, out)
		}
	}
	out, _, _ := stanch(t, "rules", "explain", path, "--format", "json")
	var got []explanationView
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 1 || got[0].Left == 0 {
		t.Errorf("%v, %+v; want candidates that were left out counted", err, got)
	}
}

func TestExplainUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"--text", "x", "y"}, "not both", exitError},
		{[]string{"--as", "csv", "y"}, "--as", exitError},
		{[]string{"--text", "x", "--as", "xml"}, "--as", exitError},
		{[]string{"--text", "x", "--near"}, "--near", exitError},
		{[]string{"--text", "x", "--rule", "nonesuch"}, `there is no "nonesuch"`, exitError},
		{[]string{"--text", "x", "--max", "0"}, "--max", exitError},
		{[]string{"--text", "x", "--format", "xml"}, "--format", exitError},
		{[]string{"testdata/nonesuch"}, "nonesuch", exitError},
	} {
		out, errs, code := stanch(t, append([]string{"rules", "explain"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit %d, %q, %q, want %d and %q", tt.args, code, out, errs, tt.code, tt.want)
		}
	}
}

// TestGuideExplains: what docs/rules.md shows of explain is what it prints, but for the
// words, lines and counts that change with the packs.
func TestGuideExplains(t *testing.T) {
	guide, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(guide), "The last one says, among others:\n\n```\n")
	shown, _, ok := strings.Cut(shown, "```")
	out, errs, code := stanch(t, "rules", "explain", "--text", "his number is 536228145", "--rule", "us-ssn")
	if !ok || code != 0 || errs != "" {
		t.Fatalf("guide %v, exit %d: %s", ok, code, errs)
	}
	change := regexp.MustCompile("(`[^`]*`, )+`[^`]*` and \\d+ more|toml:\\d+")
	if form := change.ReplaceAllString(shown, "…"); !strings.Contains(change.ReplaceAllString(out, "…"), form) {
		t.Errorf("the guide shows\n%s\nand explain prints\n%s", shown, out)
	}
}

// TestEvalOfTheGuide: the texts of docs/rules.md are counted with the rule of its example.
func TestEvalOfTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	block := func(name, after, fence string) string {
		_, text, _ := strings.Cut(string(guide), after)
		_, text, _ = strings.Cut(text, fence+"\n")
		text, _, _ = strings.Cut(text, "```")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rules, texts := block("badge.toml", "## A worked example", "```toml"), block("texts.jsonl", "## Tests", "```")
	out, errs, code := stanch(t, "rules", "eval", "--rules", rules, "--only", "staff-badge", texts)
	if code != 0 || errs != "" || !regexp.MustCompile(`(?m)^  CUSTOM +1 +0 +0 +1\.000 +1\.000 `).MatchString(out) {
		t.Errorf("exit %d, %q:\n%s", code, errs, out)
	}
}
