package extract_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// formPDF is a PDF with an XFA form of those packets, and with a description in XMP.
func formPDF(catalog string, packets ...string) string {
	var b, list strings.Builder
	fmt.Fprintf(&b, "%%PDF-1.7\n")
	for i, p := range packets {
		fmt.Fprintf(&list, "(p%d)%d 0 R", i, 10+i)
		fmt.Fprintf(&b, "%d 0 obj<</Length %d>>stream\n%s\nendstream endobj\n", 10+i, len(p), p)
	}
	const xmp = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description><dc:description><rdf:Alt><rdf:li xml:lang="x-default">MRN 7654321</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>`
	fmt.Fprintf(&b, "9 0 obj<</Type/Metadata/Subtype/XML/Length %d>>stream\n%s\nendstream endobj\n", len(xmp), xmp)
	b.WriteString("2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n" +
		"4 0 obj<</Length 44>>stream\nBT /F1 12 Tf 10 100 Td (Please wait ...) Tj ET\nendstream endobj\n")
	fmt.Fprintf(&b, "1 0 obj<</Type/Catalog/Pages 2 0 R/Metadata 9 0 R/AcroForm<</Fields[]/XFA[%s]>>%s>>endobj\ntrailer<</Root 1 0 R>>\n", list.String(), catalog)
	return b.String()
}

const (
	xdp      = `<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/">`
	template = `<template xmlns="http://www.xfa.org/schema/xfa-template/3.3/"><subform name="form1"><draw name="t"><value><text>Admission sheet</text></value></draw>` +
		`<field name="TextField1"><caption><value><text>Social Security Number:</text></value></caption><event><script>var a = 1;</script></event></field>` +
		`<field name="Notes"><assist><toolTip>What was seen</toolTip></assist></field></subform></template>`
	datasets = `<xfa:datasets xmlns:xfa="http://www.xfa.org/schema/xfa-data/1.0/"><xfa:data><form1><TextField1>536-22-8145</TextField1>` +
		`<Notes><body xmlns="http://www.w3.org/1999/xhtml"><p>Seen by <b>Ada</b></p></body></Notes></form1></xfa:data></xfa:datasets>`
)

func TestXFA(t *testing.T) {
	p := newPool(t, nil)
	for name, c := range map[string]struct {
		in   string
		gaps string
	}{
		"dynamic":        {formPDF("/NeedsRendering true", xdp, template, datasets, "</xdp:xdp>"), "[]"},
		"static":         {formPDF("", xdp, template, datasets, "</xdp:xdp>"), "[]"},
		"values first":   {formPDF("/NeedsRendering true", xdp, datasets, template, "</xdp:xdp>"), "[]"},
		"in one":         {formPDF("/NeedsRendering true", xdp+template+datasets+"</xdp:xdp>"), "[]"},
		"with a picture": {formPDF("", xdp, strings.Replace(template, "<text>Adm", "<image>/9j/</image><text>Adm", 1), datasets), "[image pictures of a pdf XFA form]"},
		"compressed":     {qpdfed(t, formPDF("/NeedsRendering true", xdp, template, datasets, "</xdp:xdp>")), "[]"},
	} {
		r := get(t, p, dlp.File, []byte(c.in))
		for _, w := range []string{"Please wait", "Admission sheet\n", "Social Security Number: 536-22-8145\n", "What was seen\n", "Notes: Seen by Ada\n"} {
			if !strings.Contains(r.text(""), w) {
				t.Errorf("%s: got %q, want it to hold %q", name, r.text(""), w)
			}
		}
		if fmt.Sprint(r.told()) != c.gaps {
			t.Errorf("%s: gaps %v, want %s", name, r.told(), c.gaps)
		}
		if !slices.ContainsFunc(r.spans[""], func(s dlp.Span) bool {
			return s.Label == "Social Security Number" && r.text("")[s.Start:s.End] == "536-22-8145"
		}) {
			t.Errorf("%s: no labelled value in %v", name, r.spans[""])
		}
		if !strings.Contains(r.text(""), "description: MRN 7654321\n") {
			t.Errorf("%s: no XMP in %q", name, r.text(""))
		}
	}
	bare := get(t, p, dlp.File, []byte(formPDF("/NeedsRendering true", xdp, datasets)))
	if fmt.Sprint(bare.told()) != "[unsupported pdf XFA form]" || !strings.Contains(bare.text(""), "TextField1: 536-22-8145") {
		t.Errorf("without a template: got %q, %v", bare.text(""), bare.told())
	}
}

