package xlsb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/xlsb"
)

// list writes what it is given as lines, and ends after so many.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) add(format string, args ...any) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	fmt.Fprintf(l, format+"\n", args...)
	return nil
}

func (l *list) Date1904()                      { l.add("1904") }
func (l *list) Sheet(relation, name string)    { l.add("sheet %s %s", relation, name) }
func (l *list) SharedString(text string) error { return l.add("shared %s", text) }
func (l *list) Format(id int, code string)     { l.add("format %d %s", id, code) }
func (l *list) Style(format int)               { l.add("style %d", format) }
func (l *list) Row() error                     { return l.add("row") }
func (l *list) Words(text string) error        { return l.add("words %s", text) }
func (l *list) Line(text string) error         { return l.add("line %s", text) }
func (l *list) NotRead(what string)            { l.add("not read: %s", what) }
func (l *list) Cell(c xlsb.Cell) error {
	switch c.Kind {
	case xlsb.Number:
		return l.add("%d/%d %v", c.Col, c.Style, c.Number)
	case xlsb.Shared:
		return l.add("%d/%d shared %d", c.Col, c.Style, c.Shared)
	}
	return l.add("%d/%d %s", c.Col, c.Style, c.Text)
}

// record appends one: numbers of four bytes, uint16, byte, float64, and texts with
// their count.
func record(b []byte, id int, values ...any) []byte {
	var body []byte
	for _, v := range values {
		switch v := v.(type) {
		case int:
			body = binary.LittleEndian.AppendUint32(body, uint32(v))
		case string:
			u := utf16.Encode([]rune(v))
			body = binary.LittleEndian.AppendUint32(body, uint32(len(u)))
			for _, c := range u {
				body = binary.LittleEndian.AppendUint16(body, c)
			}
		default:
			body, _ = binary.Append(body, binary.LittleEndian, v)
		}
	}
	if b = append(b, byte(id)); id > 0x7f {
		b[len(b)-1] |= 0x80
		b = append(b, byte(id>>7))
	}
	n := len(body)
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), body...)
}

// formula is one that holds a text itself: its size, and it behind another token.
func formula(text string) []any {
	v := []any{uint16(0), 8 + 2*len(text), byte(0x1e), uint16(7), byte(0x17), uint16(len(text))}
	for _, c := range text {
		v = append(v, uint16(c))
	}
	return append(v, byte(8), 0)
}

