package pickup

import (
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Reply is what a recipient answers on the page. PHI.
type Reply struct {
	Subject string
	Text    string
	Files   []ReplyFile
}

// ReplyFile is a file that goes with a reply.
type ReplyFile struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// ReplyHead is what stands over a reply.
type ReplyHead struct {
	From      string      // an address of the gateway's
	Answers   dlp.Address // of who writes
	To        dlp.Address
	MessageID string // of the reply, without angle brackets
	InReplyTo string // of the message, with them; "" for none
	When      time.Time
}

// UTF8 says that the header has addresses outside ASCII, as mail of SMTPUTF8 does.
func (h ReplyHead) UTF8() bool { return !h.To.IsASCII() || !h.Answers.IsASCII() }

// Write writes the reply as a complete mail: ASCII, but for addresses that are not
// (UTF8), with CRLF line ends, in lines that every mail server takes (RFC 5322
// 2.1.1), whatever its files are called.
func (r Reply) Write(w io.Writer, h ReplyHead) error {
	body := multipart.NewWriter(w)
	fields := []message.Named{
		{Name: "From", Value: "<" + h.From + ">"},
		{Name: "Reply-To", Value: "<" + h.Answers.String() + ">"},
		{Name: "To", Value: "<" + h.To.String() + ">"},
		{Name: "Subject", Value: r.Subject},
		{Name: "Date", Value: h.When.Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{Name: "Message-ID", Value: "<" + h.MessageID + ">"},
	}
	if strings.HasPrefix(h.InReplyTo, "<") && !strings.ContainsFunc(h.InReplyTo, func(c rune) bool { return c >= utf8.RuneSelf }) {
		fields = append(fields, message.Named{Name: "In-Reply-To", Value: h.InReplyTo}, message.Named{Name: "References", Value: h.InReplyTo})
	}
	fields = append(fields, message.Named{Name: "MIME-Version", Value: "1.0"})
	head := message.Block(fields) + "Content-Type: multipart/mixed; boundary=" + body.Boundary() + "\r\n\r\n"
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	text := "Written on the pickup page by " + h.Answers.String() + ":\n\n" + r.Text + "\n"
	if err := inBase64(body, "text/plain; charset=utf-8", "", strings.NewReader(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))); err != nil {
		return err
	}
	for _, f := range r.Files {
		if err := f.write(body); err != nil {
			return err
		}
	}
	return body.Close()
}

func (f ReplyFile) write(body *multipart.Writer) error {
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close() // read only
	name := fileName(f.Name)
	if name == "" {
		name = "file"
	}
	return inBase64(body, "application/octet-stream", mime.FormatMediaType("attachment", map[string]string{"filename": name}), in)
}

func inBase64(body *multipart.Writer, kind, disposition string, in io.Reader) error {
	h := textproto.MIMEHeader{"Content-Type": {kind}, "Content-Transfer-Encoding": {"base64"}}
	if disposition != "" {
		h.Set("Content-Disposition", disposition)
	}
	part, err := body.CreatePart(h)
	if err != nil {
		return err
	}
	enc := message.NewBase64(part)
	if _, err := io.Copy(enc, in); err != nil {
		return err
	}
	return enc.Close()
}
