package formats_test

import (
	"fmt"
	"strings"
	"testing"
)

// drawing is a drawing as [MS-VSDX] 2.2 lays one out; no program here writes one.
func drawing(t testing.TB, page string, more ...member) string {
	t.Helper()
	return zipOf(t, append([]member{
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`},
		{"visio/masters/masters.xml", `<Masters><Master Name="Bed" NameU="Bed" Prompt="Drag me"><Icon>AAABAAEAICAQAAAA</Icon></Master></Masters>`},
		{"visio/pages/pages.xml", `<Pages><Page ID="0" NameU="Page-1" Name="Ward 3"><PageSheet LineStyle="0"><Cell N="PageWidth" V="8.5"/></PageSheet></Page></Pages>`},
		{"visio/pages/page1.xml", `<PageContents><Shapes>` + page + `</Shapes></PageContents>`},
	}, more...)...)
}

// TestVisio holds what is read of a drawing: what a shape shows, and its data
// under their labels, which a program shows beside it.
func TestVisio(t *testing.T) {
	doc := drawing(t, `<Shape ID="1" NameU="Process" Name="Process"><Cell N="PinX" V="6.2696850393700787"/>`+
		`<Section N="Property"><Row N="Row_1"><Cell N="Value" V="536-22-8145" U="STR"/><Cell N="Label" V="SSN"/><Cell N="Prompt" V="no hyphens"/></Row>`+
		`<Row N="MRN"><Cell N="Value" V="12345678"/></Row><Row N="Row_3"><Cell N="Label" V="Bed"/></Row></Section>`+
		`<Section N="User"><Row N="visVersion"><Cell N="Value" V="15"/></Row><Row N="who"><Cell N="Value" V="Jane Doe"/></Row></Section>`+
		`<Section N="Hyperlink"><Row N="Row_9"><Cell N="Address" V="http://a.example/"/></Row></Section>`+
		`<Section N="Geometry" IX="0"><Row T="MoveTo"><Cell N="X" V="1234567.5"/></Row></Section>`+
		`<Text><cp IX="0"/>Patient 078-<cp IX="1"/>05-<pp IX="0"/>1120 of <fld IX="0">Ward 3</fld></Text></Shape>`,
		member{"visio/comments.xml", `<Comments><AuthorList><AuthorEntry ID="1" Name="A. Nurse" Initials="AN"/></AuthorList><CommentList><CommentEntry PageID="0">call 555-0100</CommentEntry></CommentList></Comments>`},
		member{"visio/data/recordset1.xml", `<xml xmlns:s="a" xmlns:rs="b" xmlns:z="c"><s:Schema><s:ElementType name="row"><s:AttributeType name="c1" rs:name="Member ID"/></s:ElementType></s:Schema><rs:data><z:row c0="1" c1="ABC123456789"/></rs:data></xml>`})
	a := serve(t, false, limits, []byte(doc))
	if got := fmt.Sprint(a.told(), a.paths); got != "[] []" {
		t.Errorf("gaps and parts: got %s", got)
	}
	if got := a.parts[""].MediaType; got != "application/vnd.ms-visio.drawing" {
		t.Errorf("got %q", got)
	}
	for _, want := range []string{"Process\nSSN: 536-22-8145\n", "no hyphens\n", "MRN: 12345678\n", "Jane Doe\n", "http://a.example/\n", "Patient 078-05-1120 of Ward 3\n",
		"A. Nurse\nAN\ncall 555-0100\n", "Member ID: ABC123456789\n", "Bed\nDrag me\n", "Ward 3\nPage-1\n"} {
		if !strings.Contains(a.texts[""], want) {
			t.Errorf("%q is not in %q", want, a.texts[""])
		}
	}
	for _, no := range []string{"AAABAAEA", "6.26", "15\n", "1234567.5"} {
		if strings.Contains(a.texts[""], no) {
			t.Errorf("%q is in %q", no, a.texts[""])
		}
	}
	labels := map[string]string{}
	for _, s := range a.spans[""] {
		labels[a.texts[""][s.Start:s.End]] = fmt.Sprint(s.Label, " ", s.Group)
	}
	for text, want := range map[string]string{"536-22-8145": "SSN 1", "12345678": "MRN 1", "ABC123456789": "Member ID 2"} {
		if labels[text] != want {
			t.Errorf("%s: got %q, want %q", text, labels[text], want)
		}
	}
}
