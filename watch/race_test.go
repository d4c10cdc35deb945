package watch_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

// once runs f at the first call only.
func once(f func()) func() { return sync.OnceFunc(f) }

func TestFileThatChangesIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		stub   bool
		change func(b *bench, when string)
		want   []string // files left
		held   []string // contents in the vault
	}{
		{name: "written between judging and taking", change: func(b *bench, when string) {
			if when == "taking" {
				b.write("a.txt", "now harmless")
			}
		}, want: []string{"a.txt"}},
		{name: "replaced between judging and taking", change: func(b *bench, when string) {
			if when == "taking" {
				other := filepath.Join(b.t.TempDir(), "new") // in the root it would be taken itself
				if err := errors.Join(os.WriteFile(other, []byte("HOLD other"), 0o644), os.Rename(other, b.path("a.txt"))); err != nil {
					b.t.Error(err)
				}
			}
		}, held: []string{"HOLD other"}},
		{name: "deleted between judging and taking", change: func(b *bench, when string) {
			if when == "taking" {
				if err := os.Remove(b.path("a.txt")); err != nil {
					b.t.Error(err)
				}
			}
		}},
		{name: "same length and time, other bytes", change: func(b *bench, when string) {
			if when == "taking" {
				fi, err := os.Stat(b.path("a.txt"))
				if err != nil {
					b.t.Error(err)
				}
				b.write("a.txt", "HELD")
				if err := os.Chtimes(b.path("a.txt"), fi.ModTime(), fi.ModTime()); err != nil {
					b.t.Error(err)
				}
			}
		}, want: []string{"a.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.write("a.txt", "HOLD")
			first := once(func() { c.change(b, "taking") })
			b.desk.taking = func(*dlp.Document) { first() }
			b.start()
			b.until("the change", func() bool { return b.count(watch.CountChanged) > 0 })
			b.idle()
			b.wantTree(c.want...)
			var held []string
			for _, id := range b.desk.held(t) {
				content, err := os.ReadFile(filepath.Join(b.desk.vault, id))
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, string(content))
			}
			if !slices.Equal(held, c.held) {
				t.Errorf("held %q, want %q", held, c.held)
			}
		})
	}
}

