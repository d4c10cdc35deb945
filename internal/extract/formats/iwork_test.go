package formats_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestIWork holds what parts, spans and gaps a document of Numbers or Pages makes.
func TestIWork(t *testing.T) {
	const dir = "iwork/testdata/fuzz/FuzzRead/"
	text, tables := string(seed(t, dir+"text")), string(seed(t, dir+"tables"))
	list := "bplist00\xd1\x01\x02\x52by\x5ewho wrote this\x08\x0b\x0e" + // {"by": …}, where each object stands,
		"\x00\x00\x00\x00\x00\x00\x01\x01" + "\x00\x00\x00\x00\x00\x00\x00\x03" + strings.Repeat("\x00", 15) + "\x1d" // and three of them before byte 29
	all := []member{{"Index/Document.iwa", text}, {"Index/Tables/Tile.iwa", tables}, {"Metadata/Properties.plist", list},
		{"Data/note.txt", "a file within"}}
	index := zipOf(t, member{"Index/Document.iwa", text}, member{"Index/Tables/Tile.iwa", tables})
	for name, c := range map[string]struct {
		doc  string
		part string // of the text
		gaps string
	}{
		"document":   {zipOf(t, all...), "", "[]"},
		"folder":     {zipOf(t, member{"a.pages/Index.zip", index}), "1", "[]"},
		"operations": {zipOf(t, append(all, member{"Index/OperationStorage.iwa", "bvxn\x00\x00\x00"})...), "", "[unsupported iwork lzfse]"},
		"damaged":    {zipOf(t, append(all, member{"Index/Other.iwa", "\x00\xff\xff\xff"})...), "", "[corrupt iwork]"},
		"password":   {zipOf(t, append(all, member{".iwpv2", "check"})...), "-", "[encrypted iwork]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.doc))
			if got := fmt.Sprint(a.told()); got != c.gaps {
				t.Errorf("gaps: got %q, want %q", got, c.gaps)
			}
			if c.part == "-" {
				return
			}
			for _, want := range []string{"Patient 536-22-8145\nsecond line\n", "Ward 3\nName\tSSN\tBirth\tDue\nJane Doe\t536228145\t1980-04-04\t-123.45\n", "ask her son\n", "en_US\n"} {
				if !strings.Contains(a.texts[c.part], want) {
					t.Errorf("%q is not in %q", want, a.texts[c.part])
				}
			}
			labels := map[string]string{}
			for _, s := range a.spans[c.part] {
				labels[a.texts[c.part][s.Start:s.End]] = s.Label
			}
			if labels["536228145"] != "SSN" || labels["ask her son"] != "comment" {
				t.Errorf("spans: got %q", labels)
			}
			if name == "document" && (a.texts["4"] != "a file within" || a.texts["3"] != "by: who wrote this\n") {
				t.Errorf("members: got %q", a.texts)
			}
		})
	}
}
