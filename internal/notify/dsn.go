package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// DSNKind says what a DSN tells.
type DSNKind uint8

// The kinds. RFC 3464 2.3.3 calls them actions.
const (
	Failed  DSNKind = iota // some recipients will not get the mail
	Delayed                // they do not have it yet; it is tried again
	Relayed                // it went on to a server that will not report on it
)

// String is the action of RFC 3464 2.3.3.
func (k DSNKind) String() string {
	switch k {
	case Delayed:
		return "delayed"
	case Relayed:
		return "relayed"
	}
	return "failed"
}

// DSN is what a sender is told about some recipients of a mail.
type DSN struct {
	Kind     DSNKind
	ID       dlp.ID
	Hostname string         // of the gateway
	To       dlp.Address    // the reader: the sender of the mail; not the null reverse-path
	Hidden   bool           // To says what must not be repeated: it stands in the envelope alone
	EnvID    string         // the sender's own name for the mail, RFC 3461 4.4; "" for none
	Arrived  time.Time      // when the gateway took the mail
	When     time.Time      // of the notification
	Until    time.Time      // Delayed: when it is given up
	Types    []dlp.Type     // kinds of data, when a policy refused it
	Causes   []dlp.Cause    // why something could not be read, when a policy refused it
	Coaching []dlp.Coaching // what the site says of such data
	Rcpts    []RcptStatus
}

// RcptStatus is one recipient that a DSN is about.
type RcptStatus struct {
	Rcpt   dlp.Address
	ORcpt  string // as dlp.RcptParams has it
	Hidden bool   // Rcpt or ORcpt says what must not be repeated: the domain is told alone
	Status string // RFC 3463, such as "5.7.1"

	// Code and Enhanced are the last reply's; 0 when there was none, "" when it had
	// none. Its text is not told: it may quote the mail.
	Code     int
	Enhanced string
}

// DSN returns the notification as a complete message with CRLF line ends, to
// be sent from the null reverse-path. It returns nothing of the mail but our
// id: not its header, which RFC 3464 2 leaves open, whatever RET asked for.
//
// Source: RFC 3464 (delivery-status); RFC 6522 (multipart/report); RFC 3461 6.2.
func (c Config) DSN(d DSN) []byte {
	subject, _ := d.Kind.words(d)
	return message.Entity{
		Fields: c.head("dsn", subject, d.Hostname, d.ID, reader(d.To, d.Hidden), d.When),
		Type:   "multipart/report",
		// "=_" stands in no text that is 7bit or quoted-printable
		Params: map[string]string{"report-type": "delivery-status", "boundary": "=_stanch_" + string(d.ID)},
		Parts: []message.Entity{
			{Text: c.dsnText(d)},
			{Type: "message/delivery-status", Text: deliveryStatus(d)},
			{Type: "text/rfc822-headers", Text: message.Block([]message.Named{{Name: "X-Stanch-Id", Value: string(d.ID)}})},
		},
	}.Compose()
}

// deliveryStatus is the part for programs: a block of fields for the message,
// then one for each recipient, parted by empty lines.
//
// Source: RFC 3464 2.1.
func deliveryStatus(d DSN) string {
	var fields []message.Named
	if d.EnvID != "" {
		fields = append(fields, message.Named{Name: "Original-Envelope-Id", Value: d.EnvID})
	}
	fields = append(fields, message.Named{Name: "Reporting-MTA", Value: "dns; " + d.Hostname})
	if !d.Arrived.IsZero() {
		fields = append(fields, message.Named{Name: "Arrival-Date", Value: d.Arrived.Format("Mon, 02 Jan 2006 15:04:05 -0700")})
	}
	text := message.Block(fields)
	for _, f := range d.Rcpts {
		var fields []message.Named
		if f.ORcpt != "" && !f.Hidden {
			fields = append(fields, message.Named{Name: "Original-Recipient", Value: originalRcpt(f.ORcpt)})
		}
		fields = append(fields,
			message.Named{Name: "Final-Recipient", Value: finalRcpt(f.told())},
			message.Named{Name: "Action", Value: d.Kind.String()},
			message.Named{Name: "Status", Value: status(f)})
		if f.Code > 0 {
			fields = append(fields, message.Named{Name: "Diagnostic-Code", Value: diagnostic(f)})
		}
		if d.Kind == Delayed && !d.Until.IsZero() {
			fields = append(fields, message.Named{Name: "Will-Retry-Until", Value: d.Until.Format("Mon, 02 Jan 2006 15:04:05 -0700")})
		}
		text += "\r\n" + message.Block(fields)
	}
	return text
}

