package xls

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/officeart"
)

// walk reads the records from a place on: all of the stream, or up to the end
// of one sheet.
func (k *book) walk(at int, all bool) {
	for at >= 0 && k.err == nil {
		id, b, next := k.record(at)
		if k.walked += len(b) + 4; k.walked > maxWalks*len(k.b)+1<<16 {
			k.damaged = true
			return
		}
		if id != recContinue {
			k.endBox()
			k.drawn = id == 0xec || k.drawn && (id == 0x5d || id == 0x1b6)
			k.boxRuns = 0
		}
		switch id {
		case 0x009, 0x209, 0x409, 0x809:
			k.seen[at] = true
			if id != 0x809 || k.biff < biff5 { // Excel writes Excel 5's sheets as if they were Excel 97's
				k.begin(id, b)
			}
			if name, ok := k.sheets[at]; ok {
				k.depth = 0
				k.err = k.out.Sheet(name)
			} else {
				k.depth++
			}
		case recEOF:
			k.endDrawing()
			if k.depth--; k.depth < 0 && !all {
				return
			}
		case recContinue:
			if !k.boxed(b) {
				k.draw(b)
			}
		default:
			k.one(id, b)
		}
		at = next
	}
	k.endBox()
	k.endDrawing()
}

// draw takes bytes of a sheet's drawing. What one record does not hold goes on
// in others, also behind an object's own records.
func (k *book) draw(b []byte) {
	if !k.drawn {
		return
	}
	if len(k.art)+len(b) > maxShared {
		k.err = ErrTooLarge
		return
	}
	k.art = append(k.art, b...)
}

// endDrawing tells the words of a drawing.
func (k *book) endDrawing() {
	for _, s := range officeart.Words(k.art) {
		k.line(s)
	}
	k.art = k.art[:0]
}

// boxed takes letters of a text box, then how they look; false where it has
// no need of more. Each record has flags of its own, and
// says with them how wide its letters are. [MS-XLS] 2.4.329.
func (k *book) boxed(b []byte) bool {
	if k.boxText == 0 {
		k.boxRuns -= len(b)
		return k.boxRuns+len(b) > 0
	}
	if len(b) == 0 {
		return true
	}
	wide := b[0]&1 != 0
	if b = b[1:]; wide {
		n := min(k.boxText, len(b)/2)
		k.box = append(k.box, b[:2*n]...)
		k.boxText -= n
	} else {
		n := min(k.boxText, len(b))
		for _, c := range b[:n] {
			k.box = append(k.box, c, 0)
		}
		k.boxText -= n
	}
	if k.boxText == 0 {
		k.endBox()
	}
	return true
}

// endBox tells a text box. One that lacks letters is damaged.
func (k *book) endBox() {
	k.damaged = k.damaged || k.boxText > 0
	k.boxText = 0
	if len(k.box) > 0 {
		k.line(codepage.Decode16(k.box))
		k.box = k.box[:0]
	}
}

func (k *book) line(s string) {
	if s != "" && k.err == nil {
		k.err = k.out.Line(s)
	}
}

func (k *book) cell(c Cell) {
	if k.err != nil || !c.IsNumber && c.Text == "" {
		return
	}
	k.err = k.out.Cell(c)
}

// at returns a cell's place and the style's format.
func (k *book) at(b []byte) Cell {
	c := Cell{Row: int(u16(b, 0)), Col: int(u16(b, 2))}
	if k.biff == biff2 {
		return c
	}
	return k.styled(c, int(u16(b, 4)))
}

func (k *book) styled(c Cell, xf int) Cell {
	if xf < len(k.xfs) {
		c.FormatID = k.xfs[xf]
		c.Format = k.formats[c.FormatID]
	}
	return c
}

// value returns where a cell's value begins: behind a style, or in Excel 2
// behind three bytes of one.
func (k *book) value() int {
	if k.biff == biff2 {
		return 7
	}
	return 6
}

