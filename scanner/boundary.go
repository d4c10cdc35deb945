package scanner

import (
	"unicode"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/patterns"
)

// pathLook is how far back, in bytes, a path is looked for.
const pathLook = 64

// bounded reports whether text[s:e] stands alone in the sense of b.
func bounded(b patterns.Boundary, text []byte, s, e int) bool {
	switch b {
	case patterns.BoundaryNone:
		return true
	case patterns.BoundaryAlone:
		return bounded(patterns.BoundaryNumber, text, s, e) && !figureBefore(text, s) && !figureAfter(text, e)
	case patterns.BoundaryNumber:
		return !wordBefore(text, s) && !wordAfter(text, e) && !numberBefore(text, s) && !numberAfter(text, e)
	}
	return !wordBefore(text, s) && !wordAfter(text, e)
}

// isWord reports whether c is an ASCII letter, digit or underscore.
func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// wordTable is isWord as a number.
var wordTable = func() (t [256]uint8) {
	for c := range 256 {
		if isWord(byte(c)) {
			t[c] = 1
		}
	}
	return t
}()

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// unspaced reports whether r is of a script that puts no space between words, in
// which a letter beside a number or a keyword says nothing: those of East Asia, and
// Thai, Lao, Tibetan, Burmese and Khmer. Other scripts beyond U+2E80 count with them.
func unspaced(r rune) bool {
	return r >= 0x2e80 || r >= 0xe00 && r < 0x10a0 || r >= 0x1780 && r < 0x1800
}

func wordBefore(text []byte, s int) bool {
	if s == 0 {
		return false
	}
	if c := text[s-1]; c < utf8.RuneSelf {
		return isWord(c)
	}
	r, _ := utf8.DecodeLastRune(text[max(0, s-utf8.UTFMax):s])
	return !unspaced(r) && unicode.IsLetter(r)
}

func wordAfter(text []byte, e int) bool {
	if e == len(text) {
		return false
	}
	if c := text[e]; c < utf8.RuneSelf {
		return isWord(c)
	}
	r, _ := utf8.DecodeRune(text[e:])
	return !unspaced(r) && unicode.IsLetter(r)
}

// numberBefore reports that what stands before s makes a longer number, a
// decimal, an amount or a path of what begins there.
func numberBefore(text []byte, s int) bool {
	if s == 0 {
		return false
	}
	at := func(back int) byte {
		if s < back {
			return '\n'
		}
		return text[s-back]
	}
	switch at(1) {
	case '.': // 0.5, 1.2.3, .5, 1..5, but "No.5", and "SSN....5" with a leader of dots
		if at(2) == '.' {
			return isDigit(at(3))
		}
		return !isWord(at(2)) || isDigit(at(2))
	case '-': // 1-5, a1-5, blk_-5, but "SSN-5" and " -5"
		return at(2) == '_' || digitInWord(text[max(0, s-1-pathLook):s-1])
	case '+', '$', '%':
		return true
	case ' ':
		return at(2) == '$'
	case '/', '\\':
		return pathBefore(text[max(0, s-1-pathLook) : s-1])
	}
	if text[s-1] < utf8.RuneSelf {
		return false
	}
	r, _ := utf8.DecodeLastRune(text[max(0, s-utf8.UTFMax):s])
	return unicode.Is(unicode.Sc, r)
}

// columnGap is how many blanks may part two figures of one row.
const columnGap = 8

// figureBefore reports a number that ends a few blanks before s.
func figureBefore(text []byte, s int) bool {
	i := s
	for i > 0 && s-i < columnGap && isBlank(text[i-1]) {
		i--
	}
	return i > 0 && i < s && isDigit(text[i-1])
}

// figureAfter reports a number, signed or not, that begins a few blanks after e.
func figureAfter(text []byte, e int) bool {
	i := e
	for i < len(text) && i-e < columnGap && isBlank(text[i]) {
		i++
	}
	if i < len(text) && i > e && (text[i] == '-' || text[i] == '+' || text[i] == '.') {
		i++
	}
	return i < len(text) && i > e && isDigit(text[i])
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// digitInWord reports whether the word that text ends in has a digit.
func digitInWord(text []byte) bool {
	for i := len(text) - 1; i >= 0 && isWord(text[i]); i-- {
		if isDigit(text[i]) {
			return true
		}
	}
	return false
}

// pathBefore reports whether text, which a slash follows, ends in what looks
// like a path: one more slash, or a dot, before any space or quotation mark.
func pathBefore(text []byte) bool {
	for i := len(text) - 1; i >= 0; i-- {
		switch c := text[i]; {
		case c == '/' || c == '\\' || c == '.' || c == '~':
			return true
		case c <= ' ' || c == '"' || c == '\'' || c == '|' || c == ',' || c == ';' || c == '(':
			return i == len(text)-1 // "/5" alone
		}
	}
	return len(text) == 0
}

// numberAfter reports that what stands at e makes a longer number, a decimal,
// an amount or an address of what ends there.
func numberAfter(text []byte, e int) bool {
	at := func(i int) byte {
		if e+i >= len(text) {
			return '\n'
		}
		return text[e+i]
	}
	switch at(0) {
	case '.', '-':
		return isDigit(at(1))
	case '%', '@', '\\', '$':
		return true
	}
	if e >= len(text) || text[e] < utf8.RuneSelf {
		return false
	}
	r, _ := utf8.DecodeRune(text[e:])
	return unicode.Is(unicode.Sc, r)
}
