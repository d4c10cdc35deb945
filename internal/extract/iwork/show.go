package iwork

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Sink takes what a document holds: its texts, its tables row by row, its comments,
// then all other words that stand in it, each once. An error of it ends the
// reading and is returned as it is.
type Sink interface {
	Text(s string) error
	Table(name string) error // rows of it follow
	Row(cells []string) error
	Comment(s string) error
	Word(s string) error // names of styles, sheets and files, values of charts' labels, ...
}

// Found says what a document holds that Show does not hand on.
type Found struct {
	OldCells bool // numbers and dates of tables in the form of before 2014
}

// show is a document on its way out.
type show struct {
	*Document
	s     Sink
	found Found
	err   error
}

// Show hands on all that was added. An error is s's own.
func (d *Document) Show(s Sink) (Found, error) {
	x := &show{Document: d, s: s}
	var tables []int
	inCell := map[uint64]bool{}
	for i := range d.objects {
		switch o := &d.objects[i]; o.kind {
		case kindTable:
			tables = append(tables, i)
		case kindRich:
			inCell[o.b.bytes(1).number(1)] = true
		}
	}
	for i := range d.objects {
		o := &d.objects[i]
		if (o.kind == kindStorage || o.kind == kindStorage2) && !inCell[o.id] {
			o.used = true
			x.text(x.storage(o), s.Text)
		}
	}
	for _, i := range tables {
		x.table(d.objects[i].b)
	}
	for i := range d.objects {
		if o := &d.objects[i]; o.kind == kindComment {
			o.used = true
			x.text(string(o.b.bytes(1)), s.Comment)
		}
	}
	x.words()
	return x.found, x.err
}

func (x *show) text(s string, put func(string) error) {
	if s = plain(s); s != "" && x.err == nil {
		x.err = put(s)
	}
}

// plain returns text without the marks that stand for objects and breaks.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u2028' || r == '\u2029' || r == '\r' || r == '\v' || r == '\f' || r >= 1 && r <= 6:
			return '\n'
		case r == '\ufffc' || r == 0x0e || r == 0:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return strings.Trim(s, "\n")
}

// storage returns the text of a TSWP.StorageArchive.
func (x *show) storage(o *object) string {
	var b strings.Builder
	o.b.all(3, func(s message) { b.Write(s) })
	return b.String()
}

// table shows a TST.TableModelArchive.
func (x *show) table(m message) {
	if x.err != nil {
		return
	}
	x.err = x.s.Table(plain(string(m.bytes(8))))
	data := m.bytes(4)
	t := &table{show: x, texts: x.list(data, 4), rich: x.list(data, 17)}
	data.bytes(3).all(1, func(tile message) {
		if o := x.find(tile, 2, kindTile); o != nil && !o.used {
			o.used = true
			o.b.all(5, t.row)
		}
	})
}

// list returns the entries of a TST.TableDataList: each one's text.
func (x *show) list(data message, num uint64) map[uint32]string {
	o := x.find(data, num, kindList)
	if o == nil {
		return nil
	}
	o.used = o.b.bytes(4) == nil // what stands in segments is told as words
	texts := map[uint32]string{}
	o.b.all(3, func(e message) {
		s := string(e.bytes(3))
		if p := x.find(e, 9, kindRich); p != nil {
			if of := x.find(p.b, 1, kindStorage, kindStorage2); of != nil {
				of.used = true
				s = x.storage(of)
			}
		}
		texts[uint32(e.number(1))] = plain(s)
	})
	return texts
}

// table is a table at hand.
type table struct {
	*show
	texts, rich map[uint32]string
}

// row shows a TST.TileRowInfo.
func (t *table) row(m message) {
	if t.err != nil {
		return
	}
	cells, offsets, unit := m.bytes(6), m.bytes(7), 1
	if m.number(8) != 0 {
		unit = 4
	}
	if len(cells) == 0 {
		t.found.OldCells = t.found.OldCells || m.number(2) > 0
		return
	}
	var row []string
	for i := 0; i+2 <= len(offsets); i += 2 {
		at := int(binary.LittleEndian.Uint16(offsets[i:]))
		if at == 0xffff || at*unit >= len(cells) {
			continue
		}
		for len(row) < i/2 {
			row = append(row, "")
		}
		row = append(row, t.cell(cells[at*unit:]))
	}
	if len(row) > 0 {
		t.err = t.s.Row(row)
	}
}

