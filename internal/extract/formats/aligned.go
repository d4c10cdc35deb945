package formats

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a table within a text.
const (
	maxTableLine  = 4 << 10 // bytes of a line that may belong to one
	maxTableCols  = 64      // columns of one
	maxColumnName = 48      // bytes of a column's name
	maxTableValue = 40      // bytes of a number or a date in it
)

// textTables passes a text on unchanged and marks the cells of tables that stand
// in it: below a line of names that are aligned by blanks or parted by a
// delimiter, one of which is a name that columns of patients have, the lines that
// fit, as far as they follow one another. Blank lines and lines that are drawn may
// stand between them. What stands above and below is text as any other.
//
// Whether a line is a header is known from it alone, so that nothing waits for the
// next; that rows follow is seen by each row, and a line without a value in a
// column of patients is none.
type textTables struct {
	out  *emitter
	part []byte // of a line whose end is still to come
	long bool   // the line at hand passed maxTableLine

	header  []byte // the last line, where it may be the header above a drawn line
	columns []textColumn
	delim   string // of the open table: "" for columns aligned by blanks
	drawn   bool   // a line drawn below the header says where each column stands
	group   uint32
	cells   []span // of the line at hand
	spans   []dlp.Span
}

// textColumn is one of an open table.
type textColumn struct {
	label   string
	span         // where its name stands in the header
	patient bool // its name is one that columns of patients have
}

// span is a place in a line.
type span struct{ from, to int }

func newTextTables(out *emitter) *textTables { return &textTables{out: out} }

// write takes the next piece of the text.
func (t *textTables) write(b []byte) {
	from := 0 // of b, not yet passed on
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			t.out.write(b[from:i])
			t.keep(b[i:])
			return
		}
		line := b[i : i+n+1]
		if len(t.part) > 0 || t.long {
			t.keep(line)
			if !t.long {
				if !t.line(t.part) {
					t.out.write(t.part)
				}
			}
			t.part, t.long = t.part[:0], false
			i += n + 1
			from = i
			continue
		}
		if len(line) > maxTableLine {
			t.shut()
		} else if t.rowFits(line) {
			t.out.write(b[from:i])
			t.out.row(line, t.spans)
			from = i + n + 1
		}
		i += n + 1
	}
	t.out.write(b[from:])
}

// keep holds a piece of a line until its end comes, or passes it on where the line
// is too long for one of a table.
func (t *textTables) keep(b []byte) {
	if t.long {
		t.out.write(b)
		return
	}
	t.part = append(t.part, b...)
	if len(t.part) > maxTableLine {
		t.shut()
		t.out.write(t.part)
		t.part, t.long = t.part[:0], true
	}
}

// line passes a row on with its cells; false where the line is none.
func (t *textTables) line(line []byte) bool {
	if !t.rowFits(line) {
		return false
	}
	t.out.row(line, t.spans)
	return true
}

// end takes the end of the text.
func (t *textTables) end() {
	if len(t.part) > 0 && !t.line(t.part) {
		t.out.write(t.part)
	}
	t.part = t.part[:0]
}

// shut ends the open table.
func (t *textTables) shut() {
	t.columns, t.header, t.drawn = t.columns[:0], t.header[:0], false
}

// rowFits reports a line that is a row of the open table, and leaves its cells in
// spans. Any other line may end the table, or head the next.
func (t *textTables) rowFits(line []byte) bool {
	if len(t.columns) == 0 && len(t.header) == 0 && headByte[line[0]] == 0 { // many a line
		return false
	}
	for n := len(line); n > 0 && (line[n-1] == ' ' || line[n-1] == '\t' || line[n-1] == '\r' || line[n-1] == '\n'); n-- {
		line = line[:n-1]
	}
	if len(t.columns) > 0 || len(t.header) > 0 {
		switch {
		case len(bytes.Trim(line, "> \t")) == 0:
			t.header = t.header[:0]
			return false // between rows
		case isDrawn(line):
			t.underline(line)
			return false
		case len(t.columns) > 0 && t.cut(line) && t.take(line):
			t.header = t.header[:0]
			return true
		}
	}
	t.shut()
	t.open(line)
	return false
}

// isDrawn reports a line that is drawn below a header: of hyphens, equals signs,
// and what parts them.
func isDrawn(line []byte) bool {
	n := 0
	for _, c := range string(line) {
		switch {
		case c == '-', c == '=', c >= '\u2500' && c <= '\u257f' && c != '│':
			n++
		case !strings.ContainsRune(" \t+|:>│", c):
			return false
		}
	}
	return n >= 3
}

