package formats_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// seed returns the bytes of a parser's committed fuzz seed.
func seed(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile("../" + path)
	if err != nil {
		t.Fatal(err)
	}
	_, quoted, _ := strings.Cut(strings.TrimSuffix(string(b), ")\n"), "[]byte(")
	s, err := strconv.Unquote(quoted)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(s)
}

// TestOneNote holds what parts, spans and gaps a section makes, in both packagings
// and within a notebook's cabinet.
func TestOneNote(t *testing.T) {
	const dir = "onenote/testdata/fuzz/FuzzRead/"
	const text = "Patient 536-22-8145\nCafé here\nName\tSSN\nA B\t536-22-8145 http://a.example/\nWard 3\nscan.pdf\nC:\\a\nwords of no name\n"
	for _, c := range []struct {
		seed string
		cut  int
		text string
		gaps string
	}{
		{"store", 0, text, "[]"},
		{"package", 0, text, "[]"},
		{"gaps", 0, text, "[image handwriting unsupported a file that is elsewhere]"},
		{"key", 0, "", "[encrypted onenote]"},
		{"package", 2, text, "[corrupt onenote]"},
	} {
		b := seed(t, dir+c.seed)
		a := serve(t, false, limits, b[:len(b)-c.cut])
		if got := fmt.Sprint(a.told()); got != c.gaps {
			t.Errorf("%s: gaps: got %q, want %q", c.seed, got, c.gaps)
		}
		if !strings.HasPrefix(a.texts[""], c.text) {
			t.Errorf("%s: got %q, want %q", c.seed, a.texts[""], c.text)
		}
		if c.text == "" {
			continue
		}
		if got := a.parts["1"].Name + " " + a.texts["1"]; got != "scan.pdf bytes of a file" {
			t.Errorf("%s: member: got %q", c.seed, got)
		}
		labels := map[string]string{}
		for _, s := range a.spans[""] {
			labels[a.texts[""][s.Start:s.End]] = s.Label
		}
		if labels["536-22-8145 http://a.example/"] != "SSN" || labels["Ward 3"] != "title" {
			t.Errorf("%s: spans: got %q", c.seed, labels)
		}
	}
	b := seed(t, dir+"store")
	copy(b[48:], "another form ...")
	if a := serve(t, false, limits, b); fmt.Sprint(a.told()) != "[unsupported onenote before 2007]" || !strings.Contains(a.texts[""], "Patient 536-22-8145") {
		t.Errorf("another form: gaps %q", a.told())
	}
}

// TestOneNoteNested holds that files that lie in one another are bounded by the
// ratio of what they make together.
func TestOneNoteNested(t *testing.T) {
	head := "\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac" + "\xff\xff\xff\xff\xff\xff\xff\x00" + strings.Repeat("\x00", 12)
	b := append(seed(t, "onenote/testdata/fuzz/FuzzRead/store"), strings.Repeat(head, 2000)+strings.Repeat("\x01", 1<<18)...)
	many := limits
	many.Members = 10000
	a := serve(t, false, many, b)
	if !slices.Contains(a.told(), "too_large unpacks beyond the ratio") || len(a.parts) > 1000 {
		t.Errorf("%d parts, gaps %.200q", len(a.parts), a.told())
	}
}

// TestOneNotePackage holds that a notebook that is sent as one file (.onepkg, a
// cabinet) is read.
func TestOneNotePackage(t *testing.T) {
	path, err := exec.LookPath("gcab")
	if err != nil {
		t.Skip("no gcab here: Debian's gcab has it")
	}
	dir := t.TempDir()
	for _, name := range []string{"store", "package"} {
		if err := os.WriteFile(filepath.Join(dir, name+".one"), seed(t, "onenote/testdata/fuzz/FuzzRead/"+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "-c", "-z", "a.onepkg", "store.one", "package.one")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcab: %v %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "a.onepkg"))
	if err != nil {
		t.Fatal(err)
	}
	a := serve(t, false, limits, b)
	for _, in := range []string{"1", "2"} {
		if !strings.HasPrefix(a.texts[in], "Patient 536-22-8145\n") || a.texts[in+"/1"] != "bytes of a file" {
			t.Errorf("%s: got %q and %q, gaps %q", in, a.texts[in], a.texts[in+"/1"], a.told())
		}
	}
}
