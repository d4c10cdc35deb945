package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/backup"
)

func identity(t testing.TB) *filippo.X25519Identity {
	t.Helper()
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// snapshot stands for the database: a file with one line.
type snapshot struct{ released, failing bool }

var errSnapshot = errors.New("no snapshot")

func (s *snapshot) Snapshot(_ context.Context, path string) (func(), error) {
	if s.failing {
		return nil, errSnapshot
	}
	return func() { s.released = true }, os.WriteFile(path, []byte("database"), 0o600)
}

var files = map[string]string{
	"keys.id": "k", "keys/index.key": "i", "keys/work.agekey": "w", "vault/ab/abc.age": strings.Repeat("v", 200_000), "spool/cd/cde.age": "s",
	"audit/log": "line\n", "audit/hashes": "h", "audit/checkpoint": "c", "state/audit.head": "head", "state/bypass/1": "b", "tables/2026.toml": "t",
	"patients/mrn.idx": "",
}

// others are not kept: they are nobody's, another process's, or the keys that
// no archive may hold.
var others = []string{"keys/vault.keys", "state/outbox.hand", "state/outbox.alive", "cache/pdf", "tmp/message", "control.sock", "lock", "stanch.db-wal",
	"vault/ab/.stanch-tmp-1"}

func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		put(name, text)
	}
	for _, name := range others {
		put(name, "not kept")
	}
	put("stanch.db", "what serve writes")
	return dir
}

