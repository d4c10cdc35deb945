package smtp_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/scram"
)

const (
	user     = "ann@clinic.example"
	password = "correct horse battery"
)

// withUsers opens a door at which ann may log in.
func withUsers(t *testing.T, as smtp.Door, change func(*smtp.Config)) *door {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := smtp.SetUser(path, user, password); err != nil {
		t.Fatal(err)
	}
	return open(t, func(cfg *smtp.Config, deps *smtp.Deps, d *door) {
		d.as = as
		deps.TLS = certificate(t)
		cfg.TLSCert, cfg.TLSKey, cfg.Auth.Users = "c", "k", path
		cfg.Networks = nil // everybody is outside
		if change != nil {
			change(cfg)
		}
		users, err := smtp.LoadUsers(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		deps.Users = users
	})
}

// secured is a client after STARTTLS and EHLO.
func (d *door) secured(t *testing.T) *client {
	t.Helper()
	c := d.hello(t)
	c.say("STARTTLS\r\n", "220")
	s := newClient(t, tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}))
	if got := s.say("EHLO client.example\r\n", "250"); !strings.Contains(got, "AUTH PLAIN SCRAM-SHA-256") {
		t.Fatalf("EHLO after TLS lacks AUTH: %q", got)
	}
	return s
}

func plain(act, user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(act + "\x00" + user + "\x00" + password))
}

func TestAuthPlain(t *testing.T) {
	d := withUsers(t, smtp.Door{}, nil)
	c := d.hello(t)
	if got := c.say("EHLO x\r\n", "250"); strings.Contains(got, "AUTH") {
		t.Errorf("AUTH is offered in the clear: %q", got)
	}
	c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "538 5.7.11")
	c.say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0 STARTTLS")
	for _, tc := range []struct{ name, say, want string }{
		{"in one line", "AUTH PLAIN " + plain("", user, password) + "\r\n", "235 2.7.0"},
		{"acting for oneself", "auth plain " + plain(user, user, password) + "\r\n", "235 2.7.0"},
		{"acting for another", "AUTH PLAIN " + plain("bob", user, password) + "\r\n", "535 5.7.8"},
		{"wrong password", "AUTH PLAIN " + plain("", user, "correct horse") + "\r\n", "535 5.7.8"},
		{"nobody", "AUTH PLAIN " + plain("", "bob", password) + "\r\n", "535 5.7.8"},
		{"empty password", "AUTH PLAIN " + plain("", user, "") + "\r\n", "501 5.5.2"},
		{"no base64", "AUTH PLAIN !\r\n", "501 5.5.2"},
		{"empty response", "AUTH PLAIN =\r\n", "501 5.5.2"},
		{"two fields", "AUTH PLAIN AGE=\r\n", "501 5.5.2"},
		{"another way", "AUTH LOGIN\r\n", "504 5.5.4"},
		{"no way", "AUTH\r\n", "504 5.5.4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := d.secured(t)
			c.say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0 Log in")
			c.say(tc.say, tc.want)
			if strings.HasPrefix(tc.want, "235") {
				c.say(tc.say, "503 5.5.1")
				c.say("MAIL FROM:<a@b.test>\r\n", "250")
			} else {
				c.say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0")
			}
		})
	}
	t.Run("in two lines, and traced", func(t *testing.T) {
		c := d.secured(t)
		c.say("AUTH PLAIN\r\n", "334")
		c.say(plain("", user, password)+"\r\n", "235 2.7.0")
		if got := c.say("EHLO client.example\r\n", "250"); strings.Contains(got, "AUTH") {
			t.Errorf("AUTH is offered again: %q", got)
		}
		c.envelope("bob@out.test")
		c.say("AUTH PLAIN\r\n", "503 5.5.1")
		c.say("DATA\r\nx\r\n.\r\n", "354", "250")
		docs := d.handler.docs
		if got := string(docs[len(docs)-1].Trace); !strings.Contains(got, "with ESMTPSA id") || strings.Contains(got, "ann") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		c := d.secured(t)
		c.say("AUTH PLAIN\r\n", "334")
		c.say("*\r\n", "501 5.7.0")
		c.say("AUTH PLAIN\r\n", "334")
		c.say(strings.Repeat("A", 5000)+"\r\n", "500 5.5.2", "closed")
	})
	t.Run("guessing ends", func(t *testing.T) {
		for i := 0; ; i++ {
			c := d.secured(t)
			c.send("AUTH PLAIN " + plain("", user, "wrong") + "\r\n")
			got := c.read()
			if strings.HasPrefix(got, "454 4.7.0") {
				c.want("closed")
				break
			}
			if !strings.HasPrefix(got, "535") || i > 10 {
				t.Fatalf("try %d: got %q", i, got)
			}
			for range 2 {
				c.send("AUTH PLAIN " + plain("", user, "wrong") + "\r\n")
				c.read() // the door may be shut already
			}
		}
		c := d.secured(t)
		c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "454 4.7.0", "closed")
	})
}

