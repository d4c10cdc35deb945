package xls_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/offcrypto"
	"github.com/stanch-dlp/stanch/internal/extract/xls"
)

// list writes what it is given as lines, and ends after so many.
type list struct {
	strings.Builder
	left int
}

var errFull = errors.New("no more")

func (l *list) add(format string, args ...any) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	fmt.Fprintf(l, format+"\n", args...)
	return nil
}

func (l *list) Date1904()               { l.add("1904") }
func (l *list) Sheet(name string) error { return l.add("[%s]", name) }
func (l *list) Words(s string) error    { return l.add("words %s", s) }
func (l *list) Line(s string) error     { return l.add("line %s", s) }
func (l *list) Cell(c xls.Cell) error {
	if c.IsNumber {
		return l.add("%d %d %s %s", c.Row, c.Col, strconv.FormatFloat(c.Number, 'f', -1, 64), c.Format)
	}
	return l.add("%d %d %s", c.Row, c.Col, c.Text)
}

func stream(t testing.TB, b []byte) []byte {
	t.Helper()
	f, err := cfb.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Workbook", "Book"} {
		if s, _ := f.Read(f.Stream(name), 1<<30); s != nil {
			return s
		}
	}
	t.Fatal("no workbook")
	return nil
}

func kept(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/book.xls")
	if err != nil {
		t.Fatal(err)
	}
	return stream(t, b)
}

// TestBook reads what LibreOffice writes: the file kept here, and ones made now.
func TestBook(t *testing.T) {
	want := []string{"[Patients]\n", "0 0 Name\n0 1 MRN\n0 2 Born\n0 3 SSN\n", "1 0 Ada Example 東京\n1 1 1234567 ", "1 2 29254 YYYY", "1 3 536228145 ",
		"2 0 Bob\n2 1 2345678 ", "2 4 2.5 ", "Seen by Bea", "[Unseen]\n", "0 0 hidden words\n"}
	check := func(t *testing.T, b []byte, want ...string) {
		t.Helper()
		out := &list{left: 1000}
		if _, err := xls.Read(stream(t, b), out); err != nil {
			t.Error(err)
		}
		for _, w := range want {
			if !strings.Contains(strings.ToUpper(out.String()), strings.ToUpper(w)) {
				t.Errorf("want %q in\n%s", w, out)
			}
		}
	}
	t.Run("kept", func(t *testing.T) {
		b, err := os.ReadFile("testdata/book.xls")
		if err != nil {
			t.Fatal(err)
		}
		check(t, b, append(want, "line http://clinic.example/bob")...)
	})
	t.Run("Excel 97", func(t *testing.T) {
		check(t, convert(t, "book.fods", "xls:MS Excel 97"), append(want, "line http://clinic.example/bob", "words ward ")...)
	})
	t.Run("Excel 95", func(t *testing.T) {
		b := convert(t, "book.fods", "xls:MS Excel 95")
		check(t, b, "[Patients]\n", "0 1 MRN\n", "1 1 1234567 ", "2 0 Bob\n", "hidden words")
	})
}

// TestLock reads locked.xls, which LibreOffice made of book.fods with the
// password that Excel puts in by itself, and a workbook that is obfuscated.
func TestLock(t *testing.T) {
	b, err := os.ReadFile("testdata/locked.xls")
	if err != nil {
		t.Fatal(err)
	}
	b = stream(t, b)
	if _, err := xls.Read(b, &list{left: 1000}); !errors.Is(err, xls.ErrEncrypted) {
		t.Errorf("got %v, want ErrEncrypted", err)
	}
	l := xls.Locked(b)
	if l == nil || l.Open("velvet") != nil {
		t.Fatal("no lock, or one that opens to anything")
	}
	out := &list{left: 1000}
	if _, err := xls.Read(l.Open("VelvetSweatshop"), out); err != nil || !strings.Contains(out.String(), "1 1 1234567 ") || !strings.Contains(out.String(), "[Unseen]") {
		t.Errorf("got %v\n%s", err, out)
	}
	if xls.Locked(kept(t)) != nil {
		t.Error("an open workbook is locked")
	}

	key, _ := offcrypto.XORKey(20810, 52250, "abc")
	x := record(record(nil, 0x809, 0x500, 5, 0, 0), 0x2f, 20810, 52250)
	at := len(x)
	x = record(x, 0x204, 0, 0, 0, 3, "MRN")
	size := len(x) - at - 4
	for i := range size { // [MS-OFFCRYPTO] 2.3.7.3
		c := x[at+4+i] ^ key[(at+4+i+size)&15]
		x[at+4+i] = c>>3 | c<<5
	}
	out = &list{left: 10}
	if _, err := xls.Read(xls.Locked(x).Open("abc"), out); err != nil || out.String() != "0 0 MRN\n" {
		t.Errorf("XOR: got %q, %v", out, err)
	}
}

