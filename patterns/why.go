package patterns

import "github.com/stanch-dlp/stanch/scanner/check"

// Refusal is a check that a value does not pass.
type Refusal struct {
	Check string // the validator's or the dictionary's name, "site.mrn" for the site's form
	Why   string // in plain words, without any part of the value
}

// Refusals returns the checks of the pattern that value does not pass, as Checks
// has them.
func (p *Pattern) Refusals(value string, field bool) (out []Refusal) {
	refuse := func(check func(string) bool, name string) {
		if !check(value) {
			out = append(out, Refusal{name, why(name, value)})
		}
	}
	if p.Validator != "" {
		refuse(p.validator(field), p.Validator)
		if _, less := inField[p.Validator]; field && less && len(out) > 0 {
			out[0].Why = "also where a field says what it holds it takes three to twenty letters and digits, one of them a digit other than 0, and no date"
		}
	}
	if p.Dictionary != "" {
		refuse(dictionaries[p.Dictionary].check(p.table), p.Dictionary)
	}
	if p.Site != nil {
		refuse(p.Site.Valid, siteMRN)
	}
	return out
}

// Note says what is known of a value that passes the check of that name, "" for
// nothing beside that it passes. Only with reveal does it hold what can be read in
// value.
func Note(name, value string, reveal bool) string { return check.Note(name, value, reveal) }

// why is the check's own reason, or what it asks for.
func why(name, value string) string {
	if w := check.Why(name, value); w != "" {
		return w
	}
	if w, ok := wants[name]; ok {
		return "it is not " + w
	}
	return "it does not pass this check"
}

// wants is what the checks ask for that have no reasons of their own.
var wants = map[string]string{
	"mod11":             "a number whose last digit checks the others (M11 of HL7 table 0061)",
	"iso7064":           "a number whose last digit checks the others (ISO 7064 MOD 11,10)",
	"verhoeff":          "a number whose last digit checks the others (Verhoeff)",
	"vin":               "seventeen letters and digits as a VIN has them, the ninth the check digit of North America",
	"vin-form":          "seventeen letters and digits as a VIN has them, three letters among them",
	"ip":                "an address of a host that can be somebody's",
	"mac":               "the address of a network card: six pairs with one separator, not all the same",
	"gtin":              "a number of fourteen digits that ends in its check digit",
	"ndc":               "ten to twelve digits in the groups of a drug code",
	"loinc":             "a LOINC code with its check digit",
	"snomed":            "a SNOMED CT concept with its check digit",
	"password":          "what somebody would write down as a password: a word, a placeholder or a piece of a program, or too short",
	"password-word":     "eight letters or more that are no word of a form or a program",
	"icd10cm-billable":  "in an imported table, as a code that can be billed",
	siteMRN:             "in the site's range, or lacks its check digit",
	"us-ssn-misread":    "an SSN in which one to three letters stand for digits that they look like (O, o, l, I, Z, S, B)",
	"us-ssn-scientific": "an SSN in scientific notation, with all its digits",
	"us-ssn-cut":        "a number of seven to nine digits in scientific notation that may have been an SSN",
	"card-truncated":    "16 to 19 digits, zeros behind the fifteenth, that begin like the cards of an issuer",
	"card-scientific":   "a card's number in scientific notation, with the fifteen digits that a spreadsheet keeps",
	"card-cut":          "a number in scientific notation that may have been a card's",
	"record-scientific": "a number of five to twenty digits in scientific notation",
	"birth-serial":      "the number by which a spreadsheet keeps a date of birth: four or five digits that are no year",
	"uk-nhs":            "ten digits, the last by mod 11",
	"uk-nino":           "two letters that may begin one, six digits and A to D",
	"ca-sin":            "nine digits, the first neither 0 nor 8, the last by Luhn",
	"ca-ohip":           "ten digits, the last by Luhn, and perhaps a version of letters",
	"ca-bc-phn":         "ten digits from 9, the last by mod 11",
	"ca-ramq":           "four letters, a date of birth and two digits",
	"au-medicare":       "ten digits from 2 to 6, the ninth a check digit",
	"at-sv":             "four digits, the last of which checks the others, and a date of birth",
	"bg-egn":            "a date of birth and four digits, the last by mod 11",
	"cz-rc":             "a date of birth and four digits, in all divisible by 11",
	"gr-amka":           "a date of birth and five digits, the last by Luhn",
	"hr-oib":            "eleven digits, the last by ISO 7064 MOD 11,10",
	"ro-cnp":            "thirteen digits with a date of birth, the last by mod 11",
	"be-nn":             "a date of birth, an order and 97 less the rest by 97",
	"ch-ahv":            "thirteen digits from 756, the last a check digit",
	"de-tax-id":         "eleven digits as a tax number has them, the last a check digit",
	"de-kvnr":           "a letter and nine digits, the last a check digit",
	"dk-cpr":            "a date of birth and four digits",
	"es-dni":            "eight digits, or X, Y or Z and seven, and their letter by mod 23",
	"fi-hetu":           "a date of birth, a sign, three digits and their character by mod 31",
	"fr-nir":            "a number of thirteen with its key by mod 97",
	"ie-pps":            "seven digits and their letter by mod 23",
	"it-cf":             "sixteen characters, the last of which checks the others",
	"nl-bsn":            "nine digits that pass the eleven test",
	"no-fnr":            "a date of birth, three digits and two check digits",
	"pl-pesel":          "a date of birth and five digits, the last a check digit",
	"pt-nif":            "nine digits of a person, the last by mod 11",
	"se-pnr":            "a date of birth and four digits, the last by Luhn",
}
