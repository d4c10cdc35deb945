package check_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/scanner/check"
)

func TestMoreIdentifiers(t *testing.T) {
	tests := []struct {
		name  string
		check func(string) bool
		value string
		want  bool
	}{
		{"visa", check.Card, "4111-1111-1111-1111", true},
		{"amex", check.Card, "378282246310005", true},
		{"mastercard of the newer range", check.Card, "2223003122003222", true},
		{"diners", check.Card, "30569309025904", true},
		{"maestro", check.Card, "6304000000000000", true},
		{"card with a wrong digit", check.Card, "4111111111111112", false},
		{"card of no issuer", check.Card, "9111111111111111", false},
		{"visa of fifteen digits", check.Card, "411111111111116", false},
		{"card of zeros", check.Card, "0000000000000000", false},
		{"card too long for its issuer", check.Card, "3782822463100050", false},
		{"iban", check.IBAN, "DE89 3704 0044 0532 0130 00", true},
		{"iban of norway", check.IBAN, "NO9386011117947", true},
		{"iban one short", check.IBAN, "DE8937040044053201300", false},
		{"iban wrong check", check.IBAN, "DE88370400440532013000", false},
		{"iban of no country", check.IBAN, "AB150120690000003111141", false},
		{"iban in small letters", check.IBAN, "de89370400440532013000", false},
		{"aba", check.ABA, "021000021", true},
		{"aba wrong digit", check.ABA, "021000022", false},
		{"aba of no district", check.ABA, "990000008", false},
		{"vin", check.VIN, "1HGCM82633A004352", true},
		{"vin of X", check.VIN, "1M8GDM9AXKP042788", true},
		{"vin wrong check", check.VIN, "1HGCM82633A004353", false},
		{"vin with I", check.VIN, "1HGCM8263IA004352", false},
		{"vin of digits", check.VIN, "11111111111111111", false},
		{"vin of europe", check.LooseVIN, "WVWZZZ1JZ3W386752", true},
		{"ip", check.IP, "10.1.2.3", true},
		{"ip 6", check.IP, "2001:db8::1", true},
		{"ip with prefix", check.IP, "10.1.2.0/24", true},
		{"ip past 255", check.IP, "10.1.2.256", false},
		{"ip with a leading zero", check.IP, "10.1.2.03", false},
		{"netmask", check.IP, "255.255.255.0", false},
		{"loopback", check.IP, "127.0.0.1", false},
		{"unspecified", check.IP, "::", false},
		{"mac", check.MAC, "00:1b:44:11:3A:B7", true},
		{"mac mixed separators", check.MAC, "00:1b-44:11:3A:B7", false},
		{"mac broadcast", check.MAC, "ff:ff:ff:ff:ff:FF", false},
		{"gtin", check.GTIN, "(01)00844588003288", true},
		{"gtin wrong digit", check.GTIN, "00844588003289", false},
		{"loinc", check.LOINC, "2345-7", true},
		{"loinc wrong digit", check.LOINC, "2345-8", false},
		{"snomed", check.SNOMED, "73211009", true},
		{"snomed wrong digit", check.SNOMED, "73211008", false},
		{"ndc 5-4-2", check.NDC, "00002-7510-01", true},
		{"ndc 6-4-2", check.NDC, "123456-1234-12", true},
		{"ndc bare", check.NDC, "00002751001", true},
		{"ndc 3-4-2", check.NDC, "123-1234-12", false},
		{"plan id", check.PlanID, "HPN-987654", true},
		{"plan id short with letters", check.PlanID, "ABC123", true},
		{"plan id short without", check.PlanID, "1234", false},
		{"plan id that is a date", check.PlanID, "03-04-1961", false},
		{"nhs", check.NHS, "943 476 5919", true},
		{"nhs wrong digit", check.NHS, "943 476 5918", false},
		{"nino", check.NINO, "AB 12 34 56 C", true},
		{"nino of no prefix", check.NINO, "BG123456C", false},
		{"nino suffix", check.NINO, "AB123456E", false},
		{"sin", check.SIN, "130 692 544", true},
		{"sin wrong digit", check.SIN, "130 692 543", false},
		{"ohip", check.OHIP, "9876543217", true},
		{"ohip version", check.OHIP, "9876-543-217-AB", true},
		{"ohip wrong digit", check.OHIP, "9876543216", false},
		{"bc phn", check.BCPHN, "9698 658 215", true},
		{"bc phn wrong digit", check.BCPHN, "9698658216", false},
		{"ramq", check.RAMQ, "TREM 8462 1512", true},
		{"ramq of no month", check.RAMQ, "TREM 8499 1512", false},
		{"german tax id", check.GermanTaxID, "86095742719", true},
		{"german tax id wrong digit", check.GermanTaxID, "86095742718", false},
		{"kvnr", check.KVNR, "A123456780", true},
		{"kvnr wrong digit", check.KVNR, "A123456781", false},
		{"nir", check.NIR, "2 55 08 14 168 025 38", true},
		{"nir wrong key", check.NIR, "255081416802539", false},
		{"dni", check.DNI, "12345678Z", true},
		{"nie", check.DNI, "X1234567L", true},
		{"dni wrong letter", check.DNI, "12345678A", false},
		{"codice fiscale", check.CodiceFiscale, "RSSMRA85T10A562S", true},
		{"codice fiscale wrong letter", check.CodiceFiscale, "RSSMRA85T10A562T", false},
		{"bsn", check.BSN, "111222333", true},
		{"bsn wrong digit", check.BSN, "111222334", false},
		{"belgium", check.BelgianNN, "93.05.18-223.61", true},
		{"belgium wrong key", check.BelgianNN, "93.05.18-223.62", false},
		{"belgium since 2000", check.BelgianNN, "04.03.05-123.55", true},
		{"cnp", check.CNP, "1630615123457", true},
		{"cnp wrong digit", check.CNP, "1630615123458", false},
		{"cnp of no month", check.CNP, "1631315123457", false},
		{"rodné číslo", check.RodneCislo, "710319/2745", true},
		{"rodné číslo of a woman", check.RodneCislo, "8552131236", true},
		{"rodné číslo wrong digit", check.RodneCislo, "710319/2746", false},
		{"rodné číslo of no month", check.RodneCislo, "7113192745", false},
		{"egn", check.EGN, "7523169263", true},
		{"egn of 1861", check.EGN, "6123041419", true},
		{"egn wrong digit", check.EGN, "7523169264", false},
		{"oib", check.OIB, "33392005961", true},
		{"oib wrong digit", check.OIB, "33392005962", false},
		{"amka", check.AMKA, "01013099997", true},
		{"amka wrong digit", check.AMKA, "01013099998", false},
		{"amka of no day", check.AMKA, "41013099997", false},
		{"password of letters", check.WordPassword, "correcthorse", true},
		{"password, a word of the sentence", check.WordPassword, "required", false},
		{"password, too short", check.WordPassword, "horse", false},
		{"password, with a digit", check.WordPassword, "horse1horse", false},
		{"pesel", check.PESEL, "44051401359", true},
		{"pesel wrong digit", check.PESEL, "44051401358", false},
		{"personnummer", check.Personnummer, "811218-9876", true},
		{"personnummer wrong digit", check.Personnummer, "811218-9875", false},
		{"hetu", check.HETU, "131052-308T", true},
		{"hetu wrong character", check.HETU, "131052-308U", false},
		{"fodselsnummer", check.Fodselsnummer, "29029600013", true},
		{"fodselsnummer wrong digit", check.Fodselsnummer, "29029600014", false},
		{"ahv", check.AHV, "756.9217.0769.85", true},
		{"ahv wrong digit", check.AHV, "756.9217.0769.84", false},
		{"austria", check.AustrianSV, "1237 010180", true},
		{"austria wrong digit", check.AustrianSV, "1238 010180", false},
		{"pps", check.PPS, "1234567T", true},
		{"pps of two letters", check.PPS, "1234567FA", true},
		{"pps wrong letter", check.PPS, "1234567A", false},
		{"nif", check.NIF, "123456789", true},
		{"nif wrong digit", check.NIF, "123456788", false},
		{"cpr", check.CPR, "070761-4285", true},
		{"cpr of no month", check.CPR, "071361-4285", false},
		{"australian medicare", check.AustralianMedicare, "2123 45670 1", true},
		{"australian medicare wrong digit", check.AustralianMedicare, "2123 45671 1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.check(tt.value); got != tt.want {
				t.Errorf("%q: %t, want %t", tt.value, got, tt.want)
			}
		})
	}
}

