// Package dbf reads the tables of dBASE, FoxPro and their kin: the names of columns
// and the rows, those that were deleted and not yet packed among them.
//
// Source: dBASE .DBF File Structure (dBASE Inc.); Visual FoxPro, Table File
// Structure (Microsoft). Texts of memo fields are in a file of their own, which may
// not be there.
package dbf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrCorrupt is a table that is damaged or cut; what came before it has been told.
var ErrCorrupt = errors.New("dbf: damaged table")

// Out takes a table. An error it returns ends the reading, and is what Read returns.
type Out interface {
	Text(page int, b []byte) string // decodes; page is the code page that the table names, 0 for none
	Columns(names []string) error   // before any row
	Row(cells []string) error       // "" for an empty one
}

const (
	headSize   = 32
	headSize7  = 68
	fieldSize  = 32
	fieldSize7 = 48
	fieldsEnd  = 0x0d
	maxFields  = 2048 // dBASE 7 and Clipper allow 1,024 and 1,023
)

// versions are the first bytes of tables.
var versions = []byte{0x02, 0x03, 0x04, 0x05, 0x30, 0x31, 0x32, 0x43, 0x63, 0x7b, 0x83, 0x87, 0x8b, 0x8c, 0x8e, 0xcb, 0xe5, 0xf5, 0xfb}

type field struct {
	name     string
	kind     byte
	at, size int
	decimals int
}

// Is reports whether the first bytes of a file are those of a table: a date that
// there is, and fields that make up the length of its rows.
func Is(head []byte) bool {
	t, err := open(head)
	return err == nil && len(t.fields) > 0
}

type table struct {
	out    Out
	fields []field
	page   int // code page, 0 for none that is said
	size   int // of a row
	rows   int
	begin  int // of the rows
	fox    bool
}

// open reads the head of a table.
func open(b []byte) (*table, error) {
	if len(b) < headSize+fieldSize || bytes.IndexByte(versions, b[0]) < 0 || b[2] < 1 || b[2] > 12 || b[3] < 1 || b[3] > 31 {
		return nil, ErrCorrupt
	}
	t := &table{rows: int(binary.LittleEndian.Uint32(b[4:])), begin: int(binary.LittleEndian.Uint16(b[8:])), size: int(binary.LittleEndian.Uint16(b[10:])),
		page: pages[b[29]], fox: b[0] >= 0x30 && b[0] <= 0x32}
	from, step := headSize, fieldSize
	if b[0]&7 == 4 {
		from, step = headSize7, fieldSize7
	}
	at := 1 // behind the mark of what was deleted
	for ; ; from += step {
		if from >= len(b) || from >= t.begin || len(t.fields) > maxFields {
			return nil, ErrCorrupt
		}
		if b[from] == fieldsEnd {
			break
		}
		if from+step > len(b) {
			return nil, ErrCorrupt
		}
		d := b[from : from+step]
		f := field{kind: d[11], size: int(d[16]), decimals: int(d[17]), at: at}
		name := d[:11]
		if step == fieldSize7 {
			name, f.kind, f.size, f.decimals = d[:32], d[32], int(d[33]), int(d[34])
		}
		if f.kind == 'C' && step == fieldSize { // a long text: FoxPro and Clipper count on in the byte behind
			f.size |= f.decimals << 8
		}
		name, _, _ = bytes.Cut(name, []byte{0})
		if len(name) == 0 || strings.IndexByte("CDFNLMGPTYBIVWQO+@0", f.kind) < 0 {
			return nil, ErrCorrupt
		}
		f.name = string(name)
		at += f.size
		t.fields = append(t.fields, f)
	}
	if at != t.size || t.begin < from {
		return nil, ErrCorrupt
	}
	return t, nil
}

// Rows returns the rows of a table as they are kept, for who has to find their
// charset.
func Rows(b []byte) []byte {
	t, err := open(b)
	if err != nil {
		return nil
	}
	return b[min(t.begin, len(b)):]
}

// Read reads a table.
func Read(b []byte, out Out) error {
	t, err := open(b)
	if err != nil {
		return err
	}
	t.out = out
	names := make([]string, len(t.fields))
	for i, f := range t.fields {
		names[i] = out.Text(t.page, []byte(f.name))
	}
	if err := out.Columns(names); err != nil {
		return err
	}
	if t.begin > len(b) {
		return ErrCorrupt
	}
	b = b[t.begin:]
	row := make([]string, len(t.fields))
	for range t.rows {
		cut := len(b) < t.size
		if cut {
			if len(b) == 0 || b[0] == 0x1a { // fewer than the head says
				return ErrCorrupt
			}
			b = append(bytes.Clone(b), make([]byte, t.size-len(b))...)
		}
		for i, f := range t.fields {
			row[i] = t.value(f, b[f.at:f.at+f.size])
		}
		if err := out.Row(row); err != nil {
			return err
		}
		if cut {
			return ErrCorrupt
		}
		b = b[t.size:]
	}
	return nil
}

