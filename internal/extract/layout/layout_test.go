package layout_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/layout"
)

// at makes a text that runs to the right, ten high, five a letter.
func at(n int, x, y float64, text string) layout.Piece {
	p := layout.Place(x, y, 1, 0, 5*float64(len(text)), 10)
	p.Text, p.N = text, n
	return p
}

func TestLines(t *testing.T) {
	turned := layout.Place(0, 0, 0, 1, 20, 10)
	turned.Text = "turned"
	lost := func(s string) layout.Piece {
		p := layout.Place(math.NaN(), 0, 1, 0, 1, 1)
		p.Text = s
		return p
	}
	for _, c := range []struct {
		name string
		all  []layout.Piece
		want []string
	}{
		{"nothing", nil, nil},
		{"pieces of a word, out of order", []layout.Piece{at(0, 15, 0, "-22-8145"), at(1, 0, 0, "536")}, []string{"536-22-8145"}},
		{"words", []layout.Piece{at(0, 0, 0, "SSN"), at(1, 18, 0, "536")}, []string{"SSN 536"}},
		{"a blank that is drawn", []layout.Piece{at(0, 0, 0, "SSN "), at(1, 22, 0, "536")}, []string{"SSN 536"}},
		{"columns", []layout.Piece{at(0, 0, 0, "Name"), at(1, 100, 0, "MRN")}, []string{"Name\tMRN"}},
		{"lines, the lower one first", []layout.Piece{at(0, 0, 20, "below"), at(1, 0, 0, "above")}, []string{"above", "below"}},
		{"a little raised", []layout.Piece{at(0, 0, 0, "H"), at(1, 5, 2, "2"), at(2, 10, 0, "O")}, []string{"H2O"}},
		{"a shadow", []layout.Piece{at(0, 0, 0, "536"), at(1, 1, 0, "536")}, []string{"536"}},
		{"another angle comes after", []layout.Piece{turned, at(0, 0, 50, "level")}, []string{"level", "turned"}},
		{"no place: letters together", []layout.Piece{lost("a"), lost("b"), lost("cd"), at(0, 0, 0, "seen")}, []string{"seen", "ab", "cd"}},
	} {
		if got := layout.Lines(c.all); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMatrix(t *testing.T) {
	move, scale := layout.Matrix{A: 1, D: 1, E: 3, F: 4}, layout.Matrix{A: 2, D: -2}
	if x, y := move.Then(scale).Apply(1, 1); x != 8 || y != -10 {
		t.Errorf("moved and then scaled: %v %v", x, y)
	}
	if x, y := scale.Then(move).Apply(1, 1); x != 5 || y != 2 {
		t.Errorf("scaled and then moved: %v %v", x, y)
	}
	for name, c := range map[string]struct {
		m    layout.Matrix
		want bool
	}{
		"identity": {layout.Identity(), true}, "flat": {layout.Matrix{A: 1}, false},
		"no number": {layout.Matrix{A: 1, D: math.NaN()}, false}, "without end": {layout.Matrix{A: 1, D: math.Inf(1)}, false},
	} {
		if got := c.m.Usable(); got != c.want {
			t.Errorf("%s: usable %v, want %v", name, got, c.want)
		}
	}
}
