package formats

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// Bounds of the words in bytes of no known form.
const (
	leastLoose = 5       // signs of a stretch: chance writes few of them
	mostLoose  = 1 << 20 // bytes of one part; that the rest was not read is told anyway
)

// looseWords writes the stretches of words that stand in bytes nobody reads, a
// line each: in ASCII and UTF-8, then in UTF-16 of the scripts of Europe. It is
// less than a program of that format shows, so the gap stays. all says that there
// was room for each of them.
func (j *job) looseWords(b []byte) (all bool) {
	left := mostLoose
	all = true
	put := func(s []byte, signs, clean int) {
		if signs < leastLoose || clean*8 < signs*7 {
			return
		}
		if all = all && len(s) < left; len(s) < left && j.out.err == nil {
			left -= len(s) + 1
			j.out.write(s)
			j.out.writeString("\n")
		}
	}
	looseUTF8(b, put)
	looseUTF16(b, put)
	return all
}

// looseUTF8 hands on each stretch of printable characters with how many they are,
// and how many of them are such as words and numbers have.
func looseUTF8(b []byte, put func(s []byte, signs, clean int)) {
	start, signs, clean := 0, 0, 0
	for i := 0; i < len(b); {
		r, n := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(b[i:])
		}
		if r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) {
			signs++
			if ofWords(r) {
				clean++
			}
			i += n
			continue
		}
		put(b[start:i], signs, clean)
		i += n
		start, signs, clean = i, 0, 0
	}
	put(b[start:], signs, clean)
}

// looseUTF16 does so for UTF-16 in little endian, as Windows writes it, at even
// and odd offsets.
func looseUTF16(b []byte, put func(s []byte, signs, clean int)) {
	var s []byte
	signs, clean := 0, 0
	for i := 0; i+1 < len(b); {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		if r == '\t' || r >= ' ' && r < 0x600 && unicode.IsPrint(r) {
			s = utf8.AppendRune(s, r)
			signs++
			if ofWords(r) {
				clean++
			}
			i += 2
			continue
		}
		put(s, signs, clean)
		i++ // the next unit may begin anywhere
		s, signs, clean = s[:0], 0, 0
	}
	put(s, signs, clean)
}

// ofWords reports whether words and numbers are written with r.
func ofWords(r rune) bool {
	switch r {
	case ' ', '-', '.', ',', '/', ':', '\'', '@', '(', ')':
		return true
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}
