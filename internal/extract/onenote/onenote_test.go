package onenote_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/onenote"
)

var errFull = errors.New("full")

// list is a sink that writes what it is given, a line each.
type list struct {
	strings.Builder
	left int
}

func (l *list) line(s ...string) error {
	if l.left--; l.left < 0 {
		return errFull
	}
	l.WriteString(strings.Join(s, "|") + "\n")
	return nil
}

func (l *list) Text(s string) error { return l.line("text", s) }
func (l *list) Row(cells []string, first bool) error {
	if first {
		return l.line(append([]string{"table"}, cells...)...)
	}
	return l.line(append([]string{"row"}, cells...)...)
}
func (l *list) Value(name, s string) error { return l.line("value", name, s) }
func (l *list) File(name string, b []byte, cut bool) error {
	if cut {
		name += " cut"
	}
	return l.line("file", name, string(b))
}

// section is a page of a paragraph, a table and a file.
func section() []thing {
	in := func(n ...int) map[uint32][]int { return map[uint32][]int{children: n} }
	said := said
	return []thing{
		{kind: rich, words: []words{said("Patient 536-22-8145"), {font, wide("Calibri")}}}, // stands behind its page in order
		{kind: page, words: []words{{title, wide("Ward 3")}}, refs: in(2, 3, 10)},
		{kind: outline, refs: map[uint32][]int{content: {0, 12}}},
		{kind: table, refs: in(4, 5)},
		{kind: row, refs: in(6, 7)},
		{kind: row, refs: in(8, 9)},
		{kind: cell, refs: map[uint32][]int{content: {13}}},
		{kind: cell, refs: map[uint32][]int{content: {14}}},
		{kind: cell, refs: map[uint32][]int{content: {15, 16}}},
		{kind: cell, refs: map[uint32][]int{content: {17}}},
		{kind: fileNode, words: []words{{fileName, wide("scan.pdf")}, {path, wide(`C:\a`)}}, refs: map[uint32][]int{container: {11}}},
		{kind: fileKind, file: "bytes of a file"},
		{kind: rich, words: []words{{ascii, []byte("Caf\xe9 here\x00")}, {unknown, wide("words of no name")}, {unknown, []byte{1, 2, 3, 4}}}},
		{kind: rich, words: []words{said("Name")}},
		{kind: rich, words: []words{said("SSN")}},
		{kind: rich, words: []words{said("A")}},
		{kind: rich, words: []words{said("B")}},
		{kind: rich, words: []words{said("\ufddfHYPERLINK \"http://a.example/\"536-22-8145")}},
	}
}

const sectionText = "text|Patient 536-22-8145\ntext|Café here\ntable|Name|SSN\nrow|A B|536-22-8145 http://a.example/\n" +
	"value|title|Ward 3\nvalue|file|scan.pdf\nvalue|path|C:\\a\nvalue||words of no name\nfile|scan.pdf|bytes of a file\n"

