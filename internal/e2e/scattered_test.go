package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// routesTo is the configuration of a route for each domain.
func routesTo(hops map[string]string) string {
	var b strings.Builder
	n := 0
	for domain, addr := range hops {
		n++
		fmt.Fprintf(&b, "[[smtp.routes]]\nname = \"r%d\"\nrecipients = [%q]\nnext_hops = [%q]\n", n, domain, addr)
	}
	return b.String()
}

// TestScatteredMail: recipients with different next hops are each asked at
// their own; the message is ours then, clean or not, and each hop gets it once.
func TestScatteredMail(t *testing.T) {
	t.Parallel()
	a, b, rest := newNextHop(t), newNextHop(t), newNextHop(t)
	b.follow(func(verb, arg string, _ hopMail) string {
		if verb == "RCPT" && strings.Contains(arg, "no@") {
			return "550 5.1.1 unknown"
		}
		return ""
	})
	g := newGateway(t, options{nextHop: rest.addr, extra: routesTo(map[string]string{"a.example": a.addr, "b.example": b.addr, "down.example": "127.0.0.1:1"})})
	g.start()

	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<sam@a.example>", "250 2.1.5")
	c.want("RCPT TO:<no@b.example>", "550 5.1.1")
	c.want("RCPT TO:<tom@b.example>", "250 2.1.5")
	c.want("RCPT TO:<sue@down.example>", "451 4.4.1")
	c.want("RCPT TO:<pat@else.example>", "250 2.1.5")
	c.want("DATA", "354")
	c.want(stuffed(cleanMail), "250 2.0.0")
	c.want("QUIT", "221")
	for name, hop := range map[string]*nextHop{"sam@a.example": a, "tom@b.example": b, "pat@else.example": rest} {
		eventually(t, "the copy for "+name, func() bool { return hop.count() == 1 })
		if m := hop.messages()[0]; len(m.rcpts) != 1 || m.rcpts[0] != name || !strings.HasSuffix(m.text, cleanMail) {
			t.Errorf("%s: got %q", name, m)
		}
	}

	// One next hop left: inside the client's own transaction again.
	b.follow(always("DOT", "451 4.2.0 later"))
	if _, err := g.send("ada@clinic.example", []string{"tom@b.example"}, cleanMail); !strings.HasPrefix(refused(err), "451 4.2.0") {
		t.Errorf("got %s, want the next hop's own 451", refused(err))
	}
	b.follow(nil)

	// Held for both, released to both.
	if answer, err := g.send("ada@clinic.example", []string{"sam@a.example", "tom@b.example"}, phiMail); err != nil || !strings.Contains(answer, "Held for review") {
		t.Fatalf("got %q, %v", answer, err)
	}
	g.must("quarantine", "release", g.held()[0].ID)
	eventually(t, "both copies of the released mail", func() bool { return a.count() == 2 && b.count() == 2 })
}

// TestRoutesReload: SIGHUP changes where mail goes; sessions go on, and a broken
// configuration changes nothing.
func TestRoutesReload(t *testing.T) {
	t.Parallel()
	first, second := newNextHop(t), newNextHop(t)
	g := newGateway(t, options{nextHop: first.addr})
	g.start()
	begun := dial(t, g)
	begun.want("MAIL FROM:<ada@clinic.example>", "250")
	begun.want("RCPT TO:<sam@partner.example>", "250")

	text := read(t, g.config)
	reload := func(text, want string) {
		t.Helper()
		n := strings.Count(g.logged(), want)
		write(t, g.config, text, 0o600)
		if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "reload: "+want, func() bool { return strings.Count(g.logged(), want) > n })
	}
	reload(text+"\n[[smtp.routes]]\nname = \"x\"\nnext_hops = [\""+second.addr+"\"]\ntls = \"verified\"\ntls_ca = \"/nowhere\"\n", "reload refused")
	if _, err := g.send("ada@clinic.example", outside, cleanMail); err != nil || first.count() != 1 {
		t.Errorf("after a refused reload: %v, the first hop has %d", err, first.count())
	}
	reload(strings.Replace(text, first.addr, second.addr, 1), "next hops were read again")
	if _, err := g.send("ada@clinic.example", outside, cleanMail); err != nil || second.count() != 1 {
		t.Errorf("after the reload: %v, the second hop has %d", err, second.count())
	}
	begun.want("DATA", "354")
	begun.want(stuffed(cleanMail), "250")
	if first.count() != 2 {
		t.Errorf("the message begun before is not where it was offered: the first hop has %d", first.count())
	}
}

