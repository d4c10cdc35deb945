package patterns

import (
	"maps"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/scanner/check"
)

// validators are the names a rule may give as validator.
var validators = map[string]func(string) bool{
	"us-ssn":        check.SSN,
	"us-ssn-short":  check.SSNShort,
	"us-itin":       check.ITIN,
	"us-hicn":       check.HICN,
	"mbi":           check.MBI,
	"npi":           check.NPI,
	"dea":           check.DEA,
	"luhn":          check.Luhn,
	"mod10":         check.Mod10,
	"mod11":         check.Mod11,
	"iso7064":       check.ISO7064,
	"nanp":          check.NANP,
	"phone":         check.Phone,
	"record-number": check.RecordNumber,
	"birth":         check.Birth,
	"date":          func(s string) bool { _, _, _, ok := check.Date(s); return ok },
	"card":          check.Card,
	"iban":          check.IBAN,
	"iban-any-case": func(s string) bool { return check.IBAN(strings.ToUpper(s)) },
	"us-routing":    check.ABA,
	"vin":           check.VIN,
	"vin-form":      check.LooseVIN,
	"ip":            check.IP,
	"mac":           check.MAC,
	"gtin":          check.GTIN,
	"ndc":           check.NDC,
	"loinc":         check.LOINC,
	"snomed":        check.SNOMED,
	"plan-id":       check.PlanID,
	"password":      check.Password,
	"verhoeff":      check.Verhoeff,
	"uk-nhs":        check.NHS,
	"uk-nino":       check.NINO,
	"ca-sin":        check.SIN,
	"ca-ohip":       check.OHIP,
	"ca-bc-phn":     check.BCPHN,
	"ca-ramq":       check.RAMQ,
	"au-medicare":   check.AustralianMedicare,
	"at-sv":         check.AustrianSV,
	"be-nn":         check.BelgianNN,
	"ch-ahv":        check.AHV,
	"de-tax-id":     check.GermanTaxID,
	"de-kvnr":       check.KVNR,
	"dk-cpr":        check.CPR,
	"es-dni":        check.DNI,
	"fi-hetu":       check.HETU,
	"fr-nir":        check.NIR,
	"ie-pps":        check.PPS,
	"it-cf":         check.CodiceFiscale,
	"nl-bsn":        check.BSN,
	"no-fnr":        check.Fodselsnummer,
	"pl-pesel":      check.PESEL,
	"pt-nif":        check.NIF,
	"se-pnr":        check.Personnummer,
}

// dictionaries are the names a rule may give as dictionary.
var dictionaries = map[string]func(string) bool{
	"icd10cm": check.ICD10CM,
}

// Validators lists the names a rule may give as validator, sorted.
func Validators() []string { return slices.Sorted(maps.Keys(validators)) }

// Dictionaries lists the names a rule may give as dictionary, sorted.
func Dictionaries() []string { return slices.Sorted(maps.Keys(dictionaries)) }

// oneOf words a choice for an error.
func oneOf(names []string) string { return "one of " + strings.Join(names, ", ") }
