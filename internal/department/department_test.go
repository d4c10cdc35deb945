package department_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/department"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "departments.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func address(s string) dlp.Address {
	at := strings.LastIndexByte(s, '@')
	return dlp.Address{Local: s[:at], Domain: s[at+1:]}
}

func TestOf(t *testing.T) {
	t.Parallel()
	c := department.Default()
	c.File = write(t, "\ufeffaddress,department\r\n# the wards\r\n\r\nDr.Lee@clinic.example , Surgery\r\nfront@clinic.example,Front desk, second floor\r\n")
	if _, err := department.Open(c); !errors.Is(err, department.ErrLine) {
		t.Fatalf("a name with a comma: %v", err)
	}
	c.File = write(t, "\ufeffaddress,department\r\n# the wards\r\n\r\nDr.Lee@clinic.example , Surgery\r\nrad-3@clinic.example,Front desk\r\n")
	c.List = []department.Named{
		{Name: "Radiology", Senders: []string{"rad-*@clinic.example", "radiology.clinic.example", "*.radiology.clinic.example"}},
		{Name: "Surgery", Senders: []string{"surgeon@radiology.clinic.example", "surgeon@clinic.example"}},
		{Name: "The rest", Senders: []string{"clinic.example"}},
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	b, err := department.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"dr.lee@CLINIC.example":             "Surgery", // the file, whatever its letters
		"rad-3@clinic.example":              "Front desk",
		"RAD-4@clinic.example":              "Radiology",
		"x@radiology.clinic.example":        "Radiology",
		"x@ct.radiology.clinic.example":     "Radiology",
		"surgeon@radiology.clinic.example":  "Radiology", // the first of the list
		"surgeon@clinic.example":            "Surgery",
		"anybody@clinic.example":            "The rest",
		"x@clinic.example.partner.example":  "",
		"x@notradiology.clinic.example":     "",
		"dr.lee@clinic.example@other.test":  "",
		"rad-3@clinic.example.other.test":   "",
		"x@radiology.clinic.example.test":   "",
		"\u212aelvin@radiology.clinic.test": "",
	} {
		if got := b.Of(address(from)); got != want {
			t.Errorf("%s: got %q, want %q", from, got, want)
		}
	}
	if got := b.Of(dlp.Address{}); got != "" {
		t.Errorf("the null sender: %q", got)
	}
	if got := b.Names(); !slices.Equal(got, []string{"Front desk", "Radiology", "Surgery", "The rest"}) {
		t.Errorf("names: %q", got)
	}
	var none *department.Book
	if none, err = department.Open(department.Default()); err != nil || none != nil || none.Of(address("a@b.test")) != "" || none.Names() != nil {
		t.Errorf("without departments: %v, %v", none, err)
	}
}

