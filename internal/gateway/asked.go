package gateway

import (
	"fmt"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Request says how a sender may ask for a mail to be encrypted.
type Request struct {
	Subject bool   // by "[secure]" or "[encrypt]" in the subject
	Header  string // by a header field of that name, whatever it says; "": by none
}

// Asked returns doc, or a copy of it that says that its sender asks for
// encryption. It asks for more than the policies do; nothing in a header asks
// for less.
func (q Request) Asked(doc *dlp.Document) (*dlp.Document, error) { return q.asked(doc, headOf(doc)) }

// header reads the header of one Document.
type header func() (message.Head, error)

// headOf reads the header of doc each time that it is called.
func headOf(doc *dlp.Document) header {
	return func() (message.Head, error) {
		body, err := doc.Open()
		if err != nil {
			return message.Head{}, fmt.Errorf("gateway: open %s: %w", doc.ID, err)
		}
		defer body.Close()
		h, err := message.ReadHead(body, maxHeader)
		if err != nil {
			return h, fmt.Errorf("gateway: read header of %s: %w", doc.ID, err)
		}
		return h, nil
	}
}

// asked is Asked of a Document whose header is read by head.
func (q Request) asked(doc *dlp.Document, head header) (*dlp.Document, error) {
	if doc.Channel != dlp.Mail || !q.Subject && q.Header == "" {
		return doc, nil
	}
	h, err := head()
	if err != nil || !h.Asks(q.Subject, q.Header) {
		return doc, err
	}
	out := *doc
	out.Asked = true
	return &out, nil
}

// untagged opens the message as it is to be encrypted: without what asked for it
// in the subject.
func (m *mail) untagged() (io.ReadCloser, error) {
	if !m.j.request.Subject {
		return m.doc.Open()
	}
	return message.Untagged(m.doc.Open, maxHeader)
}
