package rulefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/rulefile"
)

func save(t *testing.T, s *rulefile.Store, base, text string) int {
	t.Helper()
	n, err := s.Save(rulefile.Digest(base), rulefile.Version{By: "user:dana", At: time.Unix(1, 0).UTC(), Note: "n", Text: text}, func(int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func current(t *testing.T, s *rulefile.Store, wantText string, wantN int) {
	t.Helper()
	text, n, err := s.Current()
	if err != nil || text != wantText || n != wantN {
		t.Fatalf("current: %q, version %d, %v; want %q, %d", text, n, err, wantText, wantN)
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := rulefile.Open(dir)
	current(t, s, "", 0)
	if n := save(t, s, "", "one"); n != 1 {
		t.Errorf("the first is %d", n)
	}
	save(t, s, "one", "two")
	current(t, s, "two", 2)
	// Who began from an older text overwrites nothing.
	if _, err := s.Save(rulefile.Digest("one"), rulefile.Version{Text: "three"}, func(int) error { return nil }); !errors.Is(err, rulefile.ErrChanged) {
		t.Errorf("a save over another's: %v, want ErrChanged", err)
	}
	// What may not be recorded is not written.
	full := errors.New("full")
	if _, err := s.Save(rulefile.Digest("two"), rulefile.Version{Text: "three"}, func(n int) error { return full }); !errors.Is(err, full) {
		t.Errorf("a save without a record: %v", err)
	}
	current(t, s, "two", 2)
	if vs, err := s.List(0, 10); err != nil || len(vs) != 2 || vs[0].N != 2 || vs[1].Text != "one" || vs[1].By != "user:dana" {
		t.Errorf("list: %+v, %v", vs, err)
	}
	if vs, err := s.List(2, 10); err != nil || len(vs) != 1 || vs[0].N != 1 {
		t.Errorf("list before 2: %+v, %v", vs, err)
	}
	if _, err := s.Version(9); !errors.Is(err, rulefile.ErrNoVersion) {
		t.Errorf("version 9: %v", err)
	}
	// A text by hand becomes a version of its own.
	if err := os.WriteFile(s.Path(), []byte("by hand"), 0o600); err != nil {
		t.Fatal(err)
	}
	current(t, s, "by hand", 0)
	if n := save(t, s, "by hand", "four"); n != 4 {
		t.Errorf("after one by hand: %d, want 4", n)
	}
	if v, err := s.Version(3); err != nil || v.Text != "by hand" || v.By != "" {
		t.Errorf("version 3: %+v, %v", v, err)
	}
	// One in another encoding can be read as well.
	if err := os.WriteFile(s.Path(), []byte("m\xfcde"), 0o600); err != nil {
		t.Fatal(err)
	}
	save(t, s, "m\xfcde", "four")
	if v, err := s.Version(5); err != nil || v.Text != "m\ufffdde" {
		t.Errorf("version 5: %+v, %v", v, err)
	}
	// Going back is a version, and the newest of two that say the same is in force.
	save(t, s, "four", "one")
	current(t, s, "one", 7)
	if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
}

// TestBetween: a process that ends between a version and the file leaves the file
// as it was, and the next save goes on behind that version.
func TestBetween(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := rulefile.Open(dir)
	save(t, s, "", "one")
	save(t, s, "one", "two")
	if err := os.WriteFile(s.Path(), []byte("one"), 0o600); err != nil { // as before the rename
		t.Fatal(err)
	}
	current(t, s, "one", 1)
	if n := save(t, s, "one", "three"); n != 3 {
		t.Errorf("after a crash: %d, want 3", n)
	}
	// One that is damaged is told, and hides no other.
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.Path()), "versions", "000002.json"), []byte(`{"n":2,"text":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Version(2); err == nil || errors.Is(err, rulefile.ErrNoVersion) {
		t.Errorf("a damaged version: %v", err)
	}
	if vs, err := s.List(0, 10); err != nil || len(vs) != 2 {
		t.Errorf("list beside a damaged one: %+v, %v", vs, err)
	}
	current(t, s, "three", 3)
}
