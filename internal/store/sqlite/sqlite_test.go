package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/spool/spooltest"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
	"github.com/stanch-dlp/stanch/watch"
	"github.com/stanch-dlp/stanch/watch/watchtest"
)

// install is one data folder and what stands on it.
type install struct {
	dir   string
	lock  *safefile.Locked
	ring  *crypt.Ring
	db    *sqlite.DB
	vault *vault.Vault
	keys  *age.Periods
	spool *spool.Spool
}

func open(t testing.TB, dir string, o sqlite.Options) *install {
	t.Helper()
	in, err := start(dir, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { in.close(t) })
	return in
}

func start(dir string, o sqlite.Options) (*install, error) {
	in := &install{dir: dir}
	err := safefile.MkdirAll(dir)
	if err == nil {
		in.lock, err = safefile.Lock(filepath.Join(dir, "lock"))
	}
	if err != nil {
		return nil, err
	}
	if in.ring, err = crypt.Open(filepath.Join(dir, "keys")); err == nil {
		o.Lock, o.KeyID = in.lock, in.ring.ID()
		in.db, err = sqlite.Open(context.Background(), dir, o)
	}
	if err != nil {
		return nil, errors.Join(err, in.lock.Unlock())
	}
	used, err := in.db.PeriodsUsed(context.Background())
	if err == nil {
		in.keys, err = age.OpenPeriods(age.PeriodsConfig{Path: filepath.Join(dir, "keys", "vault.keys"), Server: in.ring.Release()}, used)
	}
	if err != nil {
		return nil, errors.Join(err, in.db.Close(), in.lock.Unlock())
	}
	in.vault = vault.New(in.db, in.db.VaultContents(), in.ring, in.keys)
	in.spool = spool.New(in.db, in.db.SpoolContents(), in.ring, age.NewSealer(in.ring.Work()))
	return in, nil
}

func (in *install) close(t testing.TB) {
	t.Helper()
	if err := in.db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := in.lock.Unlock(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Errorf("unlock: %v", err)
	}
}

func (in *install) reopen(t testing.TB) *install {
	t.Helper()
	in.close(t)
	return open(t, in.dir, sqlite.Options{})
}

func TestVault(t *testing.T) {
	var of func(in *install) vaulttest.Backend
	of = func(in *install) vaulttest.Backend {
		return vaulttest.Backend{
			Store: in.db, Contents: in.db.VaultContents(), Keys: in.ring, Sealer: in.keys,
			Commit: func(ctx context.Context, hold []vault.Item, cases []vault.Record, decide []vault.Transition) error {
				return in.db.Commit(ctx, store.Change{Hold: hold, Cases: cases, Decide: decide})
			},
			Reopen: func(t *testing.T) vaulttest.Backend { return of(in.reopen(t)) },
		}
	}
	vaulttest.Run(t, func(t *testing.T) vaulttest.Backend { return of(open(t, t.TempDir(), sqlite.Options{})) })
}

func TestSpool(t *testing.T) {
	var of func(in *install) spooltest.Backend
	of = func(in *install) spooltest.Backend {
		return spooltest.Backend{
			Store: in.db, Contents: in.db.SpoolContents(), Keys: in.ring, Sealer: age.NewSealer(in.ring.Work()),
			Commit: func(ctx context.Context, out []spool.Entry, progress []spool.Update) error {
				return in.db.Commit(ctx, store.Change{Out: out, Progress: progress})
			},
			Reopen: func(t *testing.T) spooltest.Backend { return of(in.reopen(t)) },
		}
	}
	spooltest.Run(t, func(t *testing.T) spooltest.Backend { return of(open(t, t.TempDir(), sqlite.Options{})) })
}

func TestWatch(t *testing.T) {
	watchtest.Run(t, func(t *testing.T) (watch.Store, func() watch.Store) {
		in := open(t, t.TempDir(), sqlite.Options{})
		return in.db, func() watch.Store {
			in = in.reopen(t)
			return in.db
		}
	})
}

