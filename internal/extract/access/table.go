package access

import (
	"encoding/binary"
	"slices"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// column is one column of a table.
type column struct {
	kind   byte
	number int // its place in the mask of nulls
	index  int // among the values of varying length
	offset int // of a fixed one
	size   int
	scale  int // digits after the point
	fixed  bool
	name   string
}

type table struct {
	columns []column
	varying int // columns of varying length
}

// layout says where a definition has what.
type layout struct {
	varying, columns, indexes, first, index, column        int
	number, vindex, scale, flags, offset, size, nameLength int
}

var (
	jet3 = layout{varying: 23, columns: 25, indexes: 31, first: 43, index: 8, column: 18, number: 1, vindex: 3, scale: 10, flags: 13, offset: 14, size: 16, nameLength: 1}
	jet4 = layout{varying: 43, columns: 45, indexes: 51, first: 63, index: 12, column: 25, number: 5, vindex: 7, scale: 12, flags: 15, offset: 21, size: 23, nameLength: 2}
)

// table reads the definition of a table; nil where there is none.
func (f *file) table(n int) *table {
	if n < 1 || n >= f.pages() || f.pageAt(n)[0] != pageTable {
		return nil
	}
	d := slices.Clone(f.pageAt(n))
	for next, i := int(binary.LittleEndian.Uint32(d[4:])), 0; next != 0; i++ {
		if next >= f.pages() || f.pageAt(next)[0] != pageTable || i >= maxChain || f.chain < f.size {
			f.damage = true
			break
		}
		f.chain -= f.size
		p := f.pageAt(next)
		d = append(d, p[8:]...)
		next = int(binary.LittleEndian.Uint32(p[4:]))
	}
	l := &jet4
	if f.jet3 {
		l = &jet3
	}
	t := &table{varying: le16(d[l.varying:])}
	count, indexes := le16(d[l.columns:]), int64(binary.LittleEndian.Uint32(d[l.indexes:]))
	at := int64(l.first) + indexes*int64(l.index)
	if count > maxColumns || at > int64(len(d)) {
		f.damage = true
		return nil
	}
	d = d[at:]
	if len(d) < count*l.column {
		f.damage = true
		return nil
	}
	names := d[count*l.column:]
	for i := range count {
		c := d[i*l.column:]
		col := column{kind: c[0], number: le16(c[l.number:]), index: le16(c[l.vindex:]), offset: le16(c[l.offset:]), size: le16(c[l.size:]), scale: int(c[l.scale]), fixed: c[l.flags]&1 != 0}
		if len(names) < l.nameLength {
			f.damage = true
			break
		}
		size := int(names[0])
		if l.nameLength == 2 {
			size = le16(names)
		}
		names = names[l.nameLength:]
		if size > len(names) {
			f.damage = true
			break
		}
		if f.jet3 {
			col.name = f.text(names[:size])
		} else {
			col.name = codepage.Decode16(names[:size])
		}
		names = names[size:]
		t.columns = append(t.columns, col)
	}
	return t
}

func le16(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }

// Flags of a row's place.
const (
	rowDeleted = 0x8000 // or it is reached from the place it was moved from
	rowMoved   = 0x4000
	rowOffset  = 0x1fff
)

// row returns the n-th row of a page and its flags; nil where there is none.
func (f *file) row(page, n int) (b []byte, flags int) {
	if page < 1 || page >= f.pages() {
		return nil, 0
	}
	p := f.pageAt(page)
	if p[0] != pageData {
		return nil, 0
	}
	first := 12
	if f.jet3 {
		first = 8
	}
	if n >= le16(p[first:]) || first+2+2*n+2 > len(p) {
		return nil, 0
	}
	at := le16(p[first+2+2*n:])
	end := len(p)
	if n > 0 {
		end = le16(p[first+2*n:]) & rowOffset
	}
	if start := at & rowOffset; start < end && end <= len(p) {
		return p[start:end], at
	}
	return nil, at
}

// rows reads every row of a table.
func (f *file) rows(owner int, t *table, row func([]Value) error) error {
	values := make([]Value, len(t.columns))
	for _, page := range f.owned[owner] {
		p := f.pageAt(int(page))
		first := 12
		if f.jet3 {
			first = 8
		}
		for n := range min(le16(p[first:]), f.size/2) {
			b, flags := f.row(int(page), n)
			if flags&rowDeleted != 0 {
				continue
			}
			if b == nil {
				f.damage = true
				continue
			}
			if flags&rowMoved != 0 { // where it is now
				if len(b) < 4 {
					f.damage = true
					continue
				}
				to := int(binary.LittleEndian.Uint32(b))
				if b, _ = f.row(to>>8, to&0xff); b == nil {
					f.damage = true
					continue
				}
			}
			if !f.values(t, b, values) {
				f.damage = true
				continue
			}
			if err := row(values); err != nil {
				return err
			}
		}
	}
	return nil
}

// values reads the values of a row; false: it is damaged.
func (f *file) values(t *table, b []byte, out []Value) bool {
	head := 2
	if f.jet3 {
		head = 1
	}
	if len(b) < head {
		return false
	}
	count := int(b[0])
	if !f.jet3 {
		count = le16(b)
	}
	mask := (count + 7) / 8
	if head+mask > len(b) {
		return false
	}
	nulls := b[len(b)-mask:]
	var ends []int
	if t.varying > 0 {
		if ends = f.places(b[:len(b)-mask]); ends == nil {
			return false
		}
	}
	whole := true
	for i, c := range t.columns {
		out[i] = Value{}
		set := c.number < count && nulls[c.number/8]>>(c.number%8)&1 != 0
		if c.kind == kindBool {
			out[i].Text = "0"
			if set {
				out[i].Text = "1"
			}
			continue
		}
		if !set {
			continue
		}
		var v []byte
		switch {
		case c.fixed && head+c.offset+c.size <= len(b)-mask:
			v = b[head+c.offset:][:c.size]
		case !c.fixed && c.index+1 < len(ends):
			from, to := ends[c.index], ends[c.index+1]
			if from > to || to > len(b)-mask {
				whole = false
				continue
			}
			v = b[from:to]
		default:
			whole = whole && !c.fixed // a column that was added later has no place in older rows
			continue
		}
		out[i] = f.value(&c, v)
	}
	if !whole {
		f.damage = true
	}
	return true
}

// places returns where the values of varying length begin, and where the last
// one ends; b ends before the mask of nulls. nil: it is damaged.
func (f *file) places(b []byte) []int {
	if !f.jet3 {
		if len(b) < 2 {
			return nil
		}
		n := le16(b[len(b)-2:])
		if 2*n+4 > len(b) {
			return nil
		}
		ends := make([]int, n+1)
		for i := range ends {
			ends[i] = le16(b[len(b)-4-2*i:])
		}
		return ends
	}
	if len(b) < 2 {
		return nil
	}
	// Offsets of a byte each, and before them where the next 256 begin.
	n := int(b[len(b)-1])
	whole := len(b) + (int(b[0])+7)/8
	jumps := (whole - 1) / 256
	last := len(b) - 2 - jumps // of the first offset
	if (last-n)/256 < jumps {
		jumps-- // the last one is none, but has its place
	}
	if jumps < 0 || last-n < 0 {
		return nil
	}
	ends := make([]int, n+1)
	used := 0
	for i := range ends {
		for used < jumps && i == int(b[len(b)-2-used]) {
			used++
		}
		ends[i] = int(b[last-i]) + 256*used
	}
	return ends
}
