package message

import (
	"fmt"
	"io"
	"mime"
	"regexp"
)

// asking is how a subject asks for encryption: a word in brackets, in any case,
// with spaces or folds around it.
var asking = regexp.MustCompile(`(?i)\[[ \t\r\n]*(?:secure|encrypt)[ \t\r\n]*\][ \t]*`)

// Asks reports whether a subject, as its field has it, asks for encryption:
// "[secure]" or "[encrypt]" stands in it.
func Asks(subject string) bool { return asking.MatchString(words(subject)) }

// words is a subject with its encoded words read; as it is where that fails.
func words(subject string) string {
	d := mime.WordDecoder{CharsetReader: func(_ string, in io.Reader) (io.Reader, error) { return in, nil }} // brackets and letters are ASCII in all that mail is written in
	text, err := d.DecodeHeader(subject)
	if err != nil {
		return subject
	}
	return text
}

// WithoutAsking returns f, a Subject, without what asks for encryption. Where
// that stands in plain letters, the rest of the field stays as it came.
func WithoutAsking(f Field) Field {
	out := Field{Raw: asking.ReplaceAll(f.Raw, nil)}
	if !Asks(out.Value()) {
		return out
	}
	text := asking.ReplaceAllString(decodeAll(out.Value()), "")
	return Field{Raw: []byte(Block([]Named{{Name: f.Name(), Value: text}}))}
}

// decodeAll is a subject with its encoded words read, those in a charset that is
// not known byte by byte.
func decodeAll(subject string) string {
	d := mime.WordDecoder{CharsetReader: charsetReader}
	text, err := d.DecodeHeader(subject)
	if err != nil {
		return words(subject)
	}
	return text
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
