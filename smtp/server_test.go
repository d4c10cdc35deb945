package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func TestMessageGoesThroughWhole(t *testing.T) {
	for name, how := range map[string]func(c *client, body string){
		"DATA": func(c *client, body string) {
			c.say("DATA\r\n", "354")
			c.say(dotted(c.t, []byte(body)), "250 2.0.0 queued as 1A2B")
		},
		"DATA at once with the envelope's end": func(c *client, body string) {
			c.say("DATA\r\n"+dotted(c.t, []byte(body)), "354", "250 2.0.0 queued")
		},
		"BDAT in one chunk": func(c *client, body string) {
			c.say(fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body), "250 2.0.0 queued")
		},
		"BDAT in three": func(c *client, body string) {
			a, b := len(body)/3, len(body)/2
			c.say(fmt.Sprintf("BDAT %d\r\n%sBDAT %d\r\n%sBDAT %d LAST\r\n%s", a, body[:a], b-a, body[a:b], len(body)-b, body[b:]),
				"250 2.0.0", "250 2.0.0", "250 2.0.0 queued")
		},
		"BDAT with an empty last": func(c *client, body string) {
			c.say(fmt.Sprintf("BDAT %d\r\n%s", len(body), body), "250 2.0.0")
			c.say("BDAT 0 LAST\r\n", "250 2.0.0 queued")
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, nil)
			c := d.hello(t)
			for i, n := range []int{0, 10, 5_000, 300_000, 3_000_000} {
				body := "Subject: x\r\n\r\n" + string(randomBody(uint64(i), n))
				c.envelope("bob@out.test")
				how(c, body)
				got := d.hop.messages()
				if len(got) != i+1 {
					t.Fatalf("got %d messages, want %d", len(got), i+1)
				}
				same(t, "body", got[i].body, body)
			}
			c.say("QUIT\r\n", "221 2.0.0", "closed")
		})
	}
}

func TestEnvelopeAndTrace(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))
	d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.Now = func() time.Time { return now } })
	c := d.hello(t)
	c.say("MAIL FROM:<ann@clinic.example> SIZE=100 BODY=8BITMIME\r\n", "250 2.1.0")
	for _, r := range []string{"Bob@Out.test", "<@relay.test:carol@out.test>", `"d e"@out.test`, "Bob@OUT.TEST", "postmaster"} {
		c.say("RCPT TO:<"+strings.Trim(r, "<>")+">\r\n", "250 2.1.5")
	}
	c.say("DATA\r\n", "354")
	c.say("Subject: x\r\n\r\ny\r\n.\r\n", "250 2.0.0 queued")
	got := d.hop.messages()[0]
	want0 := smtp.MailOptions{Size: 100, MailParams: dlp.MailParams{Body: "8BITMIME"}, Origin: smtp.Origin{Addr: "127.0.0.1", Proto: "ESMTP", Helo: "client.example", Source: "REMOTE"}}
	if got.opt != want0 {
		t.Errorf("got %+v, want %+v", got.opt, want0)
	}
	want := []dlp.Address{{Local: "Bob", Domain: "out.test"}, {Local: "carol", Domain: "out.test"}, {Local: "d e", Domain: "out.test"}, {Local: "postmaster"}}
	doc := d.handler.docs[0]
	if fmt.Sprint(got.rcpts) != fmt.Sprint(want) || fmt.Sprint(doc.Rcpts) != fmt.Sprint(want) {
		t.Errorf("got %v at the next hop and %v in the document, want %v", got.rcpts, doc.Rcpts, want)
	}
	if err := doc.Validate(); err != nil {
		t.Errorf("document: %v", err)
	}
	if doc.Size != int64(len("Subject: x\r\n\r\ny\r\n")) {
		t.Errorf("got size %d", doc.Size)
	}
	trace := fmt.Sprintf("Received: from client.example ([127.0.0.1])\r\n\tby gw.example with ESMTP id %s;\r\n\tWed, 04 Mar 2026 04:06:07 +0000\r\nX-Stanch-Id: %[1]s\r\n", doc.ID)
	if got.header != trace {
		t.Errorf("got %q, want %q", got.header, trace)
	}
}

