package gateway_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func TestRunIsFramedOnTheRecord(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Started(ctx, "", "", "2027-04"); err != nil {
		t.Fatal(err)
	}
	if err := b.Changed(ctx, "", "", "", ""); err != nil {
		t.Fatal(err)
	}
	if got := b.audit.events[0].Reason; got != "table:2027-04" || b.audit.events[1].Reason != "" {
		t.Errorf("reasons %q and %q, want the table that rules ask, and none", got, b.audit.events[1].Reason)
	}
	cancel() // a stop is recorded although its time has run out
	if err := b.Stopped(ctx); err != nil {
		t.Fatal(err)
	}
	var got []audit.Kind
	for _, e := range b.audit.events {
		got = append(got, e.Kind)
	}
	if want := []audit.Kind{audit.Start, audit.RulesChanged, audit.Stop}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRecover(t *testing.T) {
	b := newBench(t)
	b.verdict = map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold}}
	held := mail(out)
	if o := b.Message(t.Context(), held, b.hop); o.Kind != dlp.Held {
		t.Fatalf("got %s, want held", o.Kind)
	}
	for _, tc := range []struct {
		name string
		open audit.Pending
		want string
	}{
		{"in the vault", audit.Pending{Kind: audit.Decision, Doc: held.ID, Channel: dlp.Mail}, audit.ResultRecovered},
		{"nowhere", audit.Pending{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail}, audit.ResultUnknown},
		{"a release not carried out", audit.Pending{Kind: audit.Release, Doc: held.ID, Channel: dlp.Mail}, audit.ResultFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := b.Recover(t.Context(), []audit.Pending{tc.open}); err != nil {
				t.Fatal(err)
			}
			all := b.audit.results()
			if got := all[len(all)-1]; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
