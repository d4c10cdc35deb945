package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
)

// Messages as mail servers pass them on: every field that they would add is
// there already.
const (
	guideClean = "Received: from desk.clinic.example\r\n\tby mail.clinic.example; Wed, 25 Nov 2026 10:00:00 +0000\r\n" +
		"From: Ada Example <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\nSubject:  two  spaces,\r\n\tfolded \r\n and again\r\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; d=clinic.example; s=x;\r\n\tbh=abc=; h=from:to;\r\n        b=def\r\nX-Empty:\r\nx-lower:no space\r\n" +
		"Date: Wed, 25 Nov 2026 10:00:00 +0000\r\nMessage-ID: <guide-clean@clinic.example>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		"Dear Sam,\r\n.\r\n..dots\r\ntrailing blanks  \t\r\n\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
	guideHead = "From: Ada Example <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n"
	guidePHI  = guideHead + "Message-ID: <guide-phi@clinic.example>\r\nSubject:  patient\r\n\tfolded\r\nX-Empty:\r\n\r\nHer social security number is 536-22-8145.\r\n"
	guideNPI  = guideHead + "Message-ID: <guide-npi@clinic.example>\r\nSubject: provider\r\n\r\nNPI: 1234567893\r\n"
)

// integration is one way to put Postfix and stanch together.
type integration struct {
	set, toml string
	before    bool // the client is answered by what stanch says
	relay     bool // stanch stands in the stream, and its own answers are seen
}

func integrations() map[string]integration {
	return map[string]integration{
		"milter":               {"milter", "milter", true, false},
		"milter over a socket": {"milter", "milter", true, false},
		"smtpd_proxy_filter":   {"proxy", "proxy", true, true},
		"content_filter":       {"content", "proxy", false, true},
		"relayhost":            {"relayhost", "relayhost", false, true},
	}
}

// TestPostfixGuides runs the configurations of docs/postfix.md.
func TestPostfixGuides(t *testing.T) {
	t.Parallel()
	for name, in := range integrations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			var main, toml string
			if strings.Contains(name, "socket") {
				_, main, toml = overSocket(t)
			}
			s := newSite(t, in.set, next, in.toml, main, toml)
			s.start()
			s.clean(messages)
			s.phi(in, messages)
			s.split(in, messages)
			s.refused(in)
			s.local(messages)
			s.down(in, messages)
			s.must("audit", "verify")
		})
	}
}

// overSocket has a mail server and stanch meet at a path that the server's own user
// can reach; main is for Postfix.
func overSocket(t *testing.T) (at, main, toml string) {
	t.Helper()
	base := ""
	if os.Getuid() == 0 { // others run no mail server
		base = "/run" // Sendmail trusts nothing below a folder that all may write to
	}
	dir, err := os.MkdirTemp(base, "milter")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at = "unix:" + filepath.Join(dir, "stanch.sock")
	return at, "smtpd_milters = " + at + "\nnon_smtpd_milters = " + at + "\n", fmt.Sprintf("[milter]\nlisten = [%q]\nsocket_mode = \"0666\"\n", at)
}

// clean holds that a message passes with every byte.
func (s *site) clean(messages func() []string) {
	s.t.Helper()
	if _, err := s.submit(outside, guideClean); err != nil {
		s.t.Fatalf("clean: %v", err)
	}
	got := sinkHas(s.t, messages, "guide-clean@")
	if !strings.Contains(got, strings.ReplaceAll(guideClean, "\r\n", "\n")) {
		s.t.Errorf("clean: %q\nwant the message whole in it", got)
	}
	if strings.Count(got, "X-Stanch-Id: ") != 1 {
		s.t.Errorf("clean: want one X-Stanch-Id: %q", got)
	}
}

