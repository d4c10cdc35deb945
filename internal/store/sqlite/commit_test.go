package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	_ "modernc.org/sqlite" // to make databases that are not stanch's

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/vault/vaulttest"
)

func item(t testing.TB, in *install, n int) vault.Item {
	t.Helper()
	doc, body := vaulttest.Document(n)
	it, err := in.vault.Seal(context.Background(), doc, vaulttest.CaseOf(doc, body))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return it
}

// gate lets a test hold the committer at a step.
type gate struct {
	at      string
	reached chan struct{}
	open    chan struct{}
	closed  atomic.Bool
	syncs   atomic.Int32
}

func newGate(at string) *gate {
	return &gate{at: at, reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) step(s string) {
	if s == "commit: sync" {
		g.syncs.Add(1)
	}
	if s == g.at && g.closed.CompareAndSwap(true, false) {
		close(g.reached)
		<-g.open
	}
}

func TestChangesThatWaitShareOneSyncAndFailAlone(t *testing.T) {
	g := newGate("commit: begin")
	in := open(t, t.TempDir(), sqlite.Options{Steps: g.step})
	gone := item(t, in, 10)
	commit(t, in, store.Change{Hold: []vault.Item{gone}})
	never, err := in.vault.Transition(gone.ID, vault.Released, vault.Expired, time.Now(), "officer", "")
	if err != nil {
		t.Fatal(err)
	}
	bad := item(t, in, 10)
	items := make([]vault.Item, 20)
	for i := range items {
		items[i] = item(t, in, 10)
	}

	var wg sync.WaitGroup
	g.closed.Store(true)
	wg.Go(func() { commit(t, in, store.Change{Hold: items[:1]}) })
	<-g.reached
	g.syncs.Store(0)
	errs := make([]error, len(items))
	var handed sync.WaitGroup
	handed.Add(len(items))
	for i := range items {
		ch := store.Change{Hold: items[i : i+1]}
		if i == 0 { // the one that fails
			ch = store.Change{Hold: []vault.Item{bad}, Decide: []vault.Transition{never}}
		}
		wg.Go(func() {
			handed.Done()
			errs[i] = in.db.Commit(context.Background(), ch)
		})
	}
	handed.Wait()
	close(g.open)
	wg.Wait()

	if !errors.Is(errs[0], store.ErrState) {
		t.Errorf("the failing change: got %v, want ErrState", errs[0])
	}
	if _, err := in.vault.Get(t.Context(), bad.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("its item: got %v, want ErrNotFound", err)
	}
	for i, it := range items {
		if i > 0 && errs[i] != nil {
			t.Errorf("change %d: %v", i, errs[i])
		}
		if _, err := in.vault.Get(t.Context(), it.ID); err != nil {
			t.Errorf("item %d: %v", i, err)
		}
	}
	if n := int(g.syncs.Load()); n >= len(items) {
		t.Errorf("got %d syncs for %d waiting changes, want them grouped", n, len(items))
	}
}

// TestTheLogBeginsAnewUnderLoad writes several times what the log may grow to. Each
// time that it was folded there is a commit since.
func TestTheLogBeginsAnewUnderLoad(t *testing.T) {
	var folds atomic.Int32
	written, done := make(chan struct{}, 1), make(chan struct{})
	in := open(t, t.TempDir(), sqlite.Options{Steps: func(s string) {
		switch s {
		case "commit: answer":
			select {
			case written <- struct{}{}:
			default:
			}
		case "fold: end":
			folds.Add(1)
			for range 2 { // the first may have come before
				select {
				case <-written:
				case <-done:
				}
			}
		}
	}})
	const writers, each, size = 4, 75, 200 << 10 // 60 MB
	items := make([]vault.Item, writers*each)
	for i := range items {
		items[i] = item(t, in, size)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for _, it := range items[w*each:][:each] {
				commit(t, in, store.Change{Hold: []vault.Item{it}})
			}
		})
	}
	wg.Wait()
	close(done)
	info, err := os.Stat(filepath.Join(in.dir, "stanch.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(writers * each * size / 2); info.Size() > most || folds.Load() == 0 {
		t.Errorf("got a log of %d bytes after %d folds, want at most %d", info.Size(), folds.Load(), most)
	}
}

