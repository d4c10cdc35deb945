package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// slowBench reads nothing in time while its client waits, and everything at
// once in the background.
func slowBench(t *testing.T) (b *bench, background *atomic.Bool) {
	t.Helper()
	b = newBenchWith(t, func(c *gateway.Config) {
		c.ScanTimeout = time.Millisecond
		c.Background = gateway.Background{Timeout: time.Minute, Readers: 1, Queue: 2, Bytes: 1 << 20}
	})
	background = &atomic.Bool{}
	b.read = func(ctx context.Context) error {
		if background.Load() {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return b, background
}

// runReadingUntil has the background readers work until done.
func runReadingUntil(t *testing.T, b *bench, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.RunReading(ctx) })
	for !done() {
		if ctx.Err() != nil {
			t.Errorf("background reading: %v", ctx.Err())
			break
		}
		time.Sleep(5 * time.Millisecond) // the readers have no other sign of life
	}
	cancel()
	wg.Wait()
}

// readUntilJudged has the only message of the spool read on, however often that
// has to be tried; an hour passes between two tries.
func readUntilJudged(t *testing.T, b *bench) {
	t.Helper()
	for tries := 0; b.unread(t) > 0 && !t.Failed(); tries++ {
		runReadingUntil(t, b, func() bool {
			q, err := b.ListQueue(t.Context(), false)
			return err == nil && (len(q) == 0 || q[0].State != "reading" || q[0].Tries > tries && q[0].Next.After(b.now()))
		})
		b.skew.Add(int64(time.Hour))
	}
}

// counts are the values of all metrics, those of one name added up.
func counts(t *testing.T, s *metrics.Set) map[string]float64 {
	t.Helper()
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	sum := map[string]float64{}
	for line := range strings.Lines(rec.Body.String()) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ := strings.Cut(series, "{"); name != "#" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			sum[name] += n
		}
	}
	return sum
}

func (b *bench) unread(t *testing.T) int {
	t.Helper()
	n, _, err := b.spool.Size(t.Context(), spool.ToRead)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSlowMessageIsReadOn: past scan_timeout a message is ours, in the queue
// until it is judged, and then goes the way of its verdict by itself.
func TestSlowMessageIsReadOn(t *testing.T) {
	tests := []struct {
		name    string
		verdict map[string]dlp.RcptVerdict
		queue   string // what is in the queue once it is judged
		heldFor int    // recipients that it is held for
		results string // outcomes on record
	}{
		{"clean", nil, "copy", 0, "spooled spooled"},
		{"tagged", map[string]dlp.RcptVerdict{out.String(): {Action: dlp.AddTag, Policy: "p"}}, "copy copy", 0, "spooled spooled"},
		{"held", map[string]dlp.RcptVerdict{in.String(): {}, out.String(): {}}, "", 2, "spooled held"},
		{"split", map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold, Policy: "p"}}, "copy", 1, "spooled split"},
		{"held, and the sender is told", map[string]dlp.RcptVerdict{in.String(): {}, out.String(): {Notify: []string{"sender"}}}, "notice", 2, "spooled held"},
		{"rejected for one", map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Reject}}, "copy dsn", 0, "spooled split"},
		{"rejected for all", map[string]dlp.RcptVerdict{in.String(): {Action: dlp.Reject}, out.String(): {Action: dlp.Reject}}, "dsn", 0, "spooled rejected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, background := slowBench(t)
			if tt.verdict != nil {
				b.verdict = tt.verdict
			}
			doc := mail(in, out)
			got := b.Message(t.Context(), doc, b.hop)
			if got.Kind != dlp.Spooled || got.ID != doc.ID || !got.Acknowledge || b.hop.resets != 1 || len(b.hop.sent) != 0 {
				t.Fatalf("outcome %v, %d resets, %d sent; want it spooled, and the transaction given up", got.Kind, b.hop.resets, len(b.hop.sent))
			}
			q, err := b.ListQueue(t.Context(), false)
			if err != nil || len(q) != 1 || q[0].Kind != "reading" || q[0].State != "reading" || len(q[0].Recipients) != 2 || q[0].Doc != doc.ID {
				t.Fatalf("queue %+v, %v; want it there until it is judged", q, err)
			}
			background.Store(true)
			runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
			if kinds := queueKinds(t, b); kinds != tt.queue {
				t.Errorf("queue holds %q, want %q", kinds, tt.queue)
			}
			held, err := b.ListHeld(t.Context(), false, "", "uid:0")
			if err != nil || len(held) > 1 || tt.heldFor == 0 && len(held) != 0 || tt.heldFor > 0 && (len(held) != 1 || len(held[0].Recipients) != tt.heldFor) {
				t.Errorf("held %+v, %v; want one for %d recipients", held, err, tt.heldFor)
			}
			if tt.heldFor > 0 {
				var content bytes.Buffer
				if err := b.Export(t.Context(), doc.ID, vault.Opened{}, "uid:0", &content); err != nil || content.String() != text {
					t.Errorf("held content %q, %v", &content, err)
				}
			}
			if got := strings.Join(b.audit.results(), " "); got != tt.results {
				t.Errorf("outcomes on record %q, want %q", got, tt.results)
			}
			if _, err := b.spool.Open(t.Context(), q[0].ID); err == nil {
				t.Error("its unread form is still in the spool")
			}
			counted := counts(t, b.Metrics)
			if n := counted["stanch_documents_total"]; n != 1 {
				t.Errorf("counted as %v documents, want 1", n)
			}
			if n := counted["stanch_verdicts_total"]; n != 1 {
				t.Errorf("counted as %v verdicts, want 1", n)
			}
			if n := counted["stanch_read_on_total"]; n != 1 {
				t.Errorf("counted as read on %v times, want 1", n)
			}
		})
	}
}

