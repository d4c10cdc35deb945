package iwork_test

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/stanch-dlp/stanch/internal/extract/iwork"
)

// No program here writes iWork: the archives of these tests are written as the
// package's comment says they are laid out.

func num(n, v uint64) []byte { return binary.AppendUvarint(binary.AppendUvarint(nil, n<<3), v) }

func sub(n uint64, all ...[]byte) []byte {
	b := join(all...)
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, n<<3|2), uint64(len(b))), b...)
}

func join(all ...[]byte) (b []byte) {
	for _, x := range all {
		b = append(b, x...)
	}
	return b
}

func str(n uint64, s string) []byte { return sub(n, []byte(s)) }

func archive(id, kind uint64, all ...[]byte) []byte {
	b := join(all...)
	info := join(num(1, id), sub(2, num(1, kind), sub(2, []byte{1, 0, 5}), num(3, uint64(len(b)))))
	return join(binary.AppendUvarint(nil, uint64(len(info))), info, b)
}

// pack packs archives into two chunks.
func pack(b []byte) (out []byte) {
	for _, c := range [][]byte{b[:len(b)/2], b[len(b)/2:]} {
		p := snappy.Encode(nil, c)
		out = append(append(out, 0, byte(len(p)), byte(len(p)>>8), byte(len(p)>>16)), p...)
	}
	return out
}

