package crypt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt"
)

func ring(t *testing.T, dir string) *crypt.Ring {
	t.Helper()
	r, err := crypt.Open(dir)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return r
}

func TestOpenMakesKeysOnceAndKeepsThem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "keys")
	first := ring(t, dir)
	second := ring(t, dir)
	if first.ID() != second.ID() || first.Work().String() != second.Work().String() || first.Release().String() != second.Release().String() {
		t.Error("the second Open has other keys")
	}
	if first.Work().String() == first.Release().String() {
		t.Error("work and release key are one")
	}
	for _, name := range []string{"index.key", "work.agekey", "release.agekey", "../keys.id"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want mode 0600", name, info, err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: got %v, %v; want mode 0700", info, err)
	}
}

func TestOpenGoesOnWithACutShortFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first := ring(t, dir)
	for _, gone := range []string{"../keys.id", "release.agekey"} { // what comes last
		if err := os.Remove(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	if second := ring(t, dir); first.ID() != second.ID() {
		t.Error("the index key was made again")
	}
}

func TestOpenNeverReplacesKeys(t *testing.T) {
	write := func(name, text string, mode os.FileMode) func(string) error {
		return func(dir string) error {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), []byte(text), mode)
		}
	}
	other := filepath.Join(t.TempDir(), "keys")
	ring(t, other)
	foreign := func(name string) func(string) error {
		b, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		return write(name, string(b), 0o600)
	}
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   error
	}{
		{"the folder is gone", os.RemoveAll, crypt.ErrKeyMissing},
		{"the index key is gone", func(d string) error { return os.Remove(filepath.Join(d, "index.key")) }, crypt.ErrKeyMissing},
		{"the work key is gone", func(d string) error { return os.Remove(filepath.Join(d, "work.agekey")) }, crypt.ErrKeyMissing},
		{"the release key is gone", func(d string) error { return os.Remove(filepath.Join(d, "release.agekey")) }, crypt.ErrKeyMissing},
		{"another index key", foreign("index.key"), crypt.ErrWrongKey},
		{"another work key", foreign("work.agekey"), crypt.ErrWrongKey},
		{"another release key", foreign("release.agekey"), crypt.ErrWrongKey},
		{"an empty file", write("index.key", "", 0o600), crypt.ErrBadKey},
		{"a short key", write("index.key", "00ff\n", 0o600), crypt.ErrBadKey},
		{"not an identity", write("work.agekey", "AGE-SECRET-KEY-1QQQ\n", 0o600), crypt.ErrBadKey},
		{"too large", write("work.agekey", strings.Repeat("#", 10_000), 0o600), crypt.ErrBadKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			ring(t, dir)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := crypt.Open(dir); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if _, err := crypt.Open(dir); !errors.Is(err, c.want) {
				t.Errorf("again: got %v, want %v", err, c.want)
			}
		})
	}
}

func TestOpenRefusesKeysThatOthersRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	ring(t, dir)
	if err := os.Chmod(filepath.Join(dir, "index.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := crypt.Open(dir); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("got %v, want an error that names the mode", err)
	}
}

func TestFields(t *testing.T) {
	r := ring(t, filepath.Join(t.TempDir(), "keys"))
	plain := []byte("Marigold Testcase <marigold@clinic.example>")
	sealed, err := r.Seal("place", plain)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	got, err := r.Open("place", sealed)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %q, %v; want %q", got, err, plain)
	}
	if bytes.Contains(sealed, []byte("Marigold")) {
		t.Error("the sealed field shows its text")
	}
	again, err := r.Seal("place", plain)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice: equal, or %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := r.Open("place", bad); !errors.Is(err, crypt.ErrTampered) {
			t.Errorf("byte %d changed: got %v, want ErrTampered", i, err)
		}
		if _, err := r.Open("place", sealed[:i]); !errors.Is(err, crypt.ErrTampered) {
			t.Errorf("cut to %d: got %v, want ErrTampered", i, err)
		}
	}
	if _, err := r.Open("elsewhere", sealed); !errors.Is(err, crypt.ErrTampered) {
		t.Errorf("moved: got %v, want ErrTampered", err)
	}
	other := ring(t, filepath.Join(t.TempDir(), "keys"))
	if _, err := other.Open("place", sealed); !errors.Is(err, crypt.ErrTampered) {
		t.Errorf("another ring: got %v, want ErrTampered", err)
	}
}

func TestKeyedDigests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	r := ring(t, dir)
	p := r.Pseudonym("sender", "a@clinic.example")
	if len(p) != 32 || p != ring(t, dir).Pseudonym("sender", "a@clinic.example") {
		t.Errorf("pseudonym %q: want 32 digits, the same after a restart", p)
	}
	sums := map[string]string{
		"two parts":          mac(r, "k", "ab", "c"),
		"cut elsewhere":      mac(r, "k", "a", "bc"),
		"one part":           mac(r, "k", "abc"),
		"an empty part more": mac(r, "k", "abc", ""),
		"another kind":       mac(r, "ka", "bc"),
		"another ring":       mac(ring(t, filepath.Join(t.TempDir(), "keys")), "k", "ab", "c"),
		"pseudonym":          r.Pseudonym("k", "abc"),
		"its other kind":     r.Pseudonym("j", "abc"),
	}
	seen := make(map[string]string)
	for name, s := range sums {
		if other, ok := seen[s[:32]]; ok {
			t.Errorf("%s and %s are equal", name, other)
		}
		seen[s[:32]] = name
	}
}

func mac(r *crypt.Ring, kind string, parts ...string) string {
	var bs [][]byte
	for _, p := range parts {
		bs = append(bs, []byte(p))
	}
	return fmt.Sprintf("%x", r.MAC(kind, bs...))
}

func FuzzOpenField(f *testing.F) {
	r, err := crypt.Open(filepath.Join(f.TempDir(), "keys"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(make([]byte, 41))
	f.Add(append([]byte{1}, make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := r.Open("ad", b); err == nil {
			t.Errorf("foreign bytes opened to %d bytes", len(got))
		}
		sealed, err := r.Seal("ad", b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Open("ad", sealed); err != nil || !bytes.Equal(got, b) {
			t.Errorf("what was sealed: got %q, %v; want %q", got, err, b)
		}
	})
}

// TestForgottenReleaseKey: once taken away it is gone from the disk, and nothing
// makes another; what a crash behind the point of no return left is taken away.
func TestForgottenReleaseKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	r := ring(t, dir)
	secret, path := r.Release().String(), filepath.Join(dir, "release.agekey")
	kept, err := os.Open(path) // the same file, by whatever name
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if err := r.ForgetRelease(dir); err != nil {
		t.Fatal(err)
	}
	old := make([]byte, 4096)
	if n, err := kept.Read(old); err != nil || bytes.Contains(old[:n], []byte(secret)) {
		t.Errorf("the deleted file still holds the key, or %v", err)
	}
	for range 2 {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the key's file: %v, want it gone", err)
		}
		again := ring(t, dir)
		if again.Release() != nil || again.ID() != r.ID() || again.Work().String() != r.Work().String() {
			t.Error("want the same keys without a release key")
		}
		if err := again.ForgetRelease(dir); err != nil {
			t.Errorf("forgetting what is gone: %v", err)
		}
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil { // as a crash leaves it
			t.Fatal(err)
		}
		ring(t, dir)
	}
}
