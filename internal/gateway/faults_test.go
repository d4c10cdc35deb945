package gateway_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// TestOutboxGivesUp: a copy that nobody takes comes back to its sender once it
// has been tried for too long.
func TestOutboxGivesUp(t *testing.T) {
	b := newBenchWith(t, func(c *gateway.Config) { c.OutboxExpiry = 90 * time.Minute })
	b.hop.deliver = func(a dlp.Address) dlp.Delivery {
		if a == out || a == in {
			return dlp.Delivery{Rcpt: a, Err: errBroken}
		}
		return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 250}}
	}
	b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(in, out), b.hop)
	for tries := range 2 {
		runOutboxUntil(t, b, func() bool {
			q, err := b.ListQueue(t.Context(), false)
			return err == nil && len(q) == 1 && q[0].Tries == tries+1
		})
		b.skew.Add(int64(50 * time.Minute))
	}
	runOutboxUntil(t, b, func() bool { return b.hop.took("clinic.example") == 1 })
	dsn := b.hop.texts()[len(b.hop.texts())-1]
	for _, want := range []string{"multipart/report", "Status: 4.4.7", "Final-Recipient: rfc822; " + out.String()} {
		if !strings.Contains(dsn, want) {
			t.Errorf("the report lacks %q:\n%s", want, dsn)
		}
	}
	if q, err := b.ListQueue(t.Context(), false); err != nil || len(q) > 1 {
		t.Errorf("queue %+v, %v; want no copy left in it", q, err)
	}
}

// TestOutboxNeverReportsOnItsOwnReports: no DSN about a DSN, none to <>.
func TestOutboxNeverReportsOnItsOwnReports(t *testing.T) {
	tests := []struct {
		name   string
		sender dlp.Address
		tries  int // deliveries, of the copy and of what came of it
	}{
		{"the report is refused too", dlp.Address{Local: "ada", Domain: "clinic.example"}, 2},
		{"the null reverse-path is not written to", dlp.Address{}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 550}} }
			b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
			doc := mail(in, out)
			doc.Sender = tt.sender
			b.Message(t.Context(), doc, b.hop)
			runOutboxUntil(t, b, func() bool {
				q, err := b.ListQueue(t.Context(), false)
				return err == nil && len(q) == 0
			})
			if got := len(b.hop.texts()); got != tt.tries {
				t.Errorf("%d deliveries, want %d", got, tt.tries)
			}
		})
	}
}

// TestDeliveryIsNotRepeatedWhileItCannotBeRecorded: a full disk does not make
// the outbox send the same copy again and again.
func TestDeliveryIsNotRepeatedWhileItCannotBeRecorded(t *testing.T) {
	b := newBench(t)
	b.verdict[in.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(in, out), b.hop)
	b.db.noProgress.Store(1)
	runOutboxUntil(t, b, func() bool {
		q, err := b.ListQueue(t.Context(), false)
		return err == nil && len(q) == 0
	})
	if got := len(b.hop.texts()); got != 1 {
		t.Errorf("%d deliveries, want 1", got)
	}
	if left := b.db.noProgress.Load(); left > 0 {
		t.Errorf("it was recorded although %d tries were to fail", left)
	}
}

// TestDeliveryWithoutAnAnswerIsRecordedOnce: stable storage gave no answer to
// what a try came to. Whether that stands or not, the sender gets one report.
func TestDeliveryWithoutAnAnswerIsRecordedOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		forgets bool
	}{{"it stands", false}, {"it does not", true}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			gone := dlp.Address{Local: "gone", Domain: out.Domain}
			var tries atomic.Int32
			b.hop.deliver = func(a dlp.Address) dlp.Delivery {
				if a == gone {
					tries.Add(1)
					return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 550, Enhanced: "5.1.1"}}
				}
				return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}}
			}
			b.db.forgets = tt.forgets
			b.db.unheard.Store(true)
			m := b.put(t, gone, out)
			runOutboxUntil(t, b, func() bool {
				b.audit.mu.Lock()
				defer b.audit.mu.Unlock()
				return slices.ContainsFunc(b.audit.events, func(e audit.Event) bool { return e.Kind == audit.Deliver })
			})
			q, err := b.ListQueue(t.Context(), false)
			if err != nil || len(q) != 2 {
				t.Errorf("%d in the queue, %v; want the message and one report", len(q), err)
			}
			if got, err := b.spool.Get(t.Context(), m.ID); err != nil || got.Rcpts[0].State != spool.RcptFailed || got.Tries != 1 || tries.Load() != 1 {
				t.Errorf("got %+v, %v after %d tries; want one on record", got, err, tries.Load())
			}
		})
	}
}

