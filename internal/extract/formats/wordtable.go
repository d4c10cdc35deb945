package formats

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// wordTable is an open table of a document, or a sheet of OpenDocument's or of
// SpreadsheetML 2003. Its text goes out as it comes; the cells below a row of names
// are marked as well. That is one in which a name stands that columns of patients
// have, or the row above the first that holds a value: then it is the names of
// columns by nothing but that, and a row of one cell below it says something of the
// rows that follow. A table without such a row, and one that holds labels in front of
// values, is text as any other.
type wordTable struct {
	labels []string
	head   []string // of weak labels: those of the first row
	may    []string // the labels that the row above gives, if it is one of names
	weak   bool     // labels are those of a row without a name that patients' columns have
	title  string   // with weak labels: what a row of one cell says of those below
	rows   int      // that ended
	width  int      // cells of the last one that hold anything
	plain  bool     // its cells are not marked
	column int      // of the next cell
	step   int      // columns of the cell at hand
	cells  []wordCell
}

// wordCell is where the text of a cell stands in the part.
type wordCell struct {
	col           int
	from, val, to int64 // val: where the text begins behind a value that a program keeps
}

// innermost returns the table at hand, nil for none.
func (w *wordText) innermost() *wordTable {
	if len(w.tables) == 0 {
		return nil
	}
	return w.tables[len(w.tables)-1]
}

// gridTags are the tags of SpreadsheetML 2003, by what Word calls them.
//
// Source: Microsoft, XML Spreadsheet Reference (2003).
var gridTags = map[string]string{"Table": "tbl", "Row": "tr", "Cell": "tc"}

// openTable follows the tags of tables. It comes before anything is written for the tag.
func (w *wordText) openTable(name string, a attrs) {
	t := w.innermost()
	if w.grid {
		w.date = name == "Data" && a.get("Type") == "DateTime"
		name = gridTags[name]
	}
	if name == "tbl" || name == "table" {
		if t != nil {
			t.plain = true // a table within
		}
		if len(w.tables) == maxTables { // only a program writes so many
			w.tables = slices.Delete(w.tables, 0, 1)
		}
		w.tables = append(w.tables, &wordTable{})
		return
	}
	if t == nil {
		return
	}
	switch name {
	case "tr", "table-row":
		t.column, t.cells = 0, t.cells[:0]
		if out := w.d.j.out; len(out.text) > windowSize/4*3 || len(out.spans) > wire.MaxSpans/2 {
			out.window() // a row that lies across two has no cells
		}
	case "tc", "table-cell":
		t.step = columnsOf(a.get("number-columns-repeated"))
		if w.grid {
			if s := a.get("Index"); s != "" { // cells before it are empty
				t.column = columnsOf(s) - 1
			}
			if s := a.get("MergeAcross"); s != "" {
				t.step = columnsOf(s) + 1
			}
		}
		if !t.plain && len(t.cells) < maxColumns {
			at := w.d.j.out.pos()
			t.cells = append(t.cells, wordCell{col: t.column, from: at, val: at, to: -1})
		}
	case "covered-table-cell":
		t.column = min(t.column+columnsOf(a.get("number-columns-repeated")), maxColumns)
	case "gridSpan":
		t.step = columnsOf(a.get("val"))
	case "gridBefore":
		t.column = min(t.column+columnsOf(a.get("val")), maxColumns)
	}
}

// columnsOf reads how many columns a cell takes.
func columnsOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1
	}
	return min(max(n, 1), maxColumns)
}

// kept tells that the value which a program keeps of the cell at hand was written.
func (w *wordText) kept() {
	if t := w.innermost(); t != nil && len(t.cells) > 0 {
		t.cells[len(t.cells)-1].val = w.d.j.out.pos()
	}
}

// endTable is openTable for the tags that end.
func (w *wordText) endTable(name string) {
	t := w.innermost()
	if t == nil {
		return
	}
	if w.grid {
		w.date = false
		name = gridTags[name]
	}
	switch name {
	case "tbl", "table":
		w.tables = w.tables[:len(w.tables)-1]
	case "tc", "table-cell":
		if n := len(t.cells); n > 0 && t.cells[n-1].to < 0 {
			t.cells[n-1].to = w.d.j.out.pos()
		}
		t.column = min(t.column+max(t.step, 1), maxColumns)
	case "tr", "table-row":
		w.endTableRow(t)
	}
}