// record writes a record.
func record(b []byte, id uint16, parts ...any) []byte {
	var body []byte
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			body = append(body, v...)
		case int:
			body = binary.LittleEndian.AppendUint16(body, uint16(v))
		case float64:
			body = binary.LittleEndian.AppendUint64(body, math.Float64bits(v))
		}
	}
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// old writes a workbook of Excel 4.
func old() []byte {
	b := record(nil, 0x409, 0, 0x10, 0)
	b = record(b, 0x204, 0, 0, 0, 3, "MRN")
	b = record(b, 0x203, 1, 0, 0, 1234567.0)
	return record(b, 0x0a)
}

func TestRecords(t *testing.T) {
	begin := record(nil, 0x809, 0x600, 5, 0, 0, 0, 0, 0, 0)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"Excel 4": {old(), "0 0 MRN\n1 0 1234567 \n"},
		"string over two records": {record(record(record(begin, 0xfc, 1, 0, 1, 0, 9, "\x00536-2"), 0x3c, "\x012\x00-\x008\x001\x00"),
			0xfd, 0, 0, 0, 0, 0), "0 0 536-22-81\n"},
		"string of no cell": {record(begin, 0xfc, 1, 0, 1, 0, 3, "\x00MRN"), "line MRN\n"},
		"RK":                {record(begin, 0x27e, 1, 2, 0, 0x1e, 0), "1 2 7 \n"},
		"MULRK":             {record(begin, 0xbd, 1, 2, 0, 0x1e, 0, 0, 0x22, 0, 3), "1 2 7 \n1 3 8 \n"},
		"text box":          {record(record(begin, 0x1b6, 0, 0, 0, 0, 0, 5, 0, 0, 0), 0x3c, "\x00hello"), "line hello\n"},
		"chart text":        {record(begin, 0x100d, 0, "\x03\x00MRN"), "line MRN\n"},
		"formula's text": {record(record(begin, 0x06, 0, 0, 0, "\x00\x00\x00\x00\x00\x00\xff\xff", 0, 0, 0, 5, "\x17\x02\x00ab"), 0x207, 2, "\x00ab"),
			"words ab\n0 0 ab\n"},
		"name": {record(begin, 0x18, 0, 0x0100, 5, 0, 0, 0, 0, "\x00N\x17\x02\x00ab"), "line ab\n"},
	} {
		out := &list{left: 100}
		if _, err := xls.Read(c.b, out); err != nil || out.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, c.want)
		}
	}
}

func TestNotRead(t *testing.T) {
	b := kept(t)
	for name, c := range map[string]struct {
		b    []byte
		want error
		left int
	}{
		"cut":        {b[:len(b)/2], xls.ErrCorrupt, 1000},
		"empty":      {nil, xls.ErrCorrupt, 1000},
		"encrypted":  {record(record(nil, 0x809, 0x600, 5, 0, 0, 0, 0, 0, 0), 0x2f, 0, 1, 2), xls.ErrEncrypted, 1000},
		"out's":      {b, errFull, 3},
		"not a book": {[]byte("0123456789abcdef"), xls.ErrCorrupt, 1000},
	} {
		if _, err := xls.Read(c.b, &list{left: c.left}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(kept(f))
	f.Add(old())
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: 2000}
		if _, err := xls.Read(b, out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
		if l := xls.Locked(b); l != nil {
			l.Open("VelvetSweatshop")
		}
		_ = xls.PivotCache(b, &list{left: 2000}) // an error is fine
	})
}

// convert has LibreOffice write a file of testdata in another format.
func convert(t *testing.T, name, to string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("LibreOffice takes some ten seconds")
	}
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("no soffice here: Debian's libreoffice-calc-nogui has it")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", to, "--outdir", dir, filepath.Join("testdata", name))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("soffice does not run here: %v %s", err, out)
	}
	ext, _, _ := strings.Cut(to, ":")
	b, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(name, filepath.Ext(name))+"."+ext))
	if err != nil {
		t.Skipf("soffice made no %s: %v", ext, err)
	}
	return b
}
