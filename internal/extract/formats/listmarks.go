package formats

import (
	"archive/zip"
	"errors"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/listnum"
)

// itemMarks follows the lists of a text and tells what stands before its paragraphs.
type itemMarks interface {
	start(name string, a attrs) (number string, joined bool) // "" for nothing
	end(name string)
}

// slideLists counts the numbered paragraphs of slides, text by text. What layouts and
// masters number is not followed.
//
// Source: ECMA-376-1 21.1.2.4.1, 21.1.2.2.7, 20.1.10.61.
type slideLists struct {
	style  [listnum.Levels]slideMark // of the text, by level
	counts [listnum.Levels]slideCount
	inList bool // the style of a text is at hand
	of     *slideMark
	par    slideMark
	depth  uint8
	begun  bool // a paragraph whose text has not begun
}

// slideMark is how a paragraph is numbered; without a kind it is not, or as its text.
type slideMark struct {
	said  bool
	kind  string
	start int32
}

type slideCount struct {
	mark slideMark
	n    int32
}

func (s *slideLists) start(name string, a attrs) (number string, joined bool) {
	switch name {
	case "txBody":
		*s = slideLists{}
	case "lstStyle":
		s.inList = true
	case "p":
		s.par, s.depth, s.begun, s.of = slideMark{}, 0, true, nil
	case "pPr":
		s.depth, s.of = listDepth(a.get("lvl")), &s.par
	case "buAutoNum":
		if s.of != nil {
			*s.of = slideMark{true, strings.Clone(a.get("type")), 1}
			if n := listNumber(a.get("startAt")); n > 0 {
				s.of.start = n
			}
		}
	case "buNone", "buChar", "buBlip":
		if s.of != nil {
			*s.of = slideMark{said: true}
		}
	case "r", "fld":
		if s.begun && !s.inList {
			s.begun = false
			return s.next(), false
		}
	default:
		if level, ok := strings.CutPrefix(name, "lvl"); ok && s.inList && strings.HasSuffix(level, "pPr") && level[0] >= '1' && level[0] <= '9' {
			s.of = &s.style[level[0]-'1']
		}
	}
	return "", false
}

func (s *slideLists) end(name string) {
	switch name {
	case "lstStyle":
		s.inList, s.of = false, nil
	case "pPr":
		s.of = nil
	}
}

// next counts the paragraph at hand.
func (s *slideLists) next() string {
	mark := s.par
	if !mark.said {
		mark = s.style[s.depth]
	}
	c := &s.counts[s.depth]
	switch {
	case mark.kind == "":
		*c = slideCount{}
	case c.mark == mark:
		c.n++
	default:
		*c = slideCount{mark, mark.start}
	}
	clear(s.counts[s.depth+1:])
	if mark.kind == "" {
		return ""
	}
	format := uint8(0)
	for prefix, f := range map[string]uint8{"romanUc": 1, "romanLc": 2, "alphaUc": 3, "alphaLc": 4} {
		if strings.HasPrefix(mark.kind, prefix) {
			format = f
		}
	}
	number := listnum.Number(c.n, format)
	switch {
	case strings.HasSuffix(mark.kind, "ParenBoth"):
		return "(" + number + ")"
	case strings.HasSuffix(mark.kind, "ParenR"):
		return number + ")"
	case strings.HasSuffix(mark.kind, "Period"):
		return number + "."
	case strings.HasSuffix(mark.kind, "Minus"):
		return number + "-"
	}
	return number
}

// odfStyles are the styles of lists of an OpenDocument file.
//
// Source: OpenDocument 1.3 part 3, 16.30 to 16.35, 19.880, 19.797.
type odfStyles struct {
	listnum.Lists
	ids   map[string]int32
	level *listnum.Level // at hand
	list  int32
}

const odfOutline = "\x00outline" // the style of headings, which has no name

func newODFStyles() *odfStyles {
	return &odfStyles{Lists: listnum.Lists{Levels: map[int32][]listnum.Level{}, Uses: map[int32]listnum.Use{}}, ids: map[string]int32{}, list: -1}
}

