package ar_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/ar"
)

func read(t testing.TB, b []byte) (map[string]string, error) {
	t.Helper()
	got := map[string]string{}
	err := ar.Read(b, func(m ar.Member) bool {
		got[m.Name] = string(m.Data)
		return true
	})
	return got, err
}

// TestPrograms reads what GNU ar and BSD tar write.
func TestPrograms(t *testing.T) {
	const long = "a-name-of-more-than-sixteen-bytes.txt"
	want := map[string]string{"a.txt": "odd", "b.txt": "even", long: "SSN 536-22-8145\n"}
	for _, c := range []struct {
		name    string
		program []string
	}{
		{"gnu", []string{"ar", "rc"}},
		{"bsd", []string{"bsdtar", "--format=arbsd", "-cf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.program[0]); err != nil {
				t.Skipf("%s is not installed", c.program[0])
			}
			dir := t.TempDir()
			args := append([]string(nil), c.program[1:]...)
			args = append(args, "x.ar")
			for n, text := range want {
				if err := os.WriteFile(filepath.Join(dir, n), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, n)
			}
			cmd := exec.CommandContext(t.Context(), c.program[0], args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v %s", args, err, out)
			}
			b, err := os.ReadFile(filepath.Join(dir, "x.ar"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(t, b)
			if err != nil {
				t.Error(err)
			}
			for n, text := range want {
				if got[n] != text {
					t.Errorf("%s: %q, want %q", n, got[n], text)
				}
			}
			if got, err := read(t, b[:len(b)-2]); err == nil {
				t.Errorf("cut, and no error: %q", got)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	head := "a.txt/          0           0     0     644     4         `\n"
	f.Add([]byte(ar.Magic + head + "text"))
	f.Add([]byte(ar.ThinMagic + head))
	f.Add([]byte(ar.Magic + strings.Replace(head, "a.txt/  ", "#1/4    ", 1) + "name"))
	f.Add([]byte(ar.Magic + "//                                              4         `\nab/\n" + strings.Replace(head, "a.txt/", "/0    ", 1) + "text"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []byte
		_ = ar.Read(b, func(m ar.Member) bool { // damage is told below, by what comes out
			all = append(all, m.Data...)
			return true
		})
		if len(all) > len(b) || len(all) > 0 && !bytes.Contains(b, all[:1]) {
			t.Errorf("%d bytes out of %d", len(all), len(b))
		}
	})
}
