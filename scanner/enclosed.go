package scanner

import "unicode/utf8"

// enclosed are the digits in circles and other frames, each run from the digit first on.
//
// Source: Unicode 15, blocks Enclosed Alphanumerics, Dingbats and Enclosed Alphanumeric Supplement.
var enclosed = [...]struct {
	from, to rune
	first    byte
}{
	{0x2460, 0x2468, '1'},   // in a circle
	{0x2474, 0x247c, '1'},   // in brackets
	{0x2488, 0x2490, '1'},   // with a full stop
	{0x24ea, 0x24ea, '0'},   // in a circle
	{0x24f5, 0x24fd, '1'},   // in two circles
	{0x24ff, 0x24ff, '0'},   // white on a black circle
	{0x2776, 0x277e, '1'},   // white on a black circle
	{0x2780, 0x2788, '1'},   // in a circle, without serifs
	{0x278a, 0x2792, '1'},   // the same, white on black
	{0x1f100, 0x1f100, '0'}, // with a full stop
	{0x1f10b, 0x1f10c, '0'}, // in a circle, without serifs; both are a nought
}

// enclosedDigit returns the digit that r has in a frame, 0 for none.
func enclosedDigit(r rune) byte {
	if r < 0x2460 {
		return 0
	}
	for _, e := range enclosed {
		if r >= e.from && r <= e.to {
			if e.first == '0' {
				return '0'
			}
			return e.first + byte(r-e.from)
		}
	}
	return 0
}

// amidEnclosed reports whether a digit in a frame, between the text so far and b, is
// one of several: alone it numbers a list or a note, and is no part of the number
// beside it. It is not known while b may go on with one; last says that it does not.
func (t *text) amidEnclosed(b []byte, last bool) (amid, known bool) {
	if t.framed > 0 && t.framed == t.end() {
		return true, true
	}
	return enclosedNext(b, last)
}

// enclosedNext reports whether b begins with a digit in a frame, as a reader sees it.
func enclosedNext(b []byte, last bool) (next, known bool) {
	for range latinLook {
		if !utf8.FullRune(b) {
			return false, last
		}
		r, size := utf8.DecodeRune(b)
		if r >= utf8.RuneSelf && fold(r) != drop || r < utf8.RuneSelf && !unseen(byte(r)) {
			return enclosedDigit(r) != 0, true
		}
		b = b[size:]
	}
	return false, true
}
