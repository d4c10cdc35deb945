package scanner

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/patterns"
)

// vocabulary is the keywords of all lists, which it finds by the words of a text.
// It is read only once built.
type vocabulary struct {
	*trie
	lists   [][]uint64     // by node: a bit for each list that has the keyword ending there
	voices  []voice        // by node; made by fill
	far     [][2]int       // by list: as voice.back and voice.ahead
	exact   bool           // no two lists have a mask in common
	spans   []int          // by list: bytes of the longest stretch that can be a hit
	longest int            // bytes of the longest stretch that can be a hit
	reach   int            // bytes before a candidate in which any list is looked for
	ids     map[string]int // lists by content
}

// voice is what a keyword speaks for.
type voice struct {
	mask  uint64 // maskOf its lists together
	back  int32  // how many bytes behind the keyword at most
	ahead int32  // and before it
}

func newVocabulary(t *trie) *vocabulary {
	return &vocabulary{trie: t, ids: map[string]int{}}
}

// list adds words as a list and returns its number; the same words twice are
// the same list.
func (v *vocabulary) list(words []string) int {
	content := strings.Join(words, "\n")
	if id, ok := v.ids[content]; ok {
		return id
	}
	id := len(v.ids)
	v.ids[content] = id
	v.spans, v.far = append(v.spans, 0), append(v.far, [2]int{})
	for _, w := range words {
		node := v.add(w, nodeKeyword)
		v.lists = append(v.lists, make([][]uint64, len(v.nodes)-len(v.lists))...)
		in := v.lists[node]
		for len(in) <= id/64 {
			in = append(in, 0)
		}
		in[id/64] |= 1 << (id % 64)
		v.lists[node] = in
		v.spans[id] = max(v.spans[id], spanOf(w))
		v.longest = max(v.longest, v.spans[id])
	}
	return id
}

// spanOf is how many bytes of a text words may take at most.
func spanOf(words string) int {
	n := len(words)
	if !ascii([]byte(words)) {
		n *= 2 // a letter may have more bytes in its other case
	}
	return n + maxSeparators*len(tokenise(words))
}

// speaks notes how far the words of list speak for w.
func (v *vocabulary) speaks(list int, w *patterns.Words) {
	v.far[list][0] = max(v.far[list][0], w.Proximity)
	if !w.Before {
		v.far[list][1] = max(v.far[list][1], w.Proximity)
	}
}

// fill makes what is looked up by node, when all nodes are made.
func (v *vocabulary) fill() {
	v.lists = append(v.lists, make([][]uint64, len(v.nodes)-len(v.lists))...)
	v.exact = len(v.ids) <= maskBits
	v.voices = make([]voice, len(v.lists))
	for node, in := range v.lists {
		for k, word := range in {
			for ; word != 0; word &= word - 1 {
				list := 64*k + bits.TrailingZeros64(word)
				x := &v.voices[node]
				x.mask |= maskOf(list)
				x.back, x.ahead = max(x.back, int32(v.far[list][0])), max(x.ahead, int32(v.far[list][1]))
			}
		}
	}
}

// has reports whether node ends a keyword of list.
func (v *vocabulary) has(node int32, list int) bool {
	in := v.lists[node]
	return list/64 < len(in) && in[list/64]>>(list%64)&1 != 0
}

// maskOf is the bit that stands for a list, and for others alike where there are
// many, when lists are told apart quickly.
func maskOf(list int) uint64 { return 1 << (list % maskBits) }

const (
	maskBits = 63
	unasked  = 1 << maskBits // the bit of what asks for no words
)

// evidence is patterns.Words made ready.
type evidence struct {
	patterns.Words
	list int
}

// hits remembers the keywords of a stretch of text, found when first asked
// for, so that no byte is searched twice however many candidates stand near. The
// terms found beside them wait there to be proved.
type hits struct {
	list   []wordHit // by start
	terms  []termAt  // by start
	left   []wordHit // scratch of ensure
	at     int       // where in list it was looked last
	lo, hi int64     // the stretch in which the hits begin
	sure   int64     // no keyword that begins before it reaches past what is there of the part

	block, blockEnd int64  // the places that mask is for
	mask            uint64 // of the keywords that stand near them
}

type wordHit struct {
	start, end int64
	voice      // of node
	node       int32
}

const (
	blockBytes = 128 // about how many places share a mask
	findBytes  = 512 // about how much text is searched for keywords at a time
)

func (h *hits) reset() {
	*h = hits{list: h.list[:0], left: h.left[:0], terms: h.terms[:0]}
}

