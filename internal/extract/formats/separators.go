package formats

import (
	"bytes"
	"strings"

	"golang.org/x/text/transform"
)

// ofNumbers are the signs that make an amount, a decimal, a path or a longer word
// of the number they touch. A message that declares one as its separator is read
// with the usual separators, too: only so do its fields stand alone.
const ofNumbers = `$%+-./\@_`

// ambiguities says what of a message, of which m marked the fields, is read otherwise
// by who has all of it: "separators", one that it declares being of ofNumbers, and
// "escapes", one standing for a part of a number or between two.
func ambiguities(m marker) (what []string) {
	var odd, hides bool
	switch m := m.(type) {
	case *hl7:
		odd, hides = m.odd, m.hides
	case *x12:
		odd = m.odd
	}
	if odd {
		what = append(what, "separators")
	}
	if hides {
		what = append(what, "escapes")
	}
	return what
}

// asUsual returns a message of HL7 v2 or X12, in enc, as UTF-8 with the separators
// that its headers declare replaced by those that most messages have, where one of
// ofNumbers is declared, and the escapes of HL7 resolved; nil where there is nothing of
// the two, and for what is no such message.
//
// Source: HL7 v2.5.1, 2.5.4; ASC X12.5, ISA.
func asUsual(media, enc string, b []byte) []byte {
	if media != mediaHL7 && (media != mediaX12 || enc != encUTF8) {
		return nil
	}
	if enc != encUTF8 {
		t, _, err := transform.Bytes(decoder(enc), b)
		if err != nil {
			return nil
		}
		b = t
	}
	if media == mediaX12 {
		element, component, end, ok := x12Separators(strings.TrimLeft(string(b[:min(len(b), 1024)]), " \t\r\n\ufeff"))
		if !ok || !strings.ContainsAny(string([]byte{element, component, end}), ofNumbers) {
			return nil
		}
		out := bytes.Clone(b)
		exchange(out, []byte{element, component, end}, "*:~")
		return out
	}
	var out, declared []byte
	var usual string
	var escapes hl7Escapes
	for from := 0; from < len(b); {
		to := len(b)
		if k := bytes.IndexAny(b[from:], "\r\n"); k >= 0 {
			to = from + k
		}
		line := b[from:to]
		head := bytes.TrimLeft(line, "\v\x1c ")
		header := looksHL7(string(head[:min(len(head), 16)]))
		if header {
			declared, escapes = nil, declaredEscapes(head)
			if d := hl7Declared(head); bytes.ContainsAny(d, ofNumbers) {
				declared, usual = d, "|^~&"[:len(d)]
				if escapes.sign != 0 {
					declared, usual = append(d, escapes.sign), usual+`\`
					escapes = escapes.amongUsual()
				}
			}
		}
		changed := declared != nil
		if changed {
			line = bytes.Clone(line)
			exchange(line, declared, usual)
		}
		if !header { // of a header's signs none begins an escape
			if t, _ := escapes.resolve(line); t != nil {
				line, changed = t, true
			}
		}
		if changed && out == nil {
			out = append(make([]byte, 0, len(b)), b[:from]...)
		}
		if out != nil {
			out = append(append(out, line...), b[to:min(to+1, len(b))]...)
		}
		from = to + 1
	}
	return out
}

// hl7Declared returns the separators of fields, components, repetitions and
// subcomponents that a header declares, as many as it does.
func hl7Declared(head []byte) []byte {
	signs := hl7Signs(head)
	out := append([]byte{head[3]}, signs[:min(len(signs), 2)]...)
	if len(signs) > 3 { // the third is that of escapes
		out = append(out, signs[3])
	}
	return out
}

// hl7Signs returns what a header says between its first separator and the next: the
// signs of components, repetitions, escapes and subcomponents.
func hl7Signs(head []byte) []byte {
	signs := head[4:]
	return signs[:bytes.IndexByte(signs, head[3])]
}

// exchange replaces each sign of from by that of to in its place; what has a sign of
// to without meaning one loses it.
func exchange(b, from []byte, to string) {
	var t [256]byte
	for c := range 256 {
		t[c] = byte(c)
	}
	for _, c := range []byte(to) {
		if c != '&' { // no field is cut at it
			t[c] = ' '
		}
	}
	for i, c := range from {
		t[c] = to[i]
	}
	for i, c := range b {
		b[i] = t[c]
	}
}
