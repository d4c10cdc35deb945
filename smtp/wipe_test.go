package smtp_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// TestLentBuffersAreWiped: a buffer that is lent for the next body holds nothing
// of the last one, and what a session keeps holds nothing of its body.
func TestLentBuffersAreWiped(t *testing.T) {
	secret := []byte("patient")
	body := strings.Repeat("The patient is well.\r\n", 10_000)
	wiped := func(t *testing.T, all [][]byte) {
		t.Helper()
		if len(all) == 0 {
			t.Fatal("no buffer was lent")
		}
		for _, b := range all {
			if i := bytes.Index(b, secret); i >= 0 || bytes.Count(b, []byte{0}) != len(b) {
				t.Errorf("a buffer that was given back holds bytes, of the message at %d", i)
			}
		}
	}
	for _, opt := range []smtp.MailOptions{{}, {MailParams: dlp.MailParams{Body: "BINARYMIME"}}} {
		t.Run("by the client, "+opt.Body, func(t *testing.T) {
			h := &wireHop{ext: []string{"8BITMIME", "CHUNKING", "BINARYMIME"}}
			c := h.client(t, nil)
			all := c.Lent()
			if r, err := offer(t, c, opt).Send(t.Context(), nil, strings.NewReader(body)); err != nil || r.Code != 250 {
				t.Fatal(r, err)
			}
			wiped(t, all())
		})
	}
	t.Run("by the door", func(t *testing.T) {
		d := open(t, nil)
		all := d.Lent()
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\n", "354")
		c.say(body+".\r\n", "250")
		c.say("NOOP\r\n", "250") // the buffer is given back between commands
		wiped(t, all())
	})
}