// one reads one record of a sheet or of what sheets share.
//
// long: a case a record
func (k *book) one(id uint16, b []byte) {
	switch id {
	case 0x04, 0x204, 0xd6: // LABEL, RSTRING
		c := k.at(b)
		if k.biff == biff2 {
			c.Text = k.bytes(from(b, 7))
		} else {
			c.Text, _ = k.long(from(b, 6))
		}
		k.cell(c)
	case 0xfd:
		c := k.at(b)
		c.Text = k.str(u32(b, 6))
		k.cell(c)
	case 0x03, 0x203:
		k.number(k.at(b), b, k.value())
	case 0x02: // INTEGER of Excel 2
		c := k.at(b)
		c.Number, c.IsNumber = float64(u16(b, 7)), true
		k.cell(c)
	case 0x27e:
		c := k.at(b)
		c.Number, c.IsNumber = rk(u32(b, 6)), len(b) >= 10
		k.cell(c)
	case 0xbd: // MULRK
		c := Cell{Row: int(u16(b, 0)), Col: int(u16(b, 2)), IsNumber: true}
		for at := 4; at+8 <= len(b); at += 6 {
			d := k.styled(c, int(u16(b, at)))
			d.Number = rk(u32(b, at+2))
			k.cell(d)
			c.Col++
		}
	case 0x06, 0x206, 0x406:
		k.formula(b)
	case 0x07, 0x207: // STRING
		if k.wantString {
			c := k.styled(Cell{Row: k.row, Col: k.col}, k.xf)
			if k.biff == biff2 {
				c.Text = k.bytes(b)
			} else {
				c.Text, _ = k.long(b)
			}
			k.cell(c)
		}
		k.wantString = false
	case 0x14, 0x15: // header, footer
		if k.biff < biff8 {
			k.line(k.bytes(b))
		} else if len(b) > 2 {
			s, _ := k.long(b)
			k.line(s)
		}
	case 0x1c:
		k.note(b)
	case 0x1b6:
		if k.boxText = int(u16(b, 10)); k.boxText > 0 {
			k.boxRuns = int(u16(b, 12))
		}
	case 0xec:
		k.draw(b)
	case 0xeb: // the workbook's drawings: [MS-ODRAW] 2.2.32 begins each picture
		k.pictures = k.pictures || bytes.Contains(b, []byte("\x07\xf0"))
	case 0x7f, 0xe9: // a picture of Excel 5, and of a sheet's back
		k.pictures = true
	case 0x1b8:
		k.link(b)
	case 0x18, 0x218:
		k.name(b)
	case 0x59, 0x5a: // values of other files
		k.external(b)
	case 0xcd, 0x2c6: // a pivot table's text
		s, _ := k.long(b)
		k.line(s)
	case 0x100d: // text in a chart
		k.line(k.short(from(b, 2)))
	default:
		k.aside(id, b)
	}
}

func (k *book) number(c Cell, b []byte, at int) {
	if at+8 > len(b) {
		return
	}
	c.Number = math.Float64frombits(binary.LittleEndian.Uint64(b[at:]))
	c.IsNumber = !math.IsNaN(c.Number) && !math.IsInf(c.Number, 0)
	k.cell(c)
}

// formula reads a formula's kept value, and its words. [MS-XLS] 2.4.127.
func (k *book) formula(b []byte) {
	at := k.value()
	if at+8 > len(b) {
		return
	}
	c := k.at(b)
	k.wantString = false
	if u16(b, at+6) == 0xffff {
		if b[at] == 0 {
			k.row, k.col, k.xf, k.wantString = c.Row, c.Col, int(u16(b, 4)), true
		} else if b[at] == 1 {
			c.Text = map[bool]string{false: "FALSE", true: "TRUE"}[b[at+2] != 0]
			k.cell(c)
		}
	} else {
		k.number(c, b, at)
	}
	at += 10
	switch k.biff {
	case biff2:
		at = 17
	case biff5, biff8:
		at += 4
	}
	k.words(b, at)
}

// words gives the texts in a formula whose length stands at a place.
func (k *book) words(b []byte, at int) {
	if k.biff < biff5 {
		return
	}
	n := int(u16(b, at))
	for _, s := range k.texts(from(b, at+2)[:min(n, len(from(b, at+2)))]) {
		if k.err == nil {
			k.err = k.out.Words(s)
		}
	}
}

// operands are the lengths of a formula's parts behind their first byte, in
// Excel 97 and in Excel 5. [MS-XLS] 2.5.198.
var operands = map[byte][2]int{
	0x01: {4, 4}, 0x02: {4, 4}, 0x1c: {1, 1}, 0x1d: {1, 1}, 0x1e: {2, 2}, 0x1f: {8, 8}, 0x20: {7, 7}, 0x21: {2, 2}, 0x22: {3, 3},
	0x23: {4, 14}, 0x24: {4, 3}, 0x25: {8, 6}, 0x26: {6, 6}, 0x27: {6, 6}, 0x28: {6, 6}, 0x29: {2, 2}, 0x2a: {4, 3}, 0x2b: {8, 6},
	0x2c: {4, 3}, 0x2d: {8, 6}, 0x2e: {2, 2}, 0x2f: {2, 2}, 0x39: {6, 24}, 0x3a: {6, 17}, 0x3b: {10, 20}, 0x3c: {6, 17}, 0x3d: {10, 20},
}

