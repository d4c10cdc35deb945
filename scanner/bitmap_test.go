package scanner

import (
	"math/rand/v2"
	"testing"
)

// TestMarkers: with vectors and without, of each set exactly its bytes are
// marked, wherever a text begins and ends.
func TestMarkers(t *testing.T) {
	markers := map[string]*marker{"digits": digitMarker, "words": wordMarker, "tokens": tokenMarker, "odd": oddMarker,
		"some": markerOf([]byte("@:#-\t\x7f\x00")), "one": markerOf([]byte("K")), "none": markerOf(nil)}
	r := rand.New(rand.NewPCG(1, 64))
	text := make([]byte, chunkBytes+200)
	for i := range text {
		switch text[i] = byte(r.IntN(256)); r.IntN(4) {
		case 0:
			text[i] = byte('0' + r.IntN(12))
		case 1:
			text[i] = "@:#-\t\x7f\x00K "[r.IntN(9)]
		}
	}
	for i := range 256 { // every byte once for certain
		text[i] = byte(i)
	}
	for name, k := range markers {
		for round := range 300 {
			from, n := r.IntN(100), r.IntN(chunkBytes+1)
			if round < 200 {
				n = round
			}
			part := text[from : from+n]
			var vector, plain marks
			for i := range vector {
				vector[i], plain[i] = r.Uint64(), r.Uint64()
			}
			k.mark(&vector, part)
			k.portable(&plain, part)
			for i, c := range part {
				for way, m := range map[string]*marks{"as the processor can": &vector, "portably": &plain} {
					if got, want := m[i/64]>>(i%64)&1 != 0, k.set.has(c); got != want {
						t.Fatalf("%s, %s, text of %d bytes from %d: byte %d (%#x) marked %v, want %v", name, way, n, from, i, c, got, want)
					}
				}
			}
			if n%64 != 0 && (vector[n/64]|plain[n/64])>>(n%64) != 0 {
				t.Fatalf("%s: text of %d bytes: marks past its end", name, n)
			}
		}
	}
}