// TestSlowAndCleanGoesOutAsItCame: nothing but the trace fields in front, and
// the parameters of the client's transaction stay.
func TestSlowAndCleanGoesOutAsItCame(t *testing.T) {
	b, background := slowBench(t)
	doc := mail(out)
	doc.Params = dlp.MailParams{Body: "8BITMIME", EnvID: "q7"}
	doc.RcptParams = []dlp.RcptParams{{Notify: "NEVER"}}
	b.Message(t.Context(), doc, b.hop)
	background.Store(true)
	runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
	ms, err := b.spool.List(t.Context(), spool.Filter{})
	if err != nil || len(ms) != 1 || ms[0].Params != doc.Params || ms[0].Rcpts[0].Params != doc.RcptParams[0] || ms[0].From != doc.Sender {
		t.Errorf("queued %+v, %v; want the envelope of the document", ms, err)
	}
	runOutboxUntil(t, b, func() bool { return len(b.hop.texts()) == 1 })
	if got := b.hop.texts()[0]; got != "X-Stanch-Id: t\r\n"+text {
		t.Errorf("delivered %q", got)
	}
}

// TestBackgroundIsBounded: the client is asked to come again, and nothing of
// its message is kept.
func TestBackgroundIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*gateway.Background)
	}{
		{"by count", func(b *gateway.Background) { b.Queue = 1 }},
		{"by size", func(b *gateway.Background) { b.Bytes = int64(len(text)) + 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBenchWith(t, func(c *gateway.Config) {
				c.ScanTimeout = time.Millisecond
				c.Background = gateway.Background{Timeout: time.Minute, Queue: 5, Bytes: 1 << 20}
				tt.set(&c.Background)
			})
			b.hang = true
			if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.Spooled {
				t.Fatalf("first: %v", got.Kind)
			}
			if got := b.Message(t.Context(), mail(in), b.hop); got.Kind != dlp.QueueFull || got.Acknowledge {
				t.Errorf("second: %v, want %v", got.Kind, dlp.QueueFull)
			}
			if n := b.unread(t); n != 1 || b.hop.resets != 2 {
				t.Errorf("%d in the spool, %d transactions given up; want 1 and 2", n, b.hop.resets)
			}
		})
	}
}

