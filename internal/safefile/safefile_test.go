package safefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteFileReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, want := range []string{"first", "second, longer", ""} {
		if err := safefile.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatalf("WriteFile: %v", err)
		}
		if got := read(t, path); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v; want 0600", info.Mode(), err)
	}
	if got := entries(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("files: got %v, want one", got)
	}
}

func TestFileEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*safefile.File) error
		want []string
		err  error
	}{
		{"commit", (*safefile.File).Commit, []string{"a"}, nil},
		{"abort", (*safefile.File).Abort, nil, nil},
		{"abort after commit keeps it", func(f *safefile.File) error { return errors.Join(f.Commit(), f.Abort()) }, []string{"a"}, nil},
		{"commit twice", func(f *safefile.File) error { return errors.Join(f.Commit(), f.Commit()) }, []string{"a"}, fs.ErrClosed},
		{"commit after abort", func(f *safefile.File) error { return errors.Join(f.Abort(), f.Commit()) }, nil, fs.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := safefile.Create(filepath.Join(dir, "a"), 0o600)
			if err != nil {
				t.Fatalf("Create: %v", err)
			}
			if got := entries(t, dir); len(got) != 1 || !safefile.IsTemp(got[0]) {
				t.Errorf("while written: got %v, want one temporary file", got)
			}
			if _, err := f.Write([]byte("x")); err != nil {
				t.Fatalf("Write: %v", err)
			}
			if err := c.end(f); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if got := entries(t, dir); strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("files: got %v, want %v", got, c.want)
			}
		})
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := safefile.MkdirAll(deep); err != nil {
			t.Fatalf("MkdirAll: %v", err)
		}
	}
	info, err := os.Stat(deep)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v; want 0700", info, err)
	}
	if err := safefile.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := safefile.MkdirAll(filepath.Join(dir, "file")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("over a file: got %v, want ENOTDIR", err)
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := safefile.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := safefile.Remove(path); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want it gone", err)
	}
}

func TestLockIsHeldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := safefile.Lock(path)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	if _, err := safefile.Lock(path); !errors.Is(err, safefile.ErrLocked) {
		t.Errorf("second: got %v, want ErrLocked", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatalf("Unlock: %v", err)
	}
	l, err = safefile.Lock(path)
	if err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsNameNoPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Marigold-Testcase")
	_, errCreate := safefile.Create(filepath.Join(dir, "chart.pdf"), 0o600)
	_, errLock := safefile.Lock(filepath.Join(dir, "lock"))
	for name, err := range map[string]error{
		"create": errCreate, "lock": errLock, "sync": safefile.SyncDir(dir),
		"write": safefile.WriteFile(filepath.Join(dir, "chart.pdf"), nil, 0o600),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", name, err)
		}
		if strings.Contains(err.Error(), "Marigold") {
			t.Errorf("%s: the error names the path: %v", name, err)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want error // nil: not the medium's fault
	}{
		{"disk full", &fs.PathError{Op: "write", Path: "p", Err: syscall.ENOSPC}, safefile.ErrNoRoom},
		{"quota", syscall.EDQUOT, safefile.ErrNoRoom},
		{"read-only", &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EROFS}, safefile.ErrReadOnly},
		{"failing", &fs.PathError{Op: "sync", Path: "p", Err: syscall.EIO}, safefile.ErrFailing},
		{"not there", fs.ErrNotExist, nil},
		{"not allowed", syscall.EACCES, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := safefile.Classify("step", c.err)
			if errors.Is(got, safefile.ErrNoRoom) != (c.want != nil) {
				t.Errorf("got %v, want no room %v", got, c.want != nil)
			}
			for _, is := range []error{safefile.ErrReadOnly, safefile.ErrFailing} {
				if errors.Is(got, is) != (c.want == is) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
			if c.want != nil && !strings.Contains(got.Error(), c.want.Error()) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
	if got := safefile.Classify("step", nil); got != nil {
		t.Errorf("nil: got %v", got)
	}
}
