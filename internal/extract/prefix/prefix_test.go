package prefix_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/prefix"
)

// TestCode finds each word of the example of RFC 1951 3.2.2, and of a code with
// words of every length.
func TestCode(t *testing.T) {
	long := make([]byte, 17)
	for i := range 16 {
		long[i] = byte(i + 1)
	}
	long[16] = 16
	for _, lengths := range [][]byte{{3, 3, 3, 3, 3, 2, 4, 4}, {1}, {0, 0, 2, 1}, long} {
		var c prefix.Code
		if err := c.Build(lengths); err != nil {
			t.Fatal(err)
		}
		word := 0
		for n := byte(1); n <= prefix.MaxLen; n++ {
			for sym, l := range lengths {
				if l != n {
					continue
				}
				v := uint16(word << (16 - n))
				if got, bits := c.Find(v); got != sym || bits != int(n) {
					t.Errorf("%v: word %0*b is symbol %d of %d bits, want %d", lengths, n, word, got, bits, sym)
				}
				word++
			}
			word <<= 1
		}
	}
	var c prefix.Code
	if err := c.Build([]byte{1, 1, 1}); err == nil {
		t.Error("three words of one bit")
	}
	if err := c.Build([]byte{17}); err == nil {
		t.Error("a word of 17 bits")
	}
	if err := c.Build([]byte{2}); err != nil || c.Empty() {
		t.Error("a word that leaves room")
	}
	if sym, _ := c.Find(0xffff); sym != -1 {
		t.Errorf("symbol %d for no word", sym)
	}
	if err := c.Build([]byte{0, 0}); err != nil || !c.Empty() {
		t.Error("no words")
	}
	if sym, _ := c.Find(0); sym != -1 {
		t.Errorf("symbol %d of no words", sym)
	}
}
