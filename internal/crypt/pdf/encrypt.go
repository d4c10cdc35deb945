package pdf

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	gomessage "github.com/emersion/go-message"

	"github.com/stanch-dlp/stanch/internal/message"
)

// ErrPassphrase says that the passphrase is not FitPassphrase.
var ErrPassphrase = errors.New("pdf: want a passphrase of 16 to 127 printable ASCII characters")

// maxText bounds the text that is laid out, in bytes; a longer one is in the
// embedded file only.
const maxText = 1 << 20

// Names of the embedded files that stanch makes.
const (
	textName  = "message.txt" // header and text, in UTF-8
	wholeName = "message.eml" // the message as it was
)

// Encrypt writes to dst a complete message with the outer header of m and one
// attachment, a PDF that passphrase opens: header and text of m on its pages, all
// other parts embedded, and the text once more as message.txt. A message that is
// signed or encrypted itself, or whose parts cannot be told apart, is embedded
// whole as message.eml. What was written before an error is of no use.
func Encrypt(dst io.Writer, m *message.Protected, passphrase string) error {
	if !FitPassphrase(passphrase) {
		return ErrPassphrase
	}
	boundary := "pdf-" + rand.Text()
	var head bytes.Buffer
	for _, f := range m.Outer {
		head.Write(f.Raw)
	}
	fmt.Fprintf(&head, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n%s\r\n", boundary, boundary, cover)
	fmt.Fprintf(&head, "--%s\r\nContent-Type: application/pdf; name=\"message.pdf\"\r\nContent-Disposition: attachment; filename=\"message.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary)
	if _, err := dst.Write(head.Bytes()); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	coder := message.NewBase64(dst)
	if err := write(coder, m, passphrase); err != nil {
		return err
	}
	if err := coder.Close(); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	if _, err := fmt.Fprintf(dst, "--%s--\r\n", boundary); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	return nil
}

// cover is what stands outside, for a reader who does not expect it.
const cover = "The message is in the attached file message.pdf. It is encrypted.\r\n\r\n" +
	"It opens with the passphrase that the sender's organisation agreed on with you.\r\n" +
	"If you do not have it, call them at a number you know. Nobody will send it to\r\n" +
	"you by mail.\r\n"

// embedded is a file in the PDF.
type embedded struct {
	name string
	spec int // its object
}

// book is a PDF in the making.
type book struct {
	w     *writer
	files []embedded
	text  []byte
	found bool // text is the message's
}

func write(dst io.Writer, m *message.Protected, passphrase string) error {
	h, err := newHandler(passphrase)
	if err != nil {
		return err
	}
	f, err := newFace()
	if err != nil {
		return err
	}
	b := &book{w: &writer{w: dst, h: h}}
	b.w.putf("%%PDF-2.0\n%%\xe2\xe3\xcf\xd3\n")
	header, err := b.read(m)
	if err != nil {
		return err
	}
	page := clean(header + "\n" + string(b.text))
	text := "\ufeff" + strings.ReplaceAll(header+"\n"+string(b.text), "\r\n", "\n")
	if err := b.embed(textName, "text/plain", strings.NewReader(text)); err != nil {
		return err
	}
	lines := f.wrap(page)
	if !f.shows(page) || len(lines) > maxPages*linesPerPage || len(b.text) > maxText {
		lines = f.wrap("This message has characters that cannot be shown on this page, or is too long for it.\n\nOpen the attached file message.txt to read it: all of it is there.")
	} else if !b.found {
		lines = append(lines, f.wrap("The text of this message is in an attached file.")...)
	}
	if len(b.files) > 1 {
		lines = append(lines, "", "Attached files: open them from your program's list of attachments.")
	}
	return b.end(f, lines)
}

// read embeds the parts of m and takes its text and the header people look at.
func (b *book) read(m *message.Protected) (header string, err error) {
	whole := false
	err = b.walk(m, func(e *gomessage.Entity) error {
		header = shown(e.Header)
		return b.part(e, &whole)
	})
	if b.w.err != nil {
		return "", fmt.Errorf("pdf: %w", b.w.err)
	}
	if err != nil || whole {
		if whole = true; header == "" {
			header = "A message that could not be taken apart: open the attached file " + wholeName + ".\n"
		}
		err = b.payload(m, func(r io.Reader) error { return b.embed(wholeName, "message/rfc822", r) })
	}
	return header, err
}

// payload hands out what m writes.
func (b *book) payload(m *message.Protected, use func(io.Reader) error) error {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := m.WriteTo(w)
		w.CloseWithError(err) // of a nil error it is io.EOF
		done <- err
	}()
	err := use(r)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	r.CloseWithError(io.ErrClosedPipe)
	if werr := <-done; err == nil && werr != nil {
		err = werr
	}
	return err
}

func (b *book) walk(m *message.Protected, use func(*gomessage.Entity) error) error {
	return b.payload(m, func(r io.Reader) error {
		e, err := gomessage.Read(r)
		if err != nil && !gomessage.IsUnknownCharset(err) {
			return err
		}
		return use(e)
	})
}

// shown is the header that people look at.
func shown(h gomessage.Header) string {
	var out strings.Builder
	for _, name := range []string{"From", "To", "Cc", "Date", "Subject"} {
		for f := h.FieldsByKey(name); f.Next(); {
			out.WriteString(name + ": " + message.Words(f.Value()) + "\n")
		}
	}
	return out.String()
}

// part takes the text of e or embeds it. whole is set where the parts do not say
// all that the message does.
func (b *book) part(e *gomessage.Entity, whole *bool) error {
	kind, params, err := e.Header.ContentType()
	if err != nil {
		*whole = true
		kind = "application/octet-stream"
	}
	if parts := e.MultipartReader(); parts != nil {
		*whole = *whole || kind == "multipart/signed" || kind == "multipart/encrypted"
		for {
			p, err := parts.NextPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil && !gomessage.IsUnknownCharset(err) {
				return err
			}
			if err := b.part(p, whole); err != nil {
				return err
			}
		}
	}
	disposition, dp, _ := e.Header.ContentDisposition() // one that cannot be read says nothing
	name := dp["filename"]
	if name == "" {
		name = params["name"]
	}
	if kind == "text/plain" && name == "" && disposition != "attachment" && !b.found {
		text, err := io.ReadAll(io.LimitReader(e.Body, maxText+1))
		if err != nil {
			return err
		}
		shown, known := message.Decode(text, params["charset"])
		if known && !bytes.ContainsRune(shown, '\ufffd') && len(text) <= maxText {
			b.text, b.found = shown, true
			return nil
		}
		return b.embed(b.name("", ".txt"), kind, io.MultiReader(bytes.NewReader(text), e.Body))
	}
	ext := ".bin"
	switch {
	case kind == "text/html":
		ext = ".html"
	case kind == "text/plain":
		ext = ".txt"
	case kind == "message/rfc822":
		ext = ".eml"
	case kind == "text/calendar":
		ext = ".ics"
	}
	return b.embed(b.name(name, ext), kind, e.Body)
}

// name is a name for a file to embed that no other has.
func (b *book) name(given, ext string) string {
	given = path.Base(strings.ReplaceAll(strings.ToValidUTF8(message.Words(given), "_"), `\`, "/"))
	given = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, given)
	if given == "." || given == "/" || given == "" {
		given = "part" + ext
	}
	taken := func(s string) bool {
		for _, f := range b.files {
			if strings.EqualFold(f.name, s) {
				return true
			}
		}
		return strings.EqualFold(s, textName) || strings.EqualFold(s, wholeName)
	}
	name := given
	for i := 2; taken(name); i++ {
		e := path.Ext(given)
		name = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(given, e), i, e)
	}
	return name
}

// embed adds a file. Of one whose reader fails nothing is to be found.
//
// Source: ISO 32000-2 7.11.3 and 7.11.4.
func (b *book) embed(name, kind string, r io.Reader) error {
	stream, spec := b.w.reserve(), b.w.reserve()
	if err := b.w.copyStream(stream, "/Type/EmbeddedFile/Subtype/"+pdfName(kind), r); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	b.w.object(spec, fmt.Sprintf("<</Type/Filespec/F%s/UF%s/EF<</F %d 0 R/UF %d 0 R>>/AFRelationship/Unspecified>>", b.w.text(name), b.w.text(name), stream, stream))
	b.files = append(b.files, embedded{name, spec})
	return b.w.err
}

// pdfName writes a media type as a name, without its slash. ISO 32000-2 7.3.5.
func pdfName(kind string) string {
	var out strings.Builder
	for i := range min(len(kind), 100) {
		c := kind[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' {
			out.WriteByte(c)
		} else if c != 0 {
			fmt.Fprintf(&out, "#%02x", c)
		}
	}
	return out.String()
}

// end writes the pages, the font and the catalogue.
func (b *book) end(f *face, lines []string) error {
	w := b.w
	tree, catalogue, names := w.reserve(), w.reserve(), w.reserve()
	var kids []string
	var pages []int
	for i := 0; i < len(lines); i += linesPerPage {
		content, page := w.reserve(), w.reserve()
		w.stream(content, "", f.draw(lines[i:min(len(lines), i+linesPerPage)]))
		kids = append(kids, fmt.Sprintf("%d 0 R", page))
		pages = append(pages, content, page)
	}
	font := f.write(w)
	for i := 0; i < len(pages); i += 2 {
		w.object(pages[i+1], fmt.Sprintf("<</Type/Page/Parent %d 0 R/MediaBox[0 0 %d %d]/Resources<</Font<</F1 %d 0 R>>>>/Contents %d 0 R>>", tree, pageWidth, pageHeight, font, pages[i]))
	}
	w.object(tree, fmt.Sprintf("<</Type/Pages/Count %d/Kids[%s]>>", len(kids), strings.Join(kids, " ")))
	var list strings.Builder
	for i, e := range b.files { // by keys in order, so not by the files' names
		fmt.Fprintf(&list, "%s %d 0 R ", w.ascii(fmt.Sprintf("%06d", i)), e.spec)
	}
	w.object(names, fmt.Sprintf("<</EmbeddedFiles<</Names[%s]>>>>", list.String()))
	w.object(catalogue, fmt.Sprintf("<</Type/Catalog/Pages %d 0 R/Names %d 0 R/PageMode/UseAttachments>>", tree, names))
	if err := w.end(catalogue); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	return nil
}
