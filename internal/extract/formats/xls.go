package formats

import (
	"errors"
	"math"
	"strconv"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/xls"
)

// rows writes a binary workbook's cells as those of .xlsx are written.
type rows struct {
	d   *officeDoc
	s   *sheet
	row int
	col int
}

func newRows(d *officeDoc) *rows { return &rows{d: d, s: &sheet{d: d, header: true}, col: -1} }

// Date1904 says from when days count.
func (r *rows) Date1904() { r.d.wb.date04 = true }

// Sheet begins a sheet.
func (r *rows) Sheet(name string) error {
	r.end()
	r.s = &sheet{d: r.d, header: true}
	if name = validString(name); name != "" {
		r.d.j.out.field(name, "sheet", 0)
		r.d.j.out.writeString("\n")
	}
	return r.spent(len(name) + 1)
}

// end writes the row at hand.
func (r *rows) end() {
	r.s.endRow()
	r.d.j.out.write(r.s.words) // of cells that show nothing
	r.s.words = r.s.words[:0]
	r.s.cells, r.s.held, r.col = r.s.cells[:0], 0, -1
}

func (r *rows) spent(n int) error { return r.d.spent(n) }

// Row writes a whole row of texts; iwork.Sink's.
func (r *rows) Row(cells []string) error {
	size := 1
	for i, c := range cells {
		r.s.add(cell{col: i, text: validString(c)})
		size += len(c) + 1
	}
	r.end()
	return r.spent(size)
}

// Cell takes a cell into its row.
func (r *rows) Cell(c xls.Cell) error {
	if c.Row != r.row || c.Col <= r.col {
		r.end()
	}
	r.row, r.col = c.Row, c.Col
	v := cell{col: c.Col, text: validString(c.Text)}
	format := c.Format
	if format == "" {
		format = builtinFormat(strconv.Itoa(c.FormatID))
	}
	if !c.IsNumber {
		if shown := showText(v.text, format); shown != "" && shown != v.text {
			v.text, v.raw = validString(shown), v.text
		}
	} else {
		v.text = plainNumber(c.Number)
		if shown := r.d.wb.show(v.text, format); shown != "" && shown != v.text {
			v.text, v.raw = shown, v.text
		}
	}
	r.s.add(v)
	return r.spent(0)
}

func plainNumber(x float64) string {
	if a := math.Abs(x); a != 0 && (a >= 1e21 || a < 1e-9) {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// Words takes the words of a formula, which are written below the row.
func (r *rows) Words(text string) error {
	if len(r.s.words) < maxCell {
		r.s.words = append(append(r.s.words, validString(text)...), '\n')
	}
	return r.spent(len(text) + 1)
}

// Line writes what stands outside of cells.
func (r *rows) Line(text string) error {
	r.end()
	r.d.line([]byte(text))
	return r.spent(len(text) + 1)
}

// excel reads a workbook of Excel's, and what its pivot tables keep.
func (c *compound) excel() error {
	var all error
	for _, name := range []string{"Workbook", "Book"} { // a file for two versions has both
		b, err := c.stream(name)
		if len(b) > 0 {
			out := newRows(c.d)
			b = c.unlocked(b)
			pictures, e := xls.Read(b, out)
			out.end()
			if pictures {
				c.j.gap(c.at, dlp.Image, "pictures of a workbook", 0)
			}
			err = errors.Join(err, e)
		}
		all = errors.Join(all, err)
	}
	if cache := c.f.Child(c.dir, "_SX_DB_CUR"); cache != nil && all == nil {
		for _, e := range c.f.Within(cache) {
			b, err := c.read(e)
			out := newRows(c.d)
			all = errors.Join(all, err, xls.PivotCache(b, out))
		}
	}
	if errors.Is(all, xls.ErrEncrypted) {
		c.useAll()
	}
	return all
}

// unlocked returns a workbook as it was before it was encrypted, as it is where
// it is not or no password is known.
func (c *compound) unlocked(b []byte) []byte {
	l := xls.Locked(b)
	if l == nil {
		return b
	}
	c.j.hold(2 * int64(len(b))) // opening takes two copies
	if c.j.held <= c.j.lim.Memory {
		c.opens(func(password string) bool {
			open := l.Open(password)
			if open != nil {
				b = open
			}
			return open != nil
		})
	}
	return b
}

// biff reads a workbook of Excel 2 to 4, which is one file of records.
func (j *job) biff(at place, b []byte) error {
	j.part(at, "application/vnd.ms-excel")
	out := newRows(&officeDoc{j: j, at: at, packed: int64(len(b))})
	pictures, err := xls.Read(b, out)
	out.end()
	if pictures {
		j.gap(at, dlp.Image, "pictures of a workbook", 0)
	}
	if err != nil {
		return xlsError(err)
	}
	return nil
}

// xlsError turns an error of a workbook's into a gap's.
func xlsError(err error) error {
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	switch {
	case errors.Is(err, xls.ErrEncrypted):
		return gapOf(dlp.Encrypted, "xls")
	case errors.Is(err, xls.ErrTooLarge):
		return gapOf(dlp.TooLarge, "shared strings")
	}
	return gapOf(dlp.Corrupt, "ole2")
}
