// Package check tells well-formed identifiers from chance digits: check digits
// and plausibility, one small function an identifier. A function here says
// that a value may be one, never that it was issued, and it ignores the
// separators people write (space, hyphen, dot) but no other byte. All are pure.
package check

import "strings"

// maxValue bounds what any function here looks at, in bytes: longer is no
// identifier.
const maxValue = 64

// digits returns the ASCII digits of s when s holds nothing but digits and
// the separators space, hyphen and dot, and has exactly n digits. ok is false
// otherwise. It is so short that it becomes a part of its caller, where the
// digits need no memory of their own.
func digits(s string, n int) (d string, ok bool) {
	var buf [maxValue]byte
	k := gather(s, &buf)
	return string(buf[:k]), k == n
}

// gather puts the digits of s into buf and returns how many there are; 0 where
// s holds other bytes than digits and separators.
func gather(s string, buf *[maxValue]byte) (k int) {
	if len(s) > maxValue {
		return 0
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			buf[k] = c
			k++
		case c == ' ' || c == '-' || c == '.':
		default:
			return 0
		}
	}
	return k
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// SSN reports whether s can be a U.S. Social Security number: nine digits,
// with or without separators, area not 000, 666 or 900 to 999, group not 00,
// serial not 0000. There is no check digit, and since 2011-06-25 no area or
// group is out of use. It refuses 123-45-6789, which stands as a placeholder
// in documents far more often than for the one person it may name. What parts the
// groups may be any ASCII but a letter: what is a separator, the pattern says.
//
// Source: SSA, "Social Security Number Randomization" (2011) and POMS RM
// 10201.035 (invalid SSNs).
func SSN(s string) bool {
	if len(s) > maxValue {
		return false
	}
	n, k := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			n = 10*n + int(c-'0')
			k++
		case isLetter(c) || c >= 0x80:
			return false
		}
	}
	if k != 9 || n == 123456789 {
		return false
	}
	area, group, serial := n/1_000_000, n/10_000%100, n%10_000
	return area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

// MisreadSSN reports whether s is an SSN of which one to three digits are written as
// the letters that look like them, as the reading of a picture and hasty typing have
// it: three, two and four figures with one sign between.
func MisreadSSN(s string) bool {
	if len(s) != len("000-00-0000") {
		return false
	}
	var read [len("000-00-0000")]byte
	letters := 0
	for i := range len(s) {
		c := s[i]
		if i != 3 && i != 6 && isLetter(c) {
			if c = looksLike(c); c == 0 {
				return false
			}
			letters++
		}
		read[i] = c
	}
	return letters >= 1 && letters <= 3 && SSN(string(read[:]))
}

// looksLike returns the digit that a letter is taken for, 0 for none.
func looksLike(letter byte) byte {
	switch letter {
	case 'O', 'o':
		return '0'
	case 'l', 'I':
		return '1'
	case 'Z':
		return '2'
	case 'S':
		return '5'
	case 'B':
		return '8'
	}
	return 0
}

// SSNShort reports whether s is what a program that keeps numbers makes of an
// SSN: seven or eight digits that are one with zeros in front.
func SSNShort(s string) bool {
	return (len(s) == 7 || len(s) == 8) && allDigits(s) && s[0] != '0' && SSN("00"[:9-len(s)]+s)
}

// HICN reports whether s is an old Medicare claim number in its common form:
// an SSN with a suffix of one letter, or a letter and a digit or letter.
//
// Source: CMS Medicare General Information Manual, chapter 2, section 50.2.
func HICN(s string) bool {
	i := len(s)
	if i > 1 && (isLetter(s[i-1]) || isDigit(s[i-1])) && isLetter(s[i-2]) {
		i--
	}
	if i == 0 || !isLetter(s[i-1]) {
		return false
	}
	return SSN(strings.TrimRight(s[:i-1], "- "))
}

