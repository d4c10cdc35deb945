package formats_test

import (
	"fmt"
	"testing"
)

// TestAccess holds what gap an encrypted or damaged database is. What is read is
// held by the parser's own tests.
func TestAccess(t *testing.T) {
	file := func(kind string, version byte) []byte {
		b := make([]byte, 3*4096)
		copy(b, "\x00\x01\x00\x00Standard "+kind+" DB\x00")
		b[0x14] = version // the rest of the head has no key that says: none
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		gaps string
	}{
		"encrypted": {file("ACE", 2), "[encrypted access]"},
		"damaged":   {file("Jet", 1), "[corrupt access]"},
	} {
		if a := serve(t, false, limits, c.in); fmt.Sprint(a.told()) != c.gaps {
			t.Errorf("%s: gaps %v, want %s", name, a.told(), c.gaps)
		}
	}
}
