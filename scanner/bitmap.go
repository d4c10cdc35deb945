package scanner

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// chunkBytes is how much text is marked at a time.
const chunkBytes = 4096

// marks is, for each byte of a chunk, whether something is to be looked at.
type marks [chunkBytes / 64]uint64

const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// marker marks the bytes of a set in a text: 64 at a time where the processor
// can, else as portable does.
type marker struct {
	set     byteSet
	kind    markKind
	list    []byte   // of a set that is a few bytes
	nibbles [32]byte // by the low four bits of a byte: the high ones, as bits, with which it is in the set; then by the high four: their bit
	wide    uint64   // all ones: the bytes beyond ASCII are in the set, too
}

// markKind says how a set is marked without vectors.
type markKind uint8

const (
	markFew markKind = iota
	markDigit
	markWord
	markToken
	markOdd
	markOther
)

// newMarker makes a marker of the bytes that has holds for, of those beyond ASCII
// all or none.
func newMarker(kind markKind, has func(byte) bool) *marker {
	k := &marker{kind: kind}
	for c := range 256 {
		if has(byte(c)) {
			k.set.put(byte(c))
		}
	}
	for h := range 8 {
		k.nibbles[16+h] = 1 << h
	}
	for c := range 128 {
		if k.set.has(byte(c)) {
			k.nibbles[c&15] |= 1 << (c >> 4)
		}
	}
	if k.set[2] != 0 {
		k.wide = ^uint64(0)
	}
	return k
}

// mark sets a bit for each byte of text, which is at most a chunk, that is in
// the set. Of the words of m that text does not reach it says nothing.
func (k *marker) mark(m *marks, text []byte) {
	if !vectors {
		k.portable(m, text)
		return
	}
	words := len(text) / 64
	if words > 0 {
		markAVX2(&m[0], &text[0], words, &k.nibbles, k.wide)
	}
	if rest := text[64*words:]; len(rest) > 0 {
		var last [64]byte
		copy(last[:], rest)
		markAVX2(&m[words], &last[0], 1, &k.nibbles, k.wide)
		m[words] &= 1<<len(rest) - 1
	}
}

// portable is mark without vectors.
func (k *marker) portable(m *marks, text []byte) {
	switch k.kind {
	case markDigit:
		markDigits(m, text)
	case markWord:
		markBlocks(m, text, wordsOf, isWord)
	case markToken:
		markBlocks(m, text, tokensOf, wordByte)
	case markOdd:
		markBlocks(m, text, oddOf, odd)
	case markOther:
		clear(m[:(len(text)+63)/64])
		for i, c := range text {
			if k.set.has(c) {
				m[i>>6] |= 1 << (i & 63)
			}
		}
	case markFew:
		clear(m[:(len(text)+63)/64])
		for _, c := range k.list {
			markByte(m, text, c)
		}
	}
}

// Sets that are marked whatever the rules.
var (
	digitMarker = newMarker(markDigit, isDigit)
	wordMarker  = newMarker(markWord, isWord)
	tokenMarker = newMarker(markToken, wordByte)
	oddMarker   = newMarker(markOdd, odd)
	splitMarker = newMarker(markOther, func(c byte) bool { return odd(c) || splits(c) })
)

// markerOf makes a marker of a few bytes of ASCII.
func markerOf(list []byte) *marker {
	k := newMarker(markFew, func(c byte) bool { return bytes.IndexByte(list, c) >= 0 })
	k.list = list
	return k
}

// markByte sets a bit for each c of text.
func markByte(m *marks, text []byte, c byte) {
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], c)
		if i < 0 {
			return
		}
		at += i
		m[at>>6] |= 1 << (at & 63)
	}
}

