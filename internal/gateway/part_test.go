package gateway_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// keeper is a mail server that has the message and asks.
type keeper struct {
	*hop
	canDrop bool
	kept    []string // what was put in front, and who was left out
	lost    bool     // the connection breaks before it has our answer
}

func (k *keeper) CanDrop(rcpts []dlp.Address) bool { return k.canDrop || len(rcpts) == 0 }

func (k *keeper) Keep(_ context.Context, header []byte, drop []dlp.Address) (dlp.Reply, error) {
	if k.lost {
		return dlp.Reply{}, errBroken
	}
	k.kept = append(k.kept, fmt.Sprintf("%q without %v", header, drop))
	return dlp.Reply{Code: 250}, nil
}

// heldFor lists whom the vault holds something for, sorted.
func (b *bench) heldFor(t *testing.T) (rcpts []string) {
	t.Helper()
	es, err := b.vault.List(t.Context(), vault.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		for _, r := range e.Envelope.Rcpts {
			rcpts = append(rcpts, r.String())
		}
	}
	slices.Sort(rcpts)
	return rcpts
}

func (b *bench) queued(t *testing.T) int {
	t.Helper()
	ms, err := b.spool.List(t.Context(), spool.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	return len(ms)
}

func TestServerKeepsTheRest(t *testing.T) {
	hold := dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	tests := []struct {
		name    string
		set     func(*bench, *keeper)
		want    dlp.OutcomeKind
		kept    string
		held    string
		queued  int
		results string
	}{
		{"clean", func(b *bench, _ *keeper) { b.verdict = nil }, dlp.Passed, `"X-Stanch-Id: t\r\n" without []`, "", 0, "passed"},
		{"tagged", func(b *bench, _ *keeper) {
			b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.AddTag, Policy: "p"}
			b.verdict[in.String()], b.verdict[third.String()] = b.verdict[out.String()], b.verdict[out.String()]
		}, dlp.Passed, `"X-Stanch-Tag: p\r\nX-Stanch-Id: t\r\n" without []`, "", 0, "passed"},
		{"held for one", func(*bench, *keeper) {}, dlp.Split, `"X-Stanch-Id: t\r\n" without [sam@partner.example]`, "sam@partner.example", 0, "split"},
		{"held for one by a server that can drop nobody", func(_ *bench, k *keeper) { k.canDrop = false },
			dlp.Split, "", "sam@partner.example", 1, "split"},
		{"rejected for one", func(b *bench, _ *keeper) { b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject} },
			dlp.Split, "", "", 2, "split"},
		{"two forms and a hold", func(b *bench, _ *keeper) {
			b.verdict[third.String()] = dlp.RcptVerdict{Action: dlp.AddTag, Policy: "p"}
		},
			dlp.Split, "", "sam@partner.example", 2, "split"},
		{"held for all", func(b *bench, _ *keeper) { b.verdict[in.String()], b.verdict[third.String()] = hold, hold },
			dlp.Held, "", "nurse@clinic.example sam@partner.example third@partner.example", 0, "held"},
		{"no room", func(b *bench, _ *keeper) { b.db.broken = errBroken }, dlp.NoRoom, "", "", 0, "failed"},
		{"no record", func(b *bench, _ *keeper) { b.audit.breaksAt = audit.Decision }, dlp.TryAgain, "", "", 0, ""},
		{"the server is lost", func(_ *bench, k *keeper) { k.lost = true }, dlp.Unreached, "", "sam@partner.example", 0, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.verdict[out.String()] = hold
			k := &keeper{hop: b.hop, canDrop: true}
			tt.set(b, k)
			got := b.Message(t.Context(), mail(in, out, third), k)
			if got.Kind != tt.want {
				t.Errorf("got %v, want %v", got.Kind, tt.want)
			}
			if s := strings.Join(k.kept, " "); s != tt.kept {
				t.Errorf("kept %s, want %s", s, tt.kept)
			}
			if s := strings.Join(b.heldFor(t), " "); s != tt.held {
				t.Errorf("held for %q, want %q", s, tt.held)
			}
			if n := b.queued(t); n != tt.queued {
				t.Errorf("%d in the outbox, want %d", n, tt.queued)
			}
			if s := strings.Join(b.audit.results(), " "); s != tt.results {
				t.Errorf("outcomes %q, want %q", s, tt.results)
			}
		})
	}
}

