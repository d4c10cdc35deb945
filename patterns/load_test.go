package patterns_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// good is a rule file that loads; tests change a line of it.
const good = `schema = 1
[keywords]
badge = ["badge", "badge no"]
[[rules]]
id = "badge"
type = "CUSTOM"
description = "Staff badge"
tags = ["identifier"]
boundary = "number"
  [[rules.patterns]]
  confidence = "medium"
  regex = '''B\d{6}'''
  supporting = { any = ["@badge"], proximity = 40 }
  [[rules.allowlists]]
  description = "printed on the poster"
  values = ["B000001"]
  expires = "2026-01-31"
  [rules.tests]
  match = ["badge B123456"]
  no_match = ["B123456", "badge B000001"]
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, src patterns.Source) (*patterns.Set, error) {
	t.Helper()
	return patterns.Load(t.Context(), src, scanner.NewTester(nil))
}

// loadSpoiled loads good with its first from replaced by to, which must fail.
func loadSpoiled(t *testing.T, from, to string) (path string, err error) {
	t.Helper()
	text := strings.Replace(good, from, to, 1)
	if text == good {
		t.Fatal("the change does not apply")
	}
	path = write(t, "site.toml", text)
	set, err := load(t, patterns.Source{Paths: []string{path}})
	if err == nil || set != nil {
		t.Fatal("loaded, want an error")
	}
	return path, err
}

func TestErrorsHaveFileLineAndKey(t *testing.T) {
	tests := []struct {
		name     string
		from, to string
		want     []string // each begins an error, after the file's name
	}{
		{"syntax", `id = "badge"`, `id = "badge`, []string{":5: rules.id: TOML:"}},
		{"newer schema", "schema = 1", "schema = 2", []string{":1: schema: at most 1"}},
		{"no schema", "schema = 1\n", "", []string{":1: schema: schema = 1 at the top"}},
		{"unknown key of the file", "[keywords]", "color = 1\n[keywords]", []string{":2: color: a known key"}},
		{"unknown key of a rule", `boundary = "number"`, `bounds = "number"`, []string{":9: rules[0].bounds: a known key"}},
		{"unknown key of a pattern", "regex = ", "flags = 1\n  regex = ", []string{":12: rules[0].patterns[0].flags: a known key"}},
		{"unknown key of evidence", "proximity = 40", "proximity = 40, near = 3", []string{":13: rules[0].patterns[0].supporting.near: a known key"}},
		{"unknown type", `"CUSTOM"`, `"BADGE"`, []string{":6: rules[0].type: one of SSN"}},
		{"wrong TOML type", `proximity = 40`, `proximity = "40"`, []string{":13: rules[0].patterns[0].supporting.proximity: a whole number"}},
		{"unknown validator", `boundary = "number"`, `validator = "crc"`, []string{":9: rules[0].validator: one of at-sv"}},
		{"unknown dictionary", `boundary = "number"`, `dictionary = "icd11"`, []string{":9: rules[0].dictionary: one of icd10cm"}},
		{"unknown index", `boundary = "number"`, `index = "patients.name"`, []string{":9: rules[0].index: one of patients.mrn"}},
		{"an index in a rule of another type", `boundary = "number"`, `index = "patients.mrn"`, []string{`:10: badge.type: type = "PATIENT"`, ":10: badge.index: a patient index: there is none"}},
		{"an index that is not there", `type = "CUSTOM"`, "type = \"PATIENT\"\nindex = \"patients.mrn\"", []string{":11: badge.index: a patient index: there is none"}},
		{"an SSN alone", `boundary = "number"`, `index = "patients.ssn"`, []string{":10: rules[0].patterns[0].with: a second field of the same row", ":10: badge.type", ":10: badge.index"}},
		{"a date alone", "regex = ", "index = \"patients.dob\"\n  with = [\"mrn\"]\n  regex = ", []string{":13: rules[0].patterns[0].with: with = [\"name\"]", ":10: badge.type", ":10: badge.index"}},
		{"a second field that is the first", "regex = ", "index = \"patients.ssn\"\n  with = [\"ssn\"]\n  regex = ", []string{":13: rules[0].patterns[0].with[0]: another field", ":10: badge.type", ":10: badge.index"}},
		{"with without an index", "regex = ", "with = [\"dob\"]\n  regex = ", []string{":10: rules[0].patterns[0].index: an index beside"}},
		{"an index too far", "regex = ", "index = \"patients.mrn\"\n  proximity = 9999\n  regex = ", []string{":13: rules[0].patterns[0].proximity: 0 to 2000", ":10: badge.type", ":10: badge.index"}},
		{"unknown formats", `boundary = "number"`, `formats = "site.badge"`, []string{":9: rules[0].formats: one of site.mrn"}},
		{"unknown boundary", `"number"`, `"line"`, []string{":9: rules[0].boundary: one of number, alone, word, none"}},
		{"unknown confidence", `"medium"`, `"sure"`, []string{":11: rules[0].patterns[0].confidence: one of"}},
		{"unknown list", `"@badge"`, `"@badges"`, []string{`:13: rules[0].patterns[0].supporting.any[0]: a list`}},
		{"list in a circle", `"badge no"]`, `"@badge"]`, []string{":3: keywords.badge[1]: a list that does not hold itself"}},
		{"bad expression", `B\d{6}`, `B(\d{6}`, []string{":12: rules[0].patterns[0].regex: an RE2 expression: missing closing )"}},
		{"look ahead", `B\d{6}`, `B(?=\d)\d{6}`, []string{":12: rules[0].patterns[0].regex: an RE2 expression: invalid or unsupported"}},
		{"unbounded repeat", `B\d{6}`, `B\d+`, []string{":12: rules[0].patterns[0].regex: a bounded repeat"}},
		{"open repeat", `B\d{6}`, `B\d{6,}`, []string{":12: rules[0].patterns[0].regex: a bounded repeat"}},
		{"too long a match", `B\d{6}`, `B\d{600}`, []string{":12: rules[0].patterns[0].regex: an expression whose matches are no longer"}},
		{"too large a program", `B\d{6}`, `(?:(?:jan|feb|mar|apr|may|jun|jul|aug){0,9}x){15}`, []string{":12: rules[0].patterns[0].regex: an expression of at most"}},
		{"anchor", `B\d{6}`, `^B\d{6}`, []string{":12: rules[0].patterns[0].regex: an expression without ^"}},
		{"matches nothing", `B\d{6}`, `(?:B\d{6})?`, []string{":12: rules[0].patterns[0].regex: an expression that cannot match nothing"}},
		{"regex and formats", "regex = ", "formats = \"site.mrn\"\n  regex = ", []string{":13: rules[0].patterns[0].regex: one of regex, words or formats"}},
		{"no patterns", "[[rules.patterns]]\n  confidence = \"medium\"\n  regex = '''B\\d{6}'''\n  supporting = { any = [\"@badge\"], proximity = 40 }\n", "", []string{":4: rules[0]: at least one"}},
		{"bad date", `"2026-01-31"`, `"January"`, []string{":17: rules[0].allowlists[0].expires: a date"}},
		{"no reason", `description = "printed on the poster"`, "", []string{": rules[0].allowlists[0].description: the reason"}},
		{"failed match", `"badge B123456"`, `"badge B12345"`, []string{":19: rules[0].tests.match[0]: a finding of badge at medium or above; seen: nothing; `stanch rules explain --rules FILE --rule badge --text TEXT` says why"}},
		{"failed no_match", `["B123456", `, "[\n \"B123456\",\n\"badge B999999\", ", []string{":22: rules[0].tests.no_match[1]: no finding of badge at medium or above; seen: badge at medium in bytes 6 to 13; `stanch rules explain"}},
		{"extends nothing", `id = "badge"`, `extends = "nobody"`, []string{":6: rules[0].type: no such key beside extends", ":5: rules[0].extends: the id of a rule"}},
		{"every error at once", "schema = 1\n[keywords]", "schema = 1\none = 1\ntwo = 2\n[keywords]", []string{":2: one: ", ":3: two: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, err := loadSpoiled(t, tt.from, tt.to)
			lines := strings.Split(err.Error(), "\n")
			for _, want := range tt.want {
				want = strings.ReplaceAll(want, "--rules FILE ", "--rules "+path+" ")
				if !slices.ContainsFunc(lines, func(l string) bool {
					rest, ok := strings.CutPrefix(l, path)
					return ok && (strings.HasPrefix(rest, want) || want[:2] == ": " && strings.Contains(rest, want))
				}) {
					t.Errorf("errors\n%v\nwant one that begins FILE%s", err, want)
				}
			}
			var e *patterns.Error
			if !errors.As(err, &e) {
				t.Errorf("error is %T, want *patterns.Error inside", err)
			}
		})
	}
}

