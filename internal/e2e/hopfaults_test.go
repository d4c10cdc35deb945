package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// cutAll closes every connection; new ones are taken.
func (h *nextHop) cutAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.Close()
	}
}

// dialled counts the connections that there are.
func (h *nextHop) dialled() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// TestNextHopClosesIdleConnections: a connection that was kept and is closed by
// the next hop costs nothing: the message goes out once, over a new one.
func TestNextHopClosesIdleConnections(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr})
	g.start()
	for i := range 5 {
		if _, err := b.send(g, outside, cleanMail); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		hop.cutAll()
		eventually(t, "the connections are closed", func() bool { return hop.dialled() == 0 })
	}
	// One that says goodbye first is no other case.
	hop.follow(always("MAIL", "421 4.3.2 idle for too long"))
	l := b.letter(cleanMail)
	if _, err := b.give(g, outside, l); err == nil {
		t.Error("a next hop that always closes took it")
	}
	hop.follow(nil)
	if _, err := b.give(g, outside, l); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	b.settle(g)
}

// TestHangingConnectionIsNotUsedAgain: a next hop that does not answer the dot
// is asked nothing more on that connection.
func TestHangingConnectionIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, smtp: "next_hop_answer_timeout = \"5s\""})
	g.start()
	for _, fault := range []string{hang, drop, lose} {
		l := b.letter(cleanMail)
		hop.follow(always("DOT", fault))
		if answer, err := b.give(g, outside, l); !strings.HasPrefix(refused(err), "451 4.4.1") {
			t.Errorf("%s after the dot: %q, %s; want 451 4.4.1", fault, answer, refused(err))
		}
		eventually(t, "the connection is closed", func() bool { return hop.dialled() == 0 })
		hop.follow(nil)
		if _, err := b.give(g, outside, l); err != nil {
			t.Errorf("after %s: %v", fault, err)
		}
		hop.cutAll()
		eventually(t, "the connections are closed", func() bool { return hop.dialled() == 0 })
	}
	// Taken: three second tries, and the one whose answer the next hop lost.
	if n := b.settle(g); n != 1 || hop.count() != 4 {
		t.Errorf("account excused %d second copies of %d that were taken, want 1 of 4", n, hop.count())
	}
}

// TestNextHopOffersLess: what the next hop cannot take is refused, or goes over
// as it is where nothing of it is lost; nothing is changed on the way.
func TestNextHopOffersLess(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	hop.follow(always("EHLO", "250-hop.example\r\n250 SIZE 2000"))
	g := newGateway(t, options{nextHop: hop.addr})
	g.start()
	latin, utf8 := "Subject: caf\xe9\r\n\r\nun caf\xe9\r\n", "Subject: x\r\n\r\ncaf\u00e9\r\n"
	large := cleanMail + strings.Repeat("nothing much was said\r\n", 200)
	for _, tt := range []struct{ name, msg, want string }{
		{"plain", cleanMail, ""},
		{"larger than its SIZE", large, "552 5.3.4"},
		{"8-bit, not 8BITMIME", latin, "554 5.6.3"},
		{"UTF-8, not 8BITMIME", utf8, "554 5.6.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := hop.count()
			answer, err := b.send(g, outside, tt.msg)
			switch {
			case tt.want != "" && !strings.HasPrefix(refused(err), tt.want):
				t.Errorf("answered %q, %s; want %s", answer, refused(err), tt.want)
			case tt.want == "" && err != nil:
				t.Error(err)
			}
			if got := hop.count() - before; (tt.want == "") != (got == 1) {
				t.Errorf("the next hop took %d, want it whole or not at all", got)
			}
		})
	}
	t.Run("no SMTPUTF8", func(t *testing.T) {
		c := dial(t, g)
		before := hop.count()
		c.put("MAIL FROM:<ada@clinic.example> SMTPUTF8 BODY=8BITMIME\r\n")
		answer := c.reply()
		if strings.HasPrefix(answer, "250") {
			c.put("RCPT TO:<s\u00e4m@partner.example>\r\n")
			answer = c.reply()
		}
		if !strings.HasPrefix(answer, "5") {
			t.Errorf("answered %q, want a refusal", answer)
		}
		if hop.count() != before {
			t.Error("something went out")
		}
	})
	b.settle(g)
}

