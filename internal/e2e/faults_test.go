package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// refused is the reply that err carries, as "CODE x.y.z text".
func refused(err error) string {
	e, ok := errors.AsType[*gosmtp.SMTPError](err)
	if !ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%d %d.%d.%d %s", e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2], e.Message)
}

// TestNextHopFaults: whatever the next hop does short of saying that it took a
// clean message, the client is told before it has a 250; sent again where that may
// be, each message arrives, twice only where the hop took it and did not say so.
func TestNextHopFaults(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, smtp: "next_hop_idle = 0\nnext_hop_answer_timeout = \"10s\""})
	g.start()
	tests := []struct {
		name, verb, reply string
		want              string // beginning of what the client is told
	}{
		{"4yz at MAIL", "MAIL", "450 4.2.1 not now", "450 4.2.1 not now"},
		{"5yz at MAIL", "MAIL", "550 5.1.8 not you", "550 5.1.8 not you"},
		{"4yz at RCPT", "RCPT", "451 4.2.2 full", "451 4.2.2 full"},
		{"5yz at RCPT", "RCPT", "550 5.1.1 nobody", "550 5.1.1 nobody"},
		{"4yz at DATA", "DATA", "452 4.3.1 no space", "452 4.3.1 no space"},
		{"5yz at DATA", "DATA", "554 5.5.1 no", "554 5.5.1 no"},
		{"4yz at the dot", "DOT", "451 4.7.1 greylisted", "451 4.7.1 greylisted"},
		{"5yz at the dot", "DOT", "554 5.6.0 looks bad", "554 5.6.0 looks bad"},
		{"421 at the dot", "DOT", "421 4.3.2 going", "421 4.3.2 going"},
		{"554 greeting", "GREETING", "554 5.3.2 no mail here", "451 4.4.1"},
		{"421 greeting", "GREETING", "421 4.3.2 busy", "451 4.4.1"},
		{"no greeting", "GREETING", drop, "451 4.4.1"},
		{"EHLO refused", "EHLO", "554 5.5.0 no", "451 4.4.1"},
		{"lost at MAIL", "MAIL", drop, "451 4.4.1"},
		{"lost at RCPT", "RCPT", drop, "451 4.4.1"},
		{"lost at DATA", "DATA", drop, "451 4.4.1"},
		{"lost after the dot", "DOT", drop, "451 4.4.1"},
		{"hangs after the dot", "DOT", hang, "451 4.4.1"},
		{"lost after the dot, and taken", "DOT", lose, "451 4.4.1"},
		{"no SMTP at all", "MAIL", "hello there", "451 4.4.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hop.follow(always(tt.verb, tt.reply))
			l := b.letter(cleanMail)
			answer, err := b.give(g, outside, l)
			if got := refused(err); !strings.HasPrefix(got, tt.want) {
				t.Errorf("answered %q, %s; want %s", answer, got, tt.want)
			}
			hop.follow(nil)
			if code(err)/100 == 5 { // it is not to come again
				l = b.letter(cleanMail)
			}
			if _, err := b.give(g, outside, l); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
	if n := len(g.held()); n != 0 {
		t.Errorf("%d held, want 0", n)
	}
	b.settle(g)
}

func TestNextHopDown(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr})
	g.start()
	hop.close()
	l := b.letter(cleanMail)
	for range 5 { // more than it takes to count as down
		if _, err := b.give(g, outside, l); !strings.HasPrefix(refused(err), "451 4.4.1") {
			t.Errorf("while it is down: %s, want 451 4.4.1", refused(err))
		}
	}
	hop.listen(t)
	eventually(t, "mail flows again", func() bool {
		_, err := b.give(g, outside, l)
		return err == nil
	})
	b.settle(g)
}

