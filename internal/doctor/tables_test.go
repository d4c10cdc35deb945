package doctor_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/synth"
	"github.com/stanch-dlp/stanch/internal/tables"
)

func TestTables(t *testing.T) {
	dir := t.TempDir()
	f := tables.NewFolder(dir)
	look := func(day string) []doctor.Finding {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return one(doctor.Tables(f, func() time.Time { return at }))
	}
	if fs := look("2026-11-26"); !has(fs, doctor.OK, "built-in structure") {
		t.Errorf("without a table: %+v", fs)
	}
	table, err := tables.ReadOrder(bytes.NewReader(synth.OrderFile()), "list.txt", "2026-04")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add(table); err != nil {
		t.Fatal(err)
	}
	if fs := look("2026-09-30"); !has(fs, doctor.OK, "2026-04", "97665 codes") {
		t.Errorf("of this year: %+v", fs)
	}
	if fs := look("2026-10-01"); !has(fs, doctor.Warn, "2026-04", "2027 has begun", "stanch tables import") {
		t.Errorf("of last year: %+v", fs)
	}
	path := filepath.Join(dir, "icd10cm-2026-04.table")
	for name, tc := range map[string]struct{ text, words string }{
		"cut short": {"stanch table 1\n{", "damaged"},
		"newer":     {"stanch table 2\n{", "newer stanch"},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if fs := look("2026-09-30"); !has(fs, doctor.Fail, "2026-04", tc.words, "stanch tables import FILE") {
			t.Errorf("%s: %+v", name, fs)
		}
	}
}
