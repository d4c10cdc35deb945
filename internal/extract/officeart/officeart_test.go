package officeart_test

import (
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/officeart"
)

// art is a table of two properties, the second WordArt.
const art = "\x23\x00\x0b\xf0\x18\x00\x00\x00" + "\x80\x01\x04\x00\x00\x00" + "\xc0\xc0\x0c\x00\x00\x00" +
	"S\x00S\x00N\x00 \x005\x00\x00\x00"

func TestWords(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"alone":         {art, []string{"SSN 5"}},
		"in other data": {"\x0f\x00\x04\xf0\x00" + art + art, []string{"SSN 5", "SSN 5"}},
		"cut":           {art[:26], []string{"SSN"}},
		"no table":      {art[:10], nil},
		"empty":         {"", nil},
	} {
		if got := officeart.Words([]byte(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add([]byte(art))
	f.Fuzz(func(_ *testing.T, b []byte) { officeart.Words(b) })
}
