package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// TestSnapshotNamesWhatIsThere takes snapshots while others commit and end
// messages: each names no file that is not in its place, and is sound; and once
// it is released nothing stays that no row names.
func TestSnapshotNamesWhatIsThere(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	large := bytes.Repeat([]byte("x"), vault.InlineMax+1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var ended atomic.Int64
	kept := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			m := spool.Message{ID: dlp.NewID(), Doc: dlp.NewID(), Kind: spool.Copy, State: spool.Queued, Created: time.Now(), Next: time.Now().Add(time.Hour), Expires: time.Now().Add(time.Hour)}
			e, err := in.spool.Seal(t.Context(), m, bytes.NewReader(large))
			if err == nil {
				err = in.db.Commit(t.Context(), store.Change{Out: []spool.Entry{e}})
			}
			if err != nil {
				t.Error(err)
				return
			}
			if kept++; kept%4 == 0 {
				continue // stays in the outbox
			}
			m.State = spool.Delivered
			up, err := in.spool.Progress(m)
			if err == nil {
				err = in.db.Commit(t.Context(), store.Change{Progress: []spool.Update{up}})
			}
			if err != nil {
				t.Error(err)
				return
			}
			ended.Add(1)
		}
	})
	for range 5 {
		dir := t.TempDir()
		release, err := in.db.Snapshot(t.Context(), filepath.Join(dir, "stanch.db"))
		if err != nil {
			t.Fatal(err)
		}
		// What the snapshot names is looked for late, as a backup that copies comes
		// to it late.
		for n := ended.Load(); ended.Load() < n+3 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		copyThere(t, filepath.Join(in.dir, "spool"), filepath.Join(dir, "spool"))
		release()
		if _, missing, err := sqlite.Restore(t.Context(), dir, time.Now()); err != nil || missing != 0 {
			t.Errorf("%d files are missing, %v", missing, err)
		}
	}
	cancel()
	wg.Wait()
	in = in.reopen(t)
	if n := in.db.Swept(); n != 0 {
		t.Errorf("%d files were left over", n)
	}
}

// TestSnapshotThatFailsKeepsNothing: files go again when their rows end.
func TestSnapshotThatFailsKeepsNothing(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	if _, err := in.db.Snapshot(t.Context(), filepath.Join(t.TempDir(), "none", "stanch.db")); err == nil {
		t.Fatal("a snapshot in a folder that is not there")
	}
	put := func(size int) spool.Message {
		t.Helper()
		m := spool.Message{ID: dlp.NewID(), Doc: dlp.NewID(), Kind: spool.Copy, State: spool.Queued, Created: time.Now(), Next: time.Now(), Expires: time.Now().Add(time.Hour)}
		e, err := in.spool.Seal(t.Context(), m, bytes.NewReader(make([]byte, size)))
		if err == nil {
			err = in.db.Commit(t.Context(), store.Change{Out: []spool.Entry{e}})
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	files := func() int {
		names, err := filepath.Glob(filepath.Join(in.dir, "spool", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	m := put(vault.InlineMax + 1)
	if n := files(); n != 1 {
		t.Fatalf("%d files, want 1", n)
	}
	m.State = spool.Delivered
	up, err := in.spool.Progress(m)
	if err == nil {
		err = in.db.Commit(t.Context(), store.Change{Progress: []spool.Update{up}})
	}
	put(1) // behind what cleans up after the commit before
	if n := files(); err != nil || n != 0 {
		t.Errorf("%d files stay, %v", n, err)
	}
}

// copyThere copies what is there when its turn comes: files that nobody names
// may go meanwhile.
func copyThere(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		rel, err2 := filepath.Rel(from, path)
		dst := filepath.Join(to, rel)
		return errors.Join(err, err2, os.MkdirAll(filepath.Dir(dst), 0o700), os.WriteFile(dst, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRestoredOutboxStands: nothing of a restored outbox is due, and a person's
// word lets it go.
func TestRestoredOutboxStands(t *testing.T) {
	in := open(t, t.TempDir(), sqlite.Options{})
	m := spool.Message{ID: dlp.NewID(), Doc: dlp.NewID(), Kind: spool.Copy, State: spool.Queued, Created: time.Now(), Next: time.Now(), Expires: time.Now().Add(time.Hour)}
	unread := m
	unread.ID, unread.Kind, unread.State = dlp.NewID(), spool.Reading, spool.ToRead
	for _, m := range []spool.Message{m, unread} {
		e, err := in.spool.Seal(t.Context(), m, bytes.NewReader([]byte("text")))
		if err == nil {
			err = in.db.Commit(t.Context(), store.Change{Out: []spool.Entry{e}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	in.close(t)
	paused, missing, err := sqlite.Restore(t.Context(), in.dir, time.Now())
	if err != nil || paused != 2 || missing != 0 {
		t.Fatalf("Restore: %d, %d, %v; want 2 set aside", paused, missing, err)
	}
	in = open(t, in.dir, sqlite.Options{})
	for _, id := range []dlp.ID{m.ID, unread.ID} {
		got, err := in.spool.Find(t.Context(), id)
		if err != nil || got.State != spool.Poison || got.Why != spool.WhyRestored {
			t.Errorf("%s: %s, %s, %v; want it set aside", id, got.State, got.Why, err)
		}
		r, err := in.spool.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != "text" {
			t.Errorf("content: %q, %v", b, err)
		}
	}
	if is, err := in.db.Restored(t.Context()); err != nil || !is {
		t.Errorf("Restored: %v, %v", is, err)
	}
	if err := in.db.NotedRestored(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is, err := in.db.Restored(t.Context()); err != nil || is {
		t.Errorf("Restored, once noted: %v, %v", is, err)
	}
}

// TestRestoreByARelativeName: a folder below the one in which the command runs.
func TestRestoreByARelativeName(t *testing.T) {
	above := t.TempDir()
	in := open(t, filepath.Join(above, "run", "data"), sqlite.Options{})
	in.close(t)
	t.Chdir(above)
	for _, dir := range []string{filepath.Join("run", "data"), "./run/data"} {
		if _, err := sqlite.Check(t.Context(), dir); err != nil {
			t.Errorf("Check(%s): %v", dir, err)
		}
		if _, _, err := sqlite.Restore(t.Context(), dir, time.Now()); err != nil {
			t.Errorf("Restore(%s): %v", dir, err)
		}
	}
}
