package scanner

import (
	"math/bits"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// lexicon finds the terms of all patterns that are words themselves, at the
// words of a text. It is read only once built.
//
// Of a word, its first eight bytes and its length say by two bits of a filter
// that no term begins with it, or goes on with it: nearly all words end there.
type lexicon struct {
	*vocabulary
	filter   [1 << (filterBits - 6)]uint64
	patterns [][]int // by list of the vocabulary: the patterns that it is the terms of
	terms    []term  // by node of the vocabulary
}

// term is what a node of a lexicon stands for.
type term struct {
	value string // the term as it counts: of a plural the singular
	other bool   // value is not what stands in the text
	inner bool   // some term goes on from here
}

// filterBits is how many bits of a hash say which bit of the filter. Of 16 KiB the
// built-in terms take a third.
const filterBits = 17

// add takes in the terms of pattern n.
func (l *lexicon) add(n int, p *patterns.Pattern) {
	words := p.Terms
	var plurals []int // indexes into p.Terms of what follows them in words
	if p.Plural {
		words = slices.Clone(words)
		for i, w := range p.Terms {
			if s := patterns.Plural(w); s != "" {
				words, plurals = append(words, s), append(plurals, i)
			}
		}
	}
	list := l.list(words)
	for len(l.patterns) <= list {
		l.patterns = append(l.patterns, nil)
	}
	l.patterns[list] = append(l.patterns[list], n)
	l.terms = append(l.terms, make([]term, len(l.lists)-len(l.terms))...)
	for i, w := range words {
		t := term{value: w}
		if i >= len(p.Terms) {
			t = term{value: p.Terms[plurals[i-len(p.Terms)]], other: true}
		}
		if at := &l.terms[l.node(w)]; at.value == "" || at.other && !t.other {
			*at = t
		}
	}
}

// node returns the node of a term that is in some list.
func (l *lexicon) node(term string) int32 {
	node := int32(0)
	for _, tok := range tokenise(term) {
		node = l.step(node, tok)
	}
	return node
}

// ready makes the tables, when all terms are in.
func (l *lexicon) ready() {
	l.fill()
	tokens := make([]string, len(l.tokens))
	for tok, id := range l.tokens {
		tokens[id] = tok
	}
	for e := range l.edges {
		l.terms[e.node].inner = true
		b := []byte(tokens[e.token])
		if !wordByte(b[0]) || !ascii(b[:min(8, len(b))]) {
			continue // of symbols, and where some byte is not ASCII, the filter is not asked
		}
		first := firstEight(b, 0, len(b))
		if ascii(b) {
			l.pass(e.node, first, len(b))
			continue
		}
		for n := 9; n <= 2*patterns.MaxKeyword; n++ { // a letter beyond ASCII may have as many bytes in one case and not in the other
			l.pass(e.node, first, n)
		}
	}
}

// filterHash is of a word that begins as firstEight says and stands after node.
func filterHash(node int32, first uint64, size int) uint64 {
	x := (first ^ uint64(size)<<56 ^ uint64(node)*0xd6e8feb86659fd93) * 0x9e3779b97f4a7c15 // as vocabulary.place
	return x ^ x>>32
}

// The two bits of a hash in the filter.
func firstBit(h uint64) uint64  { return h & (1<<filterBits - 1) }
func secondBit(h uint64) uint64 { return h >> (64 - filterBits) }

func (l *lexicon) pass(node int32, first uint64, size int) {
	h := filterHash(node, first, size)
	for _, bit := range [2]uint64{firstBit(h), secondBit(h)} {
		l.filter[bit/64] |= 1 << (bit % 64)
	}
}

// follows reports whether the word text[i:j] may follow node in a term; 0 is
// where terms begin.
func (l *lexicon) follows(node int32, text []byte, i, j int) bool {
	first := firstEight(text, i, j)
	if first&high != 0 {
		return l.wide
	}
	h := filterHash(node, first, j-i)
	a, b := firstBit(h), secondBit(h)
	return l.filter[a/64]>>(a%64)&1 != 0 && l.filter[b/64]>>(b%64)&1 != 0
}

// walk appends to hits the terms of which the words up to text[end:] are the
// first, and lead to node.
func (l *lexicon) walk(hits []termHit, text []byte, end int, node int32) []termHit {
	for node != 0 {
		if l.lists[node] != nil {
			hits = append(hits, termHit{end: end, node: node})
		}
		if !l.terms[node].inner {
			break
		}
		k := end
		for k < len(text) && k-end < maxSeparators && separator(text[k]) {
			k++
		}
		if k == len(text) {
			break
		}
		if l.symbols[text[k]] {
			node, end = l.edges[edge{node, l.symbol(text[k])}], k+1
			continue
		}
		end = wordEnd(text, k)
		if end == k || !l.follows(node, text, k, end) {
			break
		}
		tok := l.token(text, k, end)
		if tok < 0 {
			break
		}
		node = l.edges[edge{node, tok}]
	}
	return hits
}

// terms looks for the terms that begin in norm[from:to], at most 64 bytes, of
// which those of words are marked.
func (c *Scan) terms(from, to int, marked uint64) {
	l, norm := c.s.lexicon, c.text.norm
	starts := marked &^ (marked << 1)
	if from > 0 && wordByte(norm[from-1]) {
		starts &^= 1
	}
	for ; starts != 0; starts &= starts - 1 {
		bit := bits.TrailingZeros64(starts)
		i := from + bit
		j := i + bits.TrailingZeros64(^(marked >> bit))
		if j >= to {
			j = wordEnd(norm, to)
		}
		if l.follows(0, norm, i, j) {
			c.termsAt(i, j, from)
		}
	}
}

// termHit is a term of a pattern at a place.
type termHit struct {
	pattern int
	end     int
	node    int32
}

// longestAt puts into hits, which is empty, the terms that begin with the word
// text[i:j]: of each list the longest, for each of its patterns.
func (l *lexicon) longestAt(hits []termHit, text []byte, i, j int) []termHit {
	tok := l.token(text, i, j)
	if tok < 0 {
		return hits
	}
	hits = l.walk(hits, text, j, l.root[tok])
	n := len(hits)
	for k := n - 1; k >= 0; k-- {
		h := hits[k]
		for w, lists := range l.lists[h.node] {
			for ; lists != 0; lists &= lists - 1 {
				list := w*64 + bits.TrailingZeros64(lists)
				if slices.ContainsFunc(hits[k+1:n], func(longer termHit) bool { return l.has(longer.node, list) }) {
					continue
				}
				for _, p := range l.patterns[list] {
					hits = append(hits, termHit{p, h.end, h.node})
				}
			}
		}
	}
	return slices.Delete(hits, 0, n)
}

// termsAt proves the terms that begin with the word norm[i:j]. The search has
// come to norm[from].
func (c *Scan) termsAt(i, j, from int) {
	c.termHits = c.s.lexicon.longestAt(c.termHits[:0], c.text.norm, i, j)
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
	return c.proveValue(h.pattern, start, h.end, from, h.node)
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
