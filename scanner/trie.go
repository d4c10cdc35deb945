package scanner

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/patterns"
)

// maxSeparators is how many bytes may stand between two words of one keyword or
// term.
const maxSeparators = 8

// trie is the words of all keywords and terms, one after the other: a node for
// each beginning, 0 where they begin. It finds them in one walk over the words of
// a text, in which each word is looked up once. It is read only once ready.
type trie struct {
	edges   map[edge]int32
	nodes   []nodeKind
	symbols [256]bool // bytes that stand in keywords as symbols
	wide    bool      // some word has bytes beyond ASCII
	lone    bool      // some word is one character that is a word of its own

	// Made by ready.
	filter *filter // of the edges of table: nearly all words of a text end there
	table  []slot  // the edges that are words of ASCII alone, hashed
	rests  []byte  // what those have after their first eight bytes
	first  *marker // of the bytes that a keyword or term may begin with
	second *marker // of the bytes that may stand behind those
}

// edge leads on from a node by a word, in small letters, or a single symbol.
type edge struct {
	node int32
	word string
}

// nodeKind is what a node stands for, as bits. The upper 32 say with which bytes
// of ASCII some go on from there, by their lowest five bits, which capitals have in
// common with small letters.
type nodeKind uint64

const (
	nodeKeyword nodeKind = 1 << iota // a keyword ends there
	nodeTerm                         // a term does
	nodeInner                        // some go on from there
)

// goesOn reports whether some may go on from a node of kind k with c.
func (k nodeKind) goesOn(c byte) bool { return c >= utf8.RuneSelf || k>>(32+c&31)&1 != 0 }

// slot is an edge by a word of ASCII.
type slot struct {
	first    uint64 // the word's first eight bytes, the first one lowest, zeros where it is shorter
	from, to int32
	rest     int32 // where in rests it goes on
	size     int32 // bytes; 0 for an empty slot
}

// filter has two bits of one word for each hash put into it, and says no to nearly
// all others. It is of 16 KiB, which stay in the processor's nearest cache; the
// built-in words take a seventh of it.
type filter [2048]uint64

func (f *filter) put(h uint64)      { f[h>>53] |= filterBits(h) }
func (f *filter) has(h uint64) bool { return filterBits(h)&^f[h>>53] == 0 }

func filterBits(h uint64) uint64 { return 1<<(h>>47&63) | 1<<(h>>41&63) }

func newTrie() *trie { return &trie{edges: map[edge]int32{}, nodes: make([]nodeKind, 1)} }

// add returns the node at which words, a keyword or a term, ends, made if need be.
func (t *trie) add(words string, kind nodeKind) int32 {
	node := int32(0)
	for _, w := range tokenise(words) {
		next, ok := t.edges[edge{node, w}]
		if !ok {
			next = int32(len(t.nodes))
			t.edges[edge{node, w}] = next
			t.nodes = append(t.nodes, 0)
			t.nodes[node] |= nodeInner | 1<<(32+w[0]&31)
			if !wordByte(w[0]) {
				t.symbols[w[0]] = true
			}
			t.wide = t.wide || !ascii([]byte(w))
			t.lone = t.lone || isLone([]byte(w), 0)
		}
		node = next
	}
	t.nodes[node] |= kind
	return node
}

// node returns the node at which words ends, which were added.
func (t *trie) node(words string) int32 {
	node := int32(0)
	for _, w := range tokenise(words) {
		node = t.edges[edge{node, w}]
	}
	return node
}

// ready makes the tables, when all is added.
func (t *trie) ready() {
	size := 64
	for size < 3*len(t.edges) {
		size *= 2
	}
	t.table, t.filter = make([]slot, size), &filter{}
	var first, second byteSet
	for e, to := range t.edges {
		w := []byte(e.word)
		if e.node == 0 {
			first.putCases(w[0])
			if len(w) > 1 {
				second.putCases(w[1])
			} else {
				for c := range 256 {
					if !wordByte(byte(c)) {
						second.put(byte(c))
					}
				}
				second.putCases(utf8.RuneSelf) // a character that is a word of its own may follow
			}
		}
		if !wordByte(w[0]) || !ascii(w) {
			continue
		}
		s := slot{first: firstEight(w, 0, len(w)), from: e.node, to: to, rest: int32(len(t.rests)), size: int32(len(w))}
		t.rests = append(t.rests, w[min(8, len(w)):]...)
		h := hashOf(e.node, s.first, len(w))
		t.filter.put(h)
		k := t.place(h)
		for t.table[k].size != 0 {
			k = (k + 1) & uint64(size-1)
		}
		t.table[k] = s
	}
	if t.wide { // capitals beyond ASCII may have small letters of ASCII
		second[2], second[3] = ^uint64(0), ^uint64(0)
	}
	t.first, t.second = newMarker(markOther, first.has), newMarker(markOther, second.has)
}

