package check

import (
	"net/netip"
	"strings"
)

// VIN reports whether s is a vehicle identification number with the check
// digit that North America requires: 17 letters and digits without I, O and Q,
// one letter at least, the last four digits, and the ninth the check digit.
//
// Source: 49 CFR 565.15; ISO 3779.
func VIN(s string) bool {
	const values = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ" // the position modulo 10 is the value
	weights := [17]int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}
	if vinLetters(s) < 1 {
		return false
	}
	sum := 0
	for i := range 17 {
		c := s[i]
		if isLetter(c) {
			c &^= 0x20
		}
		sum += strings.IndexByte(values, c) % 10 * weights[i]
	}
	return s[8]&^0x20 == 'X' && sum%11 == 10 || isDigit(s[8]) && sum%11 == int(s[8]-'0')
}

// LooseVIN is VIN without the check digit where the number is of another part of
// the world than North America (whose numbers begin with 1 to 5), and with three
// letters at least, as makers' codes have.
//
// Source: ISO 3780 (regions); 49 CFR 565.15.
func LooseVIN(s string) bool {
	return vinLetters(s) >= 3 && (s[0] < '1' || s[0] > '5' || VIN(s))
}

// vinLetters returns how many letters s has, -1 if it is not shaped as a VIN.
func vinLetters(s string) int {
	if len(s) != 17 || !allDigits(s[13:]) {
		return -1
	}
	n := 0
	for i := range 17 {
		switch {
		case isDigit(s[i]):
		case !isLetter(s[i]) || strings.IndexByte("IOQ", s[i]&^0x20) >= 0:
			return -1
		default:
			n++
		}
	}
	return n
}

// IP reports whether s is an address of the Internet Protocol, version 4 or 6,
// perhaps with a prefix length. The unspecified and the loopback address and
// masks, which are nobody's, are refused.
//
// Source: RFC 4291, 2.2; RFC 4632, 3.1.
func IP(s string) bool {
	if len(s) > maxValue {
		return false
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return false
		}
		a = p.Addr()
	}
	if a.Is4() {
		b := a.As4()
		if b[0] == 0 || b[0] == 255 {
			return false
		}
	}
	return !a.IsUnspecified() && !a.IsLoopback()
}

// MAC reports whether s is the hardware address of a network card: six pairs
// of hexadecimal digits with the same separator throughout, neither all zero
// nor the broadcast address.
//
// Source: IEEE 802-2014, 8.
func MAC(s string) bool {
	if len(s) != 17 || s[2] != ':' && s[2] != '-' {
		return false
	}
	kind, same := 0, true
	for i := range 17 {
		c := s[i]
		if i%3 == 2 {
			if c != s[2] {
				return false
			}
			continue
		}
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
		if i > 0 && c|0x20 != s[0]|0x20 {
			same = false
		}
		kind++
	}
	return kind == 12 && !same
}

// GTIN reports whether the first fourteen digits of s, brackets aside, are a
// Global Trade Item Number with its check digit, as a device's UDI begins.
//
// Source: GS1 General Specifications, 7.9 (check digit); 21 CFR 830.
func GTIN(s string) bool {
	s = strings.TrimPrefix(s, "(01)")
	if len(s) < 14 || !allDigits(s[:14]) {
		return false
	}
	sum := 0
	for i := range 13 {
		v := int(s[i] - '0')
		if i%2 == 0 {
			v *= 3
		}
		sum += v
	}
	return (10-sum%10)%10 == int(s[13]-'0') && s[:14] != "00000000000000"
}

// LOINC reports whether s is a code of that system: one to five digits, a
// hyphen and the Luhn check digit over them.
//
// Source: LOINC Users' Guide, "LOINC codes" (mod 10 check digit).
func LOINC(s string) bool {
	n := len(s)
	if n < 3 || n > 7 || s[n-2] != '-' || !allDigits(s[:n-2]) || !isDigit(s[n-1]) || s[0] == '0' {
		return false
	}
	return luhnSum(s[:n-2]+s[n-1:])%10 == 0
}

// SNOMED reports whether s is a concept of SNOMED CT: six to eighteen digits,
// of which the partition is that of a concept and the last is the Verhoeff
// check digit.
//
// Source: SNOMED CT Release File Specification, 6 (SCTID).
func SNOMED(s string) bool {
	n := len(s)
	if n < 6 || n > 18 || !allDigits(s) || s[0] == '0' {
		return false
	}
	if p := s[n-3 : n-1]; p != "00" && p != "10" {
		return false
	}
	return Verhoeff(s)
}

