// Package xlsb reads the binary parts of Excel's .xlsb workbooks: cells as they are
// kept, what they share, and the words that stand beside them.
//
// Source: [MS-XLSB]. A part is a run of records: an id and a size, each of seven
// bits a byte, and so many bytes.
package xlsb

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
)

// Errors of a part; what came before them has been told.
var (
	ErrCorrupt  = errors.New("xlsb: damaged part")
	ErrTooLarge = errors.New("xlsb: a record longer than may be held")
)

// maxRecord is the longest record that is held, in bytes: a cell has 32,767 letters
// at most, and how they look takes no more than a few bytes for each.
const maxRecord = 1 << 20

// Kind is what a cell holds.
type Kind uint8

// Kinds of cells.
const (
	Text Kind = iota + 1
	Number
	Shared // its text is one of the shared strings
)

// Cell is one cell of a row.
type Cell struct {
	Kind   Kind
	Col    int // from 0
	Style  int // place among the workbook's cell formats
	Text   string
	Number float64
	Shared int // place among the shared strings
}

// Out takes what is found, in the order of the part. An error it returns ends the
// reading, and is what Read returns.
type Out interface {
	Date1904()                      // days count from 1904; of the workbook's own part
	Sheet(relation, name string)    // a sheet, by the id of the relation to its part
	SharedString(text string) error // the next one
	Format(id int, code string)     // a number format
	Style(format int)               // the next cell format, by the id of its number format
	Row() error                     // the cells that follow are another row's
	Cell(c Cell) error              // by column
	Words(text string) error        // of a formula, behind the cell that it stands in
	Line(text string) error         // text outside of cells
	NotRead(what string)            // records that hold values and are not read; once a part
}

// Records by their names in [MS-XLSB] 2.3.
const (
	brtRowHdr          = 0
	brtCellRk          = 2
	brtCellBool        = 4
	brtCellReal        = 5
	brtCellSt          = 6
	brtCellIsst        = 7
	brtFmlaString      = 8
	brtFmlaNum         = 9
	brtFmlaBool        = 10
	brtFmlaError       = 11
	brtShortBlank      = 12
	brtShortRk         = 13
	brtShortError      = 14
	brtShortBool       = 15
	brtShortReal       = 16
	brtShortSt         = 17
	brtShortIsst       = 18
	brtSSTItem         = 19
	brtPCDINumber      = 21
	brtPCDIDatetime    = 25
	brtPCDIANumber     = 28
	brtPCDIADatetime   = 32
	brtPCRRecord       = 33
	brtFmt             = 44
	brtXF              = 47
	brtCellRString     = 62
	brtBeginSheet      = 129
	brtBeginBook       = 131
	brtWbProp          = 153
	brtBundleSh        = 156
	brtBeginSst        = 159
	brtBeginPivotDef   = 179
	brtBeginPivotRecs  = 193
	brtBeginStyleSheet = 278
	brtBeginSXView     = 280
	brtBeginMetadata   = 332
	brtBeginList       = 343
	brtBeginSupBook    = 360
	brtBeginExtConns   = 429
	brtBeginQSI        = 443
	brtBeginCalcChain  = 528
	brtBeginCellXFs    = 617
	brtEndCellXFs      = 618
	brtBeginComments   = 628
	brtIndexRowBlock   = 42 // begins the index of a sheet's rows
)

// roots are the records that parts begin with.
var roots = map[int]bool{brtBeginSheet: true, brtBeginBook: true, brtBeginSst: true, brtBeginPivotDef: true, brtBeginPivotRecs: true, brtBeginStyleSheet: true,
	brtBeginSXView: true, brtBeginMetadata: true, brtBeginList: true, brtBeginSupBook: true, brtBeginExtConns: true, brtBeginQSI: true,
	brtBeginCalcChain: true, brtBeginComments: true, brtIndexRowBlock: true}

// Is reports whether the first bytes of a part are those of one that Read reads.
func Is(head []byte) bool {
	id, size, err := header(bytes.NewReader(head))
	return err == nil && roots[id] && size <= maxRecord
}

