package sqlite_test

import (
	"archive/tar"
	"compress/gzip"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// unpack writes the files of a data folder that an earlier version made.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestForm1IsBroughtUp opens a data folder as form 1 left it: one held
// document, two queued messages, the larger one in a file, and one delivered.
func TestForm1IsBroughtUp(t *testing.T) {
	dir := t.TempDir()
	unpack(t, "testdata/form1.tar.gz", dir)
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	o := sqlite.Options{Now: func() time.Time { return now }}
	in := open(t, dir, o)
	for i := range 2 {
		to := vault.Query{All: [][]vault.Field{{{Kind: vault.ByChannel, Value: "mail"}}, {{Kind: vault.ByChannel, Value: "file"}}}}
		if es, next, err := in.vault.Find(t.Context(), to); err != nil || next != "" || len(es) != 1-i {
			t.Errorf("found before and after it has its terms: %+v, %q, %v", es, next, err)
		}
		if n, err := in.vault.IndexSome(t.Context(), 10); err != nil || n != 1-i {
			t.Errorf("%d were given terms, %v; want %d", n, err, 1-i)
		}
		if n := in.db.Swept(); n != 0 {
			t.Errorf("swept %d: a queued message has lost its content", n)
		}
		held, err := in.vault.List(t.Context(), vault.Filter{})
		if err != nil || len(held) != 1 || held[0].Damaged {
			t.Errorf("held %+v, %v; want the one", held, err)
		}
		ms, err := in.spool.List(t.Context(), spool.Filter{})
		if err != nil || len(ms) != 2 || ms[0].Rcpts[0].Addr.String() != "sam@partner.example" || ms[0].State != spool.Queued || ms[0].Seq != 7 {
			t.Errorf("queued %+v, %v; want two", ms, err)
		}
		if due, err := in.spool.Due(t.Context(), spool.Queued, now, 10); err != nil || len(due) != 2 {
			t.Errorf("due %+v, %v; want both", due, err)
		}
		if all, err := in.spool.List(t.Context(), spool.Filter{All: true}); err != nil || len(all) != 3 || all[2].State != spool.Delivered {
			t.Errorf("all %+v, %v; want three", all, err)
		}
		in.close(t)
		in = open(t, dir, o)
	}
	ms, err := in.spool.List(t.Context(), spool.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := in.spool.Open(t.Context(), ms[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "small" || r.Close() != nil {
		t.Errorf("content %q, %v", b, err)
	}
	ms[0].State, ms[0].Dest = spool.Poison, 5
	u, err := in.spool.Progress(ms[0])
	if err != nil {
		t.Fatal(err)
	}
	commit(t, in, store.Change{Progress: []spool.Update{u}})
}

// TestFormKnowsEachKind: a kind of message that an older program would handle as
// another comes with a form that this program refuses.
func TestFormKnowsEachKind(t *testing.T) {
	known := map[spool.Kind]int{spool.Release: 1, spool.Copy: 1, spool.Notice: 1, spool.DSN: 1, spool.Reading: 2, spool.Encrypted: 5, spool.Proved: 6}
	dir := t.TempDir()
	open(t, dir, sqlite.Options{}).close(t)
	db, err := sql.Open("sqlite", filepath.Join(dir, "stanch.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var form int
	if err := db.QueryRow("PRAGMA user_version").Scan(&form); err != nil {
		t.Fatal(err)
	}
	for _, k := range spool.Kinds() {
		if since, ok := known[k]; !ok || form < since {
			t.Errorf("kind %q: the database has form %d, and the kind came with %d: give a new kind a new form, and name that here", k, form, since)
		}
	}
}

// TestFormIsDescribed: docs/vault.md describes the form that there is, and each of its
// tables: what lies there in the clear is for an auditor to read.
func TestFormIsDescribed(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, sqlite.Options{}).close(t)
	db, err := sql.Open("sqlite", filepath.Join(dir, "stanch.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var form int
	var tables string
	if err := db.QueryRow("PRAGMA user_version").Scan(&form); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT group_concat(name, ' ') FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../../docs/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), fmt.Sprintf("\n## The database, form %d\n", form))
	if !ok {
		t.Fatalf("docs/vault.md does not describe form %d", form)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, table := range strings.Fields(tables) {
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + table + "`").MatchString(section) {
			t.Errorf("docs/vault.md does not say what stands in the table %s", table)
		}
	}
}
