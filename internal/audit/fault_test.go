package audit_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/smalldisk"
)

// faults decides which calls on the log's files fail.
type faults struct {
	mu   sync.Mutex
	fail map[string]error // "NAME OP" → error, until taken away
	seen map[string]int
}

func (f *faults) set(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		f.fail = map[string]error{}
	}
	if f.fail[what] = err; err == nil {
		delete(f.fail, what)
	}
}

func (f *faults) check(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[string]int{}
	}
	f.seen[what]++
	return f.fail[what]
}

func (f *faults) open(path string) (audit.File, error) {
	if err := f.check(filepath.Base(path) + " open"); err != nil {
		return nil, err
	}
	inner, err := audit.OpenOS(path)
	if err != nil {
		return nil, err
	}
	return faultyFile{inner, f, filepath.Base(path)}, nil
}

// faultyFile fails as it is told. A write that fails has written half.
type faultyFile struct {
	audit.File
	f    *faults
	name string
}

func (f faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.f.check(f.name + " write"); err != nil {
		n, werr := f.File.WriteAt(p[:len(p)/2], off)
		return n, errors.Join(err, werr)
	}
	return f.File.WriteAt(p, off)
}

func (f faultyFile) Datasync() error {
	if err := f.f.check(f.name + " sync"); err != nil {
		return err
	}
	return f.File.Datasync()
}

func (f faultyFile) Truncate(size int64) error {
	if err := f.f.check(f.name + " truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f faultyFile) Allocate(off, n int64) error {
	if err := f.f.check(f.name + " allocate"); err != nil {
		return err
	}
	return f.File.Allocate(off, n)
}

func openFaulty(t *testing.T, opt audit.Options) (*audit.Log, *faults) {
	t.Helper()
	f := &faults{}
	l, _, err := audit.OpenWith(t.Context(), opt, f.open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // a test that cares closes it itself
	return l, f
}

// TestAGroupThatFailedWasNeverWritten: whatever step fails, Append says so, no
// trace of the event stays, what was noted waits, and the log goes on when the
// fault is over.
func TestAGroupThatFailedWasNeverWritten(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  []string
		err    error
		wantIs error
	}{
		{"write", []string{"log write"}, syscall.EIO, syscall.EIO},
		{"write on a full disk", []string{"log write"}, syscall.ENOSPC, audit.ErrFull},
		{"hashes on a full disk", []string{"hashes write"}, syscall.ENOSPC, audit.ErrFull},
		{"sync", []string{"log sync"}, syscall.EIO, syscall.EIO},
		{"sync of a full quota", []string{"log sync"}, syscall.EDQUOT, audit.ErrFull},
		{"write, then cutting back", []string{"log write", "log truncate"}, syscall.EIO, syscall.EIO},
		{"write, then opening again", []string{"log write", "log open"}, syscall.EIO, syscall.EIO},
		{"hashes, then opening them again", []string{"hashes write", "hashes open"}, syscall.EIO, syscall.EIO},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := place(t)
			l, f := openFaulty(t, opt)
			appendEvent(t, l, audit.Event{Kind: audit.Start})
			for _, what := range tc.fault {
				f.set(what, tc.err)
			}
			if err := l.Note(t.Context(), audit.Event{Kind: audit.ScanOff}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := l.Append(t.Context(), audit.Event{Kind: audit.Export}); !errors.Is(err, tc.wantIs) {
					t.Errorf("Append = %v, want %v", err, tc.wantIs)
				}
				if err := l.Ready(); err == nil {
					t.Error("Ready while the log cannot be written")
				}
			}
			for _, what := range tc.fault {
				f.set(what, nil)
			}
			if seq := appendEvent(t, l, audit.Event{Kind: audit.Stop}); seq != 3 {
				t.Errorf("seq = %d, want 3", seq)
			}
			if err := l.Ready(); err != nil {
				t.Errorf("Ready = %v", err)
			}
			verify(t, opt)
			closeLog(t, l)
			verify(t, opt)
			var got []string
			for _, m := range lines(t, opt)[1:] {
				got = append(got, m["kind"].(string))
			}
			if strings.Join(got, " ") != "start scan_off stop" {
				t.Errorf("kinds = %q, want start, the noted scan_off, stop", got)
			}
		})
	}
}

