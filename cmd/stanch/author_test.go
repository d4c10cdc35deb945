package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// ruleFile writes a rule file and returns its path.
func ruleFile(t *testing.T, patterns, tests string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.toml")
	text := "schema = 1\n[[rules]]\nid = \"badge\"\ntype = \"CUSTOM\"\n" + patterns + "  [rules.tests]\n" + tests
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLintExit: what is wrong ends with 1 and its place, a warning with 0.
func TestLintExit(t *testing.T) {
	const sound = "  [[rules.patterns]]\n  confidence = \"medium\"\n  regex = '''QB\\d{6}'''\n"
	const tests = "  match = [\"QB482913\"]\n  no_match = [\"QB48291\"]\n"
	for _, tt := range []struct {
		name, patterns, want string
		code                 int
	}{
		{"sound", sound, "", 0},
		{"shadowed", sound + "  [[rules.patterns]]\n  confidence = \"low\"\n  regex = '''QB4\\d{5}'''\n", "warning: ", 0},
		{"finds nothing", sound + "  [[rules.patterns]]\n  confidence = \"medium\"\n  regex = '''QB–\\d{6}'''\n", "badge.patterns[1].regex: a pattern that can find something", exitFound},
	} {
		path := ruleFile(t, tt.patterns, tests)
		out, errs, code := stanch(t, "rules", "lint", path)
		if code != tt.code || !strings.Contains(errs, tt.want) || tt.want != "" && !strings.Contains(errs, path+":") || (code == 0) != strings.Contains(out, "1 rule holds") {
			t.Errorf("%s: exit %d, %q, %q, want %d and %q", tt.name, code, out, errs, tt.code, tt.want)
		}
	}
	path := ruleFile(t, sound+"  [[rules.patterns]]\n  confidence = \"low\"\n  regex = '''QB4\\d{5}'''\n", "  match = [\"QB48\", \"QB49\"]\n  no_match = [\"QB48291\"]\n")
	out, errs, code := stanch(t, "rules", "lint", path)
	if code != exitFound || out != "" || strings.Count(errs, "a finding of badge") != 2 || !strings.Contains(errs, "warning: ") {
		t.Errorf("tests that fail: exit %d, %q, %q; want %d, each of them, and the warnings", code, out, errs, exitFound)
	}
	corpus := t.TempDir()
	if err := os.WriteFile(filepath.Join(corpus, "a.txt"), []byte(strings.Repeat("The wombat sleeps. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	path = ruleFile(t, "  [[rules.patterns]]\n  confidence = \"medium\"\n  regex = '''QB\\d{6}'''\n  supporting = { any = [\"wombat\"] }\n", "  match = [\"wombat QB482913\"]\n  no_match = [\"QB48291\"]\n")
	if _, errs, code := stanch(t, "rules", "lint", path, "--corpus", corpus); code != 0 || !strings.Contains(errs, `a rarer word than "wombat"`) {
		t.Errorf("corpus: exit %d, %q", code, errs)
	}
	if _, errs, code := stanch(t, "rules", "lint", path, "--corpus", filepath.Join(corpus, "nonesuch")); code != exitError || errs == "" {
		t.Errorf("no corpus: exit %d, %q", code, errs)
	}
}

// TestShowNamesTheTable: a rule that asks a table says which.
func TestShowNamesTheTable(t *testing.T) {
	out, errs, code := stanch(t, "rules", "show", "icd10")
	if code != 0 || !strings.Contains(out, "dictionary  icd10cm: the built-in structure") || !strings.Contains(out, "dictionary  icd10cm-billable: no table is imported") {
		t.Errorf("built in: exit %d, %s\n%s", code, errs, out)
	}
	dir := t.TempDir()
	config, list := filepath.Join(dir, "stanch.toml"), filepath.Join(dir, "icd10cm_order_2027.txt")
	for path, text := range map[string]string{config: "data_dir = \"data\"\n", list: string(synth.OrderFile())} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, code := stanch(t, "--config", config, "tables", "import", list); code != 0 {
		t.Fatalf("import: exit %d, %s", code, errs)
	}
	if out, errs, code = stanch(t, "--config", config, "rules", "show", "icd10"); code != 0 || strings.Count(out, "the imported table icd10cm 2027, ") != strings.Count(out, "dictionary") {
		t.Errorf("imported: exit %d, %s\n%s", code, errs, out)
	}
	if out, errs, code = stanch(t, "--config", config, "tables", "import", list, "--version", "2028"); code != exitError || !strings.Contains(errs, "this very file is here as version 2027") {
		t.Errorf("the same file as another version: exit %d, %q, %q; want it refused", code, out, errs)
	}
}

// TestRulesBench: counts of a folder, and that a PATH is asked for where no
// checkout has texts.
func TestRulesBench(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(strings.Repeat("SSN 536-22-8145, and nothing else. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := stanch(t, "rules", "bench", dir, "--only", "us-ssn", "--runs", "1", "--format", "json")
	var got benchView
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || !strings.HasPrefix(errs, "stanch: only 35000 bytes of text, ") || strings.Count(errs, "\n") != 1 {
		t.Fatalf("exit %d, %v, %s", code, err, errs)
	}
	if len(got.Rules) != 1 || got.Repeats != 8 || got.Rules[0].Rule != "us-ssn" || got.Rules[0].Findings != 1000 || got.Rules[0].Candidates < 1000 || got.Bytes != 35_000 {
		t.Errorf("got %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.txt"), []byte(strings.Repeat("SSN 536-22-8145, and nothing else. ", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code = stanch(t, "rules", "bench", dir, "--only", "us-ssn", "--runs", "1", "--format", "json"); code != 0 || errs != "" ||
		!strings.Contains(strings.ReplaceAll(out, " ", ""), `"repeats":1,`) {
		t.Errorf("enough text: exit %d, %q\n%s", code, errs, out)
	}
	if err := os.Remove(filepath.Join(dir, "b.txt")); err != nil {
		t.Fatal(err)
	}
	out, _, code = stanch(t, "rules", "bench", dir, "--only", "us-ssn,email", "--runs", "1")
	if code != 0 || !strings.Contains(out, "2 rules on 0.035 MB") || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{{nil, "want a PATH"}, {[]string{dir, "--runs", "0"}, "--runs"}, {[]string{dir, "--only", "nonesuch"}, "--only"}, {[]string{filepath.Join(dir, "b")}, "no such file"}, {[]string{t.TempDir()}, "want text"}} {
		if _, errs, code := stanch(t, append([]string{"rules", "bench"}, tt.args...)...); code != exitError || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit %d, %q, want %q", tt.args, code, errs, tt.want)
		}
	}
}

// TestRulesEval: the table has the types that anything is known of, and labels
// that no rule can find are named.
func TestRulesEval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gold.jsonl")
	line := `{"id":"a","text":"SSN 536-22-8145","spans":[{"start":4,"end":15,"type":"SSN"},{"start":0,"end":3,"type":"SNN"}],"meta":{"labels":"full"}}`
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := stanch(t, "rules", "eval", path)
	if code != 0 || strings.Count(out, "\n") != 3 || !strings.Contains(out, "SSN ") {
		t.Errorf("exit %d, got %q, want a line for SSN alone and one for all", code, out)
	}
	if want := `"SNN" is no type`; !strings.Contains(errs, want) {
		t.Errorf("got %q, want %q", errs, want)
	}
	for name, text := range map[string]string{"empty": "", "blank lines": "\n \n\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, code := stanch(t, "rules", "eval", path)
		if code != exitError || out != "" || !strings.Contains(errs, path) || !strings.Contains(errs, "no labelled text") {
			t.Errorf("%s: exit %d, %q, %q; want it refused: figures of nothing would look like figures", name, code, out, errs)
		}
	}
}

// TestLintConfig: what of the configuration can never hold is told with its line.
func TestLintConfig(t *testing.T) {
	config := filepath.Join(t.TempDir(), "stanch.toml")
	text := "data_dir = \"data\"\n[[site.mrn]]\nregex = 'E[1-9]\\d{6}'\nrange = [\"10\", \"20\"]\n" +
		"[[policies]]\nid = \"p\"\nall = [{ tag = \"healht\" }, { type = \"SSN\" }]\naction = \"quarantine\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := stanch(t, "--config", config, "rules", "lint")
	for _, want := range []string{"warning: " + config + ":4: site.mrn[0].range: ", "warning: " + config + ":7: policies[0].all[0].tag: "} {
		if code != 0 || strings.Count(errs, want) != 1 || strings.Count(errs, "warning: ") != 2 {
			t.Errorf("exit %d, %q, want %q once", code, errs, want)
		}
	}
}

// TestOnlyKeepsLists: what a rule that --only leaves out lists holds all the same for
// those of its type.
func TestOnlyKeepsLists(t *testing.T) {
	dir := t.TempDir()
	site, doc := filepath.Join(dir, "site.toml"), filepath.Join(dir, "a.txt")
	for path, text := range map[string]string{
		site: "schema = 1\n[[rules]]\nextends = \"us-ssn-touched\"\n[[rules.allowlists]]\ndescription = \"training\"\nvalues = [\"531-22-8140\"]\n",
		doc:  "SSN: 531-22-8140\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, code := stanch(t, "scan", "--only", "us-ssn", "--rules", site, doc); code != 0 {
		t.Errorf("listed: exit %d, %s%s", code, out, errs)
	}
	if out, errs, code := stanch(t, "scan", "--only", "us-ssn", doc); code != exitFound {
		t.Errorf("not listed: exit %d, %s%s", code, out, errs)
	}
}