// TestConversations are commands and their answers, one after another on one
// connection after EHLO.
func TestConversations(t *testing.T) {
	const mail, rcpt = "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<c@d.test>\r\n"
	for _, tc := range []struct {
		name string
		say  []string // what is sent, then after "=" the replies it must get
	}{
		{"second MAIL", []string{mail + "=250", mail + "=503 5.5.1", rcpt + "=250"}},
		{"RCPT first", []string{rcpt + "=503 5.5.1"}},
		{"DATA first", []string{"DATA\r\n=503 5.5.1"}},
		{"DATA without recipients", []string{mail + "=250", "DATA\r\n=503 5.5.1"}},
		{"DATA with an argument", []string{mail + rcpt + "=250=250", "DATA x\r\n=501 5.5.4"}},
		{"RSET forgets", []string{mail + rcpt + "RSET\r\n=250=250=250 2.0.0", "DATA\r\n=503 5.5.1"}},
		{"RSET with an argument", []string{mail + rcpt + "=250=250", "RSET x\r\n=501 5.5.4", "DATA\r\n=354"}},
		{"QUIT with an argument", []string{"QUIT x\r\n=501 5.5.4", "QUIT \r\n=221=closed"}},
		{"EHLO forgets", []string{mail + rcpt + "=250=250", "EHLO x\r\n=250", "DATA\r\n=503 5.5.1"}},
		{"null sender", []string{"MAIL FROM:<>\r\n=250", rcpt + "=250"}},
		{"breaking out of the brackets", []string{mail + "=250", `RCPT TO:<"evil@evil.test> ORCPT=rfc822;x"@allowed.test>` + "\r\n=501 5.1.3"}},
		{"routes", []string{mail + "=250", "RCPT TO:<evil%evil.test@clinic.example>\r\n=550 5.7.1"}},
		{"unknown parameter", []string{mail + "=250", "RCPT TO:<c@d.test> HOLD=5\r\n=555 5.5.4"}},
		{"addresses without a domain", []string{"MAIL FROM:<scanner>\r\n=501 5.1.7", mail + "=250", "RCPT TO:<nurse>\r\n=501 5.1.3", "RCPT TO:<Postmaster>\r\n=250"}},
		{"outside ASCII", []string{"MAIL FROM:<\u00e4@b.test>\r\n=553 5.6.7"}},
		{"size over the limit", []string{"MAIL FROM:<a@b.test> SIZE=99999999999\r\n=552 5.3.4", mail + "=250"}},
		{"EHLO without a name", []string{"EHLO\r\n=501 5.5.4"}},
		{"EHLO with a forged name", []string{"EHLO x (y) by z;\r\n=250", mail + "=250"}},
		{"EHLO with a control character", []string{"EHLO x\x0b(y) by z;\r\n=500 5.5.2", "EHLO x\x00\r\n=500 5.5.2", "EHLO x\r y\r\n=500 5.5.2=closed"}},
		{"small ones", []string{"noop\r\n=250 2.0.0", "NOOP x\r\n=250 2.0.0", "VRFY x\r\n=252", "HELP\r\n=214", "EXPN x\r\n=502", "AUTH PLAIN\r\n=502", "STARTTLS\r\n=502", "FOO\r\n=500 5.5.1", "\r\n=500 5.5.1"}},
		{"NUL", []string{"NOOP \x00\r\n=500 5.5.2", "NOOP\r\n=250"}},
		{"other control characters", []string{"NOOP \x1b[2J\r\n=500 5.5.2", "NOOP \x7f\r\n=500 5.5.2", "NOOP\t\x08\r\n=500 5.5.2", "NOOP\r\n=250"}},
		{"bare LF", []string{"NOOP\nNOOP\r\n=500 5.5.2=closed"}},
		{"bare CR", []string{"NOOP\rNOOP\r\n=500 5.5.2=closed"}},
		{"long line", []string{"NOOP " + strings.Repeat("x", 100<<10) + "\r\n=500 5.5.2=closed"}},
		{"web browser", []string{"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + mail + "=500=closed"}},
		{"BDAT first", []string{"BDAT 3\r\nabc=503 5.5.1", "NOOP\r\n=250"}},
		{"BDAT without recipients", []string{mail + "=250", "BDAT 6 LAST\r\nNOOP\r\n=503 5.5.1", "NOOP\r\n=250"}},
		{"BDAT, then DATA", []string{mail + rcpt + "BDAT 3\r\nabc=250=250=250", "DATA\r\n=503 5.5.1"}},
		{"BDAT, then RCPT", []string{mail + rcpt + "BDAT 3\r\nabc=250=250=250", rcpt + "=503 5.5.1"}},
		{"BDAT without a size", []string{mail + rcpt + "=250=250", "BDAT x LAST\r\n=501 5.5.4=closed"}},
		{"BDAT with more than LAST", []string{mail + rcpt + "=250=250", "BDAT 3 LAST x\r\nabc=501 5.5.4=closed"}},
		{"BDAT of no end", []string{mail + rcpt + "=250=250", "BDAT 99999999999999999999 LAST\r\n=552 5.3.4=closed"}},
		{"BDAT unasked, of no end", []string{"BDAT 99999999999999999999 LAST\r\n=552 5.3.4=closed"}},
		{"BDAT with an end mark for others", []string{mail + rcpt + "=250=250", "BDAT 8 LAST\r\na\r\nb\n.\r\n=554 5.6.0=closed"}},
		{"BDAT, the mark across chunks", []string{mail + rcpt + "BDAT 3\r\na\n.=250=250=250", "BDAT 3 LAST\r\n\nb\n=554 5.6.0=closed"}},
		{"DATA with an end mark for others", []string{mail + rcpt + "DATA\r\n=250=250=354", "a\n.\r\nMAIL FROM:<x@y.test>\r\n.\r\n=554 5.6.0=closed"}},
		{"line over 64 KiB", []string{mail + rcpt + "DATA\r\n=250=250=354", strings.Repeat("x", 70_000) + "\r\n.\r\n=554 5.6.0", "NOOP\r\n=250"}},
		{"binary data by DATA", []string{"MAIL FROM:<a@b.test> BODY=BINARYMIME\r\n" + rcpt + "=250=250", "DATA\r\n=503 5.5.1"}},
		{"loop", []string{mail + rcpt + "DATA\r\n=250=250=354", strings.Repeat("Received: x\r\n", 100) + "\r\n.\r\n=554 5.4.6", "NOOP\r\n=250"}},
		{"99 hops", []string{mail + rcpt + "DATA\r\n=250=250=354", strings.Repeat("Received: x\r\n", 99) + "\r\n.\r\n=250"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, nil)
			c := d.hello(t)
			for _, s := range tc.say {
				i := regexp.MustCompile(`=(closed|[2-5]\d\d)`).FindStringIndex(s)[0]
				c.say(s[:i], strings.Split(s[i+1:], "=")...)
			}
			if n := d.handler.seen(); n > 1 || n == 1 && tc.name != "99 hops" {
				t.Errorf("got %d messages judged", n)
			}
		})
	}
}

func TestRefusalsBeforeMail(t *testing.T) {
	d := open(t, nil)
	c := d.raw(t)
	c.want("220 gw.example ESMTP")
	c.say("MAIL FROM:<a@b.test>\r\n", "503 5.5.1")
	got := c.say("HELO x\r\n", "250")
	if strings.Contains(got, "SIZE") {
		t.Errorf("got %q after HELO", got)
	}
	got = c.say("EHLO x\r\n", "250")
	for _, want := range []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN"} {
		if !strings.Contains(got, want) {
			t.Errorf("EHLO lacks %s: %q", want, got)
		}
	}
	for _, not := range []string{"STARTTLS", "AUTH", "SMTPUTF8", "BINARYMIME"} {
		if strings.Contains(got, not) {
			t.Errorf("EHLO offers %s", not)
		}
	}
}

