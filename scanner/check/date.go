package check

import (
	"strconv"
	"strings"
	"time"
)

// Years a date of birth may lie in. The upper one is no clock: a birth in the
// future is a typing error, and still somebody's (see BirthToCome).
const (
	minBirthYear = 1880
	maxBirthYear = 2099
)

// Date reads a calendar date as people and systems write it: 3/4/1961,
// 03-04-61, 4.3.1961, 1961-03-04, 19610304 with or without a time after it
// (HL7 and X12), March 3, 1961, 3 Mar 1961, 3rd of March 1961. Where day and month
// could stand in either order it takes month first if that is a date. A year
// of two digits is put between 1930 and 2029. ok is false if no reading is a
// date of the Gregorian calendar.
//
// Source: HL7 v2.5.1, 2.A.22 (DTM); X12 data element 1250, D8; ISO 8601-1.
func Date(s string) (year, month, day int, ok bool) {
	if len(s) > maxValue {
		return 0, 0, 0, false
	}
	if len(s) == len("1961-03-04") {
		if year, month, day, ok = writtenDate(s); ok {
			return year, month, day, true
		}
	}
	nums, lens, named, n := dateFields(s)
	switch {
	case named > 0 && n == 2: // the month is a name; day, then year
		year, month, day = fullYear(nums[1], lens[1]), named, nums[0]
		if lens[0] == 4 {
			year, day = nums[0], nums[1]
		}
		return year, month, day, validDate(year, month, day)
	case named > 0:
		return 0, 0, 0, false
	case n >= 1 && lens[0] >= 8: // YYYYMMDD and perhaps a time
		v := nums[0]
		year, month, day = v/10000, v/100%100, v%100
		return year, month, day, validDate(year, month, day)
	case n >= 3 && lens[0] == 4:
		year, month, day = nums[0], nums[1], nums[2]
		return year, month, day, validDate(year, month, day)
	case n >= 3:
		year, month, day = fullYear(nums[2], lens[2]), nums[0], nums[1]
		if !validDate(year, month, day) {
			month, day = day, month
		}
		return year, month, day, validDate(year, month, day)
	}
	return 0, 0, 0, false
}

// writtenDate reads the commonest forms, of ten characters: 1961-03-04 and
// 03/04/1961. ok is false for any other, and where it is no date so.
func writtenDate(s string) (year, month, day int, ok bool) {
	var y, m, d string
	switch {
	case s[4] == '-' && s[7] == '-':
		y, m, d = s[:4], s[5:7], s[8:10]
	case s[2] == '/' && s[5] == '/':
		m, d, y = s[:2], s[3:5], s[6:10]
	default:
		return 0, 0, 0, false
	}
	if max(y[0]-'0', y[1]-'0', y[2]-'0', y[3]-'0', m[0]-'0', m[1]-'0', d[0]-'0', d[1]-'0') > 9 {
		return 0, 0, 0, false
	}
	two := func(s string) int { return 10*int(s[0]-'0') + int(s[1]-'0') }
	year, month, day = 100*two(y)+two(y[2:]), two(m), two(d)
	return year, month, day, validDate(year, month, day)
}

// Birth reports whether s is a Date on which a person may have been born.
func Birth(s string) bool {
	y, _, _, ok := Date(s)
	return ok && y >= minBirthYear && y <= maxBirthYear
}

// BirthToCome reports whether s, a Birth or a BirthDayNumber, is a day after that of
// now, whatever the zone. A year of two digits is not: it was written for another
// century.
func BirthToCome(s string, now time.Time) bool {
	y, m, d, ok := DayNumber(s)
	if !ok {
		if y, m, d, ok = Date(s); !ok {
			return false
		}
	}
	if y < now.UTC().Year() || len(s) > 5 && !strings.Contains(s, strconv.Itoa(y)) {
		return false
	}
	return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).After(now.UTC().Add(14 * time.Hour)) // the day begins first at UTC+14
}

// dateFields takes s apart into at most three runs of digits (only the first
// eight digits of a run count) and the number of the month that is named, 0
// for none. n is the number of runs, 0 if s holds a word that is no month.
func dateFields(s string) (nums, lens [3]int, named, n int) {
	for i := 0; i < len(s) && n < 3; {
		switch {
		case isDigit(s[i]):
			v, k := 0, 0
			for ; i < len(s) && isDigit(s[i]); i++ {
				if k < 8 {
					v = v*10 + int(s[i]-'0')
				}
				k++
			}
			nums[n], lens[n] = v, k
			n++
		case isLetter(s[i]):
			j := i
			for j < len(s) && isLetter(s[j]) {
				j++
			}
			m, ok := dateWord(s[i:j])
			if !ok || m > 0 && named > 0 {
				return nums, lens, 0, 0
			}
			named = max(named, m)
			i = j
		default:
			i++
		}
	}
	return nums, lens, named, n
}

// dateWord returns the month that w names, in any case, 0 for a word that may
// stand in a date without naming one; ok is false for any other.
func dateWord(w string) (month int, ok bool) {
	var buf [9]byte // "september"
	if len(w) > len(buf) {
		return 0, false
	}
	for i := range len(w) {
		buf[i] = w[i] | 0x20
	}
	low := buf[:len(w)]
	switch string(low) {
	case "st", "nd", "rd", "th", "of", "the", "t", "z":
		return 0, true
	}
	if len(low) < 3 {
		return 0, false
	}
	m := monthOf(string(low[:3]))
	if m == 0 {
		return 0, false
	}
	rest := monthRests[m-1]
	if string(low[3:]) == rest || len(low) <= 4 && strings.HasPrefix(rest, string(low[3:])) {
		return m, true
	}
	return 0, false
}

// monthOf returns the month whose English name begins with three, 0 for none.
func monthOf(three string) int {
	switch three {
	case "jan":
		return 1
	case "feb":
		return 2
	case "mar":
		return 3
	case "apr":
		return 4
	case "may":
		return 5
	case "jun":
		return 6
	case "jul":
		return 7
	case "aug":
		return 8
	case "sep":
		return 9
	case "oct":
		return 10
	case "nov":
		return 11
	case "dec":
		return 12
	}
	return 0
}

// monthRests is what comes behind the first three letters of each month's name.
var monthRests = [12]string{"uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember"}

func fullYear(y, digits int) int {
	switch {
	case digits != 2:
		return y
	case y < 30:
		return 2000 + y
	}
	return 1900 + y
}

func validDate(y, m, d int) bool {
	if m < 1 || m > 12 || d < 1 || y < 1 || y > 9999 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
	if m == 2 && (y%4 == 0 && y%100 != 0 || y%400 == 0) {
		days = 29
	}
	return d <= days
}
