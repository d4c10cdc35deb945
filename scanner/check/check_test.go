package check_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/scanner/check"
)

func TestIdentifiers(t *testing.T) {
	tests := []struct {
		name  string
		check func(string) bool
		value string
		want  bool
	}{
		{"ssn", check.SSN, "536-22-8145", true},
		{"ssn bare", check.SSN, "536228145", true},
		{"ssn of an area given out since 2011", check.SSN, "773-22-8145", true},
		{"ssn of the railroads", check.SSN, "700-22-8145", true},
		{"ssn area 000", check.SSN, "000-22-8145", false},
		{"ssn area 666", check.SSN, "666-22-8145", false},
		{"ssn area 900", check.SSN, "900-22-8145", false},
		{"ssn group 00", check.SSN, "536-00-8145", false},
		{"ssn serial 0000", check.SSN, "536-22-0000", false},
		{"ssn placeholder", check.SSN, "123-45-6789", false},
		{"ssn too short", check.SSN, "536-22-814", false},
		{"ssn with a letter", check.SSN, "536-22-814A", false},
		{"ssn very long", check.SSN, strings.Repeat("5", 500), false},
		{"hicn", check.HICN, "536-22-8145A", true},
		{"hicn of two characters", check.HICN, "536-22-8145B1", true},
		{"hicn without suffix", check.HICN, "536-22-8145", false},
		{"hicn empty", check.HICN, "", false},
		{"hicn one letter", check.HICN, "A", false},
		{"itin", check.ITIN, "912-70-1234", true},
		{"itin group 50", check.ITIN, "912-50-1234", true},
		{"itin group 66", check.ITIN, "912-66-1234", false},
		{"itin group 89", check.ITIN, "912-89-1234", false},
		{"itin group 93 is an atin", check.ITIN, "912-93-1234", false},
		{"itin not 9", check.ITIN, "812-70-1234", false},
		{"mbi", check.MBI, "1EG4-TE5-MK73", true},
		{"mbi bare and small", check.MBI, "1eg4te5mk73", true},
		{"mbi specimen with S", check.MBI, "1S00A00AA00", false},
		{"mbi first 0", check.MBI, "0EG4TE5MK73", false},
		{"mbi too long", check.MBI, "1EG4TE5MK733", false},
		{"mbi over a line's end", check.MBI, "1EG4-TE5-\r\nMK73", true},
		{"mbi one by one", check.MBI, "1 E G 4 T E 5 M K 7 3", true},
		{"mbi, one blank elsewhere", check.MBI, "1 EG4TE5MK73", false},
		{"ssn parted by anything", check.SSN, "(536),22:\n8145", true},
		{"ssn with a letter", check.SSN, "536x22x8145", false},
		{"card over a line's end", check.Card, "4111 1111\n1111/1111", true},
		{"mbi hyphen elsewhere", check.MBI, "1E-G4TE5MK73", false},
		{"npi", check.NPI, "1234567893", true},
		{"npi grouped", check.NPI, "1234 567 893", true},
		{"npi wrong digit", check.NPI, "1234567890", false},
		{"npi first 3", check.NPI, "3234567893", false},
		{"dea", check.DEA, "AB1234563", true},
		{"dea of a business", check.DEA, "F91234563", true},
		{"dea wrong digit", check.DEA, "AB1234564", false},
		{"dea first letter not in use", check.DEA, "QB1234563", false},
		{"luhn", check.Luhn, "4111 1111 1111 1111", true},
		{"luhn one digit", check.Luhn, "0", false},
		{"mod11 of hl7", check.Mod11, "12345-5", true},
		{"mod11 wrong", check.Mod11, "12345-6", false},
		{"mod11 of hl7, its example", check.Mod11, "1234567-4", true},
		{"mod11 remainder 1", check.Mod11, "00006-0", true},
		{"mod11 remainder 0", check.Mod11, "00031-0", true},
		{"iso 7064 of the standard", check.ISO7064, "07945", true},
		{"iso 7064 wrong", check.ISO7064, "07946", false},
		{"nanp", check.NANP, "+1 (212) 555-0142 x99", true},
		{"nanp area 0", check.NANP, "012-555-0142", false},
		{"nanp area 911", check.NANP, "911-555-0142", false},
		{"phone", check.Phone, "0393 1144137", true},
		{"phone of zeros", check.Phone, "000-0000", false},
		{"record number", check.RecordNumber, "RB-123456", true},
		{"number of a field", check.FieldNumber, "DB1", true},
		{"number of a field that is none", check.FieldNumber, "N/A", false},
		{"number of a field that is naught", check.FieldNumber, "0-00", false},
		{"number of a field that is short", check.FieldNumber, "29", false},
		{"number of a field that is a date", check.FieldNumber, "2023-04-12", false},
		{"record number that is a year", check.RecordNumber, "2023", false},
		{"record number that is a date", check.RecordNumber, "2023-04-12", false},
		{"birth", check.Birth, "03/04/1961", true},
		{"birth day first", check.Birth, "31.12.1961", true},
		{"birth compact", check.Birth, "19610304", true},
		{"birth hl7 time", check.Birth, "196103041530-0500", true},
		{"birth in words", check.Birth, "March 3, 1961", true},
		{"birth in words, day first", check.Birth, "3rd of Mar. 1961", true},
		{"birth two digits", check.Birth, "3-4-61", true},
		{"birth on a leap day", check.Birth, "02/29/1960", true},
		{"birth on no leap day", check.Birth, "02/29/1961", false},
		{"birth 30 february", check.Birth, "1961-02-30", false},
		{"birth before anyone alive", check.Birth, "03/04/1761", false},
		{"birth in other words", check.Birth, "room 3 bed 1961", false},
		{"icd10", check.ICD10CM, "E11.9", true},
		{"icd10 without dot", check.ICD10CM, "E119", true},
		{"icd10 seventh character", check.ICD10CM, "S72.001A", true},
		{"icd10 placeholder", check.ICD10CM, "T36.0X1A", true},
		{"icd10 covid", check.ICD10CM, "U07.1", true},
		{"icd10 letter in category", check.ICD10CM, "C7A.00", true},
		{"icd10 no such category", check.ICD10CM, "D99.9", false},
		{"icd10 no such letter", check.ICD10CM, "D3B.1", false},
		{"icd10 dot and nothing", check.ICD10CM, "E11.", false},
		{"icd10 too long", check.ICD10CM, "E11.98765", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.check(tt.value); got != tt.want {
				t.Errorf("%q: %t, want %t", tt.value, got, tt.want)
			}
		})
	}
}

