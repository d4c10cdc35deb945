package rtf

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Roles of paragraphs that are pieces of something.
const (
	roleName   = 'n' + iota // of a shape's property
	roleValue               // of a shape's property
	roleInst                // what a field does
	roleLevel               // \leveltext
	roleNumber              // \pn
	roleBefore              // \pntxtb
	roleAfter               // \pntxta
)

var roles = map[string]byte{"sn": roleName, "sv": roleValue, "fldinst": roleInst, "leveltext": roleLevel, "pn": roleNumber,
	"pntxtb": roleBefore, "pntxta": roleAfter}

// Bounds of what is kept of lists.
const (
	listLevels = 9   // RTF 1.9.1, List Table
	maxLabel   = 255 // RTF 1.9.1, \leveltext: one byte is its length
	maxLabels  = 500 // that are told with the numbers of overrides
)

// lists puts together what programs write before the items of a list: its words
// and the number of the first one.
//
// Source: RTF 1.9.1, List Table, List Override Table, Bullets and Numbering.
type lists struct {
	level  int
	starts [listLevels]int
	zeros  [listLevels]bool // its numbers have two digits at least
	labels []levelLabel     // that are told again with the numbers of overrides
	over   bool             // an override is at hand
	told   int              // bytes of those: no more than the document has

	start         int // \pnstart
	before, after []byte
}

// levelLabel is the label of a level, as it is written.
type levelLabel struct {
	level int
	text  []byte
}

// word takes a control word that says how items are numbered; false: it does not.
func (l *lists) word(w string, n int) bool {
	switch w {
	case "list", "listoverride":
		l.level, l.over = -1, w == "listoverride"
		for i := range l.starts {
			l.starts[i], l.zeros[i] = 1, false
		}
	case "lfolevel":
		l.level++
	case "listlevel":
		if !l.over {
			l.level++
		}
	case "levelstartat":
		if l.level >= 0 && l.level < listLevels {
			l.starts[l.level] = n
		}
	case "levelnfc", "levelnfcn":
		if l.level >= 0 && l.level < listLevels {
			l.zeros[l.level] = n == 22
		}
	case "pnstart":
		l.start = n
	default:
		return false
	}
	return true
}

// overridden tells the labels of the level at hand with the number that an override
// begins with.
func (p *parser) overridden() {
	l := &p.lists
	if !l.over {
		return
	}
	for _, k := range l.labels {
		if text := l.numbered(k.text); k.level == l.level && l.told+len(text) < len(p.b) && says(text) {
			l.told += len(text)
			p.aside = append(append(p.aside, text...), '\n')
		}
	}
}

// begin begins a paragraph of a role.
func (l *lists) begin(role byte) {
	if role == roleNumber {
		l.start, l.before, l.after = 1, nil, nil
	}
}

// piece takes a paragraph of a role, and reports whether what is now in it is to be told.
func (l *lists) piece(q *para) bool {
	switch q.role {
	case roleBefore:
		l.before = bytes.Clone(q.shown)
		return false
	case roleAfter:
		l.after = bytes.Clone(q.shown)
		return false
	case roleNumber:
		q.shown = append(q.shown, l.before...)
		q.shown = append(strconv.AppendInt(q.shown, int64(l.start), 10), l.after...)
	case roleLevel:
		_, n := utf8.DecodeRune(q.shown) // its length
		label := bytes.TrimSuffix(q.shown[min(n, len(q.shown)):], []byte(";"))
		label = label[:min(len(label), maxLabel)]
		if len(l.labels) < maxLabels && len(label) > 1 {
			l.labels = append(l.labels, levelLabel{l.level, bytes.Clone(label)})
		}
		q.shown = l.numbered(label)
	}
	return says(q.shown)
}

// numbered returns a level's label with the numbers of a first item in the place of
// the levels that it names.
func (l *lists) numbered(label []byte) []byte {
	var out []byte
	for _, c := range label {
		switch {
		case c >= listLevels, len(out) > 4*len(label):
			out = append(out, c)
		case l.zeros[c] && l.starts[c] >= 0 && l.starts[c] < 10:
			out = append(out, '0', byte('0'+l.starts[c]))
		default:
			out = strconv.AppendInt(out, int64(l.starts[c]), 10)
		}
	}
	return out
}

// says reports a label that is more than the number of an item.
func says(label []byte) bool {
	letters, digits := 0, 0
	for _, r := range string(label) {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsLetter(r):
			letters++
		}
	}
	return letters > 1 || digits > 3
}

// field takes what a field does. A SYMBOL field shows a character where it stands.
//
// Source: ECMA-376-1 17.16.5.60.
func (p *parser) field(n int) {
	s, q := strings.TrimLeft(string(p.paras[n].shown), " "), &p.paras[n]
	if len(s) < 7 || !strings.EqualFold(s[:7], "SYMBOL ") || len(p.stack) == 0 {
		return
	}
	q.shown = q.shown[:0]
	code, _, _ := strings.Cut(strings.TrimLeft(s[7:], " "), " ")
	v, err := strconv.ParseUint(strings.TrimSuffix(code, "\\"), 0, 16)
	if err != nil || v < ' ' {
		return
	}
	if v >= 0xf020 && v <= 0xf0ff {
		v -= 0xf000
	}
	outer := &p.paras[p.stack[len(p.stack)-1].level]
	outer.hide()
	outer.shown = utf8.AppendRune(outer.shown, rune(v))
	p.shows = true
}
