package patterns

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/scanner/check"
)

// Site is what the rules take from the site's configuration ([site] in
// stanch.toml).
type Site struct {
	// MRN lists the forms of the site's own medical record numbers. Without
	// any, record numbers are found by their label only.
	MRN []MRNFormat `toml:"mrn"`
}

// MRNFormat is the form of one issuer's medical record numbers.
type MRNFormat struct {
	// Issuer names who gives the numbers out, for people to read.
	Issuer string `toml:"issuer"`
	// Regex is the form, RE2, matched as a whole word.
	Regex string `toml:"regex"`
	// Distinctive says that the shape alone is worth confidence medium.
	Distinctive bool `toml:"distinctive"`
	// Check is the check digit at the end: "mod10", "mod11" or "iso7064"
	// (HL7 table 0061), "" for none.
	Check string `toml:"check"`
	// Range is the lowest and the highest number in use, by digits alone;
	// empty for no bound.
	Range []string `toml:"range"`
}

// Validate reports a value that cannot be used, as a *dlp.KeyError whose key
// is relative to the table: "mrn[0].regex".
func (s *Site) Validate() error {
	for i := range s.MRN {
		if err := s.MRN[i].validate(); err != nil {
			err.Key = "mrn[" + itoa(i) + "]." + err.Key
			return err
		}
	}
	return nil
}

func (f *MRNFormat) validate() *dlp.KeyError {
	if _, _, err := ParseRegex(f.Regex); err != nil {
		return &dlp.KeyError{Key: "regex", Want: err.Error()}
	}
	switch f.Check {
	case "", "mod10", "mod11", "iso7064":
	default:
		return &dlp.KeyError{Key: "check", Want: `"mod10", "mod11", "iso7064" or ""`}
	}
	if len(f.Range) == 0 {
		return nil
	}
	if len(f.Range) != 2 || onlyDigits(f.Range[0]) == "" || onlyDigits(f.Range[1]) == "" ||
		compareNumbers(onlyDigits(f.Range[0]), onlyDigits(f.Range[1])) > 0 {
		return &dlp.KeyError{Key: "range", Want: "two numbers, the lowest and the highest"}
	}
	return nil
}

// Valid reports whether value, which has the form, passes check digit and
// range.
func (f *MRNFormat) Valid(value string) bool {
	switch f.Check {
	case "mod10":
		if !check.Mod10(value) {
			return false
		}
	case "mod11":
		if !check.Mod11(value) {
			return false
		}
	case "iso7064":
		if !check.ISO7064(value) {
			return false
		}
	}
	if len(f.Range) != 2 {
		return true
	}
	d := onlyDigits(value)
	return compareNumbers(d, onlyDigits(f.Range[0])) >= 0 && compareNumbers(d, onlyDigits(f.Range[1])) <= 0
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// compareNumbers compares two runs of digits by value.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
