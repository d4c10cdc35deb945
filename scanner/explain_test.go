package scanner

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gold"
	"github.com/stanch-dlp/stanch/patterns"
)

func builtIn(tb testing.TB) *patterns.Set {
	tb.Helper()
	set, err := patterns.Load(tb.Context(), patterns.Source{BuiltIn: true}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// agree holds that what the proofs of an Explanation come to is what a Scan of
// the same parts finds, and that its steps say what decided.
func agree(t *testing.T, s *Scanner, text string, spans []dlp.Span, bare bool) Explanation {
	t.Helper()
	scan, x := s.Begin(Options{testing: true}), s.Explain(ExplainOptions{Max: 1 << 20, testing: true, bare: bare})
	for _, sink := range []dlp.Sink{scan, x} {
		if err := sink.Part(dlp.PartInfo{}); err != nil {
			t.Fatal(err)
		}
		if err := sink.Text(dlp.Window{Text: []byte(text), Spans: spans}); err != nil {
			t.Fatal(err)
		}
	}
	found, _ := scan.Finish()
	e := x.Finish()
	var got, want []string
	for _, f := range x.expected {
		got = append(got, fmt.Sprint(s.rules[f.rule].ID, " ", f.start, "-", f.end, " ", f.confidence))
	}
	for _, f := range found {
		want = append(want, fmt.Sprint(f.Rule, " ", f.Start, "-", f.End, " ", f.Confidence))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%q: the proofs come to\n%s\na scan finds\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(e.Loose) > 0 || e.Cut > 0 {
		t.Fatalf("%q: %d findings without a candidate, %d candidates cut", text, len(e.Loose), e.Cut)
	}
	for i := range e.Candidates {
		c := &e.Candidates[i]
		stop := slices.IndexFunc(c.Steps, func(s StepReport) bool { return s.Outcome == stepStops })
		if (stop < 0) != (c.StoppedBy == Proved) || c.Outcome == Unseen || stop >= 0 && c.Steps[stop].Step != stepNames[c.StoppedBy] {
			t.Fatalf("%q: %s %d-%d: %s by %s, steps %v", text, c.Rule.ID, c.Start, c.End, c.Outcome, stepNames[c.StoppedBy], c.Steps)
		}
		level := int(c.Rule.Patterns[c.Pattern].Confidence)
		for _, s := range c.Steps {
			level += map[string]int{stepRaises: 1, stepLowers: -1}[s.Outcome]
			if s.Step == "evidence" && (s.Outcome == stepOK) == strings.HasPrefix(s.Why, "none of") {
				t.Fatalf("%q: %s %d-%d: evidence %s, because %s", text, c.Rule.ID, c.Start, c.End, s.Outcome, s.Why)
			}
		}
		if c.StoppedBy == Proved && level != int(c.Confidence) {
			t.Fatalf("%q: %s %d-%d: %s, and the steps come to %d: %v", text, c.Rule.ID, c.Start, c.End, c.Confidence, level, c.Steps)
		}
	}
	return e
}

var stepNames = map[Step]string{StepBoundary: "boundary", StepValue: "value", StepQuiet: "header", StepEvidence: "evidence",
	StepValidator: "validator", StepAllowlist: "allowlist", StepIndex: "index"}

// TestExplanationAgrees: on every test of the built-in rules, with all rules at
// once, the explanation comes to the findings of a scan.
func TestExplanationAgrees(t *testing.T) {
	set := builtIn(t)
	s := New(set)
	for _, r := range set.Rules() {
		for _, test := range r.Tests {
			agree(t, s, test.Text, nil, false)
		}
	}
}

// TestExplanationAgreesOnGold: the same on labelled text.
func TestExplanationAgreesOnGold(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("../../shared", "gold", "*.jsonl"))
	if len(files) == 0 {
		t.Skip("no labelled text at ../../shared")
	}
	s := New(builtIn(t))
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
			if testing.Short() && i%60 > 0 || len(docs[i].Text) > 100_000 {
				continue
			}
			agree(t, s, docs[i].Text, nil, true)
		}
	}
}

// TestExplanationAgreesOnRandomRules: the same on rules and texts made at random.
func TestExplanationAgreesOnRandomRules(t *testing.T) {
	n := uint64(200)
	if testing.Short() {
		n = 15
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(seed, 27))
		set := randomRules(t, r)
		s := New(set)
		agree(t, s, textFor(r, set, 200), nil, false)
	}
}

// TestExplanationAgreesInFields: the same where fields have names and meanings.
func TestExplanationAgreesInFields(t *testing.T) {
	s := New(builtIn(t))
	text := "https://a.example/x|512441234|4829137|536-22-8145|1EG4TE5MK73|3/4/1961|DB123|129|25000\n078051120 512-44-1234"
	for _, label := range []string{"", "patientSSN", "MRN", "tracking_number", "date of birth"} {
		for _, typ := range []dlp.Type{"", "SSN", "MRN", "ZIP", "HEALTH_PLAN_ID", "ICD9", dlp.Definition} {
			var spans []dlp.Span
			at := 0
			for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == '|' || r == '\n' }) {
				i := at + strings.Index(text[at:], f)
				spans = append(spans, dlp.Span{Start: int64(i), End: int64(i + len(f)), Label: label, Type: typ, Group: 1})
				at = i + len(f)
			}
			if e := agree(t, s, text, spans, false); len(e.Candidates) == 0 {
				t.Fatal("no candidate")
			}
		}
	}
}

