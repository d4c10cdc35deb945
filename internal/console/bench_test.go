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
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

// noLog takes every event.
type noLog struct{}

func (noLog) Append(context.Context, audit.Event) (uint64, error) { return 1, nil }
func (noLog) Note(context.Context, audit.Event) error             { return nil }

type nowhere struct{ *bytes.Reader }

func (nowhere) Close() error { return nil }

// openDatabase makes a database in a folder with keys, for as long as the test.
func openDatabase(t *testing.T) (dir string, ring *crypt.Ring, db *sqlite.DB) {
	t.Helper()
	dir = t.TempDir()
	lock, err := safefile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err = crypt.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	db, err = sqlite.Open(t.Context(), dir, sqlite.Options{Lock: lock, KeyID: ring.ID()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), lock.Unlock()); err != nil {
			t.Error(err)
		}
	})
	return dir, ring, db
}

// fullDesk is a gateway whose vault holds n messages, and how many it says are held.
func fullDesk(t *testing.T, n int) (*gateway.Gateway, func(context.Context) (int, error)) {
	t.Helper()
	dir, ring, db := openDatabase(t)
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
		doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Sender: from, Rcpts: []dlp.Address{to}, Size: 5, Received: begun.Add(90 * 24 * time.Hour / time.Duration(n) * time.Duration(i)),
			Open: func() (io.ReadSeekCloser, error) { return nowhere{bytes.NewReader([]byte("a\r\n\r\n"))}, nil }}
		it, err := v.Seal(t.Context(), doc, vault.Case{Envelope: vault.Envelope{Sender: from, Rcpts: doc.Rcpts, AllRcpts: doc.Rcpts}, Channel: dlp.Mail, Decided: doc.Received,
			Verdict:  dlp.Verdict{Rcpts: []dlp.RcptVerdict{{Rcpt: to, Action: dlp.Hold, Policy: "phi-leaves", Rules: []dlp.RuleID{rule}}}},
			Findings: []dlp.Finding{{Rule: rule, Type: "SSN", Confidence: dlp.High, Path: "1", Start: 0, End: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		if ch.Hold = append(ch.Hold, it); len(ch.Hold) == 200 || i == n-1 {
			if err := db.Commit(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
			ch.Hold = nil
		}
	}
	decided(t, v, db, n/5)
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

// fullLog is an audit log with each hold of g, and as much of its outcome, and what
// passed meanwhile.
func fullLog(t *testing.T, g *gateway.Gateway) *audit.Log {
	t.Helper()
	dir := t.TempDir()
	l, _, err := audit.Open(t.Context(), audit.Options{Dir: filepath.Join(dir, "audit"), Key: filepath.Join(dir, "audit.key"), AnchorPath: filepath.Join(dir, "audit.head")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	var held []gateway.Held
	for next := dlp.ID(""); ; {
		page, after, err := g.FindHeld(t.Context(), vault.Query{State: vault.Held, After: next, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if held = append(held, page...); after == "" {
			break
		}
		next = after
	}
	slices.Reverse(held)
	note := func(e audit.Event) {
		if err := l.Note(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i, h := range held {
		note(audit.Event{Time: h.Received, Kind: audit.Decision, Doc: h.ID, Channel: dlp.Mail, Action: "quarantine", Policy: "phi-leaves", Rules: h.Rules, Findings: 1, Rcpts: 1, Sender: pseudonym, RcptKeys: []string{pseudonym}})
		note(audit.Event{Time: h.Received, Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow", Rcpts: 1, Sender: pseudonym, RcptKeys: []string{pseudonym}})
		if i%1000 == 0 || i == len(held)-1 { // what is noted waits in memory
			if _, err := l.Append(t.Context(), audit.Event{Time: h.Received, Kind: audit.Look, Doc: h.ID, Actor: "user:dana", Reason: "case"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return l
}

// decided releases n documents more.
func decided(t *testing.T, v *vault.Vault, db *sqlite.DB, n int) {
	t.Helper()
	var ch store.Change
	for i := range n {
		doc, body := vaulttest.Document(i % 90)
		it, err := v.Seal(t.Context(), doc, vaulttest.CaseOf(doc, body))
		if err != nil {
			t.Fatal(err)
		}
		tr, err := v.Transition(doc.ID, vault.Held, vault.Released, time.Now(), "user:dana", "")
		if err != nil {
			t.Fatal(err)
		}
		ch.Hold, ch.Decide = append(ch.Hold, it), append(ch.Decide, tr)
		if len(ch.Hold) == 200 || i == n-1 {
			if err := db.Commit(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
			ch = store.Change{}
		}
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
	dir := t.TempDir()
	ring, err := crypt.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := console.New(console.Deps{Desk: g, Reader: reader{}, Users: users, Views: console.OpenViews(dir, ring), Deputy: console.OpenDeputies(t.TempDir(), time.Now), Now: time.Now, Log: slog.New(slog.DiscardHandler), Reasons: []string{"payment"}, Held: held, Legal: g, Trail: fullLog(t, g),
		Rules: func() []console.Rule {
			return []console.Rule{{ID: "us-ssn", Type: "SSN"}, {ID: "icd10", Type: "ICD10"}, {ID: "mrn", Type: "MRN"}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Server: httptest.NewServer(c.Handler())}
	t.Cleanup(s.Close)
	v := s.signedIn(t, "dana")
	page, next, err := g.FindHeld(t.Context(), vault.Query{State: vault.Held})
	if err != nil {
		t.Fatal(err)
	}
	last, deepest, deep := string(page[0].ID), page[len(page)-1].ID, next
	for range min(50, n/1000-1) {
		if page, next, err = g.FindHeld(t.Context(), vault.Query{State: vault.Held, After: deep}); err != nil || next == "" {
			t.Fatal(err)
		}
		deepest, deep = page[len(page)-1].ID, next
	}
	if code, _, _ := v.do(http.MethodPost, "/views", url.Values{"name": {"Mine"}, "query": {"to=partner7.example&confidence=high"}}); code != http.StatusSeeOther {
		t.Fatal(code)
	}
	seven := min(50, (n+692)/700)
	for _, p := range []struct {
		name, path string
		rows       int // at least, 0: none, -1: any
	}{
		{"the first page", "/queue", 50},
		{"a page half way down", "/queue?after=" + string(deep), 50},
		{"a sender's domain", "/queue?from=clinic.example", 50},
		{"a sender's domain of nobody", "/queue?from=nobody.example", 0},
		{"one recipient's domain of 700", "/queue?to=partner7.example", seven},
		{"the same, half way down", "/queue?to=partner7.example&after=" + string(deep), -1},
		{"a kind of data", "/queue?type=MRN", 50},
		{"a rule", "/queue?rule=icd10", 50},
		{"a confidence", "/queue?confidence=high", 50},
		{"a confidence of nothing", "/queue?confidence=low", 0},
		{"a channel", "/queue?channel=mail", 50},
		{"a channel of nothing", "/queue?channel=file", 0},
		{"an age", "/queue?days=30", 50},
		{"an age and a domain", "/queue?days=7&to=partner7.example", -1},
		{"released ones", "/queue?state=released", 50},
		{"rejected ones, and there are none", "/queue?state=rejected", 0},
		{"whatever its state", "/queue?state=all", 50},
		{"whatever its state, a domain", "/queue?state=all&to=partner7.example", seven},
		{"a saved view", "/queue?confidence=high&to=partner7.example", seven},
		{"two rules that share nothing", "/queue?rule=mrn&type=SSN", 0},
		{"words", "/queue?q=mrn+partner8.example", max(1, min(50, n/2100))},
		{"words that much has", "/queue?q=mail+clinic+ssn", 50},
		{"a word that nothing has", "/queue?q=nothing", 0},
		{"what is urgent", "/queue?q=urgent", 0},
		{"what is urgent, from the rail", "/queue?of=urgent", 0},
		{"what its senders ask for", "/queue?of=asked", 0},
		{"what needs a second yes", "/queue?of=second", 0},
		{"what was not read", "/queue?of=gaps", 0},
		{"an id", "/queue?q=" + last, 1},
		{"an item", "/items/" + last, 0},
		{"an item half way down", "/items/" + string(deepest), 0},
	} {
		path, query, _ := strings.Cut(p.path, "?")
		if path == "/queue" && query != "" {
			if path = v.search(query); strings.Contains(query, "after=") {
				path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + query[strings.Index(query, "after="):]
			}
		}
		var took []time.Duration
		for range 25 {
			start := time.Now()
			code, body, _ := v.do(http.MethodGet, path, nil)
			took = append(took, time.Since(start))
			if rows := bytes.Count([]byte(body), []byte(`<td class="pick">`)); code != http.StatusOK || rows < p.rows || p.rows == 0 && rows > 0 {
				t.Fatalf("%s: %d, %d rows, want %d", p.name, code, rows, p.rows)
			}
		}
		slices.Sort(took)
		t.Logf("%d held, %-34s median %6.1f ms, slowest of %d %6.1f ms", n, p.name, ms(took[len(took)/2]), len(took), ms(took[len(took)-1]))
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
