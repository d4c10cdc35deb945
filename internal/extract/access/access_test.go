package access_test

import (
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/access"
)

// list gathers what is read, and ends after so much.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) add(s string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(s + "\n")
	return nil
}

func (l *list) Table(name string, columns []string) error {
	return l.add("table " + name + " " + strings.Join(columns, ","))
}

func (l *list) Row(values []access.Value) error {
	var s []string
	for _, v := range values {
		s = append(s, v.Text+string(v.Blob))
	}
	return l.add(strings.Join(s, "|"))
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// col is a column; size 0: its values vary.
type col struct {
	name string
	kind byte
	size int
}

// db writes a database, page by page.
type db struct {
	jet3  bool
	pages [][]byte
}

func (d *db) size() int {
	if d.jet3 {
		return 2048
	}
	return 4096
}

// text encodes a name or value.
func (d *db) text(s string) []byte {
	if d.jet3 {
		return []byte(s)
	}
	return wide(s)
}

// rowsPage writes a page of rows that belong to owner.
func (d *db) rowsPage(owner int, rows ...[]byte) []byte {
	p := make([]byte, d.size())
	p[0], p[1] = 1, 1
	binary.LittleEndian.PutUint32(p[4:], uint32(owner))
	first := 12
	if d.jet3 {
		first = 8
	}
	binary.LittleEndian.PutUint16(p[first:], uint16(len(rows)))
	end := len(p)
	for i, r := range rows {
		end -= len(r)
		copy(p[end:], r)
		binary.LittleEndian.PutUint16(p[first+2+2*i:], uint16(end))
	}
	binary.LittleEndian.PutUint16(p[2:], uint16(end-first-2-2*len(rows)))
	return p
}

// definition writes the definition of a table whose pages map's row is used.
func (d *db) definition(cols []col, rows, used int) []byte {
	le := binary.LittleEndian
	p := make([]byte, d.size())
	p[0], p[1] = 2, 1
	varying, fixed := 0, 0
	var defs, names []byte
	for i, c := range cols {
		e := make([]byte, 25)
		if d.jet3 {
			e = make([]byte, 18)
		}
		num, vi, flags, off, size := 5, 7, 15, 21, 23
		if d.jet3 {
			num, vi, flags, off, size = 1, 3, 13, 14, 16
		}
		e[0] = c.kind
		le.PutUint16(e[num:], uint16(i))
		le.PutUint16(e[vi:], uint16(varying))
		if c.size > 0 || c.kind == 1 {
			e[flags] = 3
			le.PutUint16(e[off:], uint16(fixed))
			le.PutUint16(e[size:], uint16(c.size))
			fixed += c.size
		} else {
			e[flags] = 2
			le.PutUint16(e[size:], 255)
			varying++
		}
		defs = append(defs, e...)
		n := d.text(c.name)
		if d.jet3 {
			names = append(names, byte(len(n)))
		} else {
			names = le.AppendUint16(names, uint16(len(n)))
		}
		names = append(names, n...)
	}
	at := 63
	if d.jet3 {
		at = 43
		le.PutUint32(p[12:], uint32(rows))
		p[20] = 'N'
		le.PutUint16(p[23:], uint16(varying))
		le.PutUint16(p[25:], uint16(len(cols)))
		le.PutUint32(p[35:], uint32(1<<8|used))
		le.PutUint32(p[39:], uint32(1<<8|used))
	} else {
		le.PutUint32(p[16:], uint32(rows))
		p[40] = 'N'
		le.PutUint16(p[43:], uint16(varying))
		le.PutUint16(p[45:], uint16(len(cols)))
		le.PutUint32(p[55:], uint32(1<<8|used))
		le.PutUint32(p[59:], uint32(1<<8|used))
	}
	copy(p[at:], append(defs, names...))
	le.PutUint32(p[8:], uint32(at+len(defs)+len(names)))
	return p
}

// row encodes a row: nil is null; bool, int, float64 are fixed by their column;
// strings and bytes vary.
func (d *db) row(cols []col, values ...any) []byte {
	le := binary.LittleEndian
	var fixed, vary []byte
	var starts []int
	mask := make([]byte, (len(cols)+7)/8)
	head := 2
	if d.jet3 {
		head = 1
	}
	for i, c := range cols {
		v := values[i]
		if v != nil && v != false {
			mask[i/8] |= 1 << (i % 8)
		}
		switch {
		case c.kind == 1:
		case c.size > 0:
			b := make([]byte, 32)
			switch v := v.(type) {
			case int:
				le.PutUint64(b, uint64(v))
			case float64:
				le.PutUint64(b, math.Float64bits(v))
			case []byte:
				b = v
			}
			fixed = append(fixed, b[:c.size]...)
		default:
			starts = append(starts, len(vary))
			switch v := v.(type) {
			case string:
				vary = append(vary, d.text(v)...)
			case []byte:
				vary = append(vary, v...)
			}
		}
	}
	starts = append(starts, len(vary))
	b := []byte{byte(len(cols)), 0}[:head]
	b = append(append(b, fixed...), vary...)
	base := head + len(fixed)
	if d.jet3 {
		for i := len(starts) - 1; i >= 0; i-- {
			b = append(b, byte(base+starts[i]))
		}
		whole := len(b) + 1 + len(mask)
		for j := (whole - 1) / 256; j > 0; j-- { // where offsets pass a multiple of 256
			at := 0
			for at < len(starts) && base+starts[at] < 256*j {
				at++
			}
			b = append(b, byte(at))
		}
		b = append(b, byte(len(starts)-1))
	} else {
		for i := len(starts) - 1; i >= 0; i-- {
			b = le.AppendUint16(b, uint16(base+starts[i]))
		}
		b = le.AppendUint16(b, uint16(len(starts)-1))
	}
	return append(b, mask...)
}

// usage is a map of pages, of which one bit each is set.
func usage(pages ...int) []byte {
	b := make([]byte, 69)
	for _, n := range pages {
		b[5+n/8] |= 1 << (n % 8)
	}
	return b
}

// long is the head of a long value.
func long(size uint32, at int, inline ...byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, size)
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	return append(append(b, 0, 0, 0, 0), inline...)
}