// TestFacts: what the issuers say of their numbers, at its edges.
func TestFacts(t *testing.T) {
	tests := []struct {
		name  string
		check func(string) bool
		yes   []string
		no    []string
	}{
		{"ssn: areas", check.SSN, []string{"001-01-0001", "665-22-8145", "667-22-8145", "700-22-8145", "728-22-8145", "734-22-8145", "749-22-8145", "772-22-8145", "773-22-8145", "899-22-8145"},
			[]string{"000-22-8145", "666-22-8145", "900-22-8145", "999-22-8145", "536-00-8145", "536-22-0000"}},
		{"ssn: letters for digits", check.MisreadSSN, []string{"536-22-8l45", "5O6 22 81S5", "536.ZB.8145", "S36-22-8145"}, []string{"536-22-8145", "5OO-Ol-8l45", "536-22-8x45", "5a6-22-8145", "9O6-22-8145", "O0O-22-8145", "536-22-8l4", "536l22l8145", "536228l45", ""}},
		{"ssn: zeros lost", check.SSNShort, []string{"36228145", "1020006"}, []string{"036228145", "536228145", "100001", "36008145", "36220000"}},
		{"itin: groups", check.ITIN, []string{"900-50-1234", "999-65-1234", "912-70-1234", "912-88-1234", "912-90-1234", "912-92-1234", "912-94-1234", "912-99-1234"},
			[]string{"912-49-1234", "912-66-1234", "912-69-1234", "912-89-1234", "912-93-1234", "812-70-1234"}},
		{"mbi: positions", check.MBI, []string{"1A00A00AA00", "9YY9YY9YY99", "1EG4-TE5-MK73"},
			[]string{"0A00A00AA00", "1S00A00AA00", "1A00B00AA00", "1A00A00IA00", "1A00A00AZ00", "1A0AA00AA00", "1A00A0AAA00", "A100A00AA00", "1A00-A00AA-00"}},
		{"npi: first digits", check.NPI, []string{"1234567893", "2000000002"}, []string{"1234567894", "0234567899", "3234567899"}},
		{"dea: letters", check.DEA, []string{"AB1234563", "F91234563", "XY1234563", "ma1234563"}, []string{"NB1234563", "IB1234563", "A81234563", "AB1234562"}},
		{"ndc: forms", check.NDC, []string{"0002-7510-01", "50242-040-62", "60575-4112-1", "00002-7510-01", "123456-7890-12", "00002751001"},
			[]string{"002-7510-01", "0002-7510-1", "00002-7510-001", "1234567-7890-12", "000027510011"}},
		{"icd-10-cm: letters in the third place", check.ICD10CM, []string{"C4A.0", "C7A.00", "C7B.1", "D3A.00", "M1A.00X0", "O9A.11", "Z3A.20", "U07.0", "U07.1", "U09.9", "S72.001A", "T36.0X1A", "I10"},
			[]string{"C4B.0", "E1A.9", "U08.1", "A1.1", "E11.12345"}},
		{"loinc: one to five digits", check.LOINC, []string{"2345-7", "34133-9", "8480-6"}, []string{"2345-6", "123456-7", "-7", "0-0"}},
		{"hl7 table 0061, M10", check.Mod10, []string{"123455"}, []string{"123454"}}, // the standard's own example
		{"hl7 table 0061, M11", check.Mod11, []string{"123455"}, []string{"123454"}},
		{"iban: a country's length", check.IBAN, []string{"NO9386011117947", "MT84MALT011000012345MTLCAST001S"}, []string{"NO93860111179470", "MT84MALT011000012345MTLCAST001"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range tt.yes {
				if !tt.check(v) {
					t.Errorf("%q is refused, want it to pass", v)
				}
			}
			for _, v := range tt.no {
				if tt.check(v) {
					t.Errorf("%q passes, want it refused", v)
				}
			}
		})
	}
}

