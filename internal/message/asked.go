package message

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// asking is how a subject asks for encryption: a word in brackets, in any case,
// with any white space around it: no-break spaces and marks of no width too, which
// mail programs put in, as they are in UTF-8 and as bytes that are none (U+FFFD here).
// Letters and brackets may be the wide ones of East Asia, and the brackets 【】, which
// are written there for these.
var asking = regexp.MustCompile(`(?i)[\[［【]` + blanks + `(?:` + wide("secure") + `|` + wide("encrypt") + `)` + blanks + `[\]］】][ \t]*`)

const blanks = `[\s\p{Zs}\p{Cf}\x{FFFD}]*`

// wide is an expression for a word of small letters, each in either width.
// Unicode, Halfwidth and Fullwidth Forms: U+FF01 is "!".
func wide(word string) string {
	var b strings.Builder
	for _, c := range word {
		fmt.Fprintf(&b, "[%c%c]", c, c-'!'+0xff01)
	}
	return b.String()
}

// emptyWord is an encoded word of nothing, which programs show as it stands.
var emptyWord = regexp.MustCompile(`=\?[^?\s]+\?[QqBb]\?\?=[ \t]*`)

// Asks reports whether the message asks for encryption: a subject does (Asks),
// where subject, or a field of the name header is there, where that is not "".
// It reads the header as the most generous of mail programs would: up to the
// first empty line, past lines that are no field, with lines ended by a bare CR
// too, and fields of any length. A header of more than could be read may ask past
// that, and is taken to.
func (h Head) Asks(subject bool, header string) bool {
	if !subject && header == "" {
		return false
	}
	for b := h.b; len(b) > 0 && h.whole; {
		var field []byte
		field, b = cutField(b)
		name := fieldName(field)
		if header != "" && bytes.EqualFold(name, []byte(header)) {
			return true
		}
		if subject && bytes.EqualFold(name, []byte("Subject")) && Asks(string(field[bytes.IndexByte(field, ':')+1:])) {
			return true
		}
	}
	return !h.whole
}

// emptyLine returns where in b, at from or behind, the last line before an empty
// one ends, or -1.
func emptyLine(b []byte, from int) int {
	for i := max(from, 0); ; i++ {
		at := bytes.IndexByte(b[i:], '\n')
		if at < 0 {
			return -1
		}
		i += at
		if rest := b[i+1:]; bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n")) {
			return i + 1
		}
	}
}

// cutField cuts the first field off b, with its folded lines: lines end with CR,
// LF or both.
func cutField(b []byte) (field, rest []byte) {
	for i := 0; i < len(b); i++ {
		if b[i] != '\r' && b[i] != '\n' {
			continue
		}
		if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
			i++
		}
		if !folded(b[i+1:]) {
			return b[:i+1], b[i+1:]
		}
	}
	return b, nil
}

// Asks reports whether a subject, as its field has it, asks for encryption:
// "[secure]" or "[encrypt]" stands in it.
//
// It is read by its charset, and by its bytes: brackets and letters are those of
// ASCII in nearly all that mail is written in.
func Asks(subject string) bool {
	return asking.MatchString(Words(subject)) || asking.MatchString(wordsBy(subject, asItIs))
}

// WithoutAsking returns f, a Subject, without what asks for encryption. Where
// that stands in plain letters, the rest of the field stays as it came.
func WithoutAsking(f Field) Field {
	if bare := asking.ReplaceAll(f.Raw, nil); len(bare) < len(f.Raw) {
		f = Field{Raw: emptyWord.ReplaceAll(bare, nil)}
	}
	if !Asks(f.Value()) {
		return f
	}
	text := Words(f.Value())
	if !asking.MatchString(text) {
		text = wordsBy(f.Value(), asItIs)
	}
	return Field{Raw: []byte(Block([]Named{{Name: f.Name(), Value: asking.ReplaceAllString(text, "")}}))}
}

// Untagged returns the message that open opens, whose Subjects do not ask for
// encryption any more. max bounds its header: ErrTooLarge.
func Untagged(open func() (io.ReadSeekCloser, error), max int64) (io.ReadCloser, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	head, err := ReadHeader(r, max)
	var from, to int64
	var out []byte
	if err == nil {
		for _, f := range head {
			from += int64(len(f.Raw))
			if f.Is("Subject") && Asks(f.Value()) {
				f = WithoutAsking(f)
				to = from
			}
			out = append(out, f.Raw...)
		}
		if to == 0 { // none asked
			from, out = 0, nil
		}
		_, err = r.Seek(from, io.SeekStart)
	}
	if err != nil {
		_ = r.Close() // only read from
		return nil, fmt.Errorf("message: subject: %w", err)
	}
	return &prefixed{head: out, r: r}, nil
}

// prefixed is bytes and then a stream.
type prefixed struct {
	head []byte
	r    io.ReadCloser
}

// Read reads on.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.head) == 0 {
		return p.r.Read(b)
	}
	n := copy(b, p.head)
	p.head = p.head[n:]
	return n, nil
}

// Close ends the reading.
func (p *prefixed) Close() error { return p.r.Close() }
