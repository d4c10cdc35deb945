package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// The bench is its bypass' clock too.
func (b *bench) Wall() time.Time             { return time.Now().Add(time.Duration(b.skew.Load())) }
func (b *bench) Up() (time.Duration, string) { return time.Duration(b.Wall().UnixNano()), "boot" }

const why = "the readers break on Zephyrine Quillfeather's scan"

func (r *recorder) of(kind audit.Kind) (out []audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func TestBypassPassesMailUnread(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.panics, b.readErr = true, errBroken
	began, err := b.BeginBypass(t.Context(), time.Hour, why, "uid:7")
	if err != nil {
		t.Fatal(err)
	}
	b.SetRules(nil) // nothing that reads is needed
	if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.Passed || len(b.hop.sent) != 1 {
		t.Fatalf("outcome %v, %d sent; want it passed", got.Kind, len(b.hop.sent))
	}
	if strings.Contains(strings.ToLower(b.hop.sent[0]), "bypass") {
		t.Errorf("the message tells of the bypass: %q", b.hop.sent[0])
	}
	on := b.audit.of(audit.BypassOn)
	if len(on) != 1 || on[0].Doc != began.ID || on[0].Actor != "uid:7" || !on[0].Until.Equal(began.Ends) || on[0].Reason != "" {
		t.Errorf("its begin on record: %+v", on)
	}
	d := b.audit.of(audit.Decision)
	if len(d) != 1 || d[0].Reason != dlp.ReasonBypass || d[0].Of != began.ID || d[0].Action != "allow" {
		t.Errorf("the decision on record: %+v", d)
	}
	// A question about its envelope, at each recipient, is no message.
	asked := mail(out)
	asked.Params.EnvID = "q"
	if b.Withholds(t.Context(), asked) {
		t.Error("an envelope is withheld")
	}
	// Files are not let pass: they stay where they are.
	if got := b.File(t.Context(), file(), &claimed{}); got.Kind != dlp.TryAgain {
		t.Errorf("a file came to %v, want TryAgain", got.Kind)
	}

	if _, err := b.EndBypass(t.Context(), "uid:8"); err != nil {
		t.Fatal(err)
	}
	if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.TryAgain {
		t.Errorf("outcome %v after its end, want TryAgain", got.Kind)
	}
	if off := b.audit.of(audit.BypassOff); len(off) != 1 || off[0].Doc != began.ID || off[0].Actor != "uid:8" || off[0].Reason != bypass.Stopped {
		t.Errorf("its end on record: %+v", off)
	}
	bs, err := b.Bypasses(t.Context(), true)
	if err != nil || len(bs) != 1 || bs[0].Reason != why || bs[0].Passed != 1 || bs[0].EndedBy != "uid:8" {
		t.Errorf("list = %+v, %v", bs, err)
	}
}

func TestBypassIsOnRecordFirst(t *testing.T) {
	b := newBench(t)
	b.audit.breaksAt = audit.BypassOn
	if _, err := b.BeginBypass(t.Context(), time.Hour, why, "uid:7"); !errors.Is(err, errBroken) {
		t.Fatalf("got %v, want the audit log's error", err)
	}
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold}
	if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.Held {
		t.Errorf("outcome %v, want Held", got.Kind)
	}
	b = newBench(t)
	if _, err := b.BeginBypass(t.Context(), time.Hour, why, "uid:7"); err != nil {
		t.Fatal(err)
	}
	b.audit.breaksAt = audit.Decision
	if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.TryAgain || len(b.hop.sent) != 0 {
		t.Errorf("outcome %v, %d sent without a record; want TryAgain", got.Kind, len(b.hop.sent))
	}
}

// TestBypassTellsOfficers: at its begin and its end, without its reason.
func TestBypassTellsOfficers(t *testing.T) {
	b := newBench(t)
	if _, err := b.BeginBypass(t.Context(), time.Hour, why, "uid:7"); err != nil {
		t.Fatal(err)
	}
	b.skew.Add(int64(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- b.RunBypass(ctx) }()
	go func() { done <- b.RunOutbox(ctx) }()
	delivered := func() []string {
		b.hop.mu.Lock()
		defer b.hop.mu.Unlock()
		return b.hop.deliveredText
	}
	for len(delivered()) < 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("officers were not told")
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	for _, m := range delivered() {
		if strings.Contains(m, "Quillfeather") || strings.Contains(m, "uid:7") {
			t.Errorf("a notice holds the reason: %s", m)
		}
		if !strings.Contains(m, "To: <officer@clinic.example>") || !strings.Contains(m, "Auto-Submitted: auto-generated") {
			t.Errorf("notice: %s", m)
		}
	}
	if off := b.audit.of(audit.BypassOff); len(off) != 1 || off[0].Reason != bypass.Expired {
		t.Errorf("its end on record: %+v", off)
	}
}