// Flags of a cell: what it holds, in this order.
const (
	flagDecimal = 1 << iota
	flagDouble
	flagSeconds
	flagText
	flagRich
)

// cell returns what a cell of version 5 shows, in its plainest form.
func (t *table) cell(b []byte) string {
	const head = 12
	if len(b) < head || b[0] != 5 {
		t.found.OldCells = true
		return ""
	}
	kind, flags := b[1], binary.LittleEndian.Uint32(b[8:])
	b = b[head:]
	take := func(flag uint32, n int) []byte {
		if flags&flag == 0 || len(b) < n {
			return nil
		}
		v := b[:n]
		b = b[n:]
		return v
	}
	decimal, double, seconds, text, rich := take(flagDecimal, 16), take(flagDouble, 8), take(flagSeconds, 8), take(flagText, 4), take(flagRich, 4)
	switch {
	case rich != nil:
		return t.rich[binary.LittleEndian.Uint32(rich)]
	case text != nil:
		return t.texts[binary.LittleEndian.Uint32(text)]
	case seconds != nil && kind == 5:
		return date(math.Float64frombits(binary.LittleEndian.Uint64(seconds)))
	case decimal != nil:
		return decimal128(decimal)
	case double != nil && kind != 6: // neither yes nor no
		return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(double)), 'f', -1, 64)
	}
	return ""
}

// date writes seconds since 2001 as a date, with the time where there is one.
func date(seconds float64) string {
	if math.IsNaN(seconds) || math.Abs(seconds) > 1e12 {
		return ""
	}
	at := time.Unix(978307200+int64(math.Round(seconds)), 0).UTC()
	if at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0 {
		return at.Format("2006-01-02")
	}
	return at.Format("2006-01-02 15:04:05")
}

// decimal128 writes a decimal number in the encoding with a binary significand.
//
// Source: IEEE 754-2008 3.5.2.
func decimal128(b []byte) string {
	const bias = 0x1820
	exp := int(b[15]&0x7f)<<7 | int(b[14])>>1
	exp -= bias
	be := make([]byte, 15)
	for i := range 14 {
		be[14-i] = b[i]
	}
	be[0] = b[14] & 1
	s := new(big.Int).SetBytes(be).String()
	switch {
	case exp > 40 || exp < -60:
		return ""
	case exp >= 0:
		if s != "0" {
			s += strings.Repeat("0", exp)
		}
	default:
		if len(s) <= -exp {
			s = strings.Repeat("0", 1-exp-len(s)) + s
		}
		s = strings.TrimRight(strings.TrimRight(s[:len(s)+exp]+"."+s[len(s)+exp:], "0"), ".")
	}
	if b[15]&0x80 != 0 && s != "0" {
		s = "-" + s
	}
	return s
}

// words shows all strings of the objects that were not read by their fields, each
// once.
func (x *show) words() {
	const (
		most = 256     // bytes of one that is remembered
		all  = 1 << 16 // of them
	)
	seen := map[string]bool{}
	for i := range x.objects {
		if o := &x.objects[i]; !o.used && x.err == nil {
			x.strings(o.b, 0, func(s string) {
				if seen[s] || x.err != nil {
					return
				}
				if len(s) <= most && len(seen) < all {
					seen[s] = true
				}
				x.err = x.s.Word(s)
			})
		}
	}
}

const maxNesting = 40

// strings calls put with all that may be a string in a message: which of its bytes
// are messages again only descriptors would tell.
func (x *show) strings(m message, depth int, put func(string)) {
	m.each(func(f field) bool {
		if len(f.b) == 0 {
			return true
		}
		if s := string(f.b); isText(s) {
			if s = plain(s); s != "" {
				put(s)
			}
		} else if depth < maxNesting {
			x.strings(f.b, depth+1, put)
		}
		return true
	})
}

// isText reports printed characters, three at least.
func isText(s string) bool {
	if len(s) < 3 || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\t' && r != '\u2028' && r != '\u2029' && r != '\ufffc'
	})
}
