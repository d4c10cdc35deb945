// Package prefix decodes prefix codes (Huffman, Shannon-Fano) that are told by
// the lengths of their words: shorter words come first, words of one length in
// the order of their symbols, each one more than the one before.
//
// It promises an error for lengths that are no code, and -1 for bits that are
// no word of it.
package prefix

import "errors"

// MaxLen is the longest word, in bits.
const MaxLen = 16

// ErrLengths says that lengths leave no room for all words, or pass MaxLen.
var ErrLengths = errors.New("prefix: lengths are no code")

const fast = 10 // bits that are looked up at once

// Code is one prefix code. Its zero value has no words.
type Code struct {
	table  [1 << fast]uint16 // symbol<<4 | length, of words up to fast bits; 0: none
	sorted []uint16          // symbols by length
	first  [MaxLen + 2]int32 // first word of each length
	count  [MaxLen + 2]int32
	from   [MaxLen + 2]int32 // in sorted
}

// Build makes c the code of these lengths in bits, 0 for a symbol that is not
// in use; at most 4,096 symbols. A code whose words leave room is none of its
// business: such bits are no word.
func (c *Code) Build(lengths []byte) error {
	c.count = [MaxLen + 2]int32{}
	for _, n := range lengths {
		if n > MaxLen {
			return ErrLengths
		}
		c.count[n]++
	}
	c.count[0] = 0
	word, at := int32(0), int32(0)
	var next [MaxLen + 2]int32
	for n := 1; n <= MaxLen; n++ {
		word = (word + c.count[n-1]) << 1
		c.first[n], c.from[n], next[n] = word, at, word
		at += c.count[n]
		if word+c.count[n] > 1<<n {
			return ErrLengths
		}
	}
	c.sorted = append(c.sorted[:0], make([]uint16, at)...)
	clear(c.table[:])
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		w := next[n]
		next[n]++
		c.sorted[c.from[n]+w-c.first[n]] = uint16(sym)
		if n <= fast {
			for i := w << (fast - n); i < (w+1)<<(fast-n); i++ {
				c.table[i] = uint16(sym)<<4 | uint16(n)
			}
		}
	}
	return nil
}

// Empty reports a code without words.
func (c *Code) Empty() bool { return len(c.sorted) == 0 }

// Find returns the symbol whose word begins v, 16 bits with the first one
// highest, and how many bits it has; -1 where there is none.
func (c *Code) Find(v uint16) (sym, bits int) {
	if e := c.table[v>>(16-fast)]; e != 0 {
		return int(e >> 4), int(e & 15)
	}
	for n := fast + 1; n <= MaxLen; n++ {
		if i := int32(v>>(16-n)) - c.first[n]; i >= 0 && i < c.count[n] {
			return int(c.sorted[c.from[n]+i]), n
		}
	}
	return -1, 0
}
