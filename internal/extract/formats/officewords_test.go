package formats_test

import (
	"strings"
	"testing"
)

// TestOfficeAttributes holds that what a reader sees of an office document and what
// its format keeps in an attribute, or beside a sheet's cells, is read.
func TestOfficeAttributes(t *testing.T) {
	const want = "536-22-8145"
	for name, m := range map[string]member{
		"who moved":                      {"word/document.xml", `<w:document><w:p><w:moveTo w:author="536-22-8145"/></w:p></w:document>`},
		"who changed a format":           {"word/document.xml", `<w:document><w:p><w:rPrChange w:author="536-22-8145"/></w:p></w:document>`},
		"a person's account":             {"word/people.xml", `<w15:people><w15:person><w15:presenceInfo w15:userId="S::536-22-8145@clinic.example::1"/></w15:person></w15:people>`},
		"a person of Word":               {"word/people.xml", `<w15:people><w15:person w15:author="536-22-8145"/></w15:people>`},
		"a bookmark":                     {"word/document.xml", `<w:document><w:p><w:bookmarkStart w:name="536-22-8145"/></w:p></w:document>`},
		"a table's alternative text":     {"word/document.xml", `<w:document><w:tbl><w:tblPr><w:tblDescription w:val="536-22-8145"/></w:tblPr></w:tbl></w:document>`},
		"a drawing's link":               {"word/document.xml", `<w:document><w:pict><v:shape href="https://x.example/536-22-8145"/></w:pict></w:document>`},
		"a group's alternative text":     {"word/document.xml", `<w:document><w:pict><v:group alt="536-22-8145"/></w:pict></w:document>`},
		"a signature line":               {"word/document.xml", `<w:document><w:pict><v:shape><o:signatureline o:suggestedsigner="536-22-8145"/></v:shape></w:pict></w:document>`},
		"a style":                        {"word/styles.xml", `<w:styles><w:style w:customStyle="1"><w:name w:val="536-22-8145"/></w:style></w:styles>`},
		"a section of slides":            {"ppt/presentation.xml", `<p:presentation><p14:sectionLst><p14:section name="536-22-8145"/></p14:sectionLst></p:presentation>`},
		"a slide's name":                 {"ppt/slides/slide1.xml", `<p:sld><p:cSld name="536-22-8145"/></p:sld>`},
		"who changed a slide":            {"ppt/changesInfos/changesInfo1.xml", `<pc:chgInfo><pc:docChgLst><pc:chgData name="536-22-8145"/></pc:docChgLst></pc:chgInfo>`},
		"who commented on a slide":       {"ppt/authors.xml", `<p188:authorLst><p188:author name="536-22-8145"/></p188:authorLst>`},
		"a show":                         {"ppt/presentation.xml", `<p:presentation><p:custShowLst><p:custShow name="536-22-8145"/></p:custShowLst></p:presentation>`},
		"a tip under the mouse":          {"ppt/slides/slide1.xml", `<p:sld><a:hlinkMouseOver tooltip="536-22-8145"/></p:sld>`},
		"a defined name":                 {"xl/workbook.xml", `<workbook><definedNames><definedName name="_a" comment="536-22-8145">A1</definedName></definedNames></workbook>`},
		"a list of what a cell may hold": {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><dataValidations><dataValidation><formula1>"a,536-22-8145"</formula1></dataValidation></dataValidations></worksheet>`},
		"a rule's text":                  {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><conditionalFormatting><cfRule text="536-22-8145"/></conditionalFormatting></worksheet>`},
		"a rule's formula":               {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><conditionalFormatting><cfRule><formula>A1="536-22-8145"</formula></cfRule></conditionalFormatting></worksheet>`},
		"a rule of later versions":       {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><extLst><x14:dataValidation><x14:formula1><xm:f>"536-22-8145"</xm:f></x14:formula1></x14:dataValidation></extLst></worksheet>`},
		"a filter":                       {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><autoFilter><filterColumn><filters><filter val="536-22-8145"/></filters></filterColumn></autoFilter></worksheet>`},
		"formulas that nobody computed":  {"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row><c r="A1"><f>"536-22-"&amp;B1&amp;"536-22-8145"</f></c></row></sheetData></worksheet>`},
		"who made a scenario":            {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><scenarios><scenario user="536-22-8145"/></scenarios></worksheet>`},
		"a sheet of another workbook":    {"xl/externalLinks/externalLink1.xml", `<externalLink><externalBook><sheetNames><sheetName val="536-22-8145"/></sheetNames></externalBook></externalLink>`},
		"a source of DDE":                {"xl/externalLinks/externalLink1.xml", `<externalLink><ddeLink ddeService="x" ddeTopic="536-22-8145"/></externalLink>`},
		"a pivot table's field":          {"xl/pivotCache/pivotCacheDefinition1.xml", `<pivotCacheDefinition><cacheFields><cacheField name="536-22-8145"/></cacheFields></pivotCacheDefinition>`},
		"a pivot table's item":           {"xl/pivotTables/pivotTable1.xml", `<pivotTableDefinition><pivotField><items><item n="536-22-8145" x="0"/></items></pivotField></pivotTableDefinition>`},
		"a slicer":                       {"xl/slicers/slicer1.xml", `<slicers><slicer name="a" caption="536-22-8145"/></slicers>`},
		"a table's comment":              {"xl/tables/table1.xml", `<table name="t" comment="536-22-8145"/>`},
		"a file that was read in":        {"xl/connections.xml", `<connections><connection><textPr sourceFile="C:\536-22-8145.csv"/></connection></connections>`},
	} {
		base := member{"word/fontTable.xml", "<w:fonts/>"}
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, base, m)))
		if !strings.Contains(a.texts[""], want) || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, gaps %v", name, a.texts[""], a.told())
		}
	}
}

// TestODFAttributes holds the same of OpenDocument.
func TestODFAttributes(t *testing.T) {
	for name, body := range map[string]string{
		"a sheet's name":          `<table:table table:name="536-22-8145"/>`,
		"a slide's name":          `<draw:page draw:name="536-22-8145"/>`,
		"hidden text":             `<text:p><text:hidden-text text:string-value="536-22-8145"/></text:p>`,
		"text on a condition":     `<text:p><text:conditional-text text:string-value-if-false="536-22-8145"/></text:p>`,
		"an index":                `<text:p><text:alphabetical-index-mark text:string-value="536-22-8145"/></text:p>`,
		"a bookmark":              `<text:p><text:bookmark-start text:name="536-22-8145"/></text:p>`,
		"a source":                `<text:p><text:bibliography-mark text:author="536-22-8145"/></text:p>`,
		"a list's entry":          `<text:p><text:dropdown><text:label text:value="536-22-8145"/></text:dropdown></text:p>`,
		"a form's field":          `<form:textarea form:current-value="536-22-8145"/>`,
		"a form's choice":         `<form:listbox><form:option form:label="536-22-8145"/></form:listbox>`,
		"a variable":              `<text:user-field-decl office:string-value="536-22-8145"/>`,
		"what a cell may hold":    `<table:content-validation table:condition="cell-content-is-in-list(&quot;536-22-8145&quot;)"/>`,
		"a filter":                `<table:filter-condition table:value="536-22-8145"/>`,
		"a pivot table's member":  `<table:data-pilot-member table:name="536-22-8145"/>`,
		"a source of DDE":         `<office:dde-source office:dde-topic="536-22-8145"/>`,
		"a section's source":      `<text:section-source xlink:href="../536-22-8145.odt"/>`,
		"a picture elsewhere":     `<draw:image xlink:href="https://x.example/536-22-8145"/>`,
		"a scenario":              `<table:scenario table:comment="536-22-8145"/>`,
		"a name for a range":      `<table:named-range table:name="536-22-8145"/>`,
		"the template of a paper": `<office:document-meta><meta:template xlink:title="536-22-8145"/></office:document-meta>`,
	} {
		a := serve(t, false, limits, []byte(zipOf(t, member{"mimetype", "application/vnd.oasis.opendocument.text"},
			member{"META-INF/manifest.xml", "<manifest:manifest/>"}, member{"content.xml", "<office:document-content>" + body + "</office:document-content>"})))
		if !strings.Contains(a.texts[""], "536-22-8145") || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, gaps %v", name, a.texts[""], a.told())
		}
	}
}

// TestWorkbookSheets holds that sheets without rows are named, and that those of
// macros show the words of their cells.
func TestWorkbookSheets(t *testing.T) {
	book := member{"xl/workbook.xml", `<workbook><sheets><sheet name="536-22-8145" r:id="a"/></sheets></workbook>`}
	words := member{"xl/sharedStrings.xml", `<sst><si><t>SSN 987-65-4321</t></si></sst>`}
	for file, c := range map[string]struct{ part, want string }{
		"chartsheets/sheet1.xml":  {`<chartsheet/>`, "536-22-8145"},
		"dialogsheets/sheet1.xml": {`<dialogsheet/>`, "536-22-8145"},
		"macrosheets/sheet1.xml":  {`<xm:macrosheet><sheetData><row><c t="s"><v>0</v></c></row></sheetData></xm:macrosheet>`, "536-22-8145\nSSN 987-65-4321"},
	} {
		rels := member{"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="a" Target="` + file + `"/></Relationships>`}
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, book, rels, words, member{"xl/" + file, c.part})))
		if !strings.Contains(a.texts[""], c.want) || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, gaps %v", file, a.texts[""], a.told())
		}
	}
}

// TestOfficeAmidst holds that names inside a number do not part it.
func TestOfficeAmidst(t *testing.T) {
	m := member{"word/document.xml", `<w:document><w:p><w:r><w:t>536-22-</w:t></w:r><w:bookmarkStart w:name="here"/><w:r><w:rPr><w:rPrChange w:author="Ana"/></w:rPr><w:t>81</w:t></w:r>` +
		`<w:hyperlink w:tooltip="tip"><w:r><w:rPr><w:rPrChange w:author="Ana"/></w:rPr><w:t>45</w:t></w:r></w:hyperlink></w:p></w:document>`}
	a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, m)))
	if want := "536-22-8145\nhere\nAna\ntip\nAna\n"; !strings.HasPrefix(a.texts[""], want) {
		t.Errorf("got %q, want %q", a.texts[""], want)
	}
}
