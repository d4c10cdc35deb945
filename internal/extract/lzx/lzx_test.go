package lzx_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/lzx"
)

// bitWriter writes bits into words of 16, the highest bit first.
type bitWriter struct {
	b    []byte
	word uint16
	have int
}

func (w *bitWriter) put(v, n int) {
	for n--; n >= 0; n-- {
		w.word = w.word<<1 | uint16(v>>n&1)
		if w.have++; w.have == 16 {
			w.b = binary.LittleEndian.AppendUint16(w.b, w.word)
			w.word, w.have = 0, 0
		}
	}
}

// align ends the word at hand; one that is full is followed by an empty one.
func (w *bitWriter) align() { w.put(0, 16-w.have) }

// raw is a frame of one block of its own bytes.
func raw(b []byte) []byte {
	w := &bitWriter{}
	w.put(0, 1) // calls are not translated
	w.put(3, 3)
	w.put(len(b), 24)
	w.align()
	w.b = append(w.b, "\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"...)
	return append(w.b, b...)
}

// literals is a frame of a verbatim block, all symbols of which are literals of
// eight bits. The window is of 32 KiB: 240 symbols of matches have no word.
func literals(b []byte) []byte {
	w := &bitWriter{}
	w.put(0, 1)
	w.put(1, 3)
	w.put(len(b), 24)
	for i, n := range []int{256, 240, 249} { // three runs of lengths, each behind a code of their own
		for sym := range 20 { // 9 (a length of 8) is 0, 0 is 10, 18 (a run of 20 zeros and more) is 11
			switch sym {
			case 9:
				w.put(1, 4)
			case 0, 18:
				w.put(2, 4)
			default:
				w.put(0, 4)
			}
		}
		if i == 0 {
			w.put(0, n)
			continue
		}
		for ; n > 0; n -= min(n, 51) {
			w.put(3, 2)
			w.put(min(n, 51)-20, 5)
		}
	}
	for _, c := range b {
		w.put(int(c), 8)
	}
	w.align()
	return w.b
}

// TestFrames unpacks blocks of either kind, one behind the other after a reset,
// and gives what stands before damage.
func TestFrames(t *testing.T) {
	want := bytes.Repeat([]byte("Patient Ada Example, SSN 536-22-8145\n"), 40)
	z := lzx.New(lzx.MinWindow)
	for name, in := range map[string][]byte{"raw": raw(want), "literals": literals(want)} {
		z.Reset()
		got, err := z.Frame(in, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d, %v", name, len(got), len(want), err)
		}
		z.Reset()
		got, err = z.Frame(in[:len(in)-500], len(want))
		if !errors.Is(err, lzx.ErrDamaged) || len(got) < 400 || !bytes.HasPrefix(want, got[:400]) {
			t.Errorf("%s, cut: %d bytes, %v", name, len(got), err)
		}
	}
	z.Reset()
	if got, err := z.Frame(nil, 10); err == nil {
		t.Errorf("nothing is %d bytes", len(got))
	}
}

// FuzzFrame holds that nothing breaks the reader, frame after frame, and that a
// frame has no more bytes than were asked for.
func FuzzFrame(f *testing.F) {
	f.Add(raw([]byte("a text")), uint16(6), uint8(0))
	f.Add(literals([]byte("a text of literals")), uint16(18), uint8(0))
	f.Add(append([]byte{0x80, 0x80, 0, 0}, literals([]byte("\xe8\x01\x02\x03\x04 a call"))...), uint16(300), uint8(6))
	f.Fuzz(func(t *testing.T, b []byte, n uint16, window uint8) {
		z := lzx.New(lzx.MinWindow + int(window)%(lzx.MaxWindow-lzx.MinWindow+1))
		want := min(int(n), lzx.Frame)
		for range 3 {
			if got, err := z.Frame(b, want); len(got) > want || err == nil && len(got) != want {
				t.Errorf("%d bytes, want %d, %v", len(got), want, err)
			}
			b = b[len(b)/2:]
		}
	})
}
