package formats

import "bytes"

// Bounds of what is joined.
const (
	joinDigits  = 9       // of a number that is told
	joinLabel   = 100     // bytes kept of what stands before it
	joinColumns = 64      // of a table whose columns are looked at
	maxJoined   = 1 << 20 // bytes of lines that are kept back
	runPieces   = 256     // of one number's, hyphens in cells of their own among them
)

// joiner follows the cells of a table, and lines as tables of one column. A form has
// a cell for each digit of a number or for each of its groups, side by side or one
// below the other: a reader sees the number. It is told behind what stands before
// it, joined: nine digits, bare or parted as an SSN is, so that bare ones mean
// something only to a rule that asks for a word.
type joiner struct {
	tell func(line []byte)

	row    joinRun
	cells  int     // of the row at hand
	filled int     // of those that hold something
	alone  []byte  // what the last of them holds
	lines  joinRun // of rows of one such cell

	heads   [][]byte // of the columns: the cells of the first row
	headed  bool
	columns [joinColumns]joinColumn
}

// joinColumn is a column of single digits.
type joinColumn struct {
	label  []byte
	digits []byte
}

// joinRun is a stretch of cells that hold pieces of a number.
type joinRun struct {
	label []byte // of the last cell that is more than a piece
	head  []byte // name of the column in which it begins
	text  []byte
	ends  []int // of the pieces, in text
}

// cell takes the next cell of the row at hand. What it needs of t it copies.
func (j *joiner) cell(t []byte) {
	t = bytes.TrimSpace(t)
	n := j.cells
	j.cells++
	if len(t) > 0 {
		j.filled++
		j.alone = append(j.alone[:0], t[max(0, len(t)-joinLabel):]...)
	}
	if !j.headed && len(j.heads) < joinColumns {
		j.heads = append(j.heads, bytes.Clone(t[:min(len(t), joinLabel)]))
	}
	var head []byte
	if j.headed && len(j.heads) > 0 {
		head = j.heads[min(n, len(j.heads)-1)]
	}
	j.take(&j.row, t, head, true)
	if n < joinColumns {
		j.column(&j.columns[n], t)
	}
}

// endRow ends the row at hand.
func (j *joiner) endRow() {
	if j.cells == 0 {
		return
	}
	j.end(&j.row)
	j.row.label = j.row.label[:0]
	if j.headed = j.cells > 1; !j.headed {
		j.heads = j.heads[:0]
	}
	switch {
	case j.filled > 1:
		j.end(&j.lines)
		j.lines.label = j.lines.label[:0]
	case j.filled == 1:
		j.line(j.alone)
	}
	j.cells, j.filled = 0, 0
}

// line takes a line that is no row.
func (j *joiner) line(t []byte) { j.take(&j.lines, bytes.TrimSpace(t), nil, false) }

// endTable ends the table at hand.
func (j *joiner) endTable() {
	j.endRow()
	for i := range j.columns {
		j.endColumn(&j.columns[i])
		j.columns[i].label = nil
	}
	j.headed, j.heads = false, j.heads[:0]
}

// finish ends all.
func (j *joiner) finish() {
	j.endTable()
	j.end(&j.lines)
}

// take adds a cell to a run. open: a piece may stand at the beginning of the last
// one, before other words.
func (j *joiner) take(r *joinRun, t, head []byte, open bool) {
	if len(t) == 0 {
		return
	}
	lead := leadingPiece(t)
	if lead == len(t) && len(t) <= joinDigits+2 {
		if len(r.text) == 0 {
			r.head = head
		}
		r.add(t)
		return
	}
	if open && lead > 0 && lead <= joinDigits && len(r.text) > 0 && !alnum(t[lead]) && t[lead] < 0x80 && t[lead] != '/' && t[lead] != '.' {
		r.add(t[:lead])
	}
	j.end(r)
	from := trailingPiece(t)
	r.label = append(r.label[:0], bytes.TrimSpace(t[max(0, from-joinLabel):from])...)
	if from < len(t) {
		r.head = head
		r.add(t[from:])
	}
}

func (r *joinRun) add(t []byte) {
	if len(r.ends) < runPieces {
		r.text = append(r.text, t...)
		r.ends = append(r.ends, len(r.text))
	}
}

// end tells the numbers of a run.
func (j *joiner) end(r *joinRun) {
	from, start := 0, 0 // of the number at hand: piece, and byte
	for from < len(r.ends) {
		next, to := from, start
		for k := from + 1; k < len(r.ends); k++ {
			if wholeNumber(r.text[start:r.ends[k]]) {
				next, to = k+1, r.ends[k]
			}
		}
		if next == from {
			start = r.ends[from]
			from++
			continue
		}
		line := append(bytes.Clone(r.head), ' ')
		line = append(append(append(line, r.label...), ' '), r.text[start:to]...)
		j.tell(bytes.TrimSpace(line))
		from, start = next, to
	}
	r.text, r.ends, r.head = r.text[:0], r.ends[:0], nil
}

// column takes a cell of a column.
func (j *joiner) column(c *joinColumn, t []byte) {
	if len(t) == 1 && isDigit(t[0]) {
		if len(c.digits) <= joinDigits {
			c.digits = append(c.digits, t[0])
		}
		return
	}
	j.endColumn(c)
	if len(t) > 0 {
		c.label = append(c.label[:0], t[max(0, len(t)-joinLabel):]...)
	}
}

func (j *joiner) endColumn(c *joinColumn) {
	if len(c.digits) == joinDigits && len(c.label) > 0 {
		j.tell(append(append(bytes.Clone(c.label), ' '), c.digits...))
	}
	c.digits = c.digits[:0]
}

// leadingPiece returns how many bytes at the beginning of t are digits and hyphens.
func leadingPiece(t []byte) int {
	n := 0
	for n < len(t) && (isDigit(t[n]) || t[n] == '-') {
		n++
	}
	return n
}

// trailingPiece returns where the digits and hyphens begin that t ends in: at its
// end where a letter stands before them, or something that makes them another's.
func trailingPiece(t []byte) int {
	n := len(t)
	for n > 0 && (isDigit(t[n-1]) || t[n-1] == '-') {
		n--
	}
	if n > 0 && n < len(t) && (alnum(t[n-1]) || t[n-1] == '/' || t[n-1] == '.' || t[n-1] == ',') || len(t)-n > joinDigits+1 {
		return len(t)
	}
	return n
}

// wholeNumber reports nine digits, with no hyphen or where an SSN has them.
func wholeNumber(t []byte) bool {
	switch len(t) {
	case joinDigits:
		return leadingDigits(t) == joinDigits
	case joinDigits + 2:
		return leadingDigits(t) == 3 && t[3] == '-' && leadingDigits(t[4:]) == 2 && t[6] == '-' && leadingDigits(t[7:]) == 4
	}
	return false
}

func leadingDigits(t []byte) int {
	n := 0
	for n < len(t) && isDigit(t[n]) {
		n++
	}
	return n
}