func TestSizeLimit(t *testing.T) {
	const limit = 64 << 10
	line := strings.Repeat("x", 98) + "\r\n"
	body := func(n int) string { return strings.Repeat(line, n/100) + strings.Repeat("y", n%100-2) + "\r\n" }
	for _, tc := range []struct {
		name string
		n    int
		want []string
	}{
		{"at the limit", limit, []string{"250"}},
		{"one more", limit + 1, []string{"552 5.3.4"}},
		{"twice", 2*limit - 36, []string{"552 5.3.4"}},
		{"for ever", 50*limit + 36, []string{"552 5.3.4", "closed"}},
	} {
		for _, how := range []string{"DATA", "BDAT"} {
			t.Run(how+" "+tc.name, func(t *testing.T) {
				d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxMessageSize = limit })
				c := d.hello(t)
				c.say("MAIL FROM:<a@b.test> SIZE=5\r\n", "250") // a lie
				c.say("RCPT TO:<c@d.test>\r\n", "250")
				b := body(tc.n)
				if how == "DATA" {
					c.say("DATA\r\n", "354")
					go c.send(b + ".\r\n") // may be cut off
				} else {
					go c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(b), b))
				}
				c.want(tc.want...)
				if len(tc.want) == 1 {
					c.say("NOOP\r\n", "250")
				}
			})
		}
	}
}

