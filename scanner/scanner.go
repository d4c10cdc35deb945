package scanner

import (
	"fmt"
	"slices"
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
	groups  []*group
	digits  *group        // looked for from runs of digits; nil for none
	at      [256][]*group // by byte: those that are looked for from it
	special *marker       // of the bytes for which there are some; nil for none
	rest    *group        // those that no byte tells of; nil for none
	long    *group        // that begin with long runs; nil for none
	lexicon *lexicon      // of the patterns that are words; nil for none
	words   *vocabulary
	behind  int64     // bytes before a candidate that its proof may look at
	ahead   int64     // and from its start on
	longest int64     // bytes of the longest match
	asking  int64     // bytes of the longest match for or against which words may speak
	most    int       // expressions of the largest group
	scans   sync.Pool // of *Scan that have finished
	why     reasons   // what explanations share
}

// rule is a patterns.Rule made ready.
type rule struct {
	*patterns.Rule
	demote  []evidence
	against uint64               // maskOf the lists of demote
	digests map[string]time.Time // the same of values that are named by digests
	allow   map[string]time.Time // of all rules alike: canonical value to the day its entry ends; zero: never
	plain   bool                 // its boundary is one that plainly knows
	canon   canon                // how its values are told apart
	kind    uint16               // number of its type, from 1
	made    dlp.Finding          // what all its findings have in common
	number  int32                // its own
	quiet   bool                 // not reported from the address and trace fields of a mail
}

// pattern is a patterns.Pattern made ready.
type pattern struct {
	*patterns.Pattern
	rule    int
	of      *rule // the same
	checks  []func(string) bool
	inField []func(string) bool                     // checks, where the format itself says what the field is
	doubted func(string, time.Time) *patterns.Doubt // values that count a level less; nil for none
	valued  bool                                    // the value is a part of the match
	support *evidence
	means   dlp.Type // with an Index: what the value is besides a patient
	proves  uint16   // number of that type; 0 for none
}

// New makes set ready. It takes milliseconds, so it is done once for a set.
func New(set *patterns.Set) *Scanner {
	words := newTrie()
	s := &Scanner{set: set, words: newVocabulary(words)}
	reach, looks := 0, 0
	sort := newSorter()
	kinds := map[dlp.Type]uint16{}
	ready := func(w *patterns.Words) evidence {
		reach = max(reach, w.Proximity)
		list := s.words.list(w.Any)
		s.words.speaks(list, w)
		return evidence{Words: *w, list: list}
	}
	for i, r := range set.Rules() {
		nr := rule{Rule: r, number: int32(i), quiet: slices.Contains([]dlp.Type{"EMAIL", "URL", "IP", "DATE"}, r.Type)}
		for k := range r.Demote {
			w := ready(&r.Demote[k])
			nr.demote, nr.against = append(nr.demote, w), nr.against|maskOf(w.list)
		}
		nr.plain = r.Boundary == patterns.BoundaryWord || r.Boundary == patterns.BoundaryNumber
		nr.canon = canonOf(r.Type)
		if _, seen := kinds[r.Type]; !seen {
			kinds[r.Type] = uint16(len(kinds) + 1)
		}
		nr.kind = kinds[r.Type]
		nr.made = dlp.Finding{Rule: r.ID, Type: r.Type, Tags: r.Tags, Severity: r.Severity}
		s.rules = append(s.rules, nr)
		for k := range r.Patterns {
			p := pattern{Pattern: &r.Patterns[k], rule: i, checks: r.Patterns[k].Checks(false), inField: r.Patterns[k].Checks(true), doubted: r.Patterns[k].Doubted()}
			if p.Index != nil {
				if set.Patients() == nil {
					continue // nobody to find
				}
				p.means = p.Index.Means()
				looks = patterns.MaxProximity + maxCell
			}
			if p.Supporting != nil {
				e := ready(p.Supporting)
				p.support = &e
			}
			if p.support != nil || len(nr.demote) > 0 {
				s.asking = max(s.asking, int64(p.MaxBytes))
			}
			s.longest = max(s.longest, int64(p.MaxBytes))
			if p.Terms != nil {
				s.takeTerms(&p)
				continue
			}
			if err := sort.add(len(s.pats), &p, r.Boundary); err != nil {
				panic(fmt.Sprintf("scanner: rule %s passed loading with a bad expression", r.ID))
			}
			s.pats = append(s.pats, p)
		}
	}
	for i := range s.rules {
		s.rules[i].allow, s.rules[i].digests = s.allowed(&s.rules[i])
	}
	for i := range s.pats {
		p := &s.pats[i]
		p.of = &s.rules[p.rule]
		if _, seen := kinds[p.means]; !seen && p.means != "" {
			kinds[p.means] = uint16(len(kinds) + 1)
		}
		p.proves = kinds[p.means]
	}
	s.take(sort)
	span := s.words.longest // bytes that what begins before hits.sure may take
	if s.lexicon != nil {
		s.lexicon.grow()
		s.longest, span = max(s.longest, int64(s.lexicon.longest)), max(span, s.lexicon.longest)
	}
	words.ready()
	s.words.reach = reach + s.words.longest
	s.words.fill()
	s.behind = int64(max(s.words.reach, looks) + 2*maxLead + pathLook + blockBytes + 8)
	s.ahead = s.longest + int64(max(s.words.reach, looks)+span+maxBehindWord+8)
	return s
}

