package scanner

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNormalisingTwice: what is read as something else is read as that again.
func TestNormalisingTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	signs := []string{"\u0410", "\u0435", "\u0416", "\u039d", "A", "5", "-", " ", "\u200b", "\u202c", "\u2010", "\uff11", "\u2460", "\u24ea", "\u0301", "\n", "\x00"}
	for range 5000 {
		var b strings.Builder
		for range 1 + r.IntN(30) {
			b.WriteString(signs[r.IntN(len(signs))])
			if r.IntN(10) == 0 {
				b.WriteString(strings.Repeat("\u0410", r.IntN(40)))
			}
		}
		once := string(asMatched(b.String()))
		if twice := string(asMatched(once)); twice != once {
			t.Fatalf("%q is read as %q, and that as %q", b.String(), once, twice)
		}
	}
}
