package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

const pipelined = "x\r\n.\r\nQUIT\r\n" // as Postfix ends a session: in one write

// holding opens a door that holds everything, and asks seen when a hold is
// acknowledged.
func holding(t *testing.T, id dlp.ID, seen func()) *door {
	t.Helper()
	return open(t, func(_ *smtp.Config, deps *smtp.Deps, d *door) {
		deps.TLS = certificate(t)
		d.handler.message = answer(dlp.Outcome{Kind: dlp.Held, ID: id, Acknowledge: true})
		deps.Handler = asked{d.handler, seen}
	})
}

type asked struct {
	*handler
	seen func()
}

func (a asked) Acknowledge(ctx context.Context, ids []dlp.ID) error {
	a.seen()
	return a.handler.Acknowledge(ctx, ids)
}

// TestAcknowledgeWaitsForTheAnswer: a command that was sent along with the end
// of a message says nothing about whether its answer was read; that the client
// closes after QUIT does.
func TestAcknowledgeWaitsForTheAnswer(t *testing.T) {
	for _, secured := range []bool{false, true} {
		for name, more := range map[string]string{"QUIT": "", "a message in between": "MAIL FROM:<a@b.test>\r\nRSET\r\n"} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secured), func(t *testing.T) {
				read := make(chan struct{})
				id := dlp.NewID()
				d := holding(t, id, func() {
					select {
					case <-read:
					default:
						t.Error("acknowledged before the client had the answer")
					}
				})
				c := d.hello(t)
				if secured {
					c = d.overTLS(t, c)
				}
				c.envelope("c@d.test")
				c.say("DATA\r\n", "354")
				c.send(strings.Replace(pipelined, "QUIT", more+"QUIT", 1))
				c.want("250 2.0.0 Held")
				if more != "" {
					c.want("250", "250")
				}
				c.want("221")
				if got := d.handler.acknowledged(); got != "[]" {
					t.Errorf("got %s before the client closed", got)
				}
				close(read)
				c.conn.Close()
				eventually(t, "it is acknowledged", func() bool { return d.handler.acknowledged() == fmt.Sprintf("[[%s]]", id) })
			})
		}
	}
}

// TestAcknowledgeOfAClientThatWaitsForTheEnd: a client that leaves it to us to
// close after QUIT is not waited for in vain: it is let go and has read its answer.
func TestAcknowledgeOfAClientThatWaitsForTheEnd(t *testing.T) {
	id := dlp.NewID()
	d := holding(t, id, func() {})
	c := d.hello(t)
	c.envelope("c@d.test")
	c.say("DATA\r\n", "354")
	c.send(pipelined)
	c.want("250 2.0.0 Held", "221", "closed")
	if got := d.handler.acknowledged(); got != "[]" {
		t.Errorf("got %s before the client closed", got)
	}
	c.conn.Close()
	eventually(t, "the session ends", func() bool { return d.Sessions() == 0 })
	if got, want := d.handler.acknowledged(), fmt.Sprintf("[[%s]]", id); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// overTLS has c go on under TLS.
func (d *door) overTLS(t *testing.T, c *client) *client {
	t.Helper()
	c.say("STARTTLS\r\n", "220")
	c = newClient(t, tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})) // the certificate is the test's own
	c.say("EHLO client.example\r\n", "250")
	return c
}

// TestAcknowledgeByTheNextCommand: what a client sends after it has read the
// answers it was given acknowledges them, however much it had sent along before.
func TestAcknowledgeByTheNextCommand(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secured), func(t *testing.T) {
			id := dlp.NewID()
			d := holding(t, id, func() {})
			c := d.hello(t)
			if secured {
				c = d.overTLS(t, c)
			}
			c.envelope("c@d.test")
			c.say("DATA\r\n", "354")
			c.send("x\r\n.\r\nNOOP\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
			c.want("250 2.0.0 Held", "250", "250", "250", "354")
			if got := d.handler.acknowledged(); got != "[]" {
				t.Errorf("got %s by commands sent along", got)
			}
			c.say(pipelined, "250 2.0.0 Held", "221")
			if got, want := d.handler.acknowledged(), fmt.Sprintf("[[%s]]", id); got != want {
				t.Errorf("got %s, want the first only: %s", got, want)
			}
			c.conn.Close()
			eventually(t, "the second is acknowledged", func() bool { return d.handler.acknowledged() == fmt.Sprintf("[[%s] [%[1]s]]", id) })
		})
	}
}

