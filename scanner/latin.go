package scanner

import "unicode/utf8"

// Letters of other scripts that look like Latin ones: "МRN", "1ЕG4-ТЕ5-МК73".
// Where one stands in a word with Latin letters or digits a reader takes it for
// what it looks like; among letters of its own script it is left as it is, and
// so are keywords of that script.

// latinLook is how many characters of a word are looked at for one that is Latin.
const latinLook = 16

// latins are the letters, by what they look like.
//
// Source: Unicode, confusables.txt (UTS #39), of Greek and Cyrillic the letters
// whose usual form is the Latin one's.
var latins = func() (t [0x530 - 0x390]byte) {
	for latin, others := range map[byte]string{
		'A': "ΑА", 'B': "ΒВ", 'C': "СϹ", 'E': "ΕЕ", 'H': "ΗН", 'I': "ΙІӀ", 'J': "ЈͿ", 'K': "ΚКⲔ", 'M': "ΜМ", 'N': "Ν", 'O': "ΟО", 'P': "ΡР", 'Q': "Ԛ",
		'S': "Ѕ", 'T': "ΤТ", 'W': "Ԝ", 'X': "ΧХ", 'Y': "ΥҮ", 'Z': "Ζ",
		'a': "а", 'c': "сϲ", 'd': "ԁ", 'e': "е", 'h': "һ", 'i': "і", 'j': "јϳ", 'o': "οо", 'p': "р", 'q': "ԛ", 's': "ѕ", 'w': "ԝ", 'x': "х", 'y': "у",
	} {
		for _, r := range others {
			if i := int(r) - 0x390; i >= 0 && i < len(t) {
				t[i] = latin
			}
		}
	}
	return t
}()

// latinOf returns the Latin letter that r looks like, 0 for none.
func latinOf(r rune) byte {
	if i := int(r) - 0x390; i >= 0 && i < len(latins) {
		return latins[i]
	}
	return 0
}

// amidLatin reports whether a letter that looks like a Latin one, between the text
// so far and b, stands in a word with Latin letters or digits. It is not known
// while b may go on with one; last says that it does not.
func (t *text) amidLatin(b []byte, last bool) (amid, known bool) {
	if k := len(t.norm); k > 0 && isWord(t.norm[k-1]) && t.norm[k-1] != '_' {
		return true, true
	}
	for range latinLook {
		if len(b) == 0 || !utf8.FullRune(b) {
			return false, last || len(b) > 0 && utf8.FullRune(b)
		}
		r, size := rune(b[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b)
			if enclosedDigit(r) != 0 { // of several it is a digit
				return enclosedNext(b[size:], last)
			}
			if to := fold(r); to >= 0 {
				r = rune(to)
			} else if to == keep && latinOf(r) == 0 {
				return false, true
			}
		}
		if r < utf8.RuneSelf && !unseen(byte(r)) {
			return isWord(byte(r)) && r != '_', true
		}
		b = b[size:]
	}
	return true, true // no word of another script has so many in a row
}
