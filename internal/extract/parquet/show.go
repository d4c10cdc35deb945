package parquet

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// logical says how a column's values are shown.
type logical uint8

const (
	asKept logical = iota // a number, or bytes of which nothing is said
	asText
	asDecimal
	asDate
	asMilliTime
	asMicroTime
	asNanoTime
	asMilliStamp
	asMicroStamp
	asNanoStamp
	asUnsigned
	asUUID
	asHalf
	asInterval
)

// convert takes what files say that are older than logical types: ConvertedType.
func (e *element) convert(v int64) {
	switch v {
	case 0, 4, 19: // UTF8, ENUM, JSON
		e.shows = asText
	case 1, 2:
		e.wraps = 'M'
	case 3:
		e.wraps = 'L'
	case 5:
		e.shows = asDecimal
	case 6:
		e.shows = asDate
	case 7:
		e.shows = asMilliTime
	case 8:
		e.shows = asMicroTime
	case 9:
		e.shows = asMilliStamp
	case 10:
		e.shows = asMicroStamp
	case 11, 12, 13, 14:
		e.shows = asUnsigned
	case 21:
		e.shows = asInterval
	}
}

// logical reads a LogicalType: a union of which one field is there.
func (t *thrift) logical(e *element) {
	t.fields(func(id int, typ byte) bool {
		if typ != tStruct {
			return false
		}
		switch id {
		case 1, 4, 12: // STRING, ENUM, JSON
			e.shows = asText
		case 2:
			e.wraps = 'M'
		case 3:
			e.wraps = 'L'
		case 5:
			e.shows = asDecimal
			t.fields(func(id int, typ byte) bool {
				if id != 1 || typ != tI32 {
					return false
				}
				e.scale = int(t.int())
				return true
			})
			return true
		case 6:
			e.shows = asDate
		case 7:
			e.shows = asMilliTime + logical(t.unit())
			return true
		case 8:
			e.shows = asMilliStamp + logical(t.unit())
			return true
		case 10:
			t.fields(func(id int, typ byte) bool {
				if id == 2 && typ == tFalse {
					e.shows = asUnsigned
				}
				return typ == tTrue || typ == tFalse
			})
			return true
		case 14:
			e.shows = asUUID
		case 15:
			e.shows = asHalf
		}
		return false
	})
}

// unit reads a TimeType or TimestampType: 0 for milliseconds, 1 for micro-, 2 for
// nanoseconds.
func (t *thrift) unit() (u int) {
	t.fields(func(id int, typ byte) bool {
		if id != 2 || typ != tStruct {
			return false
		}
		t.fields(func(id int, _ byte) bool {
			u = min(max(id-1, 0), 2)
			return false
		})
		return true
	})
	return u
}

// show returns a value as a reader of the file sees it. raw has the bytes of a
// value as PLAIN keeps it.
func (l *leaf) show(raw []byte) Value {
	le := binary.LittleEndian
	switch l.kind {
	case pBoolean:
		return Value{Text: strconv.FormatBool(raw[0] != 0)}
	case pInt32:
		v := int32(le.Uint32(raw))
		if l.shows == asUnsigned {
			return Value{Text: strconv.FormatUint(uint64(uint32(v)), 10)}
		}
		return Value{Text: l.number(int64(v))}
	case pInt64:
		v := int64(le.Uint64(raw))
		if l.shows == asUnsigned {
			return Value{Text: strconv.FormatUint(uint64(v), 10)}
		}
		return Value{Text: l.number(v)}
	case pInt96: // nanoseconds of a Julian day, as Impala and Spark write them
		const unix = 2_440_588 // the Julian day of 1970-01-01
		day := int64(le.Uint32(raw[8:])) - unix
		return Value{Text: stamp(time.Unix(day*86_400, int64(le.Uint64(raw))))}
	case pFloat:
		return Value{Text: real(float64(math.Float32frombits(le.Uint32(raw))), 32)}
	case pDouble:
		return Value{Text: real(math.Float64frombits(le.Uint64(raw)), 64)}
	}
	switch {
	case l.shows == asText:
		return Value{Text: string(raw)}
	case l.shows == asDecimal && len(raw) <= 64:
		n := new(big.Int).SetBytes(raw)
		if len(raw) > 0 && raw[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
		}
		return Value{Text: pointed(n.String(), l.scale)}
	case l.shows == asUUID && len(raw) == 16:
		h := hex.EncodeToString(raw)
		return Value{Text: h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]}
	case l.shows == asHalf && len(raw) == 2:
		return Value{Text: real(half(le.Uint16(raw)), 32)}
	case l.shows == asInterval && len(raw) == 12:
		var f []string
		for i, unit := range []string{" months", " days", " ms"} {
			if n := le.Uint32(raw[4*i:]); n != 0 {
				f = append(f, strconv.FormatUint(uint64(n), 10)+unit)
			}
		}
		return Value{Text: strings.Join(f, " ")}
	}
	return Value{Bytes: raw}
}

// number shows an integer.
func (l *leaf) number(v int64) string {
	switch l.shows {
	case asDecimal:
		return pointed(strconv.FormatInt(v, 10), l.scale)
	case asDate:
		return time.Unix(v*86_400, 0).UTC().Format(time.DateOnly)
	case asMilliTime, asMicroTime, asNanoTime:
		per := perSecond(l.shows - asMilliTime)
		return time.Unix(v/per, v%per*(1_000_000_000/per)).UTC().Format("15:04:05.999999999")
	case asMilliStamp, asMicroStamp, asNanoStamp:
		per := perSecond(l.shows - asMilliStamp)
		return stamp(time.Unix(v/per, v%per*(1_000_000_000/per)))
	}
	return strconv.FormatInt(v, 10)
}

func perSecond(unit logical) int64 { return []int64{1e3, 1e6, 1e9}[unit] }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999999") }

// pointed puts the point into the digits of a decimal.
func pointed(digits string, scale int) string {
	if scale <= 0 || scale > 100 {
		return digits
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	if n := scale + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

func real(x float64, bits int) string {
	if a := math.Abs(x); a != 0 && (a >= 1e21 || a < 1e-9) {
		return strconv.FormatFloat(x, 'g', -1, bits)
	}
	return strconv.FormatFloat(x, 'f', -1, bits)
}

// half is a number of 16 bits. IEEE 754 binary16.
func half(h uint16) float64 {
	sign := 1.0
	if h&0x8000 != 0 {
		sign = -1
	}
	e, f := int(h>>10&31), float64(h&0x3ff)
	switch e {
	case 0:
		return sign * math.Ldexp(f, -24)
	case 31:
		if f != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1+f/1024, e-15)
}
