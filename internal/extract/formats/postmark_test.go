package formats_test

import (
	"strings"
	"testing"
)

// TestPostmarks: a line that begins as a mailbox's does is read wherever it is
// passed over, as what parts two messages among them.
func TestPostmarks(t *testing.T) {
	const mark = "From SSN 536-22-8145"
	for name, c := range map[string]struct {
		mail bool
		in   string
	}{
		"before a message":        {true, mark + "\r\nFrom: a@x.example\r\n\r\nhi\r\n"},
		"quoted, behind a blank":  {true, " \r\n>" + mark + "\r\nFrom: a@x.example\r\n\r\nhi\r\n"},
		"before a part":           {true, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + mark + "\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n"},
		"the first of a mailbox":  {false, mark + "\nFrom: a@x.example\nSubject: x\n\nhi\n"},
		"in the text of a letter": {false, "From - Mon Mar  2 10:00:00 2026\nFrom: a@x.example\nSubject: x\n\nhi\n\n" + mark + "\nit is\n"},
	} {
		a := serve(t, c.mail, limits, []byte(c.in))
		found := false
		for _, text := range a.texts {
			found = found || strings.Contains(text, "536-22-8145")
		}
		if !found {
			t.Errorf("%s: not in %q", name, a.texts)
		}
	}
}
