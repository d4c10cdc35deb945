package e2e

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/smtp/milter"
)

const guideSplit = guideHead + "Message-ID: <guide-half@clinic.example>\r\nSubject: half\r\n\r\nHer social security number is 536-22-8145.\r\n"

// halfOnce offers a message for two until it is taken, and holds that each got
// what was theirs once.
func (s *site) halfOnce(messages func() []string) {
	s.t.Helper()
	eventually(s.t, "the retry is taken", func() bool {
		_, err := s.submit([]string{"sam@partner.example", "nurse@clinic.example"}, guideSplit)
		return err == nil
	})
	sinkHas(s.t, messages, "guide-half@")
	eventually(s.t, "Postfix has nothing left", func() bool { return strings.Contains(s.postfix.queue(), "empty") })
	n := 0
	for _, m := range messages() {
		if !strings.Contains(m, "guide-half@") {
			continue
		}
		if n++; n > 1 || strings.Contains(rcptsAt(strings.ReplaceAll(m, "\r\n", "\n")), "sam") {
			s.t.Errorf("copy %d left for %q", n, rcptsAt(m))
		}
	}
	if h := s.held(); len(h) != 1 || len(h[0].Recipients) != 1 || h[0].Recipients[0] != "sam@partner.example" {
		s.t.Errorf("held %+v, want sam's, once", h)
	}
	s.must("audit", "verify")
}

// TestMilterKilled ends stanch as kill -9 does, before each step of a message
// that is held for one and let through for another.
func TestMilterKilled(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"commit", "committed", "sent"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			s := newSite(t, "milter", next, "milter", "", "")
			s.start("STANCH_CRASH_AT=" + step)
			if _, err := s.submit([]string{"sam@partner.example", "nurse@clinic.example"}, guideSplit); code(err)/100 != 4 {
				t.Errorf("killed before %q: %v, want 4yz", step, err)
			}
			if !s.ended() {
				t.Fatal("the step was not reached")
			}
			s.start()
			s.halfOnce(messages)
		})
	}
}

// TestPostfixCannotKeepItsPart has another milter refuse, twice, what stanch has
// held in part: the client comes again, and nothing is doubled or lost.
func TestPostfixCannotKeepItsPart(t *testing.T) {
	t.Parallel()
	var refusals atomic.Int32
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := gomilter.NewServer(gomilter.WithMilter(func() gomilter.Milter { return &refusing{left: &refusals} }))
	go func() { _ = other.Serve(ln) }()                     // until it is closed
	t.Cleanup(func() { _ = ln.Close(); _ = other.Close() }) // the listener too: a Close before Serve knows it leaves it open

	next, messages := startSMTPSink(t)
	s := newSite(t, "milter", next, "milter", "smtpd_milters = inet:127.0.0.1:8892, inet:"+ln.Addr().String()+"\n", "")
	s.start()
	refusals.Store(2)
	for i := range 2 {
		if _, err := s.submit([]string{"sam@partner.example", "nurse@clinic.example"}, guideSplit); code(err)/100 != 4 {
			t.Errorf("try %d: %v, want 4yz", i, err)
		}
		if i == 0 { // the repeat is known also after a restart
			s.kill()
			s.start()
		}
	}
	s.halfOnce(messages)
}

// refusing is a milter that tells the first few messages to come again.
type refusing struct {
	gomilter.NoOpMilter
	left *atomic.Int32
}

func (r *refusing) EndOfMessage(gomilter.Modifier) (*gomilter.Response, error) {
	if r.left.Add(-1) >= 0 {
		return gomilter.RespTempFail, nil
	}
	return gomilter.RespAccept, nil
}

// TestMilterQuarantine holds that a server which is to keep a copy keeps it on
// hold.
func TestMilterQuarantine(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t)
	s := newSite(t, "milter", next, "milter", "", "")
	write(t, s.config, strings.Replace(s.toml, "[milter]", "[milter]\nheld = \"quarantine\"", 1), 0o600)
	s.start()
	if _, err := s.submit(outside, guidePHI); err != nil {
		t.Errorf("answered %v", err)
	}
	it := s.held()
	if len(it) != 1 {
		t.Fatalf("held %v, want one", it)
	}
	eventually(t, "it is in Postfix's hold queue", func() bool { return strings.Contains(s.postfix.queue(), "! ") })
	queue, _, _ := strings.Cut(s.postfix.queue()[strings.Index(s.postfix.queue(), "\n")+1:], "!")
	out, err := exec.Command("/usr/sbin/postcat", "-c", s.postfix.dir, "-hq", queue).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "X-Stanch-Id: "+it[0].ID) {
		t.Errorf("on hold: %v %s, want it to name %s", err, out, it[0].ID)
	}
	if n := len(messages()); n != 0 {
		t.Errorf("%d left", n)
	}
}

