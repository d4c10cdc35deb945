package scanner_test

import (
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// harmless are the types that a look-alike may be found as: an address of the
// web is one, whatever it leads to.
var harmless = []dlp.Type{"URL", "EMAIL"}

// TestLookAlikes: what floods scanners is found by no rule of the built-in
// packs at medium or above, whatever its digits happen to check.
func TestLookAlikes(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	tests := []struct{ name, text string }{
		{"C-CDA OIDs", `<templateId root="2.16.840.1.113883.10.20.22.2.5.1" extension="2015-08-01"/> <typeId root="2.16.840.1.113883.1.3"/>`},
		{"HL7 OIDs as IP addresses", "|2.16.840.1.113883.19.4.6| 1.3.6.1.4.1.311 1.2.840.113549.1.9.1 0.9.2342.19200300.100.1.25"},
		{"UUIDs", "550e8400-e29b-41d4-a716-446655440000 {12345678-1234-1234-1234-123456789012} 41111111-1111-4111-8111-111111111111"},
		{"epoch seconds", "1700000005 1234567893 1245319599 at 1003000126.5 ts=1609459200"},
		{"epoch milliseconds", "1700000000005,1609459200000 \"ts\":1511111111119"},
		{"tweet ids", "https://twitter.example/x/status/1361037193456570368 tweet 371449635398431 378282246310005"},
		{"order ids", "order id 112-4412345-7734512, order no. 4111111111111111, order 4829137"},
		{"EU VAT numbers", "VAT no. DE512441234, VAT AB1234563, BTW NL123456789B01, USt-IdNr. AT U12345678, IE1234567T, FR83404833048"},
		{"Microsoft KB numbers", "KB4012212 KB5034441 (KB890830) KB 4012212"},
		{"decimals", "0.304262935 12.536228145 536.228145 -0.536228145 1.234567893e9 p=0.0012345"},
		{"amounts", "$512,441,234 $ 536228145 €536228145 536228145% 12,345,678.90"},
		{"population tables", "state\t1990\t2000\t2010\nOhio\t512441234\t536228145\t114773322\nIowa\t498112233\t501998877\t523112244\n"},
		{"columns of figures", "1990  512 44 1234  17\n1991\t536 22 8145\t-18\n2001 212 55 0142 3\n"},
		{"SVG path data", `<path d="M512.44,1234 l512 44 1234 c536-22-814 5 0-3.21-.8-6.54z"/> points="536,22 81,45"`},
		{"git hashes", "commit 536228145ab1c5e2f1d0c9b8a7f6e5d4c3b2a190 da39a3ee5e6b4b0d3255bfef95601890afd80709 1ac4de5fa73 5362281"},
		{"part numbers", "part no. 512-44-1234, P/N 536-22-8145, PN: 536-22-8145, Cat. No. 536-22-8145, Item no. 536-22-8145, Part Nbr 536-22-8145, NSN 536-22-8145, order 1EG4TE5MK73, SKU 123-456-789, model A1234567, part number 1EG4TE5MK734"},
		{"tracking numbers", "tracking 1Z999AA10123456784, tracking number 512441234, 9400 1000 0000 0000 0000 00, tracking no. 512-44-1234, RMA: 536-22-8145, Quote: 536-22-8145, waybill 536-22-8145, FedEx 536-22-8145"},
		{"telephone numbers without separators", "2125550142 +4 5124412345 9375550142"},
		{"ISBN and EAN", "ISBN 0-306-40615-2, ISBN 978-0-306-40615-7, EAN 4006381333931, UPC 036000291452"},
		{"versions", "version 1.2.3.4, go1.26.8, v10.0.19045.3803, Chrome/120.0.6099.109, openssl 3.0.11-1"},
		{"codes of figures and rooms", "fig. B20, room A10, bed B12, table E11, vitamin B12, grade C4A, highway I95, flight B737, A4 paper, H1N1, T4 cells"},
		{"licences of software", "License: MIT, license key ABCDE-12345, Apache License 2.0, GPL-3.0, license 2.0"},
		{"times and dates", "2024-11-05 10:30:15, 20241105, 2024-310, 10:30-11:45, 2024/11/05, 1998-2003"},
		{"hexadecimal", "0x536228145 #536228 \\u0536 536228145h 00:53:62:28"},
		{"log lines", "Nov 26 02:41:07 host sshd[536228]: Accepted publickey uid=1001 pid=4829137 session 536228145a"},
		{"passports and travel in prose", "passport control opened in 2021; passport photos cost 12 dollars; the passport office moved"},
		{"secrets in programs", `password = os.Getenv("PW"); pwd: string; "password": "${PASSWORD}"; password=<redacted>; passwd: ********`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, f := range foundIn(t, s, []byte(tt.text)) {
				if !slices.Contains(harmless, f.Type) {
					t.Errorf("%q found as %s by %s, want nothing", tt.text[f.Start:f.End], f.Type, f.Rule)
				}
			}
		})
	}
}

