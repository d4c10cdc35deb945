package scanner

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/patterns"
)

// maxSeparators is how many bytes may stand between two words of one keyword.
const maxSeparators = 8

// vocabulary finds the keywords of all lists in one walk over the words of a
// text. It is read only once built.
type vocabulary struct {
	tokens  map[string]int32 // words and single symbols, lower case
	edges   map[edge]int32   // a trie of tokens; node 0 is its root
	lists   [][]uint64       // by node: a bit for each list that has the keyword ending there
	table   []slot           // tokens of ASCII alone, hashed; made by fill
	shift   int              // of a hash to its place in table
	root    []int32          // by token: where it leads from node 0, 0 for nowhere; made by fill
	lengths [1024]uint64     // by shape of a token's first two bytes: bit n says that some are n bytes long
	symbols [256]bool        // bytes that stand in keywords as symbols
	begins  [256]uint8       // by byte: what it may begin
	wide    bool             // some token has bytes beyond ASCII
	spans   []int            // by list: bytes of the longest stretch that can be a hit
	longest int              // bytes of the longest stretch that can be a hit
	reach   int              // bytes before a candidate in which any list is looked for
	ids     map[string]int   // lists by content
}

type edge struct{ node, token int32 }

func newVocabulary() *vocabulary {
	v := &vocabulary{tokens: map[string]int32{}, edges: map[edge]int32{}, lists: make([][]uint64, 1), ids: map[string]int{}}
	for c := range 256 {
		if wordByte(byte(c)) {
			v.begins[c] = beginsWord
		}
	}
	return v
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
	v.spans = append(v.spans, 0)
	for _, w := range words {
		node := int32(0)
		toks := tokenise(w)
		for _, tok := range toks {
			node = v.step(node, tok)
		}
		in := v.lists[node]
		for len(in) <= id/64 {
			in = append(in, 0)
		}
		in[id/64] |= 1 << (id % 64)
		v.lists[node] = in
		v.spans[id] = max(v.spans[id], len(w)+maxSeparators*len(toks))
		v.longest = max(v.longest, v.spans[id])
	}
	return id
}

// step returns the node that tok leads to, made if need be.
func (v *vocabulary) step(node int32, tok string) int32 {
	id, ok := v.tokens[tok]
	if !ok {
		id = int32(len(v.tokens))
		v.tokens[tok] = id
		if wordByte(tok[0]) {
			v.begin(tok[0])
		}
		switch {
		case !wordByte(tok[0]):
			v.symbols[tok[0]] = true
		case len(tok) < 64:
			v.lengths[shape([]byte(tok))] |= 1 << len(tok)
		}
		v.wide = v.wide || plain([]byte(tok)) < len(tok)
	}
	next, ok := v.edges[edge{node, id}]
	if !ok {
		next = int32(len(v.lists))
		v.edges[edge{node, id}] = next
		v.lists = append(v.lists, nil)
	}
	return next
}

// What a byte may begin.
const (
	beginsNothing = iota
	beginsWord    // a word, but none of a keyword
	beginsToken   // a word of a keyword
)

// begin notes that a token begins with c, in either case.
func (v *vocabulary) begin(c byte) {
	if c >= 0x80 {
		for c := 0x80; c < 256; c++ {
			v.begins[c] = beginsToken
		}
		return
	}
	v.begins[c] = beginsToken
	if c >= 'a' && c <= 'z' {
		v.begins[c-'a'+'A'] = beginsToken
	}
}

// shape numbers the first two bytes of a word so that case does not matter.
func shape(b []byte) int {
	if len(b) == 1 {
		return int(b[0] & 31)
	}
	return int(b[0]&31)<<5 | int(b[1]&31)
}

// wordByte reports whether c belongs to a word of a keyword.
func wordByte(c byte) bool { return keywordTable[c] }

var keywordTable = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c != '_' && isWord(byte(c)) || c >= 0x80
	}
	return t
}()