// texts returns the texts that stand in a formula.
func (k *book) texts(b []byte) []string {
	var out []string
	old := 0
	if k.biff < biff8 {
		old = 1
	}
	for len(b) > 0 {
		t := b[0]
		b = b[1:]
		if t >= 0x40 {
			t = t&0x1f | 0x20
		}
		switch {
		case t == 0x17 && old == 1:
			if len(b) == 0 {
				return out
			}
			out = append(out, k.bytes(b))
			b = from(b, 1+int(b[0]))
		case t == 0x17:
			if len(b) < 2 {
				return out
			}
			var s string
			s, b = letters(b[1:], int(b[0]))
			out = append(out, s)
		case t == 0x19:
			n := 3
			if len(b) > 0 && b[0]&4 != 0 {
				n += 2 * (int(u16(b, 1)) + 1)
			}
			b = from(b, n)
		case t >= 0x03 && t <= 0x16:
		default:
			n, ok := operands[t]
			if !ok {
				return out
			}
			b = from(b, n[old])
		}
	}
	return out
}

// note reads a comment. In Excel 97 the text is a text box's, and here is who
// wrote it. [MS-XLS] 2.4.179.
func (k *book) note(b []byte) {
	if k.biff < biff8 {
		n := int(u16(b, 4))
		b = from(b, 6)
		k.line(codepage.Decode(k.page, b[:min(n, len(b))]))
		return
	}
	s, _ := k.long(from(b, 8))
	k.line(s)
}

// name reads a defined name's words. [MS-XLS] 2.4.150.
func (k *book) name(b []byte) {
	if k.biff < biff5 || len(b) < 15 {
		return
	}
	n := int(b[3])
	rest := b[14:]
	s, rest := k.unmeasured(rest, n)
	if b[0]&0x20 == 0 { // one of Excel's own
		k.named(s)
	}
	n = min(len(rest), int(u16(b, 4)))
	for _, s := range k.texts(rest[:n]) {
		k.line(s)
	}
	rest = rest[n:]
	for _, n := range b[10:14] { // menu, description, help, status
		if n > 0 {
			s, rest = k.unmeasured(rest, int(n))
			k.line(s)
		}
	}
}

// unmeasured reads a text of n letters whose length stands elsewhere, and returns
// what follows.
func (k *book) unmeasured(b []byte, n int) (string, []byte) {
	if k.biff < biff8 {
		n = min(n, len(b))
		return codepage.Decode(k.page, b[:n]), b[n:]
	}
	return letters(b, n)
}

// external reads cells that were taken over from another file. [MS-XLS] 2.4.63.
func (k *book) external(b []byte) {
	if k.biff < biff8 || len(b) < 5 {
		return
	}
	for b = b[4:]; len(b) >= 9; {
		if b[0] == 2 {
			var s string
			s, b = k.long(b[1:])
			k.line(s)
			continue
		}
		b = b[9:]
	}
}

// link reads where a hyperlink leads. [MS-XLS] 2.4.140, [MS-OSHARED] 2.3.7.1.
func (k *book) link(b []byte) {
	flags := u32(b, 28)
	b = from(b, 32)
	text := func() {
		n := min(2*int(u32(b, 0)), len(from(b, 4)))
		if n < 0 {
			n = 0
		}
		k.line(clean(codepage.Decode16(from(b, 4)[:n])))
		b = from(b, 4+n)
	}
	if flags&0x10 != 0 {
		text()
	}
	if flags&0x80 != 0 {
		text()
	}
	switch {
	case flags&0x100 != 0 && flags&1 != 0:
		text()
	case flags&1 != 0 && len(b) > 20 && b[0] == 0xe0:
		n := min(int(u32(b, 16)), len(b)-20)
		k.line(clean(codepage.Decode16(b[20 : 20+max(0, n)])))
		b = b[20+max(0, n):]
	case flags&1 != 0 && len(b) > 22 && b[0] == 3:
		n := min(int(u32(b, 18)), len(b)-22)
		k.line(clean(codepage.Decode(k.page, b[22:22+max(0, n)])))
		return // the rest says the same in other letters
	}
	if flags&8 != 0 {
		text()
	}
}

// clean cuts a text at its ending NUL.
func clean(s string) string {
	for i, r := range s {
		if r == 0 {
			return s[:i]
		}
	}
	return s
}

// PivotCache gives the texts that a pivot table keeps of its source: a stream
// of the storage _SX_DB_CUR.
func PivotCache(b []byte, out Out) error {
	k := &book{b: b, out: out, page: codepage.Latin1, biff: biff8, seen: map[int]bool{}}
	k.walk(0, true)
	if k.err == nil && k.damaged {
		return ErrCorrupt
	}
	return k.err
}
