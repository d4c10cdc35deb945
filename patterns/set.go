package patterns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/scanner/check"
)

// Schema is the newest rule language this package reads.
const Schema = 1

// Limits on what one Set may ask of a scanner.
const (
	MaxMatch     = 512  // bytes of normalised text that one match may span
	MaxProgram   = 2000 // instructions of one compiled expression
	MaxProximity = 2000 // bytes
	MaxKeyword   = 64   // bytes
	maxPatterns  = 4096 // in a Set
	// maxInstructions is how many instructions all expressions of a Set may have:
	// some 50 MiB of a scanner made ready.
	maxInstructions = 1_000_000
	MaxFileBytes    = 4 << 20 // of one rule file
	maxRules        = 10_000  // of one rule file; there are errors to tell of each
	maxTestBytes    = 64 << 10
	maxListLength   = 20000 // words in one list
	// maxTerms is how many words all patterns of a Set may have that are words
	// themselves: some 60 MiB of a scanner made ready.
	maxTerms = 100_000
)

// Error is one thing wrong in a rule file.
type Error struct {
	File string // as it was named, or "built-in/NAME.toml"
	Line int    // from 1; 0 when it concerns no one line
	Key  string // as written, tables of an array counted from 0: "rules[0].patterns[1].regex"
	Want string // what was expected
}

// Error returns "FILE:LINE: KEY: what was expected".
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Key, e.Want)
}

// ErrUntested is what a Tester returns for a test it has no means to run, such
// as one in CSV where no reader is at hand. Load then passes over that test.
var ErrUntested = errors.New("no means to run this test")

// Tester runs a rule's own tests. Test returns what set finds in text; as is
// "" for plain text or "csv" for text to be read as a table first. Allowlists
// past their date still hold.
type Tester interface {
	Test(ctx context.Context, set *Set, text, as string) ([]dlp.Finding, error)
}

// Set is the rules in force. It does not change once loaded, and may be shared.
type Set struct {
	rules    []*Rule
	byID     map[dlp.RuleID]*Rule
	digest   string
	site     Site
	patients Patients // nil for none
	aside    []*Rule  // that Source.Only left out and that list values
	warnings []*Error // seen while loading
	value    func([]byte) string
}

// ValueDigest is the digest by which an allowlist may name a value, canonical;
// "" where there is no key.
func (s *Set) ValueDigest(canonical []byte) string {
	if s.value == nil {
		return ""
	}
	return s.value(canonical)
}

// Digest names the content of the set: SHA-256 in lower-case hex over
// everything that bears on what is found, the tables that rules ask included,
// without file names and tests.
func (s *Set) Digest() string { return s.digest }

// Rules returns the rules by ID. They are not to be changed.
func (s *Set) Rules() []*Rule { return slices.Clone(s.rules) }

// Rule returns the rule with that ID, nil if there is none.
func (s *Set) Rule(id dlp.RuleID) *Rule { return s.byID[id] }

// Aside returns the rules that Source.Only left out and that list values which are
// never reported: what one rule lists holds for those of its type.
func (s *Set) Aside() []*Rule { return s.aside }

// Tagged reports whether a rule of s has that tag.
func (s *Set) Tagged(tag dlp.Tag) bool {
	return slices.ContainsFunc(s.rules, func(r *Rule) bool { return slices.Contains(r.Tags, tag) })
}

// Finds reports whether a rule of s is of that type.
func (s *Set) Finds(t dlp.Type) bool {
	return slices.ContainsFunc(s.rules, func(r *Rule) bool { return r.Type == t })
}

// Site returns what the rules took from the site's configuration.
func (s *Set) Site() *Site { return &s.site }

// Only returns a Set of the rules of s with these ids; ids that s does not have
// are passed over.
func (s *Set) Only(ids ...dlp.RuleID) *Set {
	return s.filtered(func(r *Rule) bool { return slices.Contains(ids, r.ID) })
}

// Without returns a Set of the rules of s but for that one.
func (s *Set) Without(id dlp.RuleID) *Set {
	return s.filtered(func(r *Rule) bool { return r.ID != id })
}

// OfPattern returns a Set of that rule of s with its pattern k alone.
func (s *Set) OfPattern(id dlp.RuleID, k int) *Set {
	r := *s.byID[id]
	r.Patterns = slices.Clone(r.Patterns[k : k+1])
	return one(&r, s.site)
}

// Alone returns a Set of those patterns of s that know an identifier for its form
// alone, at medium or above: without a word near by, an index, or words for a form.
func (s *Set) Alone() *Set {
	out := s.filtered(func(r *Rule) bool { return slices.Contains(r.Tags, "identifier") })
	for i, r := range out.rules {
		c := *r
		c.Patterns = slices.DeleteFunc(slices.Clone(r.Patterns), func(p Pattern) bool {
			return p.Regex == "" || p.Supporting != nil || p.Index != nil || p.Confidence < dlp.Medium
		})
		out.rules[i], out.byID[r.ID] = &c, &c
	}
	out.digest = out.sum()
	return out
}

func (s *Set) filtered(keep func(*Rule) bool) *Set {
	out := &Set{byID: map[dlp.RuleID]*Rule{}, site: s.site, patients: s.patients, value: s.value}
	for _, r := range s.rules {
		if keep(r) {
			out.rules = append(out.rules, r)
			out.byID[r.ID] = r
		}
	}
	out.digest = out.sum()
	return out
}

// Boundary says what may not stand next to a match.
type Boundary string