// separator reports whether c may stand between two words of a keyword.
func separator(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '_', '-', '.', '/', '\'':
		return true
	}
	return false
}

// tokenise takes a keyword apart into words and symbols.
func tokenise(w string) []string {
	var out []string
	for i := 0; i < len(w); {
		j := i
		for j < len(w) && wordByte(w[j]) {
			j++
		}
		switch {
		case j > i:
			out = append(out, w[i:j])
		case separator(w[i]):
			j++
		default:
			j++
			out = append(out, w[i:j])
		}
		i = j
	}
	return out
}

// slot is a token of ASCII alone.
type slot struct {
	first uint64 // its first eight bytes, the first one lowest, zeros where it is shorter
	rest  string // what comes after them
	id    int32
	size  int // bytes; 0 for an empty slot
}

// fill makes the table of tokens, in which no slot is far from its place.
func (v *vocabulary) fill() {
	size := 64
	for size < 4*len(v.tokens) {
		size *= 2
	}
	v.table, v.shift = make([]slot, size), 64-bits.Len(uint(size-1))
	for tok, id := range v.tokens {
		if !wordByte(tok[0]) || len(tok) >= 64 || plain([]byte(tok)) < len(tok) {
			continue
		}
		s := slot{first: firstEight([]byte(tok), 0, len(tok)), rest: tok[min(8, len(tok)):], id: id, size: len(tok)}
		h := v.place(s.first, s.size)
		for v.table[h].size != 0 {
			h = (h + 1) & (size - 1)
		}
		v.table[h] = s
	}
	v.root = make([]int32, len(v.tokens))
	for e, node := range v.edges {
		if e.node == 0 {
			v.root[e.token] = node
		}
	}
}

func (v *vocabulary) place(first uint64, size int) int {
	return int((first ^ uint64(size)) * 0x9e3779b97f4a7c15 >> v.shift) // Fibonacci hashing: Knuth, TAOCP 3, 6.4
}

// firstEight returns the first bytes of the word text[i:j], its ASCII letters
// small, as slot has them.
func firstEight(text []byte, i, j int) (first uint64) {
	if i+8 <= len(text) {
		first = binary.LittleEndian.Uint64(text[i:])
	} else {
		for k := len(text) - 1; k >= i; k-- {
			first = first<<8 | uint64(text[k])
		}
	}
	first |= 0x20 * ones // a small letter for a capital; digits have that bit
	if j-i < 8 {
		first &= 1<<(8*(j-i)) - 1
	}
	return first
}

// token returns the number of the word text[i:j], -1 if it is in no keyword.
func (v *vocabulary) token(text []byte, i, j int) int32 {
	b := text[i:j]
	if v.wide && plain(b) < len(b) {
		if id, ok := v.tokens[string(bytes.ToLower(b))]; ok {
			return id
		}
		return -1
	}
	if len(b) >= 64 || v.lengths[shape(b)]>>len(b)&1 == 0 {
		return -1
	}
	first := firstEight(text, i, j)
next:
	for h := v.place(first, len(b)); v.table[h].size != 0; h = (h + 1) & (len(v.table) - 1) {
		s := &v.table[h]
		if s.first != first || s.size != len(b) {
			continue
		}
		for k := range len(s.rest) {
			if b[8+k]|0x20 != s.rest[k] {
				continue next
			}
		}
		return s.id
	}
	return -1
}

// symbol returns the number of the token that is c alone, -1 if there is none.
func (v *vocabulary) symbol(c byte) int32 {
	if id, ok := v.tokens[string([]byte{c})]; ok {
		return id
	}
	return -1
}

// find calls hit for each keyword that begins in text[from:to]. It looks past
// to for its end, as far as longest.
func (v *vocabulary) find(text []byte, from, to int, hit func(start, end int, node int32)) {
	i := from
	if i > 0 && wordByte(text[i-1]) { // inside a word
		i = wordEnd(text, i)
	}
	for i < to {
		if kind := v.begins[text[i]]; kind != beginsToken {
			if i++; kind == beginsWord {
				i = wordEnd(text, i)
			}
			continue
		}
		j := wordEnd(text, i)
		if tok := v.token(text, i, j); tok >= 0 {
			v.walk(text, i, j, tok, hit)
		}
		i = j
	}
}

