package message

import (
	"bytes"
	"mime"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"
)

// maxLine is where a line is folded, without its line end. RFC 5322 2.1.1.
const maxLine = 78

// AppendField appends the header field to b: ASCII, folded at white space to
// 78 characters where there is any, ended by CRLF. A value with characters
// outside ASCII becomes encoded words (RFC 2047), so it must be unstructured
// text then. Control characters become spaces: a value can add no field.
func AppendField(b []byte, name, value string) []byte {
	value = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(value, "\uFFFD"))
	value = mime.QEncoding.Encode("utf-8", value) // as it is when it is ASCII
	b = append(b, name...)
	b = append(b, ':')
	width := len(name) + 1
	for _, word := range strings.Fields(value) {
		if width > len(name)+1 && width+1+len(word) > maxLine {
			b = append(b, "\r\n"...)
			width = 0
		}
		b = append(b, ' ')
		b = append(b, word...)
		width += 1 + len(word)
	}
	return append(b, "\r\n"...)
}

// AppendText appends a text/plain part to b: its Content-Type and
// Content-Transfer-Encoding fields, an empty line and the text with CRLF line
// ends. Text of short ASCII lines stands as it is, other text as
// quoted-printable UTF-8 (RFC 2045 6.7).
func AppendText(b []byte, text string) []byte {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	text = strings.ReplaceAll(text, "\n", "\r\n")
	b = append(b, "Content-Type: text/plain; charset=utf-8\r\n"...)
	if plain(text) {
		b = append(b, "Content-Transfer-Encoding: 7bit\r\n\r\n"...)
		return append(b, text...)
	}
	b = append(b, "Content-Transfer-Encoding: quoted-printable\r\n\r\n"...)
	var out bytes.Buffer
	w := quotedprintable.NewWriter(&out)
	w.Write([]byte(text)) // a bytes.Buffer never returns an error
	w.Close()             // nor here
	return append(b, out.Bytes()...)
}

// plain reports text that passes any relay unchanged: ASCII in lines of at
// most 78, none of which starts like the end of data or an mbox line.
func plain(text string) bool {
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > maxLine || strings.HasPrefix(line, "From ") || strings.HasSuffix(line, " ") {
			return false
		}
		for i := range len(line) {
			if line[i] >= utf8.RuneSelf || line[i] < ' ' && line[i] != '\t' || line[i] == 0x7f {
				return false
			}
		}
	}
	return true
}