// TestLMTPSocket: a next hop that is a socket, and answers for each recipient.
func TestLMTPSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "lmtp") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	hop := newLMTP(t, dir+"/s")
	g := newGateway(t, options{nextHop: "lmtp:" + dir + "/s"})
	g.start()
	if _, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, cleanMail); err != nil {
		t.Errorf("one recipient: %v", err)
	}
	if _, err := g.send("ada@clinic.example", []string{"sam@partner.example", "full@partner.example"}, cleanMail); err != nil {
		t.Errorf("two recipients: %v", err)
	}
	eventually(t, "both messages have arrived", func() bool { return hop.count() >= 2 })
	eventually(t, "the one who was refused is told to the sender", func() bool {
		for _, m := range hop.messages() {
			if m.from == "" && strings.Contains(m.text, "full@partner.example") {
				return true
			}
		}
		return false
	})
}

// TestScatteredSurvivesKillAtEachStep: with two next hops, each has the message
// once, whatever step the process dies at; twice only the one whose answer was
// never recorded.
func TestScatteredSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct {
		step string
		a, b int // copies
	}{
		{"decision", 1, 1},
		{"commit: begin", 1, 1},
		{"commit: answer", 1, 1},
		{"committed", 1, 1},
		{"deliver", 1, 1},
		{"delivered", 2, 1},
		{"committed#2", 1, 1},
		{"deliver#2", 1, 1},
		{"delivered#2", 1, 2},
		{"commit#3", 1, 2},
		{"committed#3", 1, 1},
	} {
		t.Run(tt.step, func(t *testing.T) {
			eachSecond(t, i)
			books, rcpts := newBooks(t), []string{"sam@a.example", "tom@b.example"}
			a, b, l := books.hop(), books.hop(), books.letter(cleanMail)
			g := newGateway(t, options{nextHop: b.addr, extra: routesTo(map[string]string{"a.example": a.addr})})
			g.start("STANCH_CRASH_AT=" + tt.step)
			send := func() string { // the answer to the dot, whatever becomes of QUIT
				answer, _ := books.give(g, rcpts, l)
				return answer
			}
			answer := send()
			eventually(t, "the process dies at the step", g.ended)
			g.start()
			if answer == "" && send() == "" { // as every mail server does
				t.Fatal("the second try was refused")
			}
			if tt.a+tt.b > 2 {
				books.unrecorded(l, rcpts)
			}
			if n := books.settle(g); n != tt.a+tt.b-2 || a.count() != tt.a || b.count() != tt.b {
				t.Errorf("got %d and %d copies, %d of them excused; want %d and %d, one of each with no excuse", a.count(), b.count(), n, tt.a, tt.b)
			}
		})
	}
}

// stuffed is a message as the last line of DATA takes it, end mark included.
func stuffed(msg string) string {
	return strings.ReplaceAll(msg, "\r\n.", "\r\n..") + "."
}

// lmtpHop is an LMTP server that nobody here wrote. The mailbox of "full" is.
type lmtpHop struct {
	mu    sync.Mutex // guards below
	taken []hopMail
}

func newLMTP(t *testing.T, socket string) *lmtpHop {
	t.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	h := &lmtpHop{}
	s := gosmtp.NewServer(h)
	s.LMTP, s.Domain = true, "lmtp.example"
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) })                      // until Close
	t.Cleanup(func() { ln.Close(); s.Close(); wg.Wait() }) // the listener too: a Close before Serve knows it leaves it open
	return h
}

func (h *lmtpHop) messages() []hopMail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hopMail(nil), h.taken...)
}

func (h *lmtpHop) count() int { return len(h.messages()) }

// NewSession implements gosmtp.Backend.
func (h *lmtpHop) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &lmtpSession{h: h}, nil }

type lmtpSession struct {
	h *lmtpHop
	m hopMail
}

func (x *lmtpSession) Reset()        { x.m = hopMail{} }
func (x *lmtpSession) Logout() error { return nil }

