package formats

import (
	"errors"
	"io"
	"strconv"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/xls"
	"github.com/stanch-dlp/stanch/internal/extract/xlsb"
)

const mediaXLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"

// binaryShared keeps what the sheets of a binary workbook share.
type binaryShared struct {
	binaryPart
	sheets map[string]string // name by relation
	custom map[int]string    // number formats
	again  bool              // the part at hand is read again in its turn
}

// SharedString keeps a text that cells show by its place.
func (p *binaryShared) SharedString(text string) error {
	wb := &p.d.wb
	if wb.shared.Len()+8*len(wb.offs)+len(text) > maxShared {
		return gapOf(dlp.TooLarge, "shared strings")
	}
	wb.add()
	wb.shared.WriteString(text)
	return nil
}

// Sheet keeps a sheet's name.
func (p *binaryShared) Sheet(relation, name string) {
	if p.short(relation) && p.short(name) && len(p.sheets) < maxStyles {
		p.sheets[relation] = validString(name)
	}
}

// Format keeps a number format.
func (p *binaryShared) Format(id int, code string) {
	if p.short(code) && len(p.custom) < maxStyles {
		p.custom[id] = validString(code)
	}
}

// short reports a name or a format that no program makes longer: Excel has 31 and
// 255 letters. The workbook is not read on after one that is.
func (p *binaryShared) short(s string) bool {
	if len(s) <= 1<<10 {
		return true
	}
	p.d.wb.err = gapOf(dlp.TooLarge, "names of a workbook")
	return false
}

// Style keeps the number format of a cell style.
func (p *binaryShared) Style(format int) {
	if wb := &p.d.wb; len(wb.formats) < maxStyles {
		f, ok := p.custom[format]
		if !ok {
			f = builtinFormat(strconv.Itoa(format))
		}
		wb.formats = append(wb.formats, f)
	}
}

// Line tells words, unless they are told in their turn.
func (p *binaryShared) Line(text string) error {
	if p.again {
		return nil
	}
	return p.binaryPart.Line(text)
}

// binaryPart writes a part of a binary workbook as those of .xlsx are written.
type binaryPart struct{ *rows }

// SharedString drops a text, which stands in its cells.
func (binaryPart) SharedString(string) error { return nil }

// Sheet drops a name, which was read before any sheet.
func (binaryPart) Sheet(string, string) {}

// Format drops a number format, likewise.
func (binaryPart) Format(int, string) {}

// Style drops a cell format, likewise.
func (binaryPart) Style(int) {}

// Row begins a row.
func (p binaryPart) Row() error {
	p.end()
	p.row++
	return p.spent(0)
}

// Cell takes a cell into its row.
func (p binaryPart) Cell(c xlsb.Cell) error {
	wb := &p.d.wb
	v := xls.Cell{Row: p.row, Col: c.Col, Text: c.Text, Number: c.Number, IsNumber: c.Kind == xlsb.Number}
	if c.Kind == xlsb.Shared {
		v.Text = wb.str(c.Shared)
	}
	if c.Style < len(wb.formats) {
		v.Format = wb.formats[c.Style]
	}
	return p.rows.Cell(v)
}

// NotRead tells of values that are not read.
func (p binaryPart) NotRead(what string) { p.d.j.gap(p.d.at, dlp.Unsupported, what, 0) }

// binary writes the text of a part of a binary workbook.
func (d *officeDoc) binary(file string, r io.Reader) error {
	out := newRows(d)
	out.s.name = d.wb.names[file]
	if out.s.name != "" {
		d.j.out.field(out.s.name, "sheet", 0)
		d.j.out.writeString("\n")
	}
	err := xlsb.Read(r, binaryPart{out})
	out.end()
	return xlsbError(err)
}

// xlsbError turns an error of a binary part's into a gap's.
func xlsbError(err error) error {
	switch ge, ok := errors.AsType[*gapError](err); {
	case ok:
		return ge
	case err == nil:
		return nil
	case errors.Is(err, xlsb.ErrTooLarge):
		return gapOf(dlp.TooLarge, "record of a workbook")
	}
	return gapOf(dlp.Corrupt, "zip member")
}
