package formats

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a table.
const (
	maxColumns = 1024      // that have a label
	maxRow     = 128 << 10 // bytes of a row whose cells are marked
	sniffRows  = 24        // looked at to find the delimiter
	maxTitle   = 8         // rows of a title above the names
)

// sniffCSV finds whether s, the beginning of a text, is a table: two rows or
// more with the same number of cells, or a single column of values under a
// name. It returns the delimiter (0 for a single column), whether a row holds
// names, and how many rows of a title stand above that one.
//
// Source: RFC 4180 for quoting; the delimiters are those that spreadsheets write.
func sniffCSV(s string) (delim byte, header bool, title int, ok bool) {
	best := 0
	var bestRows [][]string
	first := firstRow(s)
	for _, d := range []byte{',', '\t', ';', '|'} {
		if strings.IndexByte(s, d) < 0 {
			continue // one cell
		}
		rows := sniffedRows(s, d)
		if k := titleRows(rows); k > 0 && len(rows[k]) > best {
			best, delim, title, bestRows = len(rows[k]), d, k, rows[k:]
			continue
		}
		if strings.IndexByte(first, d) < 0 && strings.IndexByte(first, '"') < 0 || len(rows) < 2 || len(rows[0]) < 2 || d == '|' && drawnTable(rows) {
			continue
		}
		same := 0
		for _, r := range rows {
			if len(r) == len(rows[0]) {
				same++
			}
		}
		if same*10 < len(rows)*9 || len(rows[0]) <= best || (d == ',' || d == ';') && prose(rows) {
			continue
		}
		best, delim, title, bestRows = len(rows[0]), d, 0, rows
	}
	if best > 0 {
		return delim, headsTable(bestRows), title, true
	}
	return 0, true, 0, singleColumn(s)
}

// titleRows is how many rows stand above the one that holds the names, where the
// first does not: that one has only names, one of which columns of patients have,
// those above have other cells or empty ones, and those below have its cells and
// a value in each.
func titleRows(rows [][]string) int {
	for k := 1; k < len(rows)-1 && k <= maxTitle; k++ {
		if above := rows[k-1]; len(above) == len(rows[k]) && !slices.Contains(above, "") {
			return 0
		}
		if len(rows[k]) < 2 || !namesOfPatients(rows[k]) {
			continue
		}
		for _, r := range rows[k+1:] {
			if len(r) != len(rows[k]) || !slices.ContainsFunc(r, valueCell) {
				return 0
			}
		}
		return k
	}
	return 0
}

// drawnTable reports rows that begin and end with their delimiter, as Markdown
// writes them, below one that is no header by itself: textTables knows them.
func drawnTable(rows [][]string) bool {
	r := rows[0]
	return !headerRow(r) && strings.Trim(r[0], "> ") == "" && strings.TrimSpace(r[len(r)-1]) == ""
}

// firstRow is the first line of s that holds anything. It is the first row,
// unless a quote goes on behind it.
func firstRow(s string) string {
	for s != "" {
		line, rest, _ := strings.Cut(s, "\n")
		if strings.TrimSuffix(line, "\r") != "" {
			return line
		}
		s = rest
	}
	return ""
}

// sniffedRows cuts the first rows of s into cells; a last row that the sample
// cuts is left out.
func sniffedRows(s string, d byte) [][]string {
	var rows [][]string
	var row []string
	var cell strings.Builder
	quoted, start := false, true
	for i := 0; i < len(s) && len(rows) < sniffRows; i++ {
		c := s[i]
		switch {
		case quoted && c == '"' && i+1 < len(s) && s[i+1] == '"':
			cell.WriteByte(c)
			i++
		case quoted && c == '"':
			quoted = false
		case quoted:
			cell.WriteByte(c)
		case c == '"' && start:
			quoted = true
		case c == d:
			row = append(row, cell.String())
			cell.Reset()
			start = true
			continue
		case c == '\n':
			row = append(row, strings.TrimSuffix(cell.String(), "\r"))
			cell.Reset()
			if len(row) > 1 || strings.TrimSpace(row[0]) != "" {
				rows = append(rows, row)
			}
			row, start = nil, true
			continue
		default:
			cell.WriteByte(c)
		}
		start = false
	}
	if !quoted && len(rows) < sniffRows && (cell.Len() > 0 || len(row) > 0) && len(s) < 8<<10 {
		rows = append(rows, append(row, cell.String()))
	}
	return rows
}

