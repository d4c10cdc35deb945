package check

import "strings"

// weighed is the sum of the digits of d times weights.
func weighed(d string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += int(d[i]-'0') * w
	}
	return sum
}

// same reports one digit over and over.
func same(d string) bool { return d != "" && strings.Count(d, d[:1]) == len(d) }

// compact is s in capitals without spaces, hyphens, dots and slashes; "" where
// it holds anything but those, letters and digits, or is too long.
func compact(s string) string {
	var buf [maxValue]byte
	if len(s) > maxValue {
		return ""
	}
	k := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c) || c >= 'A' && c <= 'Z':
			buf[k] = c
			k++
		case isLetter(c):
			buf[k] = c &^ 0x20
			k++
		case c == ' ' || c == '-' || c == '.' || c == '/':
		default:
			return ""
		}
	}
	return string(buf[:k])
}

// NHS reports whether s is a number of the National Health Service of England,
// Wales and the Isle of Man: ten digits, the last by mod 11.
//
// Source: NHS Data Model and Dictionary, "NHS Number".
func NHS(s string) bool {
	d, ok := digits(s, 10)
	if !ok || same(d) {
		return false
	}
	c := 11 - weighed(d, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return c%11 == int(d[9]-'0') && c != 10
}

// NINO reports whether s is shaped as a National Insurance number of the United
// Kingdom: two letters that may begin one, six digits, A to D.
//
// Source: HMRC, National Insurance Manual NIM39110.
func NINO(s string) bool {
	c := compact(s)
	if len(c) != 9 || !allDigits(c[2:8]) || c[8] < 'A' || c[8] > 'D' || isDigit(c[0]) || isDigit(c[1]) {
		return false
	}
	switch c[:2] {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return !strings.ContainsRune("DFIQUV", rune(c[0])) && !strings.ContainsRune("DFIQUVO", rune(c[1]))
}

// SIN reports whether s is a Social Insurance Number of Canada: nine digits,
// the first neither 0 nor 8, the last by Luhn.
//
// Source: Employment and Social Development Canada, "SIN Code of Practice".
func SIN(s string) bool {
	d, ok := digits(s, 9)
	return ok && d[0] != '0' && d[0] != '8' && !same(d) && luhnSum(d)%10 == 0
}

// OHIP reports whether s is an Ontario health card number: ten digits, the
// first not 0, the last by Luhn, then perhaps a version of one or two letters.
//
// Source: Ontario Ministry of Health, "Health Card Validation Reference Manual".
func OHIP(s string) bool {
	c := compact(s)
	d := strings.TrimRight(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	return len(d) == 10 && len(c) <= 12 && allDigits(d) && d[0] != '0' && !same(d) && luhnSum(d)%10 == 0
}

// BCPHN reports whether s is a Personal Health Number of British Columbia: ten
// digits, the first 9, the last by mod 11.
//
// Source: British Columbia Professional and Software Conformance Standards, PHN.
func BCPHN(s string) bool {
	d, ok := digits(s, 10)
	return ok && d[0] == '9' && !same(d) && 11-weighed(d[1:], 2, 4, 8, 5, 10, 9, 7, 3)%11 == int(d[9]-'0')
}

// RAMQ reports whether s is a health insurance number of Quebec: four letters,
// then year, month (plus 50 for women) and day of birth and two digits.
//
// Source: Régie de l'assurance maladie du Québec, "Numéro d'assurance maladie".
func RAMQ(s string) bool {
	c := compact(s)
	if len(c) != 12 || !allDigits(c[4:]) {
		return false
	}
	for i := range 4 {
		if isDigit(c[i]) {
			return false
		}
	}
	m := int(c[6]-'0')*10 + int(c[7]-'0')
	if m > 50 {
		m -= 50
	}
	return validDate(2000, m, int(c[8]-'0')*10+int(c[9]-'0')) // 2000 has a leap day, as any year of two digits may
}

// GermanTaxID reports whether s is an Identifikationsnummer: eleven digits, the
// first not 0, one digit among the first ten twice or thrice and at least one
// other absent, the last by ISO 7064 MOD 11,10.
//
// Source: Bundeszentralamt für Steuern; § 139b AO.
func GermanTaxID(s string) bool {
	d, ok := digits(s, 11)
	if !ok || d[0] == '0' || !ISO7064(d) {
		return false
	}
	most, kinds := 0, 0
	for c := byte('0'); c <= '9'; c++ {
		if n := strings.Count(d[:10], string(c)); n > 0 {
			kinds++
			most = max(most, n)
		}
	}
	return most >= 2 && most <= 3 && kinds >= 8 && kinds <= 9
}

// KVNR reports whether s is the number of somebody insured by Germany's
// statutory health insurance: a letter and nine digits, the last by Luhn's
// doubling from the left over the letter's two digits and the first eight.
//
// Source: GKV-Spitzenverband, § 290 SGB V.
func KVNR(s string) bool {
	c := compact(s)
	if len(c) != 10 || isDigit(c[0]) || !allDigits(c[1:]) {
		return false
	}
	n := int(c[0]-'A') + 1
	d := string([]byte{byte('0' + n/10), byte('0' + n%10)}) + c[1:9]
	sum := 0
	for i := range len(d) {
		v := int(d[i] - '0')
		if i%2 == 1 {
			v *= 2
		}
		sum += v/10 + v%10
	}
	return sum%10 == int(c[9]-'0')
}

// NIR reports whether s is a French social security number: sex, year, month,
// department, commune, order and a key of two digits, 97 less the rest by 97.
//
// Source: INSEE, "Numéro de sécurité sociale"; décret 82-103.
func NIR(s string) bool {
	c := compact(s)
	if len(c) != 15 || c[0] != '1' && c[0] != '2' {
		return false
	}
	body := strings.NewReplacer("2A", "19", "2B", "18").Replace(c[5:7])
	d := c[:5] + body + c[7:]
	if !allDigits(d) {
		return false
	}
	m := int(d[3]-'0')*10 + int(d[4]-'0')
	if m < 1 || m > 12 && (m < 20 || m > 42) && m < 50 {
		return false
	}
	return 97-mod97(d[:13]) == int(d[13]-'0')*10+int(d[14]-'0')
}

// DNI reports whether s is a Spanish DNI or NIE: eight digits, or X, Y or Z and
// seven, then the letter by mod 23.
//
// Source: Ministerio del Interior, Real Decreto 1553/2005.
func DNI(s string) bool {
	c := compact(s)
	if len(c) != 9 {
		return false
	}
	d := c[:8]
	if i := strings.IndexByte("XYZ", d[0]); i >= 0 {
		d = string(byte('0'+i)) + d[1:]
	}
	if !allDigits(d) {
		return false
	}
	r := 0
	for i := range len(d) {
		r = (r*10 + int(d[i]-'0')) % 23
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[r] == c[8]
}

// CodiceFiscale reports whether s is an Italian tax code of a person: six
// letters, year, month, day, place, and the letter by which they are checked.
//
// Source: Decreto ministeriale 23 December 1976.
func CodiceFiscale(s string) bool {
	c := compact(s)
	if len(c) != 16 {
		return false
	}
	const shape = "AAAAAA00A00A000A"
	const omocodia = "LMNPQRSTUV" // letters that stand for digits where two people would share a code
	for i := range 15 {
		switch {
		case shape[i] == 'A' && isDigit(c[i]):
			return false
		case shape[i] == '0' && !isDigit(c[i]) && strings.IndexByte(omocodia, c[i]) < 0:
			return false
		}
	}
	if strings.IndexByte("ABCDEHLMPRST", c[8]) < 0 {
		return false
	}
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i := range 15 {
		v := int(c[i] - 'A')
		if isDigit(c[i]) {
			v = int(c[i] - '0')
		}
		if i%2 == 0 {
			v = odd[v]
		}
		sum += v
	}
	return int(c[15]-'A') == sum%26
}

// BSN reports whether s is a Dutch citizen service number: nine digits by the
// eleven test, the last weighing -1.
//
// Source: Rijksdienst voor Identiteitsgegevens, Logisch Ontwerp BSN.
func BSN(s string) bool {
	d, ok := digits(s, 9)
	return ok && !same(d) && weighed(d, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0
}

// BelgianNN reports whether s is a Belgian national register number: date of
// birth, order and 97 less the rest by 97, with a 2 in front for those born
// from 2000 on.
//
// Source: Arrêté royal 3 April 1984.
func BelgianNN(s string) bool {
	d := compact(s)
	if len(d) != 11 || !allDigits(d) {
		return false
	}
	m, day := int(d[2]-'0')*10+int(d[3]-'0'), int(d[4]-'0')*10+int(d[5]-'0')
	if m > 12 || day > 31 {
		return false
	}
	key := int(d[9]-'0')*10 + int(d[10]-'0')
	return 97-mod97(d[:9]) == key || 97-mod97("2"+d[:9]) == key
}

// PESEL reports whether s is a Polish one: eleven digits that begin with a date
// of birth, the last by weights 1, 3, 7 and 9.
//
// Source: Ustawa o ewidencji ludności, art. 15.
func PESEL(s string) bool {
	d, ok := digits(s, 11)
	if !ok {
		return false
	}
	m, day := (int(d[2]-'0')*10+int(d[3]-'0'))%20, int(d[4]-'0')*10+int(d[5]-'0')
	return validDate(2000, m, day) && (10-weighed(d, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == int(d[10]-'0')
}

// Personnummer reports whether s is a Swedish one: date of birth (the day plus
// 60 for a coordination number) and four digits, the last by Luhn over the last
// ten.
//
// Source: Skatteverket, SKV 704.
func Personnummer(s string) bool {
	d := compact(strings.Replace(s, "+", "-", 1))
	if !allDigits(d) || len(d) != 10 && len(d) != 12 {
		return false
	}
	d = d[len(d)-10:]
	day := int(d[4]-'0')*10 + int(d[5]-'0')
	if day > 60 {
		day -= 60
	}
	return validDate(2000, int(d[2]-'0')*10+int(d[3]-'0'), day) && luhnSum(d)%10 == 0
}

// HETU reports whether s is a Finnish personal identity code: date of birth,
// the sign of the century, three digits, and a character by mod 31.
//
// Source: Digi- ja väestötietovirasto, "Henkilötunnus".
func HETU(s string) bool {
	if len(s) != 11 || !allDigits(s[:6]) || !allDigits(s[7:10]) || strings.IndexByte("+-ABCDEFUVWXY", s[6]) < 0 {
		return false
	}
	if !validDate(2000, int(s[2]-'0')*10+int(s[3]-'0'), int(s[0]-'0')*10+int(s[1]-'0')) {
		return false
	}
	n := 0
	for _, c := range s[:6] + s[7:10] {
		n = (n*10 + int(c-'0')) % 31
	}
	return "0123456789ABCDEFHJKLMNPRSTUVWXY"[n] == s[10]
}

// Fodselsnummer reports whether s is a Norwegian one: date of birth (the day
// plus 40 for a D number), three digits and two check digits by mod 11.
//
// Source: Skatteetaten, folkeregisterforskriften § 2-2-1.
func Fodselsnummer(s string) bool {
	d, ok := digits(s, 11)
	if !ok {
		return false
	}
	day := (int(d[0]-'0')*10 + int(d[1]-'0')) % 40
	if !validDate(2000, int(d[2]-'0')*10+int(d[3]-'0'), day) {
		return false
	}
	a := (11 - weighed(d, 3, 7, 6, 1, 8, 9, 4, 5, 2)%11) % 11
	b := (11 - weighed(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11) % 11
	return a == int(d[9]-'0') && b == int(d[10]-'0')
}

// AHV reports whether s is a Swiss social security number: thirteen digits from
// 756, the last the check digit of an EAN.
//
// Source: Zentrale Ausgleichsstelle, "AHVN13".
func AHV(s string) bool {
	d, ok := digits(s, 13)
	return ok && d[:3] == "756" && (10-weighed(d, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)%10)%10 == int(d[12]-'0')
}

// AustrianSV reports whether s is an Austrian insurance number: four digits, of
// which the last checks all others, and a date of birth.
//
// Source: Dachverband der Sozialversicherungsträger, "Versicherungsnummer".
func AustrianSV(s string) bool {
	d, ok := digits(s, 10)
	if !ok || d[0] == '0' {
		return false
	}
	m, day := int(d[6]-'0')*10+int(d[7]-'0'), int(d[4]-'0')*10+int(d[5]-'0')
	if m < 1 || m > 15 || day < 1 || day > 31 { // months 13 to 15: where a day's numbers ran out
		return false
	}
	sum := weighed(d[:3], 3, 7, 9) + weighed(d[4:], 5, 8, 4, 2, 1, 6)
	return sum%11 == int(d[3]-'0')
}

// PPS reports whether s is an Irish Personal Public Service number: seven
// digits and one or two letters, the first by mod 23.
//
// Source: Department of Social Protection, "PPS number".
func PPS(s string) bool {
	c := compact(s)
	if len(c) != 8 && len(c) != 9 || !allDigits(c[:7]) || isDigit(c[7]) {
		return false
	}
	sum := weighed(c, 8, 7, 6, 5, 4, 3, 2)
	if len(c) == 9 {
		if isDigit(c[8]) {
			return false
		}
		if c[8] != 'W' {
			sum += int(c[8]-'A'+1) * 9
		}
	}
	return "WABCDEFGHIJKLMNOPQRSTUV"[sum%23] == c[7]
}

// NIF reports whether s is a Portuguese tax number of a person: nine digits
// from 1, 2, 3 or 45, the last by mod 11.
//
// Source: Decreto-Lei 14/2013.
func NIF(s string) bool {
	d, ok := digits(s, 9)
	if !ok || !strings.ContainsRune("123", rune(d[0])) && d[:2] != "45" {
		return false
	}
	c := 11 - weighed(d, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if c > 9 {
		c = 0
	}
	return c == int(d[8]-'0')
}

// CPR reports whether s is shaped as a Danish one: date of birth and four
// digits. Numbers since 2007 have no check digit.
//
// Source: CPR-kontoret, "Personnummeret i CPR".
func CPR(s string) bool {
	d, ok := digits(s, 10)
	return ok && validDate(2000, int(d[2]-'0')*10+int(d[3]-'0'), int(d[0]-'0')*10+int(d[1]-'0'))
}

// AustralianMedicare reports whether s is one: ten digits from 2 to 6, the
// ninth by weights, and perhaps the reference of a person.
//
// Source: Services Australia, "Medicare card number format".
func AustralianMedicare(s string) bool {
	d := compact(s)
	if len(d) != 10 && len(d) != 11 || !allDigits(d) || d[0] < '2' || d[0] > '6' {
		return false
	}
	return weighed(d, 1, 3, 7, 9, 1, 3, 7, 9)%10 == int(d[8]-'0')
}

// CNP reports whether s is a Romanian one: sex and century, date of birth, county,
// order, and the last digit by mod 11.
//
// Source: Legea 105/1996; Direcția pentru Evidența Persoanelor, "Codul numeric personal".
func CNP(s string) bool {
	d, ok := digits(s, 13)
	if !ok || d[0] == '0' || !validDate(2000, int(d[3]-'0')*10+int(d[4]-'0'), int(d[5]-'0')*10+int(d[6]-'0')) {
		return false
	}
	c := weighed(d, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
	if c == 10 {
		c = 1
	}
	return c == int(d[12]-'0')
}

// RodneCislo reports whether s is a birth number of Czechia or Slovakia: year,
// month (plus 50 for women, plus 20 more where a day's numbers ran out), day and
// four digits which make the whole divisible by 11. Up to 1984 the remainder 10 of
// the first nine stood as 0. Those of before 1954 have three digits and no check,
// and are not taken.
//
// Source: zákon č. 133/2000 Sb., § 13; zákon č. 301/1995 Z. z., § 2.
func RodneCislo(s string) bool {
	d := compact(s)
	if len(d) != 10 || !allDigits(d) || same(d) {
		return false
	}
	m := (int(d[2]-'0')*10 + int(d[3]-'0')) % 50
	if m > 20 {
		m -= 20
	}
	if !validDate(2000, m, int(d[4]-'0')*10+int(d[5]-'0')) {
		return false
	}
	r := 0
	for i := range 9 {
		r = (r*10 + int(d[i]-'0')) % 11
	}
	return r%10 == int(d[9]-'0') && (r != 10 || d[:2] >= "54" && d[:2] < "86")
}

// EGN reports whether s is a Bulgarian one: date of birth (the month plus 20 for
// those born before 1900, plus 40 from 2000 on), three digits and one by mod 11.
//
// Source: Закон за гражданската регистрация, чл. 11; ГРАО, "Структура на ЕГН".
func EGN(s string) bool {
	d, ok := digits(s, 10)
	if !ok {
		return false
	}
	m := int(d[2]-'0')*10 + int(d[3]-'0')
	return m <= 52 && validDate(2000, m%20, int(d[4]-'0')*10+int(d[5]-'0')) &&
		weighed(d, 2, 4, 8, 5, 10, 9, 7, 3, 6)%11%10 == int(d[9]-'0')
}

// OIB reports whether s is a Croatian one: eleven digits, the last by ISO 7064
// MOD 11,10.
//
// Source: Zakon o osobnom identifikacijskom broju (NN 60/08).
func OIB(s string) bool {
	d, ok := digits(s, 11)
	return ok && !same(d) && ISO7064(d)
}

// AMKA reports whether s is a Greek social security number: date of birth, four
// digits and one by Luhn.
//
// Source: ΗΔΙΚΑ, "Α.Μ.Κ.Α."; ν. 3655/2008, άρθρο 153.
func AMKA(s string) bool {
	d, ok := digits(s, 11)
	return ok && validDate(2000, int(d[2]-'0')*10+int(d[3]-'0'), int(d[0]-'0')*10+int(d[1]-'0')) && luhnSum(d)%10 == 0
}