// value returns a field as programs show it, days as 2006-01-02.
func (t *table) value(f field, b []byte) string {
	le := binary.LittleEndian
	switch {
	case f.kind == 'D':
		s := strings.TrimSpace(string(b))
		if d, err := time.Parse("20060102", s); err == nil {
			return d.Format(time.DateOnly)
		}
		return t.text([]byte(s))
	case f.kind == 'M' || f.kind == 'G' || f.kind == 'P' || f.kind == '0' || f.kind == 'Q' || f.kind == 'W': // places in another file, flags, bytes
		return ""
	case f.kind == 'T' && len(b) == 8:
		return moment(int64(int32(le.Uint32(b))), int64(int32(le.Uint32(b[4:]))))
	case f.kind == 'Y' && len(b) == 8:
		return strconv.FormatFloat(float64(int64(le.Uint64(b)))/10000, 'f', -1, 64)
	case f.kind == 'B' && t.fox && len(b) == 8:
		return number(math.Float64frombits(le.Uint64(b)))
	case f.kind == 'I' && t.fox && len(b) == 4:
		return strconv.Itoa(int(int32(le.Uint32(b))))
	case (f.kind == 'I' || f.kind == '+') && len(b) == 4: // dBASE 7: the sign's bit is turned
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(b) ^ 1<<31)))
	case f.kind == 'O' && len(b) == 8:
		return number(ordered(b))
	case f.kind == '@' && len(b) == 8:
		ms := ordered(b)
		if ms == 0 || math.IsNaN(ms) || math.Abs(ms) > 1e15 {
			return ""
		}
		return moment(int64(ms)/86_400_000+julianOne, int64(ms)%86_400_000)
	case f.kind == 'V' && len(b) > 0: // its length may stand in its last byte
		if n := int(b[len(b)-1]); n < len(b) && (n == 0 || b[n-1] != 0) && bytes.IndexByte(b[:n], 0) < 0 {
			b = b[:n]
		}
	}
	return t.text(bytes.Trim(b, " \x00\t\r\n"))
}

// Days of the Julian count: of 1970-01-01, and of the day before 0001-01-01.
const (
	julianUnix = 2440588
	julianOne  = 1721425
)

// moment writes a day of the Julian count and milliseconds since its midnight; ""
// for what is no day before the year 10000.
func moment(day, ms int64) string {
	if day <= 0 || day > 5373484 { // 9999-12-31
		return ""
	}
	s := time.Unix((day-julianUnix)*86400, 0).UTC().Format(time.DateOnly)
	if ms > 0 && ms < 86_400_000 {
		s += fmt.Sprintf(" %02d:%02d:%02d", ms/3_600_000, ms/60_000%60, ms/1000%60)
	}
	return s
}

// ordered reads a double whose bytes sort as it does.
func ordered(b []byte) float64 {
	v := binary.BigEndian.Uint64(b)
	switch {
	case v == 0:
		return 0
	case v>>63 == 1:
		v ^= 1 << 63
	default:
		v = ^v
	}
	return math.Float64frombits(v)
}

func number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func (t *table) text(b []byte) string { return t.out.Text(t.page, b) }

const windows = 1252

// pages are the code pages by the byte of the head that names the driver of a
// language: those of dBASE's languages and of Visual FoxPro, Code Pages Supported.
var pages = map[byte]int{0x01: 437, 0x02: 850, 0x03: windows, 0x08: 865, 0x09: 437, 0x0a: 850, 0x0b: 437, 0x0d: 437, 0x0e: 850, 0x0f: 437, 0x10: 850, 0x11: 437,
	0x12: 850, 0x13: 932, 0x14: 850, 0x15: 437, 0x16: 850, 0x17: 865, 0x18: 437, 0x19: 437, 0x1a: 850, 0x1b: 437, 0x1c: 863, 0x1d: 850, 0x1f: 852, 0x22: 852, 0x23: 852,
	0x24: 860, 0x25: 850, 0x26: 866, 0x37: 850, 0x40: 852, 0x4d: 936, 0x4e: 949, 0x4f: 950, 0x50: 874, 0x57: windows, 0x58: windows, 0x59: windows, 0x64: 852, 0x65: 866,
	0x66: 865, 0x6b: 857, 0x78: 950, 0x79: 949, 0x7a: 936, 0x7b: 932, 0x7c: 874, 0x7d: 1255, 0x7e: 1256, 0xc8: 1250, 0xc9: 1251, 0xca: 1254, 0xcb: 1253, 0xcc: 1257}
