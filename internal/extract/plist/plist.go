// Package plist reads Apple's binary property lists, as Safari's web archives are.
//
// The bytes of every list, dictionary and data are read once, however often and
// under however many numbers they are referred to, so that time follows the length
// of the file; a text or number is given wherever it is referred to. Where such
// bytes overlap, which no program writes, or some belong to no object that is
// referred to, the list is damaged.
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
	// Text takes a text, number or time under its key of at most 256 bytes, "" in
	// lists; and under "" a key that is longer, or whose value is none of these.
	Text(key, text string) error
	// Data takes bytes. beside returns a text of the same dictionary.
	Data(b []byte, beside func(key string) string) error
}

const (
	trailer  = 32
	maxDepth = 64
	maxKey   = 256                    // bytes
	first    = uint64(len(Magic) + 1) // offset of the first object
)

type file struct {
	b      []byte
	out    Sink
	offs   []byte // the table of offsets
	width  int    // of an offset
	ref    int    // bytes of a reference
	count  uint64
	seen   bits   // objects
	read   bits   // offsets of lists, dictionaries and data
	told   uint64 // bytes of those
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
	f.seen, f.read = make(bits, f.count/64+1), make(bits, len(f.b)/64+1)
	if err := f.object(top, "", nil, maxDepth); err != nil {
		return err
	}
	if f.damage || uint64(len(f.offs)) != f.count*uint64(f.width) || f.hidden(at) {
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

// bits is a set of numbers.
type bits []uint64

// add reports whether n was not in the set.
func (b bits) add(n uint64) bool {
	bit := uint64(1) << (n % 64)
	was := b[n/64]&bit != 0
	b[n/64] |= bit
	return !was
}

// hidden reports objects that nothing refers to, or bytes before the table of
// offsets that are no object's.
func (f *file) hidden(table uint64) bool {
	own, known := first, make(bits, len(f.b)/64+1)
	for n := range f.count {
		if f.seen.add(n) {
			return true
		}
		mark, count, rest, ok := f.open(n)
		if !ok {
			return true
		}
		off := f.offset(n)
		if off < first || !known.add(off) {
			continue
		}
		own += uint64(len(f.b)-len(rest)) - off // its mark and count
		switch mark >> 4 {
		case 1, 2:
			own += 1 << (mark & 7)
		case 3:
			own += 8
		case 4, 5, 7:
			own += count
		case 6:
			own += 2 * count
		case 8:
			own += uint64(mark&15) + 1
		case 0xa, 0xb, 0xc:
			own += count * uint64(f.ref)
		case 0xd:
			own += 2 * count * uint64(f.ref)
		}
	}
	return own < table
}

// offset returns where the object of a number below count stands.
func (f *file) offset(n uint64) uint64 { return number(f.offs[n*uint64(f.width):][:f.width]) }

// open returns an object's mark, its count and what follows; false: it is damaged.
func (f *file) open(n uint64) (mark byte, count uint64, rest []byte, ok bool) {
	if n >= f.count {
		return 0, 0, nil, false
	}
	off := f.offset(n)
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

// once reports whether the bytes of an object were not read before: size of
// them, or what there is. Together they are not more than the file has, else
// some are read twice.
func (f *file) once(n, size uint64) bool {
	if !f.read.add(f.offset(n)) {
		return false
	}
	if f.told += min(size, uint64(len(f.b))); f.told > uint64(len(f.b)) {
		f.damage = true
		return false
	}
	return true
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
	f.seen.add(n)
	switch mark >> 4 {
	case 4:
		if !f.once(n, count) {
			return nil
		}
		if beside == nil {
			beside = func(string) string { return "" }
		}
		return f.out.Data(f.take(rest, count), beside)
	case 0xa, 0xb, 0xc:
		if count > uint64(len(rest)/f.ref) {
			f.damage = true
			count = uint64(len(rest) / f.ref)
		}
		if !f.once(n, count*uint64(f.ref)) {
			return nil
		}
		for i := range count {
			if err := f.object(number(rest[i*uint64(f.ref):][:f.ref]), key, nil, depth-1); err != nil {
				return err
			}
		}
	case 0xd:
		if !f.once(n, min(count, uint64(len(rest)))*uint64(f.ref)*2) {
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
	key := func(i, most uint64) string {
		n := number(rest[i*w:][:w])
		mark, size, b, ok := f.open(n)
		if !ok {
			f.damage = true
			return ""
		}
		f.seen.add(n)
		s := f.text(mark, min(size, most), b)
		f.damage = f.damage || s == "" && size > 0 // no text
		return s
	}
	beside := func(name string) string {
		for i := range min(count, 64) {
			if key(i, maxKey) == name {
				if mark, n, b, ok := f.open(value(i)); ok {
					return f.text(mark, min(n, maxKey), b)
				}
			}
		}
		return ""
	}
	for i := range count {
		k := key(i, math.MaxUint64)
		if k != "" && (len(k) > maxKey || !f.says(value(i))) {
			if err := f.out.Text("", k); err != nil {
				return err
			}
		}
		if len(k) > maxKey {
			k = strings.ToValidUTF8(k[:maxKey], "")
		}
		if err := f.object(value(i), k, beside, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// says reports an object that is given out as a text under its key.
func (f *file) says(n uint64) bool {
	mark, count, rest, ok := f.open(n)
	return ok && f.text(mark, min(count, 1), rest) != ""
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
		default:
			f.damage = true
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
	case 9, 0xe, 0xf: // there are none
		f.damage = true
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
