package formats

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/stanch-dlp/stanch/internal/extract/listnum"
)

// Bounds of the counters of a page.
const (
	maxCounters = 256     // at a time
	maxCount    = 1 << 30 // either way
	plainCount  = 99      // up to which the numbers of a list that only counts say nothing
)

// What styles say of counters stands in a text between these: its parts are parted
// by the second.
const (
	countMark = "\x00"
	countPart = "\x01"
)

// counter is one that is in force, as long as the element that it began in is open.
//
// Source: CSS Lists and Counters 3, 4.
type counter struct {
	name  string
	value int
	depth int  // of that element
	step  int  // of a list, from one item to the next
	told  bool // the page itself says where it is
}

const listItem = "list-item" // the counter of lists. CSS Lists 3, 4.6

// tagAttrs are the attributes by which a page is laid out.
type tagAttrs struct {
	class, id, style, x, y string
	start, value, kind     string // of lists
	hidden, reversed       bool
	all                    map[string]string // where styles show some
}

func (t *tagAttrs) note(a atom.Atom, k string, v []byte) {
	switch k {
	case "class":
		t.class = string(v)
	case "id":
		t.id = string(v)
	case "style":
		t.style = string(v)
	case "x":
		t.x = string(v)
	case "y":
		t.y = string(v)
	case "start":
		t.start = string(v)
	case "value":
		t.value = string(v)
	case "type":
		t.kind = string(v)
	case "reversed":
		t.reversed = true
	case "hidden":
		t.hidden = true
	case "open":
		t.hidden = t.hidden && a != atom.Dialog // one that is open is shown
	}
	if t.all != nil {
		t.all[k] = string(v[:min(len(v), maxContent)])
	}
}

// listed adds to the look of a list, or of its items, what its attributes say.
// HTML 4.4.5, 4.4.8.
func (l *look) listed(a atom.Atom, t *tagAttrs) {
	switch a {
	case atom.Ol:
		if l.marker == "" {
			l.marker = map[string]string{"a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman", "I": "upper-roman"}[t.kind]
		}
		if l.marker == "" {
			l.marker = "decimal"
		}
		step := 1
		if t.reversed {
			step = -1
		}
		n, err := strconv.Atoi(strings.TrimSpace(t.start))
		if err != nil && t.reversed { // it begins with as many as it has
			l.marker = "none"
		}
		start := 0
		if err == nil {
			start = max(-maxCount, min(n, maxCount)) - step
		}
		l.count = counting("list", listItem, strconv.Itoa(start), strconv.Itoa(step), strconv.FormatBool(err == nil)) + l.count
	case atom.Ul, atom.Menu, atom.Dir:
		if l.marker == "" {
			l.marker = "disc"
		}
		l.count = counting("list", listItem, "0", "1", "false") + l.count
	case atom.Li:
		l.count = counting("item") + l.count
		if n, err := strconv.Atoi(strings.TrimSpace(t.value)); err == nil {
			l.count += counting("counter-set", listItem, strconv.Itoa(n))
		}
	}
}

// counting writes what is to be done with a counter.
func counting(parts ...string) string { return countMark + strings.Join(parts, countPart) + countMark }

// countersOf reads the value of counter-reset, counter-set or counter-increment.
func countersOf(property, v string) string {
	var out strings.Builder
	f := strings.Fields(unmarked(v))
	for i := 0; i < len(f) && out.Len() < maxContent; i++ {
		if f[i] == "none" {
			return counting("none")
		}
		n := "0"
		if property == "counter-increment" {
			n = "1"
		}
		name := f[i]
		if i+1 < len(f) {
			if _, err := strconv.Atoi(f[i+1]); err == nil {
				i++
				n = f[i]
			}
		}
		out.WriteString(counting(property, name, n))
	}
	return out.String()
}

// cssContent returns the strings of a value, joined, with marks for the counters and
// attributes between them. CSS Generated Content 2; CSS Syntax 4.3.5, 4.3.7.
func cssContent(v string) string {
	var out strings.Builder
	v = unmarked(v)
	for len(v) > 0 {
		i := strings.IndexAny(v, `"'(`)
		if i < 0 {
			break
		}
		if v[i] != '(' {
			text, rest, ok := strings.Cut(v[i+1:], v[i:i+1])
			if !ok {
				break
			}
			out.WriteString(cssText(text))
			v = rest
			continue
		}
		name := v[:i]
		if k := strings.LastIndexFunc(name, func(r rune) bool { return r != '-' && (r|0x20 < 'a' || r|0x20 > 'z') }); k >= 0 {
			name = name[k+1:]
		}
		args, rest := cssArgs(v[i+1:])
		v = rest
		switch name = strings.ToLower(name); {
		case len(args) == 0 || args[0] == "":
		case name == "attr":
			out.WriteString(counting("attr", strings.ToLower(strings.Fields(args[0])[0])))
		case name == "counter", name == "counters":
			args[0] = strings.ToLower(args[0])
			out.WriteString(counting(append([]string{name}, args...)...))
		}
	}
	return validString(out.String())
}

// unmarked returns text of a page without what stands around counters.
func unmarked(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, countMark, "\ufffd"), countPart, "\ufffd")
}

// cssArgs returns the arguments of a function, up to four, and what follows it.
func cssArgs(v string) (args []string, rest string) {
	var arg strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '"', '\'':
			text, _, _ := strings.Cut(v[i+1:], v[i:i+1])
			arg.WriteString(cssText(text))
			i += len(text) + 1
		case ',', ')':
			if len(args) < 4 {
				args = append(args, arg.String())
			}
			arg.Reset()
			if c == ')' {
				return args, v[i+1:]
			}
		case ' ', '\t', '\r', '\n', '\f':
			if s := arg.String(); s != "" && i+1 < len(v) && !strings.ContainsRune(" \t\r\n\f,)", rune(v[i+1])) {
				arg.WriteByte(' ')
			}
		default:
			arg.WriteByte(c)
		}
	}
	return nil, ""
}

