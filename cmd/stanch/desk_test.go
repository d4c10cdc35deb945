package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/smalldisk"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/watch"
)

// letGo is a log that does f at the first line.
type letGo struct {
	bytes.Buffer

	f func()
}

func (l *letGo) Write(b []byte) (int, error) {
	if l.f != nil {
		l.f()
		l.f = nil
	}
	return l.Buffer.Write(b)
}

// TestOpenAfterKill: the lock of a process that was killed is held for a while,
// and its socket takes callers that nobody answers.
func TestOpenAfterKill(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	old, err := safefile.Lock(lockPath(cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	sock, err := control.Listen(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	waits := &letGo{f: func() {
		if err := old.Unlock(); err != nil {
			t.Error(err)
		}
	}}
	n, err := openServing(t.Context(), &cfg, safelog.New(waits, slog.LevelInfo), metrics.New())
	if err != nil {
		t.Fatalf("after the lock was let go: %v", err)
	}
	if said := waits.String(); strings.Count(said, "another process has the data folder: waiting") != 1 {
		t.Errorf("said %q", said)
	}
	// Who does not let go keeps it.
	ctx, cancel := context.WithCancel(t.Context())
	stays := &letGo{f: cancel}
	_, err = openServing(ctx, &cfg, safelog.New(stays, slog.LevelInfo), metrics.New())
	if err == nil || !strings.Contains(err.Error(), "in use by another stanch process that does not answer") {
		t.Errorf("while it is held: got %v", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// TestShort: the alarm disk is raised by too little room and by a file system
// that does not answer, or takes no writes.
func TestShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		dir   string
		least dlp.Size
		want  bool
	}{
		{"room enough", dir, 0, false},
		{"too little", dir, 1 << 62, true},
		{"gone", filepath.Join(dir, "gone"), 0, true},
	} {
		if got := short(c.dir, c.least); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	t.Run("read-only", func(t *testing.T) {
		ro := t.TempDir()
		smalldisk.Mount(t, ro, syscall.MS_RDONLY, "size=16m")
		if !short(ro, 0) {
			t.Error("got false, want true")
		}
	})
}

// TestADiskThatBecomesReadOnly: an ext4 whose kernel has met with an error takes
// no more writes, and statfs does not tell. What the database then says, and the
// alarm, is that it is read-only.
func TestADiskThatBecomesReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image := filepath.Join(t.TempDir(), "image")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("no ext4 of its own to break: %s: %v %s", args[0], err, out)
		}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cfg := config.Default()
	cfg.DataDir = filepath.Join(dir, "data")
	n, err := openNode(t.Context(), &cfg, slog.New(slog.DiscardHandler), metrics.New())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close() // what cannot be written any more is not what is looked at here
	keep := func() error {
		return n.db.PutClaim(t.Context(), watch.Claim{ID: dlp.NewID(), Sealed: []byte("sealed")})
	}
	if room, ok := free(cfg.DataDir); keep() != nil || !ok || room == 0 || room > 64<<20 || short(cfg.DataDir, 0) {
		t.Fatalf("whole: %d bytes free, %v", room, ok)
	}
	if out, err := exec.Command("mount", "-o", "remount,abort", dir).CombinedOutput(); err != nil {
		t.Skipf("it cannot be broken here: %v %s", err, out)
	}
	if err := keep(); !errors.Is(err, safefile.ErrReadOnly) || errors.Is(err, safefile.ErrFailing) || !errors.Is(err, store.ErrNoRoom) {
		t.Errorf("got %v, want %v", err, safefile.ErrReadOnly)
	}
	if room, ok := free(cfg.DataDir); ok || room != 0 || !short(cfg.DataDir, 0) {
		t.Errorf("%d bytes free, %v; want none, and the alarm", room, ok)
	}
	told := doctor.DataDir(cfg.DataDir).Run(t.Context())
	if !slices.ContainsFunc(told, func(f doctor.Finding) bool {
		return f.Level == doctor.Fail && strings.Contains(f.Found, "became read-only")
	}) {
		t.Errorf("doctor tells %+v; want that it became read-only", told)
	}
}
