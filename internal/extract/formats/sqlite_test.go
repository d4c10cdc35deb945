package formats_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSQLite holds what parts and spans a database makes.
func TestSQLite(t *testing.T) {
	path, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 here: Debian's sqlite3 has it")
	}
	file := filepath.Join(t.TempDir(), "a.db")
	cmd := exec.CommandContext(t.Context(), path, "-bail", file)
	cmd.Stdin = strings.NewReader(`CREATE TABLE patients(mrn TEXT, ssn TEXT, doc BLOB);
		INSERT INTO patients VALUES('E1234567','536-22-8145',NULL), (NULL,NULL,CAST('text of a blob' AS BLOB)), (NULL,'x',x'` +
		fmt.Sprintf("%x", "\x89PNG\r\n\x1a\n") + `'), (NULL,NULL,x'` + strings.Repeat("00ff01fe", 30) + `'), (NULL,NULL,x'` + fmt.Sprintf("%x", "PK\x05\x06"+strings.Repeat("\x00", 18)) + `');`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sqlite3: %v %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := serve(t, false, limits, b)
	if want := "CREATE TABLE patients(mrn TEXT, ssn TEXT, doc BLOB)\npatients\nmrn\tssn\tdoc\nE1234567\t536-22-8145\n\t\ttext of a blob\n\tx\n"; a.texts[""] != want {
		t.Errorf("got %q, want %q", a.texts[""], want)
	}
	if got, want := fmt.Sprint(a.told()), "[unsupported blobs of a database 1 image image/png]"; got != want {
		t.Errorf("gaps: got %q, want %q", got, want)
	}
	if got := fmt.Sprint(a.paths); got != "[ 1 2]" {
		t.Errorf("parts: got %q", got)
	}
	labels := map[string]string{}
	for _, s := range a.spans[""] {
		labels[a.texts[""][s.Start:s.End]] = fmt.Sprintf("%s %d", s.Label, s.Group)
	}
	for text, want := range map[string]string{"E1234567": "mrn 1", "536-22-8145": "ssn 1", "text of a blob": "doc 2", "patients": "table 0"} {
		if labels[text] != want {
			t.Errorf("%s: got %q, want %q", text, labels[text], want)
		}
	}
	cut := serve(t, false, limits, b[:len(b)-3000])
	if fmt.Sprint(cut.told()) != "[corrupt sqlite]" {
		t.Errorf("cut: gaps %q", cut.told())
	}
}

// TestSQLiteIcon holds that a short blob which begins as an icon does is none: such
// bytes are a number, as a key or a flag is.
func TestSQLiteIcon(t *testing.T) {
	path, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 here: Debian's sqlite3 has it")
	}
	icon := "000001000100" + "1010000001002000" + "28040000" + "16000000" + strings.Repeat("00", 1064)
	for _, c := range []struct{ blob, gaps string }{
		{"00000100", "[]"},
		{"0000010000000001", "[]"},
		{"000001000100101000ff00000000", "[]"},
		{icon, "[1 image image/vnd.microsoft.icon]"},
	} {
		name := filepath.Join(t.TempDir(), "a.db")
		cmd := exec.CommandContext(t.Context(), path, "-bail", name)
		cmd.Stdin = strings.NewReader("CREATE TABLE t(k BLOB, v TEXT); INSERT INTO t VALUES(x'" + c.blob + "','Ada');")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sqlite3: %v %s", err, out)
		}
		a := serve(t, false, limits, file(t, name))
		if got := fmt.Sprint(a.told()); got != c.gaps || !strings.Contains(a.all(), "Ada") {
			t.Errorf("%.40s: gaps %s, want %s; %q", c.blob, got, c.gaps, a.all())
		}
	}
}
