package formats_test

import (
	"slices"
	"strings"
	"testing"
)

// headerOf returns the lines of a message's header part.
func headerOf(a *answer) []string { return strings.Split(a.texts["HEADER"], "\n") }

// TestRawHeaders holds that header fields without a charset are read in every one
// that their bytes, or the message, make likely.
func TestRawHeaders(t *testing.T) {
	for _, u := range undeclared {
		for _, charset := range u.charsets {
			if strings.HasPrefix(charset, "IBM") { // no header is
				continue
			}
			t.Run(charset, func(t *testing.T) {
				text := strings.TrimSpace(u.text)
				mail := "From: a@a.example\r\nSubject: " + string(encodedBy(t, charset, text)) + "\r\n\r\nHello\r\n"
				if a := serve(t, true, limits, []byte(mail)); !slices.Contains(headerOf(a), "Subject: "+text) {
					t.Errorf("got %q", a.texts["HEADER"])
				}
			})
		}
	}
	const short = "Осмотр" // too few letters to tell its charset by
	raw := string(encodedBy(t, "KOI8-R", short))
	for name, c := range map[string]struct{ mail, want string }{
		"as the body": {"Subject: " + raw + "\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\r\n", "Subject: " + short},
		"as a part": {"Subject: " + raw + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain;\r\n charset=\"KOI8-R\"\r\n\r\nx\r\n--b--\r\n",
			"Subject: " + short},
		"as another field": {"X-Note: " + string(encodedBy(t, "KOI8-R", "Фамилия пациента Иванов, вчера он был на осмотре")) + "\r\nSubject: " + raw + "\r\n\r\n\r\n", "Subject: " + short},
		"a file's name":    {"Content-Type: text/plain; charset=koi8-r; name=\"" + raw + "\"\r\n\r\n\r\n", "name: " + short},
		"words beside":     {"Subject: " + raw + " =?utf-8?q?=D1=8F?=\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\r\n", "Subject: " + short + " я"},
		"UTF-8":            {"Subject: " + short + "\r\n\r\n\r\n", "Subject: " + short},
		"windows-1252":     {"Subject: M\xfcller\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\r\n", "Subject: Müller"},
	} {
		a := serve(t, true, limits, []byte("From: a@a.example\r\nMIME-Version: 1.0\r\n"+c.mail))
		if !slices.Contains(headerOf(a), c.want) {
			t.Errorf("%s: got %q", name, a.texts["HEADER"])
		}
	}
	for name, mail := range map[string]string{
		"ASCII":   "Subject: plain + simple\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\r\n",
		"UTF-8":   "Subject: Größe für Zoë und Müller, Übergröße\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n\r\n",
		"Western": "Subject: Gr\xf6\xdfe f\xfcr M\xfcller, J\xfcrgen und Zo\xeb: \xdcbergr\xf6\xdfe, s\xfc\xdf\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\r\n",
		"EBCDIC":  "Subject: M\xfcller\r\nContent-Type: text/plain; charset=ibm037\r\n\r\n\r\n",
	} {
		if a := serve(t, true, limits, []byte(mail)); strings.Count(a.texts["HEADER"], "Subject: ") != 1 {
			t.Errorf("%s: got %q", name, a.texts["HEADER"])
		}
	}
}