var patients = []col{{"id", 4, 4}, {"seen", 1, 0}, {"mrn", 10, 0}, {"born", 8, 8}, {"bill", 5, 8}, {"notes", 12, 0}, {"scan", 11, 0}, {"n", 16, 17}}

var catalogColumns = []col{{"Id", 4, 4}, {"ParentId", 4, 4}, {"Name", 10, 0}, {"Type", 3, 2}, {"DateCreate", 8, 8}, {"DateUpdate", 8, 8}, {"Owner", 9, 0}, {"Flags", 4, 4}, {"LvProp", 11, 0}}

// patientsDB is a database with a table of two patients, and one that was deleted.
func patientsDB(jet3 bool) *db {
	d := &db{jet3: jet3}
	head := make([]byte, d.size())
	copy(head, "\x00\x01\x00\x00Standard Jet DB\x00\x01")
	if jet3 {
		head[0x14] = 0
	}
	c, _ := rc4.NewCipher([]byte("\xc7\xda\x39\x6b"))
	binary.LittleEndian.PutUint16(head[0x3c:], 1252)
	c.XORKeyStream(head[0x18:0x18+126], head[0x18:0x18+126])
	objects := catalogColumns
	object := func(id int, name string, kind int) []byte {
		return d.row(objects, id, 0, name, kind, 1.0, 1.0, nil, 0, nil)
	}
	numeric := append([]byte{0x80}, make([]byte, 16)...)
	numeric[13] = 77
	squeezed := append([]byte{0xff, 0xfe}, "Zo\xeb \x00\x71\x67\x00 end"...)
	memo := func(s string) []byte { return d.text(s) }
	chain := strings.Repeat("a long note ", 100) + "SSN 536-22-8145"
	cut := len(memo(chain)) / 4 * 2
	mrn := any(squeezed)
	if jet3 {
		mrn = []byte("Zo\xeb")
	}
	gone := d.row(patients, 3, false, "gone", nil, nil, nil, nil, nil)
	rows := d.rowsPage(4,
		d.row(patients, 1, true, "E1234567", 29344.5, 123456, long(0x80000000|uint32(len(memo("in the row"))), 0, memo("in the row")...), long(0x40000000|6, 6<<8), numeric),
		gone,
		d.row(patients, -2, false, mrn, nil, nil, long(uint32(len(memo(chain))), 6<<8|1), nil, nil),
		d.row(patients, 4, false, strings.Repeat("x", 120), 0.25, -5000, long(0x80000000|400, 0, memo(strings.Repeat("y", 400/len(memo("y"))))...), nil, nil),
		[]byte{5, 5, 0, 0}, // a row that was moved, and where it is now
		d.row(patients, 5, true, "moved", nil, nil, nil, nil, nil))
	first := 14
	if jet3 {
		first = 10
	}
	rows[first+3] |= 0xc0 // the second one is deleted
	rows[first+9] |= 0x40
	rows[first+11] |= 0x80
	d.pages = [][]byte{head,
		d.rowsPage(1, usage(3), usage(5)),
		d.definition(objects, 2, 0),
		d.rowsPage(2, object(2, "MSysObjects", 1), object(4, "Patients", 1), object(9, "Forms", 3)),
		d.definition(patients, 3, 1),
		rows,
		d.rowsPage(0x4c41564c, []byte("object"), append(binary.LittleEndian.AppendUint32(nil, 6<<8|2), memo(chain)[:cut]...), append(make([]byte, 4), memo(chain)[cut:]...)),
	}
	return d
}

