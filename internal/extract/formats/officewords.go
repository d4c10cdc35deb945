package formats

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// words writes the attributes of an element that hold words for its reader.
//
// Source: ECMA-376-1 17 to 20, ECMA-376-4 for drawings in VML, [MS-DOCX], [MS-PPTX].
func (w *wordText) words(name string, a attrs) {
	switch name {
	case "ins", "del", "moveFrom", "moveTo", "rPrChange", "pPrChange", "sectPrChange", "tblPrChange", "trPrChange", "tcPrChange", "cellIns", "cellDel", "cellMerge":
		w.aboutRun(a.get("author")) // a change may begin inside a number
	case "bookmarkStart", "bookmark", "bookmark-start":
		if v := a.get("name"); !strings.HasPrefix(v, "_") { // of which programs make many
			w.aboutRun(v)
		}
	case "hyperlink":
		w.aboutRun(a.get("tooltip"))
	case "docPr", "cNvPr", "textpath", "fldSimple", "hlinkClick", "hlinkHover", "hlinkMouseOver", "cmAuthor", "author", "comment", "a", "alias", "tag",
		"section", "custShow", "parameter":
		w.shown(a, "descr", "title", "alt", "string", "instr", "author", "initials", "tooltip", "name", "value", "prompt")
		if v := a.get("href"); v != "" && w.odf {
			w.d.line([]byte(v))
		}
		if v := a.get("val"); v != "" && (name == "alias" || name == "tag") {
			w.d.line([]byte(v))
		}
	case "dbPr", "connection", "webPr", "person", "shape", "rect", "oval", "roundrect", "line", "polyline", "curve", "arc", "group", "image", "imagedata", "listItem",
		"inputCells", "tableColumn", "tblCaption", "tblDescription":
		w.shown(a, "connection", "command", "description", "url", "displayName", "author", "alt", "title", "displayText", "value", "val", "totalsRowLabel", "sourceFile")
		w.link(a.get("href")) // of a drawing
	case "statusText", "helpText", "default", "listEntry": // of a form's field
		if v := a.get("val"); len(v) > 1 { // a check box has 0 or 1
			w.own(v)
		}
	case "n", "x", "d": // pivot caches keep values as attributes: <s v=…>
		if v := a.get("v"); v != "" {
			w.d.line([]byte(v))
		}
	default:
		w.moreWords(name, a)
	}
}

// moreWords is words of elements that are in few parts.
func (w *wordText) moreWords(name string, a attrs) {
	switch name {
	case "property", "user-defined":
		if v := strings.TrimSpace(a.get("name")); v != "" { // the label of what it holds
			w.newline()
			w.write(v + ": ")
		}
	case "sldLayout", "sldMaster", "notesMaster", "handoutMaster":
		w.plain = true
	case "cSld":
		if !w.plain {
			w.shown(a, "name")
		}
	case "chgData": // one for each change
		if v := a.get("name"); v != w.who {
			w.who = v
			w.own(v)
		}
	case "presenceInfo": // an address, or a number
		if v := a.get("userId"); strings.Contains(v, "@") {
			w.own(v)
		}
	case "signatureline":
		w.shown(a, "suggestedsigner", "suggestedsigner2", "suggestedsigneremail", "signinginstructions")
	case "table":
		w.shown(a, "name", "comment")
	case "sheetName":
		w.shown(a, "val")
	case "definedName", "ddeItem", "oleItem", "queryTable", "timeline", "slicer", "cacheField", "cacheHierarchy", "pivotField", "dataField", "calculatedMember":
		w.shown(a, "name", "refersTo", "caption")
	case "item":
		w.shown(a, "n")
	case "ddeLink":
		w.shown(a, "ddeService", "ddeTopic")
	case "textPr":
		w.shown(a, "sourceFile")
	case "pivotTableDefinition":
		w.shown(a, "name", "dataCaption", "grandTotalCaption", "rowHeaderCaption", "colHeaderCaption", "errorCaption", "missingCaption")
	default:
		if w.odf {
			w.odfWords(name, a)
		}
	}
}

// odfWords is words of OpenDocument alone.
//
// Source: OpenDocument 1.3 part 3, 7.4 to 7.7, 8.1, 9.4 to 9.7, 10.4, 13.5.
func (w *wordText) odfWords(name string, a attrs) {
	switch name {
	case "page", "named-range", "named-expression", "database-range", "data-pilot-table", "data-pilot-member":
		w.shown(a, "name", "display-name", "expression", "grand-total-name")
	case "hidden-text", "conditional-text", "alphabetical-index-mark", "alphabetical-index-mark-start", "toc-mark", "user-index-mark", "user-field-decl", "variable-set":
		for _, k := range []string{"string-value", "string-value-if-true", "string-value-if-false", "key1", "key2"} {
			w.aboutRun(a.get(k))
		}
	case "bibliography-mark":
		w.values(a)
	case "content-validation":
		if v := a.get("condition"); strings.Contains(v, `"`) {
			w.own(v)
		}
	case "scenario", "filter-condition", "label", "template", "textarea", "button", "checkbox", "radio", "listbox", "combobox", "option", "fixed-text", "formatted-text",
		"hidden", "number", "text", "date", "item":
		w.shown(a, "comment", "label", "value", "current-value", "string-value", "title", "href")
	case "dde-source", "dde-connection-decl":
		w.shown(a, "dde-application", "dde-topic", "dde-item")
	case "object", "object-ole", "section-source", "table-source", "cell-range-source":
		w.link(a.get("href"))
	}
}

// shown writes the values that an element has of these attributes, a line each.
func (w *wordText) shown(a attrs, names ...string) {
	for _, k := range names {
		w.own(a.get(k))
	}
}

// own writes a line of its own.
func (w *wordText) own(v string) {
	if v = strings.TrimSpace(v); v != "" {
		w.newline()
		w.write(v)
		w.newline()
	}
}

// link writes an address outside the package.
func (w *wordText) link(v string) {
	if strings.Contains(v, ":") || strings.HasPrefix(v, "../") {
		w.own(v)
	}
}

// aboutRun keeps words about a run of the line for below it, once where they repeat.
func (w *wordText) aboutRun(v string) {
	if v = strings.TrimSpace(v); v == "" || len(w.beside) >= maxBeside || bytes.HasSuffix(w.beside, []byte(v+"\n")) {
		return
	}
	w.part()
	w.beside = append(append(w.beside, v...), '\n')
}

// values writes the attributes of XML that a document carries for programs; names
// of schemas are none.
func (w *wordText) values(a attrs) {
	for i := range a {
		if v := a[i].value; v != "" && !strings.HasPrefix(v, "http://") && !strings.HasPrefix(v, "{") {
			w.newline()
			w.d.line([]byte(v))
		}
	}
}

// symbol reads a w:sym: hexadecimal, from the private area of a symbol font.
func symbol(hex string) string {
	r := rune(0)
	for i := range 4 {
		v := hexValue(hex[i])
		if v < 0 {
			return ""
		}
		r = r<<4 | rune(v)
	}
	if r >= 0xf000 && r < 0xf100 {
		r -= 0xf000
	}
	if !utf8.ValidRune(r) {
		return ""
	}
	return string(r)
}