func TestWriterOfATakenFileGetsItBack(t *testing.T) {
	for _, content := range []string{"HOLD first", "SEAL first"} {
		t.Run(content[:4], func(t *testing.T) {
			b := newBench(t)
			b.cfg.AgeRecipients = []string{"age1invented"}
			b.write("a.txt", content)
			first := once(func() {
				// Somebody had it open since before, and writes now.
				var own string
				for _, f := range b.tree() {
					own = f
				}
				f, err := os.OpenFile(b.path(own), os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.WriteString(", and more"); err != nil {
					t.Error(err)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			})
			b.desk.taken = func(dlp.Claim) { first() }
			b.start()
			b.until("putting back", func() bool { return b.count(watch.CountPutBack) > 0 })
			b.until("the whole", func() bool { return slices.Contains(b.desk.judged(), "a.txt: "+content+", and more") })
			b.idle()
			if b.exists("a.txt") {
				t.Error("the file is still there")
			}
		})
	}
}

func TestWriterBetweenCheckAndRemoveGetsItBack(t *testing.T) {
	b := newBench(t)
	b.write("a.txt", "HOLD first")
	first := once(func() {
		f, err := os.OpenFile(b.path(b.tree()[0]), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Error(err)
			return
		}
		_, err = f.WriteString(", and more")
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
		}
	})
	b.desk.steps = func(step string) {
		if step == "vault: commit" {
			first()
		}
	}
	b.start()
	b.until("both contents", func() bool { return len(b.desk.held(t)) == 2 })
	b.idle()
	b.wantJudged("a.txt: HOLD first", "a.txt: HOLD first, and more")
	b.wantTree()
}

func TestPutBackNeverWritesOver(t *testing.T) {
	b := newBench(t)
	b.write("in/a.txt", "HOLD old")
	b.desk.answer = func(doc *dlp.Document, c dlp.Claim, content []byte) (dlp.Outcome, bool) {
		if string(content) != "HOLD old" || doc.Name != "in/a.txt" {
			return dlp.Outcome{Kind: dlp.Reported}, true
		}
		if err := c.Take(t.Context()); err != nil {
			t.Error(err)
		}
		b.write("in/a.txt", "newer")
		b.write("in/a (put back).txt", "and this")
		if err := c.PutBack(t.Context()); err != nil {
			t.Error(err)
		}
		return dlp.Outcome{Kind: dlp.Changed}, true
	}
	b.start().idle()
	b.wantTree("in/a (put back 2).txt", "in/a (put back).txt", "in/a.txt")
	if got := b.read("in/a.txt"); got != "newer" {
		t.Errorf("got %q", got)
	}
	if got := b.read("in/a (put back 2).txt"); got != "HOLD old" {
		t.Errorf("got %q", got)
	}
}

func TestPutBackWhenTheFolderIsGone(t *testing.T) {
	outside := t.TempDir()
	for _, c := range []struct {
		name   string
		change func(b *bench) error
		want   string
	}{
		{"deleted", func(b *bench) error { return os.RemoveAll(b.path("in/deep")) }, "in/deep/a.txt"},
		{"a link to outside in its place", func(b *bench) error {
			return errors.Join(os.RemoveAll(b.path("in/deep")), os.Symlink(outside, b.path("in/deep")))
		}, "in/a.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.write("in/deep/a.txt", "HOLD")
			first := atomic.Bool{}
			b.desk.answer = func(_ *dlp.Document, cl dlp.Claim, _ []byte) (dlp.Outcome, bool) {
				if first.Swap(true) {
					return dlp.Outcome{Kind: dlp.Reported}, true
				}
				if err := errors.Join(cl.Take(t.Context()), c.change(b), cl.PutBack(t.Context())); err != nil {
					t.Error(err)
				}
				return dlp.Outcome{Kind: dlp.Changed}, true
			}
			b.start().until("putting back", func() bool { return b.count(watch.CountPutBack) > 0 })
			if got := b.read(c.want); got != "HOLD" {
				t.Errorf("got %q", got)
			}
			if es, err := os.ReadDir(outside); err != nil || len(es) > 0 {
				t.Errorf("outside the root: %v %v", es, err)
			}
		})
	}
}

func TestFolderSwappedForALink(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/a.txt", []byte("HOLD"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.write("in/a.txt", "HOLD")
	first := once(func() {
		if err := errors.Join(os.Rename(b.path("in"), b.path("aside")), os.Symlink(outside, b.path("in"))); err != nil {
			t.Error(err)
		}
	})
	b.desk.taking = func(*dlp.Document) { first() }
	b.start()
	b.until("the change", func() bool { return b.count(watch.CountChanged) > 0 })
	b.idle()
	if got, err := os.ReadFile(outside + "/a.txt"); err != nil || string(got) != "HOLD" {
		t.Errorf("outside the root: %q %v", got, err)
	}
	if got := len(b.desk.held(t)); got != 1 {
		t.Errorf("held %d, want the one under its new name", got)
	}
}

