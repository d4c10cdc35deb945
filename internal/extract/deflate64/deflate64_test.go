package deflate64_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/deflate64"
)

// TestPrograms decodes what 7z writes.
func TestPrograms(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	r := rand.New(rand.NewPCG(3, 4))
	noise, words := make([]byte, 100<<10), &bytes.Buffer{}
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for i := range 30000 {
		fmt.Fprintf(words, "row %d is %d\n", i, r.IntN(100))
	}
	for name, want := range map[string][]byte{
		"words": words.Bytes(), "noise": noise, "a long run": bytes.Repeat([]byte("ab"), 100000),
		"far apart": append(append(bytes.Clone(noise[:50<<10]), words.Bytes()[:8<<10]...), noise[:50<<10]...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a"), want, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "7z", "a", "-mm=deflate64", "x.zip", "a")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			z, err := zip.OpenReader(filepath.Join(dir, "x.zip"))
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			raw, err := z.File[0].OpenRaw()
			if err != nil {
				t.Fatal(err)
			}
			var src io.Reader = deflate64.NewReader(raw)
			if z.File[0].Method == zip.Store { // 7z stores what does not get smaller
				src = raw
			}
			got, err := io.ReadAll(src)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d; method %d; %v", len(got), len(want), z.File[0].Method, err)
			}
		})
	}
}

// FuzzRead holds that a stream of plain deflate without the codes that differ
// decodes to the same, and that nothing breaks it.
func FuzzRead(f *testing.F) {
	f.Add([]byte("a text, a text, a text"), true)
	f.Add([]byte("\x4b\x4c\x04\x00"), false)
	f.Add([]byte("\x05\xc0\x21\x01\x00\x00\x00\x80\xa0\xff"), false)
	f.Fuzz(func(t *testing.T, b []byte, pack bool) {
		if !pack {
			_, _ = io.Copy(io.Discard, io.LimitReader(deflate64.NewReader(bytes.NewReader(b)), 16<<20)) // damage ends it
			return
		}
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, 9)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil || w.Close() != nil {
			t.Fatal("cannot pack")
		}
		got, err := io.ReadAll(deflate64.NewReader(&packed))
		if len(b) < 258 && (err != nil || !bytes.Equal(got, b)) {
			t.Errorf("%d bytes, want %d, %v", len(got), len(b), err)
		}
	})
}
