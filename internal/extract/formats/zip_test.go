package formats_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

func zipOfTexts(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, text := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d.txt", i), Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipMembersNobodyLists(t *testing.T) {
	one, two, none := zipOfTexts(t, "one"), zipOfTexts(t, "two"), zipOfTexts(t)
	tests := []struct {
		name string
		doc  []byte
		want bool // a gap
	}{
		{"a zip", zipOfTexts(t, "one", "two"), false},
		{"a zip without members", none, false},
		{"a stored zip inside", zipOfTexts(t, string(one)), false},
		{"a program in front", append([]byte("\x7fELF\x00\x01\x02"+strings.Repeat("\x90\x00\xff", 200)), one...), false},
		{"a zip in front of another", slices.Concat(one, two), true},
		{"a zip in front of a longer one", slices.Concat(one, zipOfTexts(t, "two", "three")), true},
		{"a zip in front of an empty one", slices.Concat(one, none), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := serve(t, false, limits, tt.doc)
			got := slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Ambiguous })
			if got != tt.want {
				t.Errorf("ambiguous: %v, want %v; gaps %v", got, tt.want, a.gaps)
			}
		})
	}
}

func TestEBCDICOfAnyCountry(t *testing.T) {
	const text = "\xe2\xe2\xd5\x40\xf5\xf3\xf6\x60\xf2\xf2\x60\xf8\xf1\xf4\xf5" // SSN 536-22-8145
	for _, charset := range []string{"cp500", "IBM500", "ibm-1148", "ebcdic-international", "CP00875", "cp037"} {
		doc := "From: a@b.example\r\nSubject: x\r\nContent-Type: text/plain; charset=" + charset + "\r\n\r\n" + text
		a := serve(t, true, limits, []byte(doc))
		if got := a.texts["1"]; !strings.HasPrefix(got, "SSN 536-22-8145") {
			t.Errorf("%s: read as %q", charset, got)
		}
	}
}

// TestZipPrograms reads what independent programs pack, by every method that
// they know, with and without the directory, and with something around it.
func TestZipPrograms(t *testing.T) {
	dir := folder(t)
	for name, args := range map[string][]string{
		"store": {"7z", "a", "-tzip", "-mx=0"}, "deflate": {"7z", "a", "-tzip"}, "deflate64": {"7z", "a", "-tzip", "-mm=deflate64"},
		"bzip2": {"7z", "a", "-tzip", "-mm=bzip2"}, "lzma": {"7z", "a", "-tzip", "-mm=lzma"}, "xz": {"7z", "a", "-tzip", "-mm=xz"},
		"ppmd": {"7z", "a", "-tzip", "-mm=PPMd"}, "ppmd at its hardest": {"7z", "a", "-tzip", "-mm=PPMd", "-mx=9"},
		"info-zip": {"zip", "-q", "-r"}, "info-zip, bzip2": {"zip", "-q", "-r", "-Z", "bzip2"}, "zip64": {"zip", "-q", "-r", "-fz"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "x.zip")
			run(t, dir, nil, args[0], append(append([]string(nil), args[1:]...), out, ".")...)
			b := file(t, out)
			pieces := []string{strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999"}
			reads(t, serve(t, false, limits, b), pieces...)

			around := slices.Concat([]byte("in front of it 457-55-5462\x00\n"), b, []byte("\nand behind 219-09-9998"))
			a := serve(t, false, limits, around)
			for _, s := range append(pieces, "in front of it 457-55-5462", "and behind 219-09-9998") {
				if !strings.Contains(a.all(), s) {
					t.Errorf("with something around it, %q was not read; %v %q", s, a.paths, a.told())
				}
			}

			end := bytes.Index(b, []byte("PK\x01\x02"))
			a = serve(t, false, limits, b[:end])
			for _, s := range pieces {
				if !strings.Contains(a.all(), s) {
					t.Errorf("without its directory, %q was not read", s)
				}
			}
			if got := a.told(); !slices.Equal(got, []string{"corrupt zip directory"}) {
				t.Errorf("without its directory: gaps %q", got)
			}
		})
	}
}

// TestZipStreamed reads a zip whose sizes stand behind the members, with and
// without its directory.
func TestZipStreamed(t *testing.T) {
	dir := folder(t)
	b := run(t, dir, nil, "zip", "-q", "-r", "-", ".")
	pieces := []string{strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999"}
	reads(t, serve(t, false, limits, b), pieces...)
	a := serve(t, false, limits, b[:bytes.Index(b, []byte("PK\x01\x02"))])
	for _, s := range pieces {
		if !strings.Contains(a.all(), s) {
			t.Errorf("without its directory, %q was not read", s)
		}
	}
}

// TestZipVolumes holds that a part of a zip that was split says so.
func TestZipVolumes(t *testing.T) {
	dir := folder(t)
	run(t, dir, nil, "zip", "-q", "-r", "-s", "64k", "x.zip", "big.log")
	for _, name := range []string{"x.zip", "x.z01"} {
		a := serve(t, false, limits, file(t, dir, name))
		if !slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool {
			return g.Cause == dlp.Unsupported && g.Detail == "zip: one of several volumes"
		}) {
			t.Errorf("%s: gaps %q", name, a.told())
		}
	}
}

// TestZipLocked holds that an encrypted member is told with its cipher.
func TestZipLocked(t *testing.T) {
	dir := folder(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"ZipCrypto": {[]string{"-pgeheim", "-mem=ZipCrypto"}, "encrypted zip ZipCrypto"},
		"AES-128":   {[]string{"-pgeheim", "-mem=AES128"}, "encrypted zip AES-128"},
		"AES-256":   {[]string{"-pgeheim", "-mem=AES256"}, "encrypted zip AES-256"},
		"PPMd":      {[]string{"-pgeheim", "-mm=ppmd"}, "encrypted zip ZipCrypto"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "x.zip")
			run(t, dir, nil, "7z", append(append([]string{"a", "-tzip"}, c.args...), out, "a.txt")...)
			if got := serve(t, false, limits, file(t, out)).told(); !slices.Equal(got, []string{"1 " + c.want}) {
				t.Errorf("gaps %q, want %q", got, c.want)
			}
		})
	}
}
