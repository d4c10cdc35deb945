package check

import "strings"

// cardRanges lists the issuers of payment cards: the lowest and the highest
// number their cards begin with, by as many digits, and the lengths in use.
//
// Source: ISO/IEC 7812-1 (numbering); the ranges as the schemes publish them:
// Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay,
// Maestro, UATP.
var cardRanges = []struct {
	lo, hi   string
	min, max int
}{
	{"4", "4", 13, 19}, // 13, 16 and 19 in use; see Card
	{"51", "55", 16, 16}, {"2221", "2720", 16, 16},
	{"34", "34", 15, 15}, {"37", "37", 15, 15},
	{"6011", "6011", 16, 19}, {"644", "649", 16, 19}, {"65", "65", 16, 19},
	{"300", "305", 14, 19}, {"3095", "3095", 14, 19}, {"36", "36", 14, 19}, {"38", "39", 14, 19},
	{"3528", "3589", 16, 19}, {"1800", "1800", 15, 15}, {"2131", "2131", 15, 15},
	{"62", "62", 16, 19}, {"81", "81", 16, 19},
	{"50", "50", 12, 19}, {"56", "58", 12, 19}, {"639", "639", 12, 19}, {"67", "67", 12, 19},
	{"5018", "5018", 12, 19}, {"6304", "6304", 12, 19}, {"6759", "6759", 12, 19},
	{"1220", "1220", 15, 15}, {"1", "1", 15, 15},
}

// Card reports whether s can be the number of a payment card: the prefix and
// the length of an issuer and the Luhn check digit, with or without
// separators. One chance run in fifty passes.
func Card(s string) bool {
	var buf [maxValue]byte
	if len(s) > maxValue {
		return false
	}
	k := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			buf[k] = c
			k++
		case isLetter(c) || c >= 0x80:
			return false
		}
	}
	d := string(buf[:k])
	if k < 12 || k > 19 || luhnSum(d)%10 != 0 || strings.Count(d, d[:1]) == k {
		return false
	}
	return issued(d)
}

// issued reports whether d, 12 to 19 digits, begins like the numbers of an issuer
// who has cards of that length.
func issued(d string) bool {
	k := len(d)
	for _, r := range cardRanges {
		if p := d[:len(r.lo)]; p >= r.lo && p <= r.hi && k >= r.min && k <= r.max {
			return d[0] != '4' || k == 13 || k == 16 || k == 19
		}
	}
	return false
}

// ibanLengths is the registry: the characters of an account number by country.
//
// Source: SWIFT, IBAN Registry, release 99.
const ibanLengths = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 " +
	"FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 " +
	"MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 " +
	"ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"

// IBAN reports whether s is an international bank account number: a country of
// the registry, its exact length, and check digits by mod 97. Capitals, with
// or without spaces or hyphens.
//
// Source: ISO 13616-1; ISO/IEC 7064 MOD 97-10.
func IBAN(s string) bool {
	var buf [maxValue]byte
	if len(s) > maxValue {
		return false
	}
	k := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c) || c >= 'A' && c <= 'Z':
			buf[k] = c
			k++
		case c == ' ' || c == '-' || c == '\r' || c == '\n':
		default:
			return false
		}
	}
	if k < 15 || !isDigit(buf[2]) || !isDigit(buf[3]) {
		return false
	}
	i := strings.Index(ibanLengths, string(buf[:2]))
	if i < 0 || i%5 != 0 || int(ibanLengths[i+2]-'0')*10+int(ibanLengths[i+3]-'0') != k {
		return false
	}
	return mod97(string(buf[4:k])+string(buf[:4])) == 1
}

// mod97 is the remainder of s by 97, letters counting 10 to 35.
func mod97(s string) int {
	r := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			r = (r*10 + int(s[i]-'0')) % 97
		} else {
			r = (r*100 + int(s[i]-'A') + 10) % 97
		}
	}
	return r
}

// ABA reports whether s is a routing number of the American Bankers
// Association: nine digits, the first two those of a Federal Reserve district,
// a thrift, an electronic or a traveller's cheque number, and the check digit
// by the weights 3, 7 and 1.
//
// Source: ABA, "Routing Number Policy & Procedures"; 12 CFR 229, appendix A.
func ABA(s string) bool {
	d, ok := digits(s, 9)
	if !ok {
		return false
	}
	p := int(d[0]-'0')*10 + int(d[1]-'0')
	if !(p >= 1 && p <= 12 || p >= 21 && p <= 32 || p >= 61 && p <= 72 || p == 80) {
		return false
	}
	sum := 0
	for i := range 9 {
		sum += int(d[i]-'0') * [3]int{3, 7, 1}[i%3]
	}
	return sum%10 == 0
}