// read finds what begins before hi, from where it was read up to. Of the keywords
// before keep none is asked for any more.
func (h *hits) read(v *vocabulary, t *text, hi, keep int64) {
	if hi <= h.hi {
		return
	}
	if len(h.list) >= 1024 && keep > h.lo {
		k, _ := slices.BinarySearchFunc(h.list, keep, func(w wordHit, n int64) int { return int(w.start - n) })
		h.list = h.list[:copy(h.list, h.list[k:])]
		h.lo, h.at = keep, max(0, h.at-k)
	}
	hi = max(hi, min(h.hi+findBytes, h.sure))
	v.find(t.norm, int(h.hi-t.base), int(hi-t.base), func(s, e int, node int32) {
		kind, start, end := v.nodes[node], t.base+int64(s), t.base+int64(e)
		if kind&nodeKeyword != 0 {
			h.list = append(h.list, wordHit{start, end, v.voices[node], node})
		}
		if kind&nodeTerm != 0 {
			h.terms = append(h.terms, termAt{start, end, node})
		}
	})
	h.hi = hi
}

// ensure finds the hits that begin in [lo, hi) of t.
func (h *hits) ensure(v *vocabulary, t *text, lo, hi int64) {
	lo, hi = max(lo, t.base), min(hi, t.end())
	if lo > h.hi { // nothing was looked for in between
		h.list, h.lo, h.hi = h.list[:0], lo, lo
	}
	if lo < h.lo {
		h.left = h.left[:0]
		v.find(t.norm, int(lo-t.base), int(h.lo-t.base), func(s, e int, node int32) {
			if v.nodes[node]&nodeKeyword != 0 {
				h.left = append(h.left, wordHit{t.base + int64(s), t.base + int64(e), v.voices[node], node})
			}
		})
		h.list, h.lo = slices.Insert(h.list, 0, h.left...), lo
	}
	h.read(v, t, hi, lo)
}

// around returns maskOf each list of which a keyword may stand near a match that
// begins at offset at, or by maxPrefix before, and is no longer than longest.
func (h *hits) around(v *vocabulary, t *text, at, longest int64) uint64 {
	if at >= h.block && at < h.blockEnd {
		return h.mask
	}
	block := at &^ (blockBytes - 1)
	from, to := block-maxPrefix-int64(v.reach), block+blockBytes+longest+int64(v.reach)
	end := block + blockBytes
	if to > h.sure {
		to = h.sure
		if to < t.end() { // else nothing comes any more
			end = max(at+1, to-longest-int64(v.reach))
		}
	}
	h.ensure(v, t, from, to)
	i := h.seek(from)
	mask := uint64(unasked)
	for first, last := block-maxPrefix, block+blockBytes+longest; i < len(h.list); i++ {
		x := &h.list[i]
		if x.start >= to {
			break
		}
		if x.mask&^mask != 0 && x.end+int64(x.back) >= first && x.start-int64(x.ahead) <= last {
			mask |= x.mask
		}
	}
	h.block, h.blockEnd, h.mask = block, end, mask
	return mask
}

// seek returns the number of the first hit that begins at from or later.
func (h *hits) seek(from int64) int {
	i := min(h.at, len(h.list))
	for i > 0 && h.list[i-1].start >= from {
		i--
	}
	for i < len(h.list) && h.list[i].start < from {
		i++
	}
	h.at = i
	return i
}

// nearest returns how many bytes lie between [s, e) of t and the nearest keyword
// of w that counts in its cell; ok is false where none stands within w's reach.
func (h *hits) nearest(v *vocabulary, t *text, w *evidence, in cell, s, e int64) (off int64, ok bool) {
	reach := int64(w.Proximity)
	from := s - reach - int64(v.spans[w.list])
	to := e + reach
	if w.Before {
		to = s
	}
	if from < h.lo || to >= h.hi {
		h.ensure(v, t, from, to+1)
	}
	mask := maskOf(w.list)
	off = reach + 1
	for i := h.seek(to+1) - 1; i >= 0 && h.list[i].start >= from && off > 0; i-- { // what it is called stands before it, more often than not
		x := &h.list[i]
		if x.mask&mask == 0 {
			continue
		}
		d := max(s-x.end, x.start-e, 0)
		if d >= off || w.Before && x.end > s || !v.exact && !v.has(x.node, w.list) ||
			in.span != nil && !in.counts(t, x.start, x.end, s, e) {
			continue
		}
		off = d
	}
	return off, off <= reach
}
