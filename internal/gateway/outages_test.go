package gateway_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// alive is when the outbox last ran, as file notes it.
func alive(t *testing.T, file string) time.Time {
	t.Helper()
	var k struct{ Alive time.Time }
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k.Alive
}

// TestOutboxNotesWhenItRan: each minute, and at its end.
func TestOutboxNotesWhenItRan(t *testing.T) {
	file := filepath.Join(t.TempDir(), "outbox.alive")
	synctest.Test(t, func(t *testing.T) {
		var g gateway.Gateway
		g.Outages = file
		began := time.Now()
		g.OutboxRan(began, began)
		for range 9 {
			time.Sleep(10 * time.Second)
			g.OutboxLooks(time.Now())
		}
		if got := alive(t, file); !got.Equal(began.Add(time.Minute)) {
			t.Errorf("after 90 s: noted %v, want a minute after %v", got, began)
		}
	})
	b := newBench(t)
	b.Outages = file
	m := b.put(t, out)
	var ran time.Time
	runOutboxUntil(t, b, func() bool {
		q, err := b.ShowQueued(t.Context(), m.ID)
		ran = b.now().Round(0)
		return err == nil && q.State == "delivered"
	})
	if got := alive(t, file); got.Before(ran) {
		t.Errorf("at its end: noted %v, want no earlier than %v", got, ran)
	}
}

// instead puts something else in a file's place.
func instead(put func(file string) error) func(file string) error {
	return func(file string) error { return errors.Join(os.Remove(file), put(file)) }
}

// TestOutageHasEnded: a note that tells of an outage up to some day to come, as
// after a start by a wrong clock, does not make one of the time in which the
// outbox runs. Nor does one that ended before it began.
func TestOutageHasEnded(t *testing.T) {
	began := time.Now()
	at := func(hours float64) time.Time { return began.Add(time.Duration(hours * float64(time.Hour))) }
	type outage struct{ From, To time.Time }
	note, err := json.Marshal(struct {
		Alive time.Time
		Past  []outage
	}{at(10), []outage{{at(9), at(9999)}, {at(8), at(2)}, {at(11), at(12)}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "outbox.alive")
	if err := os.WriteFile(file, note, 0o600); err != nil {
		t.Fatal(err)
	}
	var g gateway.Gateway
	g.Outages = file
	g.OutboxRan(at(10), at(20))
	if got := g.OutboxMissed(at(0), at(20)); got != time.Hour {
		t.Errorf("of 20 hours %v were an outage, want 1h", got)
	}
}

// TestExpiryAfterRestarts: what a restart adds to the life of a message is the
// time in which nothing ran, past an hour, and not the time in which it waited
// behind others; where nobody knows, all the time before the start.
func TestExpiryAfterRestarts(t *testing.T) {
	const day = 24 * time.Hour // how long a message lives
	many := [][2]float64{{0, 1}, {9, 9.1}}
	for i := range 20 { // with three minutes between each and the next
		many = append(many, [2]float64{9.15 + float64(i)*0.15, 9.25 + float64(i)*0.15})
	}
	for _, tc := range []struct {
		name  string
		spoil func(file string) error
		ran   [][2]float64 // hours after the message came; others had their turn
		tried float64      // when it had its own
		left  time.Duration
	}{
		{"a short stop", nil, [][2]float64{{0, 10}, {10.01, 20}}, 20.01, 4 * time.Hour},
		{"a stop of eight hours", nil, [][2]float64{{0, 1}}, 9, day - 2*time.Hour},
		{"two of them", nil, [][2]float64{{0, 1}, {9, 10}}, 18, day - 3*time.Hour},
		{"more than are remembered: the shortest are forgotten", nil, many, 12.15, day - 4*time.Hour - 27*time.Minute},
		{"longer than its life", nil, [][2]float64{{0, 1}}, 73, day - 2*time.Hour},
		{"the clock is put back while nothing runs", nil, [][2]float64{{30, 31}}, 9, day - time.Hour},
		{"the clock is put back after stops that are known", nil, [][2]float64{{0, 1}, {3, 4}, {30, 31}}, 12, day - time.Hour},
		{"nothing is noted", os.Remove, [][2]float64{{0, 10}}, 20, day - time.Hour},
		{"the note is cut short", func(f string) error { return os.Truncate(f, 5) }, [][2]float64{{0, 10}}, 20, day - time.Hour},
		{"the note is empty", func(f string) error { return os.Truncate(f, 0) }, [][2]float64{{0, 10}}, 20, day - time.Hour},
		{"the note is longer than any of ours", func(f string) error { return os.Truncate(f, 1<<40) }, [][2]float64{{0, 10}}, 20, day - time.Hour},
		{"the note is a folder", instead(func(f string) error { return os.Mkdir(f, 0o700) }), [][2]float64{{0, 10}}, 20, day - time.Hour},
		{"the note is a pipe", instead(func(f string) error { return syscall.Mkfifo(f, 0o600) }), [][2]float64{{0, 10}}, 20, day - time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			b.Outages = filepath.Join(b.dir, "outbox.alive")
			b.hop.deliver = func(a dlp.Address) dlp.Delivery { return dlp.Delivery{Rcpt: a, Reply: dlp.Reply{Code: 451}} }
			m := b.put(t, out)
			at := func(hours float64) time.Time { return m.Created.Add(time.Duration(hours * float64(time.Hour))) }
			for _, r := range tc.ran {
				b.OutboxRan(at(r[0]), at(r[1]))
			}
			if tc.spoil != nil {
				if err := tc.spoil(b.Outages); err != nil {
					t.Fatal(err)
				}
			}
			b.skew.Store(int64(tc.tried * float64(time.Hour)))
			runOutboxUntil(t, b, func() bool {
				q, err := b.ShowQueued(t.Context(), m.ID)
				return err == nil && q.Tries == 1
			})
			q, err := b.ShowQueued(t.Context(), m.ID)
			if err != nil || q.State != "queued" {
				t.Fatalf("%+v, %v; want it still queued", q, err)
			}
			if left := q.Expires.Sub(b.now()); (left - tc.left).Abs() > 10*time.Minute {
				t.Errorf("expires in %v, want %v", left, tc.left)
			}
		})
	}
}