// TestKilledMidMessage kills the gateway while a message comes in, while it is
// read and while it goes out: the client has no answer and sends it again, and
// it arrives once.
func TestKilledMidMessage(t *testing.T) {
	t.Parallel()
	large := "Subject: minutes\r\n\r\n" + strings.Repeat("The meeting went on and nothing much was said about anything.\r\n", 150_000)
	for _, tt := range []struct {
		name, msg string
		stage     string                                                               // at which the client is
		at        func(t *testing.T, g *gateway, hop *nextHop, c *client, text string) // returns at the moment to kill at; text ends with the dot
	}{
		{"before the dot", cleanMail, "body", func(t *testing.T, _ *gateway, _ *nextHop, c *client, text string) {
			c.put(strings.TrimSuffix(text, "."))
		}},
		{"while it is read", large, "dot", func(t *testing.T, g *gateway, hop *nextHop, c *client, text string) {
			hop.follow(always("DATA", hang)) // no answer comes, should it be read before the kill
			c.put(text + "\r\n")
			eventually(t, "a reader has begun", func() bool { return len(family(g.cmd.Process.Pid)) > 1 })
		}},
		{"while it goes out", cleanMail, "dot", func(t *testing.T, _ *gateway, hop *nextHop, c *client, text string) {
			asked := hop.signal("DATA", hang)
			c.put(text + "\r\n")
			<-asked
		}},
		{"before the next hop has answered", cleanMail, "dot", func(t *testing.T, _ *gateway, hop *nextHop, c *client, text string) {
			asked := hop.signal("DOT", hang)
			c.put(text + "\r\n")
			<-asked
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBooks(t)
			hop, l := b.hop(), b.letter(tt.msg)
			g := newGateway(t, options{nextHop: hop.addr})
			g.start()
			c := dial(t, g)
			c.want("MAIL FROM:<ada@clinic.example>", "250")
			c.want("RCPT TO:<sam@partner.example>", "250")
			c.want("DATA", "354")
			tt.at(t, g, hop, c, stuffed(l.text))
			g.kill()
			line, err := c.in.ReadString('\n')
			if err == nil {
				t.Errorf("the client was told %q", line)
			}
			b.answered(l, outside, tt.stage, line)
			hop.follow(nil)
			g.start()
			noneLeft(t, g.data()+"/tmp")
			if _, err := b.give(g, outside, l); err != nil {
				t.Fatal(err)
			}
			if n := b.settle(g); n != 0 || hop.count() != 1 {
				t.Errorf("%d at the next hop, want it once", hop.count())
			}
		})
	}
}

// signal follows a script that answers verb with reply, and tells of the first
// time it does.
func (h *nextHop) signal(verb, reply string) <-chan struct{} {
	asked := make(chan struct{})
	h.follow(func(v, _ string, _ hopMail) string { // called under h.mu
		if v != verb {
			return ""
		}
		select {
		case <-asked:
		default:
			close(asked)
		}
		return reply
	})
	return asked
}

// TestReaderKilled: a reader that dies under a message costs that message a
// gap, which holds it, or a further try; the others go on.
func TestReaderKilled(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy + "[defaults]\nnotify = []\n"})
	g.start()
	large := b.letter("Subject: minutes\r\n\r\n" + strings.Repeat("The meeting went on and nothing much was said about anything.\r\n", 150_000))
	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<sam@partner.example>", "250")
	c.want("DATA", "354")
	answered, killed := make(chan string, 1), 0
	go func() {
		c.put(large.text + ".\r\n")
		answered <- c.reply()
	}()
	answer := ""
	eventually(t, "the message is answered", func() bool {
		select {
		case answer = <-answered:
			return true
		default:
		}
		for _, pid := range family(g.cmd.Process.Pid)[1:] {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			killed++
		}
		return false
	})
	b.answered(large, outside, "dot", answer)
	// One that is killed before it was ready has read nothing: try again later.
	held := strings.HasPrefix(answer, "250 2.0.0 Held for review")
	if killed == 0 || !held && !strings.HasPrefix(answer, "451 4.3.0") {
		t.Errorf("%d readers killed, answered %q; want it held, or 451", killed, answer)
	}
	if _, err := b.send(g, outside, cleanMail); err != nil {
		t.Errorf("another message: %v", err)
	}
	items := g.held()
	if held != (len(items) == 1) {
		t.Fatalf("%d held after %q", len(items), answer)
	}
	if held {
		if out := g.must("quarantine", "show", items[0].ID, "--format", "json"); !strings.Contains(out, `"cause": "crashed"`) {
			t.Errorf("held for %s, want a gap that crashed", out)
		}
	}
	b.settle(g)
}

// allTaken waits for a load of n messages, and wants each answered 250 at the first try.
func allTaken(t *testing.T, load *loading, n int) {
	t.Helper()
	load.wait(t)
	if out := load.out.String(); !strings.Contains(out, fmt.Sprintf(" ok=%d 4xx=0 5xx=0 noanswer=0 ", n)) {
		t.Errorf("load: %s, want %d answered 250 at the first try", out, n)
	}
}

// TestReloadUnderLoad: a reload, with another configuration or with one that is
// refused, ends no session and refuses no message.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	g := newTrial(t, options{})
	g.start()
	good := read(t, g.config)
	load := g.load(300)
	reloads, sent := 0, 300
	told := func() int {
		out := g.logged()
		return strings.Count(out, "in force") + strings.Count(out, "are as before")
	}
	for i := 0; reloads < 6 || !load.done(); i++ {
		if load.done() { // sooner than six reloads: there is more of it
			allTaken(t, load, 300)
			load = g.load(300)
			sent += 300
		}
		text := good + strings.Repeat("# another line\n", i)
		if i%3 == 2 {
			text += "nonsense = true\n" // refused: what runs stays in force
		}
		write(t, g.config, text, 0o600)
		before := told()
		if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the reload is told of", func() bool { return told() > before })
		reloads++
	}
	allTaken(t, load, 300)
	t.Logf("%d reloads in %d messages", reloads, sent)
	write(t, g.config, good, 0o600)
	g.whole()
}
