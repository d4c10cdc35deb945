package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// proving has b send to out over a proved connection, and next where none is.
func proving(t *testing.T, b *bench, next dlp.Way) *coder {
	t.Helper()
	c := encrypting(t, b)
	c.to[out.String()], c.next = dlp.VerifiedTLS, next
	return c
}

// TestProved: who has a proved connection gets the message as it came, behind the
// trace alone.
func TestProved(t *testing.T) {
	b := looping(t, newBench(t))
	c := proving(t, b, "")
	doc := withText(labs, out, in)
	doc.Trace = []byte("Received: by gw.example\r\n")
	got := b.Message(t.Context(), doc, b.hop)
	if got.Kind != dlp.Split || got.Verdict.Rcpts[0].Way != dlp.VerifiedTLS || len(b.hop.sent) != 0 || len(c.gave) != 0 {
		t.Fatalf("outcome %+v, %d sent, %q encrypted", got, len(b.hop.sent), c.gave)
	}
	if kinds := queueKinds(t, b); kinds != "copy proved" {
		t.Errorf("queue %q", kinds)
	}
	if d := b.audit.of(audit.Decision); len(d) != 1 || strings.Join(d[0].Ways, " ") != "tls" {
		t.Errorf("on record: %+v", d)
	}
	runOutboxUntil(t, b, func() bool { return queueKinds(t, b) == "" })
	for _, m := range b.hop.texts() {
		front, found := strings.CutSuffix(m, labs)
		if !found || !strings.HasPrefix(front, "Received: by gw.example\r\n") {
			t.Errorf("delivered %q", m)
		}
	}
}

// TestNotProvedAfterAll: where no server proves itself when the message is to go,
// it goes another way or is held, and never as it is, whatever is said by then.
func TestNotProvedAfterAll(t *testing.T) {
	for _, tc := range []struct {
		name  string
		next  dlp.Way
		then  func(*testing.T, *bench)
		queue string // "": it is held
	}{
		{"the next way", dlp.OpenPGP, nil, "encrypted"},
		{"no other way", "", nil, ""},
		{"policies let it pass by now", dlp.OpenPGP, func(_ *testing.T, b *bench) { b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Allow} }, "encrypted"},
		{"policies let it pass by now, and no other way", "", func(_ *testing.T, b *bench) {
			b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.AddTag, Policy: "p"}
		}, ""},
		{"a bypass", dlp.OpenPGP, func(t *testing.T, b *bench) { _, _ = b.BeginBypass(t.Context(), time.Hour, why, "uid:7") }, "encrypted"},
		{"a bypass, and no other way", "", func(t *testing.T, b *bench) { _, _ = b.BeginBypass(t.Context(), time.Hour, why, "uid:7") }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			proving(t, b, tc.next)
			first := b.Message(t.Context(), withText(labs, out), b.hop)
			if first.Kind != dlp.Split {
				t.Fatalf("outcome %+v", first)
			}
			was := b.hop.deliver
			b.hop.deliver = func(rcpt dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: rcpt, Err: dlp.ErrNotProved} }
			runOutboxUntil(t, b, func() bool { return b.unread(t) == 1 })
			b.hop.deliver, b.hop.deliveredText = was, nil
			if tc.then != nil {
				tc.then(t, b)
			}
			runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
			if kinds := strings.TrimSpace(strings.TrimPrefix(queueKinds(t, b), "notice")); kinds != tc.queue { // of a bypass officers are told
				t.Errorf("queue %q, want %q", kinds, tc.queue)
			}
			if d := b.audit.of(audit.Deliver); len(d) != 1 || d[0].Result != audit.ResultTurned || d[0].Doc != first.ID || d[0].Of == "" {
				t.Errorf("on record: %+v", d)
			}
			if tc.queue != "" {
				runOutboxUntil(t, b, func() bool { return queueKinds(t, b) == "" })
				if got := strings.Join(b.hop.texts(), ""); strings.Count(got, "openpgp ") != 1 || strings.Contains(got, "the labs") {
					t.Errorf("delivered %q", got)
				}
				return
			}
			turned := b.audit.of(audit.Deliver)[0].Of
			e, err := b.vault.Get(t.Context(), turned)
			if err != nil || e.State != vault.Held {
				t.Fatalf("held: %+v, %v", e, err)
			}
			if c, err := b.vault.Case(t.Context(), turned, nil); err != nil || c.Verdict.Rcpts[0].Reason != dlp.ReasonNoWay {
				t.Errorf("case %+v, %v", c.Verdict, err)
			}
			if n := len(b.hop.texts()); n != 0 {
				t.Errorf("%d delivered", n)
			}
		})
	}
}

// TestProofIsNotEnoughAnyMore: what waits for a server that would prove itself goes
// another way once its recipient was excepted, and no server is asked.
func TestProofIsNotEnoughAnyMore(t *testing.T) {
	b := newBench(t)
	c := proving(t, b, dlp.OpenPGP)
	if first := b.Message(t.Context(), withText(labs, out), b.hop); first.Kind != dlp.Split {
		t.Fatalf("outcome %+v", first)
	}
	c.excepted.Store(true)
	runOutboxUntil(t, b, func() bool { return b.unread(t) == 1 })
	if n := len(b.hop.texts()); n != 0 {
		t.Errorf("%d were delivered", n)
	}
	if d := b.audit.of(audit.Deliver); len(d) != 1 || d[0].Result != audit.ResultTurned {
		t.Errorf("on record: %+v", d)
	}
	runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
	runOutboxUntil(t, b, func() bool { return queueKinds(t, b) == "" })
	if got := strings.Join(b.hop.texts(), ""); strings.Count(got, "openpgp ") != 1 || strings.Contains(got, "the labs") {
		t.Errorf("delivered %q", got)
	}
}

// TestReleasedProved: what was held since no way led to somebody goes over a proved
// connection where there is one by now.
func TestReleasedProved(t *testing.T) {
	b := newBench(t)
	c := encrypting(t, b)
	c.to = map[string]dlp.Way{}
	id := b.Message(t.Context(), withText(labs, out), b.hop).ID
	c.to[out.String()] = dlp.VerifiedTLS
	got, err := b.Release(t.Context(), id, vault.Opened{}, "uid:7")
	if err != nil || got != (gateway.Released{Encrypted: 1}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if kinds := queueKinds(t, b); kinds != "proved" {
		t.Errorf("queue %q", kinds)
	}
	runOutboxUntil(t, b, func() bool { return queueKinds(t, b) == "" })
	if got := b.hop.texts(); len(got) != 1 || !strings.HasSuffix(got[0], labs) {
		t.Errorf("delivered %q", got)
	}
	if u := b.Buffers.Usage(); u.Memory != 0 || u.Disk != 0 {
		t.Errorf("%+v is kept", u)
	}
}
