package pickup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"github.com/stanch-dlp/stanch/internal/message"
)

// Bounds of what is packed.
const (
	maxBodyText = 2 << 20 // bytes of all text that a page shows; what goes beyond is a file
	maxName     = 150     // bytes of a file's name
	maxLeaves   = 1000
	maxDepth    = 20
)

// ErrTooMany says that a message has more parts, or deeper ones, than a page
// shows.
var ErrTooMany = errors.New("pickup: too many parts")

// Content is what a browser shows of a message. Its files lie in front of it,
// one after the other in this order.
type Content struct {
	Subject string    `json:"subject"`
	From    string    `json:"from"`    // the author's name, or address
	Address string    `json:"address"` // of the author
	Date    time.Time `json:"date"`
	Bodies  []Body    `json:"bodies"`
	Files   []File    `json:"files"`
}

// Body is a text that is shown.
type Body struct {
	HTML bool   `json:"html"` // shown as the text that it is
	Text string `json:"text"`
}

// File is an attachment.
type File struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"` // in bytes
}

// Pack writes the message that open opens as a browser takes it: the bytes of
// its files, Content as JSON, and the length of that in four bytes, big-endian.
// What mail programs would read differently is an error.
func Pack(w io.Writer, open func() (io.ReadCloser, error)) error {
	if _, err := message.Protect(open, message.Protection{}); err != nil { // its header and structure are sound
		return fmt.Errorf("pickup: %w", err)
	}
	r, err := open()
	if err != nil {
		return fmt.Errorf("pickup: %w", err)
	}
	defer r.Close() // read only
	e, err := gomessage.Read(r)
	if err != nil && !gomessage.IsUnknownCharset(err) {
		return errNotPacked
	}
	p := &packer{w: w}
	p.header(mail.Header{Header: e.Header})
	if err := p.entity(e, 0); err != nil {
		return err
	}
	b, err := json.Marshal(p.Content)
	if err != nil {
		return fmt.Errorf("pickup: %w", err)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(b)))
	_, err = w.Write(b)
	return err
}

// errNotPacked stands for errors that quote the mail.
var errNotPacked = errors.New("pickup: a part cannot be read")

type packer struct {
	Content
	w      io.Writer
	leaves int
	text   int // bytes in Bodies
}

func (p *packer) header(h mail.Header) {
	word := func(s string) string {
		return strings.ToValidUTF8(strings.Join(strings.Fields(message.Words(s)), " "), "\uFFFD")
	}
	p.Subject = word(h.Get("Subject"))
	if t, err := h.Date(); err == nil {
		p.Date = t
	}
	if list, err := h.AddressList("From"); err == nil && len(list) > 0 {
		p.Address = list[0].Address
		if p.From = word(list[0].Name); p.From == "" {
			p.From = p.Address
		}
		return
	}
	p.From = word(h.Get("From"))
}

// entity packs a part and all in it. In a multipart/alternative a plain text
// that says something is shown, and its HTML is a file.
func (p *packer) entity(e *gomessage.Entity, depth int) error {
	if p.leaves++; p.leaves > maxLeaves || depth > maxDepth {
		return ErrTooMany
	}
	mr := e.MultipartReader()
	if mr == nil {
		return p.leaf(e)
	}
	kind, _, _ := e.Header.ContentType()
	before, plain := len(p.Bodies), false
	for {
		c, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !gomessage.IsUnknownCharset(err) {
			return errNotPacked
		}
		if kind == "multipart/alternative" {
			t, _, _ := c.Header.ContentType()
			if plain && t == "text/html" {
				if p.leaves++; p.leaves > maxLeaves {
					return ErrTooMany
				}
				if err := p.file(c.Body, "message.html", t); err != nil {
					return err
				}
				continue
			}
		}
		if err := p.entity(c, depth+1); err != nil {
			return err
		}
		for _, b := range p.Bodies[before:] {
			plain = plain || !b.HTML && strings.TrimSpace(b.Text) != ""
		}
	}
}

func (p *packer) leaf(e *gomessage.Entity) error {
	kind, params, err := e.Header.ContentType()
	if err != nil || kind == "" {
		kind = "text/plain"
	}
	how, _, _ := e.Header.ContentDisposition()
	h := mail.AttachmentHeader{Header: e.Header}
	name, _ := h.Filename()
	if strings.EqualFold(how, "attachment") || name != "" || kind != "text/plain" && kind != "text/html" {
		return p.file(e.Body, name, kind)
	}
	b, err := io.ReadAll(io.LimitReader(e.Body, maxBodyText+1))
	if err != nil {
		return errNotPacked
	}
	text, known := message.Decode(b, params["charset"]) // go-message reads UTF-8 and ASCII, and leaves all else as it is
	if !known || len(b) > maxBodyText || p.text+len(text) > maxBodyText {
		name = "message.txt"
		if kind == "text/html" {
			name = "message.html"
		}
		return p.file(io.MultiReader(bytes.NewReader(b), e.Body), name, kind)
	}
	if len(bytes.TrimSpace(text)) > 0 {
		p.text += len(text)
		p.Bodies = append(p.Bodies, Body{HTML: kind == "text/html", Text: string(text)})
	}
	return nil
}

func (p *packer) file(body io.Reader, name, kind string) error {
	n, err := io.Copy(p.w, notQuoted{body})
	if err != nil {
		return err
	}
	if name = fileName(name); name == "" {
		name = fmt.Sprintf("part-%d", len(p.Files)+1)
		if kind == "message/rfc822" {
			name += ".eml"
		} else if kind == "text/html" {
			name += ".html"
		}
	}
	p.Files = append(p.Files, File{Name: name, Type: kind, Size: n})
	return nil
}

// fileName is name as it can be shown and saved: no path, no control character,
// nothing that turns its letters round ("fdp.exe" for "exe.pdf"), and its end,
// which says what it is, whatever its length.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name = strings.Trim(name, ". ")
	if len(name) <= maxName {
		return name
	}
	end := path.Ext(name)
	if len(end) > 20 {
		end = ""
	}
	return strings.ToValidUTF8(name[:maxName-len(end)], "") + end
}

// notQuoted turns errors of a reader of mail, which quote it, into errNotPacked;
// those of the writer stay what they are.
type notQuoted struct{ io.Reader }

// Read reads on.
func (r notQuoted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = errNotPacked
	}
	return n, err
}

// Unpack is the inverse of Pack: the files of c lie in files one after the
// other. ErrTampered.
func Unpack(b []byte) (c Content, files []byte, err error) {
	if len(b) < 4 {
		return c, nil, ErrTampered
	}
	n := int64(binary.BigEndian.Uint32(b[len(b)-4:]))
	at := int64(len(b)) - 4 - n
	if at < 0 || json.Unmarshal(b[at:len(b)-4], &c) != nil {
		return c, nil, ErrTampered
	}
	return c, b[:at], nil
}