// TestRecipientRefusedLive: a refusal is passed back while the client still
// listens for it, and the others get the message.
func TestRecipientRefusedLive(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	hop, l := b.hop(), b.letter(cleanMail)
	hop.follow(func(verb, arg string, _ hopMail) string {
		if verb == "RCPT" && strings.Contains(arg, "gone@") {
			return "550 5.1.1 gone"
		}
		return ""
	})
	g := newGateway(t, options{nextHop: hop.addr})
	g.start()
	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<gone@partner.example>", "550 5.1.1 gone")
	c.want("RCPT TO:<sam@partner.example>", "250 2.1.5 ok")
	c.want("DATA", "354")
	b.answered(l, outside, "dot", c.want(stuffed(l.text), "250 2.0.0 taken"))
	if n := b.settle(g); n != 0 || hop.count() != 1 {
		t.Errorf("the next hop took %d, want one", hop.count())
	}
}

// TestRefusedCopyComesBack: the copy of a split message is ours; when it is
// refused for good its sender gets a report.
func TestRefusedCopyComesBack(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.reports = true
	hop, l := b.hop(), b.letter(phiMail)
	l.back = []string{"nurse@clinic.example"}
	hop.follow(func(verb, _ string, tx hopMail) string {
		if verb == "DOT" && strings.Join(tx.rcpts, "") == "nurse@clinic.example" {
			return "554 5.2.2 mailbox full"
		}
		return ""
	})
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start()
	answer, err := b.give(g, []string{"nurse@clinic.example", "sam@partner.example"}, l)
	if err != nil || !strings.Contains(answer, "Held for review, id ") {
		t.Fatalf("split: %q, %v", answer, err)
	}
	eventually(t, "the report", func() bool { return hop.count() == 1 })
	dsn := hop.messages()[0]
	if dsn.from != "" || strings.Join(dsn.rcpts, " ") != "ada@clinic.example" {
		t.Errorf("the report went from <%s> to %v, want from <> to the sender", dsn.from, dsn.rcpts)
	}
	for _, want := range []string{"multipart/report", "report-type=delivery-status", "Status: 5.2.2", "nurse@clinic.example", "Auto-Submitted: auto-replied"} {
		if !strings.Contains(dsn.text, want) {
			t.Errorf("the report lacks %q:\n%s", want, dsn.text)
		}
	}
	for _, never := range []string{"536-22-8145", "Subject: patient", "mailbox full"} {
		if strings.Contains(dsn.text, never) {
			t.Errorf("the report holds %q", never)
		}
	}
	if n := len(g.held()); n != 1 {
		t.Errorf("%d held, want 1", n)
	}
	if n := b.settle(g); n != 0 {
		t.Errorf("%d second copies, want none", n)
	}
}

// TestScanTimeoutHolds: what could not be read in time is held, whatever the
// configuration says of gaps: at once where nothing is read on in the
// background, else past the time-out of that.
func TestScanTimeoutHolds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, scan, answer string }{
		{"at once", "background_queue = 0", "Held for review, id "},
		{"in the background", `background_timeout = "1ns"`, "Accepted for reading, id "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, options{smtp: `scan_timeout = "1ns"`, extra: "[scan]\n" + tt.scan + `
[defaults]
on_gap = "allow"
mode = "monitor"
[[policies]]
id = "watch-only"
mode = "monitor"
any = [ { gap = "timeout" } ]
action = "quarantine"
`})
			g.start()
			answer, err := g.send("ada@clinic.example", outside, slowMail(cleanMail))
			if err != nil || !strings.Contains(answer, tt.answer) {
				t.Fatalf("answered %q, %v; want %q", answer, err, tt.answer)
			}
			eventually(t, "it is held", func() bool { return len(g.held()) == 1 })
			out := g.must("quarantine", "show", g.held()[0].ID, "--format", "json")
			for _, want := range []string{`"cause": "timeout"`, `"reason": "timeout"`} {
				if !strings.Contains(out, want) {
					t.Errorf("show lacks %s: %s", want, out)
				}
			}
			for _, m := range g.delivered() { // the sender's notice may be there
				if strings.Contains(m, "the meeting is at three") {
					t.Error("it was delivered")
				}
			}
		})
	}
}