// TestNoAcknowledgementByACommandThatHadBegun: a command of which the beginning
// was sent along was sent along.
func TestNoAcknowledgementByACommandThatHadBegun(t *testing.T) {
	id := dlp.NewID()
	d := holding(t, id, func() {})
	c := d.hello(t)
	c.envelope("c@d.test")
	c.say("DATA\r\n", "354")
	c.say("x\r\n.\r\nNO", "250 2.0.0 Held")
	c.say("OP\r\n", "250")
	if got := d.handler.acknowledged(); got != "[]" {
		t.Errorf("got %s by a command begun before", got)
	}
	c.say("NOOP\r\n", "250")
	if got, want := d.handler.acknowledged(), fmt.Sprintf("[[%s]]", id); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNoAcknowledgementByAClientThatLeft: a client that is gone, or has said that
// it will send no more, before it could have the answer, has not read it.
func TestNoAcknowledgementByAClientThatLeft(t *testing.T) {
	for name, leave := range map[string]func(*client){
		"closed":  func(c *client) { c.conn.Close() },
		"reset":   func(c *client) { c.conn.(*net.TCPConn).SetLinger(0); c.conn.Close() },
		"no more": func(c *client) { c.conn.(*net.TCPConn).CloseWrite(); io.Copy(io.Discard, c.conn); c.conn.Close() },
		"unread": func(c *client) {
			b := make([]byte, 1)
			c.conn.Read(b) // the answer has come, and most of it is never read
			c.conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
				d.handler.message = func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome {
					<-gone
					return dlp.Outcome{Kind: dlp.Held, ID: dlp.NewID(), Acknowledge: true}
				}
			})
			c := d.hello(t)
			c.envelope("c@d.test")
			c.say("DATA\r\n", "354")
			c.send(pipelined)
			eventually(t, "the message is judged", func() bool { return d.handler.seen() == 1 })
			if name == "unread" || name == "no more" {
				if name == "no more" {
					c.conn.(*net.TCPConn).CloseWrite()
				}
				close(gone)
				leave(c)
			} else {
				leave(c)
				close(gone)
			}
			eventually(t, "the session ends", func() bool { return d.Sessions() == 0 })
			if got := d.handler.acknowledged(); got != "[]" {
				t.Errorf("got %s, want none", got)
			}
		})
	}
}

func TestAcknowledge(t *testing.T) {
	id := dlp.NewID()
	hold := func(_ *smtp.Config, _ *smtp.Deps, d *door) {
		d.handler.message = answer(dlp.Outcome{Kind: dlp.Held, ID: id, Acknowledge: true})
	}
	want := fmt.Sprintf("[[%s]]", id)
	for _, next := range []string{"NOOP\r\n", "QUIT\r\n", "MAIL FROM:<a@b.test>\r\n", "nonsense\r\n"} {
		t.Run(strings.TrimSpace(next), func(t *testing.T) {
			d := open(t, hold)
			c := d.hello(t)
			c.envelope("c@d.test")
			c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 Held")
			if got := d.handler.acknowledged(); got != "[]" {
				t.Errorf("got %s before a further command", got)
			}
			c.say(next, "")
			if got := d.handler.acknowledged(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	t.Run("the client hangs up", func(t *testing.T) {
		d := open(t, hold)
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 Held")
		c.conn.(*net.TCPConn).CloseWrite()
		c.want("closed")
		if got := d.handler.acknowledged(); got != "[]" {
			t.Errorf("got %s, want none", got)
		}
	})
	t.Run("it cannot be recorded", func(t *testing.T) {
		d := open(t, func(cfg *smtp.Config, deps *smtp.Deps, d *door) {
			hold(cfg, deps, d)
			d.handler.ackErr = errors.New("disk full")
		})
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\nx\r\n.\r\n", "354", "250 2.0.0 Held")
		c.say("NOOP\r\n", "421 4.3.0", "closed")
	})
}