// TestHeadNotWritten: the lines are what counts; a head that could not be
// written is written with the next group.
func TestHeadNotWritten(t *testing.T) {
	opt := place(t)
	l, f := openFaulty(t, opt)
	f.set("audit.head write", syscall.EIO)
	appendEvent(t, l, audit.Event{Kind: audit.Start})
	f.set("audit.head write", nil)
	appendEvent(t, l, audit.Event{Kind: audit.Stop})
	closeLog(t, l)
	if r := verify(t, opt); r.Anchored != 2 {
		t.Errorf("%+v, want 2 under the head", r)
	}
}

func TestOpenFails(t *testing.T) {
	for _, what := range []string{"log open", "hashes open", "audit.head open", "audit.head write", "audit.head sync", "log write", "log sync"} {
		t.Run(what, func(t *testing.T) {
			opt := place(t)
			f := &faults{}
			f.set(what, syscall.EIO)
			if _, _, err := audit.OpenWith(t.Context(), opt, f.open); !errors.Is(err, syscall.EIO) {
				t.Fatalf("Open = %v, want EIO", err)
			}
			f.set(what, nil)
			l, _, err := audit.OpenWith(t.Context(), opt, f.open)
			if err != nil {
				t.Fatalf("Open once the fault is over: %v", err)
			}
			appendEvent(t, l, audit.Event{Kind: audit.Start})
			closeLog(t, l)
			verify(t, opt)
		})
	}
}

// TestNoAllocation: a file system that cannot keep room is used without.
func TestNoAllocation(t *testing.T) {
	opt := place(t)
	f := &faults{}
	f.set("log allocate", syscall.EOPNOTSUPP)
	l, _, err := audit.OpenWith(t.Context(), opt, f.open)
	if err != nil {
		t.Fatal(err)
	}
	appendEvent(t, l, audit.Event{Kind: audit.Start})
	closeLog(t, l)
	verify(t, opt)
}

// smallDisk is a file system of 4 MiB.
func smallDisk(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	smalldisk.Mount(t, root, 0, "size=4m")
	return root
}

// TestReserveOutlastsAFullDisk on a real one: the room kept ahead takes events
// when nothing else fits, then ErrFull, and all is well once there is room.
func TestReserveOutlastsAFullDisk(t *testing.T) {
	root := smallDisk(t)
	opt := under(root)
	opt.Reserve = 256 << 10
	l, _ := open(t, opt)
	appendEvent(t, l, decision())
	filler := filepath.Join(root, "filler")
	fillDisk(t, filler)
	kept := uint64(0)
	var err error
	for range 5000 {
		if _, err = l.Append(t.Context(), decision()); err != nil {
			break
		}
		kept++
	}
	if !errors.Is(err, audit.ErrFull) {
		t.Fatalf("Append on a full disk = %v, want ErrFull", err)
	}
	if kept < 1000 { // 256 KiB hold 1,500 such lines
		t.Errorf("the reserve took %d events, want at least 1000", kept)
	}
	if err := l.Ready(); !errors.Is(err, audit.ErrFull) {
		t.Errorf("Ready = %v, want ErrFull", err)
	}
	verify(t, opt)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if seq := appendEvent(t, l, decision()); seq != kept+2 {
		t.Errorf("seq = %d, want %d", seq, kept+2)
	}
	closeLog(t, l)
	if r := verify(t, opt); r.Events != kept+2 {
		t.Errorf("%d events, want %d", r.Events, kept+2)
	}
}

// TestReserveOutlastsARestart: what was kept ahead is there for the next process,
// though the disk is full: it can record its start, and what follows.
func TestReserveOutlastsARestart(t *testing.T) {
	root := smallDisk(t)
	opt := under(root)
	opt.Reserve = 256 << 10
	l, _ := open(t, opt)
	filler := filepath.Join(root, "filler")
	fillDisk(t, filler)
	for range 100 { // several blocks, so that the room behind ends later
		appendEvent(t, l, decision())
	}
	if err := l.Close(); !errors.Is(err, audit.ErrFull) { // its head takes another file
		t.Fatalf("Close on a full disk = %v, want ErrFull", err)
	}
	l, _ = open(t, opt)
	for range 100 {
		appendEvent(t, l, decision())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if r := verify(t, opt); r.Events != 200 {
		t.Errorf("%d events, want 200", r.Events)
	}
}

func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
