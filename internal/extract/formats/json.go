package formats

import (
	"cmp"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Bounds of JSON whose values are marked.
const (
	maxJSONDepth = 64       // deeper objects and arrays are text without fields
	jsonFlush    = 16 << 10 // bytes after which what is at hand is passed on, between two elements that belong together
)

// jsonFields passes JSON on unchanged and marks its values: a span for each
// string and number, under its key. Each value of the outermost level and each
// element of an outermost array is a group, and so is each FHIR resource, of
// which the identifiers, codes, telephone numbers and addresses also go with
// their meaning. It checks nothing: what is no JSON is text all the same.
//
// Source: RFC 8259; HL7 FHIR R4, 2.24 (data types), 8.1 (Patient).
type jsonFields struct {
	out   *emitter
	buf   []byte // not yet passed on
	spans []dlp.Span
	stack []jsonFrame
	group uint32
	fhir  bool // a resourceType has been seen

	inString, escaped bool
	inNumber          bool
	isKey             bool // the string at hand is a key
	from              int  // of the value at hand in buf; -1: it began before that
	lost              int  // open objects and arrays past maxJSONDepth
}

// jsonFrame is an open object or array.
type jsonFrame struct {
	array    bool
	name     string // the key it is the value of; an element's is its array's
	key      string // the last key in it
	wantKey  bool
	resource string // its resourceType
	system   string
	code     string // of the coding in it
	text     string // of its type: what a person reads
	value    int    // the span of its "value" or "code", from 1; 0 for none
}

// write takes the next piece of the text.
func (j *jsonFields) write(b []byte) {
	for _, c := range b {
		if len(j.buf) > maxRow {
			j.flush()
		}
		j.buf = append(j.buf, c)
		switch {
		case j.inString:
			j.stringByte(c)
		case j.inNumber && isNumberByte(c):
		default:
			if j.inNumber {
				j.inNumber = false
				j.value(j.from, len(j.buf)-1)
			}
			j.outside(c)
		}
	}
}

// end takes the end of the text.
func (j *jsonFields) end() {
	if j.inNumber {
		j.value(j.from, len(j.buf))
	}
	j.flush()
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

func (j *jsonFields) stringByte(c byte) {
	switch {
	case j.escaped:
		j.escaped = false
	case c == '\\':
		j.escaped = true
	case c == '"':
		j.inString = false
		f := j.top()
		switch {
		case j.isKey && f != nil && j.from >= 0:
			f.key, f.wantKey = cutLabel(string(j.buf[j.from:len(j.buf)-1])), false
		case j.isKey && f != nil:
			f.key, f.wantKey = "", false
		default:
			j.value(j.from, len(j.buf)-1)
		}
	}
}

// outside takes a byte between values.
func (j *jsonFields) outside(c byte) {
	f := j.top()
	switch {
	case c == '"':
		j.inString, j.from = true, len(j.buf)
		j.isKey = f != nil && !f.array && f.wantKey
	case c >= '0' && c <= '9' || c == '-':
		j.inNumber, j.from = true, len(j.buf)-1
	case c == '{' || c == '[':
		j.open(c == '[')
	case c == '}' || c == ']':
		j.shut()
	case c == ',' && f != nil:
		f.wantKey = true
		if len(j.buf) > jsonFlush && !j.together() || len(j.spans) >= wire.MaxSpans/2 {
			j.flush()
		}
	}
}

func (j *jsonFields) top() *jsonFrame {
	if len(j.stack) == 0 || j.lost > 0 {
		return nil
	}
	return &j.stack[len(j.stack)-1]
}

// together reports an object at hand whose elements tell of each other.
func (j *jsonFields) together() bool {
	for i := range j.stack {
		switch j.stack[i].name {
		case "identifier", "telecom", "coding", "valueIdentifier", "valueCoding":
			return true
		}
	}
	return false
}

func (j *jsonFields) open(array bool) {
	if len(j.stack) >= maxJSONDepth {
		j.lost++
		return
	}
	f := jsonFrame{array: array, wantKey: true}
	if up := j.top(); up != nil {
		f.name = up.key
		if up.array {
			f.name = up.name
		}
	}
	if !array && (len(j.stack) == 0 || len(j.stack) == 1 && j.stack[0].array) {
		j.group++
	}
	j.stack = append(j.stack, f)
}

func (j *jsonFields) shut() {
	if j.lost > 0 {
		j.lost--
		return
	}
	f := j.top()
	if f == nil {
		return
	}
	closed := *f
	j.stack = j.stack[:len(j.stack)-1]
	if !closed.array && j.fhir {
		j.meaning(&closed)
	}
	up := j.top()
	if up != nil && (closed.name == "coding" || closed.array && closed.code != "") { // a coding within a type
		up.code, up.text = cmp.Or(closed.code, up.code), cmp.Or(up.text, closed.text)
	}
	if up != nil && closed.name == "type" && (up.name == "identifier" || up.name == "valueIdentifier") {
		up.code, up.text = closed.code, closed.text
	}
}

// value marks buf[from:to] under the key it stands behind.
func (j *jsonFields) value(from, to int) {
	f := j.top()
	label := ""
	if f != nil {
		if label = f.key; f.array {
			label = f.name
		}
	}
	if from < 0 || from >= to || j.lost > 0 {
		return
	}
	text := string(j.buf[from:min(to, from+wire.MaxLabel)])
	if label == "resourceType" {
		j.fhir = true
		if len(j.stack) > 1 { // an entry of a bundle, or contained
			j.group++
		}
		f.resource = text
	}
	j.spans = append(j.spans, dlp.Span{Start: int64(from), End: int64(to), Label: label, Group: j.group})
	if f == nil || !j.fhir {
		return
	}
	parent := f.name
	if f.array && len(j.stack) > 1 {
		parent = j.stack[len(j.stack)-2].name
	}
	switch label {
	case "system":
		f.system = strings.ToLower(text)
		j.spans[len(j.spans)-1].Type = fhirElement(label, parent, false)
	case "value":
		f.value = len(j.spans)
	case "code":
		if !f.array && f.name != "type" {
			f.value, f.code = len(j.spans), strings.ToUpper(text)
		}
	case "text", "display":
		if label == "text" || f.text == "" { // the text of a type is the author's own
			f.text = text
		}
	default:
		j.spans[len(j.spans)-1].Type = fhirElement(label, parent, j.within("Patient"))
	}
}

// meaning types the value of an object that has ended.
func (j *jsonFields) meaning(f *jsonFrame) {
	if f.value == 0 || f.value > len(j.spans) {
		return
	}
	if typ, ok := fhirMeaning(f.name, f.system, f.code, f.text, j.within("Patient")); ok {
		j.spans[f.value-1].Type = typ
	}
}

// within reports whether the innermost open resource is of that type.
func (j *jsonFields) within(resource string) bool {
	for i := len(j.stack) - 1; i >= 0; i-- {
		if r := j.stack[i].resource; r != "" {
			return r == resource
		}
	}
	return false
}

// flush passes on what is at hand.
func (j *jsonFields) flush() {
	j.out.row(j.buf, j.spans)
	j.buf, j.spans = j.buf[:0], j.spans[:0]
	for i := range j.stack {
		j.stack[i].value = 0
	}
	j.from = -1 // a value that the end of buf cuts has no name
}
