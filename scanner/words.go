package scanner

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/patterns"
)

// maxSeparators is how many bytes may stand between two words of one keyword.
const maxSeparators = 8

// vocabulary finds the keywords of all lists in one walk over the words of a
// text. It is read only once built.
type vocabulary struct {
	tokens    map[string]int32 // words and single symbols, lower case
	edges     map[edge]int32   // a trie of tokens; node 0 is its root
	lists     [][]uint64       // by node: a bit for each list that has the keyword ending there
	table     []slot           // tokens of ASCII alone, hashed; made by fill
	shift     int              // of a hash to its place in table
	seenShift int              // of a hash to its bit in seen
	root      []int32          // by token: where it leads from node 0, 0 for nowhere; made by fill
	begins    []uint64         // by hash: a bit for each token of table that a keyword begins with; made by fill
	seen      []uint64         // by hash: a bit for each token of table, so that most other words are told off at once; made by fill
	symbols   [256]bool        // bytes that stand in keywords as symbols
	first     *marker          // of the bytes that a keyword may begin with; made by fill
	wide      bool             // some token has bytes beyond ASCII
	masks     []uint64         // by node: maskOf its lists together; made by fill
	back      []int64          // by node: how many bytes behind a keyword it speaks for at most; made by fill
	ahead     []int64          // and before it
	far       [][2]int         // by list: the same
	exact     bool             // no two lists have a mask in common
	spans     []int            // by list: bytes of the longest stretch that can be a hit
	longest   int              // bytes of the longest stretch that can be a hit
	reach     int              // bytes before a candidate in which any list is looked for
	ids       map[string]int   // lists by content
}

type edge struct{ node, token int32 }