// long: a table
func TestLimits(t *testing.T) {
	t.Run("recipients", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxRcpts = 100 })
		c := d.hello(t)
		c.envelope()
		for i := range 10_000 {
			want := "452 4.5.3"
			if i < 100 {
				want = "250 2.1.5"
			}
			c.say(fmt.Sprintf("RCPT TO:<r%d@d.test>\r\n", i), want)
		}
		c.say("RCPT TO:<r5@d.test>\r\n", "250") // known already
		c.say("DATA\r\nx\r\n.\r\n", "354", "250")
		if got := len(d.hop.messages()[0].rcpts); got != 100 {
			t.Errorf("got %d recipients, want 100", got)
		}
	})
	t.Run("errors", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxErrors = 3 })
		d.hello(t).say("A\r\nB\r\nC\r\n", "500", "500", "500", "421 4.7.0", "closed")
	})
	t.Run("refused recipients are no errors", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, d *door) {
			cfg.MaxErrors = 2
			d.hop.rcpt = func(dlp.Address) (dlp.Reply, error) {
				return dlp.Reply{Code: 550, Enhanced: "5.1.1", Text: "No such user"}, nil
			}
		})
		c := d.hello(t)
		for range 5 {
			c.say("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nRSET\r\n", "250", "550 5.1.1 No such user", "503 5.5.1", "250")
		}
	})
	t.Run("sessions of one client", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxPerClient = 2 })
		a := d.hello(t)
		d.hello(t)
		d.raw(t).want("421 4.7.0", "closed")
		a.say("QUIT\r\n", "221", "closed")
		eventually(t, "a slot is free again", func() bool {
			c := d.raw(t)
			defer c.conn.Close()
			return strings.HasPrefix(c.read(), "220")
		})
	})
	t.Run("sessions in all", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxConnections = 10 })
		for range 9 {
			d.hello(t)
		}
		d.raw(t).want("421 4.3.2", "closed") // the last slot is for somebody else
		other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", d.addr)
		if err != nil {
			t.Skip("no second loopback address here: ", err)
		}
		newClient(t, other).want("220")
	})
	t.Run("who said goodbye has no session", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxConnections = 100 })
		for range 90 {
			d.hello(t)
		}
		for range 10 {
			other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", d.addr)
			if err != nil {
				t.Skip("no second loopback address here: ", err)
			}
			c := newClient(t, other)
			c.want("220")
			c.say("QUIT\r\n", "221")
			other.Close()
		}
	})
	t.Run("networks", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.Networks = []string{"192.0.2.0/24"} })
		d.raw(t).want("554 5.7.1", "closed")
	})
	t.Run("no room", func(t *testing.T) {
		d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) {
			pool, err := buffer.NewPool(buffer.Config{MemoryEach: 64 << 10, MemoryAll: 64 << 10, DiskAll: 100_000, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			deps.Buffers = pool
		})
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\n"+dotted(t, randomBody(1, 300_000)), "354", "452 4.3.1")
		c.envelope("c@d.test")
		c.say("DATA\r\nx\r\n.\r\n", "354", "250")
	})
}