// markDigits sets a bit for each digit of text, eight bytes at a time: adding
// 0x50 carries into the high bit of a byte from '0' on, 0x46 of one from ':' on.
func markDigits(m *marks, text []byte) {
	w := 0
	for ; len(text) >= 64; text = text[64:] {
		b := (*[64]byte)(text)
		rows := digitsOf(b[0:])>>7 | digitsOf(b[8:])>>6 | digitsOf(b[16:])>>5 | digitsOf(b[24:])>>4 |
			digitsOf(b[32:])>>3 | digitsOf(b[40:])>>2 | digitsOf(b[48:])>>1 | digitsOf(b[56:]) // bit j of byte i is for byte i of word j
		m[w] = transpose(rows)
		w++
	}
	if len(text) > 0 {
		m[w] = 0
		for i, c := range text {
			if isDigit(c) {
				m[w] |= 1 << i
			}
		}
	}
}

// markBlocks sets a bit for each byte of text that is one, as eight tells of eight
// bytes together by their high bits.
func markBlocks(m *marks, text []byte, eight func([]byte) uint64, one func(byte) bool) {
	w := 0
	for ; len(text) >= 64; text = text[64:] {
		b := (*[64]byte)(text)
		rows := eight(b[0:])>>7 | eight(b[8:])>>6 | eight(b[16:])>>5 | eight(b[24:])>>4 |
			eight(b[32:])>>3 | eight(b[40:])>>2 | eight(b[48:])>>1 | eight(b[56:]) // as in markDigits
		m[w] = transpose(rows)
		w++
	}
	if len(text) > 0 {
		m[w] = 0
		for i, c := range text {
			if one(c) {
				m[w] |= 1 << i
			}
		}
	}
}

// digitsOf sets the high bit of each byte of b[:8] that is a digit.
func digitsOf(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)
	low := x &^ high
	return (low + 0x50*ones) &^ (low + 0x46*ones) &^ x & high
}

// transpose turns bit 8i+j into bit 8j+i.
//
// Source: Warren, Hacker's Delight, 7-3.
func transpose(x uint64) uint64 {
	if x == 0 {
		return 0
	}
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}

// wordsOf sets the high bit of each byte of b[:8] that isWord: digits as
// digitsOf has them, letters alike with small ones for capitals, and underscores.
func wordsOf(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)
	low := x &^ high
	underscore := ^((low ^ 0x5f*ones) + 0x7f*ones)
	return (alnumOf(low) | underscore) &^ x & high
}

// tokensOf sets the high bit of each byte of b[:8] that is a wordByte.
func tokensOf(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)
	return (alnumOf(x&^high) | x) & high
}

func alnumOf(low uint64) uint64 {
	small := low | 0x20*ones
	return (low+0x50*ones)&^(low+0x46*ones) | (small+0x1f*ones)&^(small+0x05*ones)
}

// oddOf sets the high bit of each byte of b[:8] that is odd: adding carries into
// it, 0x77 of a byte from '\t' on, 0x72 from 0x0e on, 0x64 from 0x1c on, 1 of 0x7f.
func oddOf(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)
	low := x &^ high
	return (x | ^(low + 0x77*ones) | (low+0x72*ones)&^(low+0x64*ones) | (low + ones)) & high
}

// odd reports a byte that is not ASCII or, alone, is not seen.
func odd(c byte) bool { return c >= 0x80 || unseen(c) }

// places returns a bit for each place of text[from:to], at most 64 bytes, where a
// pair of p stands and a match of g may begin: of the bytes those of words are
// marked.
func (g *group) places(p *pairs, text []byte, from, to int, words uint64) (m uint64) {
	before := afterOther
	if from > 0 {
		before = int(wordTable[text[from-1]])
	}
	if g.words { // matches begin with the first byte of a word
		for starts := words &^ (words<<1 | uint64(before)); starts != 0; starts &= starts - 1 {
			bit := bits.TrailingZeros64(starts)
			if p.begins(text, from+bit, afterOther) {
				m |= 1 << bit
			}
		}
		return m
	}
	for i := from; i < to; i++ {
		if p.begins(text, i, before) {
			m |= 1 << (i - from)
		}
		before = int(words >> (i - from) & 1)
	}
	return m
}
