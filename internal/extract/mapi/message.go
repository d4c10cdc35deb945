package mapi

import (
	"encoding/binary"
	"strings"

	"github.com/stanch-dlp/stanch/internal/extract/codepage"
)

// Numbers of properties. [MS-OXPROPS] 2.
const (
	MessageClass     = 0x001a
	Subject          = 0x0037
	TransportHeaders = 0x007d
	SenderName       = 0x0c1a
	SenderAddress    = 0x0c1f
	RecipientType    = 0x0c15
	Body             = 0x1000
	RTFCompressed    = 0x1009
	HTML             = 0x1013
	DisplayName      = 0x3001
	EmailAddress     = 0x3003
	Comment          = 0x3004
	AttachData       = 0x3701
	AttachFilename   = 0x3704
	AttachMethod     = 0x3705
	AttachLongName   = 0x3707
	AttachPath       = 0x3708
	AttachLongPath   = 0x370d
	AttachMIMETag    = 0x370e
	AttachContentID  = 0x3712
	SMTPAddress      = 0x39fe
	LocaleID         = 0x3ff1
	InternetCodepage = 0x3fde
	MessageCodepage  = 0x3ffd
)

// Numbers of named properties: who is on a list, by entry and by name and address.
// [MS-OXOCNTC] 2.2.2.2.1, 2.2.2.2.2.
const (
	ListOneOffs = 0x8054
	ListMembers = 0x8055
)

// Message is a message, or an appointment, contact, task and so on.
type Message struct {
	Props       Props
	Recipients  []Props
	Attachments []Attachment
	Other       [][]byte // attributes whose words alone are read
	Page        int      // code page of strings that do not say theirs
}

// Attachment is what comes with a message. At most one of Open, Inner and
// Storage is set; none: its bytes are elsewhere.
type Attachment struct {
	Props   Props
	Open    func() ([]byte, error)   // its bytes
	Inner   func() (*Message, error) // a message; with an error what could be read
	Storage any                      // an OLE object: the *cfb.Entry that holds it
}

// Name returns an attachment's file name, "" where it has none.
func (a *Attachment) Name(page int) string {
	for _, id := range []uint16{AttachLongName, AttachFilename, AttachLongPath, AttachPath, DisplayName} {
		if s := strings.TrimSpace(a.Props.Text(id, page)); s != "" {
			return s
		}
	}
	return ""
}

// FindPage returns the code page of a message's strings: what it says, else what
// its language is written in, else windows-1252.
//
// Source: [MS-OXCMSG] 2.2.1.4, 2.2.1.5.
func FindPage(ps Props) int {
	for _, id := range []uint16{MessageCodepage, InternetCodepage} {
		if n := int(ps.Int(id)); n != codepage.UTF16 && codepage.Known(n) {
			return n
		}
	}
	if n := pageOf(ps.Int(LocaleID)); n != 0 {
		return n
	}
	return codepage.Latin1
}

// pageOf returns the code page of a language, 0 for the Western ones.
//
// Source: [MS-LCID] 2.2; Microsoft, National Language Support.
func pageOf(locale int64) int {
	switch locale & 0xffff {
	case 0x0404, 0x0c04, 0x1404:
		return 950
	case 0x0804, 0x1004:
		return 936
	case 0x0c1a, 0x1c1a, 0x201a:
		return 1251
	}
	switch locale & 0x3ff {
	case 0x01, 0x20, 0x29:
		return 1256
	case 0x02, 0x19, 0x22, 0x23, 0x2f:
		return 1251
	case 0x05, 0x0e, 0x15, 0x18, 0x1a, 0x1b, 0x1c, 0x24:
		return 1250
	case 0x08:
		return 1253
	case 0x0d:
		return 1255
	case 0x11:
		return 932
	case 0x12:
		return 949
	case 0x1e:
		return 874
	case 0x1f, 0x2c:
		return 1254
	case 0x25, 0x26, 0x27:
		return 1257
	case 0x2a:
		return 1258
	}
	return 0
}

// Named is what a property from 0x8000 on is called: by a text or by a number.
type Named struct {
	Text string
	LID  uint32
}

// Names reads what properties are called, from the stream of their entries and
// that of their texts.
//
// Source: [MS-OXMSG] 2.2.3; [MS-PST] 2.4.7.
func Names(entries, texts []byte) map[uint16]Named {
	le, named := binary.LittleEndian, map[uint16]Named{}
	for ; len(entries) >= 8; entries = entries[8:] {
		what, kind := le.Uint32(entries), le.Uint16(entries[4:])
		id := 0x8000 + le.Uint16(entries[6:])
		if kind&1 == 0 {
			named[id] = Named{LID: what}
			continue
		}
		if at := int64(what); at+4 <= int64(len(texts)) {
			n := int64(le.Uint32(texts[at:]))
			if at+4+n <= int64(len(texts)) {
				named[id] = Named{Text: codepage.Decode16(texts[at+4 : at+4+n])}
			}
		}
	}
	return named
}