// The boundaries.
const (
	BoundaryWord   Boundary = "word"   // letter, digit or underscore: the default
	BoundaryNumber Boundary = "number" // besides, not inside a longer number, decimal, amount or path
	BoundaryAlone  Boundary = "alone"  // besides, no number a blank away: not in a row of figures
	BoundaryNone   Boundary = "none"
)

// Rule says what one kind of thing looks like.
type Rule struct {
	ID          dlp.RuleID
	Type        dlp.Type
	Description string
	Tags        []dlp.Tag
	Severity    dlp.Severity
	Coaching    dlp.Coaching `json:"-"` // bears on nothing that is found
	Boundary    Boundary
	CountAll    bool // count = "all": each occurrence is a value of its own
	Patterns    []Pattern
	Demote      []Words
	Allowlists  []Allowlist
	Tests       []Test
	File        string
	Line        int
	extended    []*draft // by which
}

// Pattern is one form that a Rule's value takes.
type Pattern struct {
	Confidence dlp.Confidence
	Regex      string // RE2; where it has a group named value, the finding is that group
	MinBytes   int    // of a match of Regex, in normalised text
	MaxBytes   int
	Terms      []string // instead of Regex: words, as those of Words.Any
	Plural     bool     // each of Terms also in its Plural
	Supporting *Words   // nil: the form alone suffices
	Validator  string   // "" for none
	Dictionary string   // "" for none
	Index      *Lookup  // nil for none
	Site       *MRNFormat
	File       string
	Line       int
	table      Table // that Dictionary asks; nil where none is imported
}

// Valid reports whether value passes the pattern's validator, its dictionary
// and its site format, such as it has.
func (p *Pattern) Valid(value string) bool {
	for _, check := range p.Checks(false) {
		if !check(value) {
			return false
		}
	}
	return true
}

// Checks returns the checks that a value must pass, each looked up once: what
// asks often keeps them. With field they are those of a value in a field of which
// the format itself says that it is of the rule's type.
func (p *Pattern) Checks(field bool) (all []func(value string) bool) {
	if p.Validator != "" {
		all = append(all, p.validator(field))
	}
	if p.Dictionary != "" {
		all = append(all, dictionaries[p.Dictionary].check(p.table))
	}
	if p.Site != nil {
		all = append(all, p.Site.Valid)
	}
	return all
}

func (p *Pattern) validator(field bool) func(string) bool {
	if check, ok := inField[p.Validator]; ok && field {
		return check
	}
	return validators[p.Validator]
}

// Waits reports that nothing passes the pattern until a code table is imported.
func (p *Pattern) Waits() bool { return p.table == nil && dictionaries[p.Dictionary].billable }

// Doubt is why a value that passes its checks counts a level less all the same.
type Doubt struct {
	Step string // of an explanation
	Why  string // in words for people
}

var (
	notListed = Doubt{"table", "the imported table does not list it: a code of another year has this form"}
	toCome    = Doubt{"day", "that day is still to come: nobody was born on it"}
)

// Doubted returns what says of a value that passes why it is doubted at a time, nil
// where it is not: an imported table does not list it, or a birth is still to come,
// which is a slip of the pen and somebody's all the same. It is nil where there are
// no such values.
func (p *Pattern) Doubted() func(value string, now time.Time) *Doubt {
	switch {
	case p.table != nil && !dictionaries[p.Dictionary].billable:
		return func(value string, _ time.Time) *Doubt {
			if p.table.Lists(value) {
				return nil
			}
			return &notListed
		}
	case births[p.Validator]:
		return func(value string, now time.Time) *Doubt {
			if check.BirthToCome(value, now) {
				return &toCome
			}
			return nil
		}
	}
	return nil
}

// Words is evidence by the words around a match.
type Words struct {
	Any       []string // lower case, sorted, no two equal; whole words, any of them
	Proximity int      // bytes of normalised text between nearest edges
	Header    bool     // the column's header or the field's name counts too
	Before    bool     // side = "before": only words that end before the match begins

	added bool // by an extension
}

// Added reports whether a site added w to a rule of another file.
func (w *Words) Added() bool { return w.added }

// Allowlist is values that are not reported, or senders in whose mail what the rule
// finds counts as low.
type Allowlist struct {
	Description string
	Values      []string  // as written in the file; compared without separators and case
	Digests     []string  `json:",omitempty"` // keyed digests of values, as Source.Digest gives them: the file names none
	Senders     []string  `json:",omitempty"` // instead: addresses, or their keyed digests; see LowFrom
	Expires     time.Time // zero: never. It holds until the end of that day, UTC

	file  string // where it stands: a site may add to a rule of another file
	line  int
	added bool // by an extension
}

// Added reports that it comes from an extension of the rule.
func (a Allowlist) Added() bool { return a.added }

// Test is one example inside a rule.
type Test struct {
	Text  string
	As    string // "" or "csv"
	Match bool   // found at medium or above; else nothing is
	File  string
	Line  int
	Key   string
	added bool // by an extension
}

// one returns a Set of r alone, for r's own tests: without the imported tables,
// in place of which the form stands.
func one(r *Rule, site Site) *Set {
	c := *r
	c.Patterns = slices.Clone(r.Patterns)
	for i := range c.Patterns {
		if c.Patterns[i].Dictionary != "" {
			c.Patterns[i].table = formed{}
		}
	}
	s := &Set{rules: []*Rule{&c}, byID: map[dlp.RuleID]*Rule{r.ID: &c}, site: site}
	s.digest = digest(s.rules)
	return s
}
