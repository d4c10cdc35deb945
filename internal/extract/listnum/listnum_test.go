package listnum_test

import (
	"testing"

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
