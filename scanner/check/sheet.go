package check

import (
	"fmt"
	"strings"
	"time"
)

// sheetDigits is how many digits of a number a spreadsheet keeps: those behind
// become zeros.
//
// Source: IEEE 754 binary64; Microsoft, "Excel specifications and limits" (number
// precision).
const sheetDigits = 15

// TruncatedCard reports whether s is what a spreadsheet that keeps numbers makes
// of a card's: 16 to 19 digits, zeros behind the fifteenth, that begin like the
// numbers of an issuer who has that many. The check digit is among those lost.
func TruncatedCard(s string) bool {
	if len(s) <= sheetDigits || len(s) > 19 || !allDigits(s) || strings.Trim(s[sheetDigits:], "0") != "" {
		return false
	}
	return strings.Count(s, s[:1]) != len(s) && issued(s)
}

// scientific reads a whole number in scientific notation, as a spreadsheet shows
// one that is too long for its cell: 4.53202E+15. It returns the digits that are
// there and how many the number has.
func scientific(s string) (digits string, size int, ok bool) {
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(s), "E")
	exponent = strings.TrimPrefix(exponent, "+")
	lead, rest, dot := strings.Cut(mantissa, ".")
	if !ok || len(lead) != 1 || len(s) > maxValue || !allDigits(lead+rest) || dot && rest == "" || exponent == "" || len(exponent) > 3 || !allDigits(exponent) {
		return "", 0, false
	}
	for i := range len(exponent) {
		size = 10*size + int(exponent[i]-'0')
	}
	size++
	if lead == "0" || len(lead+rest) > size {
		return "", 0, false
	}
	return lead + rest, size, true
}

// ScientificSSN reports whether s is an SSN in scientific notation with all its
// digits, but for a zero at its end: 5.36228145E+08, 3.6228145E+7 where the zeros in
// front are lost.
func ScientificSSN(s string) bool {
	d, size, ok := scientific(s)
	return ok && size >= 7 && size <= 9 && len(d) >= size-1 && SSN(strings.Repeat("0", 9-size)+d+strings.Repeat("0", size-len(d)))
}

// CutSSN reports whether s is a number in scientific notation of which an SSN may
// have been, with some of its last digits lost: 5.36228E+08.
func CutSSN(s string) bool {
	d, size, ok := scientific(s)
	if !ok || size < 7 || size > 9 || len(d) < 3 {
		return false
	}
	area := (strings.Repeat("0", 9-size) + d)[:3]
	return area != "000" && area != "666" && area[0] != '9'
}

// ScientificCard reports whether s is a card's number in scientific notation, with
// at least the fifteen digits that a spreadsheet keeps, or all it has.
func ScientificCard(s string) bool {
	d, size, ok := scientific(s)
	if !ok || size < 12 || size > 19 || len(d) < min(size, sheetDigits)-1 { // a zero at the end is not written
		return false
	}
	d += strings.Repeat("0", size-len(d))
	return issued(d) && (size > sheetDigits || luhnSum(d)%10 == 0)
}

// CutCard reports whether s is a number in scientific notation which may have been
// a card's, with most of its digits lost: 4.53202E+15.
func CutCard(s string) bool {
	d, size, ok := scientific(s)
	return ok && size >= 12 && size <= 19 && len(d) >= 2 && issued(d+strings.Repeat("0", size-len(d)))
}

// ScientificRecord reports whether s is a number of five to twenty digits in
// scientific notation.
func ScientificRecord(s string) bool {
	d, size, ok := scientific(s)
	return ok && size >= 5 && size <= 20 && len(d) >= 2
}

// DayNumber reads the number by which a spreadsheet keeps a date: the days since
// the day before 1900-01-01, where 1900 counts as a leap year. ok is false for a
// number under 1,000 or of a year after 2099, and for one that is written as a
// year.
//
// Source: ECMA-376-1, 18.17.4.1 (the 1900 date base).
func DayNumber(s string) (year, month, day int, ok bool) {
	if len(s) < 4 || len(s) > 5 || !allDigits(s) || s[0] == '0' {
		return 0, 0, 0, false
	}
	n := 0
	for i := range len(s) {
		n = 10*n + int(s[i]-'0')
	}
	if n >= minBirthYear && n <= maxBirthYear {
		return 0, 0, 0, false
	}
	t := time.Date(1899, time.December, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) // from March 1900 on as if it had had a leap day
	return t.Year(), int(t.Month()), t.Day(), t.Year() <= maxBirthYear
}

// BirthDayNumber reports whether s is the number of a day on which a person may
// have been born.
func BirthDayNumber(s string) bool {
	_, _, _, ok := DayNumber(s)
	return ok
}

// Note says in plain words what is known of a value that passes the check of that
// name beside that it passes, "" for nothing. Only with reveal does it hold what
// can be read in s.
func Note(name, s string, reveal bool) string {
	switch name {
	case "card-truncated":
		return "the digits behind the fifteenth are zeros: a spreadsheet that kept it as a number lost them, the check digit among them"
	case "us-ssn-scientific", "card-scientific":
		return "a spreadsheet shows it in scientific notation, with the digits that it kept"
	case "us-ssn-cut", "card-cut", "record-scientific":
		return "a spreadsheet shows it in scientific notation: digits are lost, and the file it was made from has them"
	case "birth-serial":
		y, m, d, ok := DayNumber(s)
		if !ok || !reveal {
			return "the number by which a spreadsheet keeps a date; revealed, this says which"
		}
		return fmt.Sprintf("the number by which a spreadsheet keeps %s", time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	return ""
}