// openFails is doc with one opening of it, the nth, that fails.
func openFails(doc *dlp.Document, nth int) *dlp.Document {
	open, opened := doc.Open, 0
	doc.Open = func() (io.ReadSeekCloser, error) {
		if opened++; opened == nth {
			return nil, errBroken
		}
		return open()
	}
	return doc
}

// TestRepeatThatCannotBeLookedUp: what was held before is not passed on because
// it could not be read when it was looked for, whatever the rules say by now.
func TestRepeatThatCannotBeLookedUp(t *testing.T) {
	hold := dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	want := func(t *testing.T, b *bench, k *keeper, got dlp.Outcome, held string) {
		t.Helper()
		if s := strings.Join(b.heldFor(t), " "); got.Kind != dlp.TryAgain || got.Acknowledge || len(k.kept) != 0 || len(b.hop.sent) != 0 || s != held {
			t.Errorf("%+v, kept %v, sent %v, held for %q; want it to be tried again, and %q held", got, k.kept, b.hop.sent, s, held)
		}
	}
	t.Run("held for all", func(t *testing.T) {
		b := newBench(t)
		k := &keeper{hop: b.hop}
		b.verdict[out.String()] = hold
		if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.Held {
			t.Fatal(got)
		}
		b.verdict = nil
		want(t, b, k, b.Message(t.Context(), openFails(mail(out), 1), b.hop), out.String())
	})
	t.Run("held in part", func(t *testing.T) {
		b := newBench(t)
		k := &keeper{hop: b.hop, canDrop: true, lost: true}
		b.verdict[out.String()] = hold
		b.Message(t.Context(), mail(in, out), k)
		b.verdict, k.lost = nil, false
		want(t, b, k, b.Message(t.Context(), openFails(mail(in, out), 2), k), out.String())
	})
	t.Run("not held yet", func(t *testing.T) {
		b := newBench(t)
		k := &keeper{hop: b.hop, canDrop: true}
		b.verdict[out.String()] = hold
		want(t, b, k, b.Message(t.Context(), openFails(mail(in, out), 1), k), "")
	})
}

var third = dlp.Address{Local: "third", Domain: "partner.example"}

// TestServerCouldNotKeepItsPart holds that a client that comes again after a
// hold in part finds the held recipients served and the others not, however
// often it comes and whatever became of the rules meanwhile.
func TestServerCouldNotKeepItsPart(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	k := &keeper{hop: b.hop, canDrop: true, lost: true}
	offer := func(want dlp.OutcomeKind, kept string) {
		t.Helper()
		k.kept = nil
		if got := b.Message(t.Context(), mail(in, out, third), k); got.Kind != want || got.Acknowledge {
			t.Errorf("got %v, acknowledge %v; want %v, never acknowledged", got.Kind, got.Acknowledge, want)
		}
		if s := strings.Join(k.kept, " "); s != kept {
			t.Errorf("kept %s, want %s", s, kept)
		}
	}
	offer(dlp.Unreached, "")
	k.lost = false
	for range 2 {
		offer(dlp.Passed, `"X-Stanch-Id: t\r\n" without [sam@partner.example]`)
	}
	delete(b.verdict, out.String()) // he would be let through now; he is served by the hold
	offer(dlp.Passed, `"X-Stanch-Id: t\r\n" without [sam@partner.example]`)
	b.verdict[third.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	offer(dlp.Split, `"X-Stanch-Id: t\r\n" without [sam@partner.example third@partner.example]`)
	offer(dlp.Passed, `"X-Stanch-Id: t\r\n" without [sam@partner.example third@partner.example]`)
	if s := strings.Join(b.heldFor(t), " "); s != "sam@partner.example third@partner.example" {
		t.Errorf("held for %q, want each once", s)
	}
	if n := b.queued(t); n != 0 {
		t.Errorf("%d in the outbox, want none", n)
	}
}
