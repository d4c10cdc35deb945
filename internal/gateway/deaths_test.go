package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// died leaves behind what a process leaves that dies with ids in hand.
func died(t *testing.T, b *bench, ids ...dlp.ID) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hand")
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(string(id) + "\n")
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := spool.OpenHand(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // only read from
	b.Hand = h
}

// TestDeathsInARowAreCounted: a message that a try is recorded of begins anew,
// and what was in hand together is tried one by one.
func TestDeathsInARowAreCounted(t *testing.T) {
	b := newBench(t)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}} }
	ms := []spool.Message{b.put(t, out), b.put(t, out), b.put(t, out)}
	get := func(i int) spool.Message {
		m, err := b.spool.Get(t.Context(), ms[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	count := func(ids ...dlp.ID) {
		t.Helper()
		died(t, b, ids...)
		if err := b.CountDeaths(t.Context()); err != nil || len(b.Hand.Left()) != 0 {
			t.Fatalf("%v, %d left", err, len(b.Hand.Left()))
		}
	}
	count(ms[0].ID, dlp.NewID(), ms[1].ID, ms[0].ID)
	died(t, b, ms[0].ID, ms[1].ID)
	b.db.noProgress.Store(1) // the disk is full
	if err := b.CountDeaths(t.Context()); err == nil || len(b.Hand.Left()) != 2 {
		t.Errorf("%v, %d left; want both kept until they are on record", err, len(b.Hand.Left()))
	}
	count(ms[0].ID, ms[1].ID)
	if a, c, d := get(0), get(1), get(2); a.Deaths != 2 || c.Deaths != 2 || d.Deaths != 0 || c.Next.Sub(a.Next) != time.Second {
		t.Errorf("%d, %d, %d deaths; tried %v apart; want 2, 2, 0 and a second", a.Deaths, c.Deaths, d.Deaths, c.Next.Sub(a.Next))
	}
	runOutboxUntil(t, b, func() bool { return get(0).Tries == 1 && get(1).Tries == 1 && get(2).Tries == 1 })
	if a, c := get(0), get(1); a.Deaths != 0 || c.Deaths != 0 {
		t.Errorf("after a try on record: %d and %d deaths, want none", a.Deaths, c.Deaths)
	}
	for range 2 {
		count(ms[0].ID)
	}
	if m := get(0); m.State != spool.Queued || m.Deaths != 2 {
		t.Errorf("after two deaths: %s, %d; want it queued", m.State, m.Deaths)
	}
	count(ms[0].ID)
	if m := get(0); m.State != spool.Poison || m.Why != spool.WhyBroke {
		t.Errorf("after three deaths: %s %s, want it set aside", m.State, m.Why)
	}
	count(ms[0].ID) // it is nobody's now
	if err := b.RetryQueued(t.Context(), ms[0].ID, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if m := get(0); m.State != spool.Queued || m.Deaths != 0 {
		t.Errorf("put back: %s with %d deaths", m.State, m.Deaths)
	}
}

// TestWhatIsBeingDeliveredIsNoted while it is, and no longer.
func TestWhatIsBeingDeliveredIsNoted(t *testing.T) {
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "hand")
	h, err := spool.OpenHand(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	b.Hand = h
	left := func() []dlp.ID {
		x, err := spool.OpenHand(path)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		return x.Left()
	}
	m := b.put(t, out)
	b.hop.opened = func() {
		if got := left(); len(got) != 1 || got[0] != m.ID {
			t.Errorf("while it is read: %v, want %s", got, m.ID)
		}
	}
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if got := left(); len(got) != 0 {
			t.Errorf("while its next hop is waited for: %v, want nothing", got)
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	runOutboxUntil(t, b, func() bool {
		q, err := b.ShowQueued(t.Context(), m.ID)
		return err == nil && q.State == "delivered"
	})
	if got := left(); len(got) != 0 {
		t.Errorf("afterwards: %v", got)
	}
}
