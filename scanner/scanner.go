package scanner

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// Scanner is a patterns.Set made ready to be looked for. It may be shared, and
// replaced by another while Scans of it are under way.
type Scanner struct {
	set     *patterns.Set
	rules   []rule
	pats    []pattern
	filters []*filter
	leads   []lead
	starts  [2][256]bool // after a byte that is no part of a word, or is: bytes that some pattern of filters begins with
	anchors [256]bool    // bytes that some lead has as its anchor
	words   *vocabulary
	behind  int64 // bytes before a candidate that its proof may look at
	ahead   int64 // and from its start on
	longest int64 // bytes of the longest match
	scratch sync.Pool
}

// rule is a patterns.Rule made ready.
type rule struct {
	*patterns.Rule
	demote []evidence
	allow  map[string]time.Time // canonical value to the day its entry ends; zero: never
	quiet  bool                 // not reported from the address and trace fields of a mail
}

// pattern is a patterns.Pattern made ready.
type pattern struct {
	*patterns.Pattern
	rule    int
	re      *regexp.Regexp // anchored at the start of what it is given
	behind  *regexp.Regexp // the same, one character before the match; nil if no \b needs it
	value   int            // number of the group that holds the value, 0 for all of it
	weight  int            // what a byte of its proof costs: more for a large program
	support *evidence
}

// instPerByte is the size of program of which a byte of proof counts once.
const instPerByte = 64

// New makes set ready. It takes milliseconds, so it is done once for a set.
func New(set *patterns.Set) *Scanner {
	s := &Scanner{set: set, words: newVocabulary()}
	reach := 0
	var all []filtered
	ready := func(w *patterns.Words) evidence {
		reach = max(reach, w.Proximity)
		return evidence{Words: *w, list: s.words.list(w.Any)}
	}
	for i, r := range set.Rules() {
		nr := rule{Rule: r, quiet: slices.Contains([]dlp.Type{"EMAIL", "URL", "IP", "DATE"}, r.Type)}
		for k := range r.Demote {
			nr.demote = append(nr.demote, ready(&r.Demote[k]))
		}
		nr.allow = allowed(r)
		s.rules = append(s.rules, nr)
		for k := range r.Patterns {
			p := pattern{Pattern: &r.Patterns[k], rule: i}
			if p.Supporting != nil {
				e := ready(p.Supporting)
				p.support = &e
			}
			if f := s.add(p, r.Boundary); f != nil {
				all = append(all, *f)
			}
		}
	}
	for some := range slices.Chunk(all, filterSize) {
		f := newFilter(some)
		s.filters = append(s.filters, f)
		for c := range 256 {
			for prev, start := range f.start {
				if f.step(start, byte(c)) != 0 {
					s.starts[prev][c] = true
				}
			}
		}
	}
	s.words.reach = reach + s.words.longest
	s.behind = int64(s.words.reach + 2*maxLead + pathLook + 8)
	s.ahead = s.longest + int64(s.words.reach+2*patterns.MaxKeyword+8)
	return s
}

// Set returns the rules this Scanner looks for.
func (s *Scanner) Set() *patterns.Set { return s.set }

// allowed is r's allowlists by canonical value. Of two entries for a value the
// one that holds longer counts.
func allowed(r *patterns.Rule) map[string]time.Time {
	m := map[string]time.Time{}
	for _, a := range r.Allowlists {
		for _, v := range a.Values {
			var t text
			t.add([]byte(v))
			key := canonical(r.Type, string(t.norm))
			end := a.Expires
			if !end.IsZero() {
				end = end.AddDate(0, 0, 1)
			}
			old, seen := m[key]
			if !seen || !old.IsZero() && (end.IsZero() || end.After(old)) {
				m[key] = end
			}
		}
	}
	return m
}

// add compiles p and enters it among the leads, or returns it for a filter.
func (s *Scanner) add(p pattern, b patterns.Boundary) *filtered {
	re, span, err := patterns.ParseRegex(p.Regex)
	if err != nil {
		panic(fmt.Sprintf("scanner: rule %s passed loading with a bad expression", s.rules[p.rule].ID))
	}
	p.re = regexp.MustCompile(`\A(?:` + p.Regex + `)`)
	p.value = max(p.re.SubexpIndex(patterns.ValueGroup), 0)
	if hasWordEdge(re) {
		p.behind = regexp.MustCompile(`\A(?s:.)(?P<whole>` + p.Regex + `)`)
	}
	s.longest = max(s.longest, int64(span.Max))
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		panic(fmt.Sprintf("scanner: rule %s passed loading with a bad expression", s.rules[p.rule].ID))
	}
	p.weight = 1 + len(prog.Inst)/instPerByte
	n := len(s.pats)
	s.pats = append(s.pats, p)
	if l, ok := leading(re); ok {
		l.pattern = n
		s.leads = append(s.leads, l)
		for c := range 256 {
			if l.anchor.has(byte(c)) {
				s.anchors[c] = true
			}
		}
		return nil
	}
	return &filtered{pattern: n, prog: prog, anywhere: b == patterns.BoundaryNone}
}

// canonical is the value as it counts: what two ways of writing the same have
// in common.
func canonical(t dlp.Type, value string) string {
	switch t {
	case "EMAIL", "URL", "IP", "SECRET", "NAME", "ADDRESS":
		return strings.ToLower(value)
	case "DOB", "DATE":
		if key, ok := dateKey(value); ok {
			return key
		}
	}
	out := make([]byte, 0, len(value))
	for i := range len(value) {
		switch c := value[i]; {
		case c >= 'a' && c <= 'z':
			out = append(out, c-'a'+'A')
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 0x80:
			out = append(out, c)
		}
	}
	if (t == "PHONE" || t == "FAX") && len(out) == 11 && out[0] == '1' {
		out = out[1:]
	}
	return string(out)
}
