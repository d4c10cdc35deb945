package check

// Luhn reports whether the digits of s, two or more, end in their Luhn check
// digit (mod 10, every second digit from the right doubled).
//
// Source: ISO/IEC 7812-1, annex B.
func Luhn(s string) bool {
	d, ok := anyDigits(s)
	return ok && luhnSum(d)%10 == 0
}

// Mod10 reports whether s ends in the check digit that HL7 table 0061 calls
// M10, which is Luhn's.
//
// Source: HL7 v2.5.1, 2.A.14 (CX), table 0061.
func Mod10(s string) bool { return Luhn(s) }

// Mod11 reports whether the digits of s, two or more, end in the check digit
// that HL7 table 0061 calls M11: the others weighed 2 to 7, repeating, from
// the right; 11 less the sum modulo 11, where 10 and 11 count as 0.
//
// Source: HL7 v2.5.1, 2.A.14 (CX), which resets a remainder of 0 to 1 and takes
// the difference modulo 10; table 0061.
func Mod11(s string) bool {
	d, ok := anyDigits(s)
	if !ok {
		return false
	}
	sum, w := 0, 2
	for i := len(d) - 2; i >= 0; i-- {
		sum += int(d[i]-'0') * w
		if w++; w > 7 {
			w = 2
		}
	}
	c := (11 - max(sum%11, 1)) % 10
	return c == int(d[len(d)-1]-'0')
}

// ISO7064 reports whether the digits of s, two or more, end in their check
// digit by ISO 7064 MOD 11,10, the hybrid system with one digit, which HL7
// table 0061 calls ISO.
//
// Source: ISO/IEC 7064:2003, 9; HL7 v2.5.1, table 0061.
func ISO7064(s string) bool {
	d, ok := anyDigits(s)
	if !ok {
		return false
	}
	p := 10
	for i := range len(d) - 1 {
		p = (p + int(d[i]-'0')) % 10
		if p == 0 {
			p = 10
		}
		p = p * 2 % 11
	}
	return (p+int(d[len(d)-1]-'0'))%10 == 1
}

// anyDigits is the digits of s, at least two, whatever stands between them.
func anyDigits(s string) (string, bool) {
	if len(s) > maxValue {
		return "", false
	}
	var buf [maxValue]byte
	k := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			buf[k] = s[i]
			k++
		}
	}
	return string(buf[:k]), k >= 2
}

// luhnSum is the weighed sum of d, which holds digits only.
func luhnSum(d string) int {
	sum := 0
	for i := range len(d) {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum
}
