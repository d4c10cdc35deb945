package gateway_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// runningOutbox runs an outbox; stop has it begin nothing more, and ended is
// closed when it has returned.
func runningOutbox(t *testing.T, b *bench) (stop func(), ended chan struct{}) {
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ended)
		_ = b.RunOutbox(ctx)
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(stop)
	return stop, ended
}

// eventually waits until done, which the outbox tells nobody.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to that")
		}
	}
}

// TestStopLetsDeliveriesFinish: what the next hop is about to answer is waited
// for and recorded, and nothing else is begun.
func TestStopLetsDeliveriesFinish(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.StopWithin = 1, time.Hour })
	b.hop.answers = make(chan struct{})
	first, second := b.put(t, out), b.put(t, in)
	stop, ended := runningOutbox(t, b)
	eventually(t, func() bool { return len(b.hop.texts()) == 1 })
	stop()
	select {
	case <-ended:
		t.Error("the outbox did not wait for the answer")
	case <-time.After(20 * time.Millisecond): // long enough to see that it is cut
	}
	close(b.hop.answers)
	<-ended
	if n := len(b.hop.texts()); n != 1 {
		t.Errorf("%d messages were sent, want only the one under way", n)
	}
	runOutboxUntil(t, b, func() bool {
		_, err1 := b.spool.Find(t.Context(), first.ID)
		now, err2 := b.spool.Find(t.Context(), second.ID)
		return err1 == nil && (err2 != nil || now.State.Ended())
	})
	if n := len(b.hop.texts()); n != 2 {
		t.Errorf("two messages were sent %d times over a stop, want each once", n)
	}
}

// TestStopTriesNoFurtherDestination: those are tried at the next start.
func TestStopTriesNoFurtherDestination(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.StopWithin = time.Hour })
	b.Destinations = byDomain
	b.hop.answers = make(chan struct{})
	m := b.put(t, out, in)
	stop, ended := runningOutbox(t, b)
	eventually(t, func() bool { return len(b.hop.texts()) == 1 })
	stop()
	close(b.hop.answers)
	<-ended
	now, err := b.spool.Find(t.Context(), m.ID)
	if n := len(b.hop.texts()); n != 1 || err != nil || now.Rcpts[0].State != spool.RcptDelivered || now.State != spool.Queued || !now.IsDue(b.now()) {
		t.Errorf("%d deliveries, %+v, %v; want the first on record and the second due", n, now, err)
	}
}

// TestStopCutsInTheEnd: a delivery that outlasts the time to stop is not counted.
func TestStopCutsInTheEnd(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.StopWithin = time.Millisecond })
	b.hop.answers = make(chan struct{})
	m := b.put(t, out)
	stop, ended := runningOutbox(t, b)
	eventually(t, func() bool { return len(b.hop.texts()) == 1 })
	stop()
	<-ended
	if now, err := b.spool.Find(t.Context(), m.ID); err != nil || now.State != spool.Queued || now.Tries != 0 {
		t.Errorf("%+v, %v; want it queued as it was", now, err)
	}
}

// TestStopKeepsAnAnswerThatCame: the delivery is cut while its answer comes.
func TestStopKeepsAnAnswerThatCame(t *testing.T) {
	b := newBench(t)
	m := b.put(t, out)
	begin := make(chan func(), 1)
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		(<-begin)()
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	stop, ended := runningOutbox(t, b)
	begin <- stop
	<-ended
	if now, err := b.spool.Find(t.Context(), m.ID); err != nil || !now.State.Ended() {
		t.Errorf("%+v, %v; want its delivery on record", now, err)
	}
}

// forgetful gives no result for the last recipient.
type forgetful struct{ *hop }

func (f forgetful) Deliver(ctx context.Context, m spool.Message, open func() (io.ReadCloser, error)) []dlp.Delivery {
	ds := f.hop.Deliver(ctx, m, open)
	return ds[:len(ds)-1]
}

// TestNoResultIsNoDelivery: a recipient of whom nothing is said is tried again.
func TestNoResultIsNoDelivery(t *testing.T) {
	b := newBench(t)
	b.Deliver = forgetful{b.hop}
	m := b.put(t, in, out)
	runOutboxUntil(t, b, func() bool {
		now, err := b.spool.Find(t.Context(), m.ID)
		return err == nil && (now.Tries == 1 || now.State.Ended())
	})
	now, err := b.spool.Find(t.Context(), m.ID)
	if err != nil || now.State != spool.Queued || now.Rcpts[0].State != spool.RcptDelivered || now.Rcpts[1].State != spool.RcptPending {
		t.Errorf("%+v, %v; want the second recipient tried again", now, err)
	}
}

// TestABacklogExpires: to wait behind others for a destination that never
// answers keeps no message alive.
func TestABacklogExpires(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.DeliveryWorkers, c.PerDestination = 4, 4 })
	var mu sync.Mutex
	tries := 0
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		mu.Lock()
		defer mu.Unlock()
		tries++
		b.skew.Add(int64(5 * time.Minute))
		return dlp.Delivery{Rcpt: a, Err: errBroken}
	}
	for range 60 { // one round takes five hours; they live for a day
		b.put(t, out)
	}
	waits := func() (n int) {
		q, err := b.ListQueue(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range q {
			if m.State == string(spool.Queued) && m.Kind == string(spool.Release) {
				n++
			}
		}
		return n
	}
	last := 0
	runOutboxUntil(t, b, func() bool {
		mu.Lock()
		idle := tries == last
		last = tries
		mu.Unlock()
		if idle { // all wait for their next try
			b.skew.Add(int64(10 * time.Second))
		}
		return time.Duration(b.skew.Load()) > 40*time.Hour || waits() == 0
	})
	if n := waits(); n > 0 {
		t.Errorf("%d messages of 60 that live for 24 hours still wait after %v", n, time.Duration(b.skew.Load()))
	}
}
