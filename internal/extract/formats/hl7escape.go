package formats

import (
	"bytes"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// maxHL7Escape is the most bytes that an escape is looked for in. What is longer is
// text.
const maxHL7Escape = 4 << 10

// hl7Escapes are the signs that escapes are read by: what they begin and end with, and
// what those of subcomponents and of the sign itself stand for. The zero value is of a
// message without escapes.
type hl7Escapes struct{ sign, sub, self byte }

// declaredEscapes returns what a header declares of escapes.
//
// Source: HL7 v2.5.1, 2.5.4.
func declaredEscapes(head []byte) hl7Escapes {
	signs := hl7Signs(head)
	if len(signs) < 3 {
		return hl7Escapes{}
	}
	e := hl7Escapes{sign: signs[2], sub: '&', self: signs[2]}
	if len(signs) > 3 {
		e.sub = signs[3]
	}
	return e
}

// amongUsual returns e for a message that has the usual signs now: none of those that
// fields are cut at is shown.
func (e hl7Escapes) amongUsual() hl7Escapes {
	blank := func(c byte) byte {
		if strings.IndexByte("|^~", c) >= 0 {
			return ' '
		}
		return c
	}
	return hl7Escapes{sign: '\\', sub: blank(e.sub), self: blank(e.self)}
}

// resolve returns a segment as who is shown it reads it, its escapes resolved; nil
// where it has none. hides says that one stands for a part of a number, or between
// two. Separators of fields come as blanks, so that the fields stay what they are, and
// so do commands that lay text out; highlighting, character sets and what a site has
// agreed on come as nothing.
//
// Source: HL7 v2.5.1, 2.7.
func (e hl7Escapes) resolve(seg []byte) (out []byte, hides bool) {
	if e.sign == 0 {
		return nil, false
	}
	kept, from := 0, 0
	for {
		i := bytes.IndexByte(seg[from:], e.sign)
		if i < 0 {
			break
		}
		i += from
		n := bytes.IndexByte(seg[i+1:min(len(seg), i+1+maxHL7Escape)], e.sign)
		if n < 0 {
			from = i + 1
			continue
		}
		end := i + 1 + n
		t, known := e.meaning(seg[i+1 : end])
		if !known { // the sign that would end it may begin another
			from = end
			continue
		}
		hides = hides || bytes.ContainsAny(t, "-./0123456789") || i > 0 && ofNumber(seg[i-1]) && end+1 < len(seg) && ofNumber(seg[end+1])
		out = append(append(out, seg[kept:i]...), t...)
		kept, from = end+1, end+1
	}
	if kept == 0 {
		return nil, false
	}
	return append(out, seg[kept:]...), hides
}

// ofNumber reports a sign that numbers are written with.
func ofNumber(c byte) bool { return c >= '-' && c <= '9' }

// meaning returns what an escape stands for, given without the signs around it.
func (e hl7Escapes) meaning(name []byte) (t []byte, known bool) {
	if len(name) == 0 {
		return nil, false
	}
	switch rest := name[1:]; {
	case len(rest) == 0:
		switch name[0] {
		case 'F', 'S', 'R':
			return []byte{' '}, true
		case 'T':
			return []byte{e.sub}, true
		case 'E':
			return []byte{e.self}, true
		case 'H', 'N':
			return nil, true
		}
	case name[0] == 'X':
		b := make([]byte, hex.DecodedLen(len(rest)))
		if _, err := hex.Decode(b, rest); err != nil {
			return nil, false
		}
		return hl7Data(b), true
	case name[0] == '.' && len(rest) <= 8 && rest[0] >= 'a' && rest[0] <= 'z':
		return []byte{' '}, true
	case name[0] == 'C' && len(rest) == 4, name[0] == 'M' && (len(rest) == 4 || len(rest) == 6):
		_, err := hex.Decode(make([]byte, len(rest)), rest)
		return nil, err == nil
	case name[0] == 'Z' && len(rest) <= 16 && !bytes.ContainsAny(rest, " |^~&"):
		return nil, true
	}
	return nil, false
}

// hl7Data returns bytes that an escape gives in hexadecimal as text: UTF-8, or else
// ISO 8859-1; what would end a segment is a blank.
func hl7Data(b []byte) []byte {
	if !utf8.Valid(b) {
		var t []byte
		for _, c := range b {
			t = utf8.AppendRune(t, rune(c))
		}
		b = t
	}
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return b
}
