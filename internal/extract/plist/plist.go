// Package plist reads Apple's binary property lists, as Safari's web archives are.
//
// Every list and dictionary is read once, however often it is referred to, so
// that time follows the length of the file; a text or number is given wherever
// it is referred to.
//
// Source: CFBinaryPList.c of Apple's CF, "the binary plist format".
package plist

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Magic is how a property list begins.
const Magic = "bplist0"

// ErrCorrupt is a list that is cut or damaged. What could be read came before.
var ErrCorrupt = errors.New("plist: cut or damaged")

// Sink takes what is found. After an error no more comes.
type Sink interface {
	// Text takes a text, number or time under its key, "" in lists.
	Text(key, text string) error
	// Data takes bytes. beside returns a text of the same dictionary.
	Data(b []byte, beside func(key string) string) error
}

const (
	trailer  = 32
	maxDepth = 64
)

type file struct {
	b      []byte
	out    Sink
	offs   []byte // the table of offsets
	width  int    // of an offset
	ref    int    // bytes of a reference
	count  uint64
	seen   []uint64 // bits of what is read once
	damage bool
}

// Read reads a property list. Its error is out's or ErrCorrupt.
func Read(b []byte, out Sink) error {
	if len(b) < len(Magic)+1+trailer || string(b[:len(Magic)]) != Magic {
		return ErrCorrupt
	}
	t := b[len(b)-trailer:]
	f := &file{b: b[:len(b)-trailer], out: out, width: int(t[6]), ref: int(t[7]), count: binary.BigEndian.Uint64(t[8:])}
	top, at := binary.BigEndian.Uint64(t[16:]), binary.BigEndian.Uint64(t[24:])
	if f.width < 1 || f.width > 8 || f.ref < 1 || f.ref > 8 || at > uint64(len(f.b)) || f.count > (uint64(len(f.b))-at)/uint64(f.width) {
		return ErrCorrupt
	}
	f.offs = f.b[at:]
	f.seen = make([]uint64, f.count/64+1)
	if err := f.object(top, "", nil, maxDepth); err != nil {
		return err
	}
	if f.damage {
		return ErrCorrupt
	}
	return nil
}

// number reads a number of up to eight bytes.
func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// open returns an object's mark, its count and what follows; false: it is damaged.
func (f *file) open(n uint64) (mark byte, count uint64, rest []byte, ok bool) {
	if n >= f.count {
		return 0, 0, nil, false
	}
	off := number(f.offs[n*uint64(f.width):][:f.width])
	if off >= uint64(len(f.b)) {
		return 0, 0, nil, false
	}
	mark, rest = f.b[off], f.b[off+1:]
	count = uint64(mark & 15)
	if count == 15 && mark>>4 >= 4 { // a number tells it
		if len(rest) < 1 || rest[0]>>4 != 1 || rest[0]&15 > 3 || len(rest) < 1+1<<(rest[0]&15) {
			return 0, 0, nil, false
		}
		size := 1 << (rest[0] & 15)
		count, rest = number(rest[1:1+size]), rest[1+size:]
	}
	return mark, count, rest, true
}

// once reports whether an object was not read before.
func (f *file) once(n uint64) bool {
	bit := uint64(1) << (n % 64)
	was := f.seen[n/64]&bit != 0
	f.seen[n/64] |= bit
	return !was
}

// take returns count bytes.
func (f *file) take(b []byte, count uint64) []byte {
	if count > uint64(len(b)) {
		f.damage = true
		count = uint64(len(b))
	}
	return b[:count]
}

// object gives out the object of a number.
func (f *file) object(n uint64, key string, beside func(string) string, depth int) error {
	mark, count, rest, ok := f.open(n)
	if !ok || depth == 0 {
		f.damage = true
		return nil
	}
	switch mark >> 4 {
	case 4:
		if !f.once(n) {
			return nil
		}
		if beside == nil {
			beside = func(string) string { return "" }
		}
		return f.out.Data(f.take(rest, count), beside)
	case 0xa, 0xb, 0xc:
		if !f.once(n) {
			return nil
		}
		if count > uint64(len(rest)/f.ref) {
			f.damage = true
			count = uint64(len(rest) / f.ref)
		}
		for i := range count {
			if err := f.object(number(rest[i*uint64(f.ref):][:f.ref]), key, nil, depth-1); err != nil {
				return err
			}
		}
	case 0xd:
		if !f.once(n) {
			return nil
		}
		return f.dictionary(rest, count, depth)
	default:
		if s := f.text(mark, count, rest); s != "" {
			return f.out.Text(key, s)
		}
	}
	return nil
}

// dictionary gives out the values of a dictionary, whose keys stand before all of them.
func (f *file) dictionary(rest []byte, count uint64, depth int) error {
	w := uint64(f.ref)
	if count > uint64(len(rest))/(2*w) {
		f.damage = true
		return nil
	}
	value := func(i uint64) uint64 { return number(rest[(count+i)*w:][:w]) }
	key := func(i uint64) string {
		mark, n, b, ok := f.open(number(rest[i*w:][:w]))
		if !ok {
			f.damage = true
			return ""
		}
		return f.text(mark, min(n, 256), b)
	}
	beside := func(name string) string {
		for i := range min(count, 64) {
			if key(i) == name {
				if mark, n, b, ok := f.open(value(i)); ok {
					return f.text(mark, min(n, 256), b)
				}
			}
		}
		return ""
	}
	for i := range count {
		if err := f.object(value(i), key(i), beside, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// text writes a text, number or time; "" for what is none.
func (f *file) text(mark byte, count uint64, b []byte) string {
	switch mark >> 4 {
	case 1:
		if mark&15 > 4 {
			f.damage = true
			return ""
		}
		v := f.take(b, 1<<(mark&15))
		if len(v) == 16 {
			v = v[8:]
		}
		if len(v) == 8 {
			return strconv.FormatInt(int64(number(v)), 10)
		}
		return strconv.FormatUint(number(v), 10)
	case 2:
		switch v := f.take(b, 1<<(mark&3)); len(v) {
		case 4:
			return strconv.FormatFloat(float64(math.Float32frombits(uint32(number(v)))), 'f', -1, 32)
		case 8:
			return double(math.Float64frombits(number(v)))
		}
	case 3: // seconds since 2001
		if v := f.take(b, 8); len(v) == 8 {
			if s := math.Float64frombits(number(v)); math.Abs(s) < 9e9 {
				return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(s) * time.Second).Format("2006-01-02 15:04:05")
			}
		}
	case 5, 7:
		return strings.Clone(codepage.Decode(codepage.UTF8, f.take(b, count)))
	case 6:
		v := f.take(b, min(count, 1<<40)*2)
		units := make([]uint16, len(v)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(v[2*i:])
		}
		return string(utf16.Decode(units))
	}
	return ""
}

// double writes a number without an exponent, as far as that is readable.
func double(x float64) string {
	if a := math.Abs(x); a >= 1e21 || a != 0 && a < 1e-9 {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}