func archive(t testing.TB, dir string, to *filippo.X25519Identity) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(t.Context(), &out, backup.Head{Version: "test"}, []filippo.Recipient{to.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	s := &snapshot{}
	if err := backup.Folder(t.Context(), w, dir, s, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !s.released {
		t.Error("the snapshot was not released")
	}
	return out.Bytes()
}

func TestFolderComesBack(t *testing.T) {
	id, dir := identity(t), folder(t)
	b := archive(t, dir, id)
	if bytes.Contains(b, []byte("keys/index.key")) {
		t.Error("a name stands in the archive in clear")
	}
	to := filepath.Join(t.TempDir(), "data")
	lock, err := backup.Begin(to)
	if err != nil {
		t.Fatal(err)
	}
	h, err := backup.Read(iotest.HalfReader(bytes.NewReader(b)), []filippo.Identity{identity(t), id}, func(name string, _ int64, r io.Reader) error {
		return backup.Put(to, name, r)
	})
	if err != nil || h.Version != "test" {
		t.Fatalf("Read: %+v, %v", h, err)
	}
	if err := errors.Join(backup.End(to), lock.Unlock()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"stanch.db": "database", "lock": ""}
	for name, text := range files {
		want[name] = text
	}
	err = filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(to, path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(path)
		text, ok := want[rel]
		if err != nil || !ok || string(got) != text {
			t.Errorf("%s: %d bytes, %v; expected: %v", rel, len(got), err, ok)
		}
		delete(want, rel)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%v; did not come back: %v", err, want)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 1 {
		t.Errorf("the folder's tmp: %v, %v; want what was there", left, err)
	}
}

func TestWhatIsNotWhole(t *testing.T) {
	id := identity(t)
	b := archive(t, folder(t), id)
	read := func(b []byte, with filippo.Identity) error {
		_, err := backup.Read(bytes.NewReader(b), []filippo.Identity{with}, func(_ string, _ int64, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		return err
	}
	if err := read(b, id); err != nil {
		t.Fatal(err)
	}
	for at := 1; at < len(b); at += len(b)/97 + 1 {
		if err := read(b[:len(b)-at], id); err == nil {
			t.Errorf("cut by %d bytes: no error", at)
		}
		bad := bytes.Clone(b)
		bad[at] ^= 1
		if err := read(bad, id); err == nil {
			t.Errorf("byte %d changed: no error", at)
		}
	}
	if err := read(append(bytes.Clone(b), 0), id); err == nil {
		t.Error("something behind it: no error")
	}
	if err := read(b, identity(t)); !errors.Is(err, backup.ErrWrongKey) {
		t.Errorf("a stranger: %v, want %v", err, backup.ErrWrongKey)
	}
	if err := read([]byte("stanch"), id); !errors.Is(err, backup.ErrNotBackup) {
		t.Errorf("no archive: %v, want %v", err, backup.ErrNotBackup)
	}
}

// sealed is an archive with these entries, as somebody else may make one.
func sealed(t testing.TB, to *filippo.X25519Identity, entries ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := filippo.Encrypt(&out, to.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(w)
	for _, h := range entries {
		body := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Linkname, h.Size = "", int64(len(body))
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(tw, body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestForeignArchives(t *testing.T) {
	id := identity(t)
	head := func(text string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: "stanch-backup.json", Linkname: text, Mode: 0o600}
	}
	file := func(name string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: "x", Mode: 0o600}
	}
	sums := func(text string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: "stanch-sums.json", Linkname: text, Mode: 0o600}
	}
	const digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // SHA-256 of "x"
	for name, c := range map[string]struct {
		entries []*tar.Header
		want    error
	}{
		"whole":               {[]*tar.Header{head(`{"v":1}`), file("keys.id"), sums(`[{"name":"keys.id","size":1,"sha256":"` + digest + `"}]`)}, nil},
		"another sum":         {[]*tar.Header{head(`{"v":1}`), file("keys.id"), sums(`[{"name":"keys.id","size":1,"sha256":"` + strings.Repeat("0", 64) + `"}]`)}, backup.ErrNotWhole},
		"a file too few":      {[]*tar.Header{head(`{"v":1}`), sums(`[{"name":"keys.id","size":1,"sha256":"` + digest + `"}]`)}, backup.ErrNotWhole},
		"a file too many":     {[]*tar.Header{head(`{"v":1}`), file("keys.id"), sums(`[]`)}, backup.ErrNotWhole},
		"a later form":        {[]*tar.Header{head(`{"v":2}`)}, backup.ErrNewer},
		"another tar":         {[]*tar.Header{file("keys.id")}, backup.ErrNotBackup},
		"never ended":         {[]*tar.Header{head(`{"v":1}`), file("keys.id")}, backup.ErrNotWhole},
		"a path upwards":      {[]*tar.Header{head(`{"v":1}`), file("keys/../../x")}, backup.ErrNotBackup},
		"an absolute path":    {[]*tar.Header{head(`{"v":1}`), file("/etc/cron.d/x")}, backup.ErrNotBackup},
		"a file of no backup": {[]*tar.Header{head(`{"v":1}`), file("bin/x")}, backup.ErrNotBackup},
		"a symbolic link":     {[]*tar.Header{head(`{"v":1}`), {Typeflag: tar.TypeSymlink, Name: "keys/x", Linkname: "/etc"}}, backup.ErrNotBackup},
	} {
		_, err := backup.Read(bytes.NewReader(sealed(t, id, c.entries...)), []filippo.Identity{id}, func(name string, _ int64, _ io.Reader) error {
			if name != "keys.id" {
				t.Errorf("%s was handed on", name)
			}
			return nil
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestBegin(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stanch.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Begin(dir); err == nil {
		t.Error("a data folder that is in use was taken")
	}
	if _, err := os.Stat(filepath.Join(dir, "stanch.db")); err != nil {
		t.Error("and changed")
	}
	to := filepath.Join(t.TempDir(), "data")
	for range 2 { // the second finds what the first did not end
		lock, err := backup.Begin(to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Begin(to); err == nil {
			t.Error("two restores into one folder at a time")
		}
		if _, err := os.Stat(filepath.Join(to, "keys", "index.key")); err == nil {
			t.Error("what the first left is still there")
		}
		if err := backup.Put(to, "keys/index.key", strings.NewReader("half")); err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBackupThatFails(t *testing.T) {
	id, dir := identity(t), folder(t)
	w, err := backup.NewWriter(t.Context(), io.Discard, backup.Head{}, []filippo.Recipient{id.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	if err := backup.Folder(t.Context(), w, dir, &snapshot{failing: true}, ""); !errors.Is(err, errSnapshot) {
		t.Errorf("no snapshot: %v", err)
	}
	if err := w.Add("keys.id", 3, strings.NewReader("ab")); err == nil {
		t.Error("a file that got shorter: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	if w, err = backup.NewWriter(ctx, io.Discard, backup.Head{}, []filippo.Recipient{id.Recipient()}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := backup.Folder(ctx, w, dir, &snapshot{}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// FuzzRead: whatever is sealed as an archive, nothing is handed on that a data
// folder has no place for, and nothing that was never ended is whole.
func FuzzRead(f *testing.F) {
	id := identity(f)
	f.Add([]byte(""))
	f.Add([]byte("keys.id"))
	f.Add(archive(f, folder(f), id)[:512])
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		w, err := filippo.Encrypt(&out, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{out.Bytes(), b} {
			_, err := backup.Read(bytes.NewReader(in), []filippo.Identity{id}, func(name string, _ int64, _ io.Reader) error {
				if !filepath.IsLocal(name) {
					t.Errorf("%q was handed on", name)
				}
				return nil
			})
			if err == nil && !bytes.Contains(b, []byte("stanch-sums.json")) {
				t.Error("what was never ended is whole")
			}
		}
	})
}

// TestCutInItsFirstBlock: what opens for its key and then ends is a backup that
// is not whole.
func TestCutInItsFirstBlock(t *testing.T) {
	id := identity(t)
	b := archive(t, folder(t), id)
	header := bytes.Index(b, []byte("\n--- ")) + len("\n--- ") + 43 + 1 // base64 of 32 bytes, and LF
	for _, n := range []int{16 + 1, 16 + 100, 60_000} {
		_, err := backup.Read(bytes.NewReader(b[:header+n]), []filippo.Identity{id}, func(string, int64, io.Reader) error { return nil })
		if !errors.Is(err, backup.ErrNotWhole) {
			t.Errorf("%d bytes behind its header: %v, want %v", n, err, backup.ErrNotWhole)
		}
	}
}
