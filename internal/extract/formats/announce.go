package formats

import (
	"math/bits"
	"strings"
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
			for c := range at[i] {
				if i >= len(w) || lower(byte(c)) == w[i] {
					at[i][c] |= 1 << n
				}
			}
		}
	}
	return at
}()

// announces reports whether passwordWord may match in a line. It says no to most
// of a text, at a fraction of the cost.
func announces(line string) bool {
	for i := range len(line) - 1 { // the shortest has two bytes
		fit := announcingAt[0][line[i]] & announcingAt[1][line[i+1]]
		if fit != 0 && i+2 < len(line) {
			fit &= announcingAt[2][line[i+2]]
		}
		for ; fit != 0; fit &= fit - 1 {
			if hasFold(line[i:], announcing[bits.TrailingZeros32(fit)]) {
				return true
			}
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
