package tables_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/internal/tables"
)

// read imports text as a file named list.txt.
func read(text []byte) (*tables.Table, error) {
	return tables.ReadOrder(bytes.NewReader(text), "list.txt", "2027")
}

func packed(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadOrder(t *testing.T) {
	whole := synth.OrderFile("A10")
	unix := bytes.ReplaceAll(whole, []byte("\r\n"), []byte("\n"))
	accents := bytes.Replace(unix, []byte("condition A0000  "), []byte("condition Ménière"), 1)
	if bytes.Equal(accents, unix) {
		t.Fatal("no accents were put in")
	}
	var first *tables.Table
	for name, text := range map[string][]byte{"as CMS has it": whole, "gzip": packed(t, whole), "lines of Unix": unix, "no last line end": bytes.TrimRight(whole, "\r\n"),
		"accents in UTF-8": accents, "accents in Latin-1": bytes.Replace(unix, []byte("condition A0000  "), []byte("condition M\xe9ni\xe8re"), 1)} {
		got, err := read(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if first == nil {
			first = got
		}
		sum := sha256.Sum256(text)
		if got.Digest() != first.Digest() || got.Source != hex.EncodeToString(sum[:]) || got.Codes != first.Codes {
			t.Errorf("%s: got digest %.8s, source %.8s, %d codes, want %.8s, %.8s, %d", name, got.Digest(), got.Source, got.Codes, first.Digest(), hex.EncodeToString(sum[:]), first.Codes)
		}
	}
	if first.Codes != 97_667 || first.Billable != 1915*40+1 || first.Version != "2027" {
		t.Errorf("got %d codes, %d billable, version %s", first.Codes, first.Billable, first.Version)
	}
}

// TestReadYear: the list of a year, where it lies beside the checkout.
func TestReadYear(t *testing.T) {
	const path = "../../../shared/tables/icd10cm-order-Jan-2021.txt.gz"
	f, err := os.Open(path)
	if err != nil {
		t.Skip("no order file at " + path)
	}
	defer f.Close()
	table, err := tables.ReadOrder(f, path, tables.VersionOf(path))
	if err != nil {
		t.Fatal(err)
	}
	if table.Codes != 95_358 || table.Billable != 72_621 || table.Version != "2021-01" { // as CMS counts them
		t.Errorf("got %d codes, %d billable, version %s; want 95358, 72621, 2021-01", table.Codes, table.Billable, table.Version)
	}
	for _, c := range []string{"E11.9", "E119", "e11.9", "T36.0X1A", "U07.1", "S72.001A"} {
		if !table.Lists(c) || !table.Bills(c) {
			t.Errorf("%s is not in the table as a billable code", c)
		}
	}
	for _, c := range []string{"E11", "T36.0X", "U07"} {
		if !table.Lists(c) || table.Bills(c) {
			t.Errorf("%s is not in the table as a heading", c)
		}
	}
	for _, c := range []string{"U09.9", "E11.X", "E1", "", "E11.", "E11.9.", "E1.19", "E11.99999", "E11-9", "E11.9\x00"} {
		if table.Lists(c) || table.Bills(c) {
			t.Errorf("%q is in the table", c)
		}
	}
	if n := len(tables.Encode(table)); n > 1<<20 {
		t.Errorf("%d bytes, want less than 1 MiB", n)
	}
	if n := testing.AllocsPerRun(100, func() { table.Lists("S72.001A") }); n != 0 {
		t.Errorf("a look-up allocates %v times, want 0", n)
	}
}

// TestReadOrderRefuses: each kind of mistake is told with its line and column,
// and there is no table.
func TestReadOrderRefuses(t *testing.T) {
	whole := string(synth.OrderFile())
	lines := strings.SplitAfter(whole, "\r\n")
	lines = lines[:len(lines)-1]
	few := lines[:51] // a category; what is wrong in it is told before the file is found too short
	change := func(n int, from, to string) string {
		c := slices.Clone(few)
		if c[n-1] = strings.Replace(c[n-1], from, to, 1); c[n-1] == lines[n-1] {
			t.Fatalf("line %d: %q is not in it", n, from)
		}
		return strings.Join(c, "")
	}
	last := len(lines)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "list.txt:1: file: 80000 to 200000 codes, not 0"},
		{"words", "Dear colleagues,\nhere are the codes\n", "list.txt:1: line: at least 78 columns, not 16"},
		{"another table", "code,description\nA000,Cholera\n", "list.txt:1: line: at least 78 columns"},
		{"a zip archive", "PK\x03\x04" + whole[:99], "list.txt:1: file: the order file itself, plain or packed by gzip: unpack this archive first"},
		{"gzip cut short", string(packed(t, []byte(whole))[:200_000]), ": file: a whole file: unexpected EOF"},
		{"gzip damaged", "\x1f\x8b" + whole[:99], "list.txt:1: file: a whole gzip file"},
		{"ICD-10-PCS", change(1, "A00", "001"), "list.txt:1: code: a capital letter"},
		{"no letter", change(3, "A0000  ", "00000  "), "list.txt:3: code: a capital letter"},
		{"small letters", change(3, "A0000  ", "a0000  "), "list.txt:3: code: a capital letter"},
		{"too short a code", change(3, "A0000  ", "A0     "), "list.txt:3: code: a capital letter"},
		{"a dot", change(3, "A0000  ", "A00.00 "), "list.txt:3: code: a capital letter"},
		{"a blank inside", change(3, "A0000  ", "A 0000 "), "list.txt:3: code: a capital letter"},
		{"too long a code", change(3, "A0000   ", "A0000000"), "list.txt:3: code: a capital letter"},
		{"no order number", change(3, "00003", "3    "), "list.txt:3: order number: five digits"},
		{"a line is missing", strings.Join(few[:4], "") + strings.Join(few[5:], ""), "list.txt:5: order number: 00005, not 00006"},
		{"a line stands twice", strings.Join(few[:5], "") + strings.Join(few[4:], ""), "list.txt:6: order number: 00006, not 00005"},
		{"a code stands twice", change(4, "A0001  ", "A0000  "), "list.txt:4: code: a code that no other line has: A0000 stands in line 3"},
		{"no flag", change(3, " 1 ", "   "), "list.txt:3: header flag: 0 for a heading or 1 for a code in column 15"},
		{"another flag", change(3, " 1 ", " 2 "), "list.txt:3: header flag: 0 for"},
		{"a code above codes", change(2, " 0 ", " 1 "), "list.txt:2: header flag: 0: A0000 stands below A000"},
		{"a heading without codes", change(3, " 1 ", " 0 "), "list.txt:3: header flag: 1, or codes below A0000"},
		{"a code before its category", change(1, "A00     0", "A01     1"), "list.txt:2: code: a code behind its category: A00, or a code of it, does not stand before"},
		{"no short description", change(3, fmt.Sprintf("%-60s", "Invented condition A0000"), strings.Repeat(" ", 60)), "list.txt:3: short description: words in columns 17-76"},
		{"no long description", change(3, "Invented condition A0000, in full", strings.Repeat(" ", 33)), "list.txt:3: long description: words from column 78 on"},
		{"a control character", change(3, "Invented", "Inven\x00ed"), "list.txt:3: line: text without control characters"},
		{"a short line", change(3, lines[2][60:], "\r\n"), "list.txt:3: line: at least 78 columns, not 60"},
		{"a long line", change(3, "in full", strings.Repeat("x", 1000)), "list.txt:3: line: at most 1000 bytes"},
		{"a line without end", change(3, "in full", strings.Repeat("x", 100_000)), "list.txt:3: line: at most 1000 bytes"},
		{"an empty line", change(3, lines[2], "\r\n"), "list.txt:3: line: at least 78 columns, not 0"},
		{"cut inside a line", whole[:len(whole)-100], fmt.Sprintf("list.txt:%d: line: at least 78 columns", last)},
		{"cut behind a heading", strings.Join(lines[:last-4], ""), fmt.Sprintf("list.txt:%d: header flag: 1, or codes below Z999 in the lines that follow: is the file whole?", last-4)},
		{"cut behind a chapter", whole[:strings.Index(whole, " Z00 ")-5], ": file: all categories of ICD-10-CM: 89 are not there, Z00 and Z99 among them"},
		{"cut early", whole[:strings.Index(whole, " D00 ")-5], ": file: 80000 to 200000 codes"},
		{"text behind", strings.Join(few, "") + "\x1a", "list.txt:52: line: text without control characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := read([]byte(c.text))
			if table != nil || err == nil {
				t.Fatal("there is a table, want an error")
			}
			if first, _, _ := strings.Cut(err.Error(), "\n"); !strings.HasPrefix(first, c.want) && !(c.want[0] == ':' && strings.Contains(first, c.want)) {
				t.Errorf("got %q, want %q", first, c.want)
			}
			if e, ok := errors.AsType[*tables.Error](err); !ok || e.Line < 1 {
				t.Errorf("error %T, want *tables.Error with a line", err)
			}
			if n := strings.Count(err.Error(), "\n"); n > 21 {
				t.Errorf("%d lines of errors", n)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	for name, want := range map[string]string{
		"icd10cm-order-Jan-2021.txt.gz": "2021-01", "icd10cm_order_2025.txt": "2025", "icd10cm-order-2026.txt": "2026", "icd10cm-order-April-2025.txt": "2025-04",
		"icd10cm_order_april_1_2023.txt": "2023-04", "icd10cm_order_FY2024.txt": "2024", "ICD10CM_ORDER_OCT_2024.TXT": "2024-10",
		"order.txt": "", "icd10cm_order_20251.txt": "", "codes-1999.txt": "",
	} {
		if got := tables.VersionOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, v := range []string{"", "25", "2025-13", "2025-4", "1999", "2025.1", "../2025", "2025\n"} {
		if tables.ValidVersion(v) == nil {
			t.Errorf("%q passes as a version", v)
		}
	}
	for v, want := range map[string]int{"2025": 2025, "2021-01": 2021, "2024-10": 2025, "2024-12": 2025, "2024-09": 2024} {
		if got := (&tables.About{Version: v}).FiscalYear(); got != want {
			t.Errorf("%s is of %d, want %d", v, got, want)
		}
	}
	for day, want := range map[string]int{"2026-09-30": 2026, "2026-10-01": 2027, "2027-01-01": 2027} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := tables.FiscalYear(at); got != want {
			t.Errorf("%s: %d is in force, want %d", day, got, want)
		}
	}
}

// FuzzReadOrder: whatever the file, there is a table or an error that says
// where, and what is a table is read back as it was.
func FuzzReadOrder(f *testing.F) {
	whole := synth.OrderFile()
	f.Add(whole[:600])
	f.Add(whole[:1111])
	f.Add([]byte("00001 A00     1 Cholera                                                      Cholera\n"))
	f.Add([]byte("00001 A00     0 Cholera                                                      Cholera\r\n00002 A00XXXA 1 x                                                            \xe9"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := tables.ReadPart(text)
		if (table == nil) == (err == nil) {
			t.Fatalf("table %v and error %v, want exactly one", table, err)
		}
		if err != nil {
			if e, ok := errors.AsType[*tables.Error](err); !ok || e.Line < 1 || e.Key == "" || e.Want == "" {
				t.Errorf("error %v, want file, line, column and what was expected", err)
			}
			return
		}
		back, err := tables.Decode(tables.Encode(table))
		if err != nil || back.Digest() != table.Digest() || back.Codes != table.Codes {
			t.Errorf("read back: %v, want the same", err)
		}
		for line := range strings.Lines(string(text)) {
			if code := strings.TrimRight(line[6:13], " "); !back.Lists(code) || back.Bills(code) != (line[14] == '1') {
				t.Errorf("%q is not in the table as in the file", code)
			}
		}
	})
}