// TestCutShort: what was not finished is not delivered.
func TestCutShort(t *testing.T) {
	for _, raw := range []string{
		"DATA\r\nSubject: x\r\n\r\nhalf", "DATA\r\nx\r\n.", "DATA\r\nx\r\n.\r",
		"BDAT 5000 LAST\r\nonly a part", "BDAT 5\r\nhello", "BDAT 5\r\nhelloBDAT 1 LAST\r\n",
	} {
		t.Run(fmt.Sprintf("%.12q", raw), func(t *testing.T) {
			d := open(t, nil)
			c := d.hello(t)
			c.envelope("c@d.test")
			c.send(raw)
			c.conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c.br)
			eventually(t, "the next hop's transaction is reset", func() bool { return d.hop.resetCount() == 1 })
			if d.handler.seen() != 0 || len(d.hop.messages()) != 0 {
				t.Error("a part of a message was taken for one")
			}
		})
	}
}

func TestEarlyTalker(t *testing.T) {
	d := &door{handler: &handler{}, hop: &memoryHop{}}
	cfg, deps := parts(t, d)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = l.Addr().String()
	c := d.raw(t)
	c.send("EHLO x\r\nMAIL FROM:<a@b.test>\r\n") // before anybody accepts
	d.start(t, cfg, deps, l)
	c.want("554 5.5.0", "closed")
}

func TestSTARTTLS(t *testing.T) {
	withTLS := func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.TLS = certificate(t) }
	upgrade := func(c *client) *client {
		c.say("STARTTLS\r\n", "220 2.0.0")
		conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return newClient(t, conn)
	}
	t.Run("starts over", func(t *testing.T) {
		d := open(t, withTLS)
		c := d.hello(t)
		s := upgrade(c)
		s.say("MAIL FROM:<a@b.test>\r\n", "503 5.5.1")
		if got := s.say("EHLO client.example\r\n", "250"); strings.Contains(got, "STARTTLS") {
			t.Errorf("got %q inside TLS", got)
		}
		s.say("STARTTLS\r\n", "503 5.5.1")
		s.envelope("c@d.test")
		s.say("DATA\r\nx\r\n.\r\n", "354", "250")
		if got := d.hop.messages()[0].header; !strings.Contains(got, "with ESMTPS") {
			t.Errorf("got %q", got)
		}
		s.say("QUIT\r\n", "221", "closed")
	})
	t.Run("commands in the clear behind it", func(t *testing.T) {
		d := open(t, withTLS)
		d.hello(t).say("STARTTLS\r\nNOOP\r\nRSET\r\n", "503 5.5.1", "closed")
	})
	t.Run("inside a transaction", func(t *testing.T) {
		d := open(t, withTLS)
		c := d.hello(t)
		c.envelope()
		c.say("STARTTLS\r\n", "503 5.5.1")
	})
	t.Run("no handshake", func(t *testing.T) {
		d := open(t, withTLS)
		c := d.hello(t)
		c.say("STARTTLS\r\n", "220")
		c.send("MAIL FROM:<a@b.test>\r\n")
		if got, _ := io.ReadAll(c.br); strings.Contains(string(got), "250") {
			t.Errorf("got %q", got)
		}
		if d.handler.seen() != 0 {
			t.Error("a message in the clear")
		}
	})
}