// TestVerhoeff: it notices every wrong digit and every two that changed places.
func TestVerhoeff(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		body, good := fmt.Sprint(10000+r.IntN(1e8)), ""
		for d := range 10 {
			if s := body + fmt.Sprint(d); check.Verhoeff(s) {
				if good != "" {
					t.Fatalf("two check digits after %s, want one", body)
				}
				good = s
			}
		}
		for i := range len(good) - 1 {
			b := []byte(good)
			b[i], b[i+1] = b[i+1], b[i]
			if b[i] != b[i+1] && check.Verhoeff(string(b)) {
				t.Fatalf("%s and %s pass, want one", good, b)
			}
		}
	}
}

// TestBirthToCome: a day that is still to come is told, wherever on earth it has
// begun; two digits of a year are of another century.
func TestBirthToCome(t *testing.T) {
	now := time.Date(2026, time.November, 26, 11, 0, 0, 0, time.UTC)
	for s, want := range map[string]bool{
		"03/04/2061": true, "2026-11-28": true, "20270101": true, "202701011200": true, "March 3, 2027": true, "3rd of March 2027": true, "50000": true,
		"2026-11-26": false, "2026-11-27": false, "03/04/1961": false, "3/4/27": false, "3-4-29": false, "19610304": false, "29314": false, "1961": false, "x": false, "": false,
	} {
		if got := check.BirthToCome(s, now); got != want {
			t.Errorf("%s: to come %t, want %t", s, got, want)
		}
	}
}

// TestRecordNumberAndLabel: the label of what comes next is no part of a number.
func TestRecordNumberAndLabel(t *testing.T) {
	for s, want := range map[string]bool{
		"4482913DOB": false, "4482913dob": false, "E4482913Name": false, "4482913DOB03": false, "4482913SSN": false,
		"87342GH": true, "4482913D": true, "4482913DO": true, "448DOB44": true, "JD256960B": true, "12345-NYP": true,
	} {
		if got := check.RecordNumber(s); got != want {
			t.Errorf("%s: %t, want %t", s, got, want)
		}
	}
}
