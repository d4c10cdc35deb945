package message

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"
)

// maxLine is the longest line of text that goes as it is, without its line
// end. RFC 5322 2.1.1.
const maxLine = 78

// Entity is a message of ours, or a part of one, before it is written.
type Entity struct {
	// Fields are the header fields, in order, MIME-Version and the content
	// fields apart.
	Fields []Named
	// Type is the content type; "" is text/plain.
	Type string
	// Params are the parameters of Type. A multipart names its boundary.
	Params map[string]string
	Text   string   // of a leaf
	Parts  []Entity // of a multipart
}

// Named is one header field to be written. Its value is unstructured text where
// it is not ASCII, and in From, To and Reply-To one address in angle brackets.
type Named struct{ Name, Value string }

// Compose returns the entity as a complete message: ASCII, but for addresses that
// are not, with CRLF line ends. Text of short ASCII lines stands as it is, other
// text as quoted-printable UTF-8. Whatever the values are, they add no field.
//
// Source: RFC 5322 2; RFC 2045 6.7; RFC 2047; of addresses RFC 2047 5 (3), RFC 6532 3.2.
func (e Entity) Compose() []byte {
	var b bytes.Buffer
	h, text := e.header()
	w, err := gomessage.CreateWriter(&b, h)
	if err == nil {
		err = e.write(w, text)
	}
	if err != nil { // a bytes.Buffer takes everything, and we write no charset and encoding but these
		panic(fmt.Sprintf("message: compose: %v", err))
	}
	return b.Bytes()
}

func (e Entity) write(w *gomessage.Writer, text string) error {
	for _, p := range e.Parts {
		h, text := p.header()
		pw, err := w.CreatePart(h)
		if err != nil {
			return err
		}
		if err := p.write(pw, text); err != nil {
			return err
		}
	}
	if len(e.Parts) == 0 {
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return w.Close()
}

// header returns the header fields and the text with its line ends.
func (e Entity) header() (gomessage.Header, string) {
	kind, params, text := e.Type, e.Params, canonical(e.Text)
	if kind == "" {
		kind, params = "text/plain", map[string]string{"charset": "utf-8"}
	}
	h := gomessage.Header{}
	// A textproto.Header grows at its head.
	if kind == "text/plain" {
		encoding := "quoted-printable"
		if plain(text) {
			encoding = "7bit"
		}
		h.Set("Content-Transfer-Encoding", encoding)
	}
	h.SetContentType(kind, params)
	if len(e.Fields) > 0 {
		h.Header.Add("MIME-Version", "1.0")
	}
	addFields(&h.Header, e.Fields)
	return h, text
}

// addFields puts fields in front of h, in their order.
func addFields(h *textproto.Header, fields []Named) {
	for _, f := range slices.Backward(fields) {
		value := oneLine(f.Value)
		switch f.Name {
		case "From", "To", "Reply-To":
		default:
			value = mime.QEncoding.Encode("utf-8", value) // as it is when it is ASCII
		}
		h.Add(f.Name, value)
	}
}

// Block returns fields as a block of header lines without the empty line that
// ends a header, for content that is made of fields (RFC 3464 2.1).
func Block(fields []Named) string {
	var h textproto.Header
	addFields(&h, fields)
	var b strings.Builder
	if err := textproto.WriteHeader(&b, h); err != nil { // a strings.Builder takes everything
		panic(fmt.Sprintf("message: fields: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\r\n")
}

// oneLine makes a value that can add no field: valid UTF-8 without control
// characters, words parted by one space.
func oneLine(value string) string {
	value = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(value, "\uFFFD"))
	return strings.Join(strings.Fields(value), " ")
}

// canonical gives text CRLF line ends, one of them at the end, and takes NUL
// out.
func canonical(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return strings.ReplaceAll(text, "\n", "\r\n")
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
