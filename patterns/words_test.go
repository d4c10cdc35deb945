package patterns_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

func TestPlural(t *testing.T) {
	for term, want := range map[string]string{
		"fracture": "fractures", "hip fracture": "hip fractures", "biopsy": "biopsies", "x-ray": "x-rays", "assay": "assays", "stenosis": "stenoses",
		"abscess": "abscesses", "reflex": "reflexes", "stitch": "stitches", "rash": "rashes", "blood test": "blood tests", "leukemia": "leukemias",
		"diabetes": "", "hives": "", "lupus": "", "b12": "", "is": "", "c": "", "": "", "ménière": "ménières", "tinea é": "",
	} {
		if got := patterns.Plural(term); got != want {
			t.Errorf("plural of %q is %q, want %q", term, got, want)
		}
	}
}

// spelling is a term without case and separators.
func spelling(term string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(term), func(r rune) bool { return strings.ContainsRune(" -_./'", r) }), " ")
}

// TestBuiltInWords: the vocabularies have as many terms as they are to have,
// none twice, and none that is the evidence it needs.
func TestBuiltInWords(t *testing.T) {
	set, err := load(t, patterns.Source{BuiltIn: true})
	if err != nil {
		t.Fatal(err)
	}
	where := map[string]string{}
	for id, least := range map[dlp.RuleID]int{"condition": 1500, "drug": 1000, "lab": 300} {
		r := set.Rule(id)
		if r == nil || !slices.Equal(r.Tags, []dlp.Tag{dlp.TagHealth}) {
			t.Fatalf("rule %s: %+v, want one that tells of care and identifies nobody", id, r)
		}
		sure := 0
		for _, p := range r.Patterns {
			if p.Supporting == nil {
				sure += len(p.Terms)
			}
			for _, term := range p.Terms {
				key := spelling(term)
				if other := where[key]; other != "" {
					t.Errorf("%q stands in %s and in %s, want it once", term, other, id)
				}
				where[key] = string(id)
				if p.Supporting == nil {
					continue
				}
				for _, w := range p.Supporting.Any {
					if strings.Contains(" "+spelling(term)+" ", " "+spelling(w)+" ") {
						t.Errorf("%s: %q holds %q, which is its own evidence", id, term, w)
					}
				}
			}
		}
		if sure < least {
			t.Errorf("%s: %d terms that need no evidence, want %d or more", id, sure, least)
		}
	}
}

// TestWordsOfASite: a site adds words, and takes some away.
func TestWordsOfASite(t *testing.T) {
	path := write(t, "site.toml", `schema = 1
[keywords]
ours = ["wellness visit", "Program 9"]
[[rules]]
extends = "condition"
  [[rules.patterns]]
  confidence = "medium"
  words = ["@ours", "thrombo x"]
  [[rules.allowlists]]
  description = "the name of our newsletter"
  values = ["heart failure", "Migraines"]
  [rules.tests]
  match = ["a Wellness-Visit", "program 9", "thrombo x", "migraine", "congestive heart failure"]
  no_match = ["Heart Failure", "heart failures", "migraines"]
[[rules]]
id = "lab"
type = "LAB"
description = "none but ours"
tags = ["health"]
  [[rules.patterns]]
  confidence = "medium"
  words = ["zz9"]
  [rules.tests]
  match = ["zz9"]
  no_match = ["HbA1c"]
`)
	set, err := load(t, patterns.Source{BuiltIn: true, Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := load(t, patterns.Source{BuiltIn: true})
	if err != nil {
		t.Fatal(err)
	}
	if set.Digest() == plain.Digest() {
		t.Error("the digest is that of the built-in rules, want another")
	}
}

// TestLintOfWords: words that stand everywhere, and a pattern that another of
// the same words makes useless.
func TestLintOfWords(t *testing.T) {
	path := write(t, "site.toml", `schema = 1
[[rules]]
id = "w"
type = "CUSTOM"
  [[rules.patterns]]
  confidence = "medium"
  words = ["the", "x", "gout"]
  [[rules.patterns]]
  confidence = "medium"
  words = ["gout", "asthma"]
  [[rules.patterns]]
  confidence = "medium"
  words = ["asthma", "Gout"]
  supporting = { any = ["dx"] }
  [rules.tests]
  match = ["gout"]
  no_match = ["none"]
`)
	set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, scanner.NewTester(nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range patterns.Lint(set) {
		got = append(got, w.Error())
	}
	want := []string{`:5: w\.patterns\[\d\]\.words: .*"the"`, `:5: w\.patterns\[\d\]\.words: .*"x"`, `:11: w\.patterns\[\d\]: a use for this pattern: the one in line 8`}
	if len(got) != len(want) {
		t.Fatalf("warnings %q, want %d", got, len(want))
	}
	for i := range want {
		if !regexp.MustCompile(want[i]).MatchString(got[i]) {
			t.Errorf("warning %q, want %s", got[i], want[i])
		}
	}
}
