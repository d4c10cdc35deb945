// Package sqlitefile reads the rows of SQLite database files.
//
// Free pages, space that no row owns and a write-ahead log, which is another
// file, are not read. It holds no more than one row beside the file.
//
// Source: sqlite.org/fileformat2.html.
package sqlitefile

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// ErrCorrupt is a file that is cut or damaged. What could be read came before.
var ErrCorrupt = errors.New("sqlitefile: cut or damaged")

// Kind says what a value is.
type Kind uint8

// Kinds of values.
const (
	Null Kind = iota
	Integer
	Real
	Text
	Blob
)

// Value is one value of a row.
type Value struct {
	Kind Kind
	Int  int64
	Real float64
	Text string // UTF-8, valid where the file's is
	Blob []byte // of the file, or of a copy
}

// Sink takes what is found. After an error no more comes.
type Sink interface {
	// Table begins a table. columns are those that its rows have values for, in
	// order; none where its statement is not understood.
	Table(name string, columns []string) error
	// Row takes a row, whose values may be fewer or more than the columns.
	Row(values []Value) error
	// Statement takes the text of a statement that made a part of the schema.
	Statement(sql string) error
}

const (
	headerSize = 100
	maxDepth   = 32 // of a tree: SQLite's own are at most 20
	maxColumns = 32_767
)

// Read gives out the schema and every row of every table. Its error is out's or
// ErrCorrupt.
func Read(b []byte, out Sink) error {
	if len(b) < headerSize || string(b[:16]) != "SQLite format 3\x00" {
		return ErrCorrupt
	}
	f := &file{b: b, out: out, size: int(binary.BigEndian.Uint16(b[16:])), encoding: b[59]}
	if f.size == 1 {
		f.size = 1 << 16
	}
	f.usable = f.size - int(b[20])
	if f.size < 512 || f.size&(f.size-1) != 0 || f.usable < 480 {
		return ErrCorrupt
	}
	f.seen = make([]bool, (len(b)+f.size-1)/f.size+1)
	var tables []table
	err := f.tree(1, func(rowid int64, v []Value) error {
		if len(v) < 5 {
			f.damaged = true
			return nil
		}
		if v[4].Text != "" {
			if err := out.Statement(v[4].Text); err != nil {
				return err
			}
		}
		if v[0].Text == "table" && v[3].Int > 0 {
			tables = append(tables, table{name: v[1].Text, root: v[3].Int, sql: v[4].Text})
		}
		return nil
	}, 0)
	for i := 0; i < len(tables) && err == nil; i++ {
		err = f.table(&tables[i])
	}
	if err == nil && f.damaged {
		err = ErrCorrupt
	}
	return err
}

type table struct {
	name string
	root int64
	sql  string
}

type file struct {
	b        []byte
	out      Sink
	size     int // of a page
	usable   int // of it
	encoding byte
	seen     []bool // pages, from 1
	damaged  bool
	values   []Value
}

// table reads one table's rows.
func (f *file) table(t *table) error {
	s := parse(t.sql)
	if err := f.out.Table(t.name, s.stored()); err != nil {
		return err
	}
	return f.tree(t.root, func(rowid int64, v []Value) error {
		if s.key >= 0 && !s.withoutRowID && s.key < len(v) && v[s.key].Kind == Null { // it is the row's number
			v[s.key] = Value{Kind: Integer, Int: rowid}
		}
		return f.out.Row(v)
	}, 0)
}

// page returns a page that was not used before, and where in it the tree's
// header is.
func (f *file) page(n int64) (b []byte, at int) {
	if n < 1 || n >= int64(len(f.seen)) || f.seen[n] {
		f.damaged = true
		return nil, 0
	}
	f.seen[n] = true
	off := int(n-1) * f.size
	b = f.b[off:min(off+f.size, len(f.b))]
	if len(b) < f.size {
		f.damaged = true
	}
	if len(b) > f.usable {
		b = b[:f.usable]
	}
	if n == 1 {
		at = headerSize
	}
	return b, at
}

// Kinds of pages.
const (
	indexInterior = 0x02
	tableInterior = 0x05
	indexLeaf     = 0x0a
	tableLeaf     = 0x0d
)

// tree reads the rows of the tree below page n, in order.
func (f *file) tree(n int64, row func(int64, []Value) error, depth int) error {
	b, at := f.page(n)
	if len(b) < at+12 || depth > maxDepth {
		f.damaged = true
		return nil
	}
	kind := b[at]
	cells := int(binary.BigEndian.Uint16(b[at+3:]))
	pointers := at + 8
	if kind == indexInterior || kind == tableInterior {
		pointers += 4
	} else if kind != indexLeaf && kind != tableLeaf {
		f.damaged = true
		return nil
	}
	for i := range cells {
		p := pointers + 2*i
		if p+2 > len(b) {
			f.damaged = true
			break
		}
		off := int(binary.BigEndian.Uint16(b[p:]))
		if off >= len(b) {
			f.damaged = true
			continue
		}
		if err := f.cell(kind, b[off:], row, depth); err != nil {
			return err
		}
	}
	if kind == indexInterior || kind == tableInterior {
		return f.tree(int64(binary.BigEndian.Uint32(b[at+8:])), row, depth+1)
	}
	return nil
}

