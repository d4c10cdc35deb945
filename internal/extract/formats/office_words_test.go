package formats_test

import (
	"strings"
	"testing"
)

// TestOfficeAside holds that what stands beside the text of an office document is
// read: each of these parts holds a number of its own.
func TestOfficeAside(t *testing.T) {
	for name, m := range map[string]member{
		"comments":           {"word/comments.xml", `<w:comments><w:comment w:author="a"><w:p><w:r><w:t>SSN 536-22-</w:t></w:r><w:r><w:t>8145</w:t></w:r></w:p></w:comment></w:comments>`},
		"moved text":         {"word/document.xml", `<w:document><w:p><w:moveFrom><w:r><w:t>536-22-8145</w:t></w:r></w:moveFrom></w:p></w:document>`},
		"glossary":           {"word/glossary/document.xml", `<w:glossaryDocument><w:docPart><w:p><w:t>536-22-8145</w:t></w:p></w:docPart></w:glossaryDocument>`},
		"a diagram":          {"word/diagrams/data1.xml", `<dgm:dataModel><dgm:pt><dgm:t><a:p><a:r><a:t>536-22-8145</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>`},
		"a drawing's words":  {"word/document.xml", `<w:document><w:pict><v:shape alt="536-22-8145"><v:textbox/></v:shape></w:pict></w:document>`},
		"a form's help":      {"word/document.xml", `<w:document><w:ffData><w:helpText w:val="536-22-8145"/></w:ffData></w:document>`},
		"a list's entry":     {"word/document.xml", `<w:document><w:sdt><w:dropDownList><w:listItem w:displayText="a" w:value="536-22-8145"/></w:dropDownList></w:sdt></w:document>`},
		"data":               {"customXml/item1.xml", `<p xmlns="http://x.example/536"><patient ssn="536-22-8145"/></p>`},
		"an external link":   {"xl/externalLinks/externalLink1.xml", `<externalLink><sheetDataSet><sheetData><row><cell><v>536-22-8145</v></cell></row></sheetData></sheetDataSet></externalLink>`},
		"a connection":       {"xl/connections.xml", `<connections><connection name="q"><dbPr connection="x" command="select * from p where ssn='536-22-8145'"/></connection></connections>`},
		"a pivot cache":      {"xl/pivotCache/pivotCacheDefinition1.xml", `<pivotCacheDefinition><sharedItems><s v="536-22-8145"/></sharedItems></pivotCacheDefinition>`},
		"a threaded comment": {"xl/threadedComments/threadedComment1.xml", `<ThreadedComments><threadedComment><text>536-22-8145</text></threadedComment></ThreadedComments>`},
		"who commented":      {"xl/persons/person.xml", `<personList><person displayName="536-22-8145"/></personList>`},
		"a name":             {"xl/workbook.xml", `<workbook><definedNames><definedName name="x">536-22-8145</definedName></definedNames></workbook>`},
		"a deleted cell's":   {"xl/sharedStrings.xml", `<sst><si><t>536-22-8145</t></si></sst>`},
		"a scenario":         {"xl/worksheets/sheet1.xml", `<worksheet><sheetData/><scenarios><scenario name="a"><inputCells r="A1" val="536-22-8145"/></scenario></scenarios></worksheet>`},
		"a chart's cache":    {"ppt/charts/chart1.xml", `<c:chartSpace><c:strCache><c:pt><c:v>536-22-8145</c:v></c:pt></c:strCache></c:chartSpace>`},
		"a list's words":     {"word/numbering.xml", `<w:numbering><w:abstractNum><w:lvl w:ilvl="0"><w:start w:val="8145"/><w:lvlText w:val="SSN 536-22-%1"/></w:lvl></w:abstractNum></w:numbering>`},
		"notes":              {"ppt/notesSlides/notesSlide1.xml", `<p:notes><a:p><a:t>536-22-8145</a:t></a:p></p:notes>`},
		"a variable":         {"word/settings.xml", `<w:settings><w:docVars><w:docVar w:name="SSN" w:val="536-22-8145"/></w:docVars></w:settings>`},
		"a mail merge":       {"word/settings.xml", `<w:settings><w:mailMerge><w:query w:val="SELECT * FROM p WHERE ssn = '536-22-8145'"/></w:mailMerge></w:settings>`},
		"a link's words":     {"word/document.xml", `<w:document><w:p><w:hyperlink w:tooltip="536-22-8145"><w:r><w:t>here</w:t></w:r></w:hyperlink></w:p></w:document>`},
		"who wrote":          {"word/comments.xml", `<w:comments><w:comment w:author="536-22-8145"><w:p/></w:comment></w:comments>`},
		"a property's name":  {"docProps/custom.xml", `<Properties><property name="536-22-8145"><vt:bool>true</vt:bool></property></Properties>`},
		"a property":         {"docProps/custom.xml", `<Properties><property name="x"><vt:lpwstr>536-22-8145</vt:lpwstr></property></Properties>`},
	} {
		base := member{"word/styles.xml", "<w:styles/>"}
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, base, m)))
		if !strings.Contains(a.texts[""], "536-22-8145") || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, gaps %v", name, a.texts[""], a.told())
		}
	}
}

