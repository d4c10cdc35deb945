package pkzip_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/extract/pkzip"
)

// packed is a member as a program of 1989 to 1992 wrote it.
type packed struct {
	name          string
	method, flags uint16
	early         bool
	foreign       bool // programs of today refuse it
	want, b       []byte
}

// members packs texts, noise and runs by every method.
var members = sync.OnceValue(func() (all []packed) {
	r := rand.New(rand.NewPCG(5, 6))
	words, noise := &bytes.Buffer{}, make([]byte, 20<<10)
	for i := range 1500 {
		fmt.Fprintf(words, "row %d: patient %x, ward %d\n", i, r.Uint32()>>8, r.IntN(30))
	}
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"words", words.Bytes()}, {"noise", noise}, {"far apart", append(append(bytes.Clone(noise[:7<<10]), words.Bytes()[:900]...), noise[:7<<10]...)},
		{"a long run", bytes.Repeat([]byte("ab"), 30000)}, {"zeros", make([]byte, 5000)}, {"escapes", bytes.Repeat([]byte("\x90\x90\x00a"), 500)}, {"one byte", []byte("x")},
	} {
		add := func(name string, p packed) {
			p.name, p.want = c.name+", "+name, c.b
			all = append(all, p)
		}
		add("shrunk", packed{method: 1, b: shrink(c.b, 0, false)})
		add("shrunk, cleared often", packed{method: 1, b: shrink(c.b, 700, false)})
		add("shrunk, cleared at every code", packed{method: 1, b: shrink(c.b[:min(len(c.b), 4000)], 1, false)})
		all[len(all)-1].want = c.b[:min(len(c.b), 4000)]
		add("shrunk, cleared with the last code", packed{method: 1, b: shrink(c.b, 97, true), foreign: true})
		for factor := uint(1); factor <= 4; factor++ {
			add(fmt.Sprint("reduced by ", factor), packed{method: uint16(factor + 1), b: reduce(c.b, factor, 32)})
			add(fmt.Sprint("reduced with few followers by ", factor), packed{method: uint16(factor + 1), b: reduce(c.b, factor, int(factor-1))})
		}
		for flags := uint16(0); flags < 8; flags += 2 {
			add(fmt.Sprint("imploded as ", flags), packed{method: 6, flags: flags, b: implode(c.b, flags, false, r)})
			add(fmt.Sprint("imploded early as ", flags), packed{method: 6, flags: flags, early: true, foreign: true, b: implode(c.b, flags, true, r)})
		}
	}
	return all
})

func unpack(p *packed, size int64) ([]byte, error) {
	z, err := pkzip.MethodReader(bytes.NewReader(p.b), p.method, p.flags, size, p.early)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// TestMethods reads what is packed, whole and cut.
func TestMethods(t *testing.T) {
	for _, p := range members() {
		t.Run(p.name, func(t *testing.T) {
			if got, err := unpack(&p, int64(len(p.want))); err != nil || !bytes.Equal(got, p.want) {
				t.Errorf("%d bytes, want %d; the same: %v; %v", len(got), len(p.want), bytes.Equal(got, p.want), err)
			}
			if got, err := unpack(&p, -1); err != nil || !bytes.HasPrefix(got, p.want) {
				t.Errorf("without a size: %d bytes, want %d and what fills the last byte; %v", len(got), len(p.want), err)
			}
			cut := p
			cut.b = p.b[:len(p.b)*2/3]
			if got, err := unpack(&cut, int64(len(p.want))); err == nil {
				t.Errorf("cut, %d bytes are no error", len(got))
			}
		})
	}
}

// TestPrograms holds that 7z reads the same in these members, and so that they are
// what the methods are. Of reducing no program here knows.
func TestPrograms(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("7z is not installed")
	}
	path := filepath.Join(t.TempDir(), "x.zip")
	write(t, path, func(p *packed) bool { return !p.foreign && (p.method == 1 || p.method == 6) })
	if out, err := exec.CommandContext(t.Context(), "7z", "t", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// write writes a zip of the members that programs read.
func write(t *testing.T, path string, reads func(*packed) bool) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for i, p := range members() {
		if !reads(&p) {
			continue
		}
		m, err := w.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i), Method: p.method, Flags: p.flags, Modified: time.Unix(6e8, 0), CRC32: crc32.ChecksumIEEE(p.want),
			CompressedSize64: uint64(len(p.b)), UncompressedSize64: uint64(len(p.want))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write(p.b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamaged holds that what is no stream is told.
func TestDamaged(t *testing.T) {
	for _, p := range []packed{
		{name: "a code that nothing made", method: 1, b: []byte("\x00\xff\xff\xff")}, {name: "an order that is none", method: 1, b: []byte("\x00\x07\x00\x00\x00\x00")},
		{name: "too many followers", method: 2, b: []byte("\xff\xff\xff\xff")}, {name: "a code with room", method: 6, b: []byte("\x00\x00\x00\x00")},
		{name: "no method", method: 7}, {name: "a window that is none", method: 10, b: []byte("\x00\x07")}, {name: "literals of no kind", method: 10, b: []byte("\x02\x04")},
	} {
		if got, err := unpack(&p, 100); err == nil {
			t.Errorf("%s: %d bytes and no error", p.name, len(got))
		}
	}
}

// TestClearings holds that an order to clear costs what there is to clear: with a look
// at every code these would take longer than a test may.
func TestClearings(t *testing.T) {
	w := &bitWriter{}
	w.put('a', 9)
	for range 8 << 20 {
		w.put(256, 9)
		w.put(2, 9)
	}
	w.put('b', 9)
	r, err := pkzip.MethodReader(bytes.NewReader(w.bytes()), 1, 0, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "ab" {
		t.Errorf("got %q, %v", got, err)
	}
}

// FuzzRead holds that nothing breaks the readers, and that a Reader gives no more
// than its size.
func FuzzRead(f *testing.F) {
	for _, p := range members() {
		if len(p.want) < 6000 {
			f.Add(p.b, p.method, p.flags, p.early)
		}
	}
	r := rand.New(rand.NewPCG(7, 8))
	short := []byte("a text, a text, and a text once more")
	f.Add(shrink(short, 5, true), uint16(1), uint16(0), false)
	f.Add(reduce(short, 2, 2), uint16(3), uint16(0), false)
	f.Add([]byte(dclWord), uint16(10), uint16(0), false)
	f.Add(implode(short, 6, false, r), uint16(6), uint16(6), false)
	f.Fuzz(func(t *testing.T, b []byte, method, flags uint16, early bool) {
		p := packed{method: method, flags: flags, early: early, b: b}
		if got, _ := unpack(&p, 100_000); len(got) > 100_000 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// dclWord is the example of the format's description.
const dclWord = "\x00\x04\x82\x24\x25\x8f\x80\x7f"

// TestDCL reads it, with its size and without; its end is told by a word of its own.
func TestDCL(t *testing.T) {
	for _, size := range []int64{13, -1} {
		if got, err := unpack(&packed{method: 10, b: []byte(dclWord)}, size); err != nil || string(got) != "AIAIAIAIAIAIA" {
			t.Errorf("size %d: got %q, %v", size, got, err)
		}
	}
	if _, err := unpack(&packed{method: 10, b: []byte(dclWord)}, 20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("more than there is: got %v", err)
	}
	if _, err := unpack(&packed{method: 10, b: []byte(dclWord[:5])}, 13); err == nil {
		t.Error("cut: no error")
	}
}
