package formats

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

// maxTables is how deep tables may stand within tables for their cells to be marked.
const maxTables = 64

// htmlTable is an open table, of which the cells are marked where its first row
// holds their names. Tables that pages are laid out with have none, and are text.
type htmlTable struct {
	names  []string // of the columns, from the first row
	rows   int      // that have ended
	cells  int      // of the row at hand
	column int      // of the next cell
	plain  bool     // its cells are not marked: no names, a table within, cells across rows
	titled bool     // each cell of the first row is a <th>

	open bool   // a cell is, and its text is held
	span int    // columns of the cell
	text []byte // of the cell
}

// table follows the tags of tables. It comes before anything is written for the tag.
func (h *htmlText) table(a atom.Atom, open bool) {
	if h.out == nil {
		return
	}
	switch {
	case a == atom.Table && open:
		if t := h.innermost(); t != nil {
			h.endCell(t)
			t.plain = true
		}
		if len(h.tables) == maxTables { // only a program writes so many
			h.tables = slices.Delete(h.tables, 0, 1)
		}
		h.tables = append(h.tables, &htmlTable{titled: true})
	case a == atom.Table:
		if t := h.innermost(); t != nil {
			h.endTableRow(t)
			h.tables = h.tables[:len(h.tables)-1]
		}
	case a == atom.Tr:
		if t := h.innermost(); t != nil {
			h.endTableRow(t)
		}
	case cells[a]:
		if t := h.innermost(); t != nil {
			h.endCell(t)
		}
	}
}

func (h *htmlText) innermost() *htmlTable {
	if len(h.tables) == 0 {
		return nil
	}
	return h.tables[len(h.tables)-1]
}

// openCell begins to hold the text of a cell.
func (h *htmlText) openCell(a atom.Atom) {
	t := h.innermost()
	if t == nil || h.out == nil || t.plain {
		return
	}
	t.open, t.span, t.text = true, 1, t.text[:0]
	if t.rows == 0 && a != atom.Th {
		t.titled = false
	}
}

// cellAttribute takes an attribute of the cell that was just opened.
func (h *htmlText) cellAttribute(k string, v []byte) {
	t := h.innermost()
	if t == nil || !t.open {
		return
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(v)))
	switch {
	case err != nil:
	case k == "colspan":
		t.span = min(max(n, 1), maxColumns)
	case k == "rowspan" && n != 1:
		t.plain = true // columns of the rows below are not to be counted
	}
}

// openedCell returns the open cell whose text is held; nil where it goes out at once.
func (h *htmlText) openedCell() *htmlTable {
	if t := h.innermost(); t != nil && t.open {
		return t
	}
	return nil
}

// emit writes s, or holds it where it is a cell's.
func (h *htmlText) emit(s []byte) {
	t := h.openedCell()
	if t != nil && len(t.text)+len(s) > maxCell {
		t.plain = true
		h.endCell(t)
		t = nil
	}
	if t == nil {
		h.out.write(s)
		return
	}
	t.text = append(t.text, s...)
}

// endCell writes the cell at hand: as a name in the first row, as a field below it.
func (h *htmlText) endCell(t *htmlTable) {
	if !t.open {
		return
	}
	t.open = false
	text := string(t.text)
	blank := text[:len(text)-len(strings.TrimLeft(text, " \n"))]
	value := strings.Trim(text, " \n")
	t.cells++
	switch {
	case t.rows == 0:
		for range t.span {
			if len(t.names) < maxColumns {
				t.names = append(t.names, cutLabel(value))
			}
		}
		h.out.writeString(text)
	case t.plain || t.column >= len(t.names) || len(value) > windowSize:
		h.out.writeString(text)
	default:
		h.out.writeString(blank)
		h.out.field(value, t.names[t.column], h.rows)
		h.out.writeString(text[len(blank)+len(value):])
	}
	t.column += t.span
}

// endTableRow ends the row at hand. The first one says whether the table has names:
// headings, or cells of which one is a name that columns of patients have. A
// heading across all columns is the table's, and is passed over.
func (h *htmlText) endTableRow(t *htmlTable) {
	h.endCell(t)
	if t.cells == 0 {
		return
	}
	title := t.rows == 0 && t.cells == 1 && len(t.names) > 1
	if t.rows == 0 && !title && !namesColumns(t.names, t.titled) {
		t.plain = true
	}
	if title {
		t.names, t.titled = t.names[:0], true
	} else {
		t.rows++
		h.rows++
	}
	t.cells, t.column = 0, 0
}

// namesColumns reports that the first row of a table in a document holds names:
// headings, or cells of which one is a name that columns of patients have.
func namesColumns(row []string, titled bool) bool {
	return titled && slices.ContainsFunc(row, nameCell) || len(row) > 1 && (headsPatients(row) || headerRow(row) && slices.ContainsFunc(row, patientLabel))
}