func (x *lmtpSession) Mail(from string, _ *gosmtp.MailOptions) error {
	x.m.from = from
	return nil
}

func (x *lmtpSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	x.m.rcpts = append(x.m.rcpts, to)
	return nil
}

func (x *lmtpSession) Data(io.Reader) error { return errors.New("not by SMTP") }

// LMTPData implements gosmtp.LMTPSession.
func (x *lmtpSession) LMTPData(r io.Reader, status gosmtp.StatusCollector) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.m.text = string(b)
	for _, to := range x.m.rcpts {
		if strings.HasPrefix(to, "full@") {
			status.SetStatus(to, &gosmtp.SMTPError{Code: 552, EnhancedCode: gosmtp.EnhancedCode{5, 2, 2}, Message: "full"})
			continue
		}
		status.SetStatus(to, nil)
	}
	x.h.mu.Lock()
	defer x.h.mu.Unlock()
	x.h.taken = append(x.h.taken, x.m)
	return nil
}

// TestRelayedReport: a sender who asked to be told of success hears from us that
// the message went on where its next hop reports on nothing, and only there
// (RFC 3461, 6.2.6).
func TestRelayedReport(t *testing.T) {
	t.Parallel()
	silent, reports, rest := newNextHop(t), newNextHop(t), newNextHop(t)
	var mu sync.Mutex
	var asked []string // of the hop that reports: RCPT's arguments
	offers := "250-hop.example\r\n250 DSN"
	rest.follow(always("EHLO", offers))
	reports.follow(func(verb, arg string, _ hopMail) string {
		if verb == "RCPT" {
			mu.Lock()
			asked = append(asked, arg)
			mu.Unlock()
		}
		return always("EHLO", offers)(verb, arg, hopMail{})
	})
	g := newGateway(t, options{nextHop: rest.addr, extra: routesTo(map[string]string{"silent.example": silent.addr, "reports.example": reports.addr})})
	g.start()
	for _, tt := range []struct {
		name    string
		rcpts   []string
		relayed string // who the report is about; "" for no report
	}{
		{"one hop that reports on nothing", []string{"sam@silent.example"}, "sam@silent.example"},
		{"one hop that reports", []string{"tom@reports.example"}, ""},
		{"both", []string{"sam@silent.example", "tom@reports.example"}, "sam@silent.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rest.drain()
			mu.Lock()
			asked = nil
			mu.Unlock()
			before := silent.count() + reports.count()
			c := dial(t, g)
			c.want("EHLO pc.clinic.example", "250")
			c.want("MAIL FROM:<ada@clinic.example>", "250")
			for _, r := range tt.rcpts {
				c.want("RCPT TO:<"+r+"> NOTIFY=SUCCESS", "250")
			}
			c.want("DATA", "354")
			c.want(stuffed(cleanMail), "250")
			c.want("QUIT", "221")
			eventually(t, "each copy", func() bool { return silent.count()+reports.count() == before+len(tt.rcpts) })
			mu.Lock()
			for _, arg := range asked {
				if !strings.Contains(arg, "NOTIFY=SUCCESS") {
					t.Errorf("the hop that reports was asked %q, want NOTIFY=SUCCESS", arg)
				}
			}
			mu.Unlock()
			if tt.relayed != "" {
				eventually(t, "the report", func() bool { return rest.count() == 1 })
			}
			// What comes after it on the same way shows that no report came, or no second one.
			if _, err := g.send("eve@clinic.example", []string{"ada@clinic.example"}, cleanMail); err != nil {
				t.Fatal(err)
			}
			g.must("queue", "retry", "--all")
			eventually(t, "an empty outbox", func() bool { return !strings.Contains(g.must("queue", "list", "--format", "json"), `"id"`) })
			var about []string
			for _, m := range rest.messages() {
				if !strings.Contains(m.text, "Action: relayed") {
					continue
				}
				for line := range strings.Lines(m.text) {
					if who, ok := strings.CutPrefix(strings.TrimSpace(line), "Final-Recipient: rfc822;"); ok {
						about = append(about, strings.TrimSpace(who))
					}
				}
			}
			if got := strings.Join(about, " "); got != tt.relayed {
				t.Errorf("reported as relayed: %q, want %q", got, tt.relayed)
			}
		})
	}
}