// TestXFAHidden holds what a form shows by ways that are seldom used.
func TestXFAHidden(t *testing.T) {
	const (
		ssn  = "536-22-8145"
		gap  = "[unsupported pdf XFA form]"
		head = `<template xmlns="http://www.xfa.org/schema/xfa-template/3.3/"><subform name="form1">`
		tail = `</subform></template>`
	)
	data := func(s string) string {
		return "<xfa:datasets><xfa:data><form1>" + s + "</form1></xfa:data></xfa:datasets>"
	}
	p := newPool(t, nil)
	for name, c := range map[string]struct{ template, data, packet, want, gaps string }{
		"rich text of the template": {template: `<draw><value><exData contentType="text/html"><body><p>SSN 536-<b>22</b>-81<strong>45</strong></p><p>Ada</p></body></exData></value></draw>`, want: "SSN 536-22-8145\nAda\n"},
		"rich text of a value":      {data: `<f><body><p>536-<span style="c">22</span>-8145</p></body></f>`, want: "f: " + ssn + "\n"},
		"what rich text has not":    {data: `<a><body><p>536-<x>22</x>-8145</p></body></a>`, gaps: gap},
		"mixed":                     {data: `<a>536-<span>22</span>-8145</a>`, gaps: gap},
		"mixed at its start":        {data: `<a><c>536</c>-22-8145</a>`, gaps: gap},
		"a script":                  {template: `<field name="f"><event activity="initialize"><script>this.rawValue="536-" + "22-81\x345";</script></event></field>`, want: `this.rawValue="` + ssn},
		"a calculation":             {template: `<field name="f"><calculate><script>"` + ssn + `"</script></calculate></field>`, want: ssn},
		"a script of codes":         {template: `<field name="f"><calculate><script>String.fromCharCode(53)</script></calculate></field>`, gaps: gap},
		"a saved state":             {packet: `<form><subform><field name="f"><value><text>` + ssn + `</text></value></field></subform></form>`, want: ssn},
		"another packet":            {packet: `<o:own>SSN ` + ssn + `</o:own>`, want: "SSN " + ssn + "\n"},
		"an attribute":              {data: `<f a="` + ssn + `"/>`, want: "a: " + ssn + "\n"},
		"tags crossed":              {data: `<f></f></g>`, gaps: gap},
		"a long value":              {data: "<f>" + strings.Repeat("a ", 16<<10-3) + ssn + strings.Repeat(" a", 16<<10) + "</f>", want: " " + ssn + " "},
		"settings":                  {packet: `<config><agent>x</agent></config>`},
	} {
		r := get(t, p, dlp.File, []byte(formPDF("/NeedsRendering true", xdp, head+c.template+tail, data(c.data), c.packet+"</xdp:xdp>")))
		if c.gaps == "" {
			c.gaps = "[]"
		}
		if !strings.Contains(r.text(""), c.want) || fmt.Sprint(r.told()) != c.gaps {
			t.Errorf("%s: got %.300q, gaps %v, want %q, %s", name, r.text(""), r.told(), c.want, c.gaps)
		}
	}
}

// qpdfed has qpdf pack the streams and objects of a PDF.
func qpdfed(t *testing.T, in string) string {
	t.Helper()
	qpdf, err := exec.LookPath("qpdf")
	if err != nil {
		t.Skip("no qpdf here")
	}
	from, to := filepath.Join(t.TempDir(), "a.pdf"), filepath.Join(t.TempDir(), "b.pdf")
	if err := os.WriteFile(from, []byte(in), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), qpdf, "--object-streams=generate", "--warning-exit-0", from, to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("qpdf: %v %s", err, out)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