// TestDraftIsNoFile: a failed test of a text that is read in place of a file names no
// file to explain it by, for the file does not say what the text says.
func TestDraftIsNoFile(t *testing.T) {
	path := write(t, "site.toml", good)
	_, err := load(t, patterns.Source{Paths: []string{path}, Instead: map[string]string{path: strings.Replace(good, `"badge B123456"`, `"badge B12345"`, 1)}})
	if err == nil || !strings.Contains(err.Error(), "`stanch rules explain --rule badge --text TEXT`") {
		t.Errorf("error %v, want one whose command has no --rules", err)
	}
}

func TestSiteFilesReplaceExtendAndNarrow(t *testing.T) {
	site := write(t, "site.toml", `schema = 1
[[rules]]
id = "us-dea"
type = "DEA"
description = "ours"
  [[rules.patterns]]
  confidence = "high"
  regex = '''ZZ\d{7}'''
  [rules.tests]
  match = ["ZZ1234567"]
  no_match = ["DEA AB1234563"]
[[rules]]
extends = "us-ssn"
  [[rules.patterns]]
  confidence = "medium"
  regex = '''S\d{9}'''
  validator = "none"
  [[rules.allowlists]]
  description = "the training patient"
  values = ["536-22-8146"]
  [rules.tests]
  match = ["S536228147"]
  no_match = ["SSN 536-22-8146"]
`)
	set, err := load(t, patterns.Source{BuiltIn: true, Paths: []string{site}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := load(t, patterns.Source{BuiltIn: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(set.Rule("us-dea").Patterns); got != 1 {
		t.Errorf("replaced rule has %d patterns, want 1", got)
	}
	if got, want := len(set.Rule("us-ssn").Patterns), len(plain.Rule("us-ssn").Patterns)+1; got != want {
		t.Errorf("extended rule has %d patterns, want %d", got, want)
	}
	if set.Digest() == plain.Digest() || len(plain.Digest()) != 64 {
		t.Errorf("digests %q and %q, want two different of 64 characters", set.Digest(), plain.Digest())
	}
	again, err := load(t, patterns.Source{BuiltIn: true})
	if err != nil || again.Digest() != plain.Digest() {
		t.Errorf("digest of the same rules = %q, %v, want %q", again.Digest(), err, plain.Digest())
	}
	only, err := load(t, patterns.Source{BuiltIn: true, Only: []dlp.RuleID{"email"}})
	if err != nil || len(only.Rules()) != 1 {
		t.Errorf("narrowed set: %v rules, %v, want 1", only.Rules(), err)
	}
	if _, err := load(t, patterns.Source{BuiltIn: true, Only: []dlp.RuleID{"nobody"}}); err == nil {
		t.Error("narrowed to an unknown rule, want an error")
	}
}

func TestSiteFormats(t *testing.T) {
	tests := []struct {
		name   string
		format patterns.MRNFormat
		text   string
		want   dlp.Confidence
		found  bool
	}{
		{"labelled", patterns.MRNFormat{Regex: `E\d{7}`}, "MRN E0048291", dlp.High, true},
		{"alone and distinctive", patterns.MRNFormat{Regex: `E\d{7}`, Distinctive: true}, "see E0048291", dlp.Medium, true},
		{"alone", patterns.MRNFormat{Regex: `E\d{7}`}, "see E0048291", dlp.Low, true},
		{"in range", patterns.MRNFormat{Regex: `\d{8}`, Range: []string{"10000000", "49999999"}}, "MRN 10000000", dlp.High, true},
		{"out of range, so only called one", patterns.MRNFormat{Regex: `\d{8}`, Range: []string{"10000000", "49999999"}}, "MRN 50000000", dlp.Medium, true},
		{"check digit", patterns.MRNFormat{Regex: `\d{8}`, Check: "mod10", Distinctive: true}, "see 00048298", dlp.Medium, true},
		{"wrong check digit", patterns.MRNFormat{Regex: `\d{8}`, Check: "mod10", Distinctive: true}, "see 00048297", dlp.Low, false},
		{"check digit, mod 11", patterns.MRNFormat{Regex: `B\d{7}`, Check: "mod11", Distinctive: true}, "see B4029313", dlp.Medium, true},
		{"check digit, mod 11 with remainder 1", patterns.MRNFormat{Regex: `B\d{7}`, Check: "mod11", Distinctive: true}, "see B0000060", dlp.Medium, true},
		{"wrong check digit, mod 11", patterns.MRNFormat{Regex: `B\d{7}`, Check: "mod11", Distinctive: true}, "see B4029314", dlp.Low, false},
		{"check digit, ISO 7064", patterns.MRNFormat{Regex: `C\d{7}`, Check: "iso7064", Distinctive: true}, "see C1234568", dlp.Medium, true},
		{"wrong check digit, ISO 7064", patterns.MRNFormat{Regex: `C\d{7}`, Check: "iso7064", Distinctive: true}, "see C1234567", dlp.Low, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := load(t, patterns.Source{BuiltIn: true, Only: []dlp.RuleID{"us-mrn"}, Site: patterns.Site{MRN: []patterns.MRNFormat{tt.format}}})
			if err != nil {
				t.Fatal(err)
			}
			found, err := scanner.NewTester(nil).Test(t.Context(), set, tt.text, "")
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case len(found) > 0 != tt.found:
				t.Errorf("%d findings, want found %t", len(found), tt.found)
			case tt.found && found[0].Confidence != tt.want:
				t.Errorf("confidence %s, want %s", found[0].Confidence, tt.want)
			}
		})
	}
	for name, bad := range map[string]patterns.MRNFormat{
		"regex": {Regex: `E\d+`}, "check": {Regex: `\d{8}`, Check: "crc"}, "range": {Regex: `\d{8}`, Range: []string{"9", "1"}},
	} {
		_, err := load(t, patterns.Source{BuiltIn: true, Site: patterns.Site{MRN: []patterns.MRNFormat{bad}}})
		if e, ok := errors.AsType[*patterns.Error](err); !ok || e.Key != "site.mrn[0]."+name {
			t.Errorf("error %v, want one of site.mrn[0].%s", err, name)
		}
	}
}

func TestFormatsOnARule(t *testing.T) {
	path := write(t, "site.toml", "schema = 1\n[[rules]]\nid = \"our-mrn\"\ntype = \"MRN\"\nformats = \"site.mrn\"\n[rules.tests]\nmatch = [\"MRN E0048291\"]\nno_match = [\"MRN F0048291\"]\n")
	set, err := load(t, patterns.Source{Paths: []string{path}, Site: patterns.Site{MRN: []patterns.MRNFormat{{Regex: `E\d{7}`, Distinctive: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(set.Rule("our-mrn").Patterns); got != 2 {
		t.Errorf("%d patterns, want 2: labelled, and alone as it is distinctive", got)
	}
}

func TestLint(t *testing.T) {
	now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	other := strings.Replace(good, `["badge", "badge no"]`, `["id"]`, 1)
	other = other[:strings.Index(other, "  [rules.tests]")]
	folder := t.TempDir()
	for name, text := range map[string]string{"a.toml": good, "b.toml": other, "c.txt": "not a rule file"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := load(t, patterns.Source{Paths: []string{folder}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range set.Lint(now) {
		got = append(got, w.Key)
	}
	want := []string{"rules[0].id", "badge.tests.match", "badge.tests.no_match", "badge.allowlists[0].expires", "badge.patterns[0].supporting.any"}
	if !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
	mrn := patterns.Site{MRN: []patterns.MRNFormat{{Issuer: "Main", Regex: `E\d{7}`, Distinctive: true}}}
	added := write(t, "site.toml", "schema = 1\n[[rules]]\nextends = \"us-ssn\"\n[[rules.allowlists]]\ndescription = \"training\"\nvalues = [\"536-22-8148\"]\nexpires = \"2020-01-01\"\n")
	if set, err = load(t, patterns.Source{BuiltIn: true, Site: mrn, Paths: []string{added}}); err != nil {
		t.Fatal(err)
	}
	if said := set.Lint(now); len(said) != 1 || said[0].File != added || said[0].Line != 7 {
		t.Errorf("an entry past its date that a site adds: %v, want it at its own line, %s:7", said, added)
	}
	builtIn, err := load(t, patterns.Source{BuiltIn: true, Site: mrn})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range builtIn.Lint(now) {
		if w.Key != "site.mrn" {
			t.Errorf("built-in packs: %v", w)
		}
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patterns.Load(ctx, patterns.Source{BuiltIn: true}, scanner.NewTester(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// asked counts the tests it was asked to run, by rule.
type asked map[dlp.RuleID]int

func (a asked) Test(_ context.Context, set *patterns.Set, _, _ string) ([]dlp.Finding, error) {
	a[set.Rules()[0].ID]++
	return nil, patterns.ErrUntested
}

// TestTestedPacks: of packs whose tests have held those are run that a site's
// file can have changed, and none is left out unless the source says so.
func TestTestedPacks(t *testing.T) {
	own := write(t, "own.toml", `schema = 1
[[rules]]
extends = "us-ssn"
[rules.tests]
match = ["x"]
[[rules]]
id = "dob"
type = "DOB"
description = "another's"
[[rules.patterns]]
regex = '[0-9]{8}'
confidence = "medium"
[rules.tests]
match = ["20010203"]
`)
	mrn := patterns.Site{MRN: []patterns.MRNFormat{{Issuer: "Main", Regex: `E\d{7}`}}}
	for _, tt := range []struct {
		name string
		src  patterns.Source
		want []dlp.RuleID // whose tests are run; nil: all
	}{
		{"as built", patterns.Source{BuiltIn: true, Tested: true}, []dlp.RuleID{}},
		{"with the site's forms", patterns.Source{BuiltIn: true, Tested: true, Site: mrn}, []dlp.RuleID{}},
		{"one extended, one replaced", patterns.Source{BuiltIn: true, Tested: true, Paths: []string{own}}, []dlp.RuleID{"dob", "us-ssn"}},
		{"nobody says they held", patterns.Source{BuiltIn: true}, nil},
	} {
		ran := asked{}
		set, err := patterns.Load(t.Context(), tt.src, ran)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want := tt.want
		if want == nil {
			for _, r := range set.Rules() {
				want = append(want, r.ID)
			}
		}
		if got := slices.Sorted(maps.Keys(ran)); !slices.Equal(got, want) {
			t.Errorf("%s: tests of %q were run, want %q", tt.name, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("schema = 1\n[[rules]]\nextends = 3\n[rules.tests]\nmatch = [{}]\n")
	f.Add("schema = 1\nrules = [1, {id = \"x\"}]\n[keywords]\na = [\"@a\", 1]")
	f.Fuzz(func(t *testing.T, text string) {
		path := write(t, "fuzz.toml", text)
		set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
		if (set == nil) == (err == nil) {
			t.Fatalf("set %v and error %v, want exactly one", set, err)
		}
		if err != nil {
			if e, ok := errors.AsType[*patterns.Error](err); !ok || e.Key == "" || e.Want == "" {
				t.Errorf("error %v, want file, line, key and what was expected", err)
			}
			return
		}
		scanner.New(set) // what loads can be made ready
	})
}

// TestSpecimenListed: a site may list a value by which a pack tests itself; what an
// extension adds besides still has to leave the rule's own tests whole, and its own
// tests know its list.
func TestSpecimenListed(t *testing.T) {
	for _, tt := range []struct{ rule, value, text string }{
		{"credit-card", "4111111111111111", "card number 4111 1111 1111 1111"},
		{"us-ssn", "536-22-8145", "SSN 536-22-8145"},
		{"iban", "DE89 3704 0044 0532 0130 00", "IBAN DE89 3704 0044 0532 0130 00"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			site := "schema = 1\n[[rules]]\nextends = \"" + tt.rule + "\"\n[[rules.allowlists]]\ndescription = \"specimen\"\nvalues = [\"" + tt.value + "\"]\n"
			path := write(t, "site.toml", site+"[rules.tests]\nno_match = [\""+tt.text+"\"]\n")
			if _, err := load(t, patterns.Source{BuiltIn: true, Paths: []string{path}}); err != nil {
				t.Fatal(err)
			}
			path = write(t, "site.toml", site+"[rules.tests]\nmatch = [\""+tt.text+"\"]\n")
			if _, err := load(t, patterns.Source{BuiltIn: true, Paths: []string{path}}); err == nil || !strings.Contains(err.Error(), path+":8: ") || strings.Contains(err.Error(), "built-in") {
				t.Errorf("its own test finds what it lists: %v", err)
			}
			path = write(t, "site.toml", site+"[[rules.demote]]\nany = [\"card\", \"ssn\", \"iban\"]\nproximity = 500\n[[rules.demote]]\nany = [\"number\"]\n[[rules.patterns]]\nconfidence = \"high\"\nregex = '''[0-9A-Z][0-9 .-]{7,30}[0-9]'''\n")
			if _, err := load(t, patterns.Source{BuiltIn: true, Paths: []string{path}}); err == nil || !strings.Contains(err.Error(), path+", line 3, extends the rule") {
				t.Errorf("it spoils the rule's tests: %v", err)
			}
		})
	}
}
