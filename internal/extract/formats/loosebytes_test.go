package formats

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"
)

// plainUTF8 and plainUTF16 say what looseUTF8 and looseUTF16 are to hand on, a
// character at a time.
func plainUTF8(b []byte, put func(s []byte, signs, clean int)) {
	start, signs, clean := 0, 0, 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) {
			signs++
			if ofWords(r) {
				clean++
			}
			i += n
			continue
		}
		put(b[start:i], signs, clean)
		i += n
		start, signs, clean = i, 0, 0
	}
	put(b[start:], signs, clean)
}

func plainUTF16(b []byte, put func(s []byte, signs, clean int)) {
	var s []byte
	signs, clean := 0, 0
	for i := 0; i+1 < len(b); {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		if r == '\t' || r >= ' ' && r < mostUTF16 && unicode.IsPrint(r) {
			s = utf8.AppendRune(s, r)
			signs++
			if ofWords(r) {
				clean++
			}
			i += 2
			continue
		}
		put(s, signs, clean)
		i++
		s, signs, clean = s[:0], 0, 0
	}
	put(s, signs, clean)
}

// TestLooseWordsOfAnyBytes: what is passed over in runs is what is passed over one by
// one.
func TestLooseWordsOfAnyBytes(t *testing.T) {
	collect := func(from func([]byte, func([]byte, int, int)), b []byte) (out []string) {
		from(b, func(s []byte, signs, clean int) {
			if signs > 0 {
				out = append(out, fmt.Sprintf("%q %d %d", s, signs, clean))
			}
		})
		return out
	}
	r := rand.New(rand.NewPCG(1, 1))
	pieces := [][]byte{{0}, {0, 0, 0, 0, 0, 0, 0, 0, 0}, {7}, {1, 1, 1}, {9}, {'a'}, {'a', 0}, {0, 'a'}, {0, 1}, {0xFF, 0xFF, 0xFF}, {0xC3, 0xA9}, {0xC3}, {0xE2, 0x80, 0x8B}, []byte("words 12-3"), {'w', 0, 'o', 0, 'r', 0}, {0x34, 0x05}, {0x34, 0x06}, {' ', 0}, {0x7F}, {0x85, 0}}
	for range 20_000 {
		var b []byte
		for range r.IntN(12) {
			if r.IntN(4) == 0 {
				b = append(b, byte(r.IntN(256)))
			}
			b = append(b, pieces[r.IntN(len(pieces))]...)
		}
		for name, way := range map[string][2]func([]byte, func([]byte, int, int)){"UTF-8": {looseUTF8, plainUTF8}, "UTF-16": {looseUTF16, plainUTF16}} {
			if got, want := collect(way[0], b), collect(way[1], b); !slices.Equal(got, want) {
				t.Fatalf("%s of %q: %q, want %q", name, b, got, want)
			}
		}
	}
}