// changing is a gateway that sends every message on changed.
type changing struct{ text string }

func (c changing) Message(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
	r, err := o.Send(ctx, doc.Trace, strings.NewReader(c.text))
	if err != nil {
		return dlp.Outcome{Kind: dlp.Unreached, ID: doc.ID}
	}
	return dlp.Outcome{Kind: dlp.Passed, ID: doc.ID, Reply: r}
}

func (changing) Acknowledge(context.Context, []dlp.ID) error { return nil }

// TestChangedMessageIsTaken holds that header and body can be replaced, as
// encryption will have to, in both servers.
func TestChangedMessageIsTaken(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("a line of the new body\r\n.with a dot\r\n", 5000)
	for server, begin := range map[string]func(t *testing.T, next string) *site{
		"Postfix":  func(t *testing.T, next string) *site { return newSite(t, "milter", next, "milter", "", "") },
		"Sendmail": func(t *testing.T, next string) *site { return startSendmail(t, "milter", next, "") },
	} {
		for name, text := range map[string]string{
			"text":    "From: Ada Example <ada@clinic.example>\r\nTo: Sam <sam@partner.example>\r\nSubject: sealed\r\n\tfolded\r\nMIME-Version: 1.0\r\n\r\n" + body,
			"no body": "From: Ada Example <ada@clinic.example>\r\nSubject: sealed\r\n\r\n",
		} {
			t.Run(server+"/"+name, func(t *testing.T) {
				t.Parallel()
				next, messages := startSMTPSink(t)
				begin(t, next).takesChanged(text, messages)
			})
		}
	}
}

// takesChanged has a door that sends text on in place of whatever comes.
func (s *site) takesChanged(text string, messages func() []string) {
	t := s.t
	t.Helper()
	pool, err := buffer.NewPool(buffer.Config{MemoryEach: 1 << 20, MemoryAll: 1 << 24, DiskAll: 1 << 24, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	door, err := milter.NewServer(milter.Default(), milter.Limits{Hostname: "gw.example", MaxMessageSize: 1 << 20, MaxRcpts: 100},
		milter.Deps{Handler: changing{text}, Buffers: pool, Log: safelog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", s.replaced.Replace("127.0.0.1:8892"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = door.Serve(context.Background(), ln) }() // until Shutdown
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = door.Shutdown(ctx) // what the server holds open is cut
	})
	if _, err := s.submit(outside, guideClean); err != nil {
		t.Fatal(err)
	}
	got := sinkHas(t, messages, "Subject: sealed")
	want := strings.ReplaceAll(text, "\r\n", "\n")
	head, wantBody, _ := strings.Cut(want, "\n\n")
	for _, old := range []string{"two  spaces", "DKIM-Signature", "X-Empty", "desk.clinic.example"} {
		if strings.Contains(got, old) {
			t.Errorf("%q of the old header is left: %.1500q", old, got)
		}
	}
	if !strings.Contains(got, head) {
		t.Errorf("header: %.1500q", got)
	}
	eventually(t, "the whole body is there", func() bool {
		_, gotBody, _ := strings.Cut(sinkHas(t, messages, "Subject: sealed"), "\n\n")
		return strings.TrimRight(gotBody, "\n") == strings.TrimRight(wantBody, "\n")
	})
}

// TestPostfixDropsWhoWasRewritten holds that a recipient whose copy is held does
// not get it under the name that Postfix has for him.
func TestPostfixDropsWhoWasRewritten(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t)
	s := newSite(t, "milter", next, "milter", `recipient_canonical_maps = inline:{ {sam@partner.example = sam.smith@partner.example} }
virtual_alias_maps = inline:{ {sam.smith@partner.example = smith@elsewhere.example} {ann@partner.example = one@elsewhere.example, two@elsewhere.example} }
`, "")
	s.start()
	if _, err := s.submit([]string{"Sam@Partner.example", "ann@partner.example", "nurse@clinic.example"}, guideSplit); err != nil {
		t.Fatal(err)
	}
	sinkHas(t, messages, "guide-half@")
	eventually(t, "Postfix has nothing left", func() bool { return strings.Contains(s.postfix.queue(), "empty") })
	for _, m := range messages() {
		if to := rcptsAt(strings.ReplaceAll(m, "\r\n", "\n")); !strings.HasPrefix(to, "<nurse@") || strings.Count(to, "<") != 1 {
			t.Errorf("it left for %q, want the nurse alone", to)
		}
	}
	if h := s.held(); len(h) != 1 || len(h[0].Recipients) != 2 {
		t.Errorf("held %+v, want for two", h)
	}
}

// TestPostfixHidesFromAMilter holds what docs/postfix.md says of NUL bytes: a
// milter does not see what follows one in a field, so the guide refuses them.
func TestPostfixHidesFromAMilter(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t)
	s := newSite(t, "milter", next, "milter", "", "")
	s.start()
	msg := strings.Replace(guideClean, "X-Empty:", "X-Note: a\x00 SSN 536-22-8145", 1)
	if _, err := s.submit(outside, msg); code(err)/100 != 5 {
		t.Errorf("a NUL byte by the guide: %v, want 5yz", err)
	}
	s.postfix.run("postconf", "-c", s.postfix.dir, "-e", "message_reject_characters =")
	s.postfix.run("postfix", "-c", s.postfix.dir, "reload")
	eventually(t, "Postfix takes it now", func() bool {
		_, err := s.submit(outside, msg)
		return err == nil
	})
	if sinkHas(t, messages, "guide-clean@"); len(s.held()) != 0 {
		t.Error("this Postfix shows a milter what follows a NUL byte, and the guide says it does not")
	}
}