func TestRepeats(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	now := time.Now().UTC().Truncate(time.Microsecond)
	a := store.Repeat{Key: [32]byte{1}, ID: dlp.NewID(), At: now.Add(-time.Hour)}
	b := store.Repeat{Key: [32]byte{2}, ID: dlp.NewID(), At: now}
	commit(t, in, store.Change{Repeats: []store.Repeat{b, a}})
	in = in.reopen(t)
	check := func(name string, since time.Time, want ...store.Repeat) {
		t.Helper()
		got, err := in.db.Unacknowledged(t.Context(), since)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: got %v, %v; want %v", name, got, err, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: got %v, want %v", name, got[i], want[i])
			}
		}
	}
	check("all", now.Add(-2*time.Hour), a, b)
	check("late ones", now, b)
	commit(t, in, store.Change{Acknowledge: []dlp.ID{a.ID, dlp.NewID()}})
	check("one acknowledged", now.Add(-2*time.Hour), b)
}

func TestNotices(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := [32]byte{7}
	if _, ok, err := in.db.LastNotice(t.Context(), key); ok || err != nil {
		t.Errorf("before: got %v, %v; want none", ok, err)
	}
	for _, at := range []time.Time{now, now.Add(-time.Hour)} { // the later one stays
		commit(t, in, store.Change{Notices: []store.NoticeMark{{Key: key, At: at}}})
	}
	got, ok, err := in.db.LastNotice(t.Context(), key)
	if !got.Equal(now) || !ok || err != nil {
		t.Errorf("got %v, %v, %v; want %v", got, ok, err, now)
	}
	for _, at := range []time.Time{now.Add(24 * time.Hour), now} { // that was a clock which was ahead
		commit(t, in, store.Change{Notices: []store.NoticeMark{{Key: key, At: at}}})
	}
	if got, _, err := in.db.LastNotice(t.Context(), key); !got.Equal(now) || err != nil {
		t.Errorf("after a clock that was ahead: got %v, %v; want %v", got, err, now)
	}
}

func TestCounts(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	m := spooltest.Message(0)
	e, err := in.spool.Seal(t.Context(), m, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Hold: []vault.Item{item(t, in, 1), item(t, in, 2)}, Out: []spool.Entry{e}})
	check := func(name string, wantQueued, wantHeld int) {
		t.Helper()
		queued, held, err := in.db.Counts(t.Context())
		if queued != wantQueued || held != wantHeld || err != nil {
			t.Errorf("%s: got %d, %d, %v; want %d, %d", name, queued, held, err, wantQueued, wantHeld)
		}
	}
	check("all waiting", 1, 2)
	m.State = spool.Dropped
	u, err := in.spool.Progress(m)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Progress: []spool.Update{u}})
	check("ended ones do not count", 0, 2)
}

func commit(t testing.TB, in *install, ch store.Change) {
	t.Helper()
	if err := in.db.Commit(t.Context(), ch); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// TestWhatHasHadItsTimeIsForgotten moves the clock past every bound and looks
// for what is left.
func TestWhatHasHadItsTimeIsForgotten(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	in := open(t, dir, sqlite.Options{Now: func() time.Time { return now }})
	m := spooltest.Message(0)
	e, err := in.spool.Seal(t.Context(), m, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Out: []spool.Entry{e}, Repeats: []store.Repeat{{ID: m.ID, At: now}}, Notices: []store.NoticeMark{{At: now}}})
	m.State = spool.Dropped
	u, err := in.spool.Progress(m)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Progress: []spool.Update{u}})
	in.close(t)

	later := now.Add(spool.KeptFor + time.Hour)
	in = open(t, dir, sqlite.Options{Now: func() time.Time { return later }})
	commit(t, in, store.Change{}) // forgetting follows a commit
	in.close(t)                   // and is done when the store has ended
	in = open(t, dir, sqlite.Options{})
	if _, err := in.spool.Get(t.Context(), m.ID); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("the ended message: got %v, want ErrNotFound", err)
	}
	if got, err := in.db.Unacknowledged(t.Context(), time.Time{}); err != nil || len(got) != 0 {
		t.Errorf("repeats: got %v, %v; want none", got, err)
	}
	if _, ok, err := in.db.LastNotice(t.Context(), [32]byte{}); ok || err != nil {
		t.Errorf("notice: got %v, %v; want none", ok, err)
	}
}

