package iwork

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
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
	lists map[*object]entries
	kept  int                // entries of all lists
	texts map[*object]string // of texts in cells
	again int64              // bytes that were read or held a further time
}

// Show hands on all that was added. An error is s's own, or ErrTooMany.
func (d *Document) Show(s Sink) (Found, error) {
	x := &show{Document: d, s: s, lists: map[*object]entries{}, texts: map[*object]string{}}
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
	x.unshown()
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

// table shows a TST.TableModelArchive. A tile that several tables name is shown for
// each.
func (x *show) table(m message) {
	if x.err != nil {
		return
	}
	x.err = x.s.Table(plain(string(m.bytes(8))))
	data := m.bytes(4)
	t := &table{show: x, texts: x.list(data, 4), rich: x.list(data, 17)}
	mine := map[*object]bool{}
	data.bytes(3).all(1, func(tile message) {
		o := x.find(tile, 2, kindTile)
		if o == nil || mine[o] || x.err != nil {
			return
		}
		if o.used {
			if x.repeat(len(o.b)); x.err != nil {
				return
			}
		}
		mine[o], o.used = true, true
		o.b.all(5, t.row)
	})
}

// table is a table at hand.
type table struct {
	*show
	texts, rich entries
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
	words := ""
	if rich != nil {
		words = t.entry(t.rich, binary.LittleEndian.Uint32(rich))
	}
	if text != nil && words == "" {
		words = t.entry(t.texts, binary.LittleEndian.Uint32(text))
	}
	value := ""
	switch {
	case seconds != nil && kind == 5:
		value = date(math.Float64frombits(binary.LittleEndian.Uint64(seconds)))
	case decimal != nil:
		value = decimal128(decimal)
	case double != nil && kind != 6: // neither yes nor no
		value = strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(double)), 'f', -1, 64)
	}
	switch {
	case words == "":
		return value
	case value == "" || value == "0":
		return words
	}
	t.repeat(len(words))
	if t.err != nil {
		return words
	}
	return words + " " + value // which of the two is seen its kind does not tell for certain
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

// shownDigits is how many digits of a number Numbers shows at most: what a program
// computed with and kept has more of them.
const shownDigits = 15

// decimal128 writes a decimal number in the encoding with a binary significand: as
// it is shown, and behind it in brackets as it is kept where that reads otherwise.
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
	if exp > 40 || exp < -60 {
		return ""
	}
	n, sign := new(big.Int).SetBytes(be), ""
	if b[15]&0x80 != 0 && n.Sign() != 0 {
		sign = "-"
	}
	kept := sign + point(n.String(), exp)
	over := len(n.String()) - shownDigits
	if over <= 0 {
		return kept
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(over)), nil)
	n.Add(n, new(big.Int).Rsh(unit, 1)).Div(n, unit)
	if shown := sign + point(n.String(), exp+over); shown != kept {
		return shown + " (" + kept + ")"
	}
	return kept
}

// point writes digits times ten to the power of exp.
func point(digits string, exp int) string {
	switch {
	case digits == "0":
		return digits
	case exp >= 0:
		return digits + strings.Repeat("0", exp)
	case len(digits) <= -exp:
		digits = strings.Repeat("0", 1-exp-len(digits)) + digits
	}
	return strings.TrimRight(strings.TrimRight(digits[:len(digits)+exp]+"."+digits[len(digits)+exp:], "0"), ".")
}
