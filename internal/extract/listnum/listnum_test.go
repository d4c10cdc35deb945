package listnum_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/listnum"
)

// TestNumbers holds that numbers are written as Word writes them.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		format uint8
		width  uint8
		n      int32
		want   string
	}{
		{0, 0, 12, "12"}, {0, 0, -1, "-1"}, {0, 4, 7, "0007"}, {0, 3, 12345, "12345"},
		{1, 0, 1994, "MCMXCIV"}, {2, 0, 3999, "mmmcmxcix"}, {1, 0, 4000, "4000"}, {1, 0, 0, "0"},
		{3, 0, 26, "Z"}, {4, 0, 28, "bb"}, {5, 0, 1, "1st"}, {5, 0, 12, "12th"}, {5, 0, 23, "23rd"},
		{listnum.TwoDigits, 0, 7, "07"}, {listnum.TwoDigits, 0, 17, "17"}, {listnum.None, 0, 7, ""}, {250, 0, 7, "7"},
	} {
		l := listnum.Lists{Levels: map[int32][]listnum.Level{1: {{Start: c.n, Format: c.format, Width: c.width, Text: []rune("#\x00")}}},
			Uses: map[int32]listnum.Use{5: {List: 1}}}
		if got, _ := l.Counter().Next(5, 0); got != "#"+c.want {
			t.Errorf("%d in format %d of width %d: got %q, want %q", c.n, c.format, c.width, got, "#"+c.want)
		}
	}
}

// TestRestart holds that a level goes on behind another only where it is told to, and
// that what is not there has no number.
func TestRestart(t *testing.T) {
	text := func(s string) []rune { return []rune(s) }
	l := listnum.Lists{Levels: map[int32][]listnum.Level{1: {
		{Start: 1, Text: text("\x00")}, {Start: 1, Text: text("\x00.\x01")}, {Start: 1, Kept: true, Text: text("(\x02)")}, {Start: 1, Kept: true, Above: 1, Text: text("<\x03>")}}},
		Uses: map[int32]listnum.Use{1: {List: 1}, 2: {List: 9}}}
	c := l.Counter()
	for i, step := range []struct {
		depth uint8
		want  string
	}{{0, "1"}, {1, "1.1"}, {2, "(1)"}, {3, "<1>"}, {1, "1.2"}, {2, "(2)"}, {3, "<2>"}, {0, "2"}, {1, "2.1"}, {2, "(3)"}, {3, "<1>"}, {4, ""}, {200, ""}} {
		if got, _ := c.Next(1, step.depth); got != step.want {
			t.Errorf("step %d, level %d: got %q, want %q", i, step.depth, got, step.want)
		}
	}
	for _, use := range []int32{0, 2, 3, -1} {
		if got, _ := c.Next(use, 0); got != "" {
			t.Errorf("use %d of no list: got %q", use, got)
		}
	}
}

// FuzzNext holds that what stands before a paragraph is bounded, whatever its list
// says, and that a level without text has nothing.
func FuzzNext(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 0x80, 1, 1, 0xff}, []byte{0, 1, 0x11, 2, 0})
	f.Add([]byte{23, 0xff, 7, 1, 0x7f, 0x41, 22, 9, 0}, []byte{8, 0x18, 1})
	f.Fuzz(func(t *testing.T, levels, steps []byte) {
		l := listnum.Lists{Levels: map[int32][]listnum.Level{}, Uses: map[int32]listnum.Use{}}
		for i := 0; i+3 <= len(levels) && i < 3*2*listnum.Levels; i += 3 {
			flags, start := levels[i+2], int32(int8(levels[i+1]))<<(levels[i+2]&31)
			lv := listnum.Level{Start: start, Format: levels[i], Width: levels[i+1], Legal: flags&1 != 0, Kept: flags&2 != 0, Above: flags >> 4, Joined: flags&4 != 0}
			for _, c := range levels[i:] {
				if len(lv.Text) < listnum.MaxText {
					lv.Text = append(lv.Text, max(rune(c)-'0', 0))
				}
			}
			list := int32(i / 3 % 2)
			l.Levels[list] = append(l.Levels[list], lv)
			l.Uses[int32(flags&3)] = listnum.Use{List: list, Starts: map[uint8]int32{flags >> 3: start}, Levels: map[uint8]listnum.Level{flags >> 5: lv}}
		}
		const most = listnum.MaxText * 256 // each sign a number of that width at most
		c := l.Counter()
		for _, s := range steps[:min(len(steps), 1000)] {
			number, _ := c.Next(int32(s&3), s>>2)
			if len(number) > most {
				t.Errorf("%d bytes before a paragraph, want %d at most", len(number), most)
			}
			if !utf8.ValidString(number) {
				t.Errorf("no text: %q", number)
			}
			if uint(s>>2) >= listnum.Levels && number != "" {
				t.Errorf("level %d has %q", s>>2, number)
			}
		}
	})
}
