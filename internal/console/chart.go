package console

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// series is one kind of bar of a chart.
type series struct {
	Name, Class string // Class is of stanch.css
	N           []int64
}

// Size of a chart of days, in the units of its viewBox.
const (
	chartWide  = 760
	chartLeft  = 44
	chartRight = 8
)

// band is one scale of a chart of days.
type band struct {
	title  string
	top    float64 // of the bars
	bottom float64
	of     []series
}

// flowChart draws days: what passed on a scale of its own, for it is many times
// what was held. The same figures follow it as a table.
func flowChart(say string, days []string, passed series, others []series) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d 274" role="img" aria-label="%s">`, chartWide, template.HTMLEscapeString(say))
	for _, x := range []band{{"Passed unchanged, messages and files a day", 20, 100, []series{passed}}, {listed(namesOf(others)) + " a day", 142, 250, others}} {
		x.draw(&b, len(days))
	}
	step := max(1, (len(days)+7)/8)
	for i := 0; i < len(days); i += step {
		fmt.Fprintf(&b, `<text x="%.1f" y="268" text-anchor="middle">%s</text>`, slot(i, len(days))+slotWide(len(days))/2, template.HTMLEscapeString(days[i]))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func namesOf(ss []series) []string {
	var out []string
	for i, s := range ss {
		if i > 0 {
			s.Name = strings.ToLower(s.Name)
		}
		out = append(out, s.Name)
	}
	return out
}

func slotWide(days int) float64 {
	return float64(chartWide-chartLeft-chartRight) / float64(max(days, 1))
}
func slot(i, days int) float64 { return chartLeft + float64(i)*slotWide(days) }

func (x band) draw(b *strings.Builder, days int) {
	var most int64
	for _, s := range x.of {
		for _, n := range s.N {
			most = max(most, n)
		}
	}
	each := stepOf(most)
	top := max(each, (most+each-1)/each*each)
	y := func(n int64) float64 { return x.bottom - float64(n)*(x.bottom-x.top)/float64(top) }
	fmt.Fprintf(b, `<text x="0" y="%.1f">%s</text>`, x.top-8, template.HTMLEscapeString(x.title))
	for n := int64(0); n <= top; n += each {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, chartLeft, chartWide-chartRight, y(n), y(n), chartLeft-6, y(n)+4, grouped(n))
	}
	wide := slotWide(days) * 0.8 / float64(len(x.of))
	for i := range days {
		for k, s := range x.of {
			if s.N[i] > 0 {
				fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1"/>`, s.Class, slot(i, days)+slotWide(days)*0.1+float64(k)*wide, y(s.N[i]), wide*0.95, x.bottom-y(s.N[i]))
			}
		}
	}
}

// stepOf is a round distance between lines, of which most is two to five.
func stepOf(most int64) int64 {
	if most < 4 {
		return 1
	}
	raw := float64(most) / 4
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, k := range []float64{1, 2, 5, 10} {
		if raw <= k*unit {
			return int64(k * unit)
		}
	}
	return int64(10 * unit)
}

// bar is one line of a chart that lies.
type bar struct {
	Name  string
	N     int64
	Class string
}

// barChart draws one bar below the other.
func barChart(say string, bars []bar) template.HTML { return barsFrom(96, say, bars) }

// wideBarChart is barChart for long names; what is longer still is cut.
func wideBarChart(say string, bars []bar) template.HTML {
	bars = slices.Clone(bars)
	for i := range bars {
		if name := []rune(bars[i].Name); len(name) > 28 {
			bars[i].Name = string(name[:27]) + "…"
		}
	}
	return barsFrom(210, say, bars)
}

// barsFrom draws bars that begin at left, and end before the numbers behind them.
func barsFrom(left int, say string, bars []bar) template.HTML {
	var most int64 = 1
	for _, x := range bars {
		most = max(most, x.N)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart chart-small" viewBox="0 0 520 %d" role="img" aria-label="%s">`, 26*len(bars)+6, template.HTMLEscapeString(say))
	for i, x := range bars {
		y, wide := 6+26*i, float64(x.N)*float64(470-left)/float64(most)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="15" rx="2"/><text x="%.1f" y="%d">%s</text>`,
			left-8, y+11, template.HTMLEscapeString(x.Name), x.Class, left, y, wide, float64(left)+6+wide, y+12, grouped(x.N))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// meter draws a share of a hundred; the number stands beside it.
func meter(share float64) template.HTML {
	class := "bar-own"
	if share < 0.8 {
		class = "bar-held"
	}
	return template.HTML(fmt.Sprintf(`<svg class="meterbar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="bar-track" width="100" height="8" rx="2"/><rect class="%s" width="%.1f" height="8" rx="2"/></svg>`,
		class, 100*min(max(share, 0), 1)))
}

// grouped writes 12345 as "12,345".
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// likely is the range in which a share lies, right of all being seen, in 95 of 100
// cases: the Wilson score interval.
func likely(right, all int64) (low, high float64) {
	if all == 0 {
		return 0, 1
	}
	const z = 1.96
	n, p := float64(all), float64(right)/float64(all)
	mid, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, (mid-half)/(1+z*z/n)), min(1, (mid+half)/(1+z*z/n))
}