// TestForwards holds what docs/postfix.md says goes round each integration, and
// what closes it.
func TestForwards(t *testing.T) {
	t.Parallel()
	const forwards = `virtual_alias_domains = virtual.example
virtual_alias_maps = inline:{ {list@virtual.example = sam@partner.example} }
mydestination = local.example
local_recipient_maps =
alias_maps = inline:{ {forward = sam@partner.example} }
`
	for name, tt := range map[string]struct {
		set, toml    string
		alias, local bool // PHI to an alias, or to who forwards it, is held
	}{
		"milter":             {"milter", "milter", false, false},
		"smtpd_proxy_filter": {"proxy", "proxy", false, false},
		"content_filter":     {"content", "proxy", true, false},
		"relayhost":          {"relayhost", "relayhost", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			s := newSite(t, tt.set, next, tt.toml, forwards, "")
			write(t, s.config, strings.Replace(s.toml, `"clinic.example"]`, `"clinic.example", "local.example", "virtual.example"]`, 1), 0o600)
			s.start()
			for rcpt, held := range map[string]bool{"list@virtual.example": tt.alias, "forward@local.example": tt.local} {
				before := len(s.held())
				text := strings.Replace(guidePHI, "guide-phi", rcpt, 1)
				if _, err := s.submit([]string{rcpt}, text); err != nil {
					t.Fatalf("%s: %v", rcpt, err)
				}
				if held {
					eventually(t, "held: "+rcpt, func() bool { return len(s.held()) == before+1 })
				} else if sinkHas(t, messages, rcpt); len(s.held()) != before {
					t.Errorf("%s: held as well as sent", rcpt)
				}
			}
		})
	}
}

// TestPostfixInFront runs what docs/microsoft365.md and docs/google-workspace.md
// put between a service that many share and stanch.
func TestPostfixInFront(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"microsoft365.md", "google-workspace.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			const us = "inline:{ {127.0.0.1 = OK} }" // in place of the service's ranges
			lines := strings.NewReplacer("cidr:/etc/postfix/exchange-online", us, "cidr:/etc/postfix/gmail", us).Replace(guide(t, page, "main.cf", "front"))
			s := newSite(t, "relayhost", next, "relayhost", lines+"smtpd_tls_security_level = none\n", "")
			s.start()
			s.clean(messages)
			s.phi(integration{set: "relayhost", relay: true}, messages)
			via := &gateway{t: t, addr: s.mta}
			if _, err := via.send("somebody@other.example", outside, guideClean); code(err)/100 != 5 {
				t.Errorf("another's sender: %v, want 5yz", err)
			}
			s.postfix.run("postconf", "-c", s.postfix.dir, "-e", "smtpd_relay_restrictions = check_client_access inline:{ {192.0.2.1 = OK} }, reject")
			s.postfix.run("postfix", "-c", s.postfix.dir, "reload")
			eventually(t, "another's address is refused", func() bool {
				_, err := s.submit(outside, guideClean)
				return code(err)/100 == 5
			})
		})
	}
}