func sheet() []byte {
	b := record(nil, 129)
	b = record(b, 147, byte(1), byte(0), "Sheet code", byte(0))
	b = record(b, 0, 4, 0, 0)
	b = record(b, 2, 0, 3, 1<<30|2)           // 2^28
	b = record(b, 2, 1, 0, 53622814<<2|3)     // hundredths
	b = record(b, 5, 2, 1<<24|5, 536228145.5) // a flag above the style
	b = record(b, 6, 3, 0, "SSN 536-22-8145")
	b = record(b, 7, 7, 2, 41)
	b = record(b, 4, 8, 0, byte(1))
	b = record(b, 3, 9, 0, byte(7)) // an error
	b = record(b, 0, 5, 0, 0)
	b = record(b, 8, append([]any{1, 0, "東京"}, formula("ward")...)...)
	b = record(b, 9, append([]any{2, 0, 2.5}, formula("three")...)...)
	b = record(b, 18, 4, 7) // short ones stand behind the last
	b = record(b, 16, 0, 0.25)
	b = record(b, 62, 6, 0, byte(1), "rich", 1, uint16(0), uint16(0))
	b = record(b, 494, 0, 0, 0, 0, "rId1", "#place", "", "jane's page")
	return record(b, 130)
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want string
		err  error
	}{
		"sheet": {sheet(), "line Sheet code\nrow\n0/3 2.68435456e+08\n1/0 536228.14\n2/5 5.362281455e+08\n3/0 SSN 536-22-8145\n7/2 shared 41\n8/0 1\nrow\n1/0 東京\nwords ward\n2/0 2.5\nwords three\n3/4 shared 7\n4/0 0.25\n6/0 rich\nline rId1\nline #place\nline jane's page\n", nil},
		"workbook": {record(record(record(record(nil, 131), 153, 1, 0, ""), 156, 0, 1, "rId1", "Ward 3"), 39, 0, byte(0), -1, "bed_of_Jane", 0, 0),
			"1904\nsheet rId1 Ward 3\nline bed_of_Jane\n", nil},
		"shared strings": {record(record(record(nil, 159, 2, 2), 19, byte(0), "Jane"), 19, byte(3), "Roe", 1, 0), "shared Jane\nshared Roe\n", nil},
		"styles": {record(record(record(record(record(record(record(nil, 278), 44, uint16(164), "000-00-0000"), 626, 1), 47, uint16(0xffff), uint16(9)), 627), 617, 1), 47, uint16(0), uint16(164)),
			"format 164 000-00-0000\nstyle 164\n", nil},
		"odd letters":      {record(record(nil, 628), 637, byte(1), "seen \ue000\u2028\v536-22-8145", 0), "line seen \ue000\u2028\v536-22-8145\n", nil},
		"a letter of two":  {record(record(nil, 628), 637, byte(1), "seen \U0001f600", 0), "line seen \U0001f600\n", nil},
		"comments":         {record(record(record(nil, 628), 632, "Bea"), 637, byte(1), "seen", 0), "line Bea\nline seen\n", nil},
		"pivot table":      {record(record(record(record(nil, 179), 24, "536-22-8145"), 21, 536228145.0), 25, uint16(1961), uint16(3), byte(4), byte(0), byte(0), byte(0)), "line 536-22-8145\nline 536228145\nline 1961-03-04\n", nil},
		"records of one":   {record(record(record(nil, 193), 33, 1), 33, 2), "not read: records of a pivot table\n", nil},
		"index":            {record(record(nil, 42, 0, 0), 40, "ab"), "", nil},
		"nothing":          {nil, "", nil},
		"cut in a size":    {[]byte{0x81, 0x01}, "", xlsb.ErrCorrupt},
		"cut in a record":  {record(record(nil, 129), 6, 0, 0, "Jane")[:12], "", xlsb.ErrCorrupt},
		"a text too long":  {record(record(nil, 159), 19, byte(0), 100, uint16('J'), uint16('o')), "shared Jo\n", xlsb.ErrCorrupt},
		"a cell too short": {record(record(nil, 129), 5, 0, 0, 1), "", xlsb.ErrCorrupt},
		"a huge record":    {[]byte{0x81, 0x01, 0xff, 0xff, 0xff, 0x7f}, "", xlsb.ErrTooLarge},
	} {
		out := &list{left: 100}
		if err := xlsb.Read(bytes.NewReader(c.b), out); !errors.Is(err, c.err) || out.String() != c.want {
			t.Errorf("%s: got %q, %v; want %q, %v", name, out, err, c.want, c.err)
		}
	}
	if err := xlsb.Read(bytes.NewReader(sheet()), &list{left: 3}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the error of who takes it", err)
	}
	for want, head := range map[bool][]byte{true: sheet(), false: []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")} {
		if xlsb.Is(head) != want {
			t.Errorf("% x: want %v", head[:8], want)
		}
	}
}

// TestReadAnything: what is cut or altered anywhere ends, with no more than an error.
func TestReadAnything(t *testing.T) {
	b := sheet()
	for i := range b {
		_ = xlsb.Read(bytes.NewReader(b[:i]), &list{left: 1000})
		for _, c := range []byte{0, 0x7f, 0xff} {
			d := bytes.Clone(b)
			d[i] = c
			_ = xlsb.Read(bytes.NewReader(d), &list{left: 1000})
		}
	}
}

// BenchmarkWords looks through a record that may be a count from every other byte
// on: twice as long a one takes twice as long.
func BenchmarkWords(b *testing.B) {
	for _, n := range []int{1 << 17, 1 << 18} {
		d := record(record(nil, 131), 39, strings.Repeat("\u0100", n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(d)))
			for b.Loop() {
				if err := xlsb.Read(bytes.NewReader(d), &list{left: math.MaxInt}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sheet())
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: math.MaxInt}
		if err := xlsb.Read(bytes.NewReader(b), out); err != nil && !errors.Is(err, xlsb.ErrCorrupt) && !errors.Is(err, xlsb.ErrTooLarge) {
			t.Error(err)
		}
		if out.Len() > 64*len(b)+64 {
			t.Errorf("%d bytes out of %d", out.Len(), len(b))
		}
	})
}