// TestSheetWords holds that words of a number format are read where a cell shows
// them, and those of a text's.
func TestSheetWords(t *testing.T) {
	styles := member{"xl/styles.xml", `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="&quot;SSN 536-22-&quot;General"/><numFmt numFmtId="165" formatCode="0;0;0;&quot;SSN 536-&quot;@"/></numFmts>` +
		`<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>`}
	sheet := member{"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row><c s="1"><v>8145</v></c><c s="2" t="str"><v>22-8145</v></c></row></sheetData></worksheet>`}
	a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, styles, sheet)))
	if want := "SSN 536-22-8145 (8145)\tSSN 536-22-8145 (22-8145)\n"; !strings.Contains(a.texts[""], want) || len(a.gaps) > 0 {
		t.Errorf("got %q, gaps %v", a.texts[""], a.told())
	}
}

// TestOfficeBeside holds that a field's instruction, deleted words and who changed
// what come below their line, which reads as it is shown.
func TestOfficeBeside(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"a field inside a number": {`<w:p><w:t>SSN 536-</w:t><w:fldChar/><w:instrText>QUO</w:instrText><w:instrText>TE 1</w:instrText><w:fldChar/><w:t>22</w:t><w:fldChar/><w:t>-8145</w:t></w:p><w:p><w:t>next</w:t></w:p>`,
			"SSN 536-22-8145\nQUOTE 1\nnext\n"},
		"a digit corrected": {`<w:p><w:t>SSN 536-22-814</w:t><w:del w:author="Ana"><w:delText>4</w:delText></w:del><w:ins w:author="Ben"><w:t>5</w:t></w:ins></w:p>`,
			"SSN 536-22-8145\nAna\n4\nBen\n"},
		"a deleted paragraph": {`<w:p><w:del><w:delText>SSN 536-22-</w:delText><w:delText>8145</w:delText></w:del></w:p>`, "SSN 536-22-8145\n"},
		"a link in a number":  {`<w:p><w:t>SSN 536-</w:t><w:hyperlink w:tooltip="Ana"><w:t>22</w:t></w:hyperlink><w:t>-8145</w:t></w:p>`, "SSN 536-22-8145\nAna\n"},
		"in a cell":           {`<w:tr><w:tc><w:p><w:t>536-22-8145</w:t><w:instrText>PAGE</w:instrText></w:p></w:tc><w:tc><w:p><w:t>Ana</w:t></w:p></w:tc></w:tr>`, "536-22-8145\tAna\t\nPAGE\n"},
		"cut":                 {`<w:p><w:instrText>SSN 536-22-8145`, "SSN 536-22-8145\n"},
	} {
		m := member{"word/document.xml", `<w:document>` + c.body}
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, m)))
		if got := strings.TrimRight(a.texts[""], "\n"); got != strings.TrimRight(c.want, "\n") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