func TestNextHopRefusals(t *testing.T) {
	fail := errors.New("gone: ann@clinic.example")
	for _, tc := range []struct {
		name string
		set  func(*memoryHop)
		want []string // MAIL, RCPT, DATA, body
	}{
		{"MAIL refused", func(h *memoryHop) {
			h.begin = func(dlp.Address, smtp.MailOptions) error {
				return &smtp.ReplyError{Reply: dlp.Reply{Code: 550, Enhanced: "5.1.8", Text: "No such sender"}}
			}
		}, []string{"250", "550 5.1.8 No such sender", "503 5.5.1"}},
		{"MAIL deferred, two lines", func(h *memoryHop) {
			h.begin = func(dlp.Address, smtp.MailOptions) error {
				return &smtp.ReplyError{Reply: dlp.Reply{Code: 451, Text: "Later\nplease\x01"}}
			}
		}, []string{"250", "451-Later\r\n451 please?", "503 5.5.1"}},
		{"not reached", func(h *memoryHop) { h.begin = func(dlp.Address, smtp.MailOptions) error { return fail } },
			[]string{"250", "451 4.4.1", "451 4.4.1"}},
		{"MAIL answered 421", func(h *memoryHop) {
			h.begin = func(dlp.Address, smtp.MailOptions) error {
				return &smtp.ReplyError{Reply: dlp.Reply{Code: 421, Enhanced: "4.3.2", Text: "Bye"}}
			}
		}, []string{"250", "421 4.3.2 Bye", "closed"}},
		{"RCPT refused", func(h *memoryHop) {
			h.rcpt = func(dlp.Address) (dlp.Reply, error) {
				return dlp.Reply{Code: 452, Enhanced: "4.2.2", Text: "Full"}, nil
			}
		}, []string{"250", "452 4.2.2 Full", "503 5.5.1"}},
		{"lost at RCPT", func(h *memoryHop) { h.rcpt = func(dlp.Address) (dlp.Reply, error) { return dlp.Reply{}, fail } },
			[]string{"250", "451 4.4.1", "451 4.4.1"}},
		{"refused at the end", func(h *memoryHop) {
			h.send = func() (dlp.Reply, error) {
				return dlp.Reply{Code: 554, Enhanced: "5.6.0", Text: "Do not like it"}, nil
			}
		}, []string{"250", "250", "354", "554 5.6.0 Do not like it"}},
		{"lost at the end", func(h *memoryHop) {
			h.send = func() (dlp.Reply, error) { return dlp.Reply{}, &dlp.SendError{AfterDot: true, Err: fail} }
		},
			[]string{"250", "250", "354", "451 4.4.1"}},
		{"nonsense at the end", func(h *memoryHop) { h.send = func() (dlp.Reply, error) { return dlp.Reply{Code: 999}, nil } },
			[]string{"250", "250", "354", "451 4.3.0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) { tc.set(d.hop) })
			c := d.hello(t)
			for i, raw := range []string{"MAIL FROM:<a@b.test>\r\n", "RCPT TO:<c@d.test>\r\n", "DATA\r\n", "x\r\n.\r\n"}[:len(tc.want)] {
				if got := c.say(raw, tc.want[i]); strings.Contains(got, "clinic.example") {
					t.Errorf("an error's text reached the client: %q", got)
				}
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	id := dlp.NewID()
	held := dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Action: dlp.Allow}, {Action: dlp.Hold}}}
	sent := dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Action: dlp.Allow}, {Action: dlp.AddTag}}}
	for _, tc := range []struct {
		name string
		out  dlp.Outcome
		want string
	}{
		{"held", dlp.Outcome{Kind: dlp.Held, ID: id}, "250 2.0.0 Held for review, id " + string(id)},
		{"split, one held", dlp.Outcome{Kind: dlp.Split, ID: id, Verdict: held}, "250 2.0.0 Held for review, id " + string(id)},
		{"split, none held", dlp.Outcome{Kind: dlp.Split, ID: id, Verdict: sent}, "250 2.0.0 Accepted for delivery, id " + string(id)},
		{"rejected", dlp.Outcome{Kind: dlp.Rejected, ID: id, Types: []dlp.Type{"ICD10", "LAB", "SSN"}},
			"550 5.7.1 Refused by policy: this message holds health information, social security or taxpayer numbers; for help turn to help@clinic.example"},
		{"rejected for no kind", dlp.Outcome{Kind: dlp.Rejected, ID: id}, "550 5.7.1 Refused by policy: this message may not leave; for help"},
		{"no room", dlp.Outcome{Kind: dlp.NoRoom}, "452 4.3.1"},
		{"spooled", dlp.Outcome{Kind: dlp.Spooled, ID: id}, "250 2.0.0 Accepted for reading, id " + string(id)},
		{"queue full", dlp.Outcome{Kind: dlp.QueueFull}, "451 4.3.2"},
		{"unreached", dlp.Outcome{Kind: dlp.Unreached}, "451 4.4.1"},
		{"zero", dlp.Outcome{}, "451 4.3.0"},
		{"an outcome of files", dlp.Outcome{Kind: dlp.Sealed}, "451 4.3.0"},
		{"passed, though never sent", dlp.Outcome{Kind: dlp.Passed, Reply: dlp.Reply{Code: 250}}, "451 4.3.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, d *door) {
				cfg.Contact = "help@clinic.example"
				d.handler.message = answer(tc.out)
			})
			c := d.hello(t)
			c.envelope("c@d.test")
			c.say("DATA\r\nx\r\n.\r\n", "354", tc.want)
			if d.hop.resetCount() != 1 {
				t.Errorf("got %d resets of the next hop, want 1", d.hop.resetCount())
			}
			c.say("NOOP\r\n", "250")
		})
	}
}

