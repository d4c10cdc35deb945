package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

var heldLink = regexp.MustCompile(`https://held\.example/held/(\S+)`)

var holdIt = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p", Rules: []dlp.RuleID{"us-ssn"}, Notify: []string{"sender"}, MayEncrypt: true}

// choosing has b hold a message for out, whose sender has a link.
func choosing(t *testing.T, change ...func(*gateway.Config)) (b *bench, c *coder, id dlp.ID, token string) {
	t.Helper()
	b = newBenchWith(t, func(c *gateway.Config) {
		c.Sender = gateway.DefaultSender()
		c.Sender.Listen, c.Sender.URL = "127.0.0.1:1", "https://held.example/"
		for _, f := range change {
			f(c)
		}
	})
	c = encrypting(t, b)
	b.verdict[out.String()] = holdIt
	id, token = holds(t, b, labs)
	return b, c, id, token
}

// holds has b hold text for out, and returns what stands in the sender's link.
func holds(t *testing.T, b *bench, text string) (id dlp.ID, token string) {
	t.Helper()
	o := b.Message(t.Context(), withText(text, out), b.hop)
	if o.Kind != dlp.Held {
		t.Fatalf("outcome %v", o.Kind)
	}
	ms, err := b.spool.Of(t.Context(), o.ID)
	if err != nil || len(ms) != 1 || ms[0].Kind != spool.Notice {
		t.Fatalf("%+v, %v: want one notice", ms, err)
	}
	r, err := b.spool.Open(t.Context(), ms[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	notice, err := io.ReadAll(r)
	m := heldLink.FindSubmatch(bytes.ReplaceAll(notice, []byte("=\r\n"), nil)) // RFC 2045 6.7: soft line breaks
	if err != nil || m == nil {
		t.Fatalf("no link, %v:\n%s", err, notice)
	}
	return o.ID, string(m[1])
}

func chosen(t *testing.T, b *bench, token string) gateway.Chosen {
	t.Helper()
	m, err := b.SendersMail(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return m.Chosen
}

// all is each choice by its name.
func all(t *testing.T, b *bench) map[string]func(token string) error {
	t.Helper()
	return map[string]func(string) error{
		"cancel":  func(token string) error { return b.SenderCancels(t.Context(), token) },
		"encrypt": func(token string) error { return b.SenderEncrypts(t.Context(), token) },
		"ask":     func(token string) error { return b.SenderAsks(t.Context(), token, "the plan asks for it") },
	}
}

func TestSenderChoosesOnce(t *testing.T) {
	for name, want := range map[string]struct {
		state  vault.State
		chosen gateway.Chosen
		events []audit.Event
		queue  string
	}{
		"cancel": {vault.Rejected, gateway.ChosenCancel, []audit.Event{{Kind: audit.Reject, Reason: audit.ReasonCancelled}, {Kind: audit.Outcome, Result: audit.ResultRejected}}, "notice"},
		"encrypt": {vault.Released, gateway.ChosenEncrypted,
			[]audit.Event{{Kind: audit.Release, Reason: audit.ReasonEncrypted}, {Kind: audit.Outcome, Result: audit.ResultReleased}}, "notice encrypted"},
		"ask": {vault.Held, gateway.ChosenAsk, []audit.Event{{Kind: audit.Ask}}, "notice"},
	} {
		t.Run(name, func(t *testing.T) {
			b, c, id, token := choosing(t)
			before := len(b.audit.events)
			for range 3 {
				if m, err := b.SendersMail(t.Context(), token); err != nil || m.Chosen != "" || !m.Encrypt || m.Rcpts != 1 || !slices.Equal(m.Domains, []string{out.Domain}) {
					t.Fatalf("looked: %+v, %v", m, err)
				}
			}
			if len(b.audit.events) != before {
				t.Error("looking is an event")
			}
			if err := all(t, b)[name](token); err != nil {
				t.Fatal(err)
			}
			e, err := b.vault.Get(t.Context(), id)
			if err != nil || e.State != want.state {
				t.Errorf("state %v, %v", e.State, err)
			}
			if got := chosen(t, b, token); got != want.chosen {
				t.Errorf("the page says %q, want %q", got, want.chosen)
			}
			for again, do := range all(t, b) {
				if err := do(token); !errors.Is(err, gateway.ErrChosen) {
					t.Errorf("then %s: %v, want ErrChosen", again, err)
				}
			}
			got := b.audit.events[before:]
			if !slices.EqualFunc(got, want.events, func(g, w audit.Event) bool {
				return g.Kind == w.Kind && g.Reason == w.Reason && g.Result == w.Result && g.Doc == id && (g.Kind == audit.Outcome || g.Actor == "sender")
			}) {
				t.Errorf("events %+v", got)
			}
			if q := queueKinds(t, b); q != want.queue {
				t.Errorf("queue %q, want %q", q, want.queue)
			}
			if n := strings.Count(want.queue, "encrypted"); len(c.gave) != n {
				t.Errorf("%d encrypted, want %d", len(c.gave), n)
			}
			if name == "ask" {
				d, err := b.ShowHeld(t.Context(), id, vault.Opened{}, "uid:0")
				if err != nil || d.Ask == nil || d.Ask.Words != "the plan asks for it" || !d.Asked {
					t.Errorf("the item says %+v, %v", d.Ask, err)
				}
				if hs, _, err := b.FindHeld(t.Context(), vault.Query{}); err != nil || len(hs) != 1 || !hs[0].Asked {
					t.Errorf("the list says %+v, %v", hs, err)
				}
				if _, err := b.Release(t.Context(), id, vault.Opened{}, "uid:0"); err != nil || chosen(t, b, token) != gateway.ChosenReleased {
					t.Errorf("released after that: %v, the page says %q", err, chosen(t, b, token))
				}
			}
		})
	}
}

// TestSenderDecidedBefore: a reviewer's decision leaves nothing to choose.
func TestSenderDecidedBefore(t *testing.T) {
	b, _, id, token := choosing(t)
	if err := b.Reject(t.Context(), id, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	before := len(b.audit.events)
	for name, do := range all(t, b) {
		if err := do(token); !errors.Is(err, gateway.ErrChosen) {
			t.Errorf("%s: %v, want ErrChosen", name, err)
		}
	}
	if got := chosen(t, b, token); got != gateway.ChosenRejected || len(b.audit.events) != before {
		t.Errorf("the page says %q, and %d events", got, len(b.audit.events)-before)
	}
}

func TestSenderLinksThatAreNotGood(t *testing.T) {
	b, _, id, token := choosing(t)
	_, other := holds(t, b, strings.Replace(labs, "the labs", "other labs", 1))
	f, g := strings.Split(token, "."), strings.Split(other, ".")
	bad := map[string]string{
		"nothing": "", "an id": string(id), "another id": strings.Join([]string{g[0], f[1], f[2], f[3]}, "."),
		"a later end": strings.Join([]string{f[0], f[1] + "z", f[2], f[3]}, "."), "more choices": strings.Join([]string{f[0], f[1], "x", f[3]}, "."),
		"no MAC": strings.Join([]string{f[0], f[1], f[2], ""}, "."), "half a MAC": token[:len(token)-11], "a field more": strings.Join([]string{f[0], f[1], f[2], f[2], f[3]}, "."),
		"very long": strings.Repeat("a", 1<<16) + token,
	}
	refused := func(what, token string) {
		t.Helper()
		if _, err := b.SendersMail(t.Context(), token); !errors.Is(err, gateway.ErrNoChoice) {
			t.Errorf("%s: looked, %v", what, err)
		}
		for name, do := range all(t, b) {
			if err := do(token); !errors.Is(err, gateway.ErrNoChoice) {
				t.Errorf("%s: %s, %v", what, name, err)
			}
		}
	}
	for what, token := range bad {
		refused(what, token)
	}
	b.skew.Store(int64(3 * 24 * time.Hour))
	refused("its time is over", token)
	b.skew.Store(0)
	if got := chosen(t, b, token); got != "" {
		t.Errorf("then it is %q", got)
	}
}

// TestSenderActsThatFail: nothing is done without a record, and what fails can
// be chosen once more.
func TestSenderActsThatFail(t *testing.T) {
	for name, kind := range map[string]audit.Kind{"cancel": audit.Reject, "encrypt": audit.Release, "ask": audit.Ask} {
		t.Run(name, func(t *testing.T) {
			b, _, id, token := choosing(t)
			b.audit.breaksAt = kind
			if err := all(t, b)[name](token); !errors.Is(err, errBroken) {
				t.Fatalf("not recorded: %v", err)
			}
			if e, err := b.vault.Get(t.Context(), id); err != nil || e.State != vault.Held || chosen(t, b, token) != "" {
				t.Errorf("done without a record: %v, %v", e.State, err)
			}
			b.audit.breaksAt = ""
			if err := all(t, b)[name](token); err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

// TestSenderMayEncrypt: it is offered where policy and ways allow, and goes to
// all or nobody.
func TestSenderMayEncrypt(t *testing.T) {
	refused := func(t *testing.T, b *bench, token string) {
		t.Helper()
		if err := b.SenderEncrypts(t.Context(), token); !errors.Is(err, gateway.ErrNoWay) {
			t.Errorf("encrypted: %v, want ErrNoWay", err)
		}
		if q := queueKinds(t, b); strings.Contains(q, "encrypted") || strings.Contains(q, "release") || chosen(t, b, token) != "" {
			t.Errorf("queue %q, chosen %q: want it held", q, chosen(t, b, token))
		}
	}
	t.Run("policy says nothing", func(t *testing.T) {
		b, _, _, _ := choosing(t)
		v := holdIt
		v.MayEncrypt = false
		b.verdict[out.String()] = v
		_, token := holds(t, b, named)
		refused(t, b, token)
	})
	t.Run("only a server proves itself", func(t *testing.T) {
		b, c, _, _ := choosing(t)
		c.to[out.String()] = dlp.VerifiedTLS
		_, token := holds(t, b, named)
		refused(t, b, token)
	})
	t.Run("the way has gone", func(t *testing.T) {
		b, c, _, token := choosing(t)
		delete(c.to, out.String())
		refused(t, b, token)
	})
	t.Run("its release takes two", func(t *testing.T) {
		for severity, offered := range map[string]bool{"": true, "high": false} {
			b, _, _, _ := choosing(t, func(c *gateway.Config) { c.Review = gateway.ReviewConfig{SecondSeverity: severity} })
			b.found = []dlp.Finding{{Rule: "us-ssn", Type: "SSN", Severity: dlp.SeverityHigh, Confidence: dlp.High, Path: "1", End: 4}}
			_, token := holds(t, b, named)
			if m, err := b.SendersMail(t.Context(), token); err != nil || m.Encrypt != offered {
				t.Errorf("above %q: offered %v, %v", severity, m.Encrypt, err)
			}
			refused(t, b, token) // the finding stands in its header, too
		}
	})
	t.Run("it fails", func(t *testing.T) {
		b, c, _, token := choosing(t)
		c.fail = errBroken
		refused(t, b, token)
		c.fail = nil
		if err := b.SenderEncrypts(t.Context(), token); err != nil {
			t.Errorf("then: %v", err)
		}
	})
}

// TestSenderIsToldOfEachDecision: of each message that a reviewer refuses its sender
// gets a notice, up to a bound within an hour, and of those with a note always.
func TestSenderIsToldOfEachDecision(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	refused := func(note string) {
		t.Helper()
		doc := withText("Message-ID: <"+string(dlp.NewID())+"@clinic.example>\r\n\r\nx\r\n", out)
		if o := b.Message(t.Context(), doc, b.hop); o.Kind != dlp.Held {
			t.Fatal(o.Kind)
		}
		if err := b.RejectFor(t.Context(), doc.ID, vault.Opened{}, "", gateway.Review{Note: note}); err != nil {
			t.Fatal(err)
		}
	}
	notices := func() int { return strings.Count(queueKinds(t, b), "notice") }
	times := notify.Notice{Decision: true}.Times()
	for range times + 3 {
		refused("")
	}
	if n := notices(); n != times || times != 20 {
		t.Errorf("%d notices of %d, want 20", n, times+3)
	}
	refused("ask the front desk")
	if n := notices(); n != times+1 {
		t.Errorf("%d notices, want one more with a note", n)
	}
	b.skew.Store(int64(time.Hour + time.Minute))
	refused("")
	if n := notices(); n != times+2 {
		t.Errorf("%d notices, want one more after an hour", n)
	}
}

// TestSenderIsToldOfEach: with links each message has a notice of its own, up to
// a bound.
func TestSenderIsToldOfEach(t *testing.T) {
	b, _, _, _ := choosing(t)
	times := notify.Notice{Choices: &notify.Choices{}}.Times()
	for range times + 5 {
		if o := b.Message(t.Context(), withText("Message-ID: <"+string(dlp.NewID())+"@clinic.example>\r\n\r\nx\r\n", out), b.hop); o.Kind != dlp.Held {
			t.Fatal(o.Kind)
		}
	}
	if n := strings.Count(queueKinds(t, b), "notice"); n != times {
		t.Errorf("%d notices, want %d", n, times)
	}
	b.skew.Store(int64(time.Hour + time.Minute))
	holds(t, b, named)
}

// noteDetection finds a patient's number in what says "536-22".
type noteDetection struct {
	detection
	text []byte
}

func (d *noteDetection) Text(w dlp.Window) error { d.text = append(d.text, w.Text...); return nil }

func (d *noteDetection) Finish() ([]dlp.Finding, []dlp.Gap) {
	f := dlp.Finding{Rule: "us-ssn", Type: "SSN", Tags: []dlp.Tag{dlp.TagIdentifier}, Confidence: dlp.Low}
	switch {
	case strings.Contains(string(d.text), "536-22"):
		f.Confidence = dlp.High
	case !strings.Contains(string(d.text), "536"):
		return nil, nil
	}
	return []dlp.Finding{f}, nil
}

// TestNoteIsRead: what a reviewer writes to the sender goes out in the clear, so that a
// note with a patient's number decides nothing and is in no notice; nor is one that
// nothing can read.
func TestNoteIsRead(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := withText("Message-ID: <note@clinic.example>\r\n\r\nx\r\n", out)
	if o := b.Message(t.Context(), doc, b.hop); o.Kind != dlp.Held {
		t.Fatal(o.Kind)
	}
	b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &noteDetection{detection: detection{parts: &b.parts}} }, Policy: b})
	before, events := queueKinds(t, b), len(b.audit.events)
	reject := func(note string) error {
		return b.RejectFor(t.Context(), doc.ID, vault.Opened{}, "user:dana", gateway.Review{Note: note})
	}
	for _, note := range []string{"her number is 536-22-8145", strings.Repeat("x ", dlp.MaxWindow) + "536-22-8145"} {
		if err := reject(note); !errors.Is(err, gateway.ErrNote) {
			t.Errorf("a note with a number: %v, want ErrNote", err)
		}
	}
	if got, err := b.Listed(t.Context(), doc.ID); err != nil || got.State != "held" || queueKinds(t, b) != before || len(b.audit.events) != events {
		t.Errorf("after that: %+v, %v, queue %q, %d events", got, err, queueKinds(t, b), len(b.audit.events)-events)
	}
	if err := reject("ask room 536 at the front desk"); err != nil {
		t.Fatal(err)
	}
	if got := queueKinds(t, b); !strings.Contains(got, "notice") {
		t.Errorf("queue %q, want the notice with a harmless note", got)
	}
}
