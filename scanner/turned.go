package scanner

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// What stands between a right-to-left override and its end is shown turned round
// by programs that know the sign, and as it came by those that do not. Both are
// read: the stretch as it came, and behind it, after a blank, turned round.
//
// Source: Unicode Bidirectional Algorithm (UAX #9), 2.2.

const (
	turn      = 0x202e               // RIGHT-TO-LEFT OVERRIDE
	turnEnds  = "\u202c\u202e\u2029" // POP DIRECTIONAL FORMATTING, the next override, and a paragraph's end
	maxTurned = 256                  // bytes of a stretch that is turned round
)

// turned returns how many bytes at the start of b, behind an override, it turns
// round: none where it does not end before maxTurned. It is not known while b may
// go on with its end; last says that nothing comes behind b.
func turned(b []byte, last bool) (n int, known bool) {
	if i := bytes.IndexAny(b[:min(len(b), maxTurned)], turnEnds+"\r\n"); i >= 0 {
		return i, true
	}
	if len(b) >= maxTurned {
		return 0, true
	}
	return len(b), last
}

// addTurned adds b, as it came and turned round: of that each byte stands for all
// of b.
func (t *text) addTurned(b []byte) {
	at, raw, width := len(t.norm), t.raw, int32(len(b))
	for len(b) > 0 {
		size, _ := t.addRune(b, true) // all of the word is there
		b = b[size:]
	}
	stand := func(c ...byte) {
		for _, c := range c {
			t.segs = append(t.segs, seg{n: t.end(), raw: raw, width: width})
			t.norm = append(t.norm, c)
		}
	}
	as := slices.Clone(t.norm[at:])
	stand(' ')
	for len(as) > 0 {
		_, size := utf8.DecodeLastRune(as)
		stand(as[len(as)-size:]...)
		as = as[:len(as)-size]
	}
}