func newVocabulary() *vocabulary {
	return &vocabulary{tokens: map[string]int32{}, edges: map[edge]int32{}, lists: make([][]uint64, 1), ids: map[string]int{}}
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

// speaks notes how far the words of list speak for w.
func (v *vocabulary) speaks(list int, w *patterns.Words) {
	v.far[list][0] = max(v.far[list][0], w.Proximity)
	if !w.Before {
		v.far[list][1] = max(v.far[list][1], w.Proximity)
	}
}

// step returns the node that tok leads to, made if need be.
func (v *vocabulary) step(node int32, tok string) int32 {
	id, ok := v.tokens[tok]
	if !ok {
		id = int32(len(v.tokens))
		v.tokens[tok] = id
		if !wordByte(tok[0]) {
			v.symbols[tok[0]] = true
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
	v.seen, v.seenShift = make([]uint64, size/4), 64-bits.Len(uint(16*size-1))
	for tok, id := range v.tokens {
		if !wordByte(tok[0]) || len(tok) >= 64 || plain([]byte(tok)) < len(tok) {
			continue
		}
		s := slot{first: firstEight([]byte(tok), 0, len(tok)), rest: tok[min(8, len(tok)):], id: id, size: len(tok)}
		hash := hashOf(s.first, s.size)
		v.seen[hash>>v.seenShift>>6] |= 1 << (hash >> v.seenShift & 63)
		h := int(hash >> v.shift)
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
	v.begins = make([]uint64, 1<<(beginBits-6))
	for _, s := range v.table {
		if s.size != 0 && v.root[s.id] != 0 {
			n := hashOf(s.first, s.size) >> (64 - beginBits)
			v.begins[n>>6] |= 1 << (n & 63)
		}
	}
	var first byteSet
	for tok, id := range v.tokens {
		switch c := tok[0]; {
		case v.root[id] == 0:
		case c >= utf8.RuneSelf:
			first[2], first[3] = ^uint64(0), ^uint64(0)
		case c >= 'a' && c <= 'z':
			first.put(c - 'a' + 'A')
			fallthrough
		default:
			first.put(c)
		}
	}
	v.first = newMarker(markOther, first.has)
	v.exact = len(v.ids) <= maskBits
	v.masks = make([]uint64, len(v.lists))
	v.back, v.ahead = make([]int64, len(v.lists)), make([]int64, len(v.lists))
	for node, in := range v.lists {
		for k, word := range in {
			for ; word != 0; word &= word - 1 {
				list := 64*k + bits.TrailingZeros64(word)
				v.masks[node] |= maskOf(list)
				v.back[node], v.ahead[node] = max(v.back[node], int64(v.far[list][0])), max(v.ahead[node], int64(v.far[list][1]))
			}
		}
	}
}

func hashOf(first uint64, size int) uint64 {
	return (first ^ uint64(size)) * 0x9e3779b97f4a7c15 // Fibonacci hashing: Knuth, TAOCP 3, 6.4
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
	return (first | 0x20*ones) & firstBytesOf[min(j-i, 8)] // a small letter for a capital; digits have that bit
}

// firstBytesOf is, by length, the bytes of a word among its first eight.
var firstBytesOf = [9]uint64{0, 1<<8 - 1, 1<<16 - 1, 1<<24 - 1, 1<<32 - 1, 1<<40 - 1, 1<<48 - 1, 1<<56 - 1, 1<<64 - 1}

// token returns the number of the word text[i:j], -1 if it is in no keyword.
func (v *vocabulary) token(text []byte, i, j int) int32 {
	first := firstEight(text, i, j)
	if v.wide && (first&high != 0 || j-i > 8 && !ascii(text[i+8:j])) {
		return v.wideToken(text[i:j])
	}
	hash := hashOf(first, j-i)
	if n := hash >> v.seenShift; v.seen[n>>6]>>(n&63)&1 == 0 {
		return -1
	}
	return v.find8(hash, first, text[i:j])
}

func (v *vocabulary) wideToken(b []byte) int32 {
	var room [2 * patterns.MaxKeyword]byte
	if len(b) > len(room) {
		return -1
	}
	if id, ok := v.tokens[string(appendLower(room[:0], b))]; ok {
		return id
	}
	return -1
}

// beginBits is how many bits of a hash say which bit of begins: 16 KiB, which
// stays in the processor's nearest cache.
const beginBits = 17

// mayBegin reports whether a keyword may begin with the word text[i:j].
func (v *vocabulary) mayBegin(text []byte, i, j int) bool {
	first := firstEight(text, i, j)
	if v.wide && (first&high != 0 || j-i > 8) {
		return true
	}
	n := hashOf(first, j-i) >> (64 - beginBits)
	return v.begins[n>>6]>>(n&63)&1 != 0
}

// find8 returns the number of the word b of ASCII, the first bytes and the hash of
// which are given.
func (v *vocabulary) find8(hash, first uint64, b []byte) int32 {
next:
	for h := int(hash >> v.shift); v.table[h].size != 0; h = (h + 1) & (len(v.table) - 1) {
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

func ascii(b []byte) bool {
	var all byte
	for _, c := range b {
		all |= c
	}
	return all < utf8.RuneSelf
}

// appendLower appends b in small letters to out, as bytes.ToLower makes them.
func appendLower(out, b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		out = utf8.AppendRune(out, unicode.ToLower(r))
		b = b[size:]
	}
	return out
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
	var words, first marks
	for ; from < to; from += chunkBytes {
		block := text[from:min(to, from+chunkBytes)]
		tokenMarker.mark(&words, block)
		v.first.mark(&first, block)
		var carry uint64
		if from > 0 && wordByte(text[from-1]) { // inside a word
			carry = 1
		}
		for w, in := range words[:(len(block)+63)/64] {
			starts := in &^ (in<<1 | carry)
			carry = in >> 63
			for m := starts & first[w]; m != 0; m &= m - 1 {
				bit := bits.TrailingZeros64(m)
				i := from + 64*w + bit
				j := i + bits.TrailingZeros64(^(in >> bit))
				if j == from+64*w+64 || j == to { // it may go on
					j = wordEnd(text, j)
				}
				if !v.mayBegin(text, i, j) {
					continue
				}
				if tok := v.token(text, i, j); tok >= 0 {
					v.walk(text, i, j, tok, hit)
				}
			}
		}
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
// for, so that no byte is searched twice however many candidates stand near.
type hits struct {
	list   []wordHit // by start
	left   []wordHit // scratch of ensure
	at     int       // where in list it was looked last
	lo, hi int64     // the stretch in which the hits begin
	sure   int64     // no keyword that begins before it reaches past what is there of the part

	block, blockEnd int64  // the places that mask is for
	mask            uint64 // of the keywords that stand near them
}

type wordHit struct {
	start, end int64
	mask       uint64 // of node
	node       int32
}

const (
	blockBytes = 128 // about how many places share a mask
	findBytes  = 512 // about how much text is searched for keywords at a time
)

func (h *hits) reset() {
	*h = hits{list: h.list[:0], left: h.left[:0]}
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
			h.left = append(h.left, wordHit{t.base + int64(s), t.base + int64(e), v.masks[node], node})
		})
		h.list, h.lo = slices.Insert(h.list, 0, h.left...), lo
	}
	if hi <= h.hi {
		return
	}
	hi = max(hi, min(h.hi+findBytes, h.sure))
	if len(h.list) >= 1024 {
		k, _ := slices.BinarySearchFunc(h.list, lo, func(w wordHit, n int64) int { return int(w.start - n) })
		h.list = h.list[:copy(h.list, h.list[k:])]
		h.lo = lo
	}
	v.find(t.norm, int(h.hi-t.base), int(hi-t.base), func(s, e int, node int32) {
		h.list = append(h.list, wordHit{t.base + int64(s), t.base + int64(e), v.masks[node], node})
	})
	h.hi = hi
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
		end = max(at+1, to-longest-int64(v.reach))
	}
	h.ensure(v, t, from, to)
	i := h.seek(from)
	mask := uint64(unasked)
	for ; i < len(h.list) && h.list[i].start < to; i++ {
		x := &h.list[i]
		if x.end+v.back[x.node] >= block-maxPrefix && x.start-v.ahead[x.node] <= block+blockBytes+longest {
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
	h.ensure(v, t, from, to+1)
	mask := maskOf(w.list)
	off = reach + 1
	for i := h.seek(to+1) - 1; i >= 0 && h.list[i].start >= from && off > 0; i-- { // what it is called stands before it, more often than not
		x := &h.list[i]
		d := max(s-x.end, x.start-e, 0)
		if x.mask&mask == 0 || d >= off || w.Before && x.end > s || !v.exact && !v.has(x.node, w.list) ||
			in.span != nil && !in.counts(t, x.start, x.end, s, e) {
			continue
		}
		off = d
	}
	return off, off <= reach
}