// ITIN reports whether s can be an Individual Taxpayer Identification Number:
// nine digits, the first 9, the fourth and fifth 50 to 65, 70 to 88, 90 to 92
// or 94 to 99. (Group 93 is an adoption number, ATIN.)
//
// Source: IRS Publication 1915; IRM 3.21.263.
func ITIN(s string) bool {
	d, ok := digits(s, 9)
	if !ok || d[0] != '9' {
		return false
	}
	g := int(d[3]-'0')*10 + int(d[4]-'0')
	return g >= 50 && g <= 65 || g >= 70 && g <= 88 || g >= 90 && g <= 92 || g >= 94
}

// MBI reports whether s is a Medicare Beneficiary Identifier: eleven
// characters by position digit 1-9, letter, letter or digit, digit, letter,
// letter or digit, digit, letter, letter, digit, digit; letters without S, L,
// O, I, B and Z, in either case; after the fourth and the seventh may stand what
// is no letter, or a blank after each. There is no check digit.
//
// Source: CMS, "Understanding the Medicare Beneficiary Identifier Format".
func MBI(s string) bool {
	k := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case k < len(mbiPlaces) && mbiKinds[c]&mbiPlaces[k] != 0:
			k++
		case (k == 4 || k == 7) && !isDigit(c) && !isLetter(c) && c < 0x80:
		case c == ' ' && i%2 == 1 && len(s) == 2*len(mbiPlaces)-1: // one by one
		default:
			return false
		}
	}
	return k == len(mbiPlaces)
}

// Kinds of the characters of an MBI.
const (
	mbiZero = 1 << iota
	mbiDigit
	mbiLetter
)

// mbiPlaces is the kinds that may stand at each place of an MBI.
var mbiPlaces = [11]uint8{mbiDigit, mbiLetter, mbiZero | mbiDigit | mbiLetter, mbiZero | mbiDigit,
	mbiLetter, mbiZero | mbiDigit | mbiLetter, mbiZero | mbiDigit, mbiLetter, mbiLetter, mbiZero | mbiDigit, mbiZero | mbiDigit}

// mbiKinds is the kind of each byte; 0 for those that no MBI has.
var mbiKinds = func() (t [256]uint8) {
	for c := byte('1'); c <= '9'; c++ {
		t[c] = mbiDigit
	}
	t['0'] = mbiZero
	for _, c := range "ACDEFGHJKMNPQRTUVWXY" {
		t[c], t[c|0x20] = mbiLetter, mbiLetter
	}
	return t
}()

// NPI reports whether s is a well-formed National Provider Identifier: ten
// digits, the first 1 or 2, the last the Luhn check digit of "80840" followed
// by the first nine.
//
// Source: 45 CFR 162.406(a); ISO/IEC 7812-1 (check digit).
func NPI(s string) bool {
	d, ok := digits(s, 10)
	if !ok || d[0] != '1' && d[0] != '2' {
		return false
	}
	return (luhnSum(d)+24)%10 == 0 // 24 is what 80840 adds
}

