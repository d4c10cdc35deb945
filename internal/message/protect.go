package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

var (
	// ErrAmbiguous says that mail programs differ about what the message means:
	// a field that may stand once stands twice, or a line of the header is no
	// field.
	ErrAmbiguous = errors.New("message: ambiguous header")
	// ErrNotWhole says that the message is a fragment of another (RFC 2046
	// 5.2.2): it cannot be protected on its own.
	ErrNotWhole = errors.New("message: a fragment of a message")
	// ErrTooMany says that the message has more parts, or deeper ones, than are
	// read.
	ErrTooMany = errors.New("message: too many parts")
)

// hiddenSubject is what the subject reads outside. RFC 9788 3.2.1.
const hiddenSubject = "[...]"

// loopMark is the field that a gateway of ours knows its own mail by, in lower case.
const loopMark = "x-stanch-loop"

// maxProtected bounds the header of a message to be protected, and of each of
// its parts, in bytes.
const maxProtected = 1 << 20

// Open opens the message anew, at its first byte.
type Open = func() (io.ReadCloser, error)

// Protection says how a message's header is protected. The zero value hides as
// much as it can and shows hidden fields to old mail programs.
type Protection struct {
	// NoLegacyDisplay leaves the text of the message as it is, so that mail
	// programs that do not know RFC 9788 show no subject. Otherwise the main
	// text begins with a line for each hidden field that people look at.
	NoLegacyDisplay bool
}

// Protected is a message whose header is protected: what is to be signed and
// encrypted, and what stands outside.
type Protected struct {
	// Outer is the header outside, trace fields first: Raw with CRLF line ends.
	// MIME-Version and the content fields are the caller's to add.
	Outer Fields
	// UTF8 says that Outer has bytes outside ASCII, as mail of SMTPUTF8 does.
	UTF8 bool

	open  Open
	inner []byte // the payload's header, the empty line included
	plan  []part
}

// Protect takes the header of a message apart for encryption: a payload that
// carries all of it, and an outer header without what need not be outside.
//
// Outside stand Received and the gateway's own mark against loops (and only
// there), the fields that carry mail from hand to hand (addresses, Date,
// Message-ID, threading in message identifiers, lists, automatic answers) as they
// came, and "Subject: [...]". All other fields are hidden: a
// subject has copies under many names. Bcc is in neither, nor are signatures
// and results that the new message breaks (DKIM, ARC).
//
// The payload keeps the structure of the message. Its header says hp="cipher"
// and names in HP-Outer what stands outside. A leaf that is not in lines of
// seven-bit text is written as quoted-printable or base64, so that the payload
// passes anywhere; leaves otherwise keep their bytes, as does all inside
// multipart/signed, multipart/encrypted, message/* and what cannot be
// understood.
//
// It reads open twice, once now and once in WriteTo, in bounded memory. What
// cannot be protected is ErrAmbiguous, ErrNotWhole, ErrTooMany or ErrTooLarge.
//
// Source: RFC 9788 (2.1 hp, 2.2 HP-Outer, 3.2 confidentiality policies, 5.2
// composing and the legacy display, 11.4 Bcc); RFC 8551 3.1.
func Protect(open Open, how Protection) (*Protected, error) {
	r, err := open()
	if err != nil {
		return nil, fmt.Errorf("message: protect: %w", err)
	}
	defer r.Close() // read only
	w := newWalker(r)
	header, err := w.rootHeader()
	if err != nil {
		return nil, err
	}
	s, err := split(header)
	if err != nil {
		return nil, err
	}
	survey := &survey{}
	if !how.NoLegacyDisplay {
		survey.show = s.hidden
	}
	if err := w.entity(s.structural, nil, survey); err != nil {
		return nil, err
	}
	p := &Protected{Outer: s.outer, open: open, plan: survey.plan}
	for _, f := range p.Outer {
		p.UTF8 = p.UTF8 || !ascii(f.Raw)
	}
	return p, p.compose(s)
}

// WriteTo writes the payload: a MIME entity with its protected header, lines of
// its structure ending with CRLF.
func (p *Protected) WriteTo(w io.Writer) (int64, error) {
	r, err := p.open()
	if err != nil {
		return 0, fmt.Errorf("message: protect: %w", err)
	}
	defer r.Close() // read only
	in := newWalker(r)
	header, err := in.rootHeader()
	if err != nil {
		return 0, err
	}
	buffered := bufio.NewWriterSize(w, 32<<10)
	out := &rewriter{w: buffered, plan: p.plan, root: p.inner}
	structural := make(Fields, 0, 4)
	for _, f := range header {
		if structuralField(f) {
			structural = append(structural, f)
		}
	}
	if err := in.entity(structural, nil, out); err != nil {
		return out.n, err
	}
	if err := buffered.Flush(); err != nil {
		return out.n, fmt.Errorf("message: protect: %w", err)
	}
	return out.n, nil
}