// told is the recipient as far as a report may name it. RFC 3464 leaves the form
// of a Final-Recipient to who reports, and 4.2 asks that it keep what is
// confidential.
func (f RcptStatus) told() dlp.Address {
	if f.Hidden {
		return dlp.Address{Local: "redacted", Domain: f.Rcpt.Domain}
	}
	return f.Rcpt
}

// finalRcpt is an address with its type. Outside ASCII it has the type utf-8, in
// the form that needs no more than ASCII. RFC 6533 3.
func finalRcpt(a dlp.Address) string {
	if a.IsASCII() {
		return "rfc822; " + a.String()
	}
	return "utf-8; " + message.UTF8Xtext(a.String())
}

// originalRcpt is what the sender called a recipient. RFC 3464 2.3.1.
func originalRcpt(s string) string {
	kind, addr, _ := strings.Cut(s, ";")
	if kind == "utf-8" {
		addr = message.UTF8Xtext(addr)
	}
	return kind + "; " + addr
}

// status returns f.Status if it has the form of RFC 3463 2, else one of the
// class of its code.
func status(f RcptStatus) string {
	if s := enhanced(f.Status); s != "" {
		return s
	}
	if f.Code >= 400 && f.Code <= 499 {
		return "4.0.0"
	}
	return "5.0.0"
}

// diagnostic is what the next hop said, its words left out. RFC 3464 2.3.6.
func diagnostic(f RcptStatus) string {
	s := "smtp; " + strconv.Itoa(f.Code)
	if e := enhanced(f.Enhanced); e != "" {
		s += " " + e
	}
	return s
}

// enhanced returns s if it has the form of RFC 3463 2, else "".
func enhanced(s string) string {
	var class, subject, detail int
	if n, err := fmt.Sscanf(s, "%d.%d.%d", &class, &subject, &detail); err == nil && n == 3 &&
		(class == 2 || class == 4 || class == 5) && subject >= 0 && subject < 1000 && detail >= 0 && detail < 1000 {
		return strconv.Itoa(class) + "." + strconv.Itoa(subject) + "." + strconv.Itoa(detail)
	}
	return ""
}

func (c Config) dsnText(d DSN) string {
	why := ""
	if len(d.Types)+len(d.Causes) > 0 {
		why = "It was refused, because " + Why(d.Types, d.Causes)
	}
	rcpts := "Recipients:"
	for _, f := range d.Rcpts {
		rcpts += "\n" + f.told().String() + " " + status(f)
	}
	_, text := d.Kind.words(d)
	return paragraphs(text, why, advice(d.Coaching), rcpts, c.help(d.Hostname, d.ID))
}

// words are the subject and the first paragraph.
func (k DSNKind) words(d DSN) (subject, text string) {
	switch k {
	case Delayed:
		text = "Your message has not reached the recipients named below yet. It is still being tried; you need not send it again."
		if !d.Until.IsZero() {
			text += " It is given up on " + d.Until.Format("Mon, 02 Jan 2006 15:04:05 -0700") + "."
		}
		return "Your message is delayed", text
	case Relayed:
		return "Your message went on", "You asked to be told when your message is delivered. It went on to a mail server that " +
			"will not report on the recipients named below, so this is the last you hear of it unless something goes wrong."
	}
	return "Your message could not be delivered", "Your message could not be delivered to the recipients named below. It will not be tried again."
}