// TestDeletedContentIsWrittenOver: of a content that was delivered, neither the
// database nor its log has a page any more, though nothing else happens.
func TestDeletedContentIsWrittenOver(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{Scrub: 20 * time.Millisecond})
	m := spooltest.Message(0)
	e, err := in.spool.Seal(t.Context(), m, strings.NewReader(strings.Repeat("content ", 500)))
	if err != nil || len(e.Inline) < 1000 {
		t.Fatalf("%d bytes, %v", len(e.Inline), err)
	}
	there := func() (found []string) {
		for _, name := range []string{"stanch.db", "stanch.db-wal"} {
			b, err := os.ReadFile(filepath.Join(in.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, e.Inline[200:264]) {
				found = append(found, name)
			}
		}
		return found
	}
	commit(t, in, store.Change{Out: []spool.Entry{e}})
	if len(there()) == 0 {
		t.Fatal("it is not where it is looked for")
	}
	m.State = spool.Delivered
	u, err := in.spool.Progress(m)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Progress: []spool.Update{u}})
	for range 6000 {
		if len(there()) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("it is still in %v", there())
}

// nothing is an empty content.
type nothing struct{}

// Read ends at once.
func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

// TestCalls: they begin with a hold, and end with the decision.
func TestCalls(t *testing.T) {
	dir := t.TempDir()
	in := open(t, dir, sqlite.Options{})
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	id, other := dlp.NewID(), dlp.NewID()
	first := []store.Call{{ID: id, Since: now, Due: now.Add(time.Minute)}, {ID: other, Since: now, Due: now}}
	commit(t, in, store.Change{Hold: []vault.Item{{ID: id, Channel: dlp.Mail, Sealed: []byte("s"), Inline: []byte("c")}}, Call: first})
	got, err := in.db.Calls(t.Context(), store.Call{}, 10)
	if err != nil || len(got) != 2 || got[0] != first[1] || got[1] != first[0] {
		t.Errorf("got %+v, %v; want both, the one that is due first before", got, err)
	}
	if got, err := in.db.Calls(t.Context(), store.Call{}, 1); err != nil || len(got) != 1 || got[0] != first[1] {
		t.Errorf("the first page: %+v, %v", got, err)
	}
	if got, err := in.db.Calls(t.Context(), first[1], 10); err != nil || len(got) != 1 || got[0] != first[0] {
		t.Errorf("the page behind the first: %+v, %v", got, err)
	}
	if got, err := in.db.CallsOf(t.Context(), []dlp.ID{id, dlp.NewID()}); err != nil || len(got) != 1 || got[0] != first[0] {
		t.Errorf("of one document: %+v, %v", got, err)
	}
	next := store.Call{ID: id, Since: now, Level: 1, Due: now.Add(time.Hour)}
	commit(t, in, store.Change{Recall: []store.Call{next}})
	in.close(t)
	in = open(t, dir, sqlite.Options{})
	if got, err := in.db.Calls(t.Context(), store.Call{}, 10); err != nil || len(got) != 2 || got[1] != next {
		t.Errorf("after a restart: got %+v, %v; want %+v", got, err, next)
	}
	commit(t, in, store.Change{Decide: []vault.Transition{{ID: id, From: vault.Held, To: vault.Released, At: now}}})
	if got, err := in.db.Calls(t.Context(), store.Call{}, 10); err != nil || len(got) != 1 || got[0].ID != other {
		t.Errorf("after the decision: got %+v, %v; want the other", got, err)
	}
	err = in.db.Commit(t.Context(), store.Change{Recall: []store.Call{next}, Notices: []store.NoticeMark{{Key: [32]byte{1}, At: now}}})
	if !errors.Is(err, store.ErrState) {
		t.Errorf("a call after the decision: got %v, want ErrState", err)
	}
	if _, ok, err := in.db.LastNotice(t.Context(), [32]byte{1}); ok || err != nil {
		t.Errorf("what came with it: got %v, %v; want it undone", ok, err)
	}
}