// TestOthersOfAGroupAreWrittenOnce has one change of a group fail after others were
// applied, and looks for what of these came twice or not at all.
func TestOthersOfAGroupAreWrittenOnce(t *testing.T) {
	g := newGate("commit: begin")
	in := open(t, t.TempDir(), sqlite.Options{Steps: g.step})
	first := item(t, in, 10)
	twice, err := in.vault.Transition(first.ID, vault.Released, vault.Expired, time.Now(), "officer", "")
	if err != nil {
		t.Fatal(err)
	}
	count := func() error {
		return in.db.AddFigures(context.Background(), []store.Count{{Day: 20000, What: "x", N: 1}}, []byte("place"), false)
	}
	g.closed.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { commit(t, in, store.Change{Hold: []vault.Item{first}}) })
	<-g.reached
	const others = 6
	for i := range others {
		wg.Go(func() {
			if err := count(); err != nil {
				t.Error(err)
			}
		})
		if i == others/2 {
			wg.Go(func() {
				if err := in.db.Commit(context.Background(), store.Change{Decide: []vault.Transition{twice}}); !errors.Is(err, store.ErrState) {
					t.Errorf("got %v, want ErrState", err)
				}
			})
		}
	}
	close(g.open)
	wg.Wait()
	counts, err := in.db.Figures(t.Context(), []string{"x"}, 20000, 20000)
	if err != nil || len(counts) != 1 || counts[0].N != others {
		t.Errorf("got %v, %v, want one of %d", counts, err, others)
	}
}

func TestACommitThatWasHandedOverEndsWhateverItsContextDoes(t *testing.T) {
	g := newGate("commit: sync")
	in := open(t, t.TempDir(), sqlite.Options{Steps: g.step})
	it := item(t, in, 10)
	g.closed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.db.Commit(ctx, store.Change{Hold: []vault.Item{it}}) }()
	<-g.reached
	cancel()
	close(g.open)
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if _, err := in.vault.Get(t.Context(), it.ID); err != nil {
		t.Errorf("the item: %v", err)
	}
	if err := in.db.Commit(ctx, store.Change{}); !errors.Is(err, context.Canceled) {
		t.Errorf("before it was handed over: got %v, want Canceled", err)
	}
}

// TestAHangingDiskIsAnswered holds the committer for ever, as far as its
// callers can see: whose change is under way hears that nobody knows, whose
// change still waits that it will not be written.
func TestAHangingDiskIsAnswered(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newGate("commit: sync")
		in, err := start(dir, sqlite.Options{Steps: g.step})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		defer in.close(t)
		first, second := item(t, in, 10), item(t, in, 10)
		g.closed.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := in.db.Commit(context.Background(), store.Change{Hold: []vault.Item{first}}); !errors.Is(err, store.ErrUnknown) {
				t.Errorf("under way: got %v, want ErrUnknown", err)
			}
		})
		<-g.reached
		wg.Go(func() {
			if err := in.db.Commit(context.Background(), store.Change{Hold: []vault.Item{second}}); !errors.Is(err, store.ErrNoRoom) {
				t.Errorf("waiting: got %v, want ErrNoRoom", err)
			}
		})
		wg.Wait()
		close(g.open)
		if err := in.db.Commit(context.Background(), store.Change{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if _, err := in.vault.Get(context.Background(), first.ID); err != nil {
			t.Errorf("the one under way: got %v, want it held in the end", err)
		}
		if _, err := in.vault.Get(context.Background(), second.ID); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("the one that waited: got %v, want ErrNotFound", err)
		}
	})
}

