package gateway_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// put queues one message of ours to rcpts.
func (b *bench) put(t testing.TB, rcpts ...dlp.Address) spool.Message {
	t.Helper()
	m := spool.Message{ID: dlp.NewID(), Doc: dlp.NewID(), Kind: spool.Release, From: dlp.Address{Local: "ada", Domain: "clinic.example"},
		Created: b.now(), Expires: b.now().Add(24 * time.Hour)}
	for _, r := range rcpts {
		m.Rcpts = append(m.Rcpts, spool.Rcpt{Addr: r})
	}
	m.Dest = b.DestOf(m.From, rcpts[0])
	e, err := b.spool.Seal(t.Context(), m, strings.NewReader(text))
	if err == nil {
		err = b.db.Commit(t.Context(), store.Change{Out: []spool.Entry{e}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.skew.Load())) }

// byDomain tells destinations apart by domain.
func byDomain(_ dlp.Address, rcpts []dlp.Address) (names []string) {
	for _, r := range rcpts {
		names = append(names, r.Domain)
	}
	return names
}

// TestClockJumpExpiresNothing: a clock that is put a day forward or back costs
// no message its life, and delays none for long.
func TestClockJumpExpiresNothing(t *testing.T) {
	for _, jump := range []time.Duration{30 * time.Hour, -30 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			b := newBench(t) // a message expires after 24 hours
			b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}} }
			m := b.put(t, out)
			tries := 0
			for _, skew := range []time.Duration{0, jump, jump + 2*time.Minute, 5 * time.Minute} {
				b.skew.Store(int64(skew))
				tries++
				runOutboxUntil(t, b, func() bool {
					q, err := b.ShowQueued(t.Context(), m.ID)
					return err == nil && q.Tries >= tries
				})
			}
			q, err := b.ShowQueued(t.Context(), m.ID)
			if err != nil || q.State != "queued" {
				t.Fatalf("%+v, %v; want it still queued", q, err)
			}
			if left := q.Expires.Sub(b.now()); left < 20*time.Hour || left > 26*time.Hour {
				t.Errorf("expires in %v, want about a day", left)
			}
		})
	}
}

// TestAHangingPlaceTakesFewWorkers: deliveries to everywhere else go on, and no
// more than its share wait for the destination that hangs.
func TestAHangingPlaceTakesFewWorkers(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.PerDestination = 4, 2 })
	b.Destinations = byDomain
	var waiting, most atomic.Int32
	free := make(chan struct{})
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a.Domain == "hangs.example" {
			if n := waiting.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-free
			waiting.Add(-1)
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	for i := range 30 {
		b.put(t, dlp.Address{Local: fmt.Sprint("h", i), Domain: "hangs.example"})
	}
	for i := range 10 {
		b.put(t, dlp.Address{Local: fmt.Sprint("o", i), Domain: "other.example.net"})
	}
	runOutboxUntil(t, b, func() bool {
		select {
		case <-free:
		default:
			if b.hop.took("other.example.net") == 10 && waiting.Load() >= 2 { // they may begin after the others
				close(free)
			}
		}
		return b.hop.took("hangs.example") == 30
	})
	if n := most.Load(); n > 2 {
		t.Errorf("%d deliveries at once to one destination, want 2 at most", n)
	}
}

// TestASilentPlaceIsTriedByOne: to a destination that gave no answer goes one
// message at a time, until it gives one; to all others as many as before.
func TestASilentPlaceIsTriedByOne(t *testing.T) {
	const share, others = 3, 10
	b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.PerDestination = 3*share, share })
	b.Destinations = byDomain
	var calls, at, most atomic.Int32
	together := func() func() { // returned once share deliveries wait in it
		var n atomic.Int32
		all := make(chan struct{})
		return func() {
			if n.Add(1) == share {
				close(all)
			}
			select {
			case <-all:
			case <-time.After(time.Minute):
				t.Errorf("%d deliveries at once to the destination, want %d", n.Load(), share)
			}
		}
	}
	before, after := together(), together()
	rest := make(chan struct{}) // closed once the others have theirs
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a.Domain != "silent.example" {
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
		}
		switch n := calls.Add(1); {
		case n <= share: // nobody knows yet: as many as are allowed, and no answer
			before()
			return dlp.Delivery{Rcpt: a, Err: errBroken}
		case n <= 2*share:
			most.Store(max(most.Load(), at.Add(1)))
			defer at.Add(-1)
			<-rest
			if n < 2*share {
				return dlp.Delivery{Rcpt: a, Err: errBroken}
			}
		default: // it has given one
			after()
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}}
	}
	for i := range 3 * share {
		b.put(t, dlp.Address{Local: fmt.Sprint("s", i), Domain: "silent.example"})
	}
	for i := range others {
		b.put(t, dlp.Address{Local: fmt.Sprint("o", i), Domain: "other.example.net"})
	}
	released := false
	runOutboxUntil(t, b, func() bool {
		if !released && b.hop.took("other.example.net") == others {
			released = true
			close(rest)
		}
		return b.hop.took("silent.example") == 3*share
	})
	if n := most.Load(); n != 1 {
		t.Errorf("%d deliveries at once to a destination that gave no answer, want 1", n)
	}
}

