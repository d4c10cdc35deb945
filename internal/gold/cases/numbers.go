package cases

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	digits  = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// of draws n bytes of set.
func (p *page) of(set string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = set[p.IntN(len(set))]
	}
	return string(b)
}

// digits draws n digits, the first of them no zero.
func (p *page) digits(n int) string { return p.of(digits[1:], 1) + p.of(digits, n-1) }

// shape draws what s says: 9 a digit, A a letter; the rest stands for itself.
func (p *page) shape(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch c {
		case '9':
			b[i] = digits[p.IntN(10)]
		case 'A':
			b[i] = letters[p.IntN(26)]
		}
	}
	return string(b)
}

// bumped returns s with its last digit changed.
func (p *page) bumped(s string) string {
	i := strings.LastIndexAny(s, digits)
	d := (int(s[i]-'0') + 1 + p.IntN(9)) % 10
	return s[:i] + strconv.Itoa(d) + s[i+1:]
}

// grouped returns s in groups of the sizes given, sep between them.
func grouped(s, sep string, sizes ...int) string {
	var parts []string
	for _, n := range sizes {
		if n >= len(s) {
			break
		}
		parts, s = append(parts, s[:n]), s[n:]
	}
	return strings.Join(append(parts, s), sep)
}

// luhn returns the digit that completes body.
//
// Source: ISO/IEC 7812-1 annex B.
func luhn(body string) string {
	sum, double := 0, true
	for i := len(body) - 1; i >= 0; i-- {
		d := int(body[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return strconv.Itoa((10 - sum%10) % 10)
}

// weighed returns the sum of s's digits times weights, repeated.
func weighed(s string, weights ...int) int {
	sum := 0
	for i := range len(s) {
		sum += int(s[i]-'0') * weights[i%len(weights)]
	}
	return sum
}

// npi draws a National Provider Identifier.
//
// Source: 45 CFR 162.406(a): ten digits, 1 or 2 first, the last the check
// digit of 80840 and the nine before it.
func npi(p *page) string {
	nine := p.of("12", 1) + p.of(digits, 8)
	return nine + luhn("80840"+nine)
}

// dea draws a registration number of the Drug Enforcement Administration.
//
// Source: DEA, registration numbers: seven digits of which the last is that of
// d1+d3+d5 + 2(d2+d4+d6).
func dea(p *page) string {
	six := p.of(digits, 6)
	second := p.of(letters, 1)
	if p.IntN(20) == 0 {
		second = "9"
	}
	return p.of("ABCDEFGHJKLMPRSTUX", 1) + second + six + strconv.Itoa(weighed(six, 1, 2)%10)
}

// ssn draws three, two and four digits that may have been given out.
//
// Source: SSA, randomization of 2011.
func ssn(p *page) (area, group, serial string) {
	for {
		a := 1 + p.IntN(899)
		area, group, serial = fmt.Sprintf("%03d", a), fmt.Sprintf("%02d", 1+p.IntN(99)), fmt.Sprintf("%04d", 1+p.IntN(9999))
		if whole := area + group + serial; a != 666 && whole != "078051120" && whole != "219099999" && whole != "123456789" {
			return area, group, serial
		}
	}
}

// itin draws the three parts of an individual taxpayer identification number.
//
// Source: IRS, Internal Revenue Manual 3.21.263.
func itin(p *page) (area, group, serial string) {
	for {
		g := 50 + p.IntN(50)
		if g <= 65 || g >= 70 && g <= 88 || g >= 90 && g <= 92 || g >= 94 {
			return fmt.Sprintf("9%02d", p.IntN(99)), strconv.Itoa(g), p.of(digits, 4)
		}
	}
}

// mbi draws a Medicare Beneficiary Identifier.
//
// Source: CMS, "Understanding the Medicare Beneficiary Identifier format".
func mbi(p *page) string {
	const some = "ACDEFGHJKMNPQRTUVWXY"
	var b strings.Builder
	for _, c := range "CANDANDAADD" {
		switch c {
		case 'C':
			b.WriteString(p.of(digits[1:], 1))
		case 'A':
			b.WriteString(p.of(some, 1))
		case 'N':
			b.WriteString(p.of(digits+some, 1))
		default:
			b.WriteString(p.of(digits, 1))
		}
	}
	return b.String()
}

// vin draws a vehicle identification number of a maker whose numbers carry
// the check digit.
//
// Source: 49 CFR 565.15.
func vin(p *page) string {
	const some = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
	makers := []string{"1HG", "1FA", "1G1", "1C4", "2HG", "2T1", "3VW", "3FA", "4T1", "5YJ", "5NP", "JHM", "JTD", "KMH", "WBA"}
	v := []byte(p.one(makers) + p.of(some, 5) + "0" + p.of("ABCDEFGHJKLMNPRSTVWXY123456789", 1) + p.of(some[:23], 1) + p.of(digits, 6))
	v[8] = vinCheck(v)
	return string(v)
}

func vinCheck(v []byte) byte {
	sum := 0
	for i, w := range []int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2} {
		// The table of 565.15(c)(4)(i): A-H 1-8, J-N 1-5, P 7, R 9, S-Z 2-9.
		if v[i] <= '9' {
			sum += w * int(v[i]-'0')
		} else {
			sum += w * int("12345678-12345-7-923456789"[v[i]-'A']-'0')
		}
	}
	return "0123456789X"[sum%11]
}

// routing draws a routing transit number.
//
// Source: ABA routing number policy: 3 7 1 over nine digits is a multiple of
// ten; the first two are of a Federal Reserve district.
func routing(p *page) string {
	first := 1 + p.IntN(12)
	if p.IntN(3) == 0 {
		first += 20
	}
	eight := fmt.Sprintf("%02d", first) + p.of(digits, 6)
	return eight + strconv.Itoa((10-weighed(eight, 3, 7, 1)%10)%10)
}

// card draws the number of a payment card, and how its issuer groups it.
//
// Source: ISO/IEC 7812-1 and the issuers' prefixes.
func card(p *page) (number string, groups []int) {
	fours := []int{4, 4, 4, 4}
	prefix, size := "", 16
	groups = fours
	switch p.IntN(8) {
	case 0, 1, 2:
		prefix = "4"
	case 3, 4:
		prefix = strconv.Itoa(51 + p.IntN(5))
	case 5:
		prefix, size, groups = p.one([]string{"34", "37"}), 15, []int{4, 6, 5}
	case 6:
		prefix = p.one([]string{"6011", "65"})
	default:
		prefix = strconv.Itoa(2221 + p.IntN(500))
	}
	body := prefix + p.of(digits, size-1-len(prefix))
	return body + luhn(body), groups
}

// iban draws an international bank account number without spaces.
//
// Source: ISO 13616-1 and SWIFT's register: the country's form, and check
// digits by ISO 7064 MOD 97-10.
func iban(p *page) string {
	forms := []string{
		"DE999999999999999999", "FR99999999999A99999999999", "GBAAAA99999999999999", "NLAAAA9999999999", "ES99999999999999999999",
		"ITA9999999999999999999999", "BE999999999999", "CH99999999999999999", "AT9999999999999999", "PL999999999999999999999999",
		"IEAAAA99999999999999", "SE99999999999999999999", "NO99999999999", "DK99999999999999", "FI99999999999999", "PT999999999999999999999",
	}
	f := p.one(forms)
	country, account := f[:2], p.shape(f[2:])
	return country + fmt.Sprintf("%02d", 98-mod97(account+country+"00")) + account
}

// mod97 returns the remainder of s, letters counting from A = 10.
func mod97(s string) int {
	r := 0
	for i := range len(s) {
		if c := s[i]; c >= 'A' {
			r = (r*100 + int(c-'A') + 10) % 97
		} else {
			r = (r*10 + int(c-'0')) % 97
		}
	}
	return r
}

// mrzDigit returns the check digit of a field of a machine-readable zone.
//
// Source: ICAO Doc 9303-3, 4.9.
func mrzDigit(field string) string {
	sum := 0
	for i := range len(field) {
		v := 0
		switch c := field[i]; {
		case c >= 'A' && c <= 'Z':
			v = int(c-'A') + 10
		case c >= '0' && c <= '9':
			v = int(c - '0')
		}
		sum += v * []int{7, 3, 1}[i%3]
	}
	return strconv.Itoa(sum % 10)
}
