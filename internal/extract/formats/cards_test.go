package formats_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// cardLine breaks a line as cards do.
func cardLine(s string) string {
	var b strings.Builder
	for len(s) > 70 {
		b.WriteString(s[:70] + "\r\n ")
		s = s[70:]
	}
	return b.String() + s
}

// TestCards holds which files are read in cards, calendars and LDIF.
func TestCards(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00\x01", 100)
	long := strings.Repeat("SSN 536-22-8145 ", 20)
	for _, c := range []struct {
		name string
		in   string
		want map[string]string
		gaps []string
	}{
		{"vCard 3", crlf("BEGIN:VCARD", "VERSION:3.0", cardLine("PHOTO;ENCODING=b;TYPE=PNG:"+b64(png)), "KEY;ENCODING=b:"+b64("a key's text"), "END:VCARD"),
			map[string]string{"101": "", "102": "a key's text", "~2": "BEGIN:VCARD\r\nVERSION:3.0\r\nPHOTO;ENCODING=b;TYPE=PNG:\nKEY;ENCODING=b:\nEND:VCARD"}, []string{"101 image image/png"}},
		{"vCard 2.1", crlf("BEGIN:VCARD", "VERSION:2.1", "NOTE;BASE64:", base64.StdEncoding.EncodeToString([]byte(long))[:76], base64.StdEncoding.EncodeToString([]byte(long))[76:], "", "TEL:555-0100", "END:VCARD"),
			map[string]string{"101": long}, nil},
		{"vCard 4", crlf("BEGIN:VCARD", "VERSION:4.0", cardLine("PHOTO:data:image/png;base64,"+b64(png)), "END:VCARD"), nil, []string{"101 image image/png"}},
		{"calendar", crlf("BEGIN:VCALENDAR", "BEGIN:VEVENT", cardLine("ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=\"a.txt\":"+b64(long)), "SUMMARY:Visit", "END:VEVENT", "END:VCALENDAR"),
			map[string]string{"101": long}, nil},
		{"LDIF", "version: 1\ndn: cn=Ada\n# a comment\ncn:: " + b64("Ada M\u00fcller") + "\ndescription: SSN 536-\n 22-8145\njpegPhoto:: " + cardLine(b64(png)) + "\n",
			map[string]string{"~2": "version: 1\ndn: cn=Ada\ncn: Ada M\u00fcller\ndescription: SSN 536-22-8145\n"}, []string{"101 image image/png"}},
		{"no card", "Some words.\nPHOTO;ENCODING=b:" + b64("a key's text") + "\n", map[string]string{"": "Some words.\nPHOTO;ENCODING=b:" + b64("a key's text") + "\n"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.in))
			for path, want := range c.want {
				if a.texts[path] != want {
					t.Errorf("part %q: got %q, want %q", path, a.texts[path], want)
				}
			}
			if fmt.Sprint(a.told()) != fmt.Sprint(c.gaps) {
				t.Errorf("gaps: got %q, want %q", a.told(), c.gaps)
			}
		})
	}
	big := crlf("BEGIN:VCALENDAR", cardLine("ATTACH;ENCODING=BASE64;X-FILENAME=a:"+b64(strings.Repeat(long, 5000))), "END:VCALENDAR")
	if a := serve(t, false, limits, []byte(big)); !strings.HasPrefix(a.texts["101"], long) || a.parts["101"].Name != "a" {
		t.Errorf("a calendar past a MiB: got %d bytes named %q", len(a.texts["101"]), a.parts["101"].Name)
	}
}

// TestMac holds how packed files of the Macintosh are told.
func TestMac(t *testing.T) {
	binHex := "(This file must be converted with BinHex 4.0)\r\n:$Q0QC'8ZG(Kd!&4&@&4dG(Kd!*!%%"
	a := serve(t, false, limits, []byte(binHex))
	if a.parts[""].MediaType != "application/mac-binhex40" || fmt.Sprint(a.told()) != "[corrupt macintosh file]" {
		t.Errorf("cut BinHex: got %q %q", a.parts[""].MediaType, a.told())
	}
	double := "\x00\x05\x16\x07\x00\x02\x00\x00" + strings.Repeat("\x00", 16) + "\x00\x01\x00\x00\x00\x02\x00\x00\x00\x26\x00\x00\x00\x0f" + "SSN 536-22-8145"
	a = serve(t, false, limits, []byte(double))
	if a.texts[""] != "SSN 536-22-8145\n" || len(a.gaps) > 0 {
		t.Errorf("AppleDouble: got %q %q", a.texts[""], a.told())
	}
	single := strings.Replace(strings.Replace(double, "\x16\x07", "\x16\x00", 1), "\x00\x00\x00\x02", "\x00\x00\x00\x01", 1)
	a = serve(t, false, limits, []byte(single))
	if a.texts["1"] != "SSN 536-22-8145" {
		t.Errorf("AppleSingle: got %q %q", a.texts, a.told())
	}
}
