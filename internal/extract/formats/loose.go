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

// What a byte is in the search for loose words.
const (
	looseEnd   = iota // no printable character
	loosePrint        // one, or a tab
	looseWord         // one such as words and numbers have
	looseMore         // one of several bytes, perhaps
)

// looseBytes says it of each byte.
var looseBytes = func() (of [256]uint8) {
	for c := range rune(utf8.RuneSelf) {
		switch {
		case ofWords(c):
			of[c] = looseWord
		case c == '\t' || unicode.IsPrint(c):
			of[c] = loosePrint
		}
	}
	for c := utf8.RuneSelf; c < len(of); c++ {
		of[c] = looseMore
	}
	return of
}()

// looseUTF8 hands on each stretch of printable characters with how many they are,
// and how many of them are such as words and numbers have. A bomb is mostly bytes
// that end one: they are passed by themselves.
func looseUTF8(b []byte, put func(s []byte, signs, clean int)) {
	start, signs, clean := 0, 0, 0
	for i := 0; i < len(b); {
		is, n := looseBytes[b[i]], 1
		if is == looseMore {
			var r rune
			r, n = utf8.DecodeRune(b[i:])
			switch {
			case r == utf8.RuneError || !unicode.IsPrint(r):
				is = looseEnd
			case ofWords(r):
				is = looseWord
			}
		}
		if is != looseEnd {
			signs++
			if is == looseWord {
				clean++
			}
			i += n
			continue
		}
		if signs > 0 {
			put(b[start:i], signs, clean)
		}
		for i = zeros(b, i+n); i < len(b) && looseBytes[b[i]] == looseEnd; {
			i++
		}
		start, signs, clean = i, 0, 0
	}
	put(b[start:], signs, clean)
}

// mostUTF16 is behind the last character that looseUTF16 looks for.
const mostUTF16 = 0x600

// looseUTF16 does so for UTF-16 in little endian, as Windows writes it, at even
// and odd offsets.
func looseUTF16(b []byte, put func(s []byte, signs, clean int)) {
	var s []byte
	signs, clean := 0, 0
	for i := 0; i+1 < len(b); {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		if r == '\t' || r >= ' ' && r < mostUTF16 && unicode.IsPrint(r) {
			s = utf8.AppendRune(s, r)
			signs++
			if ofWords(r) {
				clean++
			}
			i += 2
			continue
		}
		if signs > 0 {
			put(s, signs, clean)
			s, signs, clean = s[:0], 0, 0
		}
		i = max(i+1, zeros(b, i)-1) // the next unit may begin anywhere
		for i+1 < len(b) && (b[i+1] >= mostUTF16>>8 || b[i] < ' ' && b[i] != '\t' && b[i+1] == 0) {
			i++
		}
	}
	put(s, signs, clean)
}

// zeros returns where behind i the first byte is that is not 0.
func zeros(b []byte, i int) int {
	for i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:]) == 0 {
		i += 8
	}
	for i < len(b) && b[i] == 0 {
		i++
	}
	return i
}

// ofWords reports whether words and numbers are written with r.
func ofWords(r rune) bool {
	switch r {
	case ' ', '-', '.', ',', '/', ':', '\'', '@', '(', ')':
		return true
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}
