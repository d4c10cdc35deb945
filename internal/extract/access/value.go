package access

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Kinds of columns.
const (
	kindBool    = 1
	kindByte    = 2
	kindInt16   = 3
	kindInt32   = 4
	kindMoney   = 5
	kindFloat   = 6
	kindDouble  = 7
	kindDate    = 8
	kindBinary  = 9
	kindText    = 10
	kindObject  = 11
	kindMemo    = 12
	kindGUID    = 15
	kindNumeric = 16
	kindInt64   = 19
	kindDate2   = 20
)

// value reads the value of a column; a kind that holds no text is none.
func (f *file) value(c *column, b []byte) Value {
	if len(b) < least(c.kind) {
		f.damage = true
		return Value{}
	}
	le := binary.LittleEndian
	switch c.kind {
	case kindByte:
		return Value{Text: strconv.Itoa(int(b[0]))}
	case kindInt16:
		return Value{Text: strconv.Itoa(int(int16(le.Uint16(b))))}
	case kindInt32:
		return Value{Text: strconv.Itoa(int(int32(le.Uint32(b))))}
	case kindInt64:
		return Value{Text: strconv.FormatInt(int64(le.Uint64(b)), 10)}
	case kindMoney:
		return Value{Text: pointed(big.NewInt(int64(le.Uint64(b))), 4)}
	case kindFloat:
		return Value{Text: strconv.FormatFloat(float64(math.Float32frombits(le.Uint32(b))), 'f', -1, 32)}
	case kindDouble:
		return Value{Text: double(math.Float64frombits(le.Uint64(b)))}
	case kindDate:
		return Value{Text: date(math.Float64frombits(le.Uint64(b)))}
	case kindDate2: // days:fractions of a second:digits, in ASCII
		return Value{Text: date2(string(b))}
	case kindText:
		return Value{Text: f.text(b)}
	case kindMemo:
		return Value{Text: f.text(f.longValue(b))}
	case kindObject:
		return Value{Blob: f.longValue(b)}
	case kindBinary:
		return Value{Blob: b}
	case kindGUID:
		return Value{Text: fmt.Sprintf("{%08X-%04X-%04X-%04X-%012X}", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])}
	case kindNumeric:
		var n [16]byte // the words stand most significant first, their bytes last
		for i := range n {
			n[i] = b[1+i/4*4+3-i%4]
		}
		v := new(big.Int).SetBytes(n[:])
		if b[0]&0x80 != 0 {
			v.Neg(v)
		}
		return Value{Text: pointed(v, c.scale)}
	}
	return Value{}
}

// least returns how many bytes a value of a kind has.
func least(kind byte) int {
	switch kind {
	case kindByte:
		return 1
	case kindInt16:
		return 2
	case kindInt32, kindFloat:
		return 4
	case kindMoney, kindDouble, kindDate, kindInt64:
		return 8
	case kindGUID:
		return 16
	case kindNumeric:
		return 17
	}
	return 0
}

// double writes a number without an exponent, as far as that is readable.
func double(x float64) string {
	if a := math.Abs(x); a != 0 && (a >= 1e21 || a < 1e-9) {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// pointed writes a whole number with the last digits behind a point, without
// zeros at the end.
func pointed(n *big.Int, digits int) string {
	s := new(big.Int).Abs(n).String()
	if digits > 0 && digits < 40 {
		if len(s) <= digits {
			s = strings.Repeat("0", digits+1-len(s)) + s
		}
		s = strings.TrimRight(s[:len(s)-digits]+"."+s[len(s)-digits:], "0")
		s = strings.TrimSuffix(s, ".")
	}
	if n.Sign() < 0 {
		s = "-" + s
	}
	return s
}

// date writes a day and a time counted in days since 1899-12-30. Before it the
// fraction still counts forwards.
func date(days float64) string {
	if math.IsNaN(days) || math.Abs(days) > 3e6 {
		return ""
	}
	whole := math.Trunc(days)
	seconds := int(math.Round(math.Abs(days-whole) * 86400))
	return moment(int(whole), seconds)
}

func moment(days, seconds int) string {
	t := time.Date(1899, 12, 30+days, 0, 0, seconds, 0, time.UTC)
	switch {
	case days == 0 && seconds != 0:
		return t.Format("15:04:05")
	case seconds == 0:
		return t.Format("2006-01-02")
	}
	return t.Format("2006-01-02 15:04:05")
}

// date2 writes a day counted from the year 1, and a time in 100 ns.
func date2(s string) string {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) < 2 {
		return ""
	}
	days, err := strconv.ParseInt(strings.TrimLeft(parts[0], "0"), 10, 32)
	if err != nil {
		return ""
	}
	ticks, err := strconv.ParseInt(strings.TrimLeft(parts[1], "0")+"0", 10, 64)
	if err != nil {
		return ""
	}
	return moment(int(days)-693593, int(ticks/100_000_000)) // days from 0001-01-01 to 1899-12-30
}

// How a long value is kept.
const (
	longInline = 0x80000000
	longSingle = 0x40000000
	longHead   = 12
)

// longValue puts a long value together: it stands in the row, in a row of another
// page, or in several, each of which names the next.
func (f *file) longValue(b []byte) []byte {
	if len(b) < longHead {
		f.damage = f.damage || len(b) > 0
		return nil
	}
	head, at := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint32(b[4:]))
	size := int(head & 0x3fffffff)
	switch {
	case head&longInline != 0:
		return b[longHead:][:min(size, len(b)-longHead)]
	case head&longSingle != 0:
		row, _ := f.row(at>>8, at&0xff)
		if len(row) < size {
			f.damage = true
		}
		return row[:min(size, len(row))]
	}
	var out []byte
	for len(out) < size {
		row, _ := f.row(at>>8, at&0xff)
		if f.long -= len(row); len(row) <= 4 || f.long < 0 {
			f.damage = true
			break
		}
		at = int(binary.LittleEndian.Uint32(row))
		out = append(out, row[4:][:min(len(row)-4, size-len(out))]...)
	}
	return out
}
