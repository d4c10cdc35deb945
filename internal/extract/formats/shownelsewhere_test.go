package formats_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
)

// TestShownElsewhere: a number that some mail program or browser shows is read, though
// others do not show it, or show another.
func TestShownElsewhere(t *testing.T) {
	const number = "536-22-8145"
	page := func(s string) string { return crlf("Content-Type: text/html", "", s) }
	words := func(charset, enc, a, b string) string {
		return crlf("Subject: =?"+charset+"?"+enc+"?"+a+"?=", " =?"+charset+"?"+enc+"?"+b+"?=", "", "x")
	}
	code := b64("SSN: " + number)
	ebcdic, err := charmap.CodePage037.NewEncoder().String("SSN: " + number)
	if err != nil {
		t.Fatal(err)
	}
	for name, mail := range map[string]string{
		"ASCII declared EBCDIC":              crlf("Content-Type: text/plain; charset=ibm037", "", "SSN: "+number),
		"EBCDIC":                             crlf("Content-Type: text/plain; charset=ibm037", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString([]byte(ebcdic))),
		"ASCII of a page declared EBCDIC":    crlf("Content-Type: text/html; charset=ibm01140", "", "SSN: 536<b>-22-</b>8145"),
		"ASCII declared UTF-7":               crlf("Content-Type: text/plain; charset=utf-7", "", "SSN: +"+number),
		"XML that says it is EBCDIC":         crlf("Content-Type: text/xml", "", `<?xml version="1.0" encoding="ibm037"?><a>`+number+`</a>`),
		"base64 cut within a letter":         words("utf-8", "B", code[:15], code[15:]),
		"quoted-printable cut within a byte": words("utf-8", "Q", "SSN_536-22-814=3", "5"),
		"an encoded name in pieces":          crlf("Content-Disposition: attachment; filename*0=\"=?utf-8?Q?SSN_=35=33=36=2D22\";", " filename*1=\"=2D8145?=\"", "", "x"),
		"a comment for Outlook":              page("<p>a</p><!--[if mso]><xml><o:x>96</o:x></xml><p>SSN 536<b>-22</b>-8145</p><![endif]-->"),
		"half of it in a comment":            page("<p>SSN 536-<!--[if gte mso 9]>22-<![endif]-->8145"),
		"what Outlook does not show":         page("<p>SSN 536-<!--[if !mso]><!-->99<!--<![endif]-->22-8145"),
		"a template":                         page("<p>SSN 536-<template>9</template>22-8145</p>"),
		"what scripts replace":               page("<p>SSN 536-<noscript>9</noscript>22-8145</p>"),
		"what stands above":                  page("<p>SSN <ruby>536<rt>a</rt></ruby><ruby>-22-<rt>b</rt></ruby>8145</p>"),
		"a dialog that is shut":              page("<p>SSN 536-<dialog>9</dialog>22-8145</p>"),
		"a page within":                      page("<iframe srcdoc='&lt;p&gt;SSN 536&amp;#45;22&lt;b&gt;&amp;#45;8145'></iframe>"),
		"places in a picture":                page("<svg><text y=20 x=60>8145</text><text y=20 x=0>536-</text><text y=20 x=30>22-</text></svg>"),
		"places of letters":                  page("<svg><text x='30 60 0 120 150'>365-22-8145</text></svg>"),
		"places in a text":                   page("<svg><text x=0 y=9>SSN <tspan x=90>8145</tspan><tspan x=30>536-</tspan>22-</text></svg>"),
		"enriched":                           crlf("Content-Type: text/enriched", "", "SSN: 536-<bold>22</bold>-8145"),
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, true, limits, []byte(mail))
			for _, text := range a.texts {
				if strings.Contains(text, number) {
					return
				}
			}
			t.Errorf("not in %q", a.texts)
		})
	}
}

// TestPlacesOfLines: texts of a picture that stand on different lines are not one.
func TestPlacesOfLines(t *testing.T) {
	a := serve(t, false, limits, []byte(`<svg xmlns="http://www.w3.org/2000/svg"><text x="90" y="40">8145</text><text x="0" y="20">536-22-</text></svg>`))
	if got, want := a.texts[""], "8145536-22-\n\n90\n40\n0\n20\n536-22- 8145\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
