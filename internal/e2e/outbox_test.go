package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// TestRestartWithBacklog starts over a queue of many messages: it listens before
// a tenth of them has gone, new mail is answered meanwhile, none of it waiting
// for more than a tenth of them, and all of it is delivered, once. With
// STANCH_LONG=1 there are a hundred thousand.
func TestRestartWithBacklog(t *testing.T) { // by itself: it measures
	n := 3_000
	if os.Getenv("STANCH_LONG") == "1" {
		n = 100_000
	}
	if s := os.Getenv("STANCH_BACKLOG"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	b := newBooks(t)
	hop := b.hop()
	hop.keep = false
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start() // makes the keys
	g.stop()
	began := time.Now()
	g.start()
	empty := time.Since(began)
	g.stop()
	queueMany(t, g.data(), b, n)

	began = time.Now()
	g.start()
	ready, atStart := time.Since(began), g.resident("VmRSS")
	if got := hop.count(); got > n/10 {
		t.Errorf("%d of %d had gone before it listened", got, n)
	}
	waited := 0 // the most of them that went while one new message waited for its answer
	var slowest time.Duration
	news := 0
	deadline := time.Now().Add(30 * time.Minute)
	var quarters []string // what each took
	last, used := began, 0.0
	for hop.count() < n+news {
		if hop.count() >= (len(quarters)+1)*n/4 {
			now, cpu := time.Now(), cpuSeconds(t, g.cmd.Process.Pid)
			quarters = append(quarters, fmt.Sprintf("%.1f s (processor %.1f s)", now.Sub(last).Seconds(), cpu-used))
			last, used = now, cpu
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d delivered", hop.count()-news, n)
		}
		if news < 200 {
			sent, gone := time.Now(), hop.count()
			if answer, err := b.send(g, outside, cleanMail); err != nil {
				t.Errorf("new mail: %q, %v", answer, err)
			}
			news++
			slowest = max(slowest, time.Since(sent))
			waited = max(waited, hop.count()-1-gone)
		}
		time.Sleep(20 * time.Millisecond) // the next hop tells of nothing by itself
	}
	t.Logf("%d queued: ready after %v (with an empty queue %v) with %d MiB; drained in %v, at most %d MiB; slowest of %d new messages %v",
		n, ready.Round(time.Millisecond), empty.Round(time.Millisecond), atStart>>20, time.Since(began).Round(time.Millisecond), g.resident("VmHWM")>>20, news, slowest.Round(time.Millisecond))
	if waited > n/10 {
		t.Errorf("a new message had its answer after %d of the %d had gone meanwhile, want %d at most", waited, n, n/10)
	}
	t.Logf("at most %d of them went while a new message waited", waited)
	t.Logf("quarters: %s; processor %.2f ms a message", strings.Join(quarters, ", "), 1000*cpuSeconds(t, g.cmd.Process.Pid)/float64(n+news))
	b.settle(g)
}

// queueMany puts n messages into the queue of a data folder that nobody serves,
// and into the books as taken.
func queueMany(t *testing.T, data string, b *books, n int) {
	t.Helper()
	inSpool(t, data, func(s *spool.Spool, db *sqlite.DB) {
		for at := 0; at < n; {
			var ms []spool.Message
			var ls []*letter
			for ; at < n && len(ms) < 500; at++ {
				to := dlp.Address{Local: fmt.Sprint("sam", at), Domain: fmt.Sprintf("d%d.example", at%100)}
				ms = append(ms, spool.Message{Rcpts: []spool.Rcpt{{Addr: to}}})
				ls = append(ls, b.letter(cleanMail))
			}
			putTexts(t, s, db, func(i int) string { return ls[i].text }, ms)
			for i, l := range ls {
				b.answered(l, []string{ms[i].Rcpts[0].Addr.String()}, "dot", "250 queued")
			}
		}
	})
}

// putQueued queues ms, with what they do not say filled in, and returns them.
func putQueued(t *testing.T, s *spool.Spool, db *sqlite.DB, ms ...spool.Message) []spool.Message {
	t.Helper()
	return putTexts(t, s, db, func(int) string { return cleanMail }, ms)
}

// putTexts is putQueued for messages with texts of their own.
func putTexts(t *testing.T, s *spool.Spool, db *sqlite.DB, text func(i int) string, ms []spool.Message) []spool.Message {
	t.Helper()
	var ch store.Change
	for i := range ms {
		m := &ms[i]
		m.ID, m.Doc, m.Created = dlp.NewID(), dlp.NewID(), time.Now()
		m.From = dlp.Address{Local: "ada", Domain: "clinic.example"}
		if m.Kind == "" {
			m.Kind = spool.Release
		}
		e, err := s.Seal(t.Context(), *m, strings.NewReader(text(i)))
		if err != nil {
			t.Fatal(err)
		}
		ch.Out = append(ch.Out, e)
		m.Next, m.Expires = e.Next, e.Expires
	}
	if err := db.Commit(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	return ms
}

// inSpool opens the spool of a data folder that nobody serves.
func inSpool(t *testing.T, data string, do func(*spool.Spool, *sqlite.DB)) {
	t.Helper()
	lock, err := safefile.Lock(filepath.Join(data, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	ring, err := crypt.Open(filepath.Join(data, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), data, sqlite.Options{Lock: lock, KeyID: ring.ID()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do(spool.New(db, db.SpoolContents(), ring, age.NewSealer(ring.Work())), db)
}

// resident reads a size of serve's memory, in bytes.
func (g *gateway) resident(what string) int64 {
	g.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), what+":")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		g.t.Fatal(err)
	}
	return kib << 10
}