// milterSites are the servers that ask, over both kinds of socket.
func milterSites() map[string]func(t *testing.T, next string) *site {
	return map[string]func(t *testing.T, next string) *site{
		"Postfix": func(t *testing.T, next string) *site { return newSite(t, "milter", next, "milter", "", "") },
		"Postfix over a socket": func(t *testing.T, next string) *site {
			_, main, toml := overSocket(t)
			return newSite(t, "milter", next, "milter", main, toml)
		},
		"Sendmail": func(t *testing.T, next string) *site { return startSendmail(t, "milter", next, "") },
		"Sendmail over a socket": func(t *testing.T, next string) *site {
			at, _, toml := overSocket(t)
			s := startSendmail(t, "milter", next, at)
			s.toml = milterListen.ReplaceAllLiteralString(s.toml, toml)
			write(t, s.config, s.toml, 0o600)
			return s
		},
	}
}

// milterListen matches the section [milter] of a guide.
var milterListen = regexp.MustCompile(`(?m)^\[milter\]\nlisten .*\n`)

// TestMilterStopsBetweenMessages holds that a client whose session with its server is
// between messages when stanch is stopped or upgraded is told to come again (421)
// when it goes on, as at the mail door, not that its message failed: a server that
// finds its filter gone says so for as long as the session lasts.
func TestMilterStopsBetweenMessages(t *testing.T) {
	t.Parallel()
	for name, begin := range milterSites() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			s := begin(t, next)
			s.start()
			c, err := gosmtp.Dial(s.mta)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SendMail("ada@clinic.example", outside, strings.NewReader(guideClean)); err != nil {
				t.Fatalf("before: %v", err)
			}
			sinkHas(t, messages, "guide-clean@")
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for err = c.Mail("ada@clinic.example", nil); err == nil; err = c.Mail("ada@clinic.example", nil) {
				if err := c.Reset(); err != nil {
					t.Fatal(err)
				}
			}
			if code(err) != 421 {
				t.Errorf("on the old session: %v, want 421", err)
			}
			if !s.ended() {
				t.Fatal("serve did not stop on SIGTERM")
			}
			s.cmd = nil
			s.start()
			if _, err := s.submit(outside, strings.Replace(guideClean, "guide-clean", "guide-again", 1)); err != nil {
				t.Errorf("on a new one: %v", err)
			}
			sinkHas(t, messages, "guide-again@")
		})
	}
}

// TestMilterUpgradedUnderLoad upgrades stanch while clients send through the servers
// that ask it: as at the mail door, nothing is lost, doubled or refused, but for 421
// to sessions between two messages.
func TestMilterUpgradedUnderLoad(t *testing.T) {
	longTest(t)
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	const changes, clients = 5, 8
	for name, begin := range milterSites() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			next, ledger := startSink(t, dir)
			s := begin(t, next)
			corpus := loadCorpus(t, dir)
			g := installedFrom(t, s.gateway)
			g.run([]string{g.program})
			eventually(t, "serve answers", func() bool { return g.pid() > 0 })
			var ledgers []string
			more := func() *loading {
				return startLoad(t, &gateway{t: t, addr: s.mta}, dir, corpus, clients, 200, &ledgers)
			}
			load := more()
			for range changes {
				before := attempts(t, ledgers)
				eventually(t, "mail flows between two upgrades", func() bool {
					if load.done() {
						load = more()
					}
					return attempts(t, ledgers) >= before+50
				})
				was := g.pid()
				if out, code := g.upgrade(); code != 0 || g.pid() == was {
					t.Errorf("upgrade: exit %d: %s", code, out)
				}
			}
			load.wait(t)
			neverRefused(t, ledgers, changes*clients)
			held := heldLoadIDs(t, s.gateway)
			sent := len(copiesOf(t, ledger))
			eventually(t, "the servers' queues are empty", func() bool {
				before := sent
				sent = len(copiesOf(t, ledger))
				return sent == before && sent+len(held) >= 200*len(ledgers)
			})
			list := filepath.Join(dir, "held.txt")
			write(t, list, strings.Join(held, "\n")+"\n", 0o600)
			args := []string{"-sink", ledger, "-held", list} // the servers' own fields stand in the headers
			for _, l := range ledgers {
				args = append(args, "-load", l)
			}
			out, err := exec.Command(filepath.Join(tools, "account"), args...).CombinedOutput()
			if t.Logf("%s", out); err != nil {
				t.Errorf("account: %v", err)
			}
			s.must("audit", "verify")
		})
	}
}
