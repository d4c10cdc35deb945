// Package access reads the rows of Microsoft Access databases: Jet 3 (Access
// 97), Jet 4 (2000 to 2003, .mdb) and ACE (2007 on, .accdb).
//
// Rows are found by the pages that say which table they belong to, so that a
// damaged map of pages hides none. Indexes, forms, reports, macros and modules
// are not read. It holds little more than a list of pages and one row beside
// the file; time follows the length of the file.
//
// Source: the description of the format in mdbtools' HACKING.md.
package access

import (
	"bytes"
	"crypto/rc4" //nolint:gosec // what the format has
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Errors of Read. What could be read came before.
var (
	ErrCorrupt   = errors.New("access: cut or damaged")
	ErrEncrypted = errors.New("access: encrypted with a password")
)

// Value is one value of a row: text as it would be shown, or the bytes of an
// object. Neither: null, or a kind that holds no text.
type Value struct {
	Text string // valid UTF-8
	Blob []byte
}

// Sink takes what is found. After an error no more comes.
type Sink interface {
	// Table begins a table. columns are those that its rows have values for.
	Table(name string, columns []string) error
	// Row takes a row. The values are good until it returns.
	Row(values []Value) error
}

// Kinds of pages.
const (
	pageData  = 1
	pageTable = 2
	pageLast  = 5 // maps of pages; before it come those of indexes
	pageFree  = 8 // is set in the kind of a page that Access has no more use for
)

const (
	headKey    = "\xc7\xda\x39\x6b" // with which the head is masked in every file
	catalog    = 2                  // the page of the table of tables
	maxTables  = 1 << 16
	maxChain   = 1 << 10 // pages of a table's definition
	maxColumns = 1 << 10 // Access allows 255
	userTable  = 1       // kind of object in the catalog
)

// Is reports the head of a database.
func Is(b []byte) bool {
	return len(b) >= 0x15 && (string(b[4:19]) == "Standard Jet DB" || string(b[4:19]) == "Standard ACE DB")
}

type file struct {
	b      []byte
	out    Sink
	size   int // of a page
	jet3   bool
	page8  int             // code page of texts of Jet 3
	owned  map[int][]int32 // pages of rows, by their table's
	long   int             // bytes of long values that may still be put together
	chain  int             // bytes of definitions that may still be put together
	damage bool
}

// Read gives out every row of every table, of the tables of the program's own
// those that hold text. Its error is out's, ErrEncrypted or ErrCorrupt. It changes b where
// pages are encoded.
func Read(b []byte, out Sink) error {
	if !Is(b) || len(b) < 2048 {
		return ErrCorrupt
	}
	f := &file{b: b, out: out, size: 4096, owned: map[int][]int32{}, long: 2 * len(b), chain: 2 * len(b)}
	version := b[0x14]
	if version == 0 {
		f.size, f.jet3 = 2048, true
	}
	var key uint32
	if f.page8, key = head(b); key != 0 {
		if version > 1 {
			return ErrEncrypted
		}
		f.decode(key)
	}
	f.damage = len(b)%f.size != 0
	for n := 1; n < f.pages(); n++ {
		p := f.pageAt(n)
		if p[0]&^pageFree > pageLast && hasWords(p) {
			f.damage = true
		}
		if p[0] == pageData { // other readers look at no more of its head either
			if owner := int(binary.LittleEndian.Uint32(p[4:])); owner < f.pages() && f.pageAt(owner)[0] == pageTable {
				f.owned[owner] = append(f.owned[owner], int32(n))
			}
		}
	}
	return f.tables()
}

// hasWords reports a run of printed characters, of one byte each or of two.
func hasWords(p []byte) bool {
	const least = 6
	printed := func(i int) bool { return p[i] >= ' ' && p[i] < 0x7f }
	one, two := 0, [2]int{}
	for i := range p {
		if one++; !printed(i) {
			one = 0
		}
		if i+1 < len(p) {
			if two[i%2]++; !printed(i) || p[i+1] != 0 {
				two[i%2] = 0
			}
		}
		if one >= least || two[i%2] >= least {
			return true
		}
	}
	return false
}

// head returns the code page of a database and the key of its pages, 0 for none.
func head(b []byte) (page int, key uint32) {
	h := make([]byte, 126)
	c, err := rc4.NewCipher([]byte(headKey)) //nolint:gosec // what the format has
	if err != nil {
		return 0, 0
	}
	c.XORKeyStream(h, b[0x18:0x18+len(h)])
	return int(binary.LittleEndian.Uint16(h[0x3c-0x18:])), binary.LittleEndian.Uint32(h[0x3e-0x18:])
}

// Encoded reports a database whose pages are masked with a key that stands in it:
// Read takes the mask off where they lie.
func Encoded(b []byte) bool {
	if !Is(b) || len(b) < 2048 || b[0x14] > 1 {
		return false
	}
	_, key := head(b)
	return key != 0
}

func (f *file) pages() int { return len(f.b) / f.size }

func (f *file) pageAt(n int) []byte { return f.b[n*f.size:][:f.size] }

// decode takes the mask of a database's own key off all pages but the first.
func (f *file) decode(key uint32) {
	for n := 1; n < f.pages(); n++ {
		var k [4]byte
		binary.LittleEndian.PutUint32(k[:], key^uint32(n))
		c, err := rc4.NewCipher(k[:]) //nolint:gosec // what the format has
		if err != nil {
			return
		}
		if p := f.pageAt(n); bytes.ContainsFunc(p, func(r rune) bool { return r != 0 }) { // it was written
			c.XORKeyStream(p, p)
		}
	}
}

// object is a line of the table of tables.
type object struct {
	page int
	name string
}

func (f *file) tables() error {
	main := f.table(catalog)
	if main == nil {
		return ErrCorrupt
	}
	var found []object
	err := f.rows(catalog, main, func(v []Value) error {
		o, ok := main.object(v)
		if ok && len(found) < maxTables {
			found = append(found, o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	seen := map[int]bool{}
	for _, o := range found {
		if seen[o.page] {
			continue
		}
		seen[o.page] = true
		t := f.table(o.page)
		if t == nil {
			f.damage = true
			continue
		}
		if err := f.give(o, t); err != nil {
			return err
		}
	}
	for n := range f.owned { // tables that no list names
		if !seen[n] && n != catalog {
			f.damage = true
		}
	}
	if f.damage {
		return ErrCorrupt
	}
	return nil
}

// give hands a table on; of the program's own ones only texts.
func (f *file) give(o object, t *table) error {
	system := isSystem(o.name)
	if system {
		t.columns = slices.DeleteFunc(t.columns, func(c column) bool { return c.kind != kindText && c.kind != kindMemo })
	}
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	if system && (len(names) == 0 || len(f.owned[o.page]) == 0) {
		return nil
	}
	if err := f.out.Table(o.name, names); err != nil {
		return err
	}
	return f.rows(o.page, t, func(v []Value) error {
		if system && !slices.ContainsFunc(v, func(v Value) bool { return v.Text != "" }) {
			return nil
		}
		return f.out.Row(v)
	})
}

// isSystem reports the name of a table of the program's own.
func isSystem(name string) bool { return len(name) > 4 && name[:4] == "MSys" }

// object returns the table that a row of the catalog names.
func (t *table) object(v []Value) (o object, ok bool) {
	kind, id := 0, 0
	for i, c := range t.columns {
		if i >= len(v) {
			break
		}
		switch c.name {
		case "Id":
			id, _ = strconv.Atoi(v[i].Text) // what is no number leads to no table
		case "Name":
			o.name = v[i].Text
		case "Type":
			kind, _ = strconv.Atoi(v[i].Text) // nor is it a kind of table
		}
	}
	o.page = id & 0xffffff
	return o, kind == userTable && o.page > 0
}

// text decodes a text. Jet 4 leaves the high bytes of its letters out where they
// are none; a zero byte then begins and ends letters of two bytes.
func (f *file) text(b []byte) string {
	if f.jet3 {
		page := f.page8
		if page == 0 {
			page = codepage.Latin1
		}
		return codepage.Decode(page, b)
	}
	if len(b) < 2 || b[0] != 0xff || b[1] != 0xfe {
		return codepage.Decode16(b)
	}
	out := make([]byte, 0, 2*len(b))
	for b = b[2:]; len(b) > 0; {
		for len(b) > 0 && b[0] != 0 {
			out = append(out, b[0], 0)
			b = b[1:]
		}
		if len(b) > 0 {
			b = b[1:]
		}
		for len(b) > 1 && b[0] != 0 {
			out = append(out, b[0], b[1])
			b = b[2:]
		}
		if len(b) > 0 && b[0] == 0 {
			b = b[1:]
		} else {
			b = nil
		}
	}
	return codepage.Decode16(out)
}
