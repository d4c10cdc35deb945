package extract_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// TestPasswordsFile holds that what the site's list opens is read by a child, that
// a changed list is in force for the next document, and that a file which others
// can read is refused.
func TestPasswordsFile(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "passwords")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a.txt", "SSN 536-22-8145", 0o600)
	cmd := exec.CommandContext(t.Context(), "7z", "a", "-mhe=on", "-pStation 4", "x.7z", "a.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x.7z"))
	if err != nil {
		t.Fatal(err)
	}

	p := newPool(t, nil)
	if got := get(t, p, dlp.File, b); len(got.gaps) != 1 || got.gaps[0].Cause != dlp.Encrypted {
		t.Errorf("without a list: %q", got.told())
	}
	write("passwords", "other\r\n\nStation 4\r\n", 0o600)
	if err := p.LoadPasswords(path); err != nil {
		t.Fatal(err)
	}
	got := get(t, p, dlp.File, b)
	if !strings.Contains(got.all(), "536-22-8145") || len(got.gaps) > 0 || !got.parts[""].Opened {
		t.Errorf("with a list: %q, gaps %q, opened %v", got.all(), got.told(), got.parts[""].Opened)
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want error
		at   string
	}{
		"others may read": {"Station 4", 0o640, extract.ErrPasswordsMode, ""},
		"too long":        {"Station 4\n\n" + strings.Repeat("x", 300), 0o600, extract.ErrPasswords, ":3"},
		"not UTF-8":       {"\xff\xfe", 0o600, extract.ErrPasswords, ":1"},
		"too many":        {strings.Repeat("pw\n", 1001), 0o600, extract.ErrPasswords, ":1001"},
	} {
		write("passwords", c.text, c.mode)
		want := path + c.at + ": " + c.want.Error()
		if err := p.LoadPasswords(path); !errors.Is(err, c.want) || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if err := p.LoadPasswords(dir); !errors.Is(err, extract.ErrPasswordsKind) || err.Error() != dir+": want a regular file" {
		t.Errorf("a folder: %v", err)
	}
	if err := p.LoadPasswords(path + "x"); !errors.Is(err, os.ErrNotExist) || err.Error() != path+"x: no such file or directory" {
		t.Errorf("no file: %v", err)
	}
	if got := get(t, p, dlp.File, b); len(got.gaps) > 0 {
		t.Errorf("after a list that was refused: %q", got.told())
	}
	write("passwords", "", 0o600)
	if err := p.LoadPasswords(path); err != nil {
		t.Fatal(err)
	}
	if got := get(t, p, dlp.File, b); len(got.gaps) != 1 {
		t.Errorf("with an empty list: %q", got.told())
	}
}
