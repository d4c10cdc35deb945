package gateway_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestEachTagGoesToItsOwn: recipients who get different tags get copies of
// their own.
func TestEachTagGoesToItsOwn(t *testing.T) {
	b := newBench(t)
	b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.AddTag, Policy: "inner"}
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.AddTag, Policy: "outer"}
	if got := b.Message(t.Context(), mail(in, out), b.hop); got.Kind != dlp.Split || len(b.hop.sent) != 0 {
		t.Fatalf("outcome %v, %d sent on; want copies", got.Kind, len(b.hop.sent))
	}
	runOutboxUntil(t, b, func() bool { return len(b.hop.texts()) == 2 })
	both := strings.Join(b.hop.texts(), "")
	for _, tag := range []string{"X-Stanch-Tag: inner\r\n", "X-Stanch-Tag: outer\r\n"} {
		if strings.Count(both, tag) != 1 {
			t.Errorf("want %q once in:\n%s", tag, both)
		}
	}
}

// TestAnotherSenderIsNoRepeat: the same words from somebody else are a message
// of its own.
func TestAnotherSenderIsNoRepeat(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	first := b.Message(t.Context(), mail(out), b.hop)
	doc := mail(out)
	doc.Sender.Local = "bea"
	other := b.Message(t.Context(), doc, b.hop)
	held, err := b.ListHeld(t.Context(), false, "", "uid:0")
	if err != nil || first.Kind != dlp.Held || other.Kind != dlp.Held || other.ID == first.ID || len(held) != 2 {
		t.Errorf("%+v and %+v, %d held, %v; want two holds", first, other, len(held), err)
	}
}
