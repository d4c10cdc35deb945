package smtp_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// TestClientAfterARefusedMessage: a next hop that goes on with a transaction whose
// message it refused, as Postfix does by smtpd_end_of_data_restrictions, takes
// the next message on the same connection.
func TestClientAfterARefusedMessage(t *testing.T) {
	var mu sync.Mutex
	refused, inside := false, false
	h := &wireHop{on: func(_ int, got string) string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case got == "." && !refused:
			refused, inside = true, true
			return "450 4.7.1 deferred"
		case got == "RSET":
			inside = false
		case strings.HasPrefix(got, "MAIL") && inside:
			return "503 5.5.1 nested MAIL command"
		}
		return ""
	}}
	c := h.client(t, nil)
	for i, want := range []int{450, 250} {
		ds := smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source("x\r\n"))
		if ds[0].Err != nil || ds[0].Reply.Code != want {
			t.Errorf("message %d: got %v, %v; want %d", i, ds[0].Reply, ds[0].Err, want)
		}
	}
	if conns, _, _ := h.seen(); conns != 1 {
		t.Errorf("got %d connections, want 1", conns)
	}
}

// TestRefusedSenderIsAskedForOnce: what the next hop says against a sender
// answers every recipient, until the transaction ends.
func TestRefusedSenderIsAskedForOnce(t *testing.T) {
	asked := 0
	d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.hop.begin = func(dlp.Address, smtp.MailOptions) error {
			if asked++; asked > 1 {
				return nil
			}
			return &smtp.ReplyError{Reply: dlp.Reply{Code: 450, Enhanced: "4.1.8", Text: "Not yet"}}
		}
	})
	c := d.hello(t)
	c.say("MAIL FROM:<a@b.test>\r\n", "250")
	for range 3 {
		c.say("RCPT TO:<c@d.test>\r\n", "450 4.1.8 Not yet")
	}
	c.say("DATA\r\n", "503 5.5.1")
	c.say("RSET\r\n", "250")
	c.envelope("c@d.test")
	c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 queued")
	if asked != 2 {
		t.Errorf("the next hop was asked %d times, want 2", asked)
	}
}