// open takes a line for a table's header where it is one. Where blanks do not tell
// the columns apart, a drawn line below may.
func (t *textTables) open(line []byte) {
	may, parted, odd := mayHead(line)
	if !may && !odd && beginsOdd(line) {
		parted, odd = true, true
	}
	if odd = odd && !may && beginsPatients(line); !may && !odd {
		return
	}
	t.header = append(t.header[:0], line...)
	if !parted {
		return
	}
	for _, d := range []string{"|", "│", "\t", "", ",", ";"} {
		t.delim = d
		if t.names(line, odd) {
			return
		}
	}
}

// headByte tells the bytes of a header: 1 a letter and what may stand in a name, 2 a
// digit, 3 a blank, 4 what parts names, 5 a sign that may stand among them; 0 what
// stands in none.
var headByte = func() (t [256]uint8) {
	for c := range t {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 || strings.IndexByte("#_-/.()'&:>\"", byte(c)) >= 0 {
			t[c] = 1
		}
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = 2
	}
	t[' '], t['\t'], t[','], t[';'], t['|'], t[0xe2] = 3, 4, 4, 4, 4, 4 // the last begins what draws a table
	t['%'], t['*'], t['+'], t['?'] = 5, 5, 5, 5
	return t
}()

// mayHead reports a line that may be a header, and whether something parts it into
// names; of one that may not, whether it has a digit or a sign behind a first name.
// All text goes through here, and prose is known by its first words.
func mayHead(line []byte) (may, parted, odd bool) {
	const maxWords = 8 // of a name, or of some names that a drawn line parts
	if len(line) < 4 || len(line) > 1<<10 {
		return false, false, false
	}
	blanks, drawn := 0, line[0] == '|' // as Markdown draws tables: its lines are known by it
	for i := 0; i < len(line); {
		if i, blanks = passWords(line, i, blanks, maxWords); blanks > maxWords {
			return false, false, false
		}
		for end := min(i+8, len(line)); i < end; i++ {
			switch headByte[line[i]] {
			case 0:
				if !drawn {
					return false, parted, false
				}
			case 2: // ICD10, ICD-9
				if !drawn && (i < 3 || !icdBefore(line[:i])) {
					return false, parted, parted
				}
			case 5:
				if !drawn {
					return false, parted, parted
				}
			case 3:
				if blanks++; i > 0 && line[i-1] == ' ' {
					blanks, parted = 0, true
				} else if blanks > maxWords {
					return false, false, false
				}
			case 4:
				blanks, parted = 0, true
			}
		}
	}
	return true, parted, false
}

// beginsPatients reports a line in which some word begins as names of columns of
// patients do. It is asked for the few lines that have digits among names.
func beginsPatients(line []byte) bool {
	start := true
	for i := 0; i+1 < len(line); i++ {
		c := line[i] | 0x20
		letter := c >= 'a' && c <= 'z'
		if start && letter {
			switch two := [2]byte{c, line[i+1] | 0x20}; string(two[:]) {
			case "mr", "mb", "me", "ss", "so", "su", "do", "da", "dx", "di", "bi", "np", "ic", "pa", "pt", "ch", "he":
				return true
			case "d.": // d.o.b.
				return true
			}
		}
		start = !letter
	}
	return false
}

// beginsOdd reports a line whose first cell is a year or some such number, or a sign,
// before what parts names: what mayHead lets pass behind a first name.
func beginsOdd(line []byte) bool {
	const most = 4 // bytes of such a cell
	for len(line) > 0 && (line[0] == '>' || line[0] == ' ' || line[0] == '\t') {
		line = line[1:]
	}
	n := 0
	for n < min(len(line), most) && (headByte[line[n]] == 2 || headByte[line[n]] == 5) {
		n++
	}
	if n == 0 || n == len(line) {
		return false
	}
	from := n
	for n < len(line) && line[n] == ' ' {
		n++
	}
	return n-from > 1 || n < len(line) && headByte[line[n]] == 4
}

// passWords passes letters, and blanks of which no two stand side by side, eight
// bytes at a time from i on, until more than most blanks were seen.
func passWords(line []byte, i, blanks, most int) (int, int) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	before := uint64(0) // the top bit of its last byte: a blank stands before i
	if i > 0 && line[i-1] == ' ' {
		before = 0x80
	}
	for ; i+8 <= len(line) && blanks <= most; i += 8 {
		w := binary.LittleEndian.Uint64(line[i:])
		if w&high != 0 {
			break
		}
		lower := w | 0x20*ones
		letter := (lower + (0x80-'a')*ones) &^ (lower + (0x7f-'z')*ones)
		blank := ^((w ^ ' '*ones) + 0x7f*ones) & high
		if (letter|blank)&high != high || blank&(blank<<8|before) != 0 {
			break
		}
		blanks += bits.OnesCount64(blank)
		before = blank >> 56
	}
	return i, blanks
}