// TestSlowMessageIsHeld when it is not read in the background either.
func TestSlowMessageIsHeld(t *testing.T) {
	tests := []struct {
		name string
		set  func(*bench, *gateway.Config)
		want string // reason
	}{
		{"past the larger limit too", func(_ *bench, c *gateway.Config) { c.Background.Timeout = time.Millisecond }, dlp.ReasonTimeout},
		{"it breaks what reads it", func(b *bench, _ *gateway.Config) {
			b.read = func(ctx context.Context) error {
				if _, timed := ctx.Deadline(); timed && b.panics {
					panic("on purpose")
				}
				<-ctx.Done()
				b.panics = true
				return ctx.Err()
			}
		}, dlp.ReasonJudgeFailed},
		{"it cannot be read at all, time after time", func(b *bench, _ *gateway.Config) {
			first := true
			b.read = func(ctx context.Context) error {
				if !first {
					return errBroken
				}
				first = false
				<-ctx.Done()
				return ctx.Err()
			}
		}, dlp.ReasonJudgeFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBenchWith(t, func(c *gateway.Config) {
				c.ScanTimeout = time.Millisecond
				c.Background = gateway.Background{Timeout: time.Minute, Queue: 5, Bytes: 1 << 20}
				tt.set(&bench{}, c)
			})
			b.hang = true
			tt.set(b, &gateway.Config{})
			if b.read != nil {
				b.hang = false
			}
			if got := b.Message(t.Context(), mail(out), b.hop); got.Kind != dlp.Spooled {
				t.Fatalf("outcome %v", got.Kind)
			}
			readUntilJudged(t, b)
			held, err := b.ListHeld(t.Context(), false, "", "uid:0")
			if err != nil || len(held) != 1 {
				t.Fatalf("held %+v, %v", held, err)
			}
			d, err := b.ShowHeld(t.Context(), held[0].ID, vault.Opened{}, "uid:0")
			if err != nil || d.Reason != tt.want {
				t.Errorf("reason %q, %v; want %q", d.Reason, err, tt.want)
			}
		})
	}
}

// TestRepeatOfASlowMessage: a client that lost the answer gets the same id,
// and is told how the message stands now.
func TestRepeatOfASlowMessage(t *testing.T) {
	b, background := slowBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	first := b.Message(t.Context(), mail(out), b.hop)
	if again := b.Message(t.Context(), mail(out), b.hop); again.Kind != dlp.Spooled || again.ID != first.ID {
		t.Errorf("repeat: %v %s, want %v %s", again.Kind, again.ID, dlp.Spooled, first.ID)
	}
	background.Store(true)
	runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
	if again := b.Message(t.Context(), mail(out), b.hop); again.Kind != dlp.Held || again.ID != first.ID {
		t.Errorf("repeat, judged: %v %s, want %v %s", again.Kind, again.ID, dlp.Held, first.ID)
	}
}

// TestStopWhileReadingOn: a reading that is broken off by a stop does not
// count, and nothing is lost.
func TestStopWhileReadingOn(t *testing.T) {
	b, background := slowBench(t)
	b.Message(t.Context(), mail(out), b.hop)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{})
		b.read = func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() }
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.RunReading(ctx) })
		<-begun
		cancel()
		wg.Wait()
	}
	b.read = nil
	background.Store(true)
	runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
	if kinds := queueKinds(t, b); kinds != "copy" {
		t.Errorf("queue holds %q, want a copy", kinds)
	}
}

// TestVerdictWaitsForRoom: a verdict on a message of the spool is carried out
// once there is room, and only once.
func TestVerdictWaitsForRoom(t *testing.T) {
	b, background := slowBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(out), b.hop)
	background.Store(true)
	b.db.noVerdict.Store(2)
	runReadingUntil(t, b, func() bool { return b.unread(t) == 0 })
	held, err := b.ListHeld(t.Context(), false, "", "uid:0")
	if err != nil || len(held) != 1 {
		t.Errorf("held %+v, %v; want one", held, err)
	}
	if got := strings.Join(b.audit.results(), " "); got != "spooled failed failed held" {
		t.Errorf("outcomes on record %q", got)
	}
}