// TestFieldsSayWhatTheyHold: a form that says little counts in a field that the format
// itself says is of its type.
func TestFieldsSayWhatTheyHold(t *testing.T) {
	for text, typ := range map[string]dlp.Type{"DB123": "MRN", "129": "MRN", "25000": "ICD9", "V5869": "ICD9"} {
		for _, says := range []dlp.Type{typ, ""} {
			c := New(builtIn(t)).Begin(Options{})
			if err := c.Part(dlp.PartInfo{}); err != nil {
				t.Fatal(err)
			}
			if err := c.Text(dlp.Window{Text: []byte(text), Spans: []dlp.Span{{End: int64(len(text)), Label: "x", Type: says, Group: 1}}}); err != nil {
				t.Fatal(err)
			}
			found, _ := c.Finish()
			n := 0
			for _, f := range found {
				if f.Type == typ && f.Confidence >= dlp.Medium {
					n++
				}
			}
			if (n == 1) != (says == typ) {
				t.Errorf("%s in a field of type %q: %d of type %s", text, says, n, typ)
			}
		}
	}
}

// TestDefinitionsAreNobodys: the address in a field that names a system is one level
// lower than any other.
func TestDefinitionsAreNobodys(t *testing.T) {
	const text = "https://a.example/x"
	for typ, want := range map[dlp.Type]dlp.Confidence{"": dlp.Medium, dlp.Definition: dlp.Low, "URL": dlp.High} {
		c := New(builtIn(t)).Begin(Options{})
		if err := c.Part(dlp.PartInfo{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Text(dlp.Window{Text: []byte(text), Spans: []dlp.Span{{End: int64(len(text)), Label: "system", Type: typ, Group: 1}}}); err != nil {
			t.Fatal(err)
		}
		if found, _ := c.Finish(); len(found) != 1 || found[0].Type != "URL" || found[0].Confidence != want {
			t.Errorf("%q: got %v, want one address, %v", typ, found, want)
		}
	}
}

// TestNearMisses: what is not quite of the form is told, with where it differs.
func TestNearMisses(t *testing.T) {
	s := New(builtIn(t))
	for _, tt := range []struct{ text, value, want string }{
		{"ref 512-44-123 x", "***-**-123", "lacks a digit as character 11"},
		{"ref 512+44+1234", "***+**+1234", "has `+` where `-` is wanted as character 4; has `+` where `-` is wanted as character 7"},
		{"ref 512-44-12E4,", "***-**-12*4", "has a letter where a digit is wanted as character 10"},
		{"ref 5x2-44-1234", "***-**-1234", "has a letter where a digit is wanted as character 2"},
		{"ref 512-44-+1234", "***-**-+1234", "has `+` too many as character 8"},
		{"ref 51-4", "", ""},
		{"ref 512-44-1234", "", ""},
	} {
		x := s.Explain(ExplainOptions{Rules: []dlp.RuleID{"us-ssn"}, Near: true})
		if err := Feed(x, dlp.PartInfo{}, []byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		e := x.Finish()
		value, got := "", ""
		if len(e.Near) > 0 {
			value, got = e.Near[0].Value, strings.Join(e.Near[0].Differs, "; ")
		}
		if got != tt.want || tt.want != "" && len(value) != len(tt.value) {
			t.Errorf("%q: %s %q, want %s %q", tt.text, value, got, tt.value, tt.want)
		}
	}
}

// TestExplanationIsBounded: what is left out is said.
func TestExplanationIsBounded(t *testing.T) {
	s := New(builtIn(t))
	if got := explainedBytes(ExplainOptions{Bytes: 2 * maxExplained}); got != maxExplained {
		t.Errorf("%d bytes are explained, want %d at most", got, maxExplained)
	}
	const most = 1 << 20
	x := s.Explain(ExplainOptions{Rules: []dlp.RuleID{"us-ssn"}, Max: 10, Bytes: most})
	if err := Feed(x, dlp.PartInfo{}, []byte(strings.Repeat("SSN 512-44-1234\n", most/16+100_000))); err != nil {
		t.Fatal(err)
	}
	e := x.Finish()
	if len(e.Candidates) != 10 || e.Cut < 1000 || e.CutBytes < 1_000_000 || len(e.Loose) != 0 {
		t.Errorf("%d candidates, %d cut, %d bytes not explained, %d loose", len(e.Candidates), e.Cut, e.CutBytes, len(e.Loose))
	}
	if e.Candidates[0].Value != "***-**-1234" || strings.ContainsAny(e.Candidates[1].Before, "0123456789") {
		t.Errorf("not masked: %+v", e.Candidates[:2])
	}
}

// TestExplainCountsEachFindingOnce: where two patterns of a rule match one place
// alike, one candidate is the finding, and the other says what has its place.
func TestExplainCountsEachFindingOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.toml")
	if err := os.WriteFile(path, []byte(`schema = 1
[[rules]]
id = "two-ways"
type = "CUSTOM"
severity = "low"
description = "A number that two patterns match"
tags = ["identifier"]
[[rules.patterns]]
regex = 'Q\d{5}'
confidence = "high"
[[rules.patterns]]
regex = 'Q[0-9]{5}'
confidence = "high"
[rules.tests]
match = ["Q12345"]
no_match = ["12345"]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range [][]dlp.RuleID{nil, {"two-ways"}} {
		x := New(set).Explain(ExplainOptions{Rules: rules})
		if err := Feed(x, dlp.PartInfo{}, []byte("a Q12345 and b Q54321\n")); err != nil {
			t.Fatal(err)
		}
		e := x.Finish()
		got := map[string]int{}
		for _, c := range e.Candidates {
			got[c.Outcome]++
			if c.Outcome == Overlapped && c.Winner != "two-ways" {
				t.Errorf("got winner %q", c.Winner)
			}
		}
		if len(e.Findings) != 2 || got[Found] != 2 || got[Overlapped] != 2 {
			t.Errorf("rules %v: got %d findings, candidates %v", rules, len(e.Findings), got)
		}
	}
}
