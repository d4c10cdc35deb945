// Package xls reads the cells and other text of Excel's binary workbooks, from
// Excel 2 to 2003: cells of visible and hidden sheets, comments, text boxes,
// headers, links, names and formulas that hold words.
//
// Of a workbook the shared strings are held, up to a bound; all else is read as
// it passes, each record once or twice. The caller's errors end the reading.
//
// Source: [MS-XLS]; for Excel 2 to 5 OpenOffice.org's Documentation of the
// Microsoft Excel File Format.
package xls

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Errors of a workbook. They quote nothing of it.
var (
	ErrCorrupt   = errors.New("xls: damaged workbook")
	ErrEncrypted = errors.New("xls: encrypted workbook")
	ErrTooLarge  = errors.New("xls: more strings than may be held")
)

// Bounds of a workbook.
const (
	maxShared = 64 << 20 // bytes of shared strings
	maxTables = 1 << 16  // formats, styles, sheets
	maxWalks  = 4        // how often the stream may be walked in all
)

// Cell is one cell with a value.
type Cell struct {
	Row, Col int
	Text     string // UTF-8; "" for a number
	Number   float64
	IsNumber bool
	FormatID int    // number format, meaningful for those that files name by number
	Format   string // "" where the file does not spell it out
}

// Out takes what is read. An error of it ends the reading and is returned.
type Out interface {
	Date1904()               // days count from 1904; before any cell
	Sheet(name string) error // the cells that follow are this sheet's
	Cell(c Cell) error       // by row
	Words(text string) error // of a formula, behind the cell it stands in
	Line(text string) error  // text outside of cells
}

// Records. [MS-XLS] 2.3.2; those of Excel 2 to 4 carry other numbers.
const (
	recContinue   = 0x3c
	recEOF        = 0x0a
	recFilePass   = 0x2f
	recBoundSheet = 0x85
	recSST        = 0xfc
)

// Versions of the records.
const (
	biff2 = 2
	biff3 = 3
	biff4 = 4
	biff5 = 5 // Excel 5 and 95
	biff8 = 8 // Excel 97 to 2003
)

// Is reports whether a file that begins with head is a workbook of Excel 2 to
// 4, which needs no compound file.
func Is(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	n, kind := int(u16(head, 2)), u16(head, 6)
	plain := kind == 0x10 || kind == 0x20 || kind == 0x40 || kind == 0x100
	switch u16(head, 0) {
	case 0x009:
		return n == 4 && plain
	case 0x209, 0x409:
		return (n == 6 || n == 8) && plain
	}
	return false
}

func u16(b []byte, at int) uint16 {
	if at < 0 || at+2 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint16(b[at:])
}

func u32(b []byte, at int) uint32 {
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return binary.LittleEndian.Uint32(b[at:])
}

// from returns what follows at.
func from(b []byte, at int) []byte {
	if at >= len(b) {
		return nil
	}
	return b[at:]
}

// book is a workbook on its way out.
type book struct {
	b    []byte
	out  Out
	err  error // of out
	page int
	biff int

	shared  []byte
	offs    []int  // where each shared string begins
	shown   []bool // of each, whether a cell held it
	formats map[int]string
	xfs     []int // number format of each style
	sheets  map[int]string
	seen    map[int]bool // where a sheet was read from
	walked  int

	row, col, xf int    // of a formula whose text follows
	wantString   bool   // it does
	boxText      int    // letters of a text box that follow
	boxRuns      int    // bytes of how they look that follow
	art          []byte // the drawing of the sheet at hand
	drawn        bool   // the records around belong to it
	box          []byte // those that came, in UTF-16
	depth        int    // charts within a sheet
	damaged      bool
	pictures     bool
}