// TestOneHangingDeliveryIsNotThePlace: where a delivery hangs and another had no
// answer, the rest wait for neither: after a while one more is tried, and then all.
func TestOneHangingDeliveryIsNotThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const here = 1
		d := gateway.NewPlaces(3)
		take := func(want bool) (began time.Time) {
			t.Helper()
			began, ok := d.Take(here)
			if ok != want {
				t.Errorf("room for one more: %v, want %v", ok, want)
			}
			if full := len(d.Full()) == 1; !ok && !full {
				t.Error("there is no room, and it is not among those without")
			}
			return began
		}
		hangs := take(true)
		fails := take(true)
		d.Heard(here, false)
		d.Done(here, fails)
		take(false) // one at a time: the one that hangs may yet answer
		time.Sleep(time.Minute)
		probe := take(true)
		take(false)
		d.Heard(here, true)
		d.Done(here, probe)
		take(true)
		last := take(true)
		take(false) // three at once
		d.Heard(here, false)
		d.Done(here, last)
		time.Sleep(time.Minute)
		take(true)
		take(false) // no more than three, however long they hang
		d.Done(here, hangs)
		time.Sleep(time.Minute)
		take(true)
		take(false)
	})
}

// TestMessagesThatFailedTogetherComeApart: they are not all tried again at the
// same moment.
func TestMessagesThatFailedTogetherComeApart(t *testing.T) {
	const n = 20
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.PerDestination = n, n })
		b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}} }
		for range n {
			b.put(t, out)
		}
		var qs []gateway.Queued
		runOutboxUntil(t, b, func() (all bool) {
			qs, _ = b.ListQueue(t.Context(), false) // again, if it could not
			return len(qs) == n && !slices.ContainsFunc(qs, func(q gateway.Queued) bool { return q.Tries == 0 })
		})
		at := map[time.Time]int{}
		for _, q := range qs {
			at[q.Next]++
		}
		if len(at) < n/2 {
			t.Errorf("%d messages that failed at one moment are due at %d", n, len(at))
		}
	})
}

// took counts the recipients of a domain that were delivered to.
func (h *hop) took(domain string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.domains[domain]
}