func (d *db) bytes() (b []byte) {
	for _, p := range d.pages {
		b = append(b, p...)
	}
	return b
}

// encoded masks the pages of a database with a key.
func encoded(b []byte) []byte {
	b[0x3e] ^= 0x55
	for n := 4096; n < len(b); n += 4096 {
		var k [4]byte
		binary.LittleEndian.PutUint32(k[:], 0x55^uint32(n/4096))
		c, _ := rc4.NewCipher(k[:])
		c.XORKeyStream(b[n:n+4096], b[n:n+4096])
	}
	return b
}

func TestRead(t *testing.T) {
	head := "table MSysObjects Name\nMSysObjects\nPatients\nForms\n"
	moved := "||\n5|1|moved|||||\n"
	want := func(second string) string {
		return head + "table Patients id,seen,mrn,born,bill,notes,scan,n\n1|1|E1234567|1980-05-03 12:00:00|12.3456|in the row|object|-77\n" +
			"-2|0|" + second + "|||" + strings.Repeat("a long note ", 100) + "SSN 536-22-8145||\n" +
			"4|0|" + strings.Repeat("x", 120) + "|06:00:00|-0.5|" + strings.Repeat("y", 200)
	}
	ace := patientsDB(false).bytes()
	ace[0x14], ace[0x3e] = 2, ace[0x3e]^1
	copy(ace[4:], "Standard ACE DB")
	for name, c := range map[string]struct {
		in   []byte
		want string
		err  error
	}{
		"Jet 4":         {patientsDB(false).bytes(), want("Zoë 東 end"), nil},
		"Jet 3":         {patientsDB(true).bytes(), want("Zoë"), nil},
		"encoded":       {encoded(patientsDB(false).bytes()), want("Zoë 東 end"), nil},
		"ACE encrypted": {ace, "", access.ErrEncrypted},
		"cut":           {patientsDB(false).bytes()[:6*4096], head + "table Patients id,seen,mrn,born,bill,notes,scan,n\n1|1|E1234567|1980-05-03 12:00:00|12.3456|in the row||-77\n", access.ErrCorrupt},
		"no catalog":    {patientsDB(false).bytes()[:2*4096], "", access.ErrCorrupt},
		"nothing":       {nil, "", access.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			out := &list{left: 1000}
			if err := access.Read(c.in, out); !errors.Is(err, c.err) || !strings.HasPrefix(out.String(), c.want) || err == nil && !strings.HasSuffix(out.String(), moved) {
				t.Errorf("got %q, %v, want %q, %v", out, err, c.want, c.err)
			}
		})
	}
	if err := access.Read(patientsDB(false).bytes(), &list{left: 2}); !errors.Is(err, errFull) {
		t.Errorf("out's error: got %v", err)
	}
}

