package check

import "strings"

// Why returns in plain words why s does not pass the check of that name (as rule
// files call it), "" where it passes or the name has no reasons here. No part
// of s stands in what it returns. It is for people who ask, and takes its time;
// the checks themselves decide.
func Why(name, s string) string {
	f, ok := reasons[name]
	if !ok {
		return ""
	}
	return f(s)
}

// reasons are the checks that can say why, by their names in rule files.
var reasons = map[string]func(string) string{
	"us-ssn": whySSN, "us-ssn-short": whySSNShort, "us-hicn": whyHICN, "us-itin": whyITIN, "mbi": whyMBI, "npi": whyNPI, "dea": whyDEA,
	"luhn": whyLuhn, "mod10": whyLuhn, "card": whyCard, "iban": whyIBAN, "us-routing": whyABA, "nanp": whyNANP, "phone": whyPhone,
	"date": whyDate, "birth": whyBirth, "record-number": whyRecordNumber, "plan-id": whyPlanID, "icd10cm": whyICD10CM,
	"iban-any-case": func(s string) string { return whyIBAN(strings.ToUpper(s)) },
}

const (
	notOnlyDigits = "something other than digits, spaces, hyphens and dots is in it"
	luhnFails     = "the last digit is not the check digit of the others (Luhn)"
)

// first is the first reason whose condition holds, "" where passes does.
func first(passes bool, reasons ...any) string {
	if passes {
		return ""
	}
	for i := 0; i+1 < len(reasons); i += 2 {
		if reasons[i].(bool) {
			return reasons[i+1].(string)
		}
	}
	return reasons[len(reasons)-1].(string)
}

// figures is digits of any number, "" where other bytes stand in s.
func figures(s string) string {
	var buf [maxValue]byte
	return string(buf[:gather(s, &buf)])
}

// parted is figures where anything but letters may stand between the digits.
func parted(s string) string {
	return figures(strings.Map(func(r rune) rune {
		if r < 0x80 && !isDigit(byte(r)) && !isLetter(byte(r)) {
			return '-'
		}
		return r
	}, s))
}

func whySSN(s string) string {
	d := parted(s)
	if len(d) != 9 {
		return first(SSN(s), d == "", notOnlyDigits, "an SSN has nine digits")
	}
	return first(SSN(s),
		d == "123456789", "123-45-6789 stands as a placeholder far more often than for a person",
		d[:3] == "000", "area 000 is never given out",
		d[:3] == "666", "area 666 is never given out",
		d[0] == '9', "areas 900 to 999 are never given out as SSNs",
		d[3:5] == "00", "group 00 is never given out",
		"serial number 0000 is never given out")
}

func whySSNShort(s string) string {
	return first(SSNShort(s),
		len(s) != 7 && len(s) != 8 || !allDigits(s), "an SSN that lost its zeros has seven or eight digits",
		s != "" && s[0] == '0', "a number that lost its zeros does not begin with one",
		"with its zeros back it is no SSN that is given out")
}

func whyHICN(s string) string {
	i := len(s)
	for i > 0 && i > len(s)-2 && (isLetter(s[i-1]) || isDigit(s[i-1]) && i > 1 && isLetter(s[i-2])) {
		i--
	}
	return first(HICN(s),
		i == len(s), "a Medicare claim number ends in a letter, or a letter and one more letter or digit",
		"what stands before the suffix is no SSN: "+whySSN(strings.TrimRight(s[:i], "- ")))
}

func whyITIN(s string) string {
	d := figures(s)
	return first(ITIN(s),
		d == "", notOnlyDigits,
		len(d) != 9, "an ITIN has nine digits",
		d != "" && d[0] != '9', "an ITIN begins with 9",
		len(d) == 9 && d[3:5] == "93", "group 93 is that of an adoption number (ATIN)",
		"its group, the fourth and fifth digit, is none that IRS uses (50 to 65, 70 to 88, 90 to 92, 94 to 99)")
}

func whyMBI(s string) string {
	n, _ := alphanumerics(s)
	bad := strings.ContainsFunc(s, func(r rune) bool { return strings.ContainsRune("SLOIBZslobiz", r) })
	return first(MBI(s),
		n != 11, "an MBI has eleven letters and digits",
		bad, "an MBI has none of the letters S, L, O, I, B and Z",
		"its letters and digits do not stand where an MBI has them (digit 1-9, letter, letter or digit, digit, letter, letter or digit, digit, letter, letter, digit, digit)")
}

func whyNPI(s string) string {
	d := figures(s)
	return first(NPI(s),
		d == "", notOnlyDigits,
		len(d) != 10, "an NPI has ten digits",
		d != "" && d[0] != '1' && d[0] != '2', "an NPI begins with 1 or 2",
		"the last digit is not the check digit of the others (Luhn, with 80840 in front)")
}

