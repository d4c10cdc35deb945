package formats_test

import (
	"strings"
	"testing"
)

// TestSlideLists holds that the numbers of a list stand before its paragraphs as
// PowerPoint shows them.
func TestSlideLists(t *testing.T) {
	p := func(props, text string) string {
		return `<a:p>` + props + `<a:r><a:t>` + text + `</a:t></a:r></a:p>`
	}
	auto := func(attrs, text string) string {
		return p(`<a:pPr><a:buAutoNum `+attrs+`/></a:pPr>`, text)
	}
	for name, c := range map[string]struct{ body, want string }{
		"where it begins":     {auto(`type="arabicPlain" startAt="536"`, "-22-8145"), "536 -22-8145\n"},
		"counted":             {auto(`type="arabicPeriod" startAt="535"`, "a") + auto(`type="arabicPeriod" startAt="535"`, "22-8145"), "535. a\n536. 22-8145\n"},
		"levels":              {auto(`type="alphaUcPeriod"`, "a") + p(`<a:pPr lvl="1"><a:buAutoNum type="romanLcParenBoth"/></a:pPr>`, "b") + auto(`type="alphaUcPeriod"`, "c"), "A. a\n(i) b\nB. c\n"},
		"begun again":         {auto(`type="arabicParenR"`, "a") + p("", "b") + auto(`type="arabicParenR"`, "c"), "1) a\nb\n1) c\n"},
		"an empty paragraph":  {auto(`type="arabicPeriod"`, "a") + `<a:p><a:pPr><a:buAutoNum type="arabicPeriod"/></a:pPr></a:p>` + auto(`type="arabicPeriod"`, "b"), "1. a\n2. b\n"},
		"the text's own list": {`<a:lstStyle><a:lvl1pPr><a:buAutoNum type="arabicPeriod" startAt="7"/></a:lvl1pPr></a:lstStyle>` + p("", "a") + p("", "b") + p(`<a:pPr><a:buNone/></a:pPr>`, "c"), "7. a\n8. b\nc\n"},
		"a dot":               {p(`<a:pPr><a:buChar char="o"/></a:pPr>`, "a"), "a\n"},
		"two texts":           {auto(`type="arabicPeriod"`, "a") + `</p:txBody><p:txBody>` + auto(`type="arabicPeriod"`, "b"), "1. a\n1. b\n"},
	} {
		a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"ppt/slides/slide1.xml", `<p:sld><p:txBody>` + c.body + `</p:txBody></p:sld>`})))
		if !strings.HasPrefix(a.texts[""], c.want) || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, want %q first; gaps %v", name, a.texts[""], c.want, a.told())
		}
	}
}

// TestOpenDocumentLists holds that the numbers of a list stand before its paragraphs
// as LibreOffice shows them.
func TestOpenDocumentLists(t *testing.T) {
	level := func(n, attrs string) string {
		return `<text:list-level-style-number text:level="` + n + `" ` + attrs + `/>`
	}
	const named = `<office:document-styles><office:styles><text:list-style style:name="Named"><text:list-level-style-number text:level="1" style:num-format="i" style:num-suffix=")"/></text:list-style>` +
		`<text:outline-style style:name="Outline"><text:outline-level-style text:level="1" style:num-format="1" style:num-prefix="Part "/></text:outline-style></office:styles></office:document-styles>`
	own := `<text:list-style style:name="L1">` + level("1", `style:num-format="1" style:num-suffix="."`) + level("2", `style:num-format="a" style:num-suffix=")" text:display-levels="2"`) + `</text:list-style>` +
		`<text:list-style style:name="L2">` + level("1", `style:num-format="1" style:num-prefix="536-22-" text:start-value="8144"`) + `</text:list-style>` +
		`<text:list-style style:name="L3"><text:list-level-style-number text:level="1" style:num-format="1"><style:list-level-properties><style:list-level-label-alignment text:label-followed-by="nothing"/></style:list-level-properties></text:list-level-style-number></text:list-style>` +
		`<text:list-style style:name="L4"><text:list-level-style-bullet text:level="1" text:bullet-char="o"/></text:list-style>`
	item := func(texts ...string) string {
		return `<text:list-item><text:p>` + strings.Join(texts, `</text:p><text:p>`) + `</text:p></text:list-item>`
	}
	list := func(style string, items ...string) string {
		return `<text:list text:style-name="` + style + `">` + strings.Join(items, "") + `</text:list>`
	}
	for name, c := range map[string]struct{ body, want string }{
		"a number of an item": {list("L2", item("Ada"), item("Ben")), "536-22-8144 Ada\n536-22-8145 Ben\n"},
		"where one begins":    {list("L1", item("a"), `<text:list-item text:start-value="536"><text:p>22-8145</text:p></text:list-item>`, item("b")), "1. a\n536. 22-8145\n537. b\n"},
		"levels":              {list("L1", item("a"), `<text:list-item><text:p>b</text:p><text:list>`+item("c")+item("d")+`</text:list></text:list-item>`, item("e")), "1. a\n2. b\n2.a) c\n2.b) d\n3. e\n"},
		"one level down":      {list("L1", `<text:list-item><text:list>`+item("c")+`</text:list></text:list-item>`), "1.a) c\n"},
		"more of an item":     {list("L1", item("a", "b"), item("c")), "1. a\nb\n2. c\n"},
		"begun anew":          {list("L1", item("a")) + list("L1", item("b")), "1. a\n1. b\n"},
		"gone on with":        {list("L1", item("a")) + `<text:p>x</text:p><text:list text:style-name="L1" text:continue-numbering="true">` + item("b") + `</text:list>`, "1. a\nx\n2. b\n"},
		"without a blank":     {list("L3", `<text:list-item text:start-value="5"><text:p>36-22-8145</text:p></text:list-item>`), "5 36-22-8145\n536-22-8145\n"},
		"a dot":               {list("L4", item("a")), "a\n"},
		"a named style":       {list("Named", item("a"), item("b")), "i) a\nii) b\n"},
		"a heading":           {`<text:h text:outline-level="1">a</text:h><text:h text:outline-level="1">b</text:h>`, "Part 1 a\nPart 2 b\n"},
		"a list's heading":    {`<text:list text:style-name="L1"><text:list-header><text:p>x</text:p></text:list-header>` + item("a") + `</text:list>`, "x\n1. a\n"},
	} {
		body := `<office:automatic-styles>` + own + `</office:automatic-styles><office:body><office:text>` + c.body + `</office:text></office:body>`
		a := serve(t, false, limits, []byte(zipOf(t, member{"META-INF/manifest.xml", "<manifest/>"}, member{"content.xml", `<office:document-content>` + body + `</office:document-content>`},
			member{"styles.xml", named})))
		if !strings.HasPrefix(a.texts[""], c.want) || len(a.gaps) > 0 {
			t.Errorf("%s: got %q, want %q first; gaps %v", name, a.texts[""], c.want, a.told())
		}
		if strings.Contains(c.body, "Named") || strings.Contains(c.body, "outline") {
			continue // a flat document has them in itself
		}
		flat := `<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">` + body + `</office:document>`
		if a := serve(t, false, limits, []byte(flat)); !strings.Contains(a.texts["~2"], c.want) {
			t.Errorf("%s, flat: got %q, want %q", name, a.texts, c.want)
		}
	}
}