func TestHandlerBreaks(t *testing.T) {
	d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.handler.message = func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome { panic("ann's record") }
	})
	c := d.hello(t)
	c.envelope("c@d.test")
	c.say("DATA\r\nx\r\n.\r\n", "354", "451 4.3.0 Try again later")
	if d.hop.resetCount() != 1 {
		t.Error("the next hop was left in a transaction")
	}
	c.say("NOOP\r\n", "250")
}

func TestNextHopBreaks(t *testing.T) {
	d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.hop.begin = func(dlp.Address, smtp.MailOptions) error { panic("x") }
	})
	d.hello(t).say("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n", "250", "421 4.3.0", "closed")
	d.hello(t) // others go on
}

func TestTransactionEndsOnce(t *testing.T) {
	d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.handler.message = func(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			out := pass(ctx, doc, o)
			again := pass(ctx, doc, o)
			if again.Kind != dlp.Unreached {
				t.Errorf("a second Send gave %v", again.Kind)
			}
			if err := o.Reset(ctx); err != nil {
				t.Errorf("Reset after Send: %v", err)
			}
			return out
		}
	})
	c := d.hello(t)
	c.envelope("c@d.test")
	c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 queued")
	if len(d.hop.messages()) != 1 || d.hop.resetCount() != 0 {
		t.Errorf("got %d messages and %d resets, want 1 and 0", len(d.hop.messages()), d.hop.resetCount())
	}
}

// TestClientHangsUp: once the last byte came, the message goes on without its
// client.
func TestClientHangsUp(t *testing.T) {
	gone := make(chan struct{})
	d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.handler.message = func(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			<-gone
			if ctx.Err() != nil {
				t.Error("the client took the handler's context with it")
			}
			return pass(ctx, doc, o)
		}
	})
	c := d.hello(t)
	c.envelope("c@d.test")
	c.say("DATA\r\n", "354")
	c.send("x\r\n.\r\n")
	eventually(t, "the message is judged", func() bool { return d.handler.seen() == 1 })
	c.conn.Close()
	close(gone)
	eventually(t, "the message arrives", func() bool { return len(d.hop.messages()) == 1 })
}
