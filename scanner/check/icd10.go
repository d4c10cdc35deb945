package check

import "strings"

// icd10Ranges lists the categories of ICD-10-CM by first letter, as ranges of
// their second and third characters "AA-BB" with a space between. Categories
// whose third character is a letter stand in icd10Letters.
//
// Source: CMS, ICD-10-CM tabular list of fiscal year 2021, and U09 of 2022.
// Categories come and go by a handful a year.
var icd10Ranges = ['Z' + 1]string{
	'A': "00-09 15-15 17-28 30-44 46-46 48-60 63-71 74-75 77-96 98-99",
	'B': "00-10 15-20 25-27 30-30 33-60 64-83 85-92 94-97 99-99",
	'C': "00-26 30-34 37-41 43-58 60-86 88-88 90-96",
	'D': "00-07 09-53 55-78 80-84 86-86 89-89",
	'E': "00-11 13-13 15-16 20-32 34-36 40-46 50-56 58-61 63-68 70-80 83-89",
	'F': "01-07 09-25 28-34 39-45 48-48 50-55 59-60 63-66 68-73 78-82 84-84 88-91 93-95 98-99",
	'G': "00-14 20-21 23-26 30-32 35-37 40-40 43-47 50-65 70-73 80-83 89-99",
	'H': "00-02 04-05 10-11 15-18 20-22 25-28 30-36 40-40 42-44 46-47 49-55 57-57 59-62 65-75 80-83 90-95",
	'I': "00-02 05-13 15-16 20-28 30-52 60-63 65-83 85-89 95-97 99-99",
	'J': "00-06 09-18 20-22 30-45 47-47 60-70 80-82 84-86 90-96 98-99",
	'K': "00-06 08-09 11-14 20-23 25-31 35-38 40-46 50-52 55-68 70-77 80-83 85-87 90-92 94-95",
	'L': "00-05 08-08 10-14 20-30 40-45 49-60 62-68 70-76 80-95 97-99",
	'M': "00-02 04-08 10-27 30-36 40-43 45-51 53-54 60-63 65-67 70-72 75-77 79-81 83-97 99-99",
	'N': "00-08 10-23 25-37 39-53 60-65 70-77 80-99",
	'O': "00-04 07-16 20-26 28-36 40-48 60-77 80-80 82-82 85-92 94-94 98-99",
	'P': "00-05 07-15 19-19 22-29 35-39 50-61 70-72 74-74 76-78 80-81 83-84 90-96",
	'Q': "00-07 10-18 20-28 30-45 50-56 60-87 89-93 95-99",
	'R': "00-01 03-07 09-23 25-27 29-37 39-65 68-71 73-94 97-97 99-99",
	'S': "00-17 19-99",
	'T': "07-07 14-28 30-34 36-71 73-76 78-88",
	'U': "07-07 09-09",
	'V': "00-06 09-99",
	'W': "00-01 03-40 42-42 45-46 49-62 64-65 67-67 69-69 73-74 85-86 88-90 92-94 99-99",
	'X': "00-06 08-08 10-19 30-32 34-39 50-50 52-52 58-58 71-83 92-99",
	'Y': "00-04 07-09 21-33 35-38 62-66 69-84 90-90 92-93 95-95 99-99",
	'Z': "00-05 08-09 11-23 28-34 36-49 51-53 55-57 59-60 62-99",
}

// icd10Letters are the categories whose third character is a letter.
const icd10Letters = "C4A C7A C7B D3A M1A O9A Z3A"

// ICD10CM reports whether s has the form of an ICD-10-CM code in a category
// that exists: letter, digit, digit or A or B, then, after a dot that may be
// left out, up to four more characters of which the seventh alone may be any
// letter or digit in use there. Either case. It knows categories, not codes:
// E11.73 passes though no such code is defined.
//
// Source: CMS, ICD-10-CM Official Guidelines, I.A.2 to I.A.5 (structure,
// placeholder X, seventh character).
func ICD10CM(s string) bool {
	if len(s) < 3 || len(s) > 8 {
		return false
	}
	var buf [8]byte
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		buf[i] = c
	}
	u := string(buf[:len(s)])
	return icd10Category(u[:3]) && icd10Rest(u[3:])
}

// icd10Category reports whether c, three characters in upper case, is one.
func icd10Category(c string) bool {
	if c[0] < 'A' || c[0] > 'Z' || !isDigit(c[1]) {
		return false
	}
	if !isDigit(c[2]) {
		return isLetter(c[2]) && strings.Contains(icd10Letters, c)
	}
	for r := icd10Ranges[c[0]]; len(r) >= 5; r = strings.TrimPrefix(r[5:], " ") {
		if c[1:] >= r[:2] && c[1:] <= r[3:5] {
			return true
		}
	}
	return false
}

// icd10Rest judges what follows the category, the dot included.
func icd10Rest(s string) bool {
	if s == "" {
		return true
	}
	if s[0] == '.' {
		if s = s[1:]; s == "" {
			return false
		}
	}
	if len(s) > 4 {
		return false
	}
	// Letters in use at the fourth to seventh character.
	letters := [4]string{"ABCDEFGHIJKXZ", "ABCDEXYZ", "ABCDEFGHX", "ABCDEFGHJKMNPQRS"}
	for i := range len(s) {
		if !isDigit(s[i]) && strings.IndexByte(letters[i], s[i]) < 0 {
			return false
		}
	}
	return s[len(s)-1] != 'X' || len(s) == 1 // a placeholder holds a place for something
}