// TestWaitingForATurnIsNotReading: a message that waits while others are read
// is not held for having taken too long.
func TestWaitingForATurnIsNotReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowReader{each: 150 * time.Millisecond} // under the time-out of 200 ms
		g := newTimedGateway(t, b)
		var wg sync.WaitGroup
		kinds := make([]dlp.OutcomeKind, 8)
		for i := range kinds {
			wg.Go(func() { kinds[i] = g.Message(t.Context(), mail(out), b).Kind })
		}
		wg.Wait()
		for i, got := range kinds {
			if got != dlp.Passed {
				t.Errorf("message %d: %v, want %v", i, got, dlp.Passed)
			}
		}
		if b.most > 2 {
			t.Errorf("%d were read at once, want 2 at most", b.most)
		}
	})
}

// TestFilesLeaveATurnToMail: a share full of slow files does not stop the mail.
func TestFilesLeaveATurnToMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowReader{each: time.Hour, quick: true}
		g := newTimedGateway(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { g.File(ctx, file(), nil) })
		}
		synctest.Wait()
		if got := g.Message(t.Context(), mail(out), b).Kind; got != dlp.Passed {
			t.Errorf("%v, want %v", got, dlp.Passed)
		}
		cancel()
		wg.Wait()
	})
}

// TestHoldWithoutAnAnswerIsNotMadeTwice: to a commit stable storage gave no
// answer in time, and the client was told to come again. Whether it stands after
// all or not, the repeat leads to one hold and one copy.
func TestHoldWithoutAnAnswerIsNotMadeTwice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		forgets bool
		eased   bool // by then the rules would let it pass
	}{{"it stands", false, false}, {"it stands, though the rules have changed", false, true}, {"it does not", true, false}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
			b.db.forgets = tt.forgets
			b.db.unknown.Store(true)
			first := mail(in, out)
			if got := b.Message(t.Context(), first, b.hop).Kind; got != dlp.NoRoom {
				t.Fatalf("without an answer: %v, want %v", got, dlp.NoRoom)
			}
			want := first.ID
			if tt.eased {
				delete(b.verdict, out.String())
			}
			for range 2 {
				again := mail(in, out)
				got := b.Message(t.Context(), again, b.hop)
				if tt.forgets && want == first.ID {
					want = again.ID
				}
				if got.Kind != dlp.Held && got.Kind != dlp.Split || got.ID != want {
					t.Errorf("the repeat: %v %s, want it held as %s", got.Kind, got.ID, want)
				}
			}
			held, err := b.ListHeld(t.Context(), false, "", "uid:0")
			if err != nil || len(held) != 1 || held[0].ID != want {
				t.Errorf("%+v held, %v; want %s alone", held, err, want)
			}
			q, err := b.ListQueue(t.Context(), false)
			if err != nil || len(q) != 1 {
				t.Errorf("%d copies, %v; want 1", len(q), err)
			}
		})
	}
}

// TestASmallMessageTakesItsTurn: a message is read before those that came after
// it, however many there are and however long each takes.
func TestASmallMessageTakesItsTurn(t *testing.T) {
	const readers, before, after = 2, 5, 40
	b := newBenchWith(t, func(c *gateway.Config) { c.Readers, c.ScanTimeout = readers, time.Minute })
	var mu sync.Mutex
	var order []dlp.ID
	b.begun = func(doc *dlp.Document) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, doc.ID)
	}
	gate := make(chan struct{}) // each large one takes as long as it is told
	b.read = func(context.Context) error { <-gate; return nil }
	var wg sync.WaitGroup
	begin := func(waiting int) dlp.ID {
		doc := mail(out)
		wg.Go(func() { b.Message(t.Context(), doc, &hop{reply: dlp.Reply{Code: 250}}) })
		for b.Waiting() < waiting { // it has no other sign of life
			time.Sleep(time.Millisecond)
		}
		return doc.ID
	}
	for i := range readers + before {
		begin(i + 1 - readers)
	}
	small := begin(before + 1)
	for i := range after {
		begin(before + 2 + i)
	}
	close(gate)
	wg.Wait()
	if at := slices.Index(order, small); at < 0 || at > 2*readers+before {
		t.Errorf("read as number %d of %d, want about %d: %d were there before it", at+1, len(order), readers+before+1, readers+before)
	}
}

