package formats

import (
	"bytes"
	"path"
	"strings"
)

// rootChooser waits for the first element, which says what a part is.
type rootChooser struct {
	d    *officeDoc
	rels bool
	file string
	h    xmlHandler
}

func (c *rootChooser) start(name string, a attrs) {
	if c.h == nil && strings.HasPrefix(c.file, "visio/") && !c.rels && !strings.HasPrefix(c.file, "visio/theme") && !strings.HasPrefix(c.file, "visio/solutions") {
		c.h = &visioPart{d: c.d}
	}
	if c.h == nil {
		switch name {
		case "worksheet", "dialogsheet", "macrosheet":
			c.h = newSheet(c.d, c.file)
		case "styleSheet":
			c.h = &quiet{} // not in use: the one in use was read before the sheets
		case "Types", "theme", "fonts", "webSettings", "presProps", "viewProps", "tblStyleLst", "calcChain":
			c.h = &named{d: c.d} // names that people give, no text
		case "settings", "styles":
			c.h = &wordSettings{named: named{d: c.d}}
		case "numbering":
			c.h = &numbering{d: c.d}
		case "Relationships":
			c.h = &links{d: c.d}
		case "FixedPage":
			c.h = &fixedPage{d: c.d}
		default:
			dir, _ := path.Split(strings.ToLower(c.file))
			if sheet := c.d.wb.names[c.file]; sheet != "" && name == "chartsheet" {
				c.d.line([]byte(sheet))
			}
			w := &wordText{d: c.d, list: newListText(c.d.lists[dir]), data: strings.HasPrefix(c.file, "customXml/") || strings.HasPrefix(c.file, "visio/solutions")}
			if strings.HasPrefix(dir, "ppt/") {
				w.marks = &slideLists{}
			}
			c.h = w
		}
	}
	c.h.start(name, a)
}

func (c *rootChooser) end(name string) {
	if c.h != nil {
		c.h.end(name)
	}
}

func (c *rootChooser) text(b []byte) {
	if c.h != nil {
		c.h.text(b)
	}
}

func (c *rootChooser) finish() {
	if h, ok := c.h.(officeHandler); ok {
		h.finish()
	}
}

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

// wordSettings writes what the settings of a document keep for it: its variables,
// and what a mail merge asks of whom; and of its styles the names that people gave.
//
// Source: ECMA-376-1 17.15.1.31, 17.14, 17.7.4.9.
type wordSettings struct {
	named
	custom bool // the style at hand
}

func (s *wordSettings) start(name string, a attrs) {
	switch v := a.get("val"); {
	case name == "style":
		c := a.get("customStyle")
		s.custom = c == "1" || c == "true"
	case v == "":
	case name == "name" && s.custom:
		s.custom = false
		s.d.line([]byte(v))
	case name == "docVar":
		s.d.line([]byte(a.get("name") + ": " + v))
	case name == "connectString", name == "query", name == "mailSubject", name == "addressFieldName", name == "udl":
		s.d.line([]byte(v))
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