// cell reads one cell of a page, and the tree that it points at.
func (f *file) cell(kind byte, c []byte, row func(int64, []Value) error, depth int) error {
	if kind == indexInterior || kind == tableInterior {
		if len(c) < 4 {
			f.damaged = true
			return nil
		}
		if err := f.tree(int64(binary.BigEndian.Uint32(c)), row, depth+1); err != nil || kind == tableInterior {
			return err
		}
		c = c[4:]
	}
	size, n := varint(c)
	c = c[n:]
	var rowid int64
	if kind == tableLeaf {
		var id uint64
		id, n = varint(c)
		rowid = int64(id)
		c = c[n:]
	}
	payload, ok := f.payload(kind, c, size)
	if !ok {
		f.damaged = true
	}
	values := f.record(payload)
	if len(values) == 0 {
		return nil
	}
	return row(rowid, values)
}

// payload joins what stands in the page and on pages behind it; ok is false
// where some of it is missing. Source: 1.6, "cell payload overflow pages".
func (f *file) payload(kind byte, c []byte, size uint64) (b []byte, ok bool) {
	if size > uint64(len(f.b)) {
		return nil, false
	}
	p, u := int(size), f.usable
	most := u - 35
	if kind != tableLeaf {
		most = (u-12)*64/255 - 23
	}
	local := p
	if p > most {
		least := (u-12)*32/255 - 23
		if local = least + (p-least)%(u-4); local > most {
			local = least
		}
	}
	if local > len(c) {
		return c, false
	}
	if local == p {
		return c[:p], true
	}
	if len(c) < local+4 {
		return c[:local], false
	}
	b = append(b, c[:local]...)
	for next := int64(binary.BigEndian.Uint32(c[local:])); len(b) < p; {
		page, _ := f.page(next)
		if len(page) < 4 {
			return b, false
		}
		next = int64(binary.BigEndian.Uint32(page))
		b = append(b, page[4:][:min(p-len(b), len(page)-4)]...)
	}
	return b, true
}

// varint reads a number of 1 to 9 bytes; 0 of 0 bytes where b is empty.
func varint(b []byte) (x uint64, n int) {
	for n < len(b) && n < 8 {
		x = x<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return x, n
		}
	}
	if n == 8 && len(b) > 8 {
		return x<<8 | uint64(b[8]), 9
	}
	return x, n
}

// record reads the values of a row. Source: 2.1, "record format".
func (f *file) record(b []byte) []Value {
	size, n := varint(b)
	if n == 0 {
		return nil
	}
	if size > uint64(len(b)) || size < uint64(n) {
		f.damaged = true
		return nil
	}
	head, body := b[n:size], b[size:]
	f.values = f.values[:0]
	for len(head) > 0 && len(f.values) < maxColumns {
		kind, n := varint(head)
		head = head[n:]
		var v Value
		v, body = f.value(kind, body)
		f.values = append(f.values, v)
	}
	return f.values
}

// sizes of the values of kinds 0 to 9.
var sizes = [10]int{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}

func (f *file) value(kind uint64, b []byte) (v Value, rest []byte) {
	n := 0
	switch {
	case kind < 10:
		n = sizes[kind]
	case kind < 12:
		f.damaged = true
		return v, b
	case (kind-12)/2 > uint64(len(b)):
		n = len(b) + 1
	default:
		n = int((kind - 12) / 2)
	}
	if n > len(b) {
		f.damaged = true
		if kind < 12 {
			return v, nil
		}
		n = len(b)
	}
	d, rest := b[:n], b[n:]
	switch {
	case kind == 0:
	case kind == 7:
		v = Value{Kind: Real, Real: math.Float64frombits(binary.BigEndian.Uint64(d))}
	case kind >= 8 && kind < 10:
		v = Value{Kind: Integer, Int: int64(kind - 8)}
	case kind < 7:
		x := int64(int8(d[0]))
		for _, c := range d[1:] {
			x = x<<8 | int64(c)
		}
		v = Value{Kind: Integer, Int: x}
	case kind%2 == 0:
		v = Value{Kind: Blob, Blob: d}
	default:
		v = Value{Kind: Text, Text: f.decode(d)}
	}
	return v, rest
}

// decode returns text of the file's encoding. Text that a program has put there
// in another is given as its bytes say.
func (f *file) decode(b []byte) string {
	switch f.encoding {
	case 2:
		return codepage.Decode16(b)
	case 3:
		turned := make([]byte, len(b)&^1)
		for i := range turned {
			turned[i] = b[i^1]
		}
		return codepage.Decode16(turned)
	}
	return strings.Clone(codepage.Decode(codepage.Latin1, b))
}
