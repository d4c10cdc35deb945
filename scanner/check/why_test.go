package check_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/scanner/check"
)

func TestWhy(t *testing.T) {
	tests := []struct{ check, value, want string }{
		{"us-ssn", "536-22-8145", ""},
		{"us-ssn", "912-22-8145", "areas 900 to 999"},
		{"us-ssn", "000-22-8145", "area 000"},
		{"us-ssn", "666-22-8145", "area 666"},
		{"us-ssn", "536-00-8145", "group 00"},
		{"us-ssn", "536-22-0000", "serial number 0000"},
		{"us-ssn", "123-45-6789", "placeholder"},
		{"us-ssn", "536-22-814", "nine digits"},
		{"us-ssn", "536x22x8145", "something other"},
		{"us-ssn", "000,22,8145", "area 000"}, {"us-ssn", "666/22/8145", "666"}, {"us-ssn", "536_22_8145", ""},
		{"us-ssn-short", "1000006", "no SSN"},
		{"us-ssn-short", "0102006", "begin"},
		{"us-hicn", "912-22-8145A", "areas 900"},
		{"us-hicn", "536-22-8145", "ends in a letter"},
		{"us-itin", "536-70-1234", "begins with 9"},
		{"us-itin", "912-93-1234", "ATIN"},
		{"us-itin", "912-66-1234", "group"},
		{"mbi", "1EG4-TE5-MK7", "eleven"},
		{"mbi", "1EG4-SE5-MK73", "none of the letters"},
		{"mbi", "0EG4-TE5-MK73", "do not stand"},
		{"npi", "3234567893", "begins with 1 or 2"},
		{"npi", "1234567890", "check digit"},
		{"dea", "AB1234564", "check digit"},
		{"dea", "QB1234563", "first letter"},
		{"dea", "A1234563", "seven digits"},
		{"card", "4111 1111 1111 1112", "Luhn"},
		{"card", "0000 0000 0000 0000", "over and over"},
		{"card", "7111 1111 1111 1114", "no issuer"},
		{"iban", "DE89370400440532013001", "mod 97"},
		{"iban", "DE8937040044053201300", "length"},
		{"iban", "QQ89370400440532013000", "registry"},
		{"iban", "de89370400440532013000", "capitals"},
		{"us-routing", "551000012", "district"},
		{"us-routing", "021000022", "check digit"},
		{"nanp", "112-555-0142", "area code begins"},
		{"nanp", "911-555-0142", "end in 11"},
		{"nanp", "212-155-0142", "exchange"},
		{"phone", "555-014", "seven to fifteen"},
		{"phone", "000-0000", "over and over"},
		{"date", "02/30/1961", "no day of the calendar"},
		{"birth", "02/20/1761", "1880"},
		{"record-number", "2023", "a year"},
		{"record-number", "2023-04-12", "a date"},
		{"record-number", "AB-12", "fewer than four"},
		{"plan-id", "1234", "fewer than five"},
		{"icd10cm", "D99.9", "category"},
		{"icd10cm", "E11.", "built"},
		{"uk-nhs", "1", ""},
	}
	for _, tt := range tests {
		if got := check.Why(tt.check, tt.value); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s of %q: %q, want %q", tt.check, tt.value, got, tt.want)
		}
	}
}
