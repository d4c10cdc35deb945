package cfb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/cfb"
)

const none = 0xffffffff

// build writes a compound file of version 3: one storage "Sub" that holds the
// stream "Deep", beside the streams "Long" (not short) and "Short".
func build(long, short, deep []byte) []byte {
	const size = 512
	var fat []uint32
	var body []byte
	put := func(b []byte) uint32 { // a chain of sectors in a row
		start := uint32(len(fat))
		for n := 0; n < len(b); n += size {
			s := make([]byte, size)
			copy(s, b[n:])
			body = append(body, s...)
			fat = append(fat, uint32(len(fat)+1))
		}
		fat[len(fat)-1] = 0xfffffffe
		return start
	}
	var mini, miniFAT []byte
	putShort := func(b []byte) uint32 {
		start := uint32(len(miniFAT) / 4)
		for n := 0; n < len(b); n += 64 {
			s := make([]byte, 64)
			copy(s, b[n:])
			mini = append(mini, s...)
			next := uint32(len(miniFAT)/4 + 1)
			if n+64 >= len(b) {
				next = 0xfffffffe
			}
			miniFAT = binary.LittleEndian.AppendUint32(miniFAT, next)
		}
		return start
	}
	entry := func(name string, kind byte, left, right, child, start uint32, n int) []byte {
		e := make([]byte, 128)
		for i, u := range utf16.Encode([]rune(name)) {
			binary.LittleEndian.PutUint16(e[2*i:], u)
		}
		binary.LittleEndian.PutUint16(e[64:], uint16(2*len(name)+2))
		e[66], e[67] = kind, 1
		binary.LittleEndian.PutUint32(e[68:], left)
		binary.LittleEndian.PutUint32(e[72:], right)
		binary.LittleEndian.PutUint32(e[76:], child)
		binary.LittleEndian.PutUint32(e[116:], start)
		binary.LittleEndian.PutUint64(e[120:], uint64(n))
		return e
	}
	l := put(long)
	s, d := putShort(short), putShort(deep)
	ms := put(mini)
	mf := put(miniFAT)
	dir := put(bytes.Join([][]byte{
		entry("Root Entry", 5, none, none, 2, ms, len(mini)),
		entry("Long", 2, none, none, none, l, len(long)),
		entry("Short", 2, 1, 3, none, s, len(short)),
		entry("Sub", 1, none, none, 4, 0, 0),
		entry("Deep", 2, none, none, none, d, len(deep)),
		entry("Lost", 2, none, none, none, s, len(short)),
		make([]byte, 128), make([]byte, 128),
	}, nil))
	at := uint32(len(fat))
	fat = append(fat, 0xfffffffd)
	table := bytes.Repeat([]byte{0xff}, size)
	for i, n := range fat {
		binary.LittleEndian.PutUint32(table[4*i:], n)
	}
	h := make([]byte, 512)
	copy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	for o, v := range map[int]uint16{24: 0x3e, 26: 3, 28: 0xfffe, 30: 9, 32: 6} {
		binary.LittleEndian.PutUint16(h[o:], v)
	}
	for o, v := range map[int]uint32{44: 1, 48: dir, 56: 4096, 60: mf, 64: 1, 68: 0xfffffffe} {
		binary.LittleEndian.PutUint32(h[o:], v)
	}
	for o := 76; o < 512; o += 4 {
		binary.LittleEndian.PutUint32(h[o:], none)
	}
	binary.LittleEndian.PutUint32(h[76:], at)
	return bytes.Join([][]byte{h, body, table}, nil)
}

func sample() (file, long []byte) {
	long = []byte(strings.Repeat("a long stream. ", 400))
	return build(long, []byte("a short one"), []byte(strings.Repeat("deeper ", 20))), long
}