// Read reads a part of whatever kind.
func Read(r io.Reader, out Out) error {
	p := part{out: out}
	br := bufio.NewReader(r)
	for {
		id, size, err := header(br)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if size > maxRecord {
			return ErrTooLarge
		}
		if cap(p.buf) < size {
			p.buf = make([]byte, size, max(size, 4096))
		}
		b := p.buf[:size]
		if _, err := io.ReadFull(br, b); err != nil {
			return cut(err)
		}
		if err := p.record(id, b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// header reads a record's id and size; io.EOF where there is none.
//
// Source: [MS-XLSB] 2.1.4.
func header(r io.ByteReader) (id, size int, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	if id = int(b); b&0x80 != 0 {
		if b, err = r.ReadByte(); err != nil {
			return 0, 0, cut(err)
		}
		id = id&0x7f | int(b&0x7f)<<7
	}
	for n := 0; n < 28; n += 7 {
		if b, err = r.ReadByte(); err != nil {
			return 0, 0, cut(err)
		}
		size |= int(b&0x7f) << n
		if b&0x80 == 0 {
			break
		}
	}
	return id, size, nil
}

// cut turns the end of a part within a record into damage.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCorrupt
	}
	return err
}

// part is one part on its way through.
type part struct {
	out   Out
	buf   []byte
	root  int  // the part's first record
	begun bool // it was seen
	col   int  // of the last cell
	xfs   bool // the formats at hand are cells'
	told  bool // that something is not read
}

func (p *part) record(id int, b []byte) error {
	if !p.begun {
		if p.root, p.begun = id, true; id == brtIndexRowBlock || id == brtBeginCalcChain {
			return io.EOF // places of rows and formulas: no words
		}
	}
	switch id {
	case brtRowHdr:
		p.col = -1
		return p.out.Row()
	case brtSSTItem:
		text, _, err := rich(b)
		return errors.Join(p.out.SharedString(text), err)
	case brtFmt:
		if code, _, err := wide(from(b, 2)); err == nil {
			p.out.Format(int(u16(b, 0)), code)
		}
		return nil
	case brtBeginCellXFs, brtEndCellXFs:
		p.xfs = id == brtBeginCellXFs
		return nil
	case brtXF:
		if p.xfs {
			p.out.Style(int(u16(b, 2)))
		}
		return nil
	case brtWbProp:
		if u32(b, 0)&1 != 0 {
			p.out.Date1904()
		}
		return nil
	case brtBundleSh:
		for _, at := range []int{8, 12} { // Excel 2007's beta had one number more
			if relation, rest, err := wide(from(b, at)); err == nil {
				if name, rest, err := wide(rest); err == nil && len(rest) == 0 {
					p.out.Sheet(relation, name)
					return nil
				}
			}
		}
	case brtPCDINumber, brtPCDIANumber:
		return p.out.Line(number(f64(b, 0)))
	case brtPCDIDatetime, brtPCDIADatetime:
		return p.out.Line(date(b))
	case brtPCRRecord:
		if !p.told {
			p.out.NotRead("records of a pivot table")
			p.told = true
		}
		return nil
	}
	if p.root == brtBeginSheet && (id <= brtShortIsst || id == brtCellRString) {
		return p.cell(id, b)
	}
	if p.root == brtBeginStyleSheet { // names of fonts and styles
		return nil
	}
	return words(b, p.out.Line)
}

// cell reads a record of a cell. A short one has no column: it is the next.
//
// Source: [MS-XLSB] 2.5.9, Cell, and the records by their names.
func (p *part) cell(id int, b []byte) error {
	c := Cell{Kind: Number}
	if id >= brtShortBlank && id <= brtShortIsst {
		c.Col, c.Style, b = p.col+1, int(u32(b, 0)&0xffffff), from(b, 4)
		id -= brtShortBlank - 1
	} else {
		c.Col, c.Style, b = int(min(u32(b, 0), 1<<14)), int(u32(b, 4)&0xffffff), from(b, 8)
	}
	p.col = c.Col
	var err error
	var formula []byte
	switch id {
	case brtCellRk:
		if len(b) < 4 {
			return ErrCorrupt
		}
		c.Number = rk(u32(b, 0))
	case brtCellReal, brtFmlaNum:
		if len(b) < 8 {
			return ErrCorrupt
		}
		c.Number, formula = f64(b, 0), from(b, 8)
	case brtCellBool, brtFmlaBool:
		if len(b) < 1 {
			return ErrCorrupt
		}
		c.Number, formula = float64(b[0]), b[1:]
	case brtCellSt, brtFmlaString:
		c.Kind = Text
		c.Text, formula, err = wide(b)
	case brtCellRString:
		c.Kind = Text
		c.Text, _, err = rich(b)
	case brtCellIsst:
		if len(b) < 4 {
			return ErrCorrupt
		}
		c.Kind, c.Shared = Shared, int(u32(b, 0)&math.MaxInt32)
	case brtFmlaError:
		return literals(from(b, 1), p.out.Words)
	default: // blank, or an error
		return nil
	}
	if e := p.out.Cell(c); e != nil {
		return e
	}
	if id >= brtFmlaString && id <= brtFmlaBool {
		if e := literals(formula, p.out.Words); e != nil {
			return e
		}
	}
	return err
}
