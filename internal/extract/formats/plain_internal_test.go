package formats

import (
	"math/rand/v2"
	"testing"
)

// TestPlain holds plain to what is said of each byte, wherever in a text it stands.
func TestPlain(t *testing.T) {
	is := func(b []byte) bool {
		for _, c := range b {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f {
				return false
			}
		}
		return true
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for n := range 200 {
		b := make([]byte, n)
		for c := range 256 {
			for i := range b {
				b[i] = " \r\n\t~azAZ09"[rng.IntN(11)]
			}
			if n > 0 {
				b[rng.IntN(n)] = byte(c)
				b[rng.IntN(n)] = " \r\n\t\x7f~\x80\x1f"[rng.IntN(8)]
			}
			if got, want := plain(b), is(b); got != want {
				t.Fatalf("%q: %v, want %v", b, got, want)
			}
		}
	}
}
