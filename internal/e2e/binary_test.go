package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// binaryHop is a next hop that takes binary messages and addresses outside ASCII.
type binaryHop struct {
	mu   sync.Mutex // guards mail
	mail []binaryMail
}

type binaryMail struct {
	body gosmtp.BodyType
	utf8 bool
	from string
	text string
}

// NewSession implements gosmtp.Backend.
func (h *binaryHop) NewSession(*gosmtp.Conn) (gosmtp.Session, error) {
	return &binarySession{h: h}, nil
}

func (h *binaryHop) taken() []binaryMail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]binaryMail(nil), h.mail...)
}

type binarySession struct {
	h *binaryHop
	m binaryMail
}

func (x *binarySession) Mail(from string, o *gosmtp.MailOptions) error {
	x.m = binaryMail{body: o.Body, utf8: o.UTF8, from: from}
	return nil
}
func (x *binarySession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (x *binarySession) Reset()                                 {}
func (x *binarySession) Logout() error                          { return nil }
func (x *binarySession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.h.mu.Lock()
	defer x.h.mu.Unlock()
	x.m.text = string(b)
	x.h.mail = append(x.h.mail, x.m)
	return nil
}

// TestBinaryBetweenEnds: a message that has no lines, and addresses outside ASCII, arrive as
// they were sent where the next hop takes them, and are read as all is; where it does not,
// neither is offered, nor is anything changed so that it would do.
func TestBinaryBetweenEnds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rich := &binaryHop{}
	s := gosmtp.NewServer(rich)
	s.Domain, s.EnableBINARYMIME, s.EnableSMTPUTF8 = "hop.example", true, true
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) }) // until it is closed
	t.Cleanup(func() {
		_ = s.Close() // what was sent has been looked at
		serving.Wait()
	})
	clean := "Subject: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n" +
		"the meeting\nis at\rthree\x00.\r\n.\r\n..\r\nand \xf0\x9f\x8d\xb5 after" // no line end at the end
	offer := func(g *gateway, from, text string) string {
		c := dial(t, g)
		if got := c.want("EHLO client.example", "250"); !strings.Contains(got, "BINARYMIME") || !strings.Contains(got, "SMTPUTF8") {
			t.Errorf("offers %q", got)
		}
		c.want("MAIL FROM:<"+from+"> BODY=BINARYMIME SMTPUTF8", "250")
		c.want("RCPT TO:<sam@partner.example>", "250")
		c.put(fmt.Sprintf("BDAT 20\r\n%s", text[:20]))
		c.reply()
		c.put(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text)-20, text[20:]))
		return c.reply()
	}
	g := newGateway(t, options{nextHop: l.Addr().String()})
	g.start()
	eventually(t, "the door has learned what the next hop offers", func() bool {
		c := dial(t, g)
		return strings.Contains(c.want("EHLO client.example", "250"), "BINARYMIME")
	})
	if got := offer(g, "ad\u00e4@clinic.example", clean); !strings.HasPrefix(got, "250") {
		t.Errorf("answered %q", got)
	}
	ms := rich.taken()
	if len(ms) != 1 || !strings.HasSuffix(ms[0].text, "\r\n"+clean) || ms[0].body != gosmtp.BodyBinaryMIME || !ms[0].utf8 || ms[0].from != "ad\u00e4@clinic.example" {
		t.Errorf("the next hop has %+v, want what was sent and nothing else", ms)
	}
	if got := offer(g, "ada@clinic.example", clean+" SSN: 536-22-8145 "); !strings.HasPrefix(got, "250 2.0.0 Held for review") {
		t.Errorf("answered %q, want it held", got)
	}

	poor := newNextHop(t)
	g = newGateway(t, options{nextHop: poor.addr})
	g.start()
	c := dial(t, g)
	if got := c.want("EHLO client.example", "250"); strings.Contains(got, "BINARYMIME") || strings.Contains(got, "SMTPUTF8") {
		t.Errorf("offers what the next hop does not: %q", got)
	}
	for _, params := range []string{"BODY=BINARYMIME", "SMTPUTF8"} { // refused with the first recipient: that says which next hop
		c.want("MAIL FROM:<ada@clinic.example> "+params, "250")
		c.want("RCPT TO:<sam@partner.example>", "5")
		c.want("RSET", "250")
	}
	if n := poor.count(); n != 0 {
		t.Errorf("%d messages went out", n)
	}
}