// Verhoeff reports whether the last digit of s, which is digits only, checks
// the others by the dihedral group D5.
//
// Source: J. Verhoeff, "Error Detecting Decimal Codes" (1969).
func Verhoeff(s string) bool {
	if !allDigits(s) || len(s) < 2 || len(s) > maxValue {
		return false
	}
	permute := [10]int{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
	c := 0
	for i := range len(s) {
		v := int(s[len(s)-1-i] - '0')
		for range i % 8 {
			v = permute[v]
		}
		c = dihedral(c, v)
	}
	return c == 0
}

// dihedral multiplies in D5: 0 to 4 turn, 5 to 9 turn and mirror.
func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b)%5
	case b < 5:
		return 5 + (a-b)%5
	}
	return (a - b + 10) % 5
}

// NDC reports whether s is shaped as a National Drug Code: ten digits as
// 4-4-2, 5-3-2 or 5-4-1, eleven as 5-4-2, twelve as 6-4-2, or the eleven of a
// claim without hyphens. There is no check digit.
//
// Source: 21 CFR 207.33 (10 digits, and 12 from 2033-03-07); 45 CFR 162.1002 (11).
func NDC(s string) bool {
	var lens [3]int
	k := 0
	for i := range len(s) {
		switch {
		case isDigit(s[i]):
			lens[k]++
		case s[i] == '-' && k < 2:
			k++
		default:
			return false
		}
	}
	switch lens {
	case [3]int{4, 4, 2}, [3]int{5, 3, 2}, [3]int{5, 4, 1}, [3]int{5, 4, 2}, [3]int{6, 4, 2}:
		return true
	case [3]int{11}:
		return strings.Count(s, s[:1]) < len(s)
	}
	return false
}

// PlanID reports whether s can be a health plan's number for a member: letters
// and digits, at least three digits beside letters or five alone, at most
// twenty in all, and not a date.
//
// Source: none; plans give out what they like.
func PlanID(s string) bool {
	n, d := alphanumerics(s)
	if n > 20 || d < 3 || d == n && d < 5 {
		return false
	}
	if n < len(s) {
		if _, _, _, ok := Date(s); ok {
			return false
		}
	}
	return true
}

// Password reports whether s can be one that somebody wrote down, rather than
// a word of the sentence, a placeholder or a piece of a program: six to 64
// printable characters, of them one letter and one digit or sign at least, and
// none of what templates and calls are written with.
//
// Source: none; it is a guess about writing.
func Password(s string) bool {
	letters, others := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isLetter(c):
			letters++
		case isDigit(c) || strings.IndexByte("!#@&^~?=+*-_.,:;/|", c) >= 0:
			others++
		case c == '$' && i > 0:
			others++
		default: // brackets, quotation marks, percent, a dollar in front
			return false
		}
	}
	if c := s[max(0, len(s)-1):]; others == 1 && (c == "." || c == "," || c == ";" || c == ":") { // the sentence's own
		return false
	}
	plain := strings.Trim(s, "*.xX-_")
	return len(s) >= 6 && len(s) <= maxValue && letters > 0 && others > strings.Count(s, "_")+strings.Count(s, ".")+strings.Count(s, "-") && len(plain) > 2
}

// WordPassword reports whether s can be a password of letters alone that somebody
// wrote down: eight to 64 of them, and none of the words that stand behind
// "Password:" in forms, manuals and programs.
//
// Source: none; it is a guess about writing.
func WordPassword(s string) bool {
	if len(s) < 8 || len(s) > maxValue {
		return false
	}
	for i := range len(s) {
		if !isLetter(s[i]) {
			return false
		}
	}
	w := strings.ToLower(s)
	for _, part := range []string{"password", "passwd", "passwort", "kennwort", "placeholder", "required", "optional", "protect", "encrypt", "authenticat", "credential", "example"} {
		if strings.Contains(w, part) {
			return false
		}
	}
	switch w {
	case "incorrect", "forgotten", "disabled", "expired", "redacted", "undefined", "unchanged", "accepted", "rejected", "characters", "available", "unavailable", "security", "settings",
		"minimum", "maximum", "sensitive", "different", "temporary", "generated", "separately", "provided", "confirm", "confirmation", "recovery", "management", "manager", "function", "interface",
		"nullable", "username", "whatever", "something", "anything", "following", "described", "attached", "withheld", "sichtbar", "erforderlich", "vergessen":
		return false
	}
	return true
}