// TestFileErrors: each says where and what, and repeats nothing of the file.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	var many, lines strings.Builder
	for i := range 201 {
		fmt.Fprintf(&many, "a%d@clinic.example,Department %d\n", i, i)
	}
	for range 200_001 {
		lines.WriteString("#\n")
	}
	for _, tc := range []struct {
		name, text string
		want       error
		line       int
	}{
		{"no comma", "a@b.test,Ward\nsecret.person@b.test\n", department.ErrLine, 2},
		{"no address", "ward,Ward\n", department.ErrLine, 1},
		{"a pattern", "*@b.test,Ward\n", department.ErrLine, 1},
		{"two @", "a@b@c.test,Ward\n", department.ErrLine, 1},
		{"no department", "a@b.test,\n", department.ErrLine, 1},
		{"a formula", "a@b.test,=1+1\n", department.ErrLine, 1},
		{"quotes", "\"a@b.test\",Ward\n", department.ErrLine, 1},
		{"not UTF-8", "a@b.test,W\xe4rd\n", department.ErrLine, 1},
		{"a long line", "a@b.test,Ward\na@b.test," + strings.Repeat("x", 2000), department.ErrLine, 2},
		{"twice", "secret.person@b.test,Ward\n#\nSECRET.person@b.test,Other\n", department.ErrTwice, 3},
		{"too many", many.String(), department.ErrTooMany, 201},
		{"too many lines", lines.String(), department.ErrLarge, 0},
	} {
		path := write(t, tc.text)
		_, err := department.Open(department.Config{File: path})
		e, ok := errors.AsType[*department.FileError](err)
		if !ok || !errors.Is(err, tc.want) || e.Line != tc.line || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: got %v, want %v in line %d", tc.name, err, tc.want, tc.line)
		}
	}
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{dir: department.ErrKind, pipe: department.ErrKind, filepath.Join(dir, "none"): os.ErrNotExist} {
		if _, err := department.Open(department.Config{File: path}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	big := write(t, "")
	if err := os.Truncate(big, 17<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := department.Open(department.Config{File: big}); !errors.Is(err, department.ErrLarge) {
		t.Errorf("a large file: %v", err)
	}
	c := department.Config{File: write(t, "a@b.test,One more\n")}
	for i := range 200 {
		c.List = append(c.List, department.Named{Name: fmt.Sprint("D ", i), Senders: []string{fmt.Sprintf("d%d.test", i)}})
	}
	if _, err := department.Open(c); !errors.Is(err, department.ErrTooMany) {
		t.Errorf("too many with the list: %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	list := func(names ...string) (out []department.Named) {
		for _, n := range names {
			out = append(out, department.Named{Name: n, Senders: []string{"x.test"}})
		}
		return out
	}
	var stars []string
	for i := range 201 {
		stars = append(stars, fmt.Sprintf("a%d*@x.test", i))
	}
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf("a%d@x.test", i)
	}
	for _, tc := range []struct {
		name string
		c    department.Config
		keys []string
	}{
		{"the defaults", department.Default(), nil},
		{"one sender alone", department.Config{LeastSenders: 1}, []string{"departments.least_senders"}},
		{"nobody ever", department.Config{LeastSenders: 101}, []string{"departments.least_senders"}},
		{"names", department.Config{LeastSenders: 5, List: list("Ward", "Ward", "", "=x", "a\nb", strings.Repeat("x", 61), " x")},
			[]string{"departments.list[1].name", "departments.list[2].name", "departments.list[3].name", "departments.list[4].name", "departments.list[5].name", "departments.list[6].name"}},
		{"senders", department.Config{LeastSenders: 5, List: []department.Named{{Name: "A"}, {Name: "B", Senders: []string{"x.test", "<>", "", "a b", "x@"}}}},
			[]string{"departments.list[0].senders", "departments.list[1].senders[1]", "departments.list[1].senders[2]", "departments.list[1].senders[3]", "departments.list[1].senders[4]"}},
		{"many patterns", department.Config{LeastSenders: 5, List: []department.Named{{Name: "A", Senders: many}}}, []string{"departments.list"}},
		{"many with a star", department.Config{LeastSenders: 5, List: []department.Named{{Name: "A", Senders: stars}}}, []string{"departments.list"}},
	} {
		var got []string
		if j, ok := tc.c.Validate().(interface{ Unwrap() []error }); ok {
			for _, e := range j.Unwrap() {
				k, _ := errors.AsType[*dlp.KeyError](e)
				got = append(got, k.Key)
			}
		}
		if !slices.Equal(got, tc.keys) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.keys)
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, s := range []string{"", "address,department\na@b.test,Ward\n", "a@b.test,Ward\r\na@b.test,Other", "#\n\n,", "@,x", "a@b,\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := department.Open(department.Config{File: write(t, s)})
		if err != nil {
			if e, ok := errors.AsType[*department.FileError](err); !ok || e.Err == nil {
				t.Errorf("%v", err)
			}
			return
		}
		if len(b.Names()) > 200 {
			t.Errorf("%d names", len(b.Names()))
		}
	})
}

// BenchmarkOf is what a message pays where there are as many patterns as may be.
func BenchmarkOf(b *testing.B) {
	c := department.Config{LeastSenders: 5}
	for i := range 20 {
		d := department.Named{Name: fmt.Sprint("D ", i)}
		for k := range 10 {
			d.Senders = append(d.Senders, fmt.Sprintf("ward%d-%d-*@*.clinic.example", i, k))
		}
		c.List = append(c.List, d)
	}
	book, err := department.Open(c)
	if err != nil {
		b.Fatal(err)
	}
	a := address("somebody.else@mail.clinic.example")
	for b.Loop() {
		book.Of(a)
	}
}
