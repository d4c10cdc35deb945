package metafile

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// matrix maps points: x' = a·x + c·y + e, y' = b·x + d·y + f.
type matrix struct{ a, b, c, d, e, f float64 }

var identity = matrix{a: 1, d: 1}

func (m matrix) apply(x, y float64) (float64, float64) {
	return m.a*x + m.c*y + m.e, m.b*x + m.d*y + m.f
}

// then is m followed by n.
func (m matrix) then(n matrix) matrix {
	return matrix{
		a: m.a*n.a + m.b*n.c, b: m.a*n.b + m.b*n.d,
		c: m.c*n.a + m.d*n.c, d: m.c*n.b + m.d*n.d,
		e: m.e*n.a + m.f*n.c + n.e, f: m.e*n.b + m.f*n.d + n.f,
	}
}

// usable reports a matrix that maps no two points to one, and none to nowhere.
func (m matrix) usable() bool {
	det := m.a*m.d - m.b*m.c
	return finite(m.a, m.b, m.c, m.d, m.e, m.f, det) && det != 0
}

func finite(all ...float64) bool {
	return !slices.ContainsFunc(all, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// piece is one text as it was drawn, in a frame whose first axis runs along
// its line.
type piece struct {
	text   string
	angle  int // of the line, in steps of five degrees
	along  float64
	across float64 // grows downwards
	width  float64
	height float64
	n      int  // in the order of drawing
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

// place makes a piece, still without its text, that begins at a point and runs
// along a direction for a width, all as they are shown.
func place(x, y, dx, dy, width, height float64) piece {
	angle := math.Atan2(dy, dx)
	step := math.Round(angle / (math.Pi / 36))
	sin, cos := math.Sincos(step * math.Pi / 36)
	p := piece{angle: int(step), along: x*cos + y*sin, across: y*cos - x*sin, width: width, height: max(height, 1e-6)}
	if !finite(p.along, p.across, p.width, p.height, angle) {
		return piece{lost: true}
	}
	return p
}

// lines joins pieces into the lines that are seen, the top one first; texts
// that stand at another angle come after those that do not, and at last those
// that have no place: a line each, letters that follow each other together.
func lines(all []piece) []string {
	var lost []piece
	all = slices.DeleteFunc(all, func(p piece) bool {
		if p.lost {
			lost = append(lost, p)
		}
		return p.lost
	})
	slices.SortFunc(all, func(p, q piece) int {
		return cmp.Or(cmp.Compare(abs(p.angle), abs(q.angle)), cmp.Compare(p.angle, q.angle), cmp.Compare(p.across, q.across), cmp.Compare(p.n, q.n))
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

func unplaced(lost []piece) (out []string) {
	var b strings.Builder
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			out = append(out, s)
		}
		b.Reset()
	}
	for _, p := range lost {
		one := utf8.RuneCountInString(p.text) == 1
		if !one {
			end()
		}
		if b.WriteString(p.text); !one {
			end()
		}
	}
	end()
	return out
}

func abs(n int) int { return max(n, -n) }

// line joins the pieces of one line.
func line(p []piece) string {
	slices.SortFunc(p, func(p, q piece) int {
		return cmp.Or(cmp.Compare(p.along, q.along), cmp.Compare(p.n, q.n))
	})
	var b strings.Builder
	end, blank := math.Inf(-1), true
	for i, s := range p {
		if i > 0 && s.text == p[i-1].text && s.along-p[i-1].along < shadow*s.height {
			continue
		}
		switch gap := s.along - end; {
		case i == 0:
		case gap > cellGap*s.height:
			b.WriteByte('\t')
		case gap > wordGap*s.height && !blank && !strings.HasPrefix(s.text, " "):
			b.WriteByte(' ')
		}
		b.WriteString(s.text)
		blank = strings.HasSuffix(s.text, " ")
		end = max(end, s.along+s.width)
	}
	return strings.TrimSpace(b.String())
}

// wide is how wide a text is, where nothing says.
func wide(text string, height float64) float64 {
	return float64(utf8.RuneCountInString(text)) * letter * height
}
