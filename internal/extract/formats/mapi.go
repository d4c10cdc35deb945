package formats

import (
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/mapi"
	"github.com/stanch-dlp/stanch/internal/extract/msg"
	"github.com/stanch-dlp/stanch/internal/extract/rtf"
	"github.com/stanch-dlp/stanch/internal/extract/tnef"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Media types of messages that are kept as properties.
const (
	mediaTNEF = "application/vnd.ms-tnef"
	mediaMSG  = "application/vnd.ms-outlook"
)

// tnef reads winmail.dat.
func (j *job) tnef(at place, b []byte) error {
	m, err := tnef.Read(b)
	if m != nil {
		j.outlook(place{path: memberPath(at), depth: at.depth + 1, mail: true}, m, nil)
	}
	return outlookError(err, "tnef")
}

// msg reads an Outlook message file that was found in a compound file.
func (j *job) msg(at place, f *cfb.File) error {
	m, err := msg.Read(f)
	j.outlook(place{path: memberPath(at), depth: at.depth + 1, mail: true}, m, f)
	return outlookError(err, "msg")
}

// memberPath returns what the numbers of a message follow that is a file.
func memberPath(at place) string {
	if at.path == "" {
		return ""
	}
	return at.path + "/"
}

// outlookError turns a parser's error into a gap.
func outlookError(err error, what string) error {
	if ge, ok := errors.AsType[*gapError](err); ok { // of whoever counts
		return ge
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tnef.ErrTooMany):
		return gapOf(dlp.TooMany, what)
	case errors.Is(err, msg.ErrTooLarge):
		return gapOf(dlp.TooLarge, what)
	case errors.Is(err, tnef.ErrChecksum): // all was read; some programs read none of it
		return gapOf(dlp.Ambiguous, "tnef checksum")
	}
	return gapOf(dlp.Corrupt, what)
}

// outlook reads a message that is kept as properties, as message reads one that
// is not: a header, the bodies it has, its attachments. at.path is what their
// numbers follow; f is the file that the message is kept in, nil where it is none.
func (j *job) outlook(at place, m *mapi.Message, f *cfb.File) {
	j.scope = &scope{shown: map[string]bool{}, outer: j.scope}
	defer j.endMessage()
	j.part(place{path: sub(at.path, "HEADER")}, "text/rfc822-headers")
	j.outlookHeader(m)
	for _, b := range m.Other {
		j.looseWords(b)
	}
	for _, p := range m.Props {
		if p.LID == mapi.ListMembers || p.LID == mapi.ListOneOffs {
			for _, v := range p.Values {
				j.looseWords(v)
			}
		}
	}
	n := 0
	next := func() place {
		n++
		return place{path: sub(at.path, itoa(n)), depth: at.depth + 1, mail: true}
	}
	for i := range m.Props {
		if p := &m.Props[i]; len(p.Values) > 0 && len(p.Values[0]) > 0 {
			j.outlookBody(next, p, m)
		}
	}
	for i := range m.Attachments {
		if j.full || j.out.err != nil {
			return
		}
		j.attachment(next(), &m.Attachments[i], m.Page, f)
	}
}

// outlookBody reads a property that is a body.
func (j *job) outlookBody(next func() place, p *mapi.Prop, m *mapi.Message) {
	v := p.Values[0]
	switch {
	case p.ID == mapi.Body && p.IsText():
		in := next()
		in.media, in.charset = "text/plain", encUTF8
		j.leaf(in, memory([]byte(p.Text(m.Page))))
	case p.ID == mapi.HTML || p.ID == mapi.Body && p.Type == mapi.Binary:
		in := next()
		in.media = "text/html"
		page := int(m.Props.Int(mapi.InternetCodepage))
		switch {
		case p.IsText():
			v, in.decoded = []byte(p.Text(m.Page)), true
		case page != codepage.UTF16 && page != codepage.UTF8 && codepage.Known(page) && htmlEncoding(v[:min(len(v), headSize)], "") == encUTF8:
			v, in.decoded = []byte(codepage.Decode(page, v)), true
		}
		j.leaf(in, memory(v))
	case p.ID == mapi.RTFCompressed && p.Type == mapi.Binary:
		in := next()
		b, err := v, error(nil)
		if rtf.IsCompressed(v) {
			b, err = rtf.Decompress(v)
			if e := j.spend(len(b)); e != nil {
				j.gap(in, dlp.TooLarge, "compressed rtf", 0)
				return
			}
		}
		j.leaf(in, memory(b))
		if err != nil {
			j.gap(in, dlp.Corrupt, "compressed rtf", 0)
		}
	}
}

