package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestRepeatOfAPipeliningClient: a client that sends QUIT along with the end of
// its message, as Postfix does, has one hold, wherever stanch dies or the
// connection breaks.
func TestRepeatOfAPipeliningClient(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"committed", "acknowledge", "acknowledged"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, options{extra: quietPolicy})
			g.start("STANCH_CRASH_AT=" + step)
			got := pipeline(t, g)
			if !g.ended() {
				t.Fatalf("the step was never reached: answered %q", got)
			}
			g.start()
			if got == "" { // as every mail server does: until it has an answer
				got = pipeline(t, g)
			}
			if items := g.held(); len(items) != 1 || !strings.Contains(got, items[0].ID) {
				t.Errorf("answered %q, held %+v; want one, and its id", got, items)
			}
		})
	}
	t.Run("the connection breaks", func(t *testing.T) {
		t.Parallel()
		measured := freeAddr(t)
		g := newGateway(t, options{extra: quietPolicy + fmt.Sprintf("[metrics]\nlisten = %q\n", measured)})
		g.start()
		for range 3 {
			c := message(t, g)
			c.put(phiMail + "\r\n.\r\nQUIT\r\n")
			c.cut()
		}
		// One that ended after the next was acknowledged would be a new message.
		eventually(t, "the three have ended", func() bool {
			return strings.Contains(page(t, "http://"+measured+"/metrics"), "\nstanch_sessions 0\n")
		})
		if n := len(g.held()); n != 1 {
			t.Fatalf("%d held of three times the same, want 1", n)
		}
		got := pipeline(t, g)
		if items := g.held(); len(items) != 1 || !strings.Contains(got, items[0].ID) {
			t.Errorf("answered %q, held %+v; want one, and its id", got, items)
		}
		eventually(t, "that the client had this answer is on record", func() bool {
			pipeline(t, g)
			return len(g.held()) == 2
		})
	})
}

// message opens a message with stanch, up to DATA.
func message(t *testing.T, g *gateway) *client {
	t.Helper()
	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<sam@partner.example>", "250")
	c.want("DATA", "354")
	return c
}

// pipeline sends a message and QUIT in one write, and returns what is answered
// before the connection ends.
func pipeline(t *testing.T, g *gateway) string {
	t.Helper()
	c := message(t, g)
	c.put(phiMail + "\r\n.\r\nQUIT\r\n")
	line, _ := c.in.ReadString('\n') // "" where stanch has died
	if line != "" {
		_, _ = io.ReadAll(io.LimitReader(c.in, int64(c.in.Buffered())))
	}
	c.cut()
	return line
}

// TestPostfixIsHeldOnce: Postfix, which sends QUIT along with the end of a
// message, has one hold, though stanch dies just when it is on record that
// Postfix has the answer; and later the same mail is another.
func TestPostfixIsHeldOnce(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"committed", "acknowledge", "acknowledged"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, options{extra: quietPolicy})
			g.start("STANCH_CRASH_AT=" + step)
			p := startPostfix(t, g.addr)
			p.submit("ada@clinic.example", "sam@partner.example", "Subject: patient\n\nHer social security number is 536-22-8145.\n")
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			eventually(t, "Postfix has the answer", func() bool { return strings.Contains(p.logged(), "status=sent (250 2.0.0 Held for review") })
			if items := g.held(); len(items) != 1 || !strings.Contains(p.logged(), items[0].ID) {
				t.Errorf("held %+v, want one", items)
			}
			if n := strings.Count(p.logged(), "status=deferred"); step == "acknowledged" && n > 0 {
				t.Errorf("Postfix deferred %d times, though it was on record that it had the answer", n)
			}
		})
	}
}
