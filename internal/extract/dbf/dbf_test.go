package dbf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/dbf"
)

// list writes what it is given as lines, and ends after so many.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) Text(page int, b []byte) string {
	if page != 0 {
		return string(rune('@'+page%100)) + string(b)
	}
	return string(b)
}
func (l *list) Columns(names []string) error { return l.Row(names) }
func (l *list) Row(cells []string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(strings.Join(cells, "|") + "\n")
	return nil
}

type column struct {
	name string
	kind byte
	size int
}

// made returns a table of a version, with rows as they are kept.
func made(version, page byte, columns []column, rows ...string) []byte {
	b := make([]byte, 32, 1024)
	b[0], b[1], b[2], b[3], b[29] = version, 26, 11, 28, page
	long := version&7 == 4
	if long {
		b = append(b, make([]byte, 36)...)
	}
	size := 1
	for _, c := range columns {
		d := make([]byte, 32)
		if long {
			d = append(d, make([]byte, 16)...)
			d[32], d[33] = c.kind, byte(c.size)
		} else {
			d[11], d[16] = c.kind, byte(c.size)
			if c.kind == 'C' {
				d[17] = byte(c.size >> 8)
			}
		}
		copy(d, c.name)
		b = append(b, d...)
		size += c.size
	}
	b = append(b, 0x0d)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(rows)))
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)))
	binary.LittleEndian.PutUint16(b[10:], uint16(size))
	return append(append(b, strings.Join(rows, "")...), 0x1a)
}

func bits(order binary.AppendByteOrder, x float64) string {
	return string(order.AppendUint64(nil, math.Float64bits(x)))
}

// sortable are the bytes of a number of dBASE 7, which sort as it does.
func sortable(x float64) string {
	v := math.Float64bits(x)
	if v>>63 == 0 {
		v |= 1 << 63
	} else {
		v = ^v
	}
	return string(binary.BigEndian.AppendUint64(nil, v))
}

func TestRead(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	long := strings.Repeat("x", 299)
	for name, c := range map[string]struct {
		b    []byte
		want string
		err  error
	}{
		"dBASE III, and a row that was deleted": {made(0x03, 0, []column{{"NAME", 'C', 8}, {"SSN", 'N', 9}, {"BORN", 'D', 8}, {"ILL", 'L', 1}},
			" Jane Roe53622814519610304T", "*John    536228146        ?"), "NAME|SSN|BORN|ILL\nJane Roe|536228145|1961-03-04|T\nJohn|536228146||?\n", nil},
		"no such day":    {made(0x03, 0, []column{{"BORN", 'D', 8}}, " 19611304"), "BORN\n19611304\n", nil},
		"a code page":    {made(0x03, 0x02, []column{{"NAME", 'C', 4}}, " Jane"), "rNAME\nrJane\n", nil},
		"a long text":    {made(0x30, 0, []column{{"NOTE", 'C', 300}}, " "+long+" "), "NOTE\n" + long + "\n", nil},
		"a memo's place": {made(0x83, 0, []column{{"NAME", 'C', 4}, {"MEMO", 'M', 10}}, " Jane         1"), "NAME|MEMO\nJane|\n", nil},
		"FoxPro's kinds": {made(0x30, 0, []column{{"AT", 'T', 8}, {"DUE", 'Y', 8}, {"X", 'B', 8}, {"N", 'I', 4}, {"V", 'V', 6}},
			" "+string(le.AppendUint32(le.AppendUint32(nil, 2437363), 64_800_000))+string(le.AppendUint64(nil, 25000))+bits(le, 536228145.5)+string(le.AppendUint32(nil, uint32(0xffffffff)))+"Roe\x00\x00\x03"),
			"AT|DUE|X|N|V\n1961-03-04 18:00:00|2.5|536228145.5|-1|Roe\n", nil},
		"dBASE 7's kinds": {made(0x04, 0, []column{{"A longer name", 'C', 4}, {"N", 'I', 4}, {"ID", '+', 4}, {"X", 'O', 8}, {"Y", 'O', 8}, {"AT", '@', 8}},
			" Jane"+string(be.AppendUint32(nil, 1<<31+7))+string(be.AppendUint32(nil, 1<<31-7))+sortable(2.5)+sortable(-2.5)+sortable((2437363-1721425)*86_400_000+64_800_000)),
			"A longer name|N|ID|X|Y|AT\nJane|7|-7|2.5|-2.5|1961-03-04 18:00:00\n", nil},
		"nothing":           {nil, "", dbf.ErrCorrupt},
		"rows lack":         {bytes.TrimSuffix(made(0x03, 0, []column{{"NAME", 'C', 4}}, " Jane", " John"), []byte(" John\x1a")), "NAME\nJane\n", dbf.ErrCorrupt},
		"a row is cut":      {bytes.TrimSuffix(made(0x03, 0, []column{{"NAME", 'C', 4}}, " Jane", " John"), []byte("hn\x1a")), "NAME\nJane\nJo\n", dbf.ErrCorrupt},
		"sizes that differ": {made(0x03, 0, []column{{"NAME", 'C', 4}, {"", 'C', 1}}, " Jane1"), "", dbf.ErrCorrupt},
	} {
		out := &list{left: 100}
		if err := dbf.Read(c.b, out); !errors.Is(err, c.err) || out.String() != c.want {
			t.Errorf("%s: got %q, %v; want %q, %v", name, out, err, c.want, c.err)
		}
		if c.want != "" && !dbf.Is(c.b) {
			t.Errorf("%s: not known", name)
		}
	}
	for _, text := range []string{"0\x01\x02\x03 is no table", strings.Repeat("C3 ", 100), "{\"a\": 1, \"b\": [1, 2, 3], \"c\": \"a text of some length that goes on\"}"} {
		if dbf.Is([]byte(text)) {
			t.Errorf("%q is a table", text)
		}
	}
	if err := dbf.Read(made(0x03, 0, []column{{"N", 'C', 1}}, " 1", " 2"), &list{left: 2}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the error of who takes it", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(made(0x03, 0x02, []column{{"NAME", 'C', 8}, {"SSN", 'N', 9}, {"BORN", 'D', 8}}, " Jane Roe53622814519610304"))
	f.Add(made(0x04, 0, []column{{"X", 'O', 8}, {"AT", '@', 8}, {"ID", '+', 4}}, " "+sortable(1)+sortable(1e14)+"\x80\x00\x00\x07"))
	f.Add(made(0x30, 0, []column{{"AT", 'T', 8}, {"DUE", 'Y', 8}, {"V", 'V', 6}}, " \x33\x31\x25\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Roe\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: 1 << 16}
		if err := dbf.Read(b, out); err != nil && !errors.Is(err, dbf.ErrCorrupt) && !errors.Is(err, errFull) {
			t.Error(err)
		}
	})
}