// slowMail is msg with so much behind it that it is read for a while.
func slowMail(msg string) string {
	return msg + strings.Repeat("Nothing much was said about anything at all.\r\n", 60_000)
}

var heldID = regexp.MustCompile(`Held for review, id ([a-z2-7]{26})`)

// TestRepeats: a hold whose 250 was lost takes the repeat in; one whose 250
// was read does not.
func TestRepeats(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: quietPolicy})
	g.start()

	// The client vanishes after the dot.
	c := dial(t, g)
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	c.want("RCPT TO:<sam@partner.example>", "250")
	c.want("DATA", "354")
	c.put(phiMail + "\r\n.\r\n")
	eventually(t, "it is held", func() bool { return len(g.held()) == 1 })
	c.cut()
	id := g.held()[0].ID

	// It comes again, behind another hop's Received field, over restarts too.
	g.kill()
	g.start()
	answer, err := g.send("ada@clinic.example", outside, "Received: from a by b; now\r\n"+phiMail)
	if err != nil || !strings.Contains(answer, id) {
		t.Errorf("second try: %q, %v; want the same id %s", answer, err, id)
	}
	if n := len(g.held()); n != 1 {
		t.Errorf("%d held, want 1", n)
	}

	// That one was acknowledged by QUIT: from now on it is a new message.
	ids := map[string]bool{id: true}
	for range 2 {
		answer, err := g.send("ada@clinic.example", outside, phiMail)
		m := heldID.FindStringSubmatch(answer)
		if err != nil || m == nil || ids[m[1]] {
			t.Fatalf("a new message: %q, %v; want a new id", answer, err)
		}
		ids[m[1]] = true
	}
	if n := len(g.held()); n != 3 {
		t.Errorf("%d held, want 3", n)
	}
}

// TestNotices: who is told, how often, and in what form.
func TestNotices(t *testing.T) {
	t.Parallel()
	hop := newNextHop(t)
	g := newGateway(t, options{nextHop: hop.addr}) // the starter policy tells the sender
	g.start()
	hold := func(from, header string) {
		t.Helper()
		answer, err := g.send(from, outside, header+phiMail)
		if err != nil || !strings.Contains(answer, "Held for review") {
			t.Fatalf("answered %q, %v", answer, err)
		}
	}
	hold("", "")                                                       // the null reverse-path
	hold("robot@clinic.example", "Auto-Submitted: auto-generated\r\n") // a program
	hold("ada@clinic.example", "X-Number: 1\r\n")
	hold("ada@clinic.example", "X-Number: 2\r\n")
	// Killed amid it, the notice might come twice: it is not what this is about.
	eventually(t, "she is told", func() bool { return hop.count() > 0 && strings.Contains(g.must("queue", "list"), "empty") })
	g.kill() // what was told is remembered
	g.start()
	hold("ada@clinic.example", "X-Number: 3\r\n")
	hold("bea@clinic.example", "X-Number: 4\r\n")
	eventually(t, "both are told", func() bool { return hop.count() == 2 })
	eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
	told := map[string]int{}
	for _, m := range hop.messages() {
		told[strings.Join(m.rcpts, " ")]++
		if m.from != "" || !strings.Contains(m.text, "Auto-Submitted: auto-replied\r\n") {
			t.Errorf("a notice from <%s>:\n%s", m.from, m.text)
		}
		if strings.Contains(m.text, "8145") || !strings.Contains(m.text, "Social Security") {
			t.Errorf("a notice should name the kind and not the number:\n%s", m.text)
		}
	}
	if told["ada@clinic.example"] != 1 || told["bea@clinic.example"] != 1 || len(told) != 2 {
		t.Errorf("told %v, want ada and bea once each", told)
	}
}
