package index

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/FastFilter/xorfilter"
)

// TestPartitions: no key is missed, whichever partition it falls into, and an
// empty one has none.
func TestPartitions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, parts := range []uint32{1, 2, 16, 64} {
		var keys []uint64
		for range 3000 {
			k := r.Uint64()
			if parts == 64 {
				k |= 1 << 63 // half of them are empty
			}
			keys = append(keys, k)
		}
		slices.Sort(keys)
		var b xorfilter.BinaryFuseBuilder
		var out []byte
		for p := range uint64(parts) {
			var own []uint64
			for _, k := range keys {
				if k>>shiftFor(parts) == p {
					own = append(own, k)
				}
			}
			var err error
			if out, err = appendPart(out, &b, own); err != nil {
				t.Fatal(err)
			}
		}
		f, err := readFilter(out, parts)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if !f.may(k) {
				t.Fatalf("%d partitions: key %x is missed", parts, k)
			}
		}
		false0 := 0
		for range 100_000 {
			if f.may(r.Uint64()) {
				false0++
			}
		}
		if false0 > 1000 {
			t.Errorf("%d partitions: got %d of 100000 that may be there, want about 400", parts, false0)
		}
		if _, err := readFilter(out[:len(out)-1], parts); err == nil {
			t.Error("cut short: got no error")
		}
		if _, err := readFilter(append(out, 0), parts); err == nil {
			t.Error("more than there should be: got no error")
		}
	}
}
