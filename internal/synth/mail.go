package synth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"time"
)

// Mail is a message to be written.
type Mail struct {
	From        string // bare addresses
	To          []string
	Subject     string
	Date        time.Time // zero: a fixed one
	MessageID   string    // with its angle brackets; "": made from subject and recipients
	Header      []Field   // further fields, after ours
	Paragraphs  []string  // of the body, as text and as HTML
	Logo        []byte    // PNG that the HTML shows by cid:, nil for none
	Attachments []Attachment
}

// Field is one header field.
type Field struct{ Name, Value string }

// Attachment is a file with its declared media type.
type Attachment struct {
	Member
	Type string
}

// Message writes m as a mail program would: multipart/mixed around
// multipart/related around multipart/alternative, each only where it is needed.
// Lines end in CRLF.
func Message(m Mail) []byte {
	w := &mailWriter{}
	if m.Date.IsZero() {
		m.Date = fixedTime()
	}
	if m.MessageID == "" {
		sum := sha256.Sum256([]byte(m.Subject + "\x00" + strings.Join(m.To, "\x00")))
		m.MessageID = "<" + hex.EncodeToString(sum[:12]) + "@clinic.example>"
	}
	w.seed = m.MessageID
	fields := append([]Field{
		{"From", m.From},
		{"To", strings.Join(m.To, ",\r\n\t")},
		{"Subject", mime.QEncoding.Encode("utf-8", m.Subject)},
		{"Date", m.Date.Format(time.RFC1123Z)},
		{"Message-ID", m.MessageID},
		{"MIME-Version", "1.0"},
	}, m.Header...)
	for _, f := range fields {
		fmt.Fprintf(&w.out, "%s: %s\r\n", f.Name, f.Value)
	}
	header, body := w.mixed(m)
	writeHeader(&w.out, header)
	w.out.WriteString("\r\n")
	w.out.Write(body)
	return w.out.Bytes()
}

// mailWriter counts boundaries, so that they differ within a message and are
// the same each time it is written.
type mailWriter struct {
	out        bytes.Buffer
	seed       string
	boundaries int
}

type entity struct {
	header textproto.MIMEHeader
	body   []byte
}

func (w *mailWriter) mixed(m Mail) (textproto.MIMEHeader, []byte) {
	header, body := w.related(m)
	if len(m.Attachments) == 0 {
		return header, body
	}
	parts := []entity{{header, body}}
	for _, a := range m.Attachments {
		parts = append(parts, entity{textproto.MIMEHeader{
			"Content-Type":              {mime.FormatMediaType(a.Type, map[string]string{"name": a.Name})},
			"Content-Disposition":       {mime.FormatMediaType("attachment", map[string]string{"filename": a.Name})},
			"Content-Transfer-Encoding": {"base64"},
		}, base64Lines(a.Data)})
	}
	return w.multipart("mixed", parts)
}

func (w *mailWriter) related(m Mail) (textproto.MIMEHeader, []byte) {
	const cid = "logo@clinic.example"
	var page strings.Builder
	page.WriteString("<!DOCTYPE html><html><body>\r\n")
	for _, p := range m.Paragraphs {
		page.WriteString("<p>" + html.EscapeString(p) + "</p>\r\n")
	}
	if m.Logo != nil {
		page.WriteString(`<img src="cid:` + cid + `" alt="Alder Clinic" width="96" height="96">` + "\r\n")
	}
	page.WriteString("</body></html>\r\n")
	header, body := w.multipart("alternative", []entity{
		text("text/plain", strings.Join(m.Paragraphs, "\r\n\r\n")+"\r\n"),
		text("text/html", page.String()),
	})
	if m.Logo == nil {
		return header, body
	}
	return w.multipart("related", []entity{{header, body}, {textproto.MIMEHeader{
		"Content-Type":              {TypePNG},
		"Content-Id":                {"<" + cid + ">"},
		"Content-Disposition":       {"inline"},
		"Content-Transfer-Encoding": {"base64"},
	}, base64Lines(m.Logo)}})
}

func (w *mailWriter) multipart(subtype string, parts []entity) (textproto.MIMEHeader, []byte) {
	w.boundaries++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", w.seed, w.boundaries))
	boundary := "=_" + hex.EncodeToString(sum[:12]) // RFC 2045 6.7: "=_" never stands in quoted-printable
	var b bytes.Buffer
	mw := multipart.NewWriter(&b)
	must(mw.SetBoundary(boundary))
	for _, p := range parts {
		pw, err := mw.CreatePart(p.header)
		must(err)
		_, err = pw.Write(p.body)
		must(err)
	}
	must(mw.Close())
	return textproto.MIMEHeader{"Content-Type": {fmt.Sprintf("multipart/%s;\r\n\tboundary=%q", subtype, boundary)}}, b.Bytes()
}

func text(mediaType, s string) entity {
	var b bytes.Buffer
	q := quotedprintable.NewWriter(&b)
	_, err := io.WriteString(q, s)
	must(err)
	must(q.Close())
	return entity{textproto.MIMEHeader{
		"Content-Type":              {mediaType + "; charset=utf-8"},
		"Content-Transfer-Encoding": {"quoted-printable"},
	}, b.Bytes()}
}

// base64Lines encodes data in lines of 76 characters. RFC 2045 6.8.
func base64Lines(data []byte) []byte {
	var b bytes.Buffer
	for s := base64.StdEncoding.EncodeToString(data); s != ""; {
		n := min(76, len(s))
		b.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	return b.Bytes()
}

func writeHeader(b *bytes.Buffer, h textproto.MIMEHeader) {
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding"} {
		if v := h.Get(name); v != "" {
			fmt.Fprintf(b, "%s: %s\r\n", name, v)
		}
	}
}
