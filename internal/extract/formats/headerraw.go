package formats

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// Bounds of the charsets that header fields are tried in.
const (
	maxRawCharsets = 4        // that a message declares
	rawLook        = 64 << 10 // bytes of a body in which they are looked for
)

// declaredIn finds charsets that a header or a body declares.
var declaredIn = expression(`(?i)\bcharset\s*=\s*["']?([a-z0-9._:-]{2,40})`)

// rawFields reads header fields that hold bytes past ASCII as they are, without a
// charset. They are no valid mail without SMTPUTF8, and programs guess: most take
// the charset of the message, or the one of their reader.
//
// Source: RFC 5322 2.2, RFC 6532 3.2.
type rawFields struct{ charsets []encoding.Encoding }

// newRawFields finds what charsets the fields may be in, beside UTF-8 and
// windows-1252: what their bytes look like taken together, and what the message
// declares in its header or in body.
func newRawFields(fields []field, body []byte) rawFields {
	var r rawFields
	var raw []byte
	for i := range fields {
		if !utf8.Valid(fields[i].value) && len(raw) < detectSample {
			raw = append(append(raw, fields[i].value...), '\n')
		}
	}
	if len(raw) == 0 {
		return r
	}
	if e := detectHigh(raw); e != nil {
		r.charsets = append(r.charsets, e)
	}
	for i := range fields {
		if fields[i].is("Content-Type") {
			r.declared(fields[i].value)
		}
	}
	r.declared(body[:min(len(body), rawLook)])
	return r
}

func (r *rawFields) declared(b []byte) {
	for _, m := range declaredIn().FindAllSubmatch(b, maxRawCharsets) {
		name := declaredEncoding(string(m[1]))
		e := lookup(name)
		if e == nil || name == encUTF8 || len(r.charsets) > maxRawCharsets || slices.Contains(r.charsets, e) {
			continue
		}
		if t := decodedBy(e, []byte("Subject: 1")); string(t) == "Subject: 1" { // else no program could read the header
			r.charsets = append(r.charsets, e)
		}
	}
}

// readings returns what the value of a field says otherwise than as UTF-8 and
// windows-1252, as values in UTF-8.
func (r *rawFields) readings(value []byte) (out [][]byte) {
	add := func(t []byte) {
		if t != nil && string(t) != decodeText(value, "") && !slices.ContainsFunc(out, func(o []byte) bool { return bytes.Equal(o, t) }) {
			out = append(out, t)
		}
	}
	if utf8.Valid(value) { // of seven bits: escapes, UTF-7
		if !plain(value) || bytes.IndexByte(value, '+') >= 0 {
			add(detected(value))
		}
		return out
	}
	for _, e := range r.charsets {
		add(decodedBy(e, value))
	}
	if e := detectHigh(value); e != nil {
		add(decodedBy(e, value))
	}
	return out
}

// fields writes header fields, decoded, a line each, with the declared names of
// files after the field that declares them; what stands in them without a charset
// once more for each that it may be in. body is what follows the header.
func (j *job) fields(fields []field, body []byte) {
	raw := newRawFields(fields, body)
	for i := range fields {
		j.field(&fields[i])
		for _, v := range raw.readings(fields[i].value) {
			j.field(&field{name: fields[i].name, value: v})
		}
	}
}

func (j *job) field(f *field) {
	line := func(name, v string) {
		j.out.writeString(name + ": ")
		j.out.field(v, name, 0)
		j.out.writeString("\n")
	}
	v := decodeWords(f.value)
	line(f.name, v)
	if t := string(parted([]byte(v))); t != v {
		line(f.name, t)
	}
	if f.is("Content-Type") || f.is("Content-Disposition") {
		_, params := parseParams(f.value)
		for _, p := range params {
			if p.name == "name" || p.name == "filename" {
				line(p.name, validString(p.value))
			}
		}
	}
}