// TestEachDestinationIsOnRecordBeforeTheNext: what one took is not sent there
// again, whatever happens at the next.
func TestEachDestinationIsOnRecordBeforeTheNext(t *testing.T) {
	b := newBench(t)
	b.Destinations = byDomain
	first := dlp.Address{Local: "a", Domain: "one.example"}
	also := dlp.Address{Local: "b", Domain: "one.example"}
	second := dlp.Address{Local: "c", Domain: "two.example.net"}
	m := b.put(t, first, second, also)
	var tries []string
	var asked atomic.Int32 // the second destination; what the first took is on record, as a try, before
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		tries = append(tries, a.String())
		if a == second {
			defer asked.Add(1)
			q, err := b.spool.Get(t.Context(), m.ID)
			if err != nil || q.Rcpts[0].State != spool.RcptDelivered || q.Rcpts[2].State != spool.RcptDelivered || q.Rcpts[1].State != spool.RcptPending {
				t.Errorf("before the second destination: %+v, %v", q.Rcpts, err)
			}
			if asked.Load() == 0 && q.Next.After(time.Now()) {
				t.Errorf("before the second destination it is due at %v: after a crash that would wait", q.Next)
			}
			return dlp.Delivery{Rcpt: a, Err: errBroken}
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	runOutboxUntil(t, b, func() bool {
		q, err := b.ShowQueued(t.Context(), m.ID)
		return err == nil && q.Tries == 1 && q.Pending == 1 && asked.Load() == 1 && q.LastCode == 0 && slices.Equal(q.Waiting, []string{second.String()})
	})
	b.skew.Store(int64(2 * time.Minute))
	runOutboxUntil(t, b, func() bool {
		q, err := b.ShowQueued(t.Context(), m.ID)
		return err == nil && q.Tries == 2 && asked.Load() == 2
	})
	if want := []string{first.String(), also.String(), second.String(), second.String()}; !slices.Equal(tries, want) {
		t.Errorf("tried %q, want %q", tries, want)
	}
}

// TestPoisonIsSetAside: a message that breaks what delivers it, or does not
// open, is tried no more, shown, and stands before no other.
func TestPoisonIsSetAside(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.PerDestination = 1, 1 })
	for range 10 { // more than are looked at together
		m := b.put(t, out)
		b.db.spoil(t, m.ID)
	}
	breaks := b.put(t, dlp.Address{Local: "breaks", Domain: "partner.example"})
	good := b.put(t, in)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a.Local == "breaks" {
			panic("on purpose")
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	runOutboxUntil(t, b, func() bool {
		q, err := b.ShowQueued(t.Context(), good.ID)
		n, _, serr := b.spool.Size(t.Context(), spool.Poison)
		return err == nil && q.State == "delivered" && serr == nil && n == 11
	})
	why := map[string]int{}
	qs, err := b.ListQueue(t.Context(), false)
	for _, q := range qs {
		why[q.State+" "+q.Why]++
	}
	if err != nil || why["poison damaged"] != 10 || why["poison broke"] != 1 || len(qs) != 11 {
		t.Errorf("queue %v, %v; want 10 damaged and 1 that broke", why, err)
	}
	b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}} }
	if err := b.RetryQueued(t.Context(), breaks.ID, "uid:0"); err != nil {
		t.Fatal(err)
	}
	runOutboxUntil(t, b, func() bool {
		q, err := b.ShowQueued(t.Context(), breaks.ID)
		return err == nil && q.State == "delivered"
	})
	if err := b.DropQueued(t.Context(), qs[0].ID, "uid:0"); err != nil {
		t.Errorf("a damaged one cannot be dropped: %v", err)
	}
}

// spoil replaces the sealed state of a message by that of another.
func (b *breakable) spoil(t *testing.T, id dlp.ID) {
	t.Helper()
	u := spool.Update{ID: id, State: spool.Queued, Next: time.Now(), Expires: time.Now().Add(time.Hour), Sealed: []byte("\x01rotten")}
	if err := b.DB.Commit(t.Context(), store.Change{Progress: []spool.Update{u}}); err != nil {
		t.Fatal(err)
	}
}

// TestUnreadableContentIsSetAside after a few tries: a disk's fault may pass.
func TestUnreadableContentIsSetAside(t *testing.T) {
	b := newBench(t)
	m := spool.Message{ID: dlp.NewID(), Doc: dlp.NewID(), Kind: spool.Release, Rcpts: []spool.Rcpt{{Addr: out}}, Created: time.Now()}
	e, err := b.spool.Seal(t.Context(), m, strings.NewReader(strings.Repeat(text, 2*spool.InlineMax/len(text))))
	if err == nil {
		err = b.db.Commit(t.Context(), store.Change{Out: []spool.Entry{e}})
	}
	if err != nil {
		t.Fatal(err)
	}
	damage(t, b, m.ID)
	b.Deliver = unreadable{b}
	for tries := range 3 {
		runOutboxUntil(t, b, func() bool {
			q, err := b.ShowQueued(t.Context(), m.ID)
			return err == nil && (q.Tries == tries+1 || q.State == "poison")
		})
		b.skew.Add(int64(time.Hour))
	}
	if q, err := b.ShowQueued(t.Context(), m.ID); err != nil || q.Why != "content" || q.Tries != 3 {
		t.Errorf("%+v, %v; want it set aside for its content, at the third try", q, err)
	}
}

// unreadable is a deliverer that says what smtp.Deliver says of a content that
// breaks off.
type unreadable struct{ b *bench }