// phi holds that PHI is held, as it came.
func (s *site) phi(in integration, messages func() []string) {
	s.t.Helper()
	answer, err := s.submit(outside, guidePHI)
	if err != nil {
		s.t.Errorf("PHI: %v, want it held", err)
	}
	eventually(s.t, "it is held", func() bool { return len(s.held()) == 1 })
	it := s.held()[0]
	if in.before && in.relay && !strings.Contains(answer, it.ID) {
		s.t.Errorf("PHI: answered %q, want the id %s", answer, it.ID)
	}
	got := s.must("quarantine", "export", it.ID, "--reveal")
	if !strings.HasSuffix(got, guidePHI) || in.set == "milter" && got != guidePHI {
		s.t.Errorf("held %q, want %q", got, guidePHI)
	}
	s.must("quarantine", "release", it.ID)
	sinkHas(s.t, messages, "X-Stanch-Id: "+it.ID)
}

// split holds that of two recipients the one gets the message and the other's
// copy is held.
func (s *site) split(in integration, messages func() []string) {
	s.t.Helper()
	msg := strings.Replace(guidePHI, "guide-phi", "guide-split", 1)
	if _, err := s.submit([]string{"sam@partner.example", "nurse@clinic.example"}, msg); err != nil {
		s.t.Errorf("split: %v", err)
	}
	got := sinkHas(s.t, messages, "guide-split@")
	if strings.Contains(got, "<sam@partner.example>\nX-") || !strings.Contains(rcptsAt(got), "nurse@clinic.example") || strings.Contains(rcptsAt(got), "sam") {
		s.t.Errorf("split: it left for %q, want the nurse alone", rcptsAt(got))
	}
	eventually(s.t, "sam's is held", func() bool { return len(s.held()) == 1 })
	if it := s.held()[0]; len(it.Recipients) != 1 || it.Recipients[0] != "sam@partner.example" {
		s.t.Errorf("split: held for %v", it.Recipients)
	}
	s.must("quarantine", "reject", s.held()[0].ID)
}

// rcptsAt lists the recipients that smtp-sink noted above a message.
func rcptsAt(m string) string {
	var out []string
	for line := range strings.SplitSeq(m, "\n") {
		if r, ok := strings.CutPrefix(line, "X-Rcpt-Args: "); ok {
			out = append(out, r)
		}
	}
	return strings.Join(out, " ")
}

// refused holds that a refusal reaches the client, or comes back as a bounce.
func (s *site) refused(in integration) {
	s.t.Helper()
	_, err := s.submit(outside, guideNPI)
	switch {
	case in.before && (code(err) != 550 || !strings.Contains(err.Error(), "Refused by policy")):
		s.t.Errorf("refused: %v, want 550", err)
	case !in.before && err != nil:
		s.t.Errorf("refused: %v, want a bounce", err)
	case !in.before:
		eventually(s.t, "it bounces", func() bool {
			return strings.Contains(s.postfix.logged(), "status=bounced") && strings.Contains(s.postfix.logged(), "550 5.7.1 Refused by policy")
		})
	}
	if n := len(s.held()); n != 0 {
		s.t.Errorf("refused: %d held", n)
	}
}

// local holds that what programs on the server send is read too.
func (s *site) local(messages func() []string) {
	s.t.Helper()
	s.postfix.submit("ada@clinic.example", "sam@partner.example", "Subject: local\n\nHer social security number is 536-22-8145.\n")
	eventually(s.t, "the local program's is held", func() bool { return len(s.held()) == 1 })
	s.must("quarantine", "reject", s.held()[0].ID)
	for _, m := range messages() {
		if strings.Contains(m, "Subject: local") {
			s.t.Errorf("local: it left")
		}
	}
}

// down holds that without stanch nothing leaves and nothing is lost.
func (s *site) down(in integration, messages func() []string) {
	s.t.Helper()
	s.kill()
	msg := strings.Replace(guideClean, "guide-clean", "guide-down", 1)
	_, err := s.submit(outside, msg)
	if in.before && code(err)/100 != 4 {
		s.t.Errorf("stanch is down: %v, want 4yz", err)
	}
	if !in.before {
		if err != nil {
			s.t.Errorf("stanch is down: %v", err)
		}
		eventually(s.t, "Postfix defers", func() bool { return strings.Contains(s.postfix.logged(), "status=deferred") })
	}
	s.start()
	if in.before {
		if _, err := s.submit(outside, msg); err != nil {
			s.t.Errorf("stanch is back: %v", err)
		}
	}
	sinkHas(s.t, messages, "guide-down@")
}

