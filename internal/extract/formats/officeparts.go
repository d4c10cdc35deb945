package formats

import (
	"bytes"
	"strings"
)

// quiet drops all.
type quiet struct{}

func (*quiet) start(string, attrs) {}
func (*quiet) end(string)          {}
func (*quiet) text([]byte)         {}

// named writes what stands as text between tags, and nothing of the tags.
type named struct {
	quiet
	d *officeDoc
}

func (n *named) text(b []byte) {
	if t := bytes.TrimSpace(b); len(t) > 0 {
		n.d.line(t)
	}
}

// links writes the targets outside the package.
type links struct {
	quiet
	d *officeDoc
}

func (l *links) start(name string, a attrs) {
	if name == "Relationship" && strings.EqualFold(a.get("TargetMode"), "External") {
		l.d.line([]byte(a.get("Target")))
	}
}

// numbering tells the words that stand before a list's paragraphs, each level's
// with the number it begins at; levels of numbers alone say nothing.
//
// Source: ECMA-376-1 17.9.6, 17.9.11, 17.9.25.
type numbering struct {
	quiet
	d      *officeDoc
	starts [9]string // by level, of the list at hand
	level  int
}

func (n *numbering) start(name string, a attrs) {
	switch name {
	case "abstractNum", "lvlOverride":
		n.starts = [9]string{}
	case "lvl":
		n.level = 0
		if v := a.get("ilvl"); len(v) == 1 && v[0] >= '0' && v[0] <= '8' {
			n.level = int(v[0] - '0')
		}
	case "start", "startOverride":
		n.starts[n.level] = a.get("val")
	case "name", "styleLink", "numStyleLink":
		n.line(a.get("val"))
	case "lvlText":
		v := a.get("val")
		literal := v
		for i := range n.starts {
			place := "%" + string(rune('1'+i))
			literal = strings.ReplaceAll(literal, place, "")
			v = strings.ReplaceAll(v, place, n.starts[i])
		}
		if says(literal) {
			n.line(v)
		}
	}
}

func (n *numbering) line(s string) {
	if s != "" {
		n.d.line([]byte(s))
	}
}