func cellOf(kind byte, flags uint32, values ...[]byte) []byte {
	head := make([]byte, 12)
	head[0], head[1] = 5, kind
	binary.LittleEndian.PutUint32(head[8:], flags)
	b := join(append([][]byte{head}, values...)...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func u32(v uint32) []byte  { return binary.LittleEndian.AppendUint32(nil, v) }
func f64(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) }

// decimal is a decimal number of 128 bits. IEEE 754-2008 3.5.2.
func decimal(v uint64, exp int, minus bool) []byte {
	b := make([]byte, 16)
	binary.LittleEndian.PutUint64(b, v)
	e := exp + 0x1820
	b[14], b[15] = byte(e<<1), byte(e>>7)
	if minus {
		b[15] |= 0x80
	}
	return b
}

func rowOf(i uint64, cells ...[]byte) []byte {
	var data, offsets []byte
	for _, c := range cells {
		if c == nil {
			offsets = append(offsets, 0xff, 0xff)
			continue
		}
		offsets = binary.LittleEndian.AppendUint16(offsets, uint16(len(data)/4))
		data = append(data, c...)
	}
	return sub(5, num(1, i), num(2, uint64(len(cells))), sub(3), sub(4), sub(6, data), sub(7, append(offsets, 0xff, 0xff)), num(8, 1))
}

// document has a text, a table and a comment.
func document() (text, tables []byte) {
	text = join(
		archive(1, 10000, str(9, "a name of something"), sub(8, sub(7, str(2, "en_US")))),
		archive(2, 2001, num(1, 0), str(3, "Patient 536-22-"), str(3, "8145\u2028second line\u0004\ufffc")),
		archive(3, 3056, str(1, "ask her son")),
	)
	tables = join(
		archive(20, 6001, str(1, "id of table"), sub(4, sub(3, sub(1, num(1, 0), sub(2, num(1, 21)))), sub(4, num(1, 22)), sub(17, num(1, 23))), num(6, 2), num(7, 4), str(8, "Ward 3")),
		archive(21, 6002, rowOf(0, cellOf(3, 8, u32(1)), cellOf(3, 8, u32(2)), cellOf(3, 8, u32(3)), cellOf(3, 8, u32(4))),
			rowOf(1, cellOf(9, 16, u32(7)), cellOf(2, 1, decimal(536228145, 0, false)), cellOf(5, 4, f64(-654652800)), cellOf(2, 1|32, decimal(12345, -2, true), u32(9))),
			rowOf(2, nil, cellOf(2, 2, f64(1.5)), nil, cellOf(6, 2, f64(1)))),
		archive(22, 6005, num(1, 1), sub(3, num(1, 1), num(2, 1), str(3, "Name")), sub(3, num(1, 2), str(3, "SSN")), sub(3, num(1, 3), str(3, "Birth")), sub(3, num(1, 4), str(3, "Due"))),
		archive(23, 6005, num(1, 8), sub(3, num(1, 7), sub(9, num(1, 24)))),
		archive(24, 6218, sub(1, num(1, 25))),
		archive(25, 2001, str(3, "Jane Doe")),
	)
	return pack(text), pack(tables)
}

const documentText = "text|Patient 536-22-8145\nsecond line\ntable|Ward 3\nrow|Name|SSN|Birth|Due\nrow|Jane Doe|536228145|1980-04-04|-123.45\nrow||1.5||\n" +
	"comment|ask her son\nword|a name of something\nword|en_US\nword|id of table\nword|Ward 3\n"

var errFull = errors.New("full")

// list is a sink that writes what it is given, a line each.
type list struct {
	strings.Builder
	left int
}

func (l *list) line(s ...string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(strings.Join(s, "|") + "\n")
	return nil
}

func (l *list) Text(s string) error      { return l.line("text", s) }
func (l *list) Table(s string) error     { return l.line("table", s) }
func (l *list) Row(cells []string) error { return l.line(append([]string{"row"}, cells...)...) }
func (l *list) Comment(s string) error   { return l.line("comment", s) }
func (l *list) Word(s string) error      { return l.line("word", s) }

func TestRead(t *testing.T) {
	text, tables := document()
	var d iwork.Document
	for _, b := range [][]byte{text, tables} {
		if n, err := d.Add(b, 1<<20); err != nil || n == 0 {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	out := &list{left: 100}
	if found, err := d.Show(out); err != nil || found.OldCells || out.String() != documentText {
		t.Errorf("got %q, %v, %v, want %q", out, found, err, documentText)
	}
	if _, err := d.Show(&list{}); !errors.Is(err, errFull) {
		t.Errorf("a full sink: got %v", err)
	}
}

func TestAdd(t *testing.T) {
	text, tables := document()
	old := archive(20, 6001, sub(4, sub(3, sub(1, sub(2, num(1, 21))))))
	old = pack(join(old, archive(21, 6002, sub(5, num(2, 3), sub(3, []byte{4, 0}), sub(4, []byte{0, 0})))))
	for name, c := range map[string]struct {
		in   []byte
		room int64
		want error
		text string
		old  bool
	}{
		"no room":     {tables, 10, iwork.ErrTooLarge, "", false},
		"cut":         {text[:len(text)-1], 1 << 20, iwork.ErrCorrupt, "", false},
		"no chunk":    {append([]byte{1}, text...), 1 << 20, iwork.ErrCorrupt, "", false},
		"a chunk cut": {append(text[:len(text):len(text)], 0, 1), 1 << 20, iwork.ErrCorrupt, "text|Patient 536-22-8145\n", false},
		"LZFSE":       {[]byte("bvxn\x00\x00"), 1 << 20, iwork.ErrMethod, "", false},
		"nothing":     {nil, 1 << 20, nil, "", false},
		"old cells":   {old, 1 << 20, nil, "table|\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			var d iwork.Document
			_, err := d.Add(c.in, c.room)
			out := &list{left: 100}
			found, _ := d.Show(out)
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) || found.OldCells != c.old || !strings.HasPrefix(out.String(), c.text) {
				t.Errorf("got %v, %v, %q", err, found, out)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	text, tables := document()
	f.Add(text)
	f.Add(tables)
	f.Fuzz(func(t *testing.T, b []byte) {
		const room = 1 << 20
		var d iwork.Document
		if n, _ := d.Add(b, room); n > room {
			t.Fatalf("%d bytes", n)
		}
		_, _ = d.Add(snappyOf(b), room)
		out := &list{left: 1000}
		if _, err := d.Show(out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
	})
}

// snappyOf packs b as it is, so that what is fuzzed is the archives as well.
func snappyOf(b []byte) []byte { return pack(b[:min(len(b), 1<<16)]) }
