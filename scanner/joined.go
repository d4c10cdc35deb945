package scanner

import (
	"bytes"
	"unicode/utf8"
)

// A carriage return without a line feed, a vertical tab and a form feed end a
// line for some programs, and others show nothing of them: a number may be
// split by one for those who look, and whole for those who read. Both cannot be
// had of one text. So the control is dropped where it stands inside what is
// written like one number, neither half of which is: as an SSN, a telephone
// number, a card or a date. Elsewhere it stays what parts two lines or pages.

// splitLook is how many bytes behind such a control are looked at.
const splitLook = 64

// maxNumber is the longest number put together so: a card, with its hyphens.
const maxNumber = 19

// splits reports a control that may split a number.
func splits(c byte) bool { return c == '\r' || c == '\v' || c == '\f' }

// mayBeSplit reports whether b has such a control, but for CR LF.
func mayBeSplit(b []byte) bool {
	if bytes.IndexByte(b, '\v') >= 0 || bytes.IndexByte(b, '\f') >= 0 {
		return true
	}
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return false
		}
		if i+1 == len(b) || b[i+1] != '\n' {
			return true
		}
		b = b[i+2:]
	}
}

// addSplit adds the first n bytes of b, which are read as they came, without
// the controls that split a number. It returns false when b is too short to
// tell, and holds back the rest of it; last says that nothing comes behind b.
func (t *text) addSplit(b []byte, n int, last bool) bool {
	for n > 0 {
		i := 0
		for i < n && !splits(b[i]) {
			i++
		}
		t.addPlain(b[:i])
		if b, n = b[i:], n-i; n == 0 {
			break
		}
		inside, known := t.insideNumber(b[1:], last)
		switch {
		case !known:
			t.held = append(t.held[:0], b...)
			return false
		case inside:
			t.raw++
		default:
			t.addPlain(b[:1])
		}
		b, n = b[1:], n-1
	}
	return true
}

// insideNumber reports whether the control between the text so far and b splits
// a number. It is not known while b may go on with it; last says that it does not.
func (t *text) insideNumber(b []byte, last bool) (inside, known bool) {
	var number [2 * (maxNumber + 1)]byte
	at := 0
	for at <= maxNumber && at < len(t.norm) && inNumber(t.norm[len(t.norm)-1-at]) {
		at++
	}
	if at == 0 {
		return false, true
	}
	copy(number[:], t.norm[len(t.norm)-at:])
	begins := at == len(t.norm) || splits(t.norm[len(t.norm)-1-at])
	end := at
	for i := 0; end < at+maxNumber+1; {
		if i >= splitLook {
			break
		}
		if !last && !utf8.FullRune(b[i:]) {
			return false, false
		}
		if i == len(b) {
			break
		}
		to, size := int(b[i]), 1
		switch {
		case splits(b[i]) || unseen(b[i]):
			to = drop
		case b[i] >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRune(b[i:])
			to = fold(r)
		}
		i += size
		if to == drop {
			continue
		}
		if to < 0 || !inNumber(byte(to)) {
			break
		}
		number[end] = byte(to)
		end++
	}
	if end == at { // nothing of a number follows, as after most lines
		return false, true
	}
	return writtenAsOne(number[:end], at, begins), true
}

// inNumber reports a digit or what stands between the groups of a number.
func inNumber(c byte) bool { return isDigit(c) || betweenGroups(c) }

func betweenGroups(c byte) bool { return c == '-' || c == '.' || c == '/' || c == ' ' }

// writtenAsOne reports whether the digits around text[at], and the groups of
// digits that one and the same character joins to them, are written like one
// number. begins says that text[:at] is all of a line that such a control may
// have ended before: bare digits are a column's then.
func writtenAsOne(text []byte, at int, begins bool) bool {
	for _, by := range []byte("-./ ") {
		switch groups := groupsAround(text, at, by); groups {
		case [5]int{3, 2, 4}, [5]int{3, 3, 4}, [5]int{4, 4, 4, 4}, [5]int{4, 6, 5}: // SSN, telephone, cards
			if by != '/' {
				return true
			}
		case [5]int{3, 4}: // telephone
			if by == '-' {
				return true
			}
		case [5]int{2, 2, 4}, [5]int{1, 2, 4}, [5]int{2, 1, 4}, [5]int{1, 1, 4}, [5]int{4, 2, 2}: // dates
			if by != ' ' {
				return true
			}
		case [5]int{9}, [5]int{10}, [5]int{15}, [5]int{16}: // SSN, telephone and NPI, cards
			if !begins {
				return true
			}
		}
	}
	return false
}

// groupsAround returns how many digits each group of the number around text[at]
// has, where by stands between groups; none for a number that ends or begins at
// at, or has more than five groups.
func groupsAround(text []byte, at int, by byte) (groups [5]int) {
	in := func(i int) bool { // text[i] is of the number
		return isDigit(text[i]) || text[i] == by && i > 0 && i+1 < len(text) && isDigit(text[i-1]) && isDigit(text[i+1])
	}
	from, to := at, at
	for from > 0 && in(from-1) {
		from--
	}
	for to < len(text) && in(to) {
		to++
	}
	if from == at || to == at {
		return groups
	}
	n := 0
	for _, c := range text[from:to] {
		if c != by {
			groups[n]++
		} else if n++; n == len(groups) {
			return [5]int{}
		}
	}
	return groups
}
