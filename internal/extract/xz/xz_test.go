package xz_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/xz"
)

const dict = 8 << 20 // what xz takes by itself

func pack(t *testing.T, b []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "xz", append([]string{"-c", "-z", "-F", "xz"}, args...)...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func lines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%d of %d, and the square is %d\n", i, n, i*i)
	}
	return b.Bytes()
}

func read(b []byte) (got []byte, rest int, err error) {
	r := bytes.NewReader(b)
	z, err := xz.NewReader(r, dict)
	if err != nil {
		return nil, 0, err
	}
	got, err = io.ReadAll(z)
	return got, r.Len(), err
}

// TestPrograms reads what xz writes.
func TestPrograms(t *testing.T) {
	want := lines(10000)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"crc64", nil}, {"crc32", []string{"-C", "crc32"}}, {"sha256", []string{"-C", "sha256"}}, {"none", []string{"-C", "none"}},
		{"blocks", []string{"--block-size=30000"}}, {"blocks with sizes", []string{"-T2", "--block-size=30000"}},
		{"delta", []string{"--delta=dist=4", "--lzma2=preset=1"}}, {"two deltas", []string{"--delta=dist=3", "--delta=dist=1", "--lzma2=preset=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := pack(t, want, append(c.args, "--memlimit=100MiB")...)
			got, rest, err := read(append(b, "behind"...))
			if err != nil || rest != 6 || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d; %d behind; %v", len(got), len(want), rest, err)
			}
			b[len(b)/2] ^= 0x20
			if got, _, err := read(b); err == nil && bytes.Equal(got, want) {
				t.Error("damage is not told")
			}
		})
	}
}

// TestBounds holds that a dictionary past the bound is made no larger, and told
// only where the content needs it.
func TestBounds(t *testing.T) {
	small := lines(10)
	if got, _, err := read(pack(t, small, "--lzma2=dict=256MiB")); err != nil || !bytes.Equal(got, small) {
		t.Errorf("a small file with a large dictionary: %q %v", got, err)
	}
	far := append(lines(100), make([]byte, 12<<20)...)
	far = append(far, lines(100)...)
	if _, _, err := read(pack(t, far, "--lzma2=dict=16MiB")); err != nil && !errors.Is(err, xz.ErrDictionary) {
		t.Errorf("a dictionary that is needed: %v", err)
	}
}

// code returns bytes in which jumps and calls of every processor that xz knows are
// common, near one another, and within what is none.
func code(n int) []byte {
	r := rand.New(rand.NewPCG(5, 6))
	often := []byte{0xe8, 0xe9, 0, 0xff, 0xeb, 0x48, 0x4b, 1, 0xf0, 0xf7, 0xf8, 0xff, 0x40, 0x7f, 0xc0, 0x94, 0x97, 0x90, 0xb0, 0xf0, 0x10, 0x12, 0x16, 0x1d, 0x50}
	b := make([]byte, n)
	for i := range b {
		b[i] = often[r.IntN(len(often))]
		if r.IntN(4) == 0 {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

// TestBranchFilters reads what xz writes with each filter for programs, of code of
// our own making and of a program.
func TestBranchFilters(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	made := code(200_003)
	for _, name := range []string{"x86", "powerpc", "ia64", "arm", "armthumb", "sparc", "arm64"} {
		for _, c := range []struct {
			name string
			args []string
			want []byte
		}{
			{"made", []string{"--" + name}, made}, {"short", []string{"--" + name}, made[:3]}, {"empty", []string{"--" + name}, nil},
			{"start", []string{"--" + name + "=start=65536"}, made},
			{"a program", []string{"--" + name}, program[:min(len(program), 1<<20)]},
			{"and delta", []string{"--delta=dist=4", "--" + name}, made[:100000]},
			{"blocks", []string{"--block-size=30001", "--" + name}, made},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				b := pack(t, c.want, append(c.args, "--lzma2=preset=0")...)
				if got, _, err := read(b); err != nil || !bytes.Equal(got, c.want) {
					t.Errorf("%d bytes, want %d; %v", len(got), len(c.want), err)
				}
			})
		}
	}
}

// TestRiscV reads what 7z writes with the filter for programs of RISC-V, which not
// every xz has.
func TestRiscV(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		t.Skip("no 7z here")
	}
	r := rand.New(rand.NewPCG(7, 8))
	often := []byte{0xef, 0xef, 0x17, 0x97, 0x17, 0x01, 0x02, 0x12, 0x31, 0x91, 0xe7, 0x67, 0x80, 0x03, 0x13, 0, 0xff, 0xf0}
	made := code(400_003)
	for i := range made {
		if r.IntN(3) > 0 {
			made[i] = often[r.IntN(len(often))]
		}
	}
	for i := 0; i+8 < len(made); i += 2 * (4 + r.IntN(20)) { // AUIPC and what uses it
		to, from := r.Uint32N(32), r.Uint32N(32)
		if r.IntN(4) > 0 {
			from = to
		}
		binary.LittleEndian.PutUint32(made[i:], 0x17|to<<7|r.Uint32()&0xfffff000)
		binary.LittleEndian.PutUint32(made[i+4:], r.Uint32()&^(0x1f<<15|3)|from<<15|3)
	}
	for name, want := range map[string][]byte{"made": made, "short": made[:7], "empty": nil} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a"), want, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "7z", "a", "-txz", "-mf=RISCV", "-mx=1", "a.xz", "a")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("this 7z does not know of RISC-V: %v %s", err, out)
			}
			b, err := os.ReadFile(filepath.Join(dir, "a.xz"))
			if err != nil {
				t.Fatal(err)
			}
			if len(want) > 0 && b[14] != 11 {
				t.Fatalf("7z used filter %d", b[14])
			}
			if got, _, err := read(b); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d; %v", len(got), len(want), err)
			}
		})
	}
}

// TestUnknownFilter holds that a filter that nobody knows is told as one.
func TestUnknownFilter(t *testing.T) {
	b := pack(t, lines(10), "--x86", "--lzma2=preset=1")
	size := (int(b[12]) + 1) * 4
	b[14] = 0x3f // the identifier of the first filter
	binary.LittleEndian.PutUint32(b[12+size-4:], crc32.ChecksumIEEE(b[12:12+size-4]))
	if _, _, err := read(b); !errors.Is(err, xz.ErrFilter) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(xz.Magic + "\x00\x00\xff\x12\xd9\x41\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x00\x00\x00\x00"))
	f.Add([]byte(xz.Magic + "\x00\x04\xe6\xd6\xb4F\x00\x00\x00\x00\x1c\xdfD!\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ"))
	f.Add([]byte(xz.Magic + "\x00\x00\xff\x12\xd9\x41\x02\x01\x04\x00!\x01\x16\x00\x00\x00\xc2\xd6\xab\x1e\x01\x00\x04\xe8\x00\xe9\x00\xff\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := xz.NewReader(bytes.NewReader(b), 64<<10)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(z, 16<<20)) // damage ends it
		}
	})
}