// TestMarksOfNoRoom: what could not be kept was never answered for, and the
// same message is a hold once there is room.
func TestMarksOfNoRoom(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.db.broken = store.ErrNoRoom
	if got := b.Message(t.Context(), mail(out), b.hop).Kind; got != dlp.NoRoom {
		t.Fatalf("without room: %v, want %v", got, dlp.NoRoom)
	}
	b.db.broken = nil
	doc := mail(out)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held || got.ID != doc.ID {
		t.Errorf("with room: %v %s, want a hold of its own", got.Kind, got.ID)
	}
}

// slowReader is a reader that takes its time, and everything else that a
// gateway needs for clean documents: without files or processes, so that time
// can be the test's own.
type slowReader struct {
	each  time.Duration
	quick bool // mail is read at once
	pdf   bool // mail of a sender called pdf has a PDF, behind what is read at once

	mu        sync.Mutex // guards the two below
	now, most int        // documents being read
}

func newTimedGateway(t *testing.T, r *slowReader) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(t.Context(), gateway.Config{ScanTimeout: 200 * time.Millisecond, Readers: 2, ScanEnabled: true},
		gateway.Deps{Extract: r, Audit: &recorder{}, Store: r, Names: r, Log: safelog.Discard()},
		&gateway.Rules{Detect: func() gateway.Detection { return &detection{parts: new(atomic.Int64)} }, Policy: &bench{}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (r *slowReader) Extract(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error {
	if r.pdf {
		if doc.Sender.Local != "pdf" {
			return nil
		}
		if err := sink.(dlp.SlowSink).Slow(ctx, dlp.PDFReader); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now--
	}()
	if r.quick && doc.Channel == dlp.Mail {
		return nil
	}
	select {
	case <-time.After(r.each):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *slowReader) Send(context.Context, []byte, io.Reader) (dlp.Reply, error) {
	return dlp.Reply{Code: 250}, nil
}
func (r *slowReader) Reset(context.Context) error                { return nil }
func (r *slowReader) Commit(context.Context, store.Change) error { return nil }
func (r *slowReader) Unacknowledged(context.Context, time.Time) ([]store.Repeat, error) {
	return nil, nil
}
func (r *slowReader) LegalHolds(context.Context, int) ([]store.LegalHold, error)   { return nil, nil }
func (r *slowReader) LiftedHolds(context.Context, int) ([]store.LiftedHold, error) { return nil, nil }
func (r *slowReader) LegalHoldOn(context.Context, dlp.ID) (store.LegalHold, bool, error) {
	return store.LegalHold{}, false, nil
}
func (r *slowReader) Undecided(context.Context, dlp.ID) (bool, error)              { return false, nil }
func (r *slowReader) LegallyHeld(context.Context, dlp.ID) (bool, error)            { return false, nil }
func (r *slowReader) Calls(context.Context, store.Call, int) ([]store.Call, error) { return nil, nil }
func (r *slowReader) CallsOf(context.Context, []dlp.ID) ([]store.Call, error)      { return nil, nil }
func (r *slowReader) CountCalls(context.Context) (int, error)                      { return 0, nil }
func (r *slowReader) LastNotice(context.Context, [32]byte) (time.Time, bool, error) {
	return time.Time{}, false, nil
}
func (r *slowReader) Pseudonym(string, string) string    { return "aa" }
func (r *slowReader) MAC(string, ...[]byte) (k [32]byte) { return k }

// TestFilesSpareTheReserve: while there is no room, files are not tried over
// and over, each try leaving its lines in the audit log.
func TestFilesSpareTheReserve(t *testing.T) {
	b := newBench(t)
	b.db.broken = store.ErrNoRoom
	taken := 0
	claim := &claimed{take: func(context.Context) error { taken++; return nil }}
	for range 100 {
		if got := b.File(t.Context(), file(), claim).Kind; got != dlp.TryAgain {
			t.Fatalf("without room: %v, want %v", got, dlp.TryAgain)
		}
	}
	if n := len(b.audit.results()); taken != 1 || claim.back != 1 || n != 1 {
		t.Errorf("taken %d times, put back %d times, %d outcomes on record; want 1 each", taken, claim.back, n)
	}
	b.db.broken = nil
	b.skew.Store(int64(time.Minute))
	if got := b.File(t.Context(), file(), claim).Kind; got != dlp.Held {
		t.Errorf("with room again: %v, want %v", got, dlp.Held)
	}
}
