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

// markPairs sets a bit for each place of text[from:to] where a match of g may
// begin.
func (g *group) markPairs(m *marks, text []byte, from, to int) {
	if g.words {
		g.markWords(m, text, from, to)
		return
	}
	place := afterOther
	if from > 0 {
		place = int(wordTable[text[from-1]])
	}
	for i := from; i < to; i++ {
		if g.mayBegin(text, i, place) {
			m[(i-from)>>6] |= 1 << ((i - from) & 63)
		}
		place = int(wordTable[text[i]])
	}
}

// markWords is markPairs where matches begin with the first byte of a word.
func (g *group) markWords(m *marks, text []byte, from, to int) {
	var carry uint64
	if from > 0 && isWord(text[from-1]) {
		carry = 1
	}
	for w := 0; from+64*w < to; w++ {
		var words uint64
		if block := text[from+64*w : to]; len(block) >= 64 {
			b := (*[64]byte)(block)
			words = transpose(wordsOf(b[0:])>>7 | wordsOf(b[8:])>>6 | wordsOf(b[16:])>>5 | wordsOf(b[24:])>>4 |
				wordsOf(b[32:])>>3 | wordsOf(b[40:])>>2 | wordsOf(b[48:])>>1 | wordsOf(b[56:]))
		} else {
			for i, c := range block {
				if isWord(c) {
					words |= 1 << i
				}
			}
		}
		starts := words &^ (words<<1 | carry)
		carry = words >> 63
		for ; starts != 0; starts &= starts - 1 {
			bit := bits.TrailingZeros64(starts)
			if g.mayBegin(text, from+64*w+bit, afterOther) {
				m[w] |= 1 << bit
			}
		}
	}
}

// wordsOf sets the high bit of each byte of b[:8] that isWord: digits as
// digitsOf has them, letters alike with small ones for capitals, and underscores.
func wordsOf(b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b)
	low := x &^ high
	small := low | 0x20*ones
	digit := (low + 0x50*ones) &^ (low + 0x46*ones)
	letter := (small + 0x1f*ones) &^ (small + 0x05*ones)
	underscore := ^((low ^ 0x5f*ones) + 0x7f*ones)
	return (digit | letter | underscore) &^ x & high
}
