package formats

import (
	"math"
	"slices"
	"strings"
)

// spot is where a text stands in a picture (SVG).
//
// Source: SVG 1.1, 10.4 and 10.5.
type spot struct {
	inside bool  // it is in a picture, and so is what it holds
	told   bool  // xs has where it begins, and where its further letters stand
	line   bool  // row is its own, else that of the text before
	row    int   // texts of one stand side by side
	xs     []int // in eighths of a pixel
}

// Bounds of places in pictures.
const (
	maxSpots = 256 // letters of a text with a place of their own
	perPixel = 8
	perRow   = 4 // pixels within which texts are on one line
)

// holdsText are the elements of a picture in which texts stand.
var holdsText = map[string]bool{"svg": true, "g": true, "a": true, "text": true, "tspan": true, "switch": true, "symbol": true, "defs": true}

// spotOf reads the places x and y of an element of a picture.
func spotOf(element, x, y string) spot {
	s := spot{inside: holdsText[element]}
	if element != "text" && (element != "tspan" || x == "") {
		return s
	}
	s.told, s.line = true, element == "text" || y != ""
	s.row = int(math.Round(max(-1e6, min(measure(strings.TrimSpace(y)), 1e6)) / perRow))
	for _, v := range strings.FieldsFunc(x, func(r rune) bool { return strings.ContainsRune(" ,\t\r\n", r) }) {
		if len(s.xs) < maxSpots {
			s.xs = append(s.xs, int(max(-1e6, min(measure(v), 1e6))*perPixel))
		}
	}
	if len(s.xs) == 0 {
		s.xs = []int{0}
	}
	return s
}

// glyphs puts the letters of a text in the order in which they are seen.
func (p *onPage) glyphs(e *shownElement) {
	if len(e.spot.xs) < 2 || e.lines != p.lines || e.from > len(p.text) {
		return
	}
	type letter struct {
		x int
		r rune
	}
	var all []letter
	for i, r := range []rune(string(p.text[e.from:])) {
		all = append(all, letter{e.spot.xs[min(i, len(e.spot.xs)-1)], r})
	}
	if slices.IsSortedFunc(all, func(a, b letter) int { return a.x - b.x }) {
		return
	}
	slices.SortStableFunc(all, func(a, b letter) int { return a.x - b.x })
	p.text = p.text[:e.from]
	for _, l := range all {
		p.text = append(p.text, string(l.r)...)
	}
	p.other = true
}
