package sqlitefile_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/sqlitefile"
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

func (l *list) Statement(sql string) error { return l.add("sql " + sql) }

func (l *list) Row(values []sqlitefile.Value) error {
	var s []string
	for _, v := range values {
		switch v.Kind {
		case sqlitefile.Null:
			s = append(s, "-")
		case sqlitefile.Integer:
			s = append(s, fmt.Sprint(v.Int))
		case sqlitefile.Real:
			s = append(s, fmt.Sprint(v.Real))
		case sqlitefile.Text:
			s = append(s, v.Text)
		case sqlitefile.Blob:
			s = append(s, fmt.Sprintf("%x", v.Blob))
		}
	}
	return l.add(strings.Join(s, "|"))
}

// made has the sqlite3 program make a database.
func made(t *testing.T, sql string) []byte {
	t.Helper()
	path, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 here: Debian's sqlite3 has it")
	}
	file := filepath.Join(t.TempDir(), "a.db")
	cmd := exec.CommandContext(t.Context(), path, "-bail", file)
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sqlite3: %v %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWritten(t *testing.T) {
	many := `CREATE TABLE m(id INTEGER PRIMARY KEY, s); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<20000) INSERT INTO m SELECT x, 'row ' || x FROM c;`
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"kinds of values": {`CREATE TABLE p(id INTEGER PRIMARY KEY, "date of birth" TEXT, [MRN] INT, r REAL, b BLOB, n);
			INSERT INTO p VALUES(7,'1980-04-03',1234567,1.5,x'00ff',NULL),(8,'Zoë 東京',-3,0.0,NULL,0),(9,'',281474976710656,1e300,x'',1);`,
			[]string{"table p id,date of birth,MRN,r,b,n\n7|1980-04-03|1234567|1.5|00ff|-\n8|Zoë 東京|-3|0|-|0\n9||281474976710656|1e+300||1\n"}},
		"UTF-16le":            {`PRAGMA encoding='UTF-16le'; CREATE TABLE p(a); INSERT INTO p VALUES('Zoë 東京');`, []string{"table p a\nZoë 東京\n"}},
		"UTF-16be":            {`PRAGMA encoding='UTF-16be'; CREATE TABLE p(a); INSERT INTO p VALUES('Zoë 東京');`, []string{"table p a\nZoë 東京\n"}},
		"many pages":          {many, []string{"\n1|row 1\n", "\n9999|row 9999\n", "\n20000|row 20000\n"}},
		"without row numbers": {`CREATE TABLE w(a TEXT, b INT, c TEXT, PRIMARY KEY(c, a)) WITHOUT ROWID; INSERT INTO w VALUES('A',1,'C'),('D',2,'B');`, []string{"table w c,a,b\nB|D|2\nC|A|1\n"}},
		"without row numbers, many": {`CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID; WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<5000) INSERT INTO w SELECT 'key '||x, x FROM c;`,
			[]string{"\nkey 1|1\n", "\nkey 4321|4321\n", "\nkey 999|999\n"}},
		"long values":   {`CREATE TABLE l(a,b); INSERT INTO l VALUES(hex(zeroblob(50000)) || 'end', 'after');`, []string{"000end|after\n"}},
		"large pages":   {`PRAGMA page_size=65536; CREATE TABLE l(a); INSERT INTO l VALUES('x');`, []string{"table l a\nx\n"}},
		"small pages":   {`PRAGMA page_size=512; CREATE TABLE l(a); INSERT INTO l VALUES(hex(zeroblob(3000)) || 'end');`, []string{"000end\n"}},
		"kept columns":  {`CREATE TABLE g(a INT, b AS (a+1), c AS (a+2) STORED, d DEFAULT 'a, b)', CHECK (a > 0)); INSERT INTO g(a) VALUES(1);`, []string{"table g a,c,d\n1|3|a, b)\n"}},
		"added columns": {`CREATE TABLE g(a INT); INSERT INTO g VALUES(1); ALTER TABLE g ADD COLUMN ssn TEXT; INSERT INTO g VALUES(2,'536-22-8145');`, []string{"table g a,ssn\n1\n2|536-22-8145\n"}},
		"statements":    {`CREATE TABLE a(x); CREATE VIEW v AS SELECT 'MRN 1234567';`, []string{"sql CREATE VIEW v AS SELECT 'MRN 1234567'\n"}},
		"comments":      {"CREATE TABLE a(x, -- the, first (one\n y /* and ) this */, `z``z`); INSERT INTO a VALUES(1,2,3);", []string{"table a x,y,z`z\n1|2|3\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := &list{left: 1 << 20}
			if err := sqlitefile.Read(made(t, c.sql), out); err != nil {
				t.Errorf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("want %q in\n%.2000s", w, out)
				}
			}
		})
	}
	t.Run("cut", func(t *testing.T) {
		b := made(t, many)
		out := &list{left: 1 << 20}
		if err := sqlitefile.Read(b[:len(b)/2], out); !errors.Is(err, sqlitefile.ErrCorrupt) || !strings.Contains(out.String(), "\n100|row 100\n") {
			t.Errorf("got %v and %d bytes", err, out.Len())
		}
	})
}

// small writes a database of one page: the schema, with one view.
func small() []byte {
	b := make([]byte, 512)
	copy(b, "SQLite format 3\x00\x02\x00\x01\x01\x00\x40\x20\x20")
	b[59] = 1
	rec := append([]byte{6, 21, 15, 15, 8, 33}, "viewvvSELECT 'hi'"...)
	rec = append([]byte{byte(len(rec)), 1}, rec...)
	copy(b[480:], rec)
	b[100] = 0x0d
	binary.BigEndian.PutUint16(b[103:], 1)
	binary.BigEndian.PutUint16(b[108:], 480)
	return b
}

func TestRead(t *testing.T) {
	loop := small() // the tree's root points at itself
	loop[100] = 5
	binary.BigEndian.PutUint32(loop[108:], 1)
	for name, c := range map[string]struct {
		in   []byte
		want error
		text string
		left int
	}{
		"small":             {small(), nil, "sql SELECT 'hi", 10},
		"out's":             {small(), errFull, "", 0},
		"loop":              {loop, sqlitefile.ErrCorrupt, "", 10},
		"cut":               {small()[:200], sqlitefile.ErrCorrupt, "", 10},
		"nothing":           {nil, sqlitefile.ErrCorrupt, "", 10},
		"no size of a page": {append([]byte("SQLite format 3\x00"), make([]byte, 500)...), sqlitefile.ErrCorrupt, "", 10},
	} {
		out := &list{left: c.left}
		if err := sqlitefile.Read(c.in, out); !errors.Is(err, c.want) || !strings.HasPrefix(out.String(), c.text) {
			t.Errorf("%s: got %q, %v, want %q, %v", name, out, err, c.text, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(small())
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: 1000}
		if err := sqlitefile.Read(b, out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
	})
}
