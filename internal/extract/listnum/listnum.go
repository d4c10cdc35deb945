// Package listnum counts the paragraphs of lists, and writes the numbers that Word
// shows before them.
package listnum

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is kept.
const (
	Levels   = 9  // of a list
	MaxText  = 64 // characters of a level's text
	maxDigit = 40 // letters of one number
)

// Formats of numbers that are named elsewhere. [MS-OSHARED] 2.2.1.3 (MSONFC).
const (
	TwoDigits = 22
	Bullet    = 23
	None      = 255
)

// Level is how one level of a list counts.
//
// Source: ECMA-376-1 17.9.6; [MS-DOC] 2.9.150.
type Level struct {
	Start  int32
	Format uint8  // MSONFC
	Width  uint8  // digits at least
	Legal  bool   // all numbers in digits
	Kept   bool   // it begins anew behind levels above Above only, else behind each above it
	Above  uint8  // with Kept
	Joined bool   // nothing stands between the number and the text
	Text   []rune // 0 to 8 stand for the number of that level
}

// Use is a list as paragraphs name it, with what is otherwise in it.
//
// Source: ECMA-376-1 17.9.15; [MS-DOC] 2.9.131.
type Use struct {
	List   int32
	Starts map[uint8]int32
	Levels map[uint8]Level
}

// Lists are the lists of a document.
type Lists struct {
	Levels map[int32][]Level // by list
	Uses   map[int32]Use
}

// Counter counts the paragraphs of one text.
type Counter struct {
	lists  *Lists
	counts map[int32]*[Levels]int32 // by list
	begun  map[int32]bool           // by use
}

// Counter returns one that has counted nothing yet.
func (l *Lists) Counter() *Counter {
	return &Counter{lists: l, counts: map[int32]*[Levels]int32{}, begun: map[int32]bool{}}
}

// level returns a level of a list as it is used, the zero value where there is none.
func (l *Lists) level(u *Use, depth uint8) Level {
	if lv, ok := u.Levels[depth]; ok {
		return lv
	}
	if levels := l.Levels[u.List]; int(depth) < len(levels) {
		return levels[depth]
	}
	return Level{}
}

// EndsInDigit reports that the digits of a text right behind s would be one number
// with those of s.
func EndsInDigit(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsDigit(r) || r == '-'
}

// Restart begins the numbers of a list anew.
func (c *Counter) Restart(use int32) {
	if u, ok := c.lists.Uses[use]; ok {
		delete(c.counts, u.List)
	}
}

// Set says which number the next paragraph of a level has.
func (c *Counter) Set(use int32, depth uint8, n int32) {
	u, ok := c.lists.Uses[use]
	if !ok || depth >= Levels {
		return
	}
	c.of(&u)[depth] = n - 1
}

// of returns the counts of a list.
func (c *Counter) of(u *Use) *[Levels]int32 {
	n := c.counts[u.List]
	if n == nil {
		n = new([Levels]int32)
		for i := range n {
			n[i] = c.lists.level(u, uint8(i)).Start - 1
		}
		c.counts[u.List] = n
	}
	return n
}

// Next counts a paragraph of a list and returns what stands before it, "" for
// nothing, and whether the text follows without a blank.
func (c *Counter) Next(use int32, depth uint8) (number string, joined bool) {
	u, ok := c.lists.Uses[use]
	if !ok || int(depth) >= min(len(c.lists.Levels[u.List]), Levels) {
		return "", false
	}
	n := c.of(&u)
	if !c.begun[use] {
		c.begun[use] = true
		for d, start := range u.Starts {
			if d < Levels {
				n[d] = start - 1
			}
		}
	}
	n[depth]++
	for d := depth + 1; d < Levels; d++ {
		if lv := c.lists.level(&u, d); !lv.Kept || depth < lv.Above {
			n[d] = lv.Start - 1
		}
	}
	return c.shown(&u, n, depth), c.lists.level(&u, depth).Joined
}

// shown writes the number of a paragraph.
func (c *Counter) shown(u *Use, n *[Levels]int32, depth uint8) string {
	lv := c.lists.level(u, depth)
	if lv.Format == Bullet && len(lv.Text) < 2 { // a bullet says nothing
		return ""
	}
	var out []byte
	for _, r := range lv.Text {
		if r >= Levels {
			out = append(out, string(r)...)
			continue
		}
		of, v := c.lists.level(u, uint8(r)), n[r]
		if lv.Legal {
			of.Format = 0
		}
		if uint8(r) != depth && v < of.Start { // a level above that was not counted
			v = of.Start
		}
		out = append(out, number(v, &of)...)
	}
	return string(out)
}

// Number writes a number in a format, as a level that says no more shows it.
func Number(n int32, format uint8) string { return number(n, &Level{Format: format}) }

// number writes a number of a level. [MS-OSHARED] 2.2.1.3 (MSONFC).
func number(n int32, lv *Level) string {
	s := strconv.Itoa(int(n))
	if n >= 0 {
		for width := int(lv.Width); len(s) < width; {
			s = "0" + s
		}
	}
	switch format := lv.Format; {
	case format == Bullet || format == None:
		return ""
	case n <= 0 || n > 32767:
		return s
	case format == 1:
		return roman(n, "MDCLXVI")
	case format == 2:
		return roman(n, "mdclxvi")
	case format == 3:
		return letters(n, 'A')
	case format == 4:
		return letters(n, 'a')
	case format == 5:
		switch {
		case n%100/10 == 1:
			return s + "th"
		case n%10 == 1:
			return s + "st"
		case n%10 == 2:
			return s + "nd"
		case n%10 == 3:
			return s + "rd"
		}
		return s + "th"
	case format == TwoDigits && n < 10 && len(s) < 2:
		return "0" + s
	}
	return s
}

func roman(n int32, digits string) string {
	var out []byte
	if n > 3999 {
		return strconv.Itoa(int(n))
	}
	for i, unit := 0, int32(1000); i < 7; i, unit = i+2, unit/10 {
		d := n / unit % 10
		switch {
		case d == 9:
			out = append(out, digits[i], digits[i-2])
			d = 0
		case d == 4:
			out = append(out, digits[i], digits[i-1])
			d = 0
		case d >= 5 && i > 0:
			out = append(out, digits[i-1])
			d -= 5
		}
		for range d {
			out = append(out, digits[i])
		}
	}
	return string(out)
}

func letters(n int32, first byte) string {
	var out []byte
	for range min((n-1)/26+1, maxDigit) {
		out = append(out, first+byte((n-1)%26))
	}
	return string(out)
}