func (u unreadable) Deliver(_ context.Context, m spool.Message, open func() (io.ReadCloser, error)) []dlp.Delivery {
	r, err := open()
	if err == nil {
		_, err = io.Copy(io.Discard, r)
		_ = r.Close()
	}
	return []dlp.Delivery{{Rcpt: m.Rcpts[0].Addr, Err: &dlp.SendError{Err: err}}}
}

// TestBacklog: many messages from before the start are delivered by a bounded number of workers, while mail that comes in goes its way.
func TestBacklog(t *testing.T) {
	n := 2_000
	if testing.Short() {
		n = 200
	}
	b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.PerDestination = 4, 4 })
	for range n / 100 {
		var ch store.Change
		for range 100 {
			e, err := b.spool.Seal(t.Context(), spool.Message{Doc: dlp.NewID(), Kind: spool.Release, Rcpts: []spool.Rcpt{{Addr: out}}, Created: time.Now()},
				strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			ch.Out = append(ch.Out, e)
		}
		if err := b.db.Commit(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
	}
	var at, most atomic.Int32
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if now := at.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer at.Add(-1)
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 20 {
			if got := b.Message(t.Context(), mail(in), &hop{reply: dlp.Reply{Code: 250}}).Kind; got != dlp.Passed {
				t.Errorf("new mail: %v", got)
			}
		}
	})
	runOutboxUntil(t, b, func() bool { return b.hop.took(out.Domain) == n })
	wg.Wait()
	if got := most.Load(); got > 4 {
		t.Errorf("%d deliveries at once, want 4 at most", got)
	}
}

// TestDroppedReleaseShows: of released mail the list says what became of it in
// the outbox, so that one which was dropped there is not taken for sent.
func TestDroppedReleaseShows(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	id := b.Message(t.Context(), mail(out), b.hop).ID
	delivery := func() string {
		t.Helper()
		hs, err := b.ListHeld(t.Context(), true, "", "uid:0")
		if err != nil || len(hs) != 1 {
			t.Fatalf("got %+v, %v", hs, err)
		}
		d, err := b.ShowHeld(t.Context(), id, vault.Opened{}, "uid:0")
		if err != nil || d.Delivery != hs[0].Delivery {
			t.Errorf("shown %q, %v; listed %q", d.Delivery, err, hs[0].Delivery)
		}
		return hs[0].State + " " + hs[0].Delivery
	}
	if got := delivery(); got != "held " {
		t.Errorf("at first: got %q", got)
	}
	if _, err := b.Release(t.Context(), id, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if got := delivery(); got != "released queued" {
		t.Errorf("released: got %q", got)
	}
	q, err := b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 {
		t.Fatalf("got %+v, %v", q, err)
	}
	if err := b.DropQueued(t.Context(), q[0].ID, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if got := delivery(); got != "released dropped" {
		t.Errorf("dropped: got %q", got)
	}
}

// TestTheQueueTellsTheStep: where the last try had no reply the queue says at
// which step, and no more once there was one.
func TestTheQueueTellsTheStep(t *testing.T) {
	b := newBench(t)
	var answers atomic.Bool
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if answers.Load() {
			return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}}
		}
		return dlp.Delivery{Rcpt: a, Err: &dlp.SendError{AfterDot: true, Err: &dlp.StageError{At: "dot", Err: errBroken}}}
	}
	m := b.put(t, out)
	for tries, want := range []struct {
		stage string
		code  int
	}{{"dot", 0}, {"", 451}} {
		answers.Store(want.code != 0)
		var q gateway.Queued
		runOutboxUntil(t, b, func() bool {
			var err error
			if q, err = b.ShowQueued(t.Context(), m.ID); err != nil {
				t.Fatal(err)
			}
			return q.Tries == tries+1
		})
		if q.LastStage != want.stage || q.LastCode != want.code {
			t.Errorf("after try %d: got stage %q, code %d; want %q, %d", tries+1, q.LastStage, q.LastCode, want.stage, want.code)
		}
		if err := b.RetryQueued(t.Context(), m.ID, "officer"); err != nil {
			t.Fatal(err)
		}
	}
}

func runOutboxUntil(t *testing.T, b *bench, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.RunOutbox(ctx) })
	for !done() {
		if ctx.Err() != nil {
			t.Error(fmt.Errorf("outbox: %w", ctx.Err()))
			break
		}
		time.Sleep(5 * time.Millisecond) // the outbox has no other sign of life
	}
	cancel()
	wg.Wait()
}
