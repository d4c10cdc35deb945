package tally_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/tally"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openLog(t *testing.T) *audit.Log {
	t.Helper()
	dir := t.TempDir()
	l, _, err := audit.Open(t.Context(), audit.Options{Dir: filepath.Join(dir, "audit"), Key: filepath.Join(dir, "keys", "audit.key"),
		AnchorPath: filepath.Join(dir, "state", "audit.head"), Reserve: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// openStore returns a database with one held document, and its id.
func openStore(t *testing.T) (*sqlite.DB, vault.Item) {
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
	t.Cleanup(func() { db.Close(); _ = lock.Unlock() })
	keys, err := age.OpenPeriods(age.PeriodsConfig{Path: filepath.Join(dir, "keys", "vault.keys"), Server: ring.Release()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, body := vaulttest.Document(100)
	it, err := vault.New(db, db.VaultContents(), ring, keys).Seal(t.Context(), doc, vaulttest.CaseOf(doc, body))
	if err != nil {
		t.Fatal(err)
	}
	it.Rules, it.Received = []dlp.RuleID{"us-ssn", "us-mbi"}, noon.Add(-90*time.Minute)
	if err := db.Commit(t.Context(), store.Change{Hold: []vault.Item{it}}); err != nil {
		t.Fatal(err)
	}
	return db, it
}

func record(t *testing.T, l *audit.Log, es ...audit.Event) {
	t.Helper()
	for _, e := range es {
		if e.Time.IsZero() {
			e.Time = noon
		}
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// all is what is counted here of each day.
var all = []string{tally.Passed, tally.Held, tally.Encrypted, tally.Rejected, tally.Released, tally.Refused, tally.Watched, tally.RuleHeld, tally.RuleEncrypted, tally.RuleRejected, tally.RuleWatched,
	tally.PolicyWatched, tally.Unread, tally.Way, tally.SenderHeld, tally.PHI, tally.NotPHI, tally.Waited}

func counted(t *testing.T, y *tally.Tally) map[string]int64 {
	t.Helper()
	cs, err := y.Of(t.Context(), all, tally.Day(noon)-1, tally.Day(noon))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, c := range cs {
		got[fmt.Sprintf("%d %s %s", c.Day-tally.Day(noon), c.What, c.Of)] += c.N
	}
	return got
}

// noDrill counts everything.
func noDrill(dlp.ID) bool { return false }

func newTally(l tally.Log, s tally.Store) *tally.Tally {
	return tally.New(l, s, func() time.Time { return noon }, slog.New(slog.DiscardHandler), noDrill)
}

func TestEachEventCountsOnce(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	db, it := openStore(t)
	const sender = "00112233445566778899aabbccddeeff"
	record(t, l,
		audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow", Time: noon.Add(-24 * time.Hour)},
		audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.File, Action: "allow", Monitored: "quarantine", MonitoredPolicy: "later", MonitoredRules: []dlp.RuleID{"us-dea"}},
		audit.Event{Kind: audit.Decision, Doc: it.ID, Channel: dlp.Mail, Action: "quarantine", Rules: it.Rules, Sender: sender, Causes: []string{"encrypted"}},
		audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "encrypt", Rules: it.Rules[:1], Ways: []string{"smime"}},
		audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "reject", Rules: it.Rules[:1]},
		audit.Event{Kind: audit.Look, Doc: it.ID, Reason: "case"},
	)
	y := newTally(l, db)
	if err := y.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	record(t, l,
		audit.Event{Kind: audit.Review, Doc: it.ID, Actor: "user:luis", Reason: "payment", Result: audit.ResultHeld}, // the first of two
		audit.Event{Kind: audit.Review, Doc: it.ID, Actor: "user:dana", Reason: "not_phi"},
		audit.Event{Kind: audit.Release, Doc: it.ID, Actor: "user:dana"},
		audit.Event{Kind: audit.Review, Doc: it.ID, Actor: "user:dana", Reason: "payment"},
		audit.Event{Kind: audit.Reject, Doc: it.ID, Actor: "user:dana"},
		audit.Event{Kind: audit.Reject, Doc: it.ID, Actor: "sender", Reason: "cancelled"},
		audit.Event{Kind: audit.Review, Doc: it.ID, Reason: "expired"}, // time says nothing of what it was
		audit.Event{Kind: audit.Reject, Doc: it.ID},
		audit.Event{Kind: audit.Release, Doc: dlp.NewID(), Actor: "user:dana"}, // of what the vault does not know
	)
	want := map[string]int64{
		"-1 passed mail": 1, "0 passed file": 1, "0 watched quarantine": 1, "0 rule_watched us-dea": 1, "0 policy_watched later": 1,
		"0 held mail": 1, "0 rule_held us-ssn": 1, "0 rule_held us-mbi": 1, "0 unread encrypted": 1, "0 sender_held " + sender: 1,
		"0 encrypted mail": 1, "0 rule_encrypted us-ssn": 1, "0 way smime": 1, "0 rejected mail": 1, "0 rule_rejected us-ssn": 1,
		"0 not_phi us-ssn": 1, "0 not_phi us-mbi": 1, "0 phi us-ssn": 1, "0 phi us-mbi": 1, "0 released mail": 1, "0 refused mail": 3,
		"0 waited " + tally.WaitBucket(90*time.Minute): 2,
	}
	for _, name := range []string{"read on", "again", "by a new start"} {
		got := counted(t, y)
		for k, n := range want {
			if got[k] != n {
				t.Errorf("%s: %q: got %d, want %d", name, k, got[k], n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: got %v", name, got)
		}
		if name == "again" {
			y = newTally(l, db)
		}
	}
	// A restore puts another log in its place: that one is counted, whole.
	other := openLog(t)
	record(t, other, audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow"})
	if got := counted(t, newTally(other, db)); len(got) != 1 || got["0 passed mail"] != 1 {
		t.Errorf("another log: got %v", got)
	}
}

// broken commits nothing.
type broken struct {
	*sqlite.DB
	err error
}

func (b *broken) AddFigures(ctx context.Context, cs []store.Count, place []byte, anew bool) error {
	if b.err != nil {
		return b.err
	}
	return b.DB.AddFigures(ctx, cs, place, anew)
}

func TestWhatIsNotCommittedCountsLater(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	db, _ := openStore(t)
	record(t, l, audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow"})
	s := &broken{db, errors.New("full")}
	y := newTally(l, s)
	if err := y.CatchUp(t.Context()); !errors.Is(err, s.err) {
		t.Errorf("got %v, want the store's", err)
	}
	s.err = nil
	if got := counted(t, y); got["0 passed mail"] != 1 {
		t.Errorf("got %v", got)
	}
}

func TestWaitBuckets(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Minute, 90 * time.Minute, 26 * time.Hour, 300 * 24 * time.Hour} {
		got := tally.BucketWait(tally.WaitBucket(d))
		if low, high := float64(max(d, time.Minute))*0.9, float64(max(d, time.Minute))*1.1; float64(got) < low || float64(got) > high {
			t.Errorf("%v: its bucket says %v", d, got)
		}
	}
	if got := tally.BucketWait("x"); got != 0 {
		t.Errorf("a bucket that is none: %v", got)
	}
}

// TestDrillsDoNotCount: what is decided about a document of a drill is in no figure.
func TestDrillsDoNotCount(t *testing.T) {
	t.Parallel()
	l := openLog(t)
	db, _ := openStore(t)
	of := dlp.NewID()
	for _, doc := range []dlp.ID{of, dlp.NewID()} {
		record(t, l, audit.Event{Time: noon, Kind: audit.Decision, Doc: doc, Channel: dlp.Mail, Action: "quarantine", Rules: []dlp.RuleID{"us-ssn"}, Sender: strings.Repeat("a1", 16), Department: strings.Repeat("d1", 16),
			Monitored: "quarantine", MonitoredPolicy: "outside", MonitoredRules: []dlp.RuleID{"us-ssn"}})
		record(t, l, audit.Event{Time: noon, Kind: audit.Review, Doc: doc, Actor: "user:dana", Reason: "not_phi"})
	}
	y := tally.New(l, db, func() time.Time { return noon }, slog.New(slog.DiscardHandler), func(id dlp.ID) bool { return id == of })
	for _, what := range []string{tally.Held, tally.RuleHeld, tally.SenderHeld, tally.Watched, tally.RuleWatched, tally.PolicyWatched, tally.WatchedBy, // of the roll-out
		tally.Department, tally.DepartmentHeld, tally.DepartmentSender} {
		got, err := y.By(t.Context(), what, tally.Day(noon), tally.Day(noon))
		if err != nil || len(got) != 1 || got[0].N != 1 || got[0].Doc == of {
			t.Errorf("%s: %+v, %v; want one", what, got, err)
		}
	}
}