// icdBefore reports a line that ends with ICD, a hyphen or blank, and a digit at most.
func icdBefore(line []byte) bool {
	end := bytes.TrimRight(line[max(0, len(line)-5):], "1 -")
	return len(end) >= 3 && bytes.EqualFold(end[len(end)-3:], []byte("icd"))
}

// names cuts line into columns by the delimiter at hand; false where they are not
// names, or none is one that columns of patients have. Odd ones and empty ones may
// stand among them.
func (t *textTables) names(line []byte, odd bool) bool {
	t.columns = t.columns[:0]
	patients := false
	if !t.split(line) || len(t.cells) < 2 || len(t.cells) > maxTableCols {
		return false
	}
	if odd || t.piped() && line[0] == '|' {
		return t.oddNames(line)
	}
	for _, c := range t.cells {
		if c.from == c.to || c.to-c.from > maxColumnName {
			t.columns = t.columns[:0]
			return t.oddNames(line)
		}
		name := cutLabel(string(line[c.from:c.to]))
		if !columnName(name) {
			t.columns = t.columns[:0]
			return false
		}
		known := patientColumn(name)
		patients = patients || known
		t.columns = append(t.columns, textColumn{name, c, known})
	}
	if !patients {
		t.columns = t.columns[:0]
	}
	return patients
}

// oddNames is names for a line among whose cells empty and odd ones stand.
func (t *textTables) oddNames(line []byte) bool {
	row := make([]string, len(t.cells))
	for i, c := range t.cells {
		row[i] = string(line[c.from:c.to])
	}
	if !namesOfPatients(row) {
		return false
	}
	for i, c := range t.cells {
		t.columns = append(t.columns, textColumn{columnLabel(row[i]), c, patientName(row[i]) != ""})
	}
	return true
}

// split cuts line at the delimiter at hand into cells, which it leaves in cells;
// false where there is only one.
func (t *textTables) split(line []byte) bool {
	t.cells = t.cells[:0]
	if t.delim == "" {
		if !bytes.Contains(line, []byte("  ")) && bytes.IndexByte(line, '\t') < 0 {
			return false
		}
		for i := 0; i < len(line); {
			for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == '>' && len(t.cells) == 0) {
				i++
			}
			from := i
			for i < len(line) && line[i] != '\t' && !(line[i] == ' ' && i+1 < len(line) && (line[i+1] == ' ' || line[i+1] == '\t')) {
				i++
			}
			if i > from {
				t.cells = append(t.cells, span{from, i})
			}
		}
		return len(t.cells) > 1
	}
	if !bytes.Contains(line, []byte(t.delim)) {
		return false
	}
	from, quoted, start := 0, false, true
	for i := 0; i <= len(line); i++ {
		switch {
		case i < len(line) && line[i] == '"' && (start || quoted):
			quoted = !quoted
			start = false
		case i == len(line) || !quoted && bytes.HasPrefix(line[i:], []byte(t.delim)):
			t.cells = append(t.cells, trimCell(line, from, i))
			from, start = i+len(t.delim), true
		case line[i] != ' ':
			start = false
		}
	}
	if t.piped() { // as Markdown and database programs draw tables
		if c := t.cells[0]; c.from == c.to {
			t.cells = t.cells[1:]
		}
		if n := len(t.cells); n > 0 && t.cells[n-1].from == t.cells[n-1].to {
			t.cells = t.cells[:n-1]
		}
	}
	return !quoted && len(t.cells) > 1
}

// piped reports a delimiter that may stand at both ends of a line as well.
func (t *textTables) piped() bool { return t.delim == "|" || t.delim == "│" }

// trimCell is line[from:to] without blanks, marks of quotation from a mail, and
// quotes around it.
func trimCell(line []byte, from, to int) span {
	for from < to && (line[from] == ' ' || line[from] == '\t' || line[from] == '>') {
		from++
	}
	for from < to && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	if to-from >= 2 && line[from] == '"' && line[to-1] == '"' {
		from, to = from+1, to-1
	}
	return span{from, to}
}

