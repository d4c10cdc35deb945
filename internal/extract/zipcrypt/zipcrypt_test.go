package zipcrypt_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/zipcrypt"
)

const (
	text     = "Patient Ada Example, SSN 536-22-8145\n"
	password = "Kuerbis-7!"
)

// member has a program write a zip with one stored member, and returns what the
// directory says of it and its encrypted content.
func member(t *testing.T, program string, args ...string) (*zip.File, []byte) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	z, err := zip.OpenReader(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r, err := z.File[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return z.File[0], b
}

// TestPrograms decrypts what 7z and Info-ZIP write.
func TestPrograms(t *testing.T) {
	for _, c := range []struct {
		name     string
		program  string
		args     []string
		strength int
	}{
		{"7z ZipCrypto", "7z", []string{"a", "-mx=0", "-p" + password, "-mem=ZipCrypto", "x.zip", "a.txt"}, 0},
		{"Info-ZIP", "zip", []string{"-q", "-0", "-P", password, "x.zip", "a.txt"}, 0},
		{"7z AES-128", "7z", []string{"a", "-mx=0", "-p" + password, "-mem=AES128", "x.zip", "a.txt"}, 1},
		{"7z AES-192", "7z", []string{"a", "-mx=0", "-p" + password, "-mem=AES192", "x.zip", "a.txt"}, 2},
		{"7z AES-256", "7z", []string{"a", "-mx=0", "-p" + password, "-mem=AES256", "x.zip", "a.txt"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, b := member(t, c.program, c.args...)
			open := func(pw string) (io.Reader, error) {
				if c.strength > 0 {
					return zipcrypt.AES(b, []byte(pw), c.strength)
				}
				return zipcrypt.Traditional(b, []byte(pw), byte(f.CRC32>>24), byte(f.ModifiedTime>>8))
			}
			r, err := open(password)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("got %q %v", got, err)
			}
			for _, pw := range []string{"", "k", "Kuerbis-7", "Kuerbis-7!!"} {
				r, err := open(pw)
				if err == nil {
					got, _ := io.ReadAll(r)
					if c.strength > 0 || crc32.ChecksumIEEE(got) == crc32.ChecksumIEEE([]byte(text)) {
						t.Errorf("opened by %q", pw)
					}
				} else if !errors.Is(err, zipcrypt.ErrPassword) {
					t.Errorf("%q: %v, want ErrPassword", pw, err)
				}
			}
			b[len(b)/2] ^= 1
			if r, err := open(password); err == nil {
				if got, _ := io.ReadAll(r); string(got) == text {
					t.Error("damage is not told")
				}
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(bytes.Repeat([]byte("a"), 40), []byte("pw"))
	f.Fuzz(func(t *testing.T, b, pw []byte) {
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		if r, err := zipcrypt.Traditional(b, pw, all...); err == nil {
			if got, err := io.ReadAll(r); err != nil || len(got) != len(b)-12 {
				t.Errorf("%d of %d bytes, %v", len(got), len(b), err)
			}
		}
		if _, err := zipcrypt.AES(b, pw, 1); err == nil {
			t.Error("noise opens")
		}
	})
}