// TestLeaders: dots that lead from a name to its value make no decimal of the
// value, and a sign behind a label no amount.
func TestLeaders(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for text, want := range map[string]dlp.Type{
		"Social Security Number.......536-22-8145": "SSN",
		"Patient SSN......536-22-8145 diabetes":    "SSN",
		"SSN....536 22 8145":                       "SSN",
		"SSN....536228145":                         "SSN",
		"SSN:...536-22-8145":                       "SSN",
		"SSN . . . . 536-22-8145":                  "SSN",
		"SSN: .536-22-8145":                        "SSN",
		"SSN: $536-22-8145":                        "SSN",
		"SSN: +536-22-8145":                        "SSN",
		"SSN: 536-22-8145.5":                       "SSN",
		"SSN: /536-22-8145/":                       "SSN",
		"Patient MRN.......12345678 diagnosed":     "MRN",
		"DOB.......01/02/1950":                     "DOB",
		"Account No......12345678":                 "ACCOUNT",
	} {
		if found := foundIn(t, s, []byte(text)); !slices.ContainsFunc(found, func(f dlp.Finding) bool { return f.Type == want }) {
			t.Errorf("%q: found %v, want %s", text, found, want)
		}
	}
	for _, text := range []string{"1..536228145", "x = 0..536228145", "0.536228145", "SSN rate .536228145"} {
		for _, f := range foundIn(t, s, []byte(text)) {
			t.Errorf("%q found as %s by %s, want nothing", text, f.Type, f.Rule)
		}
	}
}

// TestOtherLabels: a number that passes the check of a type, near a label of that
// type, is not found as one where something else is what it is called.
func TestOtherLabels(t *testing.T) {
	s := scanner.New(loadBuiltIn(t, patterns.Site{}))
	for _, tt := range []struct {
		typ  dlp.Type
		text string
		want []string // what is found as typ, and nothing else
	}{
		{"NPI", "NPI: 1234567893 Phone: 2125550147 Fax: 2125550154", []string{"1234567893"}},
		{"NPI", "NPI 1234567893 account 1245319599", []string{"1234567893"}},
		{"NPI", "NPI 1234567893, updated at 1700000005", []string{"1234567893"}},
		{"NPI", "1245319599 NPI at epoch", nil},
		{"NPI", "Provider phone: 2125550147, NPI on file", nil},
		{"NPI", "NPI on file, phone number: 2125550147", nil},
		{"NPI", "Phone: 2125550147, NPI: 1234567893", []string{"1234567893"}},
		{"NATIONAL_ID", "El total sin IVA 130 692 544 euros", nil},
		{"NATIONAL_ID", "paciente sin 130692544", nil},
		{"NATIONAL_ID", "paciente, SIN: 130692544", []string{"130692544"}},
		{"US_BANK", "Direct deposit on 20240115 posted", nil},
		{"SSN", "social media had 536228145 views", nil},
		{"SSN", "my social is 536228145", []string{"536228145"}},
		{"DEA", "DEA registered pharmacy. VAT no: FB1234563", nil},
		{"DEA", "our prescriber system. VAT number AB1234563", nil},
		{"DEA", "VAT registration FB1234563, DEA registration pending", nil},
		{"DEA", "VAT number FB1234563, DEA AB1234563", []string{"AB1234563"}},
	} {
		var found []string
		for _, f := range foundIn(t, s, []byte(tt.text)) {
			if f.Type == tt.typ {
				found = append(found, tt.text[f.Start:f.End])
			}
		}
		if !slices.Equal(found, tt.want) {
			t.Errorf("%q: found %q as %s, want %q", tt.text, found, tt.typ, tt.want)
		}
	}
}
