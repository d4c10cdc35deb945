package smtp_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/smtp"
)

// TestForeignClient: go-smtp's client, which nobody here wrote, gets along.
func TestForeignClient(t *testing.T) {
	d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.TLS = certificate(t) })
	for _, secured := range []bool{false, true} {
		var c *gosmtp.Client
		var err error
		if secured {
			c, err = gosmtp.DialStartTLS(d.addr, &tls.Config{InsecureSkipVerify: true})
		} else {
			c, err = gosmtp.Dial(d.addr)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n, ok := c.MaxMessageSize(); !ok || n != 50<<20 {
			t.Errorf("got size %d, %v", n, ok)
		}
		body := "Subject: x\r\n\r\n.dots\r\n..\r\n"
		for range 2 {
			if err := c.SendMail("ann@clinic.example", []string{"bob@out.test", "carol@out.test"}, strings.NewReader(body)); err != nil {
				t.Fatal(err)
			}
		}
		err = c.Mail("ann@clinic.example", &gosmtp.MailOptions{Size: 1 << 40})
		if se, ok := errors.AsType[*gosmtp.SMTPError](err); !ok || se.Code != 552 || se.EnhancedCode != (gosmtp.EnhancedCode{5, 3, 4}) {
			t.Errorf("got %v, want 552 5.3.4", err)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		for _, m := range d.hop.messages() {
			same(t, "body", m.body, body)
		}
	}
	if got := len(d.hop.messages()); got != 4 {
		t.Errorf("got %d messages, want 4", got)
	}
}

// TestDoorToNextHop: the door, its client and a next hop over real connections.
func TestDoorToNextHop(t *testing.T) {
	h := &wireHop{ext: []string{"8BITMIME", "SIZE 10000000"}, on: func(_ int, c string) string {
		switch c {
		case "RCPT TO:<no@out.test>":
			return "550-5.1.1 No such\n550 5.1.1 recipient"
		}
		return ""
	}}
	hop := h.client(t, nil)
	d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.NextHop = hop })
	c := d.hello(t)
	c.say("MAIL FROM:<big@clinic.example> SIZE=20000000\r\nRCPT TO:<bob@out.test>\r\nRSET\r\n", "250 2.1.0", "552 5.3.4", "250 2.0.0")
	body := string(randomBody(3, 100_000))
	offer := "MAIL FROM:<ann@clinic.example>\r\nRCPT TO:<bob@out.test>\r\n"
	for range 3 {
		c.say(offer, "250 2.1.0", "250 2.0.0 OK")
		c.say("RCPT TO:<no@out.test>\r\n", "550-5.1.1 No such\r\n550 5.1.1 recipient")
		c.say("DATA\r\n", "354")
		c.say(dotted(t, []byte(body)), "250 2.0.0 queued as 7")
	}
	c.say(offer+"QUIT\r\n", "250", "250", "221", "closed")
	conns, lines, bodies := h.seen()
	if conns > 2 || len(bodies) != 3 { // one may have been opened to see what the next hop offers
		t.Errorf("got %d messages over %d connections, want 3 over 1 or 2", len(bodies), conns)
	}
	if last := lines[len(lines)-1]; last != "RSET" {
		t.Errorf("got %q last, want RSET: the transaction was given up", last)
	}
	for i, b := range bodies {
		want := string(d.handler.docs[i].Trace) + body
		got, _, _, err := smtp.Unstuff([]byte(b), []int{1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "message", string(got), want)
	}
}