// TestVerdictThatStandsIsNotRepeated: a verdict that was said not to be carried
// out, and was, is left alone: nothing is set aside for a content that is gone.
func TestVerdictThatStandsIsNotRepeated(t *testing.T) {
	b, background := slowBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	b.Message(t.Context(), mail(out), b.hop)
	background.Store(true)
	b.db.misheard.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.RunReading(ctx) })
	for {
		q, err := b.ListQueue(t.Context(), true)
		if err == nil && len(q) > 0 && q[0].State == "judged" {
			if err = b.RetryQueued(t.Context(), q[0].ID, "uid:0"); !errors.Is(err, gateway.ErrBusy) {
				break // its worker has let go
			}
		}
		if ctx.Err() != nil {
			t.Fatal("the worker does not let go of what is judged")
		}
		time.Sleep(5 * time.Millisecond) // the readers have no other sign of life
	}
	cancel()
	wg.Wait()
	if held, err := b.ListHeld(t.Context(), false, "", "uid:0"); err != nil || len(held) != 1 {
		t.Errorf("held %+v, %v; want one", held, err)
	}
	if n := counts(t, b.Metrics)["stanch_queue_set_aside_total"]; n != 0 {
		t.Errorf("%v set aside, want none", n)
	}
}

// TestUnreadableIsSetAside: what cannot be opened any more stands in nobody's
// way, is shown, and is tried again on a person's word.
func TestUnreadableIsSetAside(t *testing.T) {
	b, background := slowBench(t)
	doc := mail(out)
	large := bytes.Repeat([]byte(text), 2*spool.InlineMax/len(text))
	doc.Size = int64(len(large))
	doc.Open = func() (io.ReadSeekCloser, error) { return closer{bytes.NewReader(large)}, nil }
	b.Message(t.Context(), doc, b.hop)
	q, err := b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 {
		t.Fatalf("queue %+v, %v", q, err)
	}
	damage(t, b, q[0].ID)
	background.Store(true)
	b.read = func(context.Context) error { return errBroken }
	readUntilJudged(t, b)
	q, err = b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 || q[0].State != "poison" || q[0].Why != "content" {
		t.Fatalf("queue %+v, %v; want it set aside", q, err)
	}
	if err := b.RetryQueued(t.Context(), q[0].ID, "uid:0"); err != nil || b.unread(t) != 1 {
		t.Errorf("retry: %v; want it back", err)
	}
	if err := b.DropQueued(t.Context(), q[0].ID, "uid:0"); err != nil || b.unread(t) != 0 {
		t.Errorf("drop: %v; want it gone", err)
	}
}

// damage flips a byte in the middle of a sealed content.
func damage(t *testing.T, b *bench, id dlp.ID) {
	t.Helper()
	path := filepath.Join(b.dir, "spool", string(id[:2]), string(id)+".age")
	c, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c[len(c)/2] ^= 1
	if err := os.WriteFile(path, c, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestVerdictWithoutAnAnswerIsOnRecordAsItIs: to a verdict on a message that was
// read on stable storage gave no answer. The audit log says what came of it, and
// "unknown" only if that could not be found out.
func TestVerdictWithoutAnAnswerIsOnRecordAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name           string
		forgets, hangs bool
		results        string
		held           int
	}{
		{"it stands", false, false, "spooled split", 1},
		{"it does not", true, false, "spooled failed split", 1},
		{"nobody knows", true, true, "spooled unknown", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, background := slowBench(t)
			b.verdict = map[string]dlp.RcptVerdict{out.String(): {Action: dlp.Hold, Policy: "p"}}
			b.Message(t.Context(), mail(in, out), b.hop)
			background.Store(true)
			b.db.forgets = tt.forgets
			b.db.hangs.Store(tt.hangs)
			b.db.unknown.Store(true)
			runReadingUntil(t, b, func() bool {
				return b.db.hung.Load() || len(b.audit.results()) == len(strings.Fields(tt.results))
			})
			b.db.hung.Store(false)
			if got := strings.Join(b.audit.results(), " "); got != tt.results {
				t.Errorf("outcomes on record %q, want %q", got, tt.results)
			}
			if held, err := b.ListHeld(t.Context(), false, "", "uid:0"); err != nil || len(held) != tt.held {
				t.Errorf("%d held, %v; want %d", len(held), err, tt.held)
			}
			if n := counts(t, b.Metrics)["stanch_documents_total"]; n != float64(tt.held) {
				t.Errorf("counted as %v documents, want %d", n, tt.held)
			}
		})
	}
}
