package cab_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/cab"
)

// unpacked returns each member by its name.
func unpacked(t testing.TB, b []byte) (map[string]string, error) {
	t.Helper()
	c, err := cab.Open(b)
	if err != nil {
		return nil, err
	}
	got := map[string]string{}
	var first error
	for _, f := range c.Files {
		if f.Folder < 0 {
			continue
		}
		r, err := c.Folders[f.Folder].Open()
		if err != nil {
			first = err
			continue
		}
		all, err := io.ReadAll(io.LimitReader(r, f.Offset+f.Size))
		if err != nil {
			first = err
		}
		if f.Offset+f.Size <= int64(len(all)) {
			got[f.Name] = string(all[f.Offset:])
		}
	}
	return got, first
}

// TestGcab reads what gcab packs, stored and by MSZIP, past a block and a
// folder's window.
func TestGcab(t *testing.T) {
	if _, err := exec.LookPath("gcab"); err != nil {
		t.Skip("gcab is not installed")
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(3, 3))
	var big strings.Builder
	for big.Len() < 200<<10 {
		fmt.Fprintf(&big, "line %d %x\n", big.Len(), r.Uint64())
	}
	want := map[string]string{"a.txt": "SSN 536-22-8145\n", "big.log": big.String(), "größe.txt": "x", "empty": ""}
	var names []string
	for n, s := range want {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	for _, zip := range [][]string{nil, {"-z"}} {
		cmd := exec.CommandContext(t.Context(), "gcab", append(append([]string{"-c"}, zip...), append([]string{"x.cab"}, names...)...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gcab: %v %s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, "x.cab"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpacked(t, b)
		if err != nil {
			t.Errorf("%v: %v", zip, err)
		}
		for n, s := range want {
			if got[n] != s {
				t.Errorf("%v: %s has %d bytes, want %d", zip, n, len(got[n]), len(s))
			}
		}
		broken := bytes.Clone(b)
		broken[len(b)-1000] ^= 1
		if _, err := unpacked(t, broken); !errors.Is(err, cab.ErrDamaged) {
			t.Errorf("%v: a bit is turned, and %v", zip, err)
		}
		if _, err := unpacked(t, b[:len(b)-100]); !errors.Is(err, cab.ErrDamaged) {
			t.Errorf("%v: cut, and %v", zip, err)
		}
	}
}

// TestLZX reads blocks of every kind of LZX that the encoder below writes, and
// which cabextract, where it is installed, reads to the same bytes.
func TestLZX(t *testing.T) {
	var text strings.Builder
	for i := range 900 {
		fmt.Fprintf(&text, "Patient %d, SSN 536-22-%04d, seen in ward %d\n", i, i, i%7)
	}
	code := strings.Repeat("\x90\xe8\x00\x10\x00\x00 call ", 40) // addresses that are translated
	for _, tt := range []struct {
		name  string
		kinds []int
		calls bool
	}{{"verbatim", []int{1}, false}, {"aligned", []int{2}, false}, {"raw", []int{3}, false}, {"all", []int{3, 1, 2, 2, 3, 3, 1}, false}, {"calls", []int{1}, true}} {
		t.Run(tt.name, func(t *testing.T) {
			plain := text.String()
			if tt.calls {
				plain = code + plain
			}
			b := lzxCabinet("a.txt", plain, tt.kinds, tt.calls)
			got, err := unpacked(t, b)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.calls && got["a.txt"] != plain {
				t.Errorf("%d bytes, want %d", len(got["a.txt"]), len(plain))
			}
			if tt.calls && (got["a.txt"] == plain || got["a.txt"][len(code):] != text.String()) {
				t.Error("calls are not translated, or other bytes are")
			}
			if _, err := exec.LookPath("cabextract"); err != nil {
				t.Skip("cabextract is not installed")
			}
			path := filepath.Join(t.TempDir(), "x.cab")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			theirs, err := exec.CommandContext(t.Context(), "cabextract", "-q", "-p", path).Output()
			if err != nil || string(theirs) != got["a.txt"] {
				t.Errorf("cabextract reads it otherwise: %v, %d bytes", err, len(theirs))
			}
		})
	}
}

// lzxWriter writes LZX: the simplest codes that are complete, and matches of one
// line with the one before.
type lzxWriter struct {
	out  []byte
	word uint16
	n    int
}

func (w *lzxWriter) put(v uint32, n int) {
	for n--; n >= 0; n-- {
		w.word = w.word<<1 | uint16(v>>n&1)
		if w.n++; w.n == 16 {
			w.out, w.n = binary.LittleEndian.AppendUint16(w.out, w.word), 0
		}
	}
}

func (w *lzxWriter) align(always bool) {
	if w.n > 0 || always {
		w.put(0, 16-w.n)
	}
}

// flat writes symbols of a code whose first few words are a bit shorter.
func (w *lzxWriter) flat(sym, short, bits int) {
	if sym < short {
		w.put(uint32(sym), bits-1)
		return
	}
	w.put(uint32(sym+short), bits)
}

func (w *lzxWriter) lengths(n int, now, before func(int) int) {
	for i := range 20 {
		w.put(uint32(4+i/12), 4) // 12 words of 4 bits, 8 of 5
	}
	for i := range n {
		w.flat((before(i)-now(i)+17)%17, 12, 5)
	}
}

func lzxCabinet(name, plain string, kinds []int, calls bool) []byte {
	w := &lzxWriter{}
	var blocks [][]byte
	mainLen := func(i int) int { return 9 - btoi(i < 16) }
	none := func(int) int { return 0 }
	mainWas, lenWas := none, none
	if calls {
		w.put(1, 1)
		w.put(0, 16)
		w.put(60000, 16)
	} else {
		w.put(0, 1)
	}
	k, pad := 0, false
	block := func(kind int, part string, at int) {
		if pad {
			w.out = append(w.out, 0)
		}
		pad = kind == 3 && len(part)%2 == 1
		w.put(uint32(kind), 3)
		w.put(uint32(len(part)), 24)
		if kind == 3 {
			w.align(true)
			for range 3 {
				w.out = binary.LittleEndian.AppendUint32(w.out, 1)
			}
			w.out = append(w.out, part...)
			return
		}
		if kind == 2 {
			for range 8 {
				w.put(3, 3)
			}
		}
		lenLen := func(i int) int { return 8 - btoi(i < 7) }
		w.lengths(256, mainLen, mainWas)
		high := func(f func(int) int) func(int) int { return func(i int) int { return f(i + 256) } }
		w.lengths(240, high(mainLen), high(mainWas))
		w.lengths(249, lenLen, lenWas)
		mainWas, lenWas = mainLen, lenLen
		last := -1
		for i := 0; i < len(part); {
			// The longest match at a distance below 4,096, if it spares anything.
			best, dist := 0, 0
			for d := 1; d <= min(at+i, 4000); d++ {
				n := 0
				for n < 250 && i+n < len(part) && plain[at+i+n] == plain[at+i+n-d] {
					n++
				}
				if n > best {
					best, dist = n, d
				}
			}
			if best < 9 {
				w.flat(int(part[i]), 16, 9)
				i++
				continue
			}
			slot, extra, rest := 0, 0, 0
			if dist != last {
				for v := dist + 2; ; slot++ { // position slots: 4 and on have slot/2-1 further bits
					base := slot
					if extra = 0; slot >= 4 {
						extra = slot/2 - 1
						base = (2 + slot&1) << extra
					}
					if v < base+1<<extra {
						rest = v - base
						break
					}
				}
			}
			last = dist
			w.flat(256+slot<<3+7, 16, 9)
			w.flat(best-9, 7, 8)
			if kind == 2 && extra >= 3 {
				w.put(uint32(rest>>3), extra-3)
				w.put(uint32(rest&7), 3) // eight words of 3 bits
			} else {
				w.put(uint32(rest), extra)
			}
			i += best
		}
	}
	for at := 0; at < len(plain); at += 32 << 10 {
		f := plain[at:min(at+32<<10, len(plain))]
		for from := 0; from < len(f); {
			to := min(from+5001, len(f))
			block(kinds[k%len(kinds)], f[from:to], at+from)
			k++
			from = to
		}
		if pad {
			w.out, pad = append(w.out, 0), false
		}
		w.align(false)
		blocks = append(blocks, w.out)
		w.out = nil
	}
	le := binary.LittleEndian
	head := make([]byte, 36+8+16, 100)
	copy(head, cab.Magic)
	le.PutUint32(head[16:], 44)
	head[24], head[25] = 3, 1
	head[26], head[28] = 1, 1
	le.PutUint16(head[40:], uint16(len(blocks)))
	le.PutUint16(head[42:], 3|15<<8)
	le.PutUint32(head[44:], uint32(len(plain)))
	head = append(append(head, name...), 0)
	le.PutUint32(head[36:], uint32(len(head)))
	left := len(plain)
	for _, b := range blocks {
		n := min(left, 32<<10)
		left -= n
		head = le.AppendUint32(head, 0)
		head = le.AppendUint16(head, uint16(len(b)))
		head = le.AppendUint16(head, uint16(n))
		head = append(head, b...)
	}
	le.PutUint32(head[8:], uint32(len(head)))
	return head
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestOthers names members that go on in other cabinets, and methods.
func TestOthers(t *testing.T) {
	b := lzxCabinet("a.txt", "x", []int{3}, false)
	binary.LittleEndian.PutUint16(b[42:], 2|0x1472&^0xf)
	c, err := cab.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Folders[0].Open(); !errors.Is(err, cab.ErrMethod) || c.Folders[0].Method() != "Quantum" {
		t.Errorf("Quantum: %v", err)
	}
	binary.LittleEndian.PutUint16(b[52:], 0xfffe)
	if c, err = cab.Open(b); err != nil || c.Files[0].Folder != -1 || c.Cut {
		t.Errorf("%+v %v", c, err)
	}
	if c, err = cab.Open(b[:50]); err != nil || !c.Cut {
		t.Errorf("cut: %+v %v", c, err)
	}
}

func FuzzCab(f *testing.F) {
	f.Add(lzxCabinet("a.txt", strings.Repeat("SSN 536-22-8145 ", 30), []int{1}, true))
	f.Add(lzxCabinet("a.txt", strings.Repeat("SSN 536-22-8145 ", 30), []int{2}, false))
	f.Add(lzxCabinet("a.txt", "SSN 536-22-8145", []int{3}, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := cab.Open(b)
		if err != nil {
			return
		}
		for i, d := range c.Folders {
			if i == 4 {
				break
			}
			r, err := d.Open()
			if err != nil {
				continue
			}
			n, err := io.Copy(io.Discard, r)
			if err != nil && !errors.Is(err, cab.ErrDamaged) {
				t.Error(err)
			}
			if n > int64(len(b))*(32<<10) {
				t.Errorf("%d bytes out of %d", n, len(b))
			}
		}
	})
}
