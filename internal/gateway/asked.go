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
func (q Request) Asked(doc *dlp.Document) (*dlp.Document, error) {
	if doc.Channel != dlp.Mail || !q.Subject && q.Header == "" {
		return doc, nil
	}
	body, err := doc.Open()
	if err != nil {
		return doc, fmt.Errorf("gateway: open %s: %w", doc.ID, err)
	}
	defer body.Close()
	asks, err := message.AskedFor(body, maxHeader, q.Subject, q.Header)
	if err != nil {
		return doc, fmt.Errorf("gateway: read header of %s: %w", doc.ID, err)
	}
	if !asks {
		return doc, nil
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
