package formats

import (
	"math/bits"
	"slices"
	"strings"
	"unsafe"
)

// announcing are the beginnings of what passwordWord matches. ASCII letters are
// small and stand for both cases.
var announcing = [...]string{"pass", "pw", "pin", "kenwort", "kennw", "losung", "zugangscode", "schl", "code", "key", "mot de", "contrase", "clave", "senha",
	"wachtwoord", "lösen", "lÖsen", "hasł", "hasŁ", "heslo", "jelsz", "па", "Па", "пА", "ПА", "密", "パス", "암호"}

// announcingAt says which of them may have a byte as their first, second and
// third, a bit for each.
var announcingAt = func() (at [3][256]uint32) {
	for n, w := range announcing {
		for i := range at {
			if i < len(w) {
				at[i][w[i]] |= 1 << n
				at[i][upper(w[i])] |= 1 << n
				continue
			}
			for c := range at[i] {
				at[i][c] |= 1 << n
			}
		}
	}
	return at
}()

// announces reports whether passwordWord may match in a text. It says no to most,
// at a fraction of the cost.
func announces(text string) bool { return announced(text) >= 0 }

// announced returns where in a text passwordWord may match first, -1 for nowhere.
func announced(text string) int {
	for from := 0; ; from++ {
		if vectors && len(text)-from >= 32+2 {
			n := (len(text) - from - 2) &^ 31
			k := candidateAVX2(unsafe.StringData(text[from:]), n, &announcingSets)
			if from += k; k < n {
				if begins(text[from:], startsAt(text, from)) {
					return from
				}
				continue
			}
		}
		for i := from; i+2 < len(text); i++ {
			if fit := startsAt(text, i); fit != 0 && begins(text[i:], fit) {
				return i
			}
		}
		if i := max(from, len(text)-2); i+2 == len(text) && begins(text[i:], announcingAt[0][text[i]]&announcingAt[1][text[i+1]]) { // the shortest has two bytes
			return i
		}
		return -1
	}
}

// startsAt returns which of announcing may begin at i, by three bytes.
func startsAt(text string, i int) uint32 {
	return announcingAt[0][text[i]] & announcingAt[1][text[i+1]] & announcingAt[2][text[i+2]]
}

// announcingSets are, for the first, second and third byte of announcing, the words
// that a byte may be of, by its low four bits and then by its high ones. Words that
// look alike share a bit, so that few others have one at all three.
var announcingSets = func() (sets [96]byte) {
	alike := [...]string{"pw", "pa pi", "ke wa", "co", "cl zu sc", "lo mo l\u00f6 l\u00d6", "se je"} // how they begin; the others are the last
	for _, w := range announcing {
		bit := byte(1 << len(alike))
		for k, begin := range alike {
			if slices.ContainsFunc(strings.Fields(begin), func(b string) bool { return strings.HasPrefix(w, b) }) {
				bit = 1 << k
			}
		}
		for i := range announcingAt {
			set := sets[32*i:][:32]
			if i >= len(w) {
				for k := range set {
					set[k] |= bit // any byte
				}
				continue
			}
			for _, c := range []byte{w[i], upper(w[i])} {
				set[c&15] |= bit
				set[16+c>>4] |= bit
			}
		}
	}
	return sets
}()

// begins reports whether text begins with one of announcing, of those in fit.
func begins(text string, fit uint32) bool {
	for ; fit != 0; fit &= fit - 1 {
		if hasFold(text, announcing[bits.TrailingZeros32(fit)]) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

// hasFold reports whether s begins with w, whose ASCII letters are small and stand
// for both cases.
func hasFold(s, w string) bool {
	if len(s) < len(w) {
		return false
	}
	for i := range len(w) {
		if lower(s[i]) != w[i] {
			return false
		}
	}
	return true
}

// breaking are the elements that begin a line, or end one.
var breaking = []string{"br", "p", "div", "tr", "li", "td", "h1", "h2", "h3", "h4", "h5", "h6"}

// withoutTags is what is left of HTML without its tags and comments, with a line
// break for those that make one.
func withoutTags(t string) string {
	var b strings.Builder
	b.Grow(len(t))
	comments := true // some may still end
	for {
		text, rest, ok := strings.Cut(t, "<")
		b.WriteString(text)
		if !ok {
			return b.String()
		}
		if comments && strings.HasPrefix(rest, "!--") {
			_, after, ok := strings.Cut(rest[3:], "-->")
			if ok {
				t = after
				continue
			}
			comments = false
		}
		tag, after, ok := strings.Cut(rest, ">")
		if !ok { // no tag ends any more
			b.WriteString("<" + rest)
			return b.String()
		}
		if breaks(tag) {
			b.WriteByte('\n')
		}
		t = after
	}
}

// breaks reports whether a tag, without its brackets, breaks a line.
func breaks(tag string) bool {
	tag = strings.TrimPrefix(tag, "/")
	for _, name := range breaking {
		if hasFold(tag, name) && (len(tag) == len(name) || !wordByte(tag[len(name)])) {
			return true
		}
	}
	return false
}

// wordByte reports a letter, digit or underscore of ASCII.
func wordByte(c byte) bool {
	return lower(c) >= 'a' && lower(c) <= 'z' || c >= '0' && c <= '9' || c == '_'
}