func TestAuthSCRAM(t *testing.T) {
	d := withUsers(t, smtp.Door{}, nil)
	enc, dec := base64.StdEncoding.EncodeToString, func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "334 "))
		if err != nil {
			t.Errorf("got %q", s)
		}
		return b
	}
	c, s := d.secured(t), scram.NewClient(user, password)
	final, err := s.Final(dec(c.say("AUTH SCRAM-SHA-256 "+enc(s.First())+"\r\n", "334")))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(dec(c.say(enc(final)+"\r\n", "334"))); err != nil {
		t.Errorf("the door does not prove itself: %v", err)
	}
	c.say("\r\n", "235 2.7.0")
	c.say("MAIL FROM:<a@b.test>\r\n", "250")

	for _, name := range []string{user, "nobody@clinic.example"} {
		var salts []string
		for range 2 {
			c, s := d.secured(t), scram.NewClient(name, "not the password")
			first := dec(c.say("AUTH SCRAM-SHA-256\r\n", "334"))
			if len(first) > 0 {
				t.Errorf("got %q first", first)
			}
			challenge := dec(c.say(enc(s.First())+"\r\n", "334"))
			_, salt, _ := strings.Cut(string(challenge), ",")
			salts = append(salts, salt)
			final, err := s.Final(challenge)
			if err != nil {
				t.Fatal(err)
			}
			c.say(enc(final)+"\r\n", "535 5.7.8")
		}
		if salts[0] != salts[1] || !strings.HasSuffix(salts[0], ",i=65536") {
			t.Errorf("%s: got %q, want the same each time", name, salts)
		}
	}
}

func TestOwnSender(t *testing.T) {
	d := withUsers(t, smtp.Door{}, func(cfg *smtp.Config) { cfg.Auth.OwnSender = true })
	c := d.secured(t)
	c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "235")
	c.say("MAIL FROM:<bob@clinic.example>\r\n", "553 5.7.1")
	c.say("MAIL FROM:<ann@CLINIC.example>\r\n", "250")
	c.say("RSET\r\nMAIL FROM:<Ann@clinic.example>\r\n", "250", "250")
	c.say("RSET\r\nMAIL FROM:<ann@clinic.example.test>\r\n", "250", "553 5.7.1")
	c.say("MAIL FROM:<>\r\n", "250")
}

func TestDoors(t *testing.T) {
	t.Run("submission", func(t *testing.T) {
		d := withUsers(t, smtp.Door{Protocol: smtp.DoorSubmission}, func(cfg *smtp.Config) { cfg.Networks = []string{"127.0.0.0/8"} })
		d.hello(t).say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0 STARTTLS")
		c := d.secured(t)
		c.say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0 Log in")
		c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "235")
		c.say("MAIL FROM:<a@b.test>\r\n", "250")
	})
	t.Run("TLS from the first byte", func(t *testing.T) {
		d := withUsers(t, smtp.Door{Protocol: smtp.DoorSubmission, TLS: smtp.DoorTLSImplicit}, nil)
		c := newClient(t, tls.Client(d.raw(t).conn, &tls.Config{InsecureSkipVerify: true}))
		c.want("220")
		if got := c.say("EHLO x\r\n", "250"); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH") {
			t.Errorf("got %q", got)
		}
		c.say("AUTH PLAIN "+plain("", user, password)+"\r\nMAIL FROM:<a@b.test>\r\n", "235", "250")
		d.raw(t).say("EHLO in.the.clear.example\r\n", "closed")
	})
	t.Run("TLS required", func(t *testing.T) {
		d := withUsers(t, smtp.Door{TLS: smtp.DoorTLSRequired}, func(cfg *smtp.Config) { cfg.Networks = []string{"127.0.0.0/8"} })
		d.hello(t).say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0 STARTTLS")
		d.secured(t).say("MAIL FROM:<a@b.test>\r\n", "250")
	})
	t.Run("strangers keep nobody out", func(t *testing.T) {
		d := withUsers(t, smtp.Door{}, func(cfg *smtp.Config) {
			cfg.Networks, cfg.MaxConnections = []string{"127.0.0.2/32"}, 10
		})
		for range 9 {
			d.hello(t)
		}
		d.raw(t).want("421 4.3.2", "closed")
	})
}

