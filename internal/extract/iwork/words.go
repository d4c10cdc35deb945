package iwork

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// words shows all strings of the objects that were not read by their fields, each
// once.
func (x *show) words() {
	const (
		most = 256     // bytes of one that is remembered
		all  = 1 << 16 // of them
	)
	seen := map[string]bool{}
	for i := range x.objects {
		if o := &x.objects[i]; !o.used && x.err == nil {
			x.strings(o.b, 0, func(s string) {
				if seen[s] || x.err != nil {
					return
				}
				if len(s) <= most && len(seen) < all {
					seen[s] = true
				}
				x.err = x.s.Word(s)
			})
		}
	}
}

const maxNesting = 40

// strings calls put with all that may be a string in a message: which of its bytes
// are messages again only descriptors would tell. What may be both is taken as both.
func (x *show) strings(m message, depth int, put func(string)) {
	m.each(func(f field) bool {
		if len(f.b) == 0 || x.err != nil {
			return x.err == nil
		}
		s, whole := string(f.b), f.b.each(func(field) bool { return true })
		text := isText(s)
		if text || !whole && isMostlyText(s) {
			if s := plain(s); s != "" {
				put(s)
			}
		}
		if (whole || !text) && depth < maxNesting {
			x.strings(f.b, depth+1, put)
		}
		return true
	})
}

// isText reports characters of texts, three bytes at least.
func isText(s string) bool {
	return len(s) >= 3 && utf8.ValidString(s) && !strings.ContainsFunc(s, isForeign)
}

// isMostlyText reports a text in which some few characters are none of texts.
func isMostlyText(s string) bool {
	const least = 8
	all, foreign := 0, 0
	for _, r := range s {
		all++
		if r == utf8.RuneError || isForeign(r) {
			foreign++
		}
	}
	return all >= least && foreign*4 <= all
}

// isForeign reports what stands in no text: controls that part nothing, and what
// Unicode has no character for.
func isForeign(r rune) bool {
	switch r {
	case '\n', '\t', '\r', '\v', '\f':
		return false
	}
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cf)
}
