package patterns

import (
	"maps"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/scanner/check"
)

// inField are the validators that make do with less where the format itself says
// that a field is of the rule's type.
var inField = map[string]func(string) bool{
	"record-number": func(s string) bool { return check.FieldNumber(s) || check.RecordNumber(s) },
	"plan-id":       func(s string) bool { return check.FieldNumber(s) || check.PlanID(s) },
}

// validators are the names a rule may give as validator.
var validators = map[string]func(string) bool{
	"us-ssn":            check.SSN,
	"us-ssn-short":      check.SSNShort,
	"us-ssn-misread":    check.MisreadSSN,
	"us-itin":           check.ITIN,
	"us-hicn":           check.HICN,
	"mbi":               check.MBI,
	"npi":               check.NPI,
	"dea":               check.DEA,
	"luhn":              check.Luhn,
	"mod10":             check.Mod10,
	"mod11":             check.Mod11,
	"iso7064":           check.ISO7064,
	"nanp":              check.NANP,
	"phone":             check.Phone,
	"record-number":     check.RecordNumber,
	"birth":             check.Birth,
	"date":              func(s string) bool { _, _, _, ok := check.Date(s); return ok },
	"card":              check.Card,
	"iban":              check.IBAN,
	"iban-any-case":     func(s string) bool { return check.IBAN(strings.ToUpper(s)) },
	"us-routing":        check.ABA,
	"vin":               check.VIN,
	"vin-form":          check.LooseVIN,
	"ip":                check.IP,
	"mac":               check.MAC,
	"gtin":              check.GTIN,
	"ndc":               check.NDC,
	"loinc":             check.LOINC,
	"snomed":            check.SNOMED,
	"plan-id":           check.PlanID,
	"password":          check.Password,
	"password-word":     check.WordPassword,
	"verhoeff":          check.Verhoeff,
	"uk-nhs":            check.NHS,
	"us-ssn-scientific": check.ScientificSSN,
	"us-ssn-cut":        check.CutSSN,
	"card-truncated":    check.TruncatedCard,
	"card-scientific":   check.ScientificCard,
	"card-cut":          check.CutCard,
	"record-scientific": check.ScientificRecord,
	"birth-serial":      check.BirthDayNumber,
	"uk-nino":           check.NINO,
	"ca-sin":            check.SIN,
	"ca-ohip":           check.OHIP,
	"ca-bc-phn":         check.BCPHN,
	"ca-ramq":           check.RAMQ,
	"au-medicare":       check.AustralianMedicare,
	"at-sv":             check.AustrianSV,
	"bg-egn":            check.EGN,
	"cz-rc":             check.RodneCislo,
	"gr-amka":           check.AMKA,
	"hr-oib":            check.OIB,
	"ro-cnp":            check.CNP,
	"be-nn":             check.BelgianNN,
	"ch-ahv":            check.AHV,
	"de-tax-id":         check.GermanTaxID,
	"de-kvnr":           check.KVNR,
	"dk-cpr":            check.CPR,
	"es-dni":            check.DNI,
	"fi-hetu":           check.HETU,
	"fr-nir":            check.NIR,
	"ie-pps":            check.PPS,
	"it-cf":             check.CodiceFiscale,
	"nl-bsn":            check.BSN,
	"no-fnr":            check.Fodselsnummer,
	"pl-pesel":          check.PESEL,
	"pt-nif":            check.NIF,
	"se-pnr":            check.Personnummer,
}

// births are the validators of days on which people were born.
var births = map[string]bool{"birth": true, "birth-serial": true}

// dictionary is what a rule may give as dictionary.
type dictionary struct {
	table    string                  // the imported table it asks, where there is one
	form     func(value string) bool // what passes by its form
	billable bool                    // what the table has as a billable code passes, and nothing else
}

// dictionaries are the names a rule may give as dictionary.
var dictionaries = map[string]dictionary{
	"icd10cm":          {table: "icd10cm", form: check.ICD10CM},
	"icd10cm-billable": {table: "icd10cm", billable: true},
}

// Table is a code table that the site has imported.
type Table interface {
	// Lists reports whether the table has value, as it stands in a text, as a
	// code or a heading.
	Lists(value string) bool
	// Bills reports whether the table has value as a code that can be billed,
	// which a heading cannot.
	Bills(value string) bool
	// Digest names the content of the table.
	Digest() string
}

// check returns what a value must pass, given the imported table, which may be
// nil.
func (d dictionary) check(t Table) func(value string) bool {
	switch {
	case t == nil && d.billable:
		return func(string) bool { return false }
	case t == nil:
		return d.form
	case d.billable:
		return t.Bills
	}
	return func(value string) bool { return d.form(value) || t.Lists(value) }
}

// formed stands for a table in a rule's own tests: it has all that has the form,
// so that what the tests find does not change with the year.
type formed struct{}

func (formed) Lists(value string) bool { return check.ICD10CM(value) }
func (formed) Bills(value string) bool { return check.ICD10CM(value) }
func (formed) Digest() string          { return "" }

// Validators lists the names a rule may give as validator, sorted.
func Validators() []string { return slices.Sorted(maps.Keys(validators)) }

// Dictionaries lists the names a rule may give as dictionary, sorted.
func Dictionaries() []string { return slices.Sorted(maps.Keys(dictionaries)) }

// oneOf words a choice for an error.
func oneOf(names []string) string { return "one of " + strings.Join(names, ", ") }
