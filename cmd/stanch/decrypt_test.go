package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/crypt/files"
)

// TestPlaceWithoutRename: on a file system whose rename cannot spare what is there,
// such as NFS, a decrypted file gets its name all the same, and never another's.
func TestPlaceWithoutRename(t *testing.T) {
	dir := t.TempDir()
	temp, name := filepath.Join(dir, "temp"), filepath.Join(dir, "name")
	nfs := func(string, string) error { return unix.EINVAL }
	for _, want := range []bool{true, false} { // then it is there already
		if err := os.WriteFile(temp, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := placeNamed(temp, name, nfs); (err == nil) != want {
			t.Errorf("got %v", err)
		}
		_, err := os.Lstat(temp)
		if b, rerr := os.ReadFile(name); rerr != nil || string(b) != "new" || os.IsNotExist(err) != want {
			t.Errorf("name %q, %v; temp %v", b, rerr, err)
		}
		if err := os.WriteFile(name, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNamedFilesLeftBehind: where a file that is decrypted has a name, those that a
// killed process left are removed, and neither one that is being written nor what is
// none of ours.
func TestNamedFilesLeftBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left, other, link := filepath.Join(dir, ".stanch-decrypt-1"), filepath.Join(dir, "stanch-decrypt-1"), filepath.Join(dir, ".stanch-decrypt-2")
	for _, name := range []string{left, other} {
		if err := os.WriteFile(name, []byte("in the clear"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	first, err := newNamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := newNamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for name, want := range map[string]bool{left: false, other: true, link: true, first.temp: true, second.temp: true} {
		if _, err := os.Lstat(name); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", filepath.Base(name), err, want)
		}
	}
}

// TestDecryptRemovesNoOther: what came in the encrypted file's place while it was
// decrypted stays, and so does its note.
func TestDecryptRemovesNoOther(t *testing.T) {
	dir := t.TempDir()
	path, name := filepath.Join(dir, "a.age"), filepath.Join(dir, "a")
	note, other := name+".stanch.txt", filepath.Join(dir, "other")
	for file, text := range map[string]string{path: "old", other: "new", note: files.NoteLine} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	was, err := decryptFile(path, name, func(dst io.Writer, src io.Reader) error {
		_, err := io.Copy(dst, src)
		return errors.Join(err, os.Rename(other, path))
	})
	if err != nil {
		t.Fatal(err)
	}
	if removeSealed(path, name, was) == nil {
		t.Error("it is not told")
	}
	for file, want := range map[string]string{path: "new", name: "old", note: files.NoteLine} {
		if b, err := os.ReadFile(file); err != nil || string(b) != want {
			t.Errorf("%s has %q, %v; want %q", filepath.Base(file), b, err, want)
		}
	}
}

// TestNamelessOnly: a file gets a name only where the file system has none without.
func TestNamelessOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := newNameless(filepath.Join(dir, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	f, err := newNameless(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if es, err := os.ReadDir(dir); err != nil || f.temp == "" && len(es) != 0 {
		t.Errorf("%v, %v", es, err)
	}
}

// TestDecryptedModeIsWhole: the bits beside the rights come back too.
func TestDecryptedModeIsWhole(t *testing.T) {
	const want = 0o754 | os.ModeSetuid | os.ModeSetgid | os.ModeSticky
	dir := t.TempDir()
	path, name := filepath.Join(dir, "a.age"), filepath.Join(dir, "a")
	if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chmod(path, want)); err != nil {
		t.Fatal(err)
	}
	if _, err := decryptFile(path, name, func(dst io.Writer, src io.Reader) error {
		_, err := io.Copy(dst, src)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode() != want {
		t.Errorf("got %v, %v, want %v", fi.Mode(), err, want)
	}
}

// TestDecryptedForNoOtherGroup: whoever decrypts and may not give the file its group
// does not give it to a group of theirs.
func TestDecryptedForNoOtherGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as somebody else")
	}
	const nobody, oncology = 65534, 54321
	for _, tc := range []struct {
		name  string
		group int
		want  os.FileMode
	}{{"a group of theirs", os.Getegid(), 0o664}, {"a group that is not", oncology, 0o604}} { // without setuid and setgid
		dir := t.TempDir()
		src, err := os.Create(filepath.Join(dir, "name.age"))
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		dst, err := os.Create(filepath.Join(dir, "name"))
		if err != nil {
			t.Fatal(err)
		}
		defer dst.Close()
		for _, err := range []error{src.Chown(1, tc.group), src.Chmod(0o664 | os.ModeSetuid | os.ModeSetgid), dst.Chown(nobody, os.Getegid())} {
			if err != nil {
				t.Fatal(err)
			}
		}
		info, err := src.Stat()
		if err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		_, err = unix.SetfsuidRetUid(nobody) // of this thread, and with it the rights of root over files
		if err == nil {
			err = (&nameless{File: dst}).takeAfter(src, info)
			_, _ = unix.SetfsuidRetUid(0) // back to what it was
		}
		runtime.UnlockOSThread()
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if fi, err := dst.Stat(); err != nil || fi.Mode() != tc.want {
			t.Errorf("%s: mode %v, %v; want %v", tc.name, fi.Mode(), err, tc.want)
		}
	}
}
