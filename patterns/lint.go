package patterns

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// commonWords are the words of TooCommon.
var commonWords = []string{"a", "an", "and", "at", "by", "code", "data", "date", "for", "from", "id", "in", "is", "it", "name", "no",
	"number", "of", "on", "or", "ref", "the", "to", "value", "with"}

// minNumber is how long a word without letters is that says something all the
// same, as the number of a registry does: "2.16.840.1.113883.4.1".
const minNumber = 12

// Lint is set.Lint by the clock.
func Lint(set *Set) []*Error { return set.Lint(time.Now()) }

// Lint returns what is allowed in a rule set but probably not meant, in the
// order of rules: entries past their date as of now, words too common to be
// evidence, rules without tests, ids that replace each other, patterns that
// another of the same rule makes useless, and a site whose record numbers are
// not known. File and Line say where.
func (s *Set) Lint(now time.Time) []*Error {
	out := slices.Clone(s.warnings)
	for _, r := range s.rules {
		out = append(out, r.lint(now)...)
	}
	if len(s.site.MRN) == 0 && slices.ContainsFunc(s.rules, func(r *Rule) bool { return r.Type == "MRN" }) {
		out = append(out, &Error{File: "stanch.toml", Key: "site.mrn",
			Want: "the form of the site's own record numbers: without it only numbers called one are found, at medium"})
	}
	return out
}

func (r *Rule) lint(now time.Time) []*Error {
	var out []*Error
	warn := func(file string, line int, key, format string, args ...any) {
		out = append(out, &Error{File: file, Line: line, Key: string(r.ID) + "." + key, Want: fmt.Sprintf(format, args...)})
	}
	if !hasTest(r, true) && slices.ContainsFunc(r.Patterns, func(p Pattern) bool { return p.Index == nil }) { // tests know no patients
		warn(r.File, r.Line, "tests.match", "at least one example that is found")
	}
	if !hasTest(r, false) {
		warn(r.File, r.Line, "tests.no_match", "at least one example that is not found")
	}
	for i, a := range r.Allowlists {
		if !a.holds(now) {
			warn(a.file, a.line, "allowlists["+itoa(i)+"].expires", "a day to come: it passed on %s", a.Expires.Format(time.DateOnly))
		}
	}
	for i := range r.Patterns {
		p := &r.Patterns[i]
		if p.Supporting != nil {
			for _, w := range p.Supporting.Any {
				if TooCommon(w) {
					warn(p.File, p.Line, "patterns["+itoa(i)+"].supporting.any", "a word that stands beside few other things than %q", w)
				}
			}
		}
		for _, w := range p.Terms {
			if slices.Contains(commonWords, w) || len(w) < 2 {
				warn(p.File, p.Line, "patterns["+itoa(i)+"].words", "a word that stands in fewer texts than %q", w)
			}
		}
		if k := shadowedBy(r, i); k >= 0 {
			warn(p.File, p.Line, "patterns["+itoa(i)+"]", "a use for this pattern: the one in line %d finds the same with no less confidence and asks for nothing", r.Patterns[k].Line)
		}
	}
	return out
}

// TooCommon reports whether w stands beside numbers of every kind, so that as
// evidence it says little.
func TooCommon(w string) bool {
	return slices.Contains(commonWords, w) || utf8.RuneCountInString(strings.TrimFunc(w, notLetter)) < 2 && len(w) < minNumber
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

func hasTest(r *Rule, match bool) bool {
	return slices.ContainsFunc(r.Tests, func(t Test) bool { return t.Match == match })
}

// sameForm reports whether two patterns look for the same.
func sameForm(p, q *Pattern) bool {
	return p.Regex == q.Regex && slices.Equal(p.Terms, q.Terms) && p.Plural == q.Plural
}

// shadowedBy returns the index of a pattern that makes pattern i of r useless,
// -1 if there is none.
func shadowedBy(r *Rule, i int) int {
	p := &r.Patterns[i]
	for k := range r.Patterns {
		q := &r.Patterns[k]
		if k == i || p.Site != nil || // the site's forms follow its configuration, not the author
			q.Index != nil || !sameForm(p, q) || q.Supporting != nil || q.Confidence < p.Confidence || q.Confidence == dlp.Low && p.Confidence > dlp.Low {
			continue
		}
		sameChecks := q.Validator == p.Validator && q.Dictionary == p.Dictionary && q.Site == p.Site
		if sameChecks && (q.Confidence > p.Confidence || p.Supporting != nil || k < i) {
			return k
		}
	}
	return -1
}
