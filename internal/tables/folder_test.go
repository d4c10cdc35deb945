package tables_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/tables"
)

// small is a table of a few codes.
func small(t testing.TB, version string, codes ...string) *tables.Table {
	t.Helper()
	var text strings.Builder
	for i, c := range append([]string{"A00"}, codes...) {
		flag := "1"
		if c == "A00" && len(codes) > 0 {
			flag = "0"
		}
		text.WriteString("0000" + string(rune('1'+i)) + " " + (c + "       ")[:7] + " " + flag + " " + strings.Repeat("x", 60) + " x\n")
	}
	table, err := tables.ReadPart([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	table.Version, table.Imported = version, time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	return table
}

// versions is what the folder lists; a star marks the table in use, a bang one
// that cannot be read.
func versions(t *testing.T, f *tables.Folder) string {
	t.Helper()
	all, err := f.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		v := e.Version
		if e.InUse {
			v += "*"
		}
		if e.Err != nil {
			v += "!"
		}
		out = append(out, v)
	}
	return strings.Join(out, " ")
}

func add(t *testing.T, f *tables.Folder, table *tables.Table, removed ...string) {
	t.Helper()
	got, err := f.Add(table)
	if err != nil || !slices.Equal(got, removed) {
		t.Fatalf("Add %s: removed %v, %v; want %v", table.Version, got, err, removed)
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "tables")
	f := tables.NewFolder(dir)
	inUse := func(want string) {
		t.Helper()
		table, err := f.InUse()
		got := ""
		if table != nil {
			got = table.Version
		}
		if err != nil || got != want {
			t.Fatalf("in use: %q, %v; want %q", got, err, want)
		}
	}
	inUse("")
	if got := versions(t, f); got != "" {
		t.Errorf("no folder: %q", got)
	}
	if err := f.Use("2025"); !errors.Is(err, tables.ErrNone) {
		t.Errorf("Use without a folder: %v, want ErrNone", err)
	}
	add(t, f, small(t, "2025", "A001"))
	inUse("2025")
	add(t, f, small(t, "2025-04", "A001", "A002"))
	add(t, f, small(t, "2026", "A001", "A003"), "2025")
	inUse("2026")
	if got := versions(t, f); got != "2026* 2025-04" {
		t.Errorf("after three: %q", got)
	}
	for name, c := range map[string]struct{ got, want error }{
		"remove what is in use": {f.Remove("2026"), tables.ErrInUse}, "remove nothing": {f.Remove("2025"), tables.ErrNone},
		"remove a path": {f.Remove("../icd10cm.use"), tables.ErrNone}, "use nothing": {f.Use("2024"), tables.ErrNone},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if err := f.Use("2025-04"); err != nil {
		t.Fatal(err)
	}
	inUse("2025-04")
	add(t, f, small(t, "2027", "A004"), "2026") // the one it was before goes, the one in use stays
	if err := f.Use(""); err != nil {
		t.Fatal(err)
	}
	inUse("")
	if got := versions(t, f); got != "2027 2025-04" {
		t.Errorf("with none in use: %q", got)
	}
	if err := f.Remove("2027"); err != nil {
		t.Fatal(err)
	}
	add(t, f, small(t, "2025-04", "A009")) // a corrected list of the same version
	table, err := f.InUse()
	if err != nil || !table.Lists("A00.9") || table.Lists("A00.1") || !table.Imported.Equal(time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("the same version again: %+v, %v", table, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "icd10cm-2025-04.table")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

// TestInterruptedImport: whatever step an import died at, what was in use is in
// use, and the next one clears up.
func TestInterruptedImport(t *testing.T) {
	dir := t.TempDir()
	f := tables.NewFolder(dir)
	add(t, f, small(t, "2026", "A001"))
	for name, left := range map[string][]byte{
		".stanch-tmp-123":    tables.Encode(small(t, "2027", "A002"))[:50], // while it was written
		"icd10cm-2027.table": tables.Encode(small(t, "2027", "A002")),      // before it was put in use
	} {
		if err := os.WriteFile(filepath.Join(dir, name), left, 0o600); err != nil {
			t.Fatal(err)
		}
		if table, err := f.InUse(); err != nil || table.Version != "2026" {
			t.Errorf("%s: in use %v, %v; want 2026", name, table, err)
		}
	}
	add(t, f, small(t, "2027-04", "A003"), "2027")
	if got := versions(t, f); got != "2027-04* 2026" {
		t.Errorf("after the next import: %q", got)
	}
	names, err := fs.Glob(os.DirFS(dir), ".stanch-tmp-*")
	if err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestTwoImportsAtOnce(t *testing.T) {
	dir := t.TempDir()
	f := tables.NewFolder(dir)
	add(t, f, small(t, "2025", "A001"))
	lock, err := safefile.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add(small(t, "2026", "A002")); !errors.Is(err, tables.ErrBusy) {
		t.Errorf("beside another: %v, want ErrBusy", err)
	}
	if got := versions(t, f); got != "2025*" {
		t.Errorf("after that: %q, want 2025 alone", got)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make([]error, 8)
	for i, v := range []string{"2025", "2026", "2027", "2028", "2029", "2030", "2031", "2032"} {
		table := small(t, v, "A002")
		wg.Go(func() { _, done[i] = f.Add(table) })
	}
	wg.Wait()
	some := false
	for _, err := range done {
		some = some || err == nil
		if err != nil && !errors.Is(err, tables.ErrBusy) {
			t.Errorf("at once: %v", err)
		}
	}
	all, err := f.List()
	if table, uerr := f.InUse(); err != nil || uerr != nil || table == nil || !some || len(all) > 2 || slices.ContainsFunc(all, func(e tables.Entry) bool { return e.Err != nil }) {
		t.Errorf("at once: %v, %v, %d tables", err, uerr, len(all))
	}
}

// TestDamage: a table that is not whole, was changed, or is of a newer program
// is refused for what it is, and another can be put in use instead.
func TestDamage(t *testing.T) {
	whole := tables.Encode(small(t, "2026", "A001", "A002"))
	newer := bytes.Replace(whole, []byte("stanch table 1\n"), []byte("stanch table 2\n"), 1)
	type damage struct {
		name string
		data []byte
		want error
	}
	all := []damage{
		{"newer", newer, tables.ErrNewer}, {"newer, and otherwise built", []byte("stanch table 17\nanything"), tables.ErrNewer},
		{"empty", nil, tables.ErrDamaged}, {"another file", []byte("Dear colleagues\n"), tables.ErrDamaged}, {"no number", []byte("stanch table x\n"), tables.ErrDamaged},
		{"longer", append(bytes.Clone(whole), 0), tables.ErrDamaged},
		{"another version's", tables.Encode(small(t, "2025", "A001")), tables.ErrDamaged},
	}
	body := whole[:len(whole)-32]
	swapped := bytes.Clone(body)
	copy(swapped[len(body)-10:], append(bytes.Clone(body[len(body)-5:]), body[len(body)-10:len(body)-5]...))
	for name, b := range map[string][]byte{
		"out of order": swapped, "a code short": body[:len(body)-5], "a byte short": body[:len(body)-1],
		"fewer billable": bytes.Replace(body, []byte(`"billable":2`), []byte(`"billable":1`), 1), "another name": bytes.Replace(body, []byte(`"icd10cm"`), []byte(`"icd11cm"`), 1),
		"no JSON": bytes.Replace(body, []byte(`{"`), []byte(`["`), 1),
	} {
		all = append(all, damage{name + ", with its checksum", tables.Sum(b), tables.ErrDamaged})
	}
	for n := range whole {
		all = append(all, damage{"cut short", whole[:n], tables.ErrDamaged})
		if n >= len("stanch table 1") {
			flipped := bytes.Clone(whole)
			flipped[n] ^= 1
			all = append(all, damage{"changed", flipped, tables.ErrDamaged})
		}
	}
	dir := t.TempDir()
	f := tables.NewFolder(dir)
	add(t, f, small(t, "2025", "A001"))
	add(t, f, small(t, "2026", "A001"))
	for _, d := range all {
		if err := os.WriteFile(filepath.Join(dir, "icd10cm-2026.table"), d.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if table, err := f.InUse(); table != nil || !errors.Is(err, d.want) || !strings.Contains(err.Error(), "icd10cm 2026: ") {
			t.Errorf("%s (%d bytes): %v, %v; want %v, with the version", d.name, len(d.data), table, err, d.want)
		}
	}
	if got := versions(t, f); got != "2026*! 2025" {
		t.Errorf("listed as %q", got)
	}
	if err := f.Use("2026"); !errors.Is(err, tables.ErrDamaged) {
		t.Errorf("put in use again: %v, want ErrDamaged", err)
	}
	if err := f.Use("2025"); err != nil {
		t.Error(err)
	}
	if err := f.Remove("2026"); err != nil {
		t.Error(err)
	}
	for _, note := range []string{"", "2025\n2026\n", "../2025\n", strings.Repeat("2025", 100)} {
		if err := os.WriteFile(filepath.Join(dir, "icd10cm.use"), []byte(note), 0o600); err != nil {
			t.Fatal(err)
		}
		if table, err := f.InUse(); table != nil || !errors.Is(err, tables.ErrDamaged) {
			t.Errorf("note %.20q: %v, %v; want ErrDamaged", note, table, err)
		}
	}
	add(t, f, small(t, "2027", "A001")) // mends the note
	if table, err := f.InUse(); err != nil || table.Version != "2027" {
		t.Errorf("after an import: %v, %v", table, err)
	}
}

// FuzzTable: a table file is read or refused; what is read can be asked, and is
// written as it was understood.
func FuzzTable(f *testing.F) {
	whole := tables.Encode(small(f, "2026", "A001", "A002"))
	f.Add(whole[:len(whole)-32], "A00.1")
	f.Add([]byte("stanch table 2\n"), "")
	f.Add([]byte("stanch table 1\n{\"name\":\"icd10cm\",\"version\":\"2026\",\"codes\":-1}\n"), "U07.1")
	f.Fuzz(func(t *testing.T, body []byte, code string) {
		for _, b := range [][]byte{body, tables.Sum(body)} {
			table, err := tables.Decode(b)
			if (table == nil) == (err == nil) {
				t.Fatalf("table %v and error %v, want exactly one", table, err)
			}
			if err != nil {
				if !errors.Is(err, tables.ErrDamaged) && !errors.Is(err, tables.ErrNewer) {
					t.Errorf("error %v, want one of the two", err)
				}
				continue
			}
			if table.Bills(code) && !table.Lists(code) {
				t.Errorf("%q can be billed and is not listed", code)
			}
			back, err := tables.Decode(tables.Encode(table))
			if err != nil || back.Digest() != table.Digest() || back.Version != table.Version || back.Billable != table.Billable {
				t.Errorf("written and read: %+v, %v; want %+v", back, err, table.About)
			}
		}
	})
}
