// Package layout puts texts that are drawn each at its place together into the
// lines that are seen: pieces of a word joined, words apart where there is room,
// a tab between columns.
package layout

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Matrix maps points: x' = A·x + C·y + E, y' = B·x + D·y + F.
type Matrix struct{ A, B, C, D, E, F float64 }

// Identity maps each point to itself.
func Identity() Matrix { return Matrix{A: 1, D: 1} }

// Apply returns where m maps a point to.
func (m Matrix) Apply(x, y float64) (float64, float64) {
	return m.A*x + m.C*y + m.E, m.B*x + m.D*y + m.F
}

// Then is m followed by n.
func (m Matrix) Then(n Matrix) Matrix {
	return Matrix{
		A: m.A*n.A + m.B*n.C, B: m.A*n.B + m.B*n.D,
		C: m.C*n.A + m.D*n.C, D: m.C*n.B + m.D*n.D,
		E: m.E*n.A + m.F*n.C + n.E, F: m.E*n.B + m.F*n.D + n.F,
	}
}

// Usable reports a matrix that maps no two points to one, and none to nowhere.
func (m Matrix) Usable() bool {
	det := m.A*m.D - m.B*m.C
	return finite(m.A, m.B, m.C, m.D, m.E, m.F, det) && det != 0
}

func finite(all ...float64) bool {
	return !slices.ContainsFunc(all, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// Piece is one text as it was drawn, in a frame whose first axis runs along
// its line.
type Piece struct {
	Text string
	N    int // in the order of drawing

	angle  int // of the line, in steps of five degrees
	along  float64
	across float64 // grows downwards
	width  float64
	height float64
	lost   bool // it has no place
}

// shares of a text's height.
const (
	letter   = 0.5  // the width of a letter, where none is given
	sameLine = 0.35 // how far lines may be apart to be one
	wordGap  = 0.14
	cellGap  = 1.2
	shadow   = 0.12 // the same text this near is drawn for its effect
)

// Place makes a piece, still without its text, that begins at a point and runs
// along a direction for a width, all as they are shown.
func Place(x, y, dx, dy, width, height float64) Piece {
	angle := math.Atan2(dy, dx)
	step := math.Round(angle / (math.Pi / 36))
	sin, cos := math.Sincos(step * math.Pi / 36)
	p := Piece{angle: int(step), along: x*cos + y*sin, across: y*cos - x*sin, width: width, height: max(height, 1e-6)}
	if !finite(p.along, p.across, p.width, p.height, angle) {
		return Piece{lost: true}
	}
	return p
}

// Lost reports a piece that has no place.
func (p Piece) Lost() bool { return p.lost }

// Lines joins pieces into the lines that are seen, the top one first; texts
// that stand at another angle come after those that do not, and at last those
// that have no place: a line each, letters that follow each other together.
func Lines(all []Piece) []string {
	var lost []Piece
	all = slices.DeleteFunc(all, func(p Piece) bool {
		if p.lost {
			lost = append(lost, p)
		}
		return p.lost
	})
	slices.SortFunc(all, func(p, q Piece) int {
		return cmp.Or(cmp.Compare(abs(p.angle), abs(q.angle)), cmp.Compare(p.angle, q.angle), cmp.Compare(p.across, q.across), cmp.Compare(p.N, q.N))
	})
	var out []string
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].angle == all[0].angle && all[n].across-all[n-1].across <= sameLine*min(all[n].height, all[n-1].height) {
			n++
		}
		if s := line(all[:n]); s != "" {
			out = append(out, s)
		}
		all = all[n:]
	}
	return append(out, unplaced(lost)...)
}

func unplaced(lost []Piece) (out []string) {
	var b strings.Builder
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			out = append(out, s)
		}
		b.Reset()
	}
	for _, p := range lost {
		one := utf8.RuneCountInString(p.Text) == 1
		if !one {
			end()
		}
		if b.WriteString(p.Text); !one {
			end()
		}
	}
	end()
	return out
}

func abs(n int) int { return max(n, -n) }

// line joins the pieces of one line.
func line(p []Piece) string {
	slices.SortFunc(p, func(p, q Piece) int {
		return cmp.Or(cmp.Compare(p.along, q.along), cmp.Compare(p.N, q.N))
	})
	var b strings.Builder
	end, blank := math.Inf(-1), true
	for i, s := range p {
		if i > 0 && s.Text == p[i-1].Text && s.along-p[i-1].along < shadow*s.height {
			continue
		}
		switch gap := s.along - end; {
		case i == 0:
		case gap > cellGap*s.height:
			b.WriteByte('\t')
		case gap > wordGap*s.height && !blank && !strings.HasPrefix(s.Text, " "):
			b.WriteByte(' ')
		}
		b.WriteString(s.Text)
		blank = strings.HasSuffix(s.Text, " ")
		end = max(end, s.along+s.width)
	}
	return strings.TrimSpace(b.String())
}

// Wide is how wide a text is, where nothing says.
func Wide(text string, height float64) float64 {
	return float64(utf8.RuneCountInString(text)) * letter * height
}