// outlookHeader writes the header that a message had in transport, and below it
// every property that holds words.
func (j *job) outlookHeader(m *mapi.Message) {
	if h := m.Props.Text(mapi.TransportHeaders, m.Page); h != "" {
		fields, _ := splitHeader([]byte(h))
		j.fields(fields, nil)
	}
	class := strings.ToLower(m.Props.Text(mapi.MessageClass, m.Page))
	if name, address := m.Props.Text(mapi.SenderName, m.Page), m.Props.Text(mapi.SenderAddress, m.Page); name != "" || address != "" {
		j.outlookField("From", name+" <"+address+">")
	}
	for _, p := range m.Props {
		label := p.Label()
		if label == "" || p.ID == mapi.TransportHeaders || len(p.Values) == 0 {
			continue
		}
		dated := p.Type&^mapi.Many == mapi.Time || p.Type&^mapi.Many == mapi.AppTime
		if !p.IsText() && p.Name == "" && !(dated && !strings.HasPrefix(label, "Property-")) { // numbers mean something to a program, but where a person named them
			continue
		}
		if p.Name == "" && strings.HasPrefix(class, "ipm.note") && !p.IsText() && label != "Date" && label != "Delivery-Date" {
			continue
		}
		j.outlookField(label, p.Text(m.Page))
	}
	for _, ps := range m.Recipients {
		label := "To"
		switch ps.Int(mapi.RecipientType) & 3 {
		case 2:
			label = "Cc"
		case 3:
			label = "Bcc"
		}
		name, address := ps.Text(mapi.DisplayName, m.Page), ps.Text(mapi.SMTPAddress, m.Page)
		if address == "" {
			address = ps.Text(mapi.EmailAddress, m.Page)
		}
		j.outlookField(label, name+" <"+address+">")
	}
	for i := range m.Attachments {
		j.outlookField("Attachment", m.Attachments[i].Name(m.Page))
	}
}

// outlookField writes a field, unless it has nothing.
func (j *job) outlookField(label, value string) {
	value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "<>"))
	if value == "" {
		return
	}
	label = validString(label[:min(len(label), wire.MaxPath)])
	j.out.writeString(label + ": ")
	j.out.field(value, label, 0)
	j.out.writeString("\n")
}

// attachment reads what comes with a message.
func (j *job) attachment(at place, a *mapi.Attachment, page int, f *cfb.File) {
	at.name = a.Name(page)
	at.cid = strings.Trim(a.Props.Text(mapi.AttachContentID, page), "<>")
	media := strings.ToLower(strings.TrimSpace(a.Props.Text(mapi.AttachMIMETag, page)))
	switch {
	case a.Inner != nil:
		if !j.admit(at) {
			return
		}
		j.unit(at, wire.Normal, func() error {
			m, err := a.Inner()
			if m != nil {
				j.outlook(place{path: at.path, depth: at.depth + 1, mail: true}, m, f)
			}
			return outlookError(err, "message")
		})
	case a.Storage != nil:
		if !j.admit(at) {
			return
		}
		j.unit(at, wire.Normal, func() error {
			dir, size := a.Storage.(*cfb.Entry), int64(0)
			for _, e := range f.Within(dir) {
				size += e.Size
			}
			j.compound(at, f, dir, size)
			return nil
		})
	case a.Open == nil:
		if j.admit(at) {
			j.part(at, "application/octet-stream")
			j.gap(at, dlp.Unsupported, "attachment by reference", 0)
		}
	default:
		b, err := a.Open()
		if strings.HasPrefix(media, "multipart/") { // the whole of a signed message
			if j.admit(at) {
				j.unit(at, wire.Normal, func() error {
					j.message(place{path: at.path, depth: at.depth + 1, mail: true}, b)
					return nil
				})
			}
		} else {
			at.mail = false
			j.leaf(at, memory(b))
		}
		if err != nil {
			j.gap(at, dlp.Corrupt, "attachment", 0)
		}
	}
}