// queueOf lists Postfix's queue.
func (p *postfix) queue() string {
	out, _ := exec.Command("/usr/sbin/postqueue", "-c", p.dir, "-p").CombinedOutput() // an empty queue is said in words
	return string(out)
}

// TestPostfixTellsTheTrueClient holds that the queue behind stanch knows who sent
// a message to the server in front of it.
func TestPostfixTellsTheTrueClient(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"proxy", "content"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			s := newSite(t, set, next, "proxy", "", "")
			s.start()
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
			conn, err := dialer.Dial("tcp", s.mta)
			if err != nil {
				t.Fatal(err)
			}
			c := gosmtp.NewClient(conn)
			defer c.Close()
			if err := c.SendMail("ada@clinic.example", outside, strings.NewReader(guideClean)); err != nil {
				t.Fatal(err)
			}
			sinkHas(t, messages, "guide-clean@")
			eventually(t, "the log behind stanch names the client", func() bool {
				return strings.Contains(s.postfix.logged(), "orig_client=unknown[127.0.0.77]")
			})
		})
	}
}

// TestPostfixPassesAnyName holds that mail of a client that calls itself what is
// no host name, as devices do, gets through where Postfix tells of it by XFORWARD,
// and where it does not.
func TestPostfixPassesAnyName(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"proxy", "content"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			s := newSite(t, set, next, "proxy", "", "")
			s.start()
			for i, name := range []string{"a,b", "b\u00fccher.example", "x+y=z", "my printer", "user@host", "(x)", strings.Repeat("a", 300)} {
				for _, addr := range []string{s.mta, s.addr} {
					c := dial(t, &gateway{t: t, addr: addr})
					c.want("EHLO "+name, "250")
					c.want("MAIL FROM:<ada@clinic.example>", "250")
					c.want("RCPT TO:<sam@partner.example>", "250")
					c.want("DATA", "354")
					id := fmt.Sprintf("odd-%d-%v@", i, addr == s.mta)
					c.want(stuffed(strings.ReplaceAll(guideClean, "guide-clean@", id)), "250")
					c.want("QUIT", "221")
					sinkHas(t, messages, id)
				}
			}
		})
	}
}

// TestPostfixTakesBackTheLargest holds that the largest message that Postfix
// takes of a client comes back from stanch and arrives, and that doctor has
// nothing to say of it: the fields that stanch puts in front are too much for
// nobody.
func TestPostfixTakesBackTheLargest(t *testing.T) {
	t.Parallel()
	const limit = 40_000
	for _, set := range []string{"proxy", "content"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			hop := b.hop()
			s := newSite(t, set, hop.addr, "proxy", fmt.Sprintf("message_size_limit = %d\n", limit), "")
			s.start()
			door, taken := &gateway{t: t, addr: s.mta}, 0
			for size := limit + 1; taken == 0 && size > limit-2000; size -= 20 {
				l := b.letter(guideClean)
				l.text += strings.Repeat("nothing much\r\n", (size-len(l.text))/14)
				l.text += strings.Repeat("x", max(0, size-len(l.text)-2)) + "\r\n"
				if _, err := b.give(door, outside, l); err == nil {
					taken = len(l.text)
				} else if code(err) != 552 {
					t.Fatalf("%d bytes: %v", len(l.text), err)
				}
			}
			eventually(t, "it arrives", func() bool { return hop.count() > 0 })
			eventually(t, "Postfix's queue is empty", func() bool { return strings.Contains(s.postfix.queue(), "empty") })
			if set == "proxy" && taken < limit-20 { // Postfix's own trace field is not in the way of a proxy
				t.Errorf("the largest that was taken has %d bytes, and Postfix takes %d", taken, limit)
			}
			b.settle(s.gateway)
			if fs, _ := s.doctor("postfix", "--postconf", s.postfix.dir); !has(fs, "ok", "never too large", "") {
				t.Errorf("doctor: %+v", fs)
			}
			t.Logf("of %d bytes, %d were taken, and the next hop has %d", limit, taken, len(hop.messages()[0].text))
		})
	}
}
