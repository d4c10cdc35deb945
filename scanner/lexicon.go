package scanner

import (
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// lexicon is the terms of all patterns that are words themselves, by the nodes of
// the trie at which they end. It is read only once built.
type lexicon struct {
	*trie
	patterns [][]int // the patterns that have it as a term
	terms    []term
	longest  int // bytes of the longest stretch that can be a term
}

// term is what a node of a lexicon stands for.
type term struct {
	value string // the term as it counts: of a plural the singular
	other bool   // value is not what stands in the text
}

// add takes in the terms of pattern n.
func (l *lexicon) add(n int, p *patterns.Pattern) {
	for _, w := range p.Terms {
		l.enter(n, w, term{value: w})
		if s := patterns.Plural(w); p.Plural && s != "" {
			l.enter(n, s, term{value: w, other: true})
		}
	}
}

// enter makes words, which count as t, a term of pattern n.
func (l *lexicon) enter(n int, words string, t term) {
	node := l.trie.add(words, nodeTerm)
	l.grow()
	if of := &l.patterns[node]; !slices.Contains(*of, n) {
		*of = append(*of, n)
	}
	if at := &l.terms[node]; at.value == "" || at.other && !t.other {
		*at = t
	}
	l.longest = max(l.longest, spanOf(words))
}

// grow makes room for each node of the trie.
func (l *lexicon) grow() {
	l.terms = append(l.terms, make([]term, len(l.nodes)-len(l.terms))...)
	l.patterns = append(l.patterns, make([][]int, len(l.nodes)-len(l.patterns))...)
}

// termAt is a term at a place of normalised text.
type termAt struct {
	start, end int64
	node       int32
}

// terms proves the terms that begin before norm[to], and that of those of one list
// are the longest at their place. The search has come to norm[from].
func (c *Scan) terms(from, to int) {
	waiting, base := c.hits.terms[c.termsDone:], c.text.base
	for len(waiting) > 0 && waiting[0].start < base+int64(to) {
		n := 1
		for n < len(waiting) && waiting[n].start == waiting[0].start {
			n++
		}
		c.termsAt(waiting[:n], from)
		waiting = waiting[n:]
		c.termsDone += n
	}
}

// termHit is a term of a pattern at a place.
type termHit struct {
	pattern int
	end     int
	node    int32
}

// longestOf puts into hits, which is empty, of the terms that begin at one place
// the longest of each pattern.
func (l *lexicon) longestOf(hits []termHit, at []termAt, base int64) []termHit {
	for k := len(at) - 1; k >= 0; k-- {
		for _, p := range l.patterns[at[k].node] {
			if !slices.ContainsFunc(hits, func(h termHit) bool { return h.pattern == p }) {
				hits = append(hits, termHit{p, int(at[k].end - base), at[k].node})
			}
		}
	}
	return hits
}

// termsAt proves the terms at one place. The search has come to norm[from].
func (c *Scan) termsAt(at []termAt, from int) {
	c.termHits = c.s.lexicon.longestOf(c.termHits[:0], at, c.text.base)
	i := int(at[0].start - c.text.base)
	for _, h := range c.termHits {
		if c.stopped || !c.spend(h.end-i, c.text.base+int64(from)) {
			return
		}
		p := &c.s.pats[h.pattern]
		if c.longKnown(h, c.text.base+int64(i)) {
			c.passed = passedTerm{int32(p.rule), p.Confidence, c.text.base + int64(h.end)}
			continue
		}
		if int32(p.rule) == c.passed.rule && p.Confidence <= c.passed.confidence && c.text.base+int64(h.end) <= c.passed.end {
			continue // inside a longer term of its rule, which it would have lost to
		}
		step := c.proveTerm(h, i, from)
		if c.opt.OnProof != nil {
			c.opt.OnProof(h.pattern, step)
		}
	}
}

// proveTerm decides about a term that begins at norm[start], the search having
// come to norm[from], and says what was in the way.
func (c *Scan) proveTerm(h termHit, start, from int) Step {
	norm := c.text.norm
	r := &c.s.rules[c.s.pats[h.pattern].rule]
	if !(r.plain && plainly(norm, start, h.end)) && !bounded(r.Boundary, norm, start, h.end) {
		return StepBoundary
	}
	return c.proveValue(&c.s.pats[h.pattern], start, h.end, from, h.node)
}

// termKey is a term of a rule.
type termKey struct {
	rule int32 // its number
	node int32
}

// termMark is where a term was reported last.
type termMark struct {
	group      uint32
	confidence dlp.Confidence
	start      int64 // in normalised text
}

// passedTerm is the last term that longKnown passed over.
type passedTerm struct {
	rule       int32
	confidence dlp.Confidence
	end        int64 // in normalised text
}

// longAgo is after how many bytes it is settled what became of a term, wherever
// the text is cut: its chunk has ended, and the next one.
const longAgo = 2 * chunkBytes

// longKnown reports a term, outside of fields, that was reported from the same
// part so far back, and so surely, that known would drop it.
func (c *Scan) longKnown(h termHit, start int64) bool {
	if len(c.fields.spans) > 0 || len(c.termsSeen) == 0 {
		return false
	}
	p := &c.s.pats[h.pattern]
	old, seen := c.termsSeen[termKey{int32(p.rule), h.node}]
	return seen && old.group == 0 && old.confidence >= p.Confidence && start-old.start >= longAgo && !c.s.rules[p.rule].CountAll
}

// known reports whether x is a term that was reported already, with no less
// confidence, from the same row or, outside of rows, from the same part; and
// takes note of it.
func (c *Scan) known(x *candidate) bool {
	if x.term == 0 || c.s.rules[x.rule].CountAll {
		return false
	}
	key := termKey{x.rule, x.term}
	old, seen := c.termsSeen[key]
	if seen && old.group == x.group && old.confidence >= x.confidence {
		return true
	}
	if c.termsSeen == nil {
		c.termsSeen = map[termKey]termMark{}
	}
	c.termsSeen[key] = termMark{x.group, x.confidence, x.start}
	return false
}