// endTableRow marks the cells of the row at hand, or takes them for names.
func (w *wordText) endTableRow(t *wordTable) {
	var row []string
	var cells []wordCell
	for _, c := range t.cells {
		if s := w.cellText(c.val, c.to); s != "" {
			row, cells = append(row, s), append(cells, c)
		} else if s = w.cellText(c.from, c.to); s != "" {
			row, cells = append(row, s), append(cells, c)
		}
	}
	if t.cells = t.cells[:0]; t.plain || len(row) == 0 {
		return
	}
	first, other := t.rows == 0, t.rows < maxAbove || len(row) != t.width || len(row) > 2
	t.rows, t.width = t.rows+1, len(row)
	switch {
	case len(row) > 1 && (first && headsPatients(row) || other && namesOfPatients(row)):
		t.labels, t.may, t.weak, t.title = labelsAt(row, cells), nil, false, ""
		return
	case t.unheaded(row, cells):
		return
	case slices.ContainsFunc(row, func(c string) bool { return patientName(c) != "" }):
		t.plain = true // labels in front of values
		return
	}
	w.d.groups++
	for _, c := range cells {
		label := t.title
		if c.col < len(t.labels) {
			label = cutLabel(strings.TrimSpace(t.labels[c.col] + " " + t.title))
		}
		w.mark(c.from, c.val, label)
		w.mark(c.val, c.to, label)
	}
}

// unheaded takes a row of a table in which no name that patients' columns have was
// seen; true where its cells are not to be marked.
func (t *wordTable) unheaded(row []string, cells []wordCell) bool {
	if len(t.labels) > 0 && !t.weak {
		return false
	}
	switch {
	case len(row) > 1 && !slices.ContainsFunc(row, func(c string) bool { return !columnName(c) || valueCell(c) || strings.HasSuffix(c, ":") }):
		// It heads what comes, or is one row of words among others. Of rows below a
		// header both may be true.
		t.may = labelsAt(row, cells)
		return !t.weak
	case t.weak && len(row) == 1 && cells[0].col == 0 && !valueCell(row[0]):
		if t.title, t.may = "", nil; columnName(row[0]) { // else a sentence, which is of its own
			t.title = cutLabel(row[0])
		}
		return true
	case t.may != nil && slices.ContainsFunc(row, valueCell):
		if !t.weak || sharesName(t.head, t.may) {
			t.head = t.may
		}
		t.labels = slices.Clone(t.head)
		for i, l := range t.may {
			if i < len(t.labels) && l != t.labels[i] {
				t.labels[i] = cutLabel(t.labels[i] + " " + l)
			} else if i >= len(t.labels) {
				t.labels = append(t.labels, l)
			}
		}
		t.may, t.weak = nil, true
	}
	return len(t.labels) == 0
}

// sharesName reports that two rows have the same name over the same column: no cell is
// what its column is called.
func sharesName(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != "" && strings.EqualFold(a[i], b[i]) {
			return true
		}
	}
	return false
}

// dayOf is b, or of a day and time as SpreadsheetML keeps it, 1961-03-04T00:00:00.000,
// what a reader takes for two.
func (w *wordText) dayOf(b []byte) []byte {
	if !w.date {
		return b
	}
	return bytes.ReplaceAll(b, []byte("T"), []byte(" "))
}

// labelsAt are the labels that a row gives, by column.
func labelsAt(row []string, cells []wordCell) (labels []string) {
	for i, c := range cells {
		if c.col < maxColumns {
			labels = append(labels, make([]string, max(0, c.col+1-len(labels)))...)
			labels[c.col] = columnLabel(row[i])
		}
	}
	return labels
}

// cellText is the text from one place of the part to another, "" where it was sent.
func (w *wordText) cellText(from, to int64) string {
	out := w.d.j.out
	if from < out.off || to < from {
		return ""
	}
	return strings.TrimSpace(string(out.text[from-out.off : to-out.off]))
}

// mark makes that text a cell of the row at hand.
func (w *wordText) mark(from, to int64, label string) {
	out := w.d.j.out
	value := w.cellText(from, to)
	if value == "" || len(out.spans) >= wire.MaxSpans {
		return
	}
	from += int64(strings.Index(string(out.text[from-out.off:to-out.off]), value))
	out.spans = append(out.spans, dlp.Span{Start: from, End: from + int64(len(value)), Label: label, Group: w.d.groups})
}
