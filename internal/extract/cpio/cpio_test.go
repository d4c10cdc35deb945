package cpio_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/cpio"
)

// TestPrograms reads every form that GNU cpio writes.
func TestPrograms(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("cpio is not installed")
	}
	dir := t.TempDir()
	want := map[string]string{"a.txt": "odd", "name with space.txt": "SSN 536-22-8145\n", "d/e.txt": ""}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for n, text := range want {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"newc", "crc", "odc", "bin", "hpodc", "hpbin"} {
		t.Run(form, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "cpio", "-o", "--quiet", "-H", form)
			cmd.Dir = dir
			cmd.Stdin = strings.NewReader("a.txt\nname with space.txt\nd\nd/e.txt\nl\n")
			b, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if !cpio.Is(b) {
				t.Error("not known as cpio")
			}
			got := map[string]string{}
			rest, err := cpio.Read(append(b, "behind"...), func(m cpio.Member) bool {
				got[m.Name] = string(m.Data)
				if m.Dir != (m.Name == "d") || m.Link != (m.Name == "l") {
					t.Errorf("%s: directory %v, link %v", m.Name, m.Dir, m.Link)
				}
				return true
			})
			if err != nil || string(rest) != "behind" {
				t.Errorf("rest %q, error %v", rest, err)
			}
			for n, text := range want {
				if s, ok := got[n]; !ok || s != text {
					t.Errorf("%s: %q, want %q", n, s, text)
				}
			}
			if got["l"] != "/etc/passwd" {
				t.Errorf("link: %q", got["l"])
			}
			if _, err := cpio.Read(b[:len(b)/3], func(cpio.Member) bool { return true }); err == nil {
				t.Error("cut, and no error")
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("070701" + strings.Repeat("00000000", 11) + "00000002" + "00000000" + "a\x00"))
	f.Add([]byte("070707" + strings.Repeat("0", 53) + "000002" + "00000000003" + "a\x00abc"))
	f.Add([]byte("\xc7\x71" + strings.Repeat("\x00", 18) + "\x02\x00\x00\x00\x01\x00a\x00b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		_, _ = cpio.Read(b, func(m cpio.Member) bool { // damaged or not, what comes out counts
			n += len(m.Data)
			return true
		})
		if n > len(b) {
			t.Errorf("%d bytes out of %d", n, len(b))
		}
	})
}
