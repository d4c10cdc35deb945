package extract_test

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// between is a sink that knows passwords from before, and keeps what it hears.
type between struct {
	*read
	known []string
	named []string
	times int
}

func (b *between) Passwords() []string { return b.known }

func (b *between) Named(words []string) {
	b.named = words
	b.times++
}

// TestPasswordsNamed holds that a child tells what a mail names as passwords, once
// and after all else, also where another child broke on a part of it or had to read
// its PDF; that it is tried with what was named before; and that nothing is asked of
// a file, or where nothing may be tried.
func TestPasswordsNamed(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("SSN 536-22-8145"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "7z", "a", "-tzip", "-mem=AES256", "-pKolibri-77", "x.zip", "a.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	zip := base64.StdEncoding.EncodeToString(b)
	part := func(name, text string) string {
		return "--o\nContent-Type: application/octet-stream; name=" + name + "\nContent-Transfer-Encoding: base64\n\n" + text + "\n"
	}
	says := func(parts ...string) []byte {
		return mail("Subject: x", "Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: text/plain", "", "The password is: Kolibri-77", strings.Join(parts, "")+"--o--")
	}
	p := newPool(t, nil)
	ask := func(p *extract.Pool, ch dlp.Channel, doc []byte, known ...string) *between {
		t.Helper()
		s := &between{read: newRead(), known: known}
		if err := p.Extract(t.Context(), document(ch, doc), s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, doc := range map[string][]byte{
		"plain":            says(),
		"a child breaks":   says(part("break-by-exit.txt", "YQ==")),
		"with a PDF":       says(part("a.pdf", base64.StdEncoding.EncodeToString([]byte(onePage)))),
		"in another's own": mail("Content-Type: message/rfc822", "", string(says())),
	} {
		if s := ask(p, dlp.Mail, doc); s.times != 1 || len(s.named) == 0 || s.named[0] != "Kolibri-77" {
			t.Errorf("%s: told %d times, %q", name, s.times, s.named)
		}
	}
	if s := ask(p, dlp.Mail, mail("Subject: minutes", "", "The minutes of the meeting.")); s.times != 0 {
		t.Errorf("a mail that names none: told %q", s.named)
	}
	second := mail("Content-Type: application/zip", "Content-Transfer-Encoding: base64", "", zip)
	if s := ask(p, dlp.Mail, second); len(s.gaps) != 1 || s.gaps[0].Cause != dlp.Encrypted {
		t.Errorf("with nothing known: gaps %q", s.told())
	}
	p.SetPasswords([]string{"one", "two", "three"})
	if s := ask(p, dlp.Mail, second, "other", "Kolibri-77"); len(s.gaps) != 0 || !strings.Contains(s.all(), "536-22-8145") {
		t.Errorf("with what is known: gaps %q", s.told())
	}
	if s := ask(p, dlp.File, b, "Kolibri-77"); len(s.gaps) != 1 || s.times != 0 {
		t.Errorf("a file: gaps %q, told %q", s.told(), s.named)
	}
	none := newPool(t, func(c *extract.Config) { c.PasswordTries = 0 })
	if s := ask(none, dlp.Mail, says()); s.times != 0 {
		t.Errorf("where none is tried: told %q", s.named)
	}
	few := newPool(t, func(c *extract.Config) { c.PasswordTries = 4 })
	few.SetPasswords([]string{"one", "Kolibri-77", "three"})
	if s := ask(few, dlp.Mail, second, "a", "b", "c", "d", "e"); len(s.gaps) != 0 {
		t.Errorf("a list beside what is known: gaps %q", s.told())
	}
}

// TestPasswordsLargePDF holds that tries at a PDF keep nothing of it: the last of
// many opens one whose copies together are more than a child may hold.
func TestPasswordsLargePDF(t *testing.T) {
	if _, err := exec.LookPath("qpdf"); err != nil {
		t.Skip("qpdf is not installed")
	}
	const tries, size = 26, 16 << 20
	dir := t.TempDir()
	noise := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // it has no errors
	for name, b := range map[string][]byte{"a.pdf": []byte(onePage), "noise.bin": noise} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"a.pdf", "--add-attachment", "noise.bin", "--", "b.pdf"},
		{"--encrypt", "Station 4", "owner", "128", "--use-aes=y", "--", "b.pdf", "c.pdf"},
	} {
		cmd := exec.CommandContext(t.Context(), "qpdf", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 3 { // 3: with warnings
			t.Fatalf("qpdf: %v %s", err, out)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "c.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(t, func(c *extract.Config) { c.PasswordTries, c.MaxPasswordTries = tries, tries })
	var words []string
	for i := range tries - 1 {
		words = append(words, "Station "+strings.Repeat("x", i+1))
	}
	p.SetPasswords(append(words, "Station 4"))
	got := get(t, p, dlp.File, b)
	if !got.parts[""].Opened || slices.ContainsFunc(got.gaps, func(g dlp.Gap) bool { return g.Path == "" }) {
		t.Errorf("opened %v, gaps %q", got.parts[""].Opened, got.told())
	}
}