// prose reports rows that are sentences with commas or semicolons: rows of sentences, or rows
// of which most cells after the first begin with a space, and hold several words
// or no digit anywhere below the first row. A table of words that it takes for
// prose is read all the same, without its columns; rows below a name that the
// columns of patients have are never prose.
func prose(rows [][]string) bool {
	if (headerRow(rows[0]) || headsPatients(rows[0])) && slices.ContainsFunc(rows[0], patientLabel) {
		return false
	}
	if sentences(rows) {
		return true
	}
	wordy, spaced, cells, digits := 0, 0, 0, false
	for i, r := range rows {
		for _, c := range r[1:] {
			cells++
			if strings.HasPrefix(c, " ") {
				spaced++
				if strings.Count(strings.TrimSpace(c), " ") >= 2 {
					wordy++
				}
			}
		}
		digits = digits || i > 0 && strings.ContainsAny(strings.Join(r, ""), "0123456789")
	}
	return wordy*2 > cells || spaced*10 >= cells*9 && !digits
}

// sentences reports rows of which the first ends as a sentence, in all of which a
// space stands behind each comma, and below which no cell is a value. A
// question that heads the last column ends as a sentence too.
func sentences(rows [][]string) bool {
	end := strings.TrimSpace(rows[0][len(rows[0])-1])
	if strings.Count(end, " ") < 2 || !strings.ContainsAny(end[len(end)-1:], ".!?:") {
		return false
	}
	for i, r := range rows {
		for k, c := range r {
			if k > 0 && c != "" && c[0] != ' ' || i > 0 && valueCell(c) {
				return false
			}
		}
	}
	return true
}

// singleColumn reports a name on a line of its own over lines that are one
// value each.
func singleColumn(s string) bool {
	first, _, ok := strings.Cut(s, "\n")
	name := strings.TrimSpace(first)
	if !ok || name == "" || len(name) > 64 || strings.Contains(name, "  ") || strings.Contains(name, "\t") || strings.ContainsAny(name, "0123456789:,;.!?<>{}[]=/\\") || !headerRow([]string{name}) {
		return false
	}
	lines := strings.Split(strings.TrimRight(s, "\r\n"), "\n")
	if len(lines) < 2 {
		return false
	}
	if len(s) >= 8<<10 {
		lines = lines[:len(lines)-1]
	}
	for _, l := range lines[1:min(len(lines), 200)] {
		l = strings.TrimSpace(l)
		digits := 0
		for i := 0; i < len(l); i++ {
			switch c := l[i]; {
			case c >= '0' && c <= '9':
				digits++
			case c >= 'A' && c <= 'Z', c == '-', c == '/', c == '.', c == ' ':
			default:
				return false
			}
		}
		if digits*2 < len(l) || len(l) > 40 || l == "" {
			return false
		}
	}
	return true
}

// csvTable passes a table's text on unchanged and marks its cells: a span for
// each, with the column's name and the row's number. Several tables may stand in
// it, one below the other, as reports are exported: names of columns, one of which
// columns of patients have, begin another below an empty row or a title, or
// where rows get wider or narrower.
type csvTable struct {
	out    *emitter
	delim  byte // 0: a single column
	labels []string
	header bool // a row holds the names
	title  int  // rows that stand above it
	width  int  // cells of the last row
	apart  bool // nothing but a title stood in it: another table may begin
	group  uint32

	row    []byte // of the row at hand
	quoted bool
	start  bool // at a cell's first byte
	marks  []int
	long   bool // the row at hand passed maxRow: its cells are not marked
	spans  []dlp.Span
}