// DEA reports whether s is a well-formed DEA registration number: a
// registrant letter, a letter or 9, and seven digits of which the last is the
// last digit of (d1+d3+d5) + 2(d2+d4+d6). One chance run in ten passes.
//
// Source: 21 CFR 1301.13; DEA Diversion Control Division, "DEA number
// verification".
func DEA(s string) bool {
	if len(s) == 10 && (s[2] == '-' || s[2] == ' ') {
		s = s[:2] + s[3:]
	}
	if len(s) != 9 || !allDigits(s[2:]) {
		return false
	}
	if !isLetter(s[0]) || !strings.ContainsRune("ABCDEFGHJKLMPRSTUX", rune(s[0]&^0x20)) || !isLetter(s[1]) && s[1] != '9' {
		return false
	}
	v := func(i int) int { return int(s[1+i] - '0') }
	return (v(1)+v(3)+v(5)+2*(v(2)+v(4)+v(6)))%10 == v(7)
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

// alphanumerics counts the ASCII letters and digits of s, and of them the
// digits.
func alphanumerics(s string) (n, digits int) {
	for i := range len(s) {
		switch {
		case isDigit(s[i]):
			n++
			digits++
		case isLetter(s[i]):
			n++
		}
	}
	return n, digits
}

// NANP reports whether s holds a telephone number of the North American
// Numbering Plan: ten digits, after an optional country code 1, area code and
// exchange both beginning with 2 to 9 and the area code not of the form N11.
// Separators and parentheses are ignored, and so is an extension, which begins
// with a letter.
//
// Source: NANPA, "North American Numbering Plan" (NPA-NXX-XXXX, N = 2 to 9).
func NANP(s string) bool {
	if len(s) > maxValue {
		return false
	}
	var d [11]byte
	k := 0
	for i := range len(s) {
		c := s[i]
		if isDigit(c) {
			if k == len(d) {
				return false
			}
			d[k] = c
			k++
		} else if isLetter(c) {
			break
		}
	}
	n := d[:k]
	if k == 11 && n[0] == '1' {
		n = n[1:]
	}
	return len(n) == 10 && n[0] >= '2' && n[3] >= '2' && (n[1] != '1' || n[2] != '1')
}

// Phone reports whether s holds a telephone number of any country: seven to
// fifteen digits before any letter, not all the same, whatever stands between
// them.
//
// Source: ITU-T E.164, 6.2 (at most fifteen digits).
func Phone(s string) bool {
	n, same := 0, true
	var first byte
	for i := range len(s) {
		if isLetter(s[i]) {
			break
		}
		if !isDigit(s[i]) {
			continue
		}
		if n == 0 {
			first = s[i]
		}
		same = same && s[i] == first
		n++
	}
	return n >= 7 && n <= 15 && !same
}

// RecordNumber reports whether s can be a medical record number of a form
// nobody has told us: four to twenty letters and digits, at least four of them
// digits, and neither a year nor a date written with separators. A label of what
// comes next that touches it, "4482913DOB", makes it none: what is before it is one.
//
// Source: none; there is no national form.
func RecordNumber(s string) bool {
	n, d := alphanumerics(s)
	if n > 20 || d < 4 {
		return false
	}
	if len(s) == 4 && (s[:2] == "19" || s[:2] == "20") {
		return false
	}
	for i := range len(s) {
		if s[i] == '-' || s[i] == '/' || s[i] == '.' {
			_, _, _, ok := Date(s)
			return !ok
		}
	}
	return !labelTouches(s)
}

// FieldNumber reports whether s can be the number of a person where the format
// itself says that the field holds one, of whatever form: three to twenty letters
// and digits, one of them a digit other than 0, and not a date written with
// separators.
func FieldNumber(s string) bool {
	n, d := alphanumerics(s)
	if n < 3 || n > 20 || d == 0 || strings.Trim(s, "0-./ ") == "" {
		return false
	}
	if n < len(s) {
		if _, _, _, ok := Date(s); ok {
			return false
		}
	}
	return true
}

// nextLabels begin what people write behind a number; each has three letters or
// more. The pattern that takes the number before one (us-health.toml, "the label of
// what comes next") has the same list.
var nextLabels = [...]string{"dob", "date", "birth", "ssn", "mrn", "sex", "gender", "age", "name", "patient", "phone", "tel", "fax", "address", "acct", "account", "npi", "dos", "admit", "visit", "room"}

// labelTouches reports one of nextLabels right behind the first four digits or more
// of s, in any case.
func labelTouches(s string) bool {
	i := 0
	for i < len(s) && !isDigit(s[i]) {
		i++
	}
	k := i
	for k < len(s) && isDigit(s[k]) {
		k++
	}
	if k-i < 4 || len(s)-k < 3 || !isLetter(s[k]) {
		return false
	}
	for _, w := range nextLabels {
		if len(s)-k >= len(w) && strings.EqualFold(s[k:k+len(w)], w) {
			return true
		}
	}
	return false
}
