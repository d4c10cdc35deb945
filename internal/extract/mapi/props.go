package mapi

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Type is a property's type.
//
// Source: [MS-OXCDATA] 2.11.1.
type Type uint16

// Types. Many marks a property of several values.
const (
	Int16    Type = 0x0002
	Int32    Type = 0x0003
	Float32  Type = 0x0004
	Float64  Type = 0x0005
	Currency Type = 0x0006
	AppTime  Type = 0x0007
	Error    Type = 0x000a
	Bool     Type = 0x000b
	Object   Type = 0x000d
	Int64    Type = 0x0014
	String8  Type = 0x001e
	String   Type = 0x001f
	Time     Type = 0x0040
	GUID     Type = 0x0048
	Binary   Type = 0x0102
	Many     Type = 0x1000
)

// Size returns the bytes of a value of the type, without padding; 0 where the
// value says it itself.
func (t Type) Size() int {
	switch t &^ Many {
	case Int16, Bool:
		return 2
	case Int32, Float32, Error:
		return 4
	case Float64, Currency, AppTime, Int64, Time:
		return 8
	case GUID:
		return 16
	}
	return 0
}

// Prop is a property. Its values are as they stand, little endian.
type Prop struct {
	ID     uint16
	Type   Type
	Name   string // of a property that has a name instead of a number
	LID    uint32 // of a named property that has a number
	Values [][]byte
}

// Props are the properties of one thing.
type Props []Prop

// Get returns the property of that number, nil where there is none. Of several
// the first that has a value is taken.
func (ps Props) Get(id uint16) *Prop {
	for i := range ps {
		if ps[i].ID == id && len(ps[i].Values) > 0 {
			return &ps[i]
		}
	}
	return nil
}

// Text returns the property as text, "" where there is none.
func (ps Props) Text(id uint16, page int) string {
	if p := ps.Get(id); p != nil {
		return p.Text(page)
	}
	return ""
}

// Int returns an integer or truth value, 0 where there is none.
func (ps Props) Int(id uint16) int64 {
	if p := ps.Get(id); p != nil {
		return p.integer(p.Values[0])
	}
	return 0
}

// Bytes returns the first value of a property, nil where there is none.
func (ps Props) Bytes(id uint16) []byte {
	if p := ps.Get(id); p != nil {
		return p.Values[0]
	}
	return nil
}

func (p *Prop) integer(v []byte) int64 {
	switch {
	case len(v) >= 8 && (p.Type&^Many == Int64 || p.Type&^Many == Currency || p.Type&^Many == Time):
		return int64(binary.LittleEndian.Uint64(v))
	case len(v) >= 4 && p.Type&^Many == Int32:
		return int64(int32(binary.LittleEndian.Uint32(v)))
	case len(v) >= 2:
		return int64(int16(binary.LittleEndian.Uint16(v)))
	}
	return 0
}

// IsText reports a property whose values are words.
func (p *Prop) IsText() bool { return p.Type&^Many == String || p.Type&^Many == String8 }

// Text returns the values, a line each: strings in the code page where their
// type does not say it, numbers in decimal, times in UTC. Truth values, bytes
// and objects have no text.
func (p *Prop) Text(page int) string {
	var b strings.Builder
	for _, v := range p.Values {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.value(v, page))
	}
	return b.String()
}

func (p *Prop) value(v []byte, page int) string {
	t := p.Type &^ Many
	if n := t.Size(); len(v) < n {
		return ""
	}
	switch t {
	case String:
		return strings.TrimRight(codepage.Decode16(v), "\x00")
	case String8:
		v = trimNUL(v)
		if page != codepage.UTF8 && !codepage.Wide(page) && utf8.Valid(v) { // programs write it whatever they say
			return string(v)
		}
		return strings.TrimRight(codepage.Decode(page, v), "\x00")
	case Int16, Int32, Int64:
		return strconv.FormatInt(p.integer(v), 10)
	case Float32:
		return strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 'f', -1, 32)
	case Float64:
		return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(v)), 'f', -1, 64)
	case Currency: // ten thousandths
		n := p.integer(v)
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(float64(n)/1e4, 'f', 4, 64), "0"), ".")
	case AppTime: // days since 30 December 1899
		days := math.Float64frombits(binary.LittleEndian.Uint64(v))
		if math.Abs(days) > 1e6 || math.IsNaN(days) {
			return ""
		}
		return Stamp(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Add(time.Duration(days * 24 * float64(time.Hour))))
	case Time:
		if at := FileTime(binary.LittleEndian.Uint64(v)); !at.IsZero() {
			return Stamp(at)
		}
	}
	return ""
}

func trimNUL(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// FileTime returns the time of so many tenths of a microsecond since 1601; the
// zero time where that is none of this or the next thousand years.
func FileTime(n uint64) time.Time {
	const perSecond, unix = 10_000_000, 11_644_473_600
	s := int64(n/perSecond) - unix
	if n == 0 || n > 1<<60 {
		return time.Time{}
	}
	return time.Unix(s, int64(n%perSecond)*100).UTC()
}

// Stamp writes a time as mail does; a day alone where it is midnight.
func Stamp(t time.Time) string {
	if t.Hour()+t.Minute()+t.Second() == 0 {
		return t.Format("2006-01-02")
	}
	return t.Format("Mon, 2 Jan 2006 15:04:05 -0700")
}
