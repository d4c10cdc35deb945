package buffer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/smalldisk"
)

const kib = 1 << 10

func newPool(t testing.TB, cfg buffer.Config) *buffer.Pool {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	p, err := buffer.NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pattern returns n bytes that differ from chunk to chunk.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>13)
	}
	return b
}

func fill(t testing.TB, p *buffer.Pool, content []byte, step int) *buffer.Buffer {
	t.Helper()
	b := p.New()
	for rest := content; len(rest) > 0; {
		k := min(step, len(rest))
		if n, err := b.Write(rest[:k]); n != k || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		rest = rest[k:]
	}
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	return b
}

func readAll(t testing.TB, b *buffer.Buffer) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	cfg := buffer.Config{MemoryEach: 128 * kib, MemoryAll: 1 << 20, DiskAll: 64 << 20}
	for _, tc := range []struct {
		name     string
		size     int
		step     int
		wantDisk bool
	}{
		{"nothing", 0, 1, false},
		{"one byte", 1, 1, false},
		{"one chunk", 64 * kib, 1000, false},
		{"just in memory", 128 * kib, 4096, false},
		{"one byte past memory", 128*kib + 1, 4096, true},
		{"whole chunks on disk", 256 * kib, 64 * kib, true},
		{"large", 3<<20 + 17, 100_000, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPool(t, cfg)
			want := pattern(tc.size)
			b := fill(t, p, want, tc.step)
			if got := readAll(t, b); !bytes.Equal(got, want) {
				t.Errorf("read %d bytes that differ from the %d written", len(got), len(want))
			}
			if got := b.Size(); got != int64(tc.size) {
				t.Errorf("Size = %d, want %d", got, tc.size)
			}
			if got := p.Usage().Disk > 0; got != tc.wantDisk {
				t.Errorf("on disk = %v, want %v", got, tc.wantDisk)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if got := p.Usage(); got != (buffer.Usage{}) {
				t.Errorf("Usage after Close = %+v, want none", got)
			}
		})
	}
}

func TestSeek(t *testing.T) {
	want := pattern(300 * kib)
	for _, each := range []int64{0, 1 << 20} {
		t.Run(fmt.Sprintf("memory %d", each), func(t *testing.T) {
			p := newPool(t, buffer.Config{MemoryEach: each, MemoryAll: 1 << 20, DiskAll: 1 << 20})
			b := fill(t, p, want, 5000)
			defer b.Close()
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for _, at := range []int64{299 * kib, 0, 64*kib - 1, 64 * kib, 200_000} {
				if _, err := r.Seek(at, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 100)
				if _, err := io.ReadFull(r, got); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want[at:at+100]) {
					t.Errorf("bytes at %d differ", at)
				}
			}
			if at, err := r.Seek(-10, io.SeekEnd); at != 300*kib-10 || err != nil {
				t.Errorf("Seek = %d, %v", at, err)
			}
			if at, err := r.Seek(20, io.SeekCurrent); at != 300*kib+10 || err != nil {
				t.Errorf("Seek past the end = %d, %v", at, err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("Read past the end = %d, %v, want 0, EOF", n, err)
			}
			if _, err := r.Seek(-1, io.SeekStart); err == nil {
				t.Error("Seek before the start gave no error")
			}
		})
	}
}

func TestCallsOutOfOrder(t *testing.T) {
	p := newPool(t, buffer.Config{MemoryEach: 64 * kib, MemoryAll: 1 << 20, DiskAll: 1 << 20})
	b := p.New()
	if _, err := b.Open(); !errors.Is(err, buffer.ErrState) {
		t.Errorf("Open before Done: %v", err)
	}
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, buffer.ErrState) {
		t.Errorf("Write after Done: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := b.Open(); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Open after Close: %v", err)
	}
}

