package check

import "strings"

// icd10Ranges lists the categories of ICD-10-CM by first letter, as ranges of
// their second and third characters "AA-BB" with a space between. Categories
// that have a letter there stand in icd10Letters.
//
// Source: CMS, ICD-10-CM of January 2021 (1,911 categories), and those that came
// after it: U09 (2022), I1A and W44 (2024), QA0 (2026). They come and go by one
// or two a year.
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
	'W': "00-01 03-40 42-42 44-46 49-62 64-65 67-67 69-69 73-74 85-86 88-90 92-94 99-99",
	'X': "00-06 08-08 10-19 30-32 34-39 50-50 52-52 58-58 71-83 92-99",
	'Y': "00-04 07-09 21-33 35-38 62-66 69-84 90-90 92-93 95-95 99-99",
	'Z': "00-05 08-09 11-23 28-34 36-49 51-53 55-57 59-60 62-99",
}

// icd10Letters are the categories whose second or third character is a letter.
const icd10Letters = "C4A C7A C7B D3A I1A M1A O9A QA0 Z3A"

// ICD10CM reports whether s has the form of an ICD-10-CM code in a category
// that exists: the category's three characters, then, after a dot that may be
// left out, up to four more. Either case. It knows categories, not codes: E11.73
// passes though no such code is defined, so that a code passes that a later year
// defines below a category. What no year defines does not: E11.X, for the
// placeholder X only holds a place for what follows, and T36.0X1Z.
//
// Headings pass, those that end in the placeholder too: E11.6, T36.0X.
//
// Source: CMS, ICD-10-CM Official Guidelines, I.A.2 to I.A.5 (structure,
// placeholder X, seventh character); the letters in use are those of 2021 with
// what 2022 to 2026 added.
func ICD10CM(s string) bool {
	var code [7]byte
	n := 0
	for i := range len(s) {
		c := s[i]
		if i == 3 && c == '.' && len(s) > 4 {
			continue
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if n == len(code) || !isDigit(c) && !isLetter(c) {
			return false
		}
		code[n] = c
		n++
	}
	return n >= 3 && icd10Category(string(code[:3])) && icd10Rest(string(code[:3]), string(code[3:n]))
}

// icd10Category reports whether c, three characters in upper case, is one.
func icd10Category(c string) bool {
	if !isLetter(c[0]) {
		return false
	}
	if !isDigit(c[1]) || !isDigit(c[2]) {
		return strings.Contains(icd10Letters, c)
	}
	n := int(c[1]-'0')*10 + int(c[2]-'0')
	return icd10Numbers[c[0]-'A'][n>>6]>>(n&63)&1 != 0
}

// icd10Numbers is icd10Ranges as bits.
var icd10Numbers = func() (set [26][2]uint64) {
	for letter := range byte(26) {
		for r := icd10Ranges['A'+letter]; len(r) >= 5; r = strings.TrimPrefix(r[5:], " ") {
			from, to := int(r[0]-'0')*10+int(r[1]-'0'), int(r[3]-'0')*10+int(r[4]-'0')
			for n := from; n <= to; n++ {
				set[letter][n>>6] |= 1 << (n & 63)
			}
		}
	}
	return set
}()

// icd10Rest judges what follows the category: at most four characters.
func icd10Rest(category, s string) bool {
	chapter := category[0]
	letters := [3]string{"ABCDEFGHIJK", "ABCDE", "ABCDEFGH"} // besides digits, from the fourth character on
	switch chapter {
	case 'C', 'D':
		letters[0] = "ABCDEFGHIJKZ" // lymphoma and leukaemia, unspecified: C91.Z0
	case 'T':
		letters[0] = "ABCDEFGHIJKZ" // other vaccines: T50.Z91A
	case 'I':
		letters[1] = "ABCDEYZ" // the more proximal and more distal veins: I82.4Y1
	}
	for i := range min(len(s), 3) {
		if s[i] == 'X' {
			if !icd10Placeholder(category, s, i) {
				return false
			}
		} else if !isDigit(s[i]) && strings.IndexByte(letters[i], s[i]) < 0 {
			return false
		}
	}
	return len(s) < 4 || strings.IndexByte(icd10Seventh(category), s[3]) >= 0
}

// icd10Placeholder judges the X at s[at], of what follows the category.
func icd10Placeholder(category, s string, at int) bool {
	if strings.IndexByte("EHJMOSTVWXY", category[0]) < 0 {
		return false
	}
	switch at {
	case 0: // J09.X1, M01.X11, T07.XXXA
		return category == "J09" || category == "M01" || len(s) == 4 && s[:3] == "XXX" && strings.IndexByte("STVWXY", category[0]) >= 0
	case 1: // T36.0X1A, H21.1X1
		return category[0] != 'E' && category[0] != 'J'
	}
	return len(s) == 4 // S72.00XA
}

// icd10Seventh returns what a seventh character may be in a category; "" where
// codes have six at most.
func icd10Seventh(category string) string {
	const digits = "0123456789"
	switch category[0] {
	case 'C', 'E', 'Q': // C44.1021, E11.3211, QA0.0101
		return digits
	case 'H': // H40.1110, H54.0X3A
		return digits + "A"
	case 'M': // M1A.00X0, M80.051A
		return "01ADGKPS"
	case 'O': // which fetus
		return "0123459"
	case 'R': // when the coma scale was taken
		return "01234"
	case 'V', 'W', 'X', 'Y':
		return "ADS"
	case 'T':
		if category == "T86" { // T86.8401
			return digits
		}
		return "ADS"
	case 'S':
		return icd10Fracture(category)
	}
	return ""
}

// icd10Fracture returns what a seventh character may be in an injury's category:
// the episode of care and, for fractures, open or closed and how they heal.
func icd10Fracture(category string) string {
	switch category[1:] {
	case "52", "72", "82": // forearm, femur, lower leg: open ones by Gustilo's types
		return "ABCDEFGHJKMNPQRS"
	case "02", "12", "22", "32", "42", "62", "92", "99":
		return "ABDGKPS"
	case "49", "59", "79", "89": // growth plates
		return "ADGKPS"
	}
	return "ADS"
}