// TestCheckDigits: of the ten numbers that differ in the last digit only, a
// scheme takes one.
func TestCheckDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, scheme := range map[string]func(string) bool{"luhn": check.Luhn, "mod10": check.Mod10, "mod11": check.Mod11, "iso7064": check.ISO7064} {
		for range 2000 {
			body, n := fmt.Sprint(10+r.IntN(1e9)), 0
			for d := range 10 {
				if scheme(body + fmt.Sprint(d)) {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("%s takes %d last digits after %s, want 1", name, n, body)
			}
		}
	}
}

func FuzzChecks(f *testing.F) {
	for _, s := range []string{"", "-", "536-22-8145A", "1EG4-TE5-MK73", "March 3, 1961", "19610304", "C7A.00", "\xff0", "٥"} {
		f.Add(s)
	}
	all := []func(string) bool{check.SSN, check.HICN, check.ITIN, check.MBI, check.NPI, check.DEA, check.Luhn, check.Mod10, check.Mod11,
		check.ISO7064, check.NANP, check.Phone, check.RecordNumber, check.Birth, check.ICD10CM,
		check.Card, check.IBAN, check.ABA, check.VIN, check.LooseVIN, check.IP, check.MAC, check.GTIN, check.LOINC, check.SNOMED, check.Verhoeff, check.NDC, check.PlanID, check.Password,
		check.NHS, check.NINO, check.SIN, check.OHIP, check.BCPHN, check.RAMQ, check.GermanTaxID, check.KVNR, check.NIR, check.DNI, check.CodiceFiscale, check.BSN, check.BelgianNN,
		check.PESEL, check.Personnummer, check.HETU, check.Fodselsnummer, check.AHV, check.AustrianSV, check.PPS, check.NIF, check.CPR, check.AustralianMedicare,
		check.CNP, check.RodneCislo, check.EGN, check.OIB, check.AMKA, check.WordPassword,
		check.TruncatedCard, check.ScientificSSN, check.CutSSN, check.ScientificCard, check.CutCard, check.ScientificRecord, check.BirthDayNumber}
	f.Fuzz(func(t *testing.T, s string) {
		for i, ok := range all {
			if ok(s) && len(s) == 0 {
				t.Errorf("function %d takes the empty string", i)
			}
		}
		if check.SSN(s) && check.ITIN(s) {
			t.Errorf("%q is both an SSN and an ITIN, want at most one", s)
		}
		if y, m, d, ok := check.Date(s); ok {
			if y2, m2, d2, ok2 := check.Date(fmt.Sprintf("%04d-%02d-%02d", y, m, d)); !ok2 || y != y2 || m != m2 || d != d2 {
				t.Errorf("%q read as %d-%d-%d, which reads as %d-%d-%d", s, y, m, d, y2, m2, d2)
			}
		}
	})
}