// putCases puts c into s, with a small letter its capital, with a byte beyond ASCII
// all of those.
func (s *byteSet) putCases(c byte) {
	s.put(c)
	switch {
	case c >= utf8.RuneSelf:
		s[2], s[3] = ^uint64(0), ^uint64(0)
	case c >= 'a' && c <= 'z':
		s.put(c - 'a' + 'A')
	}
}

// hashOf is of a word that begins as firstEight says and stands after node.
func hashOf(node int32, first uint64, size int) uint64 {
	x := (first ^ uint64(size)<<56 ^ uint64(node)*0xd6e8feb86659fd93) * 0x9e3779b97f4a7c15 // Fibonacci hashing: Knuth, TAOCP 3, 6.4
	return x ^ x>>32
}

// place is where in the table the search for a hash begins.
func (t *trie) place(h uint64) uint64 { return h >> 17 & uint64(len(t.table)-1) }

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
	return smallFirst(first, j-i)
}

// smallFirst is the bytes of a word of size bytes among the eight that it begins
// with, its ASCII letters small: a small letter for a capital; digits have that bit.
func smallFirst(eight uint64, size int) uint64 {
	return (eight | 0x20*ones) & (^uint64(0) >> (uint(64-8*min(size, 8)) & 63))
}

// follow returns the node that the word text[i:j] leads to from node, 0 for none.
func (t *trie) follow(node int32, text []byte, i, j int) int32 {
	first := firstEight(text, i, j)
	if t.wide && (first&high != 0 || j-i > 8 && !ascii(text[i+8:j])) {
		return t.followWide(node, text[i:j])
	}
	h := hashOf(node, first, j-i)
	if !t.filter.has(h) {
		return 0
	}
	return t.lookUp(node, first, h, text, i, j)
}

// lookUp is follow by a word of ASCII that has hash h and begins with first.
func (t *trie) lookUp(node int32, first, h uint64, text []byte, i, j int) int32 {
next:
	for k := t.place(h); t.table[k].size != 0; k = (k + 1) & uint64(len(t.table)-1) {
		s := &t.table[k]
		if s.first != first || s.from != node || int(s.size) != j-i {
			continue
		}
		if j-i > 8 {
			for n, c := range t.rests[s.rest:][:j-i-8] {
				if text[i+8+n]|0x20 != c {
					continue next
				}
			}
		}
		return s.to
	}
	return 0
}

// begin returns the node that the word text[i:j] leads to from the root, 0 for
// none.
func (t *trie) begin(text []byte, i, j int) int32 {
	if i+8 > len(text) {
		return t.follow(0, text, i, j)
	}
	first := smallFirst(binary.LittleEndian.Uint64(text[i:]), j-i)
	if t.wide && (first&high != 0 || j-i > 8) {
		return t.follow(0, text, i, j)
	}
	h := hashOf(0, first, j-i)
	if !t.filter.has(h) {
		return 0
	}
	return t.lookUp(0, first, h, text, i, j)
}

// followWide is follow by a word that has bytes beyond ASCII.
func (t *trie) followWide(node int32, word []byte) int32 {
	var room [2 * patterns.MaxKeyword]byte
	if len(word) > len(room) {
		return 0
	}
	return t.edges[edge{node, string(appendLower(room[:0], word))}]
}

