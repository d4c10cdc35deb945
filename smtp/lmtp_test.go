package smtp_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func lmtp(cfg *smtp.ClientConfig) { cfg.LMTP = true }

// TestLMTPOut: each recipient has the answer that is its own.
func TestLMTPOut(t *testing.T) {
	carol, dora := dlp.Address{Local: "carol", Domain: "out.test"}, dlp.Address{Local: "dora", Domain: "out.test"}
	for _, tc := range []struct {
		name, dot string
		patience  time.Duration // for an answer
		want      []int         // codes, 0 for an error after the dot
	}{
		{"unequal", "250 2.0.0 a\n451 4.2.0 b\n550 5.2.2 c", patience, []int{250, 451, 550}},
		{"equal", "250 2.0.0 a\n250 2.0.0 b\n250 2.0.0 c", patience, []int{250, 250, 250}},
		{"lost after the first", "250 2.0.0 a", 2 * time.Second, []int{250, 0, 0}},
		{"lost at once", hangUp, patience, []int{0, 0, 0}},
		{"refused, then closed", "550 5.2.2 a\n250 2.0.0 b\n" + hangUp, patience, []int{550, 250, 0}},
		{"refused, then no SMTP", "550 5.2.2 a\n250 2.0.0 b\nwhat?", patience, []int{0, 0, 0}},
		{"taken, then no SMTP", "250 2.0.0 a\nwhat?\n250 2.0.0 c", patience, []int{250, 0, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: []string{"8BITMIME"}, on: func(_ int, c string) string {
				switch {
				case c == ".":
					return tc.dot
				case c == "RCPT TO:<no@out.test>":
					return "550 5.1.1 nobody"
				}
				return ""
			}}
			c := h.client(t, func(cfg *smtp.ClientConfig) { lmtp(cfg); cfg.AnswerTimeout = tc.patience })
			rcpts := []dlp.Address{bob, {Local: "no", Domain: "out.test"}, carol, dora}
			ds := smtp.Deliver(t.Context(), c, ann, rcpts, nil, smtp.MailOptions{}, source("x\r\n"))
			if ds[1].Err != nil || ds[1].Reply.Code != 550 {
				t.Errorf("refused recipient: got %+v", ds[1])
			}
			for i, d := range []dlp.Delivery{ds[0], ds[2], ds[3]} {
				se, lost := errors.AsType[*dlp.SendError](d.Err)
				if d.Reply.Code != tc.want[i] || lost != (tc.want[i] == 0) || lost && !se.AfterDot {
					t.Errorf("recipient %d: got %+v, want %d", i, d, tc.want[i])
				}
			}
			if _, lines, _ := h.seen(); lines[0] != "LHLO gw.example" {
				t.Errorf("got %q first", lines[0])
			}
		})
	}
}

// TestOneReplyForSeveral: a message that LMTP would answer for each recipient is
// not sent inside the client's transaction, one for a single recipient is.
func TestOneReplyForSeveral(t *testing.T) {
	h := &wireHop{ext: []string{"8BITMIME"}, on: func(_ int, c string) string {
		if c == "." {
			return "550 5.2.2 full"
		}
		return ""
	}}
	d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.NextHop = h.client(t, lmtp) })
	c := d.hello(t)
	c.say("MAIL FROM:<ann@clinic.example>\r\nRCPT TO:<bob@out.test>\r\n", "250", "250")
	c.say("DATA\r\nx\r\n.\r\n", "354", "550 5.2.2 full")
	d.handler.message = answer(dlp.Outcome{Kind: dlp.Split})
	c.say("MAIL FROM:<ann@clinic.example>\r\nRCPT TO:<bob@out.test>\r\nRCPT TO:<carol@out.test>\r\n", "250", "250", "250")
	c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 Accepted for delivery")
	if docs := d.handler.docs; docs[0].Scattered || !docs[1].Scattered {
		t.Errorf("got %v and %v, want only the second scattered", docs[0].Scattered, docs[1].Scattered)
	}
	if _, lines, _ := h.seen(); strings.Count(strings.Join(lines, "|"), "DATA") != 1 {
		t.Errorf("got %q, want one message", lines)
	}
}