// Read writes a workbook to out: the stream Workbook or Book, or the whole file
// of Excel 2 to 4. A damaged one ends with ErrCorrupt, after what could be read.
// Pictures, of which nothing is written, are told.
func Read(b []byte, out Out) (pictures bool, err error) {
	k := &book{b: b, out: out, page: codepage.Latin1, formats: map[int]string{}, sheets: map[int]string{}, seen: map[int]bool{}}
	if len(b) < 8 || k.begin(u16(b, 0), b[4:]) == 0 {
		return false, ErrCorrupt
	}
	if err := k.globals(); err != nil {
		return false, err
	}
	k.walk(0, true)
	for at := range k.sheets { // where the records in a row did not lead
		if at > 0 && at < len(b) && !k.seen[at] {
			k.walk(at, false)
		}
	}
	for i, shown := range k.shown { // what deleted cells may have left
		if !shown {
			k.line(k.kept(i))
		}
	}
	switch {
	case k.err != nil:
		return k.pictures, k.err
	case k.damaged:
		return k.pictures, ErrCorrupt
	}
	return k.pictures, nil
}

// begin reads a BOF and returns the version; 0 for none.
func (k *book) begin(id uint16, b []byte) int {
	switch id {
	case 0x009:
		k.biff = biff2
	case 0x209:
		k.biff = biff3
	case 0x409:
		k.biff = biff4
	case 0x809:
		k.biff = biff8
		if v := u16(b, 0); v != 0x600 {
			k.biff = biff5
		}
	default:
		return 0
	}
	return k.biff
}

// record returns the record at a place and the place of the next; a cut one
// with what there is of it.
func (k *book) record(at int) (id uint16, b []byte, next int) {
	if at+4 > len(k.b) {
		return 0, nil, -1
	}
	id = u16(k.b, at)
	next = at + 4 + int(u16(k.b, at+2))
	if next > len(k.b) {
		k.damaged = true
		return id, k.b[at+4:], len(k.b)
	}
	return id, k.b[at+4 : next], next
}

