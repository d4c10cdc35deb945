package formats_test

import (
	"strings"
	"testing"
)

// TestWordLists holds that the numbers of a list stand before its paragraphs as Word
// shows them.
func TestWordLists(t *testing.T) {
	const lists = `<w:numbering>
<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/></w:lvl>` +
		`<w:lvl w:ilvl="1"><w:start w:val="3"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:start w:val="8144"/><w:numFmt w:val="decimal"/><w:lvlText w:val="536-22-%1"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="2"><w:lvl w:ilvl="0"><w:start w:val="7"/><w:numFmt w:val="decimal"/><w:suff w:val="nothing"/><w:lvlText w:val="%1"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="3"><w:lvl w:ilvl="0"><w:start w:val="1"/><mc:AlternateContent><mc:Choice Requires="w14"><w:numFmt w:val="custom" w:format="0001, 0002, 0003, ..."/></mc:Choice><mc:Fallback><w:numFmt w:val="decimal"/></mc:Fallback></mc:AlternateContent><w:lvlText w:val="E999%1"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="4"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl>` +
		`<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:pStyle w:val="Deep"/><w:lvlText w:val="S%2"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="5"><w:numStyleLink w:val="Mine"/></w:abstractNum>
<w:abstractNum w:abstractNumId="6"><w:styleLink w:val="Mine"/><w:lvl w:ilvl="0"><w:start w:val="1"/><w:lvlText w:val="L%1"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num><w:num w:numId="3"><w:abstractNumId w:val="2"/></w:num>
<w:num w:numId="4"><w:abstractNumId w:val="3"/></w:num><w:num w:numId="5"><w:abstractNumId w:val="4"/></w:num><w:num w:numId="6"><w:abstractNumId w:val="5"/></w:num>
<w:num w:numId="7"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/></w:lvlOverride></w:num></w:numbering>`
	const styles = `<w:styles><w:style w:type="paragraph" w:styleId="Item"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>` +
		`<w:style w:type="paragraph" w:styleId="Child"><w:basedOn w:val="Item"/></w:style>` +
		`<w:style w:type="paragraph" w:styleId="Deep"><w:pPr><w:numPr><w:numId w:val="5"/></w:numPr></w:pPr></w:style></w:styles>`
	p := func(props, text string) string {
		return `<w:p><w:pPr>` + props + `</w:pPr><w:r><w:t>` + text + `</w:t></w:r></w:p>`
	}
	item := func(use, level, text string) string {
		return p(`<w:numPr><w:ilvl w:val="`+level+`"/><w:numId w:val="`+use+`"/></w:numPr>`, text)
	}
	for name, c := range map[string]struct{ body, want string }{
		"levels":                 {item("1", "0", "a") + item("1", "1", "b") + item("1", "1", "c") + item("1", "0", "d") + item("1", "1", "e"), "I. a\nI.c) b\nI.d) c\nII. d\nII.c) e\n"},
		"a number of an item":    {item("2", "0", "Ada") + item("2", "0", "Ben"), "536-22-8144 Ada\n536-22-8145 Ben\n"},
		"without a blank":        {item("3", "0", "36-22-8145"), "7 36-22-8145\n736-22-8145\n"},
		"digits at least":        {item("4", "0", "Ada"), "E9990001 Ada\n"},
		"a bullet":               {item("5", "0", "Ada"), "Ada\n"},
		"by style":               {p(`<w:pStyle w:val="Child"/>`, "a") + p(`<w:pStyle w:val="Item"/>`, "b") + p(`<w:pStyle w:val="Item"/><w:numPr><w:numId w:val="0"/></w:numPr>`, "c"), "I. a\nII. b\nc\n"},
		"a style's level":        {p(`<w:pStyle w:val="Deep"/>`, "a"), "S1 a\n"},
		"a list that is another": {item("6", "0", "a"), "L1 a\n"},
		"begun anew":             {item("1", "0", "a") + item("7", "0", "b") + item("1", "0", "c"), "I. a\nIX. b\nX. c\n"},
		"before a change":        {p(`<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr><w:pPrChange><w:pPr><w:numPr><w:numId w:val="4"/></w:numPr></w:pPr></w:pPrChange>`, "a"), "I. a\n"},
		"cells":                  {`<w:tbl><w:tr><w:tc>` + item("1", "0", "a") + `</w:tc><w:tc><w:p><w:t>b</w:t></w:p></w:tc></w:tr><w:tr><w:tc>` + item("1", "0", "") + `</w:tc><w:tc><w:p><w:t>c</w:t></w:p></w:tc></w:tr></w:tbl>`, "I. a\tb\t\nII. \tc\t\n"},
		"text boxes": {item("1", "0", "a") + `<w:p><mc:Choice><w:txbxContent>` + item("1", "0", "b") + `</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>` + item("1", "0", "b") +
			`</w:txbxContent></mc:Fallback></w:p>` + item("1", "0", "c"), "I. a\nI. b\nb\nII. c\n"},
	} {
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"word/document.xml", `<w:document>` + c.body + `</w:document>`},
			member{"word/numbering.xml", lists}, member{"word/styles.xml", styles})))
		if !strings.HasPrefix(a.texts[""], c.want) || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, want %q first; gaps %v", name, a.texts[""], c.want, a.told())
		}
	}
}
