package ppmd8_test

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/ppmd8"
)

// pack returns what 7z makes of b by PPMd, and nil where it stores it.
func pack(t *testing.T, b []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "7z", append([]string{"a", "-tzip", "x.zip", "a"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	z, err := zip.OpenReader(filepath.Join(dir, "x.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if z.File[0].Method == zip.Store {
		return nil
	}
	if z.File[0].Method != 98 {
		t.Fatalf("method %d", z.File[0].Method)
	}
	raw, err := z.File[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func unpack(b []byte, size int64) ([]byte, error) {
	z, err := ppmd8.NewReader(bytes.NewReader(b), size, 256<<20)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// words writes n bytes of lines that are alike, the words of which change as it
// goes on.
func words(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "row %d: patient %x was seen in ward %d, é %s\n", i, r.Uint32()>>8, r.IntN(30), hex.EncodeToString([]byte{byte(i), byte(i >> 9)}))
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32() & r.Uint32())
	}
	return b
}

// TestPrograms decodes what 7z writes, of orders and memories with which the model
// is thrown away, and cut, many times.
func TestPrograms(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program = program[:min(len(program), 400<<10)]
	for _, c := range []struct {
		name string
		want []byte
		args []string
	}{
		{"words", words(200_000), nil},
		{"words, hardest", words(200_000), []string{"-mx=9"}},
		{"order 2", words(200_000), []string{"-mo=2"}},
		{"order 3, little memory", words(500_000), []string{"-mo=3", "-mmem=1m"}},
		{"order 8, little memory", words(500_000), []string{"-mo=8", "-mmem=1m"}},
		{"order 16, little memory", words(500_000), []string{"-mo=16", "-mmem=1m"}},
		{"order 16, cut", words(500_000), []string{"-mo=16", "-mmem=1m", "-mx=9"}},
		{"order 6, cut", append(words(200_000), program...), []string{"-mo=6", "-mmem=1m", "-mx=8"}},
		{"a program", program, []string{"-mo=10", "-mmem=3m"}},
		{"a program, cut", program, []string{"-mo=12", "-mmem=1m", "-mx=9"}},
		{"noise", noise(200_000), []string{"-mo=4", "-mmem=1m"}},
		{"noise, cut", noise(200_000), []string{"-mo=16", "-mmem=1m", "-mx=9"}},
		{"a long run", bytes.Repeat([]byte("ab"), 300_000), nil},
		{"zeros", make([]byte, 300_000), []string{"-mo=16", "-mmem=1m"}},
		{"little", []byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := pack(t, c.want, append(c.args, "-mm=PPMd")...)
			if b == nil {
				t.Fatal("7z stored it")
			}
			for _, size := range []int64{int64(len(c.want)), -1} {
				got, err := unpack(b, size)
				if err != nil || !bytes.Equal(got, c.want) {
					n := 0
					for n < min(len(got), len(c.want)) && got[n] == c.want[n] {
						n++
					}
					t.Errorf("%x, size %d: %d bytes, want %d; the same up to %d; %v", b[:2], size, len(got), len(c.want), n, err)
				}
			}
			if got, err := unpack(b[:len(b)*2/3], -1); err == nil {
				t.Errorf("cut, %d bytes are no error", len(got))
			}
		})
	}
}

// TestBounds holds that no more memory is taken than is allowed, and that what is
// no stream is told.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		b    string
		want error
	}{
		{"17 MB", "\x07\x01\x00\x00\x00\x00\x00", ppmd8.ErrMemory}, {"frozen", "\x07\x20\x00\x00\x00\x00\x00", ppmd8.ErrMethod},
		{"order 1", "\x00\x00\x00\x00\x00\x00\x00", ppmd8.ErrDamaged}, {"cut", "\x07\x00\x00\x00", ppmd8.ErrDamaged}, {"empty", "", ppmd8.ErrDamaged},
	} {
		if _, err := ppmd8.NewReader(bytes.NewReader([]byte(c.b)), 10, 16<<20); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// FuzzRead holds that nothing breaks the decoder, whatever memory it may take.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x07\x00\x00\x00\x00\x00\x00\x00\x00"), int64(100))
	f.Add([]byte("\x0f\x10\x61\x62\x63\x64\x65\x66\x67\x68\x69\x70\xff\xfe\x00\x01\x80\x7f"), int64(-1))
	f.Add([]byte("\x01\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ, and so on and so on and so on"), int64(1<<40))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		z, err := ppmd8.NewReader(bytes.NewReader(b), size, 1<<20)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(z, 4<<20)) // damage ends it
		}
	})
}