func TestCloseWhileReadersAreOpen(t *testing.T) {
	for _, each := range []int64{0, 8 << 20} {
		t.Run(fmt.Sprintf("memory %d", each), func(t *testing.T) {
			p := newPool(t, buffer.Config{MemoryEach: each, MemoryAll: 8 << 20, DiskAll: 8 << 20})
			want := pattern(1 << 20)
			b := fill(t, p, want, 1<<20)
			var wg sync.WaitGroup
			started := make(chan struct{}, 8)
			for range 8 {
				r, err := b.Open()
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer r.Close()
					first := make([]byte, 100)
					if _, err := io.ReadFull(r, first); err != nil {
						t.Error(err)
					}
					started <- struct{}{}
					for got := first; ; {
						n, err := r.Read(got)
						if errors.Is(err, buffer.ErrClosed) {
							return
						}
						if err == io.EOF {
							r.Seek(0, io.SeekStart) // its error comes with the next Read
						} else if err != nil || n == 0 {
							t.Errorf("Read = %d, %v", n, err)
							return
						}
					}
				})
			}
			for range 8 {
				<-started
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
	}
}

func TestBoundOfDisk(t *testing.T) {
	p := newPool(t, buffer.Config{MemoryEach: 64 * kib, MemoryAll: 64 * kib, DiskAll: 200 * kib})
	b := p.New()
	var err error
	for range 100 {
		if _, err = b.Write(pattern(10 * kib)); err != nil {
			break
		}
	}
	if !errors.Is(err, buffer.ErrFull) {
		t.Fatalf("Write past DiskAll: %v, want ErrFull", err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, buffer.ErrFull) {
		t.Errorf("Write after ErrFull: %v", err)
	}
	if err := b.Done(); !errors.Is(err, buffer.ErrFull) {
		t.Errorf("Done after ErrFull: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	fill(t, p, pattern(100*kib), 1000).Close() // room again
}

// TestMemoryForDisk: what the disk has no room for stays in memory, as long as
// half of all of it is free for others; what was sealed before is read with it.
func TestMemoryForDisk(t *testing.T) {
	for name, disk := range map[string]int64{"no disk": 0, "some": 200 * kib, "a part of a chunk": 64*kib + 20} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, buffer.Config{MemoryEach: 64 * kib, MemoryAll: 1 << 20, DiskAll: disk})
			want := pattern(450*kib + 17)
			b := fill(t, p, want, 7000)
			if got := readAll(t, b); !bytes.Equal(got, want) {
				t.Errorf("%d bytes read, which differ from the %d written", len(got), len(want))
			}
			if u := p.Usage(); u.Memory > 512*kib || u.Disk > disk {
				t.Errorf("Usage = %+v, want at most %d in memory and %d on disk", u, 512*kib, disk)
			}
			other := p.New()
			var err error
			for range 100 {
				if _, err = other.Write(pattern(64 * kib)); err != nil {
					break
				}
			}
			if !errors.Is(err, buffer.ErrFull) {
				t.Errorf("Write past half of the memory: %v, want ErrFull", err)
			}
			other.Close()
			fill(t, p, pattern(60*kib), 1000).Close() // a small one has room
			b.Close()
			if u := p.Usage(); u != (buffer.Usage{}) {
				t.Errorf("Usage = %+v after all were closed", u)
			}
		})
	}
}

// TestMemoryForBrokenDisk: a file that takes no byte more is the same.
func TestMemoryForBrokenDisk(t *testing.T) {
	p := newPool(t, buffer.Config{MemoryEach: 64 * kib, MemoryAll: 1 << 20, DiskAll: 1 << 20})
	want := pattern(400 * kib)
	b := p.New()
	defer b.Close()
	for i := 0; i < len(want); i += 10 * kib {
		if i == 200*kib {
			b.BreakFile()
		}
		if _, err := b.Write(want[i : i+10*kib]); err != nil {
			t.Fatal(err)
		}
	}
	b.MendFile()
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, b); !bytes.Equal(got, want) {
		t.Errorf("%d bytes read, which differ from the %d written", len(got), len(want))
	}
}

func TestBoundOfMemorySendsToDisk(t *testing.T) {
	p := newPool(t, buffer.Config{MemoryEach: 1 << 20, MemoryAll: 256 * kib, DiskAll: 64 << 20})
	want := pattern(200 * kib)
	var all []*buffer.Buffer
	for range 10 {
		all = append(all, fill(t, p, want, 7000))
	}
	u := p.Usage()
	if u.Memory > 256*kib || u.Disk == 0 {
		t.Errorf("Usage = %+v, want at most %d in memory and the rest on disk", u, 256*kib)
	}
	for _, b := range all {
		if !bytes.Equal(readAll(t, b), want) {
			t.Error("content differs")
		}
		b.Close()
	}
}

func TestFileIsUnlinkedAndSealed(t *testing.T) {
	dir := t.TempDir()
	p := newPool(t, buffer.Config{MemoryEach: 0, MemoryAll: 0, DiskAll: 8 << 20, Dir: dir})
	const canary = "Patient Quillon Testperson, SSN 536-22-8145. "
	b := fill(t, p, []byte(strings.Repeat(canary, 10_000)), 999)
	defer b.Close()

	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("ReadDir = %v, %v, want no name", names, err)
	}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(target, dir) {
			continue
		}
		found++
		if !strings.HasSuffix(target, "(deleted)") {
			t.Errorf("the open file has a name: %s", target)
		}
		got, err := os.ReadFile(fd)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(got)) != p.Usage().Disk {
			t.Errorf("file has %d bytes, the pool counts %d", len(got), p.Usage().Disk)
		}
		if bytes.Contains(got, []byte("Quillon")) || bytes.Contains(got, []byte("536-22")) {
			t.Error("plaintext stands in the file")
		}
	}
	if found != 1 {
		t.Fatalf("found %d open files in the folder, want 1", found)
	}
}

