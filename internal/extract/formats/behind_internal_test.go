package formats

import (
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