func whyDEA(s string) string {
	if len(s) == 10 && (s[2] == '-' || s[2] == ' ') {
		s = s[:2] + s[3:]
	}
	return first(DEA(s),
		len(s) != 9 || !allDigits(s[2:]), "a DEA number is two letters, or a letter and a 9, and seven digits",
		!strings.ContainsRune("ABCDEFGHJKLMPRSTUX", rune(upper(s, 0))), "its first letter is none that DEA gives out",
		len(s) > 1 && !isLetter(s[1]) && s[1] != '9', "its second character is neither a letter nor 9",
		"the last digit is not the check digit of the six before it")
}

// upper is s[i], a small letter as a capital; 0 where there is none.
func upper(s string, i int) byte {
	if i >= len(s) {
		return 0
	}
	if isLetter(s[i]) {
		return s[i] &^ 0x20
	}
	return s[i]
}

func whyLuhn(s string) string {
	_, ok := anyDigits(s)
	return first(Luhn(s), !ok, "it has fewer than two digits, or is too long", luhnFails)
}

func whyCard(s string) string {
	d := parted(s)
	return first(Card(s),
		d == "", notOnlyDigits,
		len(d) < 12 || len(d) > 19, "a card's number has 12 to 19 digits",
		luhnSum(d)%10 != 0, luhnFails,
		d != "" && strings.Count(d, d[:1]) == len(d), "it is one digit over and over",
		"no issuer has cards of this length that begin like this")
}

func whyIBAN(s string) string {
	k := compact(s)
	at := -1
	if len(k) >= 2 {
		at = strings.Index(ibanLengths, k[:2])
	}
	known := at >= 0 && at%5 == 0
	return first(IBAN(s),
		k == "" || k != strings.Map(dropBlanks, s), "something other than capitals, digits, spaces and hyphens is in it",
		!known, "it does not begin with a country of the IBAN registry",
		known && len(k) != int(ibanLengths[max(at, 0)+2]-'0')*10+int(ibanLengths[max(at, 0)+3]-'0'), "its length is not that of its country's numbers",
		"its check digits are not those of the rest (mod 97)")
}

func dropBlanks(r rune) rune {
	if r == ' ' || r == '-' {
		return -1
	}
	return r
}

func whyABA(s string) string {
	d := figures(s)
	p := -1
	if len(d) >= 2 {
		p = int(d[0]-'0')*10 + int(d[1]-'0')
	}
	return first(ABA(s),
		d == "", notOnlyDigits,
		len(d) != 9, "a routing number has nine digits",
		!(p >= 1 && p <= 12 || p >= 21 && p <= 32 || p >= 61 && p <= 72 || p == 80), "it begins with the number of no Federal Reserve district",
		"the last digit is not the check digit of the others (weights 3, 7, 1)")
}

// dialled is the digits of s before any letter.
func dialled(s string) (d []byte) {
	for i := 0; i < len(s) && !isLetter(s[i]); i++ {
		if isDigit(s[i]) {
			d = append(d, s[i])
		}
	}
	return d
}

func whyNANP(s string) string {
	d := dialled(s)
	if len(d) == 11 && d[0] == '1' {
		d = d[1:]
	}
	return first(NANP(s),
		len(d) != 10, "a number of North America has ten digits, after 1 or without it",
		len(d) == 10 && d[0] < '2', "an area code begins with 2 to 9",
		len(d) == 10 && d[1] == '1' && d[2] == '1', "an area code does not end in 11",
		len(d) == 10 && d[3] < '2', "an exchange begins with 2 to 9",
		"it is too long")
}

func whyPhone(s string) string {
	n := len(dialled(s))
	return first(Phone(s), n < 7 || n > 15, "a telephone number has seven to fifteen digits", "it is one digit over and over")
}

func whyDate(s string) string {
	_, _, _, ok := Date(s)
	_, _, _, n := dateFields(s)
	return first(ok, n < 2 && len(dialled(s)) < 8, "no day, month and year can be read in it", "it is no day of the calendar, whichever way it is read")
}

func whyBirth(s string) string {
	if _, _, _, ok := Date(s); !ok {
		return whyDate(s)
	}
	return first(Birth(s), "nobody alive was born in that year: want 1880 to 2099")
}

func whyRecordNumber(s string) string {
	n, d := alphanumerics(s)
	return first(RecordNumber(s),
		n > 20, "it has more than twenty letters and digits",
		d < 4, "it has fewer than four digits",
		len(s) == 4, "it is a year",
		labelTouches(s), "the label of what comes next touches it",
		"it is a date")
}

func whyPlanID(s string) string {
	n, d := alphanumerics(s)
	return first(PlanID(s),
		n > 20, "it has more than twenty letters and digits",
		d < 3, "it has fewer than three digits",
		d == n && d < 5, "it is digits only, and fewer than five",
		"it is a date")
}

func whyICD10CM(s string) string {
	k := compact(s)
	return first(ICD10CM(s),
		len(k) < 3 || len(k) > 7, "a code has three to seven characters beside its dot",
		!ICD10CM(k[:min(3, len(k))]), "its first three characters are no category of ICD-10-CM",
		"what follows its category is not as codes are built")
}
