package gateway_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/loop"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// looping gives the bench a loop guard.
func looping(t *testing.T, b *bench) *bench {
	t.Helper()
	ring, err := crypt.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b.Loop = loop.New(loop.Default(), ring, time.Now)
	return b
}

// withText is mail with other content.
func withText(text string, rcpts ...dlp.Address) *dlp.Document {
	doc := mail(rcpts...)
	doc.Size = int64(len(text))
	doc.Open = func() (io.ReadSeekCloser, error) { return closer{strings.NewReader(text)}, nil }
	return doc
}

const named = "Message-ID: <a@clinic.example>\r\nSubject: x\r\n\r\nbody\r\n"

// TestLoopEnds: the message that comes back each time with all that stands
// above it is refused when it comes for the third time, whatever became of it
// before.
func TestLoopEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*bench)
		act  func(*testing.T, *bench) // what a person does about it, to have it leave
	}{
		{"clean", func(*bench) {}, func(*testing.T, *bench) {}},
		{"tagged", func(b *bench) { b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.AddTag, Policy: "p"} }, func(*testing.T, *bench) {}},
		{"under a bypass", func(b *bench) {
			if _, err := b.BeginBypass(t.Context(), time.Hour, why, "uid:7"); err != nil {
				t.Fatal(err)
			}
		}, func(*testing.T, *bench) {}},
		{"held and released", func(b *bench) { b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"} }, func(t *testing.T, b *bench) {
			held, err := b.ListHeld(t.Context(), false, "", "uid:0")
			if err != nil || len(held) != 1 {
				t.Fatalf("%d held, %v", len(held), err)
			}
			if err := b.Acknowledge(t.Context(), []dlp.ID{held[0].ID}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Release(t.Context(), held[0].ID, vault.Opened{}, "uid:0"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := looping(t, newBench(t))
			tc.set(b)
			text := named
			for range 2 {
				doc := withText(text, out)
				got := b.Message(t.Context(), doc, b.hop)
				if got.Kind != dlp.Passed && got.Kind != dlp.Held {
					t.Fatalf("outcome %v", got.Kind)
				}
				tc.act(t, b)
				text = left(t, b)
			}
			got := b.Message(t.Context(), withText(text, out), b.hop)
			if got.Kind != dlp.Looped {
				t.Fatalf("outcome %v for the third time, want Looped: %s", got.Kind, text)
			}
			ds := b.audit.of(audit.Decision)
			if d := ds[len(ds)-1]; d.Action != "reject" || d.Reason != dlp.ReasonLoop {
				t.Errorf("the decision on record: %+v", d)
			}
			if got := b.Message(t.Context(), withText(text, in), b.hop); got.Kind == dlp.Looped {
				t.Error("a loop is seen on the way to somebody else")
			}
		})
	}
}

// left is the text of the last message that left, through the outbox if need be.
func left(t *testing.T, b *bench) string {
	t.Helper()
	if n := len(b.hop.sent); n > 0 {
		return b.hop.sent[n-1]
	}
	if q, err := b.ListQueue(t.Context(), false); err != nil || len(q) != 1 {
		t.Fatalf("queue %+v, %v; want one", q, err)
	}
	drain(t, b)
	n := len(b.hop.deliveredText)
	if n == 0 {
		t.Fatal("nothing left")
	}
	return b.hop.deliveredText[n-1]
}

// drain runs the outbox until it is empty.
func drain(t *testing.T, b *bench) {
	t.Helper()
	runOutboxUntil(t, b, func() bool {
		q, err := b.ListQueue(t.Context(), false)
		return err == nil && len(q) == 0
	})
}

// TestMarksFromOutsideDecideNothing: they neither refuse mail nor let it pass.
func TestMarksFromOutsideDecideNothing(t *testing.T) {
	foreign := looping(t, newBench(t))
	foreign.Message(t.Context(), withText(named, out), foreign.hop)
	foreign.Message(t.Context(), withText(foreign.hop.sent[0], out), foreign.hop)
	b := looping(t, newBench(t))
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	if got := b.Message(t.Context(), withText(foreign.hop.sent[1], out), b.hop); got.Kind != dlp.Held {
		t.Errorf("outcome %v, want Held", got.Kind)
	}
	delete(b.verdict, out.String())
	if got := b.Message(t.Context(), withText(foreign.hop.sent[1]+"more\r\n", out), b.hop); got.Kind != dlp.Passed {
		t.Errorf("outcome %v, want Passed", got.Kind)
	}
}

// TestOwnMessagesAreMarked: notices and DSNs too.
func TestOwnMessagesAreMarked(t *testing.T) {
	b := looping(t, newBench(t))
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "p"}
	if got := b.Message(t.Context(), withText(named, in, out), b.hop); got.Kind != dlp.Split {
		t.Fatalf("outcome %v", got.Kind)
	}
	drain(t, b)
	if len(b.hop.deliveredText) != 2 {
		t.Fatalf("%d left, want a copy and a DSN", len(b.hop.deliveredText))
	}
	for _, m := range b.hop.deliveredText {
		if strings.Count(m, loop.Name+": v1;\r\n") != 1 {
			t.Errorf("not marked: %s", m)
		}
	}
}

// TestHeaderIsReadOnce: marks, what a sender asks for and what a mark is bound
// to come of one reading of the header; the other opening is the message going
// on.
func TestHeaderIsReadOnce(t *testing.T) {
	b := looping(t, newBenchWith(t, func(c *gateway.Config) {
		c.ScanEnabled, c.Request = false, gateway.Request{Subject: true, Header: "X-Encrypt"}
	}))
	encrypting(t, b)
	opened := 0
	doc := withText(named, out)
	open := doc.Open
	doc.Open = func() (io.ReadSeekCloser, error) {
		opened++
		return open()
	}
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Passed {
		t.Fatalf("outcome %v", got.Kind)
	}
	if opened != 2 {
		t.Errorf("opened %d times, want twice", opened)
	}
}