func TestRead(t *testing.T) {
	b, long := sample()
	f, err := cfb.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range f.Entries() {
		paths = append(paths, e.Path)
	}
	if got, want := strings.Join(paths, "|"), "|Short|Long|Sub|Sub/Deep|Lost"; got != want {
		t.Errorf("paths: got %q, want %q", got, want)
	}
	for path, want := range map[string]string{"long": string(long), "Short": "a short one", "SUB/Deep": strings.Repeat("deeper ", 20)} {
		got, err := f.Read(f.Stream(path), 1<<20)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
	if got, err := f.Read(f.Stream("Long"), 10); !errors.Is(err, cfb.ErrTooLarge) || string(got) != string(long[:10]) {
		t.Errorf("bounded: got %q, %v", got, err)
	}
	if got := f.Parent(f.Stream("Sub/Deep")); got != f.Storage("sub") || f.Parent(got) != f.Root() {
		t.Errorf("parent: got %+v", got)
	}
	if got := f.Within(f.Storage("Sub")); len(got) != 1 || got[0].Name != "Deep" {
		t.Errorf("within: got %+v", got)
	}
	if e := f.Stream("Lost"); e == nil || !e.Orphan {
		t.Errorf("orphan: got %+v", e)
	}
}

// TestDamaged holds that a file that was tampered with ends as an error, with
// what can be read of it.
func TestDamaged(t *testing.T) {
	good, long := sample()
	tableAt := len(good) - 512
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		open   error
		read   error
		bytes  int // of Long
	}{
		"cut":          {func(b []byte) []byte { return b[:600] }, cfb.ErrCorrupt, nil, 0},
		"loop":         {func(b []byte) []byte { binary.LittleEndian.PutUint32(b[tableAt+8:], 0); return b }, nil, cfb.ErrCorrupt, len(long)},
		"chain ends":   {func(b []byte) []byte { binary.LittleEndian.PutUint32(b[tableAt+8:], 0xfffffffe); return b }, nil, cfb.ErrCorrupt, 3 * 512},
		"chain beyond": {func(b []byte) []byte { binary.LittleEndian.PutUint32(b[tableAt+8:], 4000); return b }, nil, cfb.ErrCorrupt, 3 * 512},
		"no signature": {func(b []byte) []byte { b[0] = 0; return b }, cfb.ErrCorrupt, nil, 0},
		"sector size":  {func(b []byte) []byte { b[30] = 60; return b }, cfb.ErrCorrupt, nil, 0},
		"directory loops": {func(b []byte) []byte {
			i := bytes.Index(b, []byte("S\x00u\x00b\x00")) // its child is itself
			binary.LittleEndian.PutUint32(b[i+76:], 3)
			return b
		}, cfb.ErrCorrupt, nil, len(long)},
		"size": {func(b []byte) []byte {
			i := bytes.Index(b, []byte("L\x00o\x00n\x00g\x00"))
			binary.LittleEndian.PutUint32(b[i+120:], 0xfffffff0)
			return b
		}, nil, cfb.ErrCorrupt, (len(long) + 511) / 512 * 512},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := cfb.Open(c.change(bytes.Clone(good)))
			if !errors.Is(err, c.open) {
				t.Errorf("open: got %v, want %v", err, c.open)
			}
			if f == nil {
				return
			}
			got, err := f.Read(f.Stream("Long"), 1<<20)
			if !errors.Is(err, c.read) || len(got) < min(c.bytes, len(long)) && name != "loop" {
				t.Errorf("read: got %d bytes, %v, want %d, %v", len(got), err, c.bytes, c.read)
			}
		})
	}
}

// TestShared holds that streams that all claim the same sectors do not cost
// their number times the file.
func TestShared(t *testing.T) {
	b, _ := sample()
	tableAt := len(b) - 512 // break the row, so that what is read is copied
	binary.LittleEndian.PutUint32(b[tableAt:], 2)
	f, err := cfb.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for range 1000 {
		got, _ := f.Read(f.Stream("Long"), 1<<30)
		sum += len(got)
	}
	if sum > 8*len(b)+1<<20+1000*512 { // the first sector costs no copy
		t.Errorf("read %d bytes of a file of %d", sum, len(b))
	}
}

// TestLibgsf reads files that libgsf's gsf writes.
func TestLibgsf(t *testing.T) {
	gsf, err := exec.LookPath("gsf")
	if err != nil {
		t.Skip("no gsf here: Debian's libgsf-bin has it")
	}
	dir := t.TempDir()
	want := map[string]string{"one": "short", "two": strings.Repeat("0123456789abcdef", 1<<14), "three": strings.Repeat("x", 4096)}
	args := []string{"createole", filepath.Join(dir, "out.ole")}
	for name, text := range want {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, p)
	}
	if out, err := exec.CommandContext(t.Context(), gsf, args...).CombinedOutput(); err != nil {
		t.Skipf("gsf does not run here: %v %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.ole"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := cfb.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range f.Entries() {
		text, ok := want[e.Name]
		if !ok || e.Storage {
			continue
		}
		got, err := f.Read(&e, 1<<30)
		if err != nil || string(got) != text {
			t.Errorf("%s: got %d bytes, %v, want %d", e.Name, len(got), err, len(text))
		}
		found++
	}
	if found != len(want) {
		t.Errorf("streams: got %d, want %d", found, len(want))
	}
}

func FuzzOpen(f *testing.F) {
	b, _ := sample()
	f.Add(b)
	f.Add(b[:1500])
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := cfb.Open(b)
		if file == nil {
			if err == nil {
				t.Fatal("neither a file nor an error")
			}
			return
		}
		total := 0
		for i := range file.Entries() {
			e := &file.Entries()[i]
			if got, _ := file.Read(e, 1<<20); int64(len(got)) > e.Size {
				t.Fatal("more than the size")
			} else {
				total += len(got)
			}
			file.Within(e)
		}
		if total > 64*len(b)+1<<21 && len(file.Entries()) < 8 {
			t.Fatalf("read %d bytes of %d", total, len(b))
		}
	})
}