// globals reads what the sheets share. It stops at the end of the first part;
// in Excel 2 to 4 there is no other.
func (k *book) globals() error {
	for at := 0; at >= 0; {
		id, b, next := k.record(at)
		switch id {
		case recEOF:
			if k.biff >= biff5 {
				return nil
			}
		case recFilePass:
			return ErrEncrypted
		case 0x42:
			if p := int(u16(b, 0)); p != 0 {
				k.page = p
			}
			if k.page == codepage.UTF16 || k.page == 32769 {
				k.page = codepage.Latin1
			}
		case 0x22:
			if u16(b, 0) == 1 {
				k.out.Date1904()
			}
		case recBoundSheet:
			if len(k.sheets) < maxTables {
				k.sheets[int(u32(b, 0))] = k.short(from(b, 6))
			}
		case 0x1e, 0x41e:
			k.format(b)
		case 0xe0:
			k.style(int(u16(b, 2)))
		case 0x243, 0x443:
			if len(b) > 1 {
				k.style(int(b[1]))
			}
		case recSST:
			if err := k.strings(b, next); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

func (k *book) style(format int) {
	if len(k.xfs) < maxTables {
		k.xfs = append(k.xfs, format)
	}
}

func (k *book) format(b []byte) {
	if len(k.formats) >= maxTables {
		return
	}
	switch k.biff {
	case biff8:
		s, _ := k.long(from(b, 2))
		k.formats[int(u16(b, 0))] = s
	case biff5:
		k.formats[int(u16(b, 0))] = k.bytes(from(b, 2))
	case biff4:
		k.formats[len(k.formats)] = k.bytes(from(b, 2))
	default:
		k.formats[len(k.formats)] = k.bytes(b)
	}
}

// bytes reads a string of bytes behind a length of one byte.
func (k *book) bytes(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return codepage.Decode(k.page, b[1:min(len(b), 1+int(b[0]))])
}

// short reads a string behind a length of one byte.
func (k *book) short(b []byte) string {
	if k.biff < biff8 {
		return k.bytes(b)
	}
	if len(b) < 2 {
		return ""
	}
	s, _ := letters(b[1:], int(b[0]))
	return s
}

// long reads a string behind a length of two bytes, and returns what follows.
// [MS-XLS] 2.5.294.
func (k *book) long(b []byte) (string, []byte) {
	n := int(u16(b, 0))
	if k.biff < biff8 {
		b = from(b, 2)
		n = min(n, len(b))
		return codepage.Decode(k.page, b[:n]), b[n:]
	}
	return letters(from(b, 2), n)
}

// letters reads n letters behind their flags, and what may stand between.
// [MS-XLS] 2.5.293.
func letters(b []byte, n int) (string, []byte) {
	if len(b) == 0 {
		return "", nil
	}
	flags := b[0]
	b = b[1:]
	runs, ext := 0, 0
	if flags&8 != 0 {
		runs, b = 4*int(u16(b, 0)), from(b, 2)
	}
	if flags&4 != 0 {
		ext, b = int(u32(b, 0)), from(b, 4)
	}
	var s string
	if flags&1 != 0 {
		n = min(n, len(b)/2)
		s, b = codepage.Decode16(b[:2*n]), b[2*n:]
	} else {
		n = min(n, len(b))
		s, b = string(latin(nil, b[:n])), b[n:]
	}
	return s, from(b, min(runs+ext, len(b)))
}

// latin appends letters whose upper bytes are zero.
func latin(out, b []byte) []byte {
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// strings reads the table of shared strings, which goes on in the records
// behind it. [MS-XLS] 2.4.265.
func (k *book) strings(b []byte, next int) error {
	r := &segments{k: k, b: from(b, 8), next: next}
	for n := u32(b, 4); n > 0 && !r.end(); n-- {
		k.offs, k.shown = append(k.offs, len(k.shared)), append(k.shown, false)
		count := int(r.u16())
		flags := r.byte()
		runs, ext := 0, 0
		if flags&8 != 0 {
			runs = 4 * int(r.u16())
		}
		if flags&4 != 0 {
			ext = int(r.u16()) | int(r.u16())<<16
		}
		r.letters(count, flags&1 != 0)
		r.skip(runs)
		r.skip(ext)
		if len(k.shared) > maxShared || len(k.offs) > maxShared/4 {
			return ErrTooLarge
		}
	}
	return nil
}

// segments reads what goes on in CONTINUE records.
type segments struct {
	k    *book
	b    []byte
	next int
}

// more goes on to the next record; false where there is none.
func (r *segments) more() bool {
	if r.next < 0 {
		return false
	}
	id, b, next := r.k.record(r.next)
	if id != recContinue {
		r.next = -1
		return false
	}
	r.b, r.next = b, next
	return true
}

func (r *segments) end() bool {
	for len(r.b) == 0 {
		if !r.more() {
			return true
		}
	}
	return false
}

func (r *segments) byte() byte {
	if r.end() {
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *segments) u16() uint16 { return uint16(r.byte()) | uint16(r.byte())<<8 }

func (r *segments) skip(n int) {
	for n > 0 && !r.end() {
		m := min(n, len(r.b))
		r.b, n = r.b[m:], n-m
	}
}

// letters reads n letters. Where they go on in another record, that one begins
// with flags of its own.
func (r *segments) letters(n int, wide bool) {
	var high []byte // of two bytes that a record cuts: never seen, and kept anyway
	for n > 0 {
		if len(r.b) == 0 {
			if !r.more() || len(r.b) == 0 {
				return
			}
			wide = r.b[0]&1 != 0
			r.b = r.b[1:]
			continue
		}
		if !wide {
			m := min(n, len(r.b))
			r.k.shared = latin(r.k.shared, r.b[:m])
			r.b, n = r.b[m:], n-m
			continue
		}
		m := min(n, len(r.b)/2)
		if m == 0 {
			high, r.b = r.b, nil
			n--
			r.k.shared = latin(r.k.shared, high)
			continue
		}
		r.k.shared = append(r.k.shared, codepage.Decode16(r.b[:2*m])...)
		r.b, n = r.b[2*m:], n-m
	}
}

// str returns the shared string that a cell holds.
func (k *book) str(i uint32) string {
	if int64(i) >= int64(len(k.offs)) {
		return ""
	}
	k.shown[i] = true
	return k.kept(int(i))
}

func (k *book) kept(i int) string {
	if i == len(k.offs)-1 {
		return string(k.shared[k.offs[i]:])
	}
	return string(k.shared[k.offs[i]:k.offs[i+1]])
}

// rk reads a number in four bytes. [MS-XLS] 2.5.217.
func rk(v uint32) float64 {
	var x float64
	if v&2 != 0 {
		x = float64(int32(v) >> 2)
	} else {
		x = math.Float64frombits(uint64(v&^3) << 32)
	}
	if v&1 != 0 {
		x /= 100
	}
	return x
}