func wordEnd(text []byte, i int) int {
	for i < len(text) && wordByte(text[i]) {
		i++
	}
	return i
}

// walk follows the trie from the word text[start:end].
func (v *vocabulary) walk(text []byte, start, end int, tok int32, hit func(start, end int, node int32)) {
	node := v.root[tok]
	for ok := node != 0; ok; {
		if v.lists[node] != nil {
			hit(start, end, node)
		}
		k := end
		for k < len(text) && k-end < maxSeparators && separator(text[k]) {
			k++
		}
		if k < len(text) && v.symbols[text[k]] {
			if next, leads := v.edges[edge{node, v.symbol(text[k])}]; leads {
				node, end = next, k+1
				continue
			}
		}
		e := wordEnd(text, k)
		if e == k {
			return
		}
		if tok = v.token(text, k, e); tok < 0 {
			return
		}
		node, ok = v.edges[edge{node, tok}]
		end = e
	}
}

// has reports whether node ends a keyword of list.
func (v *vocabulary) has(node int32, list int) bool {
	in := v.lists[node]
	return list/64 < len(in) && in[list/64]>>(list%64)&1 != 0
}

// evidence is patterns.Words made ready.
type evidence struct {
	patterns.Words
	list int
}

// hits remembers the keywords of a stretch of text, found when first asked
// for, so that no byte is searched twice however many candidates stand near.
type hits struct {
	list   []wordHit // by start
	left   []wordHit // scratch of ensure
	at     int       // where in list it was looked last
	lo, hi int64     // the stretch in which the hits begin
}

type wordHit struct {
	start, end int64
	node       int32
}

// ensure finds the hits that begin in [lo, hi) of t.
func (h *hits) ensure(v *vocabulary, t *text, lo, hi int64) {
	lo, hi = max(lo, t.base), min(hi, t.end())
	if lo > h.hi || hi < h.lo || h.lo < t.base {
		h.list, h.lo, h.hi = h.list[:0], lo, lo
	}
	if lo < h.lo {
		h.left = h.left[:0]
		v.find(t.norm, int(lo-t.base), int(h.lo-t.base), func(s, e int, node int32) {
			h.left = append(h.left, wordHit{t.base + int64(s), t.base + int64(e), node})
		})
		h.list, h.lo = slices.Insert(h.list, 0, h.left...), lo
	}
	if hi <= h.hi {
		return
	}
	if len(h.list) >= 1024 {
		k, _ := slices.BinarySearchFunc(h.list, lo, func(w wordHit, n int64) int { return int(w.start - n) })
		h.list = h.list[:copy(h.list, h.list[k:])]
		h.lo = lo
	}
	v.find(t.norm, int(h.hi-t.base), int(hi-t.base), func(s, e int, node int32) {
		h.list = append(h.list, wordHit{t.base + int64(s), t.base + int64(e), node})
	})
	h.hi = hi
}

// near reports whether a keyword of w stands within reach of [s, e) of t.
func (h *hits) near(v *vocabulary, t *text, w *evidence, s, e int64) bool {
	reach := int64(w.Proximity)
	from := s - reach - int64(v.spans[w.list])
	to := e + reach
	if w.Before {
		to = s
	}
	h.ensure(v, t, from, to+1)
	i := min(h.at, len(h.list))
	for i > 0 && h.list[i-1].start >= from {
		i--
	}
	for i < len(h.list) && h.list[i].start < from {
		i++
	}
	h.at = i
	for ; i < len(h.list) && h.list[i].start <= to; i++ {
		x := &h.list[i]
		if x.end <= s && s-x.end > reach || w.Before && x.end > s || !v.has(x.node, w.list) {
			continue
		}
		return true
	}
	return false
}