func TestRead(t *testing.T) {
	whole, packaged := storeOf(section()), packageOf(section())
	with := func(more ...thing) []thing { return append(section(), more...) }
	loop := []thing{{kind: rich, words: []words{said("again")}, refs: map[uint32][]int{children: {1}}}, {kind: rich, refs: map[uint32][]int{children: {0}}}}
	stray := append(whole[:len(whole):len(whole)], join([]byte(fileMagic), le(8, 5), make([]byte, 12), []byte("stray"))...)
	strayCut := append(whole[:len(whole):len(whole)], join([]byte(fileMagic), le(8, 50), make([]byte, 12), []byte("cut"))...)
	hybrid := storeOf(nil)
	at := len(hybrid)
	hybrid = append(hybrid, packaged...)
	copy(hybrid[160:], join(le(8, uint64(at-4)), le(4, 4)))
	both := storeOf(section())
	at = len(both)
	both = append(both, packageOf(nil)...)
	copy(both[160:], join(le(8, uint64(at-4)), le(4, 4)))
	for name, c := range map[string]struct {
		in    []byte
		want  error
		text  string
		found onenote.Found
		left  int
	}{
		"store":             {in: whole, text: sectionText},
		"package":           {in: packaged, text: sectionText},
		"package in store":  {in: hybrid, text: sectionText},
		"store and package": {in: both, text: sectionText},
		"stray":             {in: stray, text: sectionText + "file||stray\n"},
		"stray that is cut": {in: strayCut, text: sectionText + "file| cut|cut\n"},
		"loop":              {in: storeOf(loop), text: "text|again\n"},
		"loop in a package": {in: packageOf(loop), text: "text|again\n"},
		"ink":               {in: storeOf([]thing{{kind: inkKind}}), found: onenote.Found{Ink: true}},
		"ink in a package":  {in: packageOf([]thing{{kind: inkKind}}), found: onenote.Found{Ink: true}},
		"elsewhere":         {in: storeOf(with(thing{kind: fileKind, away: true})), text: sectionText, found: onenote.Found{Elsewhere: true}},
		"kept back":         {in: packageOf(with(thing{kind: fileKind, away: true})), text: sectionText, found: onenote.Found{Elsewhere: true}},
		"key":               {in: storeOf(section(), node(0x07c, 1, 0, 8, nil)), want: onenote.ErrEncrypted},
		"no list":           {in: whole[:1024], want: onenote.ErrCorrupt},
		"cut package":       {in: packaged[:len(packaged)-2], want: onenote.ErrCorrupt, text: sectionText},
		"half a package":    {in: packaged[:900], want: onenote.ErrCorrupt},
		"no form":           {in: append(header("some other form."), make([]byte, 2000)...), want: onenote.ErrVersion},
		"nothing":           {want: onenote.ErrCorrupt},
		"out's":             {in: whole, want: errFull, left: -1},
	} {
		t.Run(name, func(t *testing.T) {
			out := &list{left: 100}
			if c.left < 0 {
				out.left = 0
			}
			found, err := onenote.Read(c.in, out)
			if !errors.Is(err, c.want) || found != c.found {
				t.Errorf("got %v, %v, want %v, %v", found, err, c.found, c.want)
			}
			if c.text != "" && out.String() != c.text {
				t.Errorf("got %q, want %q", out, c.text)
			}
		})
	}
}

// TestRevisions holds that what an earlier revision says is told as well.
func TestRevisions(t *testing.T) {
	before := set(thing{kind: rich, words: []words{said("536-22-8145")}})
	b := storeOf([]thing{{kind: rich, words: []words{said("taken out")}}}, node(0x0a4, 1, 64, len(before), join(le(4, 1), le(4, rich), []byte{3, 1})))
	copy(b[64:], before)
	out := &list{left: 10}
	if _, err := onenote.Read(b, out); err != nil || out.String() != "text|taken out\ntext|536-22-8145\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestUnnamed holds that text of no known meaning is told with the characters that
// texts have.
func TestUnnamed(t *testing.T) {
	for _, s := range []string{"SSN\u00a0536-22-8841", "SSN\u202f536-22-8841", "Pa\u00adtient 536-22-8841", "Pa\u200b\u200c\u200dtient 536-22-8841",
		"Patient\f536-22-8841", "Patient\u0001 Jane 536-22-8841", "\uf8ff Patient Jane 536-22-8841"} {
		for _, b := range [][]byte{wide(s), []byte(s)} {
			out := &list{left: 10}
			if _, err := onenote.Read(storeOf([]thing{{kind: rich, words: []words{{unknown, b}}}}), out); err != nil || out.String() != "value||"+s+"\n" {
				t.Errorf("%q: got %q, %v", s, out, err)
			}
		}
	}
	out := &list{left: 10}
	if _, err := onenote.Read(storeOf([]thing{{kind: rich, words: []words{{unknown, join(le(8, 1), le(8, 2), le(8, 0x20003))}}}}), out); err != nil || out.String() != "" {
		t.Errorf("numbers: got %q, %v", out, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(storeOf(section()))
	f.Add(packageOf(section()))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &list{left: 1000}
		if _, err := onenote.Read(b, out); out.left < -1 {
			t.Fatalf("went on after an error: %v", err)
		}
	})
}