// cssText resolves the escapes of a string.
func cssText(s string) string {
	return cssEscape().ReplaceAllStringFunc(s, func(m string) string {
		n, _ := strconv.ParseUint(strings.TrimSpace(m[1:]), 16, 32) // the expression lets nothing else through
		return unmarked(string(rune(n)))
	})
}

// withAttributes puts into content what it shows of an element's attributes.
func withAttributes(s string, all map[string]string) string {
	if !strings.Contains(s, countMark+"attr"+countPart) {
		return s
	}
	parts := strings.Split(s, countMark)
	for i := 1; i < len(parts); i += 2 {
		if name, ok := strings.CutPrefix(parts[i], "attr"+countPart); ok {
			parts[i] = "text" + countPart + unmarked(all[name])
		}
	}
	return strings.Join(parts, countMark)
}

// counted does with counters what s says, and returns what it shows. depth is the
// element's to which they belong.
func (p *onPage) counted(s string, depth int) string {
	if !strings.Contains(s, countMark) {
		return s
	}
	parts := strings.Split(s, countMark)
	var out strings.Builder
	for i, part := range parts {
		if i%2 == 0 {
			out.WriteString(part)
			continue
		}
		if out.Len() < maxContents {
			out.WriteString(p.countOne(strings.Split(part, countPart), depth))
		}
	}
	return out.String()
}

func (p *onPage) countOne(f []string, depth int) string {
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	n, _ := strconv.Atoi(arg(2)) // checked when it was written
	n = max(-maxCount, min(n, maxCount))
	switch f[0] {
	case "text":
		return arg(1)
	case "counter":
		if c := p.counter(arg(1)); c != nil {
			return counterText(c.value, arg(2))
		}
		return counterText(0, arg(2))
	case "counters":
		var all []string
		for i := range p.counters {
			if p.counters[i].name == arg(1) {
				all = append(all, counterText(p.counters[i].value, arg(3)))
			}
		}
		return strings.Join(all, arg(2))
	case "list", "counter-reset":
		p.reset(counter{name: arg(1), value: n, depth: depth, step: 1, told: f[0] == "counter-reset" || arg(4) == "true"}, arg(3) == "-1")
	case "counter-set":
		if c := p.set(arg(1), depth); c != nil {
			c.value, c.told = n, true
		}
	case "counter-increment":
		if c := p.set(arg(1), depth); c != nil {
			c.value, c.told = max(-maxCount, min(c.value+n, maxCount)), true
		}
	case "item":
		if c := p.set(listItem, depth); c != nil {
			c.value = max(-maxCount, min(c.value+c.step, maxCount))
		}
	}
	return ""
}

// counter returns the innermost of a name, nil for none.
func (p *onPage) counter(name string) *counter {
	for i := len(p.counters) - 1; i >= 0; i-- {
		if p.counters[i].name == name {
			return &p.counters[i]
		}
	}
	return nil
}

// set returns the counter of a name, which begins where there is none.
func (p *onPage) set(name string, depth int) *counter {
	if p.counter(name) == nil {
		p.reset(counter{name: name, depth: depth, step: 1}, false)
	}
	return p.counter(name)
}

// reset begins a counter, or the one that a sibling began anew.
func (p *onPage) reset(c counter, down bool) {
	if down {
		c.step = -1
	}
	if was := p.counter(c.name); was != nil && was.depth == c.depth {
		*was = c
		return
	}
	if len(p.counters) >= maxCounters {
		p.over = true
		return
	}
	p.counters = append(p.counters, c)
}

// uncount ends the counters that began within the element which ended.
func (p *onPage) uncount() {
	for n := len(p.counters); n > 0 && p.counters[n-1].depth > len(p.open.all); n-- {
		p.counters = p.counters[:n-1]
	}
}

// markItem writes the number before an item of a list, where it says more than
// which of a few it is.
func (p *onPage) markItem(e *shownElement) {
	if e.item != "" {
		p.content(e.item)
		return
	}
	c := p.counter(listItem)
	if c == nil || !c.told && c.value <= plainCount || e.inline || e.row || !strings.HasPrefix(e.marker, "decimal") {
		return
	}
	p.content(counterText(c.value, e.marker) + ".")
	p.space = true
}

// counterText writes the value of a counter. CSS Counter Styles 6.
func counterText(n int, style string) string {
	format := uint8(0)
	switch style {
	case "upper-roman":
		format = 1
	case "lower-roman":
		format = 2
	case "upper-alpha", "upper-latin":
		format = 3
	case "lower-alpha", "lower-latin":
		format = 4
	case "decimal-leading-zero":
		format = listnum.TwoDigits
	case "none", "disc", "circle", "square", "disclosure-open", "disclosure-closed":
		return ""
	}
	return listnum.Number(int32(n), format)
}

// markerOf returns the kind of list item that list-style or list-style-type names.
func markerOf(v string) string {
	for _, f := range strings.Fields(v) {
		switch f {
		case "none", "decimal", "decimal-leading-zero", "disc", "circle", "square", "lower-alpha", "upper-alpha", "lower-latin", "upper-latin", "lower-roman", "upper-roman":
			return f
		}
	}
	return ""
}

// showsAttributes reports a style sheet that shows attributes of elements.
func showsAttributes(b []byte) bool { return bytes.Contains(bytes.ToLower(b), []byte("attr(")) }
