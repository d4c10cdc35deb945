package scanner

import (
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/patterns"
)

// beside says what stands beside text[s:e], as far as b asks: what makes a longer
// word or number of it, or that it stands alone.
func beside(b patterns.Boundary, text []byte, s, e int) string {
	if b == patterns.BoundaryNone {
		return "none is asked for"
	}
	var bad []string
	if wordBefore(text, s) {
		bad = append(bad, kindOf(text[s-1])+" right before it")
	}
	if wordAfter(text, e) {
		bad = append(bad, kindOf(text[e])+" right after it")
	}
	if b == patterns.BoundaryNumber || b == patterns.BoundaryAlone {
		if numberBefore(text, s) {
			bad = append(bad, numberLike(text[s-1])+" before it")
		}
		if numberAfter(text, e) {
			bad = append(bad, numberLike(text[e])+" after it")
		}
	}
	if b == patterns.BoundaryAlone {
		if figureBefore(text, s) {
			bad = append(bad, "another figure of the same row before it")
		}
		if figureAfter(text, e) {
			bad = append(bad, "another figure of the same row after it")
		}
	}
	if len(bad) > 0 {
		return strings.Join(bad, ", ")
	}
	left, right := "the text's beginning", "the text's end"
	if s > 0 {
		left = kindOf(text[s-1])
	}
	if e < len(text) {
		right = kindOf(text[e])
	}
	return "stands alone: " + left + " before it, " + right + " after it"
}

// kindOf names a byte without telling a letter or digit.
func kindOf(c byte) string {
	switch {
	case isDigit(c):
		return "a digit"
	case c == '_':
		return "an underscore"
	case isWord(c):
		return "a letter"
	case c >= utf8.RuneSelf:
		return "a character beyond ASCII"
	case c == ' ':
		return "a blank"
	case c == '\t':
		return "a tab"
	case c == '\n' || c == '\r':
		return "a line's end"
	case c < ' ' || c == 0x7f:
		return "a control character"
	}
	return "`" + string(rune(c)) + "`"
}

// numberLike says what c makes of a number beside it.
func numberLike(c byte) string {
	switch c {
	case '.':
		return "a dot and more of a number"
	case '-':
		return "a hyphen and more of a number"
	case '/', '\\':
		return "a path"
	case ' ':
		return "`$`"
	case '@':
		return "`@`, as in an address,"
	}
	if c >= utf8.RuneSelf {
		return "a currency sign"
	}
	return "`" + string(rune(c)) + "`"
}
