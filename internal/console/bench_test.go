package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// noLog takes every event.
type noLog struct{}

func (noLog) Append(context.Context, audit.Event) (uint64, error) { return 1, nil }
func (noLog) Note(context.Context, audit.Event) error             { return nil }

type nowhere struct{ *bytes.Reader }

func (nowhere) Close() error { return nil }

// fullDesk is a gateway whose vault holds n messages, and how many it says are held.
func fullDesk(t *testing.T, n int) (*gateway.Gateway, func(context.Context) (int, error)) {
	t.Helper()
	dir := t.TempDir()
	lock, err := safefile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypt.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), dir, sqlite.Options{Lock: lock, KeyID: ring.ID()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), lock.Unlock()); err != nil {
			t.Error(err)
		}
	})
	keys, err := age.OpenPeriods(age.PeriodsConfig{Path: filepath.Join(dir, "keys", "vault.keys"), Server: ring.Release()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(db, db.VaultContents(), ring, keys)
	begun := time.Now().Add(-90 * 24 * time.Hour)
	var ch store.Change
	for i := range n {
		from, to := dlp.Address{Local: fmt.Sprintf("ward%d", i%40), Domain: "clinic.example"}, dlp.Address{Local: "r", Domain: fmt.Sprintf("partner%d.example", i%700)}
		rule := dlp.RuleID([]string{"us-ssn", "icd10", "mrn"}[i%3])
		doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Sender: from, Rcpts: []dlp.Address{to}, Size: 5, Received: begun.Add(time.Duration(i) * 90 * 24 * time.Hour / time.Duration(n)),
			Open: func() (io.ReadSeekCloser, error) { return nowhere{bytes.NewReader([]byte("a\r\n\r\n"))}, nil }}
		it, err := v.Seal(t.Context(), doc, vault.Case{Envelope: vault.Envelope{Sender: from, Rcpts: doc.Rcpts, AllRcpts: doc.Rcpts}, Channel: dlp.Mail, Decided: doc.Received,
			Verdict:  dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Rcpt: to, Action: dlp.Hold, Policy: "phi-leaves", Rules: []dlp.RuleID{rule}}}},
			Findings: []dlp.Finding{{Rule: rule, Type: "SSN", Confidence: dlp.High, Path: "1", Start: 0, End: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		if ch.Hold = append(ch.Hold, it); len(ch.Hold) == 1000 || i == n-1 {
			if err := db.Commit(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
			ch.Hold = nil
		}
	}
	g, err := gateway.New(t.Context(), gateway.Config{ScanEnabled: true}, gateway.Deps{Audit: noLog{}, Store: db, Vault: v, Spool: spool.New(db, db.SpoolContents(), ring, age.NewSealer(ring.Work())),
		Names: ring, Metrics: metrics.New(), Log: safelog.Discard()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g, func(ctx context.Context) (int, error) {
		_, held, err := db.Counts(ctx)
		return held, err
	}
}

// TestQueueFigures measures pages of the queue with 100,000 held messages (make
// bench-console). It holds what the pages show, not how long they take.
func TestQueueFigures(t *testing.T) {
	n := 1200
	if os.Getenv("STANCH_BENCH") != "" {
		n = 100_000
	}
	g, held := fullDesk(t, n)
	users := console.OpenUsers(t.TempDir())
	if err := users.Add("dana", console.Officer, password, false); err != nil {
		t.Fatal(err)
	}
	c, err := console.New(console.Deps{Desk: g, Reader: reader{}, Users: users, Views: console.OpenViews(t.TempDir()), Now: time.Now, Log: slog.New(slog.DiscardHandler), Reasons: []string{"payment"}, Held: held,
		Rules: func() []console.Rule {
			return []console.Rule{{ID: "us-ssn", Type: "SSN"}, {ID: "icd10", Type: "ICD10"}, {ID: "mrn", Type: "MRN"}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Server: httptest.NewServer(c.Handler())}
	t.Cleanup(s.Close)
	v := s.signedIn(t, "dana")
	page, err := g.PageHeld(t.Context(), vault.Filter{Newest: true})
	if err != nil {
		t.Fatal(err)
	}
	deep := vault.Filter{Newest: true, After: page[len(page)-1].ID}
	for range min(50, n/1000-1) {
		hs, err := g.PageHeld(t.Context(), deep)
		if err != nil || len(hs) == 0 {
			t.Fatal(err)
		}
		deep.After = hs[len(hs)-1].ID
	}
	last := string(page[0].ID)
	for _, p := range []struct {
		name, path string
		rows       int
	}{
		{"the first page", "/queue", 50},
		{"a page half way down", "/queue?after=" + string(deep.After), 50},
		{"one recipient's domain of 700", "/queue?to=partner7.example", min(50, 4000/700, (n+692)/700)},
		{"a kind of data", "/queue?type=MRN", 50},
		{"words", "/queue?q=mrn+partner8.example", 0},
		{"nothing matches", "/queue?to=nobody.example", 0},
		{"an item", "/items/" + last, 0},
	} {
		var took []time.Duration
		for range 25 {
			start := time.Now()
			code, body, _ := v.do(http.MethodGet, p.path, nil)
			took = append(took, time.Since(start))
			if rows := bytes.Count([]byte(body), []byte(`<td class="pick">`)); code != http.StatusOK || p.rows > 0 && rows < p.rows {
				t.Fatalf("%s: %d, %d rows, want %d", p.name, code, rows, p.rows)
			}
		}
		slices.Sort(took)
		t.Logf("%d held, %-30s median %6.1f ms, slowest of %d %6.1f ms", n, p.name, ms(took[len(took)/2]), len(took), ms(took[len(took)-1]))
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
