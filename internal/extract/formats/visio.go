package formats

import (
	"bytes"
	"strings"
)

// visioPart writes a part of a drawing of Visio: the texts of its shapes, a line
// each; a shape's data under their labels; what else people write: links, tips,
// names of pages, masters, layers and shapes, comments; the rows of the tables
// that shapes are linked to, a value under its column's name.
//
// Source: [MS-VSDX] 2.2.3, 2.2.4, 2.2.5.
type visioPart struct {
	d       *officeDoc
	inText  bool
	silent  int    // open elements whose text is no text
	section string // at hand
	row     map[string]string
	order   []string
	rowName string
	columns map[string]string // names of a table's columns
}

// visioWords are the cells whose values people write, and the label of each where
// it has no better one.
//
// Source: [MS-VSDX] 2.2.5.3.
var visioWords = map[string]string{
	"Value": "value", "Label": "label", "Prompt": "prompt", "Name": "name", "NameUniv": "name", "Menu": "menu", "Tip": "tip", "Comment": "comment",
	"Description": "description", "Address": "link", "SubAddress": "link", "ExtraInfo": "link", "Format": "format", "Initials": "initials",
	"Copyright": "copyright", "HelpTopic": "help", "Hyperlink": "link",
}

const maxVisioCells = 32 // of a row that are held

func (v *visioPart) start(name string, a attrs) {
	switch name {
	case "Text", "CommentEntry":
		v.inText = true
		v.tell("author", a.get("AuthorName"))
	case "Icon", "Solution", "EventItem":
		v.silent++
	case "Shape":
		v.d.groups++
		v.names(a)
	case "Page", "Master", "MasterShortcut", "DataRecordSet", "DataConnection", "DataColumn":
		v.names(a)
		v.all(name, a)
	case "AuthorEntry":
		v.tell("author", a.get("Name"))
		v.tell("initials", a.get("Initials"))
	case "Section":
		v.section = a.get("N")
	case "Row":
		v.row, v.order, v.rowName = map[string]string{}, v.order[:0], a.get("N")
	case "Cell":
		v.cell(a.get("N"), a.get("V"))
	case "AttributeType":
		v.column(a)
	case "row": // of a table. [MS-VSDX] 2.2.4.4; ADO's XML
		v.d.groups++
		for i := range a {
			v.tell(v.named(a[i].name), a[i].value)
		}
	}
}

// names writes what somebody called a page, master or shape.
func (v *visioPart) names(a attrs) {
	first := a.get("Name")
	v.tell("name", first)
	if n := a.get("NameU"); n != first {
		v.tell("name", n)
	}
	v.tell("prompt", a.get("Prompt"))
}

// all writes what a table or its connection says of itself.
func (v *visioPart) all(name string, a attrs) {
	if !strings.HasPrefix(name, "Data") {
		return
	}
	for i := range a {
		switch a[i].name {
		case "Name", "NameU", "Prompt":
		default:
			if longDigits([]byte(a[i].value)) || strings.ContainsAny(a[i].value, `\/ =`) {
				v.tell("", a[i].value)
			}
		}
	}
}

// column keeps a column's name: that of the schema's own comes first, then the one
// that people see.
func (v *visioPart) column(a attrs) {
	if v.columns == nil {
		v.columns = map[string]string{}
	}
	key := a.get("name")
	for i := range a {
		if a[i].name == "name" && key != "" && len(v.columns) < maxColumns {
			v.columns[key] = a[i].value
		}
	}
}

func (v *visioPart) named(column string) string {
	if n := v.columns[column]; n != "" {
		return n
	}
	return column
}

// cell takes a cell: into its row, or by itself.
func (v *visioPart) cell(name, value string) {
	if value == "" || visioWords[name] == "" {
		return
	}
	if v.row == nil {
		v.value(visioWords[name], value)
		return
	}
	if _, ok := v.row[name]; !ok && len(v.order) < maxVisioCells {
		v.order = append(v.order, name)
		v.row[name] = value
	}
}

// value writes what holds letters, or a number of some length: others are measures.
func (v *visioPart) value(label, s string) {
	if longDigits([]byte(s)) && !strings.Contains(s, ".") || strings.ContainsFunc(s, func(r rune) bool { return r > '9' && r != 'E' && r != 'e' }) {
		v.tell(label, s)
	}
}

// endRow writes a row: a shape's datum under its label.
func (v *visioPart) endRow() {
	label := v.row["Label"]
	if label == "" {
		label = v.rowName
	}
	for _, name := range v.order {
		s := v.row[name]
		switch {
		case v.section == "Property" && name == "Value":
			v.tell(label, s)
		case name == "Label":
		case name == "Value":
			v.value(label, s)
		default:
			v.value(visioWords[name], s)
		}
	}
	if v.row["Value"] == "" && v.row["Label"] != "" {
		v.tell("label", v.row["Label"])
	}
	v.row = nil
}

// tell writes a value under its label.
func (v *visioPart) tell(label, s string) {
	if s == "" {
		return
	}
	out := v.d.j.out
	label = validString(label)
	if label != "" && (v.section == "Property" || v.columns != nil) {
		out.writeString(label + ": ")
	}
	out.field(validString(s), cutLabel(label), v.d.groups)
	out.writeString("\n")
}

func (v *visioPart) end(name string) {
	switch name {
	case "Text", "CommentEntry":
		if v.inText {
			v.d.j.out.writeString("\n")
		}
		v.inText = false
	case "Icon", "Solution", "EventItem":
		v.silent = max(0, v.silent-1)
	case "Row":
		v.endRow()
	case "Section":
		v.section = ""
	}
}

func (v *visioPart) text(b []byte) {
	switch {
	case v.silent > 0:
	case v.inText:
		v.d.j.out.write(bytes.ToValidUTF8(b, []byte("\ufffd")))
	default:
		if t := bytes.TrimSpace(b); len(t) > 0 {
			v.d.line(t)
		}
	}
}