// TestDamage holds that what is not read, or would be read without end, is told as
// damage.
func TestDamage(t *testing.T) {
	for name, jet3 := range map[string]bool{"Jet 3": true, "Jet 4": false} {
		for what, c := range map[string]struct {
			change func(d *db)
			err    error
		}{
			"a row that is none": {func(d *db) {
				p := d.pages[5]
				first := 14
				if jet3 {
					first = 10
				}
				copy(p[first+2:], p[first:first+2]) // the second row ends where it begins
			}, access.ErrCorrupt},
			"a page of no known kind": {func(d *db) {
				d.pages = append(d.pages, append(append([]byte{7, 1}, d.text("SSN 536-22-8841")...), make([]byte, d.size())...)[:d.size()])
			}, access.ErrCorrupt},
			"an empty page of no known kind":             {func(d *db) { d.pages = append(d.pages, append([]byte{7, 1}, make([]byte, d.size()-2)...)) }, nil},
			"a page of rows that says no more of itself": {func(d *db) { d.pages[5][1] = 0 }, nil},
			"definitions over one another": {func(d *db) {
				objects, at := catalogColumns, len(d.pages)
				const tables, chain = 20, 100
				rows := [][]byte{d.row(objects, 4, 0, "Patients", 1, 1.0, 1.0, nil, 0, nil)}
				for i := range tables {
					rows = append(rows, d.row(objects, at+i, 0, "t", 1, 1.0, 1.0, nil, 0, nil))
					p := d.definition(patients, 0, 1)
					binary.LittleEndian.PutUint32(p[4:], uint32(at+tables))
					d.pages = append(d.pages, p)
				}
				for i := range chain {
					p := make([]byte, d.size())
					p[0], p[1] = 2, 1
					if i+1 < chain {
						binary.LittleEndian.PutUint32(p[4:], uint32(at+tables+i+1))
					}
					d.pages = append(d.pages, p)
				}
				d.pages[3] = d.rowsPage(2, rows...)
			}, access.ErrCorrupt},
		} {
			d := patientsDB(jet3)
			c.change(d)
			out := &list{left: 1000}
			if err := access.Read(d.bytes(), out); !errors.Is(err, c.err) || !strings.Contains(out.String(), "E1234567") {
				t.Errorf("%s of %s: got %v, want %v, and %q", what, name, err, c.err, out)
			}
		}
	}
}

// TestMdbtools holds that another reader sees in our files what is meant.
func TestMdbtools(t *testing.T) {
	export, err := exec.LookPath("mdb-export")
	if err != nil {
		t.Skip("no mdb-export here: Debian's mdbtools has it")
	}
	for name, jet3 := range map[string]bool{"Jet 3": true, "Jet 4": false} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.mdb")
			if err := os.WriteFile(file, patientsDB(jet3).bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), export, "-H", "-T", "%Y-%m-%d %H:%M:%S", file, "Patients").Output()
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range []string{`1,1,"E1234567","1980-05-03 12:00:00",12.3456,"in the row"`, `-2,0,"Zoë`, "SSN 536-22-8145", "4,0,\"xxxx", "06:00:00", `5,1,"moved"`} {
				if !strings.Contains(string(out), w) {
					t.Errorf("want %q in %q", w, out)
				}
			}
			if strings.Contains(string(out), "gone") {
				t.Errorf("a deleted row in %q", out)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(patientsDB(false).bytes())
	f.Add(patientsDB(true).bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: 1000}
		if err := access.Read(b, out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
	})
}
