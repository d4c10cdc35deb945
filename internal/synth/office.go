package synth

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"strings"
)

// Media types of the documents written here.
const (
	TypeDOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	TypeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	TypePDF  = "application/pdf"
	TypeCSV  = "text/csv"
	TypeZip  = "application/zip"
	TypePNG  = "image/png"
)

const (
	xmlHead  = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	nsTypes  = "http://schemas.openxmlformats.org/package/2006/content-types"
	nsRels   = "http://schemas.openxmlformats.org/package/2006/relationships"
	nsOffice = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	nsWord   = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
	nsSheet  = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
)

// DOCX writes a WordprocessingML document of plain paragraphs.
//
// Source: ECMA-376-1, 17.2 (main document), ECMA-376-2 (packaging).
func DOCX(paragraphs []string) []byte {
	var body strings.Builder
	for _, p := range paragraphs {
		body.WriteString("<w:p><w:r><w:t xml:space=\"preserve\">" + escape(p) + "</w:t></w:r></w:p>")
	}
	return Zip(
		Member{"[Content_Types].xml", contentTypes("/word/document.xml", TypeDOCX+".main+xml")},
		Member{"_rels/.rels", relations(nsOffice+"/officeDocument", "word/document.xml")},
		Member{"word/document.xml", []byte(xmlHead + `<w:document xmlns:w="` + nsWord + `"><w:body>` + body.String() + `<w:sectPr/></w:body></w:document>`)},
	)
}

// XLSX writes a workbook of one sheet; every cell is a shared string.
//
// Source: ECMA-376-1, 18.3 (worksheets), 18.4 (shared strings).
func XLSX(sheet string, rows [][]string) []byte {
	var data, shared strings.Builder
	index := map[string]int{}
	cells := 0
	for r, row := range rows {
		fmt.Fprintf(&data, `<row r="%d">`, r+1)
		for c, v := range row {
			i, ok := index[v]
			if !ok {
				i = len(index)
				index[v] = i
				shared.WriteString(`<si><t xml:space="preserve">` + escape(v) + `</t></si>`)
			}
			fmt.Fprintf(&data, `<c r="%s%d" t="s"><v>%d</v></c>`, column(c), r+1, i)
			cells++
		}
		data.WriteString(`</row>`)
	}
	const part = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	return Zip(
		Member{"[Content_Types].xml", contentTypes(
			"/xl/workbook.xml", part+"sheet.main+xml",
			"/xl/worksheets/sheet1.xml", part+"worksheet+xml",
			"/xl/sharedStrings.xml", part+"sharedStrings+xml")},
		Member{"_rels/.rels", relations(nsOffice+"/officeDocument", "xl/workbook.xml")},
		Member{"xl/workbook.xml", []byte(xmlHead + `<workbook xmlns="` + nsSheet + `" xmlns:r="` + nsOffice +
			`"><sheets><sheet name="` + escape(sheet) + `" sheetId="1" r:id="rId1"/></sheets></workbook>`)},
		Member{"xl/_rels/workbook.xml.rels", relations(
			nsOffice+"/worksheet", "worksheets/sheet1.xml",
			nsOffice+"/sharedStrings", "sharedStrings.xml")},
		Member{"xl/worksheets/sheet1.xml", []byte(xmlHead + `<worksheet xmlns="` + nsSheet + `"><sheetData>` + data.String() + `</sheetData></worksheet>`)},
		Member{"xl/sharedStrings.xml", fmt.Appendf(nil, `%s<sst xmlns="%s" count="%d" uniqueCount="%d">%s</sst>`, xmlHead, nsSheet, cells, len(index), shared.String())},
	)
}

// CSV writes rows as RFC 4180 has them, lines ended by CRLF.
func CSV(rows [][]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	must(w.WriteAll(rows))
	return b.Bytes()
}

// contentTypes writes [Content_Types].xml for pairs of part name and type.
func contentTypes(pairs ...string) []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<Types xmlns="` + nsTypes + `">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>`)
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(`<Override PartName="` + pairs[i] + `" ContentType="` + pairs[i+1] + `"/>`)
	}
	b.WriteString(`</Types>`)
	return []byte(b.String())
}

// relations writes a .rels part for pairs of type and target.
func relations(pairs ...string) []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<Relationships xmlns="` + nsRels + `">`)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, `<Relationship Id="rId%d" Type="%s" Target="%s"/>`, i/2+1, pairs[i], pairs[i+1])
	}
	b.WriteString(`</Relationships>`)
	return []byte(b.String())
}

// column returns the letters of the i-th column, from 0.
func column(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return column(i/26-1) + string(rune('A'+i%26))
}

func escape(s string) string {
	var b strings.Builder
	must(xml.EscapeText(&b, []byte(s)))
	return b.String()
}

// must ends the program on an error that writing to memory cannot give.
func must(err error) {
	if err != nil {
		panic("synth: write to memory: " + err.Error())
	}
}