func newCSVTable(out *emitter, k kind) *csvTable {
	return &csvTable{out: out, delim: k.delim, header: k.header, title: k.title, start: true}
}

// write takes the next piece of the table.
func (t *csvTable) write(b []byte) {
	from := 0
	for i, c := range b {
		switch {
		case c == '"':
			if t.start || t.quoted {
				t.quoted = !t.quoted
			}
			t.start = false
		case t.quoted:
		case t.delim != 0 && c == t.delim:
			if len(t.marks) < maxColumns {
				t.marks = append(t.marks, len(t.row)+i-from)
			}
			t.start = true
		case c == '\n':
			t.row = append(t.row, b[from:i+1]...)
			from = i + 1
			t.endRow()
		default:
			t.start = false
		}
	}
	t.row = append(t.row, b[from:]...)
	if len(t.row) > maxRow { // no newline, or a quote that never ends
		t.out.write(t.row)
		t.row, t.marks, t.long, t.quoted = t.row[:0], t.marks[:0], true, false
	}
}

// end takes the end of the table.
func (t *csvTable) end() {
	if len(t.row) > 0 {
		t.endRow()
	}
}

func (t *csvTable) endRow() {
	defer func() {
		t.row, t.marks, t.quoted, t.start, t.long = t.row[:0], t.marks[:0], false, true, false
	}()
	line := bytes.TrimRight(t.row, "\r\n")
	if t.long || len(bytes.TrimSpace(line)) == 0 && (len(t.marks) == 0 || t.title == 0) || len(t.labels) > 0 && t.empty(line) {
		t.apart = !t.long
		t.out.write(t.row)
		return
	}
	if t.header && t.title > 0 {
		t.title--
		t.out.write(t.row)
		return
	}
	other := len(t.marks)+1 != t.width
	t.width = len(t.marks) + 1
	if t.header {
		t.header = false
		t.labels = columnLabels(t.names(line))
		t.out.write(t.row)
		return
	}
	if len(t.labels) > 0 && (t.apart || other) {
		names := t.names(line)
		if namesOfPatients(names) {
			t.labels, t.apart = columnLabels(names), false
			t.out.write(t.row)
			return
		}
		t.apart = strings.Join(names[1:], "") == ""
	}
	t.group++
	t.spans = t.spans[:0]
	t.eachCell(line, func(i int, cell []byte, off int) {
		if len(cell) == 0 {
			return
		}
		s := dlp.Span{Start: int64(off), End: int64(off + len(cell)), Group: t.group}
		if i < len(t.labels) {
			s.Label = t.labels[i]
		}
		t.spans = append(t.spans, s)
	})
	t.out.row(t.row, t.spans)
}

// empty reports a line whose cells hold nothing.
func (t *csvTable) empty(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != t.delim {
			return false
		}
	}
	return true
}

// names are the cells of line as labels.
func (t *csvTable) names(line []byte) (names []string) {
	t.eachCell(line, func(_ int, cell []byte, _ int) {
		names = append(names, cutLabel(strings.ReplaceAll(string(cell), `""`, `"`)))
	})
	return names
}

// eachCell calls f for each cell of line with its bytes without quotes and
// surrounding blanks, and where they stand.
func (t *csvTable) eachCell(line []byte, f func(i int, cell []byte, off int)) {
	from := 0
	for i := 0; i <= len(t.marks); i++ {
		to := len(line)
		if i < len(t.marks) {
			to = min(t.marks[i], len(line))
		}
		if from > to {
			return
		}
		cell, off := line[from:to], from
		trim := bytes.TrimLeft(cell, " \ufeff")
		off += len(cell) - len(trim)
		trim = bytes.TrimRight(trim, " ")
		if len(trim) >= 2 && trim[0] == '"' && trim[len(trim)-1] == '"' {
			trim, off = trim[1:len(trim)-1], off+1
		}
		f(i, trim, off)
		from = to + 1
	}
}