func (s *odfStyles) start(name string, a attrs) {
	switch name {
	case "list-style", "outline-style":
		key := strings.Clone(a.get("name"))
		if name == "outline-style" {
			key = odfOutline
		}
		id, ok := s.ids[key]
		if !ok {
			id = int32(len(s.ids))
		}
		if s.list = -1; id < maxLists {
			s.list, s.ids[key] = id, id
			s.Levels[s.list] = make([]listnum.Level, listnum.Levels)
			s.Uses[s.list] = listnum.Use{List: s.list}
		}
	case "list-level-style-number", "outline-level-style", "list-level-style-bullet", "list-level-style-image":
		n := listNumber(a.get("level"))
		levels := s.Levels[s.list]
		if levels == nil || n < 1 || n > listnum.Levels {
			return
		}
		lv := &levels[n-1]
		*lv = listnum.Level{Start: 1, Format: listnum.Bullet}
		s.level = lv
		if name != "list-level-style-number" && name != "outline-level-style" {
			return
		}
		if v := a.get("start-value"); v != "" {
			lv.Start = listNumber(v)
		}
		lv.Format = listnum.None
		if f := a.get("num-format"); f != "" {
			lv.Format = map[string]uint8{"I": 1, "i": 2, "A": 3, "a": 4}[f]
		}
		text := levelText(strings.ReplaceAll(a.get("num-prefix"), "%", "%\x00"))
		if above := max(listNumber(a.get("display-levels")), 1); lv.Format != listnum.None {
			for d := max(n-above, 0); d < n; d++ {
				text = append(text, d)
				if d < n-1 {
					text = append(text, '.')
				}
			}
		}
		lv.Text = append(text, levelText(strings.ReplaceAll(a.get("num-suffix"), "%", "%\x00"))...)
	case "list-level-label-alignment":
		if s.level != nil {
			s.level.Joined = a.get("label-followed-by") == "nothing"
		}
	}
}

func (s *odfStyles) end(name string) {
	if name == "list-style" || name == "outline-style" {
		s.list, s.level = -1, nil
	}
}

func (*odfStyles) text([]byte) {}

// odfStyles reads the styles that are not the text's own, before any text.
func (d *officeDoc) odfStyles(files []*zip.File) error {
	for _, f := range files {
		if f.Name != "styles.xml" {
			continue
		}
		r, err := d.open(f)
		if err != nil {
			return err
		}
		d.odf = newODFStyles()
		err = d.j.conn.xml.scan(r, d.odf)
		_ = r.Close() // it was only read
		if ge, ok := errors.AsType[*gapError](err); ok && ge.cause != dlp.Corrupt {
			return ge
		}
		return nil // what is damaged is told where it is read
	}
	return nil
}

// odfLists counts the items of the lists of an OpenDocument text.
//
// Source: OpenDocument 1.3 part 3, 5.3, 19.781, 19.782, 19.868.
type odfLists struct {
	styles *odfStyles
	count  *listnum.Counter
	open   []int32 // uses of the lists around, -1 for one without a style
	item   bool    // one has begun, and no paragraph of it
}

func newODFLists(s *odfStyles) *odfLists {
	if s == nil {
		s = newODFStyles()
	}
	return &odfLists{styles: s, count: s.Counter()}
}

func (l *odfLists) start(name string, a attrs) (number string, joined bool) {
	l.styles.start(name, a)
	switch name {
	case "list":
		l.list(a)
	case "list-item":
		l.item = true
		if n, err := strconv.Atoi(a.get("start-value")); err == nil && len(l.open) > 0 && len(l.open) <= listnum.Levels {
			l.count.Set(l.open[len(l.open)-1], uint8(len(l.open)-1), int32(max(-1<<30, min(n, 1<<30))))
		}
	case "list-header":
		l.item = false
	case "p", "h":
		if l.item && len(l.open) > 0 && len(l.open) <= listnum.Levels {
			l.item = false
			return l.count.Next(l.open[len(l.open)-1], uint8(len(l.open)-1))
		}
		if id, ok := l.styles.ids[odfOutline]; ok && name == "h" && len(l.open) == 0 && a.get("is-list-header") != "true" {
			if n := listNumber(a.get("outline-level")); n >= 1 && n <= listnum.Levels {
				return l.count.Next(id, uint8(n-1))
			}
		}
	}
	return "", false
}

// list begins one, which goes on with the numbers of another where it says so.
func (l *odfLists) list(a attrs) {
	l.item = false
	use := int32(-1)
	if n := len(l.open); n > 0 {
		use = l.open[n-1]
	}
	if id, ok := l.styles.ids[a.get("style-name")]; ok {
		use = id
	}
	if len(l.open) == 0 && a.get("continue-numbering") != "true" && a.get("continue-list") == "" {
		l.count.Restart(use)
	}
	if len(l.open) < maxBases*listnum.Levels {
		l.open = append(l.open, use)
	}
}

func (l *odfLists) end(name string) {
	l.styles.end(name)
	switch name {
	case "list":
		l.open = l.open[:max(len(l.open)-1, 0)]
		l.item = false
	case "list-item":
		l.item = false
	}
}
