package smtp_test

import (
	"strings"
	"testing"
)

// TestHeloName: what a client calls itself goes on only where it cannot tell of a
// person; another name is taken, and the client's address stands for it.
func TestHeloName(t *testing.T) {
	d := open(t, nil)
	for _, tc := range []struct{ helo, want string }{
		{"mail.Clinic.example", "mail.clinic.example"},
		{"mx-4-2.clinic.example", "mx-4-2.clinic.example"},
		{"[192.0.2.9]", "[192.0.2.9]"},
		{"[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]"},
		{"JohnSmithMRN12345678", ""},
		{"johns-phone", ""},
		{"mrn-12345678.clinic.example", ""},
		{"536.22.8145.clinic.example", ""},
		{"536-22-8145", ""},
		{"[536-22-8145]", ""},
		{"[John:Smith]", ""},
		{"john..smith", ""},
		{"-smith.clinic.example", ""},
		{"a,b", ""},
		{"bücher.example", ""},
		{"my printer", ""},
		{"user@host", ""},
		{"(x)", ""},
		{"x+y=z", ""},
		{"x (y) by z;", ""},
		{"mail.clinic.example (forged.example)", ""},
		{"b\xfcro", ""},
		{strings.Repeat("a", 300), ""},
	} {
		c := d.raw(t)
		c.want("220")
		c.say("EHLO "+tc.helo+"\r\n", "250")
		c.envelope("bob@out.test")
		c.say("DATA\r\n", "354")
		c.say("Subject: x\r\n\r\ny\r\n.\r\n", "250")
		c.say("QUIT\r\n", "221")
		all := d.hop.messages()
		got := all[len(all)-1]
		from := tc.want
		if from == "" {
			from = "[127.0.0.1]"
		}
		if !strings.HasPrefix(got.header, "Received: from "+from+" ([127.0.0.1])\r\n") {
			t.Errorf("EHLO %s: got %q, want it from %s", tc.helo, got.header, from)
		}
		if got.opt.Origin.Helo != tc.want {
			t.Errorf("EHLO %s: the next hop is told %q, want %q", tc.helo, got.opt.Origin.Helo, tc.want)
		}
	}
}