func TestFileHeldOpenForWriting(t *testing.T) {
	b := newBench(t)
	b.write("a.txt", "HOLD")
	f, err := os.OpenFile(b.path("a.txt"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("no leases here: %v", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK); err != nil {
		t.Fatal(err)
	}
	b.start()
	// Many settles go by: other files come and are judged, this one is not.
	for _, rel := range []string{"b.txt", "c.txt", "d.txt"} {
		b.write(rel, rel)
		b.until(rel, func() bool { return slices.Contains(b.desk.judged(), rel+": "+rel) })
	}
	b.wantJudged("b.txt: b.txt", "c.txt: c.txt", "d.txt: d.txt")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b.until("taking it once closed", func() bool { return len(b.desk.held(t)) == 1 && !b.exists("a.txt") })
}

func TestPastMaxWaitAnOpenFileIsJudgedButNotTaken(t *testing.T) {
	b := newBench(t)
	b.cfg.MaxWait = dlp.Duration(50 * time.Millisecond)
	b.write("a.txt", "HOLD")
	f, err := os.OpenFile(b.path("a.txt"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b.start()
	b.until("judging it twice", func() bool { return len(b.desk.judged()) >= 2 })
	if got := len(b.desk.held(t)); got != 0 {
		t.Errorf("held %d, want 0", got)
	}
	b.stop()
	b.wantTree("a.txt")
}

// deaf is a source of events that tells nothing of the file system.
type deaf struct {
	events chan fsnotify.Event
	errs   chan error
	add    func(string) error
}

func (d *deaf) Add(p string) error            { return d.add(p) }
func (d *deaf) Remove(string) error           { return nil }
func (d *deaf) Events() <-chan fsnotify.Event { return d.events }
func (d *deaf) Errors() <-chan error          { return d.errs }
func (d *deaf) Close() error                  { return nil }

func TestOverflowLeadsToAWalk(t *testing.T) {
	d := &deaf{events: make(chan fsnotify.Event), errs: make(chan error), add: func(string) error { return nil }}
	b := newBench(t)
	b.deps.Notify = func() (watch.Notifier, error) { return d, nil }
	b.start()
	b.write("a/b.txt", "unheard")
	d.errs <- fsnotify.ErrEventOverflow
	b.until("the file", func() bool { return len(b.desk.judged()) == 1 })
	if got := b.count(watch.CountOverflow); got != 1 {
		t.Errorf("overflows %d, want 1", got)
	}
}

func TestMoreEventsThanAreKeptLeadToAWalk(t *testing.T) {
	const more = 70_000 // than are kept
	var started atomic.Bool
	adding, goOn := make(chan struct{}), make(chan struct{})
	d := &deaf{events: make(chan fsnotify.Event), errs: make(chan error), add: func(string) error {
		if started.Swap(false) {
			close(adding)
			<-goOn // the walker is busy
		}
		return nil
	}}
	b := newBench(t)
	b.deps.Notify = func() (watch.Notifier, error) { return d, nil }
	b.start()
	b.write("heard/a.txt", "1")
	b.write("unheard/b.txt", "2")
	started.Store(true)
	d.events <- fsnotify.Event{Name: b.path("heard"), Op: fsnotify.Create}
	<-adding
	for i := range more {
		d.events <- fsnotify.Event{Name: b.path(fmt.Sprintf("none/%d", i)), Op: fsnotify.Write}
	}
	close(goOn)
	b.until("both files", func() bool { return len(b.desk.judged()) == 2 })
}

func TestFolderThatCannotBeWatchedIsPolled(t *testing.T) {
	d := &deaf{events: make(chan fsnotify.Event), errs: make(chan error), add: func(string) error { return unix.ENOSPC }}
	b := newBench(t)
	b.cfg.Rescan = dlp.Duration(time.Second)
	b.deps.Notify = func() (watch.Notifier, error) { return d, nil }
	b.start()
	b.write("a/b.txt", "unheard")
	b.until("the file", func() bool { return len(b.desk.judged()) == 1 })
	if got := b.count(watch.CountUnwatched); got == 0 {
		t.Error("not counted")
	}
	if got := b.w.Status()[0].Unwatched; got == 0 {
		t.Error("not in the status")
	}
}

func TestMaxFolders(t *testing.T) {
	b := newBench(t)
	b.cfg.MaxFolders = 2
	for _, rel := range []string{"a/1.txt", "b/2.txt", "c/3.txt"} {
		b.write(rel, "x")
	}
	b.start().idle()
	if got := b.w.Status()[0]; got.Folders != 2 || got.Unwatched != 2 {
		t.Errorf("watched %d, not %d; want 2 and 2", got.Folders, got.Unwatched)
	}
	if got := len(b.desk.judged()); got != 3 {
		t.Errorf("judged %d, want 3", got)
	}
}

func TestPolled(t *testing.T) {
	b := newBench(t)
	b.cfg.Poll, b.cfg.Rescan = true, dlp.Duration(time.Second)
	b.start()
	b.write("a/b.txt", "HOLD")
	b.until("the file", func() bool { return len(b.desk.held(t)) == 1 })
	if !b.w.Status()[0].Polled {
		t.Error("the status does not say so")
	}
}