// TestLMTPIn: every accepted RCPT has its own answer, and the greeting words of
// SMTP are not known.
func TestLMTPIn(t *testing.T) {
	d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.as = smtp.Door{Protocol: smtp.DoorLMTP}
		d.hop.rcpt = func(a dlp.Address) (dlp.Reply, error) {
			if a.Local == "no" {
				return dlp.Reply{Code: 550, Enhanced: "5.1.1", Text: "No such user"}, nil
			}
			return dlp.Reply{Code: 250}, nil
		}
	})
	c := d.raw(t)
	c.want("220 gw.example LMTP")
	c.say("EHLO x\r\nHELO x\r\nMAIL FROM:<a@b.test>\r\n", "500 5.5.1", "500 5.5.1", "503 5.5.1")
	if got := c.say("LHLO client.example\r\n", "250"); !strings.Contains(got, "PIPELINING") || !strings.Contains(got, "ENHANCEDSTATUSCODES") {
		t.Errorf("RFC 2033 5 asks for more: %q", got)
	}
	c.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<x@y.test>\r\nRCPT TO:<no@y.test>\r\nRCPT TO:<z@y.test>\r\nRCPT TO:<x@y.test>\r\n", "250", "250", "550", "250", "250")
	c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 queued", "250 2.0.0 queued", "250 2.0.0 queued")
	c.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<no@y.test>\r\nDATA\r\n", "250", "550", "503 5.5.1")
	c.say("RCPT TO:<x@y.test>\r\nRCPT TO:<z@y.test>\r\nBDAT 1\r\nxBDAT 2 LAST\r\n\r\n", "250", "250", "250 2.0.0 1 octets", "250 2.0.0 queued", "250 2.0.0 queued")
	if got := string(d.handler.docs[0].Trace); !strings.Contains(got, "with LMTP id") {
		t.Errorf("got %q", got)
	}
	d.handler.message = answer(dlp.Outcome{Kind: dlp.Held, Acknowledge: true})
	c.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<x@y.test>\r\nRCPT TO:<z@y.test>\r\nDATA\r\nx\r\n.\r\n", "250", "250", "250", "354", "250 2.0.0 Held", "250 2.0.0 Held")
	c.say("NOOP\r\n", "250")
	if n := strings.Count(d.handler.acknowledged(), "["); n != 2 {
		t.Errorf("got %q, want one acknowledgement", d.handler.acknowledged())
	}
	d.handler.message = func(_ context.Context, doc *dlp.Document, _ dlp.Onward) dlp.Outcome {
		v := dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Rcpt: doc.Rcpts[0], Action: dlp.Hold}, {Rcpt: doc.Rcpts[1], Action: dlp.Allow}}}
		return dlp.Outcome{Kind: dlp.Split, ID: doc.ID, Verdict: v}
	}
	c.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<x@y.test>\r\nRCPT TO:<z@y.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\nx\r\n.\r\n", "250", "250", "250", "250",
		"354", "250 2.0.0 Held", "250 2.0.0 Accepted for delivery, id ", "250 2.0.0 Held")
}

// TestNobodyLooksLikeAUser: who is not in the users file is asked for as many
// rounds, with a salt as long, as those who are, wherever their keys were made.
func TestNobodyLooksLikeAUser(t *testing.T) {
	k, err := scram.Derive(password, []byte("twelve bytes"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.StdEncoding.EncodeToString
	d := withUsers(t, smtp.Door{}, func(cfg *smtp.Config) {
		line := "ann:SCRAM-SHA-256$4096:" + enc(k.Salt) + "$" + enc(k.StoredKey[:]) + ":" + enc(k.Server[:]) + "\n"
		if err := os.WriteFile(cfg.Auth.Users, []byte("$seed:"+enc(make([]byte, 32))+"\n"+line), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	challenge := func(name string) string {
		got := d.secured(t).say("AUTH SCRAM-SHA-256 "+enc(scram.NewClient(name, password).First())+"\r\n", "334")
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(got, "334 "))
		if err != nil {
			t.Fatal(err)
		}
		_, salted, _ := strings.Cut(string(b), ",")
		return salted
	}
	if got, want := challenge("ann"), "s="+enc(k.Salt)+",i=4096"; got != want {
		t.Errorf("ann: got %q, want %q", got, want)
	}
	for _, name := range []string{"bob", "Ann", "eve"} {
		got := challenge(name)
		if len(got) != len("s=,i=4096")+16 || !strings.HasSuffix(got, ",i=4096") || got != challenge(name) {
			t.Errorf("%s is asked for %q", name, got)
		}
	}
}

func TestUsersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if names, err := smtp.UserNames(path); err != nil || names != nil {
		t.Errorf("no file: got %v, %v", names, err)
	}
	for _, name := range []string{"", "a b", "a:b", "$seed", "#a", "a\x00", "a\nb", strings.Repeat("a", 256)} {
		if err := smtp.SetUser(path, name, password); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
	for _, pw := range []string{"", "short", "\x00 and more than twelve", strings.Repeat("a", 513)} {
		if err := smtp.SetUser(path, "a", pw); err == nil {
			t.Errorf("password %q is taken", pw)
		}
	}
	for _, name := range []string{"ann", "gr\u00fcn", "bob"} {
		if err := smtp.SetUser(path, name, password); err != nil {
			t.Fatal(err)
		}
	}
	if err := smtp.RemoveUser(path, "ann"); err != nil {
		t.Fatal(err)
	}
	if err := smtp.RemoveUser(path, "ann"); err == nil {
		t.Error("removed twice")
	}
	names, err := smtp.UserNames(path)
	if got := strings.Join(names, " "); err != nil || got != "gr\u00fcn bob" {
		t.Errorf("got %q, %v", got, err)
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(b), password) {
		t.Errorf("the password stands in the file, or %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := smtp.LoadUsers(path, nil); err == nil {
		t.Error("a file that everybody may read is taken")
	}
	for _, bad := range []string{"", "ann:x\n", "$seed:AAAA\n", string(b) + "bob:SCRAM-SHA-256$1:AAAA$AAAA:AAAA\n"} {
		p := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(p, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := smtp.LoadUsers(p, nil); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
