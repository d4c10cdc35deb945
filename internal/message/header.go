// Package message reads and writes the header of a mail, byte for byte.
//
// It promises that what it hands on has the bytes it came with, that no header
// makes it use more memory than the caller allows, and that what it composes
// is ASCII with CRLF line ends, whatever it is given. Protect parts a header
// into what is to be encrypted and what stands outside.
package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// ErrTooLarge says that the header is longer than the caller allows.
var ErrTooLarge = errors.New("message: header too large")

// Field is one header field.
//
// Source: RFC 5322 2.2, 2.2.3 (folding), 4.5 (white space before the colon).
type Field struct {
	// Raw is the field as it came: name, colon, value, folded lines and line
	// ends. A line before the first field that is none (mbox "From ") is a
	// Field too, whose Name is "".
	Raw []byte
}

// Name returns the field's name as it is written, without the white space that
// old programs put before the colon.
func (f Field) Name() string { return string(fieldName(f.Raw)) }

// Is reports whether f has that name, in any case.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name(), name) }

// Value returns the field's value, unfolded and without the white space around
// it. Encoded words stay as they are. The value is foreign text: PHI.
func (f Field) Value() string {
	i := bytes.IndexByte(f.Raw, ':')
	if i < 0 {
		return ""
	}
	// Unfolding takes the line end away and leaves the white space, RFC 5322 2.2.3.
	s := strings.ReplaceAll(string(f.Raw[i+1:]), "\r\n", "")
	return strings.TrimSpace(strings.ReplaceAll(s, "\n", ""))
}

// Fields is a header's fields in their order.
type Fields []Field

// Get returns the value of the first field of that name, in any case, or "".
func (fs Fields) Get(name string) string {
	for _, f := range fs {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}

// ReadHeader reads the fields of the message that starts at r, up to the empty
// line, to the end of r or to a line that is no field, where mail programs see
// the body begin. Joined, the Raw of all fields are the bytes that were read.
//
// Past max bytes it returns the whole fields read so far and ErrTooLarge. It
// may read past the header. Lines end with LF or CRLF; a bare CR ends none.
func ReadHeader(r io.Reader, max int64) (Fields, error) {
	br := bufio.NewReader(io.LimitReader(r, max+2)) // an empty line after max bytes of fields is seen
	var fs Fields
	var total int64
	for {
		line, err := br.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fs, fmt.Errorf("message: header: %w", err)
		}
		if len(line) == 0 || endsHeader(line) {
			return fs, nil
		}
		if total += int64(len(line)); total > max {
			return fs, ErrTooLarge
		}
		switch {
		case len(fs) > 0 && folded(line):
			last := &fs[len(fs)-1]
			last.Raw = append(last.Raw, line...)
		case len(fs) == 0 && strange(line), fieldName(line) != nil:
			fs = append(fs, Field{Raw: line})
		default:
			return fs, nil
		}
		if err != nil { // the end of r, without a line end
			return fs, nil
		}
	}
}

// AutoSubmitted reports a message that a program sent, or that came through a
// mailing list: nothing must be sent in answer to it.
//
// Source: RFC 3834 2 and 5 (Auto-Submitted, null reverse-path, list and
// precedence fields); RFC 2369 and 2919 (List-*); RFC 3462 (multipart/report).
func AutoSubmitted(fs Fields, from dlp.Address) bool {
	if from.IsNull() {
		return true
	}
	for _, f := range fs {
		name := strings.ToLower(f.Name())
		switch {
		case name == "auto-submitted":
			word, _, _ := strings.Cut(f.Value(), ";") // parameters may follow, RFC 3834 5.2
			word, _, _ = strings.Cut(word, "(")       // and so may a comment
			if !strings.EqualFold(strings.TrimSpace(word), "no") {
				return true
			}
		case name == "precedence":
			switch strings.ToLower(f.Value()) {
			case "bulk", "list", "junk":
				return true
			}
		case strings.HasPrefix(name, "list-"):
			return true
		case name == "content-type":
			if t, _, _ := mime.ParseMediaType(f.Value()); t == "multipart/report" {
				return true
			}
		}
	}
	return false
}

// fieldName returns the name of the field that line begins, or nil if it
// begins none: printable ASCII without colon, then white space at most, then a
// colon. RFC 5322 2.2, 4.5.
func fieldName(line []byte) []byte {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return nil
	}
	name := bytes.TrimRight(line[:i], " \t")
	if len(name) == 0 {
		return nil
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	return name
}

// endsHeader reports the empty line.
func endsHeader(line []byte) bool { return string(line) == "\r\n" || string(line) == "\n" }

// folded reports a line that continues the field before it.
func folded(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

// strange reports what may stand before the first field and is none: the
// "From " line of a mailbox, or a continuation of nothing.
func strange(line []byte) bool {
	return folded(line) || bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}