func TestCloseEndsWhatWasHandedOver(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	it := item(t, in, 10)
	commit(t, in, store.Change{Hold: []vault.Item{it}})
	if err := in.db.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := in.db.Commit(t.Context(), store.Change{}); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestAStagedContentThatIsGoneIsNotCommitted(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	it := item(t, in, 2*vault.InlineMax)
	if err := in.vault.Discard(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if err := in.db.Commit(t.Context(), store.Change{Hold: []vault.Item{it}}); err == nil {
		t.Error("got nil, want an error")
	}
}

func TestOpenRefuses(t *testing.T) {
	exec := func(dir, query string) error {
		db, err := sql.Open("sqlite", filepath.Join(dir, "stanch.db"))
		if err != nil {
			return err
		}
		_, err = db.Exec(query)
		return errors.Join(err, db.Close())
	}
	for _, c := range []struct {
		name  string
		first bool // stanch made the database
		spoil func(dir string) error
		want  error
	}{
		{"a later version's database", true, func(d string) error { return exec(d, "PRAGMA user_version = 99") }, sqlite.ErrNewer},
		{"another program's database", false, func(d string) error { return exec(d, "CREATE TABLE t (a)") }, sqlite.ErrForeign},
		{"new keys over old data", true, func(d string) error {
			return errors.Join(os.RemoveAll(filepath.Join(d, "keys")), os.Remove(filepath.Join(d, "keys.id")))
		}, sqlite.ErrWrongKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.first {
				open(t, dir, sqlite.Options{}).close(t)
			}
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := start(dir, sqlite.Options{}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{KeyID: "x"}); err == nil {
		t.Error("without the lock: got nil, want an error")
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	in := open(t, dir, sqlite.Options{})
	commit(t, in, store.Change{Hold: []vault.Item{item(t, in, 2*vault.InlineMax), item(t, in, 10)}})
	var files int
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %04o, want %04o", e.Name(), got, want)
		}
		return nil
	})
	if err != nil || files < 8 { // database, log, shared memory, lock, note, three keys, one content
		t.Errorf("got %d files, %v", files, err)
	}
}

func TestCheckMissesAFile(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	it := item(t, in, 2*vault.InlineMax)
	commit(t, in, store.Change{Hold: []vault.Item{it}})
	if err := in.db.Check(t.Context()); err != nil {
		t.Errorf("sound: got %v", err)
	}
	if err := os.Remove(contentPath(in.dir, "vault", it.ID)); err != nil {
		t.Fatal(err)
	}
	if err := in.db.Check(t.Context()); err == nil {
		t.Error("a file is gone: got nil, want an error")
	}
}

func contentPath(dir, area string, id dlp.ID) string {
	return filepath.Join(dir, area, string(id[:2]), string(id)+".age")
}

// wantedGain is how many times more holds a second grouped commits are to give.
const wantedGain = 3.0

// BenchmarkCommit prints how many times more holds a second 16 writers get
// from grouped commits than from one transaction each, both in one run.
func BenchmarkCommit(b *testing.B) {
	const writers, turn = 16, 250
	// Both ways at the same rows and in turns, so that what else the machine does strikes both.
	type way struct {
		in    *install
		items []vault.Item
		took  time.Duration
	}
	var ways []*way
	for _, group := range []int{1, 0} {
		w := &way{in: open(b, b.TempDir(), sqlite.Options{Group: group})}
		for range b.N {
			w.items = append(w.items, item(b, w.in, 10<<10))
		}
		ways = append(ways, w)
	}
	for at := 0; at < b.N; at += turn {
		for _, w := range ways {
			items := w.items[at:min(at+turn, b.N)]
			var next atomic.Int64
			var wg sync.WaitGroup
			from := time.Now()
			for range writers {
				wg.Go(func() {
					for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
						if err := w.in.db.Commit(context.Background(), store.Change{Hold: items[i : i+1]}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			w.took += time.Since(from)
		}
	}
	each, grouped := float64(b.N)/ways[0].took.Seconds(), float64(b.N)/ways[1].took.Seconds()
	if b.N > 1 { // not of the run that only finds out how it goes
		says := "reached"
		if grouped/each < wantedGain {
			says = "MISSED"
		}
		b.Logf("  %-66s %8.3f   wanted at least %g: %s", "held messages/s, commits in groups / one transaction each", grouped/each, wantedGain, says)
	}
	b.ReportMetric(grouped/each, "x-each")
	b.ReportMetric(grouped, "holds/s")
	b.ReportMetric(0, "ns/op")
}