// underline takes a drawn line. Right below a header its strokes say where each
// column stands, which the names above alone may not.
func (t *textTables) underline(line []byte) {
	head := t.header
	t.header = t.header[:0]
	if len(head) == 0 || len(t.columns) > 0 && (t.delim != "" || !strokes(line)) {
		return
	}
	t.columns, t.delim = t.columns[:0], ""
	patients, to := false, 0
	for from := bytes.IndexAny(line, "-="); from >= 0 && from < len(line); {
		for to = from; to < len(line) && (line[to] == '-' || line[to] == '='); to++ {
		}
		c := trimCell(head, min(from, len(head)), min(to, len(head)))
		name := cutLabel(string(head[c.from:c.to]))
		if !columnName(name) || len(t.columns) == maxTableCols {
			t.shut()
			return
		}
		known := patientColumn(name)
		patients = patients || known
		t.columns = append(t.columns, textColumn{name, span{from, to}, known})
		next := bytes.IndexAny(line[to:], "-=")
		if next < 0 {
			break
		}
		from = to + next
	}
	if !patients || len(t.columns) < 2 {
		t.shut()
		return
	}
	t.drawn = true
}

// strokes reports a drawn line of hyphens or equals signs that is parted by blanks.
func strokes(line []byte) bool {
	return bytes.ContainsAny(bytes.Trim(line, " \t>"), " ")
}

// cut cuts a line into the cells of the open table, one a column; false where it
// does not fit.
func (t *textTables) cut(line []byte) bool {
	if t.delim != "" {
		if !t.split(line) {
			return false
		}
		for !t.piped() && len(t.cells) > len(t.columns) && t.cells[len(t.cells)-1].from == t.cells[len(t.cells)-1].to {
			t.cells = t.cells[:len(t.cells)-1] // empty ones that spreadsheets leave at the end
		}
		if t.piped() && len(t.cells) < len(t.columns) { // what split took for the pipe at an end
			if bytes.HasPrefix(bytes.TrimLeft(line, "> \t"), []byte(t.delim)) {
				t.cells = slices.Insert(t.cells, 0, span{})
			}
			if len(t.cells) < len(t.columns) && bytes.HasSuffix(line, []byte(t.delim)) {
				t.cells = append(t.cells, span{len(line), len(line)})
			}
		}
		for t.delim == "\t" && len(t.cells) < len(t.columns) {
			t.cells = append(t.cells, span{len(line), len(line)}) // cut off with the blanks at the end
		}
		return len(t.cells) == len(t.columns)
	}
	if t.drawn {
		return t.slice(line, func(i int) int { return t.columns[i].from })
	}
	// Where columns are set to the left a blank stands in front of each name's
	// beginning, where they are set to the right one stands behind its end.
	if !bytes.ContainsRune(line, '\t') {
		if t.slice(line, func(i int) int { return t.columns[i].from }) ||
			t.slice(line, func(i int) int { return t.columns[i-1].to }) {
			return true
		}
	}
	return t.split(line) && len(t.cells) == len(t.columns)
}

// slice cuts line where at says that column i begins; false where no blank stands
// there.
func (t *textTables) slice(line []byte, at func(i int) int) bool {
	t.cells = t.cells[:0]
	from := 0
	for i := range t.columns {
		to := len(line)
		if i+1 < len(t.columns) {
			to = min(at(i+1), len(line))
			if to < len(line) && to > 0 && line[to-1] != ' ' && line[to] != ' ' {
				return false
			}
		}
		c := trimCell(line, from, max(from, to))
		if bytes.Contains(line[c.from:c.to], []byte("   ")) {
			return false // two cells of a row that is set otherwise
		}
		t.cells = append(t.cells, c)
		from = max(from, to)
	}
	return true
}

// take marks the cells of a line that was cut; false where they are no row: where
// fewer than two hold anything, or none of a patient's column holds a value, or
// one of them a sentence.
func (t *textTables) take(line []byte) bool {
	t.spans = t.spans[:0]
	if t.headsNext(line) {
		return false
	}
	values, filled := 0, 0
	for i, c := range t.cells {
		cell := string(line[c.from:c.to])
		if cell == "" {
			continue
		}
		filled++
		if t.columns[i].patient {
			switch {
			case valueCell(cell) && len(cell) <= maxTableValue && strings.Count(cell, " ") <= 3:
				values++
			case strings.Count(cell, " ") > 2 || len(cell) > maxTableValue:
				return false
			}
		}
		t.spans = append(t.spans, dlp.Span{Start: int64(c.from), End: int64(c.to), Label: t.columns[i].label, Group: t.group + 1})
	}
	if values == 0 || filled < 2 {
		return false
	}
	t.group++
	return true
}

// headsNext reports a line of names, which is the header of another table.
func (t *textTables) headsNext(line []byte) bool {
	var names []string
	for _, c := range t.cells {
		if c.from < c.to {
			names = append(names, string(line[c.from:c.to]))
		}
	}
	return namesOfPatients(names)
}