func TestChangedFileIsNoticed(t *testing.T) {
	for name, change := range map[string]func(f *os.File) error{
		"a bit of it": func(f *os.File) error {
			var one [1]byte
			if _, err := f.ReadAt(one[:], 70*kib); err != nil {
				return err
			}
			one[0] ^= 1
			_, err := f.WriteAt(one[:], 70*kib)
			return err
		},
		"cut short":      func(f *os.File) error { return f.Truncate(70 * kib) },
		"cut at a chunk": func(f *os.File) error { return f.Truncate(64*kib + 16) }, // and what seals it
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := newPool(t, buffer.Config{DiskAll: 1 << 20, Dir: dir})
			b := fill(t, p, pattern(100*kib), 999)
			defer b.Close()
			fds, _ := filepath.Glob("/proc/self/fd/*")
			for _, fd := range fds {
				if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir) {
					f, err := os.OpenFile(fd, os.O_RDWR, 0)
					if err != nil {
						t.Fatal(err)
					}
					if err := change(f); err != nil {
						t.Fatal(err)
					}
					f.Close()
				}
			}
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err == nil || errors.Is(err, io.EOF) || len(got) != 64*kib {
				t.Errorf("ReadAll = %d bytes, %v, want the first chunk and an error that says no end", len(got), err)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	smalldisk.Mount(t, dir, 0, "size=1m")
	p := newPool(t, buffer.Config{DiskAll: 1 << 30, Dir: dir})
	b := p.New()
	var err error
	for range 100 {
		if _, err = b.Write(pattern(64 * kib)); err != nil {
			break
		}
	}
	if !errors.Is(err, buffer.ErrFull) {
		t.Fatalf("Write on a full disk: %v, want ErrFull", err)
	}
	b.Close()
	fill(t, p, pattern(500*kib), 1000).Close() // room again without a restart
}

func TestManyLargeBuffersCostLittleMemory(t *testing.T) {
	p := newPool(t, buffer.Config{MemoryEach: 1 << 20, MemoryAll: 16 << 20, DiskAll: 4 << 30})
	piece := pattern(1 << 20)
	all := make([]*buffer.Buffer, 100)
	for i := range all {
		all[i] = p.New()
		defer all[i].Close()
	}
	for range 4 {
		for _, b := range all {
			if _, err := b.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := p.Usage().Memory; got > 16<<20+100*64*kib {
		t.Errorf("100 buffers hold %d bytes in memory", got)
	}
	for _, b := range all {
		if err := b.Done(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("heap is %d bytes", m.HeapAlloc)
	}
}

func TestBadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		cfg  buffer.Config
	}{
		{"negative", buffer.Config{MemoryEach: -1}},
		{"no folder", buffer.Config{DiskAll: 1}},
		{"folder is a file", buffer.Config{DiskAll: 1, Dir: file}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := buffer.NewPool(tc.cfg); err == nil {
				t.Error("NewPool gave no error")
			}
		})
	}
}

func FuzzWriteAndRead(f *testing.F) {
	f.Add(uint32(0), uint16(1), uint32(0))
	f.Add(uint32(64*kib), uint16(4096), uint32(64*kib-1))
	f.Add(uint32(200_001), uint16(777), uint32(131_072))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, size uint32, step uint16, at uint32) {
		size %= 400_000
		p := newPool(t, buffer.Config{MemoryEach: 64 * kib, MemoryAll: 128 * kib, DiskAll: 1 << 20, Dir: dir})
		want := pattern(int(size))
		b := fill(t, p, want, max(1, int(step)))
		defer b.Close()
		r, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		at = min(at, size)
		r.Seek(int64(at), io.SeekStart) // a place inside: no error
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want[at:]) {
			t.Errorf("from %d: %d bytes, %v", at, len(got), err)
		}
	})
}

func BenchmarkDisk25MB(b *testing.B) {
	p := newPool(b, buffer.Config{MemoryEach: 1 << 20, MemoryAll: 64 << 20, DiskAll: 1 << 30})
	piece := pattern(1 << 20)
	b.SetBytes(25 << 20)
	for b.Loop() {
		x := p.New()
		for range 25 {
			if _, err := x.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := x.Done(); err != nil {
			b.Fatal(err)
		}
		r, err := x.Open()
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, r) // its error would show as a wrong rate only
		r.Close()
		x.Close()
	}
}

// TestFreedMemoryIsWiped: nothing of a document stays in memory that is lent to
// the next one, neither in the clear nor sealed.
func TestFreedMemoryIsWiped(t *testing.T) {
	for name, tt := range map[string]struct {
		each int64
		read bool
	}{"kept in memory": {1 << 20, false}, "kept in a file": {64 * kib, false}, "kept in a file and read": {64 * kib, true}} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, buffer.Config{MemoryEach: tt.each, MemoryAll: 1 << 22, DiskAll: 1 << 22})
			all := p.Chunks()
			b := p.New()
			if _, err := io.WriteString(b, strings.Repeat("The patient is well.", 10*kib)); err != nil {
				t.Fatal(err)
			}
			if err := b.Done(); err != nil {
				t.Fatal(err)
			}
			if tt.read {
				r, err := b.Open()
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); n != 200*kib || err != nil {
					t.Fatalf("read %d, %v", n, err)
				}
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if len(all()) == 0 {
				t.Fatal("no memory was lent")
			}
			for _, c := range all() {
				if bytes.Count(c, []byte{0}) != len(c) {
					t.Errorf("memory that was freed holds %d bytes of the document", len(c)-bytes.Count(c, []byte{0}))
				}
			}
		})
	}
}
