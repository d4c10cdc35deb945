package dlp

import (
	"context"
	"errors"
)

// MaxWindow is the most text that one Window carries, in bytes.
const MaxWindow = 256 << 10

// PartInfo names one leaf of a Document and says what it is.
type PartInfo struct {
	// Path is the leaf's place: "" for a plain file, else as docs/contract.md
	// numbers them ("2.1/3", "HEADER", "2.MIME", "2~2"). Never a file name.
	Path string
	// Name is the declared file name. PHI: it goes to scan, extract and the
	// sealed case record only.
	Name      string
	MediaType string // found from content, not from the declared type
	Opened    bool   // it was encrypted, and a password that was tried opened it
}

// Window is a stretch of a part's text. The windows of a part join to its text
// without hole or overlap, and each ends at a UTF-8 boundary.
type Window struct {
	Offset int64  // of Text[0] in the part's text, bytes
	Text   []byte // valid UTF-8, at most MaxWindow bytes; only valid during the call that hands it over
	Spans  []Span // fields that start in this window, by Start
}

// Span is a field of structured text: a cell, a segment's field, an element.
type Span struct {
	Start, End int64  // byte offsets into the part's text, End exclusive; End may lie in a later window
	Label      string // the column's header or the field's name, as it stands in the document
	Type       Type   // what the format itself says the field is; "" when it does not
	Group      uint32 // the row, segment group or resource it stands in, from 1; 0 for none
}

// Cause is why something could not be read. The set is closed (docs/contract.md, scan).
type Cause uint8

// The causes. Corrupt is the zero value: unreadable, reason not known.
const (
	Corrupt Cause = iota
	Encrypted
	TooDeep
	TooLarge
	TooMany
	Timeout
	Unsupported
	Image
	Crashed
	Ambiguous
)

var causeNames = [...]string{"corrupt", "encrypted", "too_deep", "too_large", "too_many", "timeout", "unsupported", "image", "crashed", "ambiguous"}

// Causes returns all causes.
func Causes() []Cause {
	cs := make([]Cause, len(causeNames))
	for i := range cs {
		cs[i] = Cause(i)
	}
	return cs
}

// String returns the cause's name in output and configuration.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return causeNames[Corrupt]
}

// ParseCause is the inverse of String.
func ParseCause(s string) (Cause, bool) {
	for i, n := range causeNames {
		if n == s {
			return Cause(i), true
		}
	}
	return Corrupt, false
}

// Gap is a piece of a Document that could not be read. Policy weighs it as it
// weighs a Finding: what was not seen is not clean.
type Gap struct {
	Path   string // as PartInfo.Path
	Name   string // declared file name; PHI, see PartInfo.Name
	Cause  Cause
	Detail string // a constant of ours such as "zip AES-256"; never text from the document
	Inline bool   // a picture that the HTML body of the same mail shows by cid:
	Size   int64  // bytes of the unread piece, 0 when not known
}

// Sink takes what extraction reads of one Document, in order: Part opens a
// part and closes the one before it, Text adds to the open part, Gap may come
// at any time. An error from the sink stops the extraction, and is returned.
type Sink interface {
	Part(PartInfo) error
	Text(Window) error
	Gap(Gap) error
}

// SlowReader is a reader of which there are few.
type SlowReader uint8

// The slow readers.
const (
	PDFReader SlowReader = iota
	OCRReader            // of pictures: seconds a page
)

// ErrWithout says that a document is to be read without the slow reader that
// it needs: what that would have read is a gap.
var ErrWithout = errors.New("dlp: without that reader")

// SlowSink is a Sink that has a say in when a document goes on that needs a
// reader of which there are few. Slow is called once the reader at hand is given
// back; the rest is read when it returns. ErrWithout has it read without; any
// other error stops the extraction, and is returned.
type SlowSink interface {
	Sink
	Slow(ctx context.Context, r SlowReader) error
}

// PasswordSink is a Sink that knows which passwords others named before the
// Document, and hears which it names itself. Each is secret, and neither logged
// nor written anywhere.
type PasswordSink interface {
	Sink
	// Passwords returns what encrypted parts are tried with beside what the
	// Document itself names, the likeliest first.
	Passwords() []string
	// Named takes what a mail names, the likeliest first, once it has been read;
	// never an empty list.
	Named(words []string)
}