// find calls hit for each keyword and term that begins in text[from:to], in the
// order of their beginnings and then of their ends. It looks past to for the end.
func (t *trie) find(text []byte, from, to int, hit func(start, end int, node int32)) {
	var words, first, second, wide marks
	for ; from < to; from += chunkBytes {
		block := text[from:min(to, from+chunkBytes)]
		tokenMarker.mark(&words, block)
		oddMarker.mark(&wide, block)
		t.first.mark(&first, block)
		t.second.mark(&second, block)
		if k := len(block); k%64 > 0 { // of the byte behind the last one nothing is known here, nor behind the last of 64
			second[k/64] |= 1 << (k % 64)
		}
		var carry, cut uint64
		if from > 0 && wordByte(text[from-1]) { // inside a word
			carry, cut = 1, uint64(bit(text[from-1] >= utf8.RuneSelf))
		}
		for w, in := range words[:(len(block)+63)/64] {
			starts := in &^ (in<<1 | carry)
			if some := wide[w] | wide[w]<<1 | cut; some != 0 {
				starts = t.starts(text, from+64*w, in, some, starts)
			}
			carry, cut = in>>63, wide[w]>>63
			for m := starts & first[w] & (second[w]>>1 | 1<<63); m != 0; m &= m - 1 {
				bit := bits.TrailingZeros64(m)
				i := from + 64*w + bit
				n := bits.TrailingZeros64(^(in >> bit))
				j := i + n
				if wide[w] != 0 {
					j = wordEnd(text, i)
				} else if bit+n == 64 || j == to { // it may go on
					j = spacedEnd(text, j)
				}
				if node := t.begin(text, i, j); node != 0 {
					t.walk(text, i, j, node, hit)
				}
			}
		}
	}
}

// walk goes on from node, which the word text[start:end] leads to.
func (t *trie) walk(text []byte, start, end int, node int32, hit func(start, end int, node int32)) {
	for node != 0 {
		kind := t.nodes[node]
		if kind&(nodeKeyword|nodeTerm) != 0 {
			hit(start, end, node)
		}
		if kind&nodeInner == 0 {
			return
		}
		k := end
		for k < len(text) && k-end < maxSeparators && separator(text[k]) {
			k++
		}
		if k == len(text) || !kind.goesOn(text[k]) {
			return
		}
		if t.symbols[text[k]] {
			node, end = t.edges[edge{node, string(text[k : k+1])}], k+1
			continue
		}
		if end = wordEnd(text, k); end == k {
			return
		}
		node = t.follow(node, text, k, end)
	}
}

// starts returns starts, the beginnings of words in the 64 bytes text[from:], of
// which those of in belong to words, with those that stand beside a character that
// is a word of its own. They are among some.
func (t *trie) starts(text []byte, from int, in, some, starts uint64) uint64 {
	for m := in & some; m != 0; m &= m - 1 {
		bit := bits.TrailingZeros64(m)
		if wordStart(text, from+bit) {
			starts |= 1 << bit
		}
		if !t.lone && isLone(text, from+bit) { // no word that is looked for
			starts &^= 1 << bit
		}
	}
	return starts
}

// wordStart reports whether a word of a keyword may begin at text[i].
func wordStart(text []byte, i int) bool {
	switch {
	case !wordByte(text[i]) || text[i] >= utf8.RuneSelf && !utf8.RuneStart(text[i]):
		return false
	case i == 0 || !wordByte(text[i-1]) || isLone(text, i):
		return true
	}
	_, size := utf8.DecodeLastRune(text[max(0, i-utf8.UTFMax):i])
	return isLone(text, i-size)
}

// wordEnd returns where the word that begins at text[i] ends; i where there is none.
func wordEnd(text []byte, i int) int {
	if isLone(text, i) {
		_, size := utf8.DecodeRune(text[i:])
		return i + size
	}
	return spacedEnd(text, i)
}

// spacedEnd returns where the letters and digits end that stand together from
// text[i] on.
func spacedEnd(text []byte, i int) int {
	for i < len(text) && wordByte(text[i]) && !isLone(text, i) {
		i++
	}
	return i
}

// isLone reports whether the character that begins at text[i] is a word of its own:
// a letter of a script that puts no space between words, or a sign beyond ASCII.
func isLone(text []byte, i int) bool {
	if i >= len(text) || text[i] < 0xc0 { // ASCII, or within a character
		return false
	}
	r, _ := utf8.DecodeRune(text[i:])
	return unspaced(r) || !unicode.IsLetter(r) && !unicode.IsMark(r)
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
		j := wordEnd([]byte(w), i)
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