// compose writes the payload's header.
func (p *Protected) compose(s parts) error {
	root := p.plan[0]
	structural, err := root.header(s.structural, "cipher")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("MIME-Version: 1.0\r\n")
	b.Write(structural)
	for _, f := range s.protected {
		b.Write(f.Raw)
	}
	for _, f := range s.noted {
		b.WriteString("HP-Outer: ")
		b.Write(f.Raw)
	}
	b.WriteString("\r\n")
	p.inner = b.Bytes()
	return nil
}

// parts is a header taken apart.
type parts struct {
	structural Fields  // Content-*: of the payload as a MIME entity
	protected  Fields  // inside
	outer      Fields  // outside
	noted      Fields  // those of outer that HP-Outer names
	hidden     []Named // what people look at and do not see outside, decoded
}

// once are the fields that may stand once. RFC 5322 3.6; RFC 2045 3; RFC 2183.
var once = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "date": true, "message-id": true,
	"in-reply-to": true, "references": true, "subject": true, "mime-version": true, "content-type": true,
	"content-transfer-encoding": true, "content-disposition": true,
}

// outside are the fields that stand outside as well. RFC 5322 3.6; RFC 3834; RFC
// 2156 (Importance, Priority, Precedence); of mailing lists RFC 2369, RFC 2919, RFC 8058.
var outside = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "date": true, "message-id": true,
	"in-reply-to": true, "references": true, "subject": true, "auto-submitted": true, "precedence": true,
	"importance": true, "priority": true, "x-priority": true, "disposition-notification-to": true,
	"resent-from": true, "resent-sender": true, "resent-to": true, "resent-cc": true, "resent-date": true, "resent-message-id": true,
	"require-recipient-valid-since": true, "tls-required": true,
	"list-id": true, "list-help": true, "list-subscribe": true, "list-unsubscribe": true, "list-unsubscribe-post": true, "list-post": true,
	"list-owner": true, "list-archive": true,
}

// msgIDs is a value of nothing but message identifiers. RFC 5322 3.6.4; its
// older form may hold words of the author's (4.5.4).
var msgIDs = regexp.MustCompile(`^(?:<[^<>\s]+>[\s,]*)+$`)

// staysOutside reports whether f, of that name in lower case, stands outside too.
func staysOutside(name string, f Field) bool {
	if name == "in-reply-to" || name == "references" {
		return msgIDs.MatchString(f.Value())
	}
	return outside[name]
}

// dropped are the fields that the new message has neither inside nor outside:
// blind copies, signatures of and judgements over the message it was, what only
// the last server writes, and the mark that only a composer may make.
var dropped = map[string]bool{
	"bcc": true, "resent-bcc": true, "dkim-signature": true, "domainkey-signature": true, "arc-seal": true, "arc-message-signature": true,
	"arc-authentication-results": true, "authentication-results": true, "x-google-dkim-signature": true, "return-path": true, "hp-outer": true,
}

// structuralField reports the fields that describe the body, beside MIME-Version. RFC 9787 1.1.1.
func structuralField(f Field) bool {
	return strings.HasPrefix(strings.ToLower(f.Name()), "content-")
}

// split takes a header apart. ErrAmbiguous.
func split(header Fields) (parts, error) {
	var s parts
	var trace Fields
	seen := make(map[string]bool)
	for _, f := range header {
		name := strings.ToLower(f.Name())
		if once[name] && seen[name] {
			return s, ErrAmbiguous
		}
		seen[name] = true
		f = Field{Raw: crlf(f.Raw)}
		switch {
		case dropped[name], name == "mime-version": // the payload gets one of its own
		case structuralField(f):
			s.structural = append(s.structural, f)
		case name == "received" || name == loopMark: // by them a message that goes round in circles is known
			trace = append(trace, f)
		default:
			s.protected = append(s.protected, f)
			if !staysOutside(name, f) {
				continue
			}
			if name == "subject" {
				if v := f.Value(); v != "" {
					s.hidden = append(s.hidden, Named{Name: "Subject", Value: oneLine(Words(v))})
				}
				f = Field{Raw: []byte("Subject: " + hiddenSubject + "\r\n")}
			}
			s.noted = append(s.noted, f)
		}
	}
	s.outer = append(trace, s.noted...)
	return s, nil
}

// crlf returns lines with CRLF at the end of each, the last one included.
func crlf(raw []byte) []byte {
	var b []byte
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		b = append(append(b, line...), '\r', '\n')
	}
	return b
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
