package formats

import (
	"bytes"
	"strings"
	"testing"
)

// BenchmarkBehind searches a text in which nothing stands.
func BenchmarkBehind(b *testing.B) {
	doc := []byte(strings.Repeat("Nothing of interest stands in this line, 50% of it at least; My Park's file is 7z or Rar.\n", 40000))
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, ok := findPackage(doc, len(doc), false); ok {
			b.Fatal("found")
		}
	}
}

// A mark is found wherever it stands, across the edges of blocks too.
func TestLastIndex(t *testing.T) {
	mark := []byte("PK\x05\x06")
	for _, size := range []int{0, 3, 4, 4095, 4096, 4099, 9000} {
		for _, at := range []int{-1, 0, 1, 4092, 4093, 4095, 4096, 4902, 4905, 4907, size - 4} {
			b := bytes.Repeat([]byte("PK\x05"), size/3+1)[:size]
			if at >= 0 && at+4 <= size {
				copy(b[at:], mark)
				copy(b[at/2:], mark[:min(4, at-at/2)])
			}
			if got, want := lastIndex(b, mark), bytes.LastIndex(b, mark); got != want {
				t.Errorf("%d bytes with the mark at %d: found at %d, want %d", size, at, got, want)
			}
		}
	}
}