// Set returns the rules this Scanner looks for.
func (s *Scanner) Set() *patterns.Set { return s.set }

// PatternRef names a pattern of the Set.
type PatternRef struct {
	Rule    *patterns.Rule
	Pattern int // index into Rule.Patterns
}

// Patterns returns the patterns by the numbers that Options.OnProof is given.
func (s *Scanner) Patterns() []PatternRef {
	out := make([]PatternRef, len(s.pats))
	for i := range s.pats {
		r := s.rules[s.pats[i].rule].Rule
		for k := range r.Patterns {
			if s.pats[i].Pattern == &r.Patterns[k] {
				out[i] = PatternRef{r, k}
			}
		}
	}
	return out
}

// Way is what leads a Scan to the matches of a pattern.
type Way int

// The ways, the fastest first.
const (
	ByDigits   Way = iota // a run of digits
	BySign                // one of few bytes that all its matches have near their beginning
	ByRun                 // a long run of one class, seen by samples
	ByAnything            // nothing: every place where two bytes may begin a match is tried
)

// Ways returns what leads to the matches of each pattern, by number.
func (s *Scanner) Ways() []Way {
	out := make([]Way, len(s.pats))
	for _, g := range s.groups {
		way := BySign
		switch {
		case g == s.digits:
			way = ByDigits
		case g == s.long:
			way = ByRun
		case g == s.rest:
			way = ByAnything
		}
		for _, n := range g.patterns {
			out[n] = way
		}
	}
	return out
}

// alike reports whether what one of the two rules never reports the other does not
// either: they are of one type, and that says what a value is.
func alike(a, b *rule) bool {
	return a.number == b.number || a.kind == b.kind && a.Type != "CUSTOM"
}

// allowed is the allowlists of r and the rules alike, by canonical value and by
// its digest; nil for none. Of two entries for a value the one that holds longer
// counts.
func (s *Scanner) allowed(r *rule) (values, digests map[string]time.Time) {
	var lists []patterns.Allowlist
	for i := range s.rules {
		if alike(r, &s.rules[i]) {
			lists = append(lists, s.rules[i].Allowlists...)
		}
	}
	for _, o := range s.set.Aside() {
		if o.Type == r.Type && r.Type != "CUSTOM" {
			lists = append(lists, o.Allowlists...)
		}
	}
	put := func(m *map[string]time.Time, key string, a *patterns.Allowlist) {
		end := a.Expires
		if !end.IsZero() {
			end = end.AddDate(0, 0, 1)
		}
		if *m == nil {
			*m = map[string]time.Time{}
		}
		old, seen := (*m)[key]
		if !seen || !old.IsZero() && (end.IsZero() || end.After(old)) {
			(*m)[key] = end
		}
	}
	for i := range lists {
		for _, v := range lists[i].Values {
			put(&values, string(Canonical(r.Type, v)), &lists[i])
		}
		for _, d := range lists[i].Digests {
			put(&digests, d, &lists[i])
		}
	}
	return values, digests
}

// Canonical is a value of that type as it counts, and as allowlists compare it.
func Canonical(of dlp.Type, value string) []byte {
	return canonical(nil, of, string(asMatched(value)))
}

// takeTerms enters p, whose form is words.
func (s *Scanner) takeTerms(p *pattern) {
	if s.lexicon == nil {
		s.lexicon = &lexicon{trie: s.words.trie}
	}
	s.lexicon.add(len(s.pats), p.Pattern)
	s.pats = append(s.pats, *p)
}

// take makes the groups ready and notes from where each is looked for.
func (s *Scanner) take(sort *sorter) {
	var special []byte
	for _, g := range sort.groups {
		for _, n := range g.patterns {
			g.exprs = append(g.exprs, &s.pats[n])
		}
		g.ready()
		s.groups = append(s.groups, g)
		s.most = max(s.most, len(g.patterns))
		switch {
		case g == sort.rest:
			s.rest = g
		case g == sort.long:
			s.long = g
		case g == sort.digits:
			s.digits = g
		default:
			for c := range 256 {
				if !g.anchor.has(byte(c)) {
					continue
				}
				if s.at[c] == nil {
					special = append(special, byte(c))
				}
				s.at[c] = append(s.at[c], g)
			}
		}
	}
	if len(special) > 0 || s.long != nil {
		s.special = markerOf(special)
	}
}
