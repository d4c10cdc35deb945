package notify

import (
	"fmt"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// DSN is a mail that some recipients did not get.
type DSN struct {
	ID       dlp.ID
	Hostname string      // of the gateway
	To       dlp.Address // the reader: the sender of the mail; not the null reverse-path
	Arrived  time.Time   // when the gateway took the mail
	When     time.Time   // of the notification
	Types    []dlp.Type  // kinds of data, when a policy refused it
	Failed   []FailedRcpt
}

// FailedRcpt is one recipient who did not get it.
type FailedRcpt struct {
	Rcpt   dlp.Address
	Status string // RFC 3463, such as "5.7.1"
	Code   int    // the last reply's; 0 when there was none. Its text is not told: it may quote the mail
}

// DSN returns the notification as a complete message with CRLF line ends, to
// be sent from the null reverse-path. It returns nothing of the mail but our
// id: not its header, which RFC 3464 2 leaves open.
//
// Source: RFC 3464 (delivery-status); RFC 6522 (multipart/report).
func (c Config) DSN(d DSN) []byte {
	return message.Entity{
		Fields: c.head("dsn", "Your message could not be delivered", d.Hostname, d.ID, d.To, d.When),
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
	fields := []message.Named{{Name: "Reporting-MTA", Value: "dns; " + d.Hostname}}
	if !d.Arrived.IsZero() {
		fields = append(fields, message.Named{Name: "Arrival-Date", Value: d.Arrived.Format("Mon, 02 Jan 2006 15:04:05 -0700")})
	}
	text := message.Block(fields)
	for _, f := range d.Failed {
		fields := []message.Named{
			{Name: "Final-Recipient", Value: "rfc822; " + f.Rcpt.String()},
			{Name: "Action", Value: "failed"},
			{Name: "Status", Value: status(f)},
		}
		if f.Code > 0 {
			fields = append(fields, message.Named{Name: "Diagnostic-Code", Value: fmt.Sprintf("smtp; %d %s", f.Code, status(f))})
		}
		text += "\r\n" + message.Block(fields)
	}
	return text
}

// status returns f.Status if it has the form of RFC 3463 2, else one of the
// class of its code.
func status(f FailedRcpt) string {
	var class, subject, detail int
	if n, err := fmt.Sscanf(f.Status, "%d.%d.%d", &class, &subject, &detail); err == nil && n == 3 &&
		(class == 4 || class == 5) && subject >= 0 && subject < 1000 && detail >= 0 && detail < 1000 {
		return strconv.Itoa(class) + "." + strconv.Itoa(subject) + "." + strconv.Itoa(detail)
	}
	if f.Code >= 400 && f.Code <= 499 {
		return "4.0.0"
	}
	return "5.0.0"
}

func (c Config) dsnText(d DSN) string {
	why := ""
	if len(d.Types) > 0 {
		why = "It was refused, because " + reason("it", Notice{Types: d.Types})
	}
	rcpts := "Recipients:"
	for _, f := range d.Failed {
		rcpts += "\n" + f.Rcpt.String() + " " + status(f)
	}
	return paragraphs(
		"Your message could not be delivered to the recipients named below. It will not be tried again.",
		why,
		rcpts,
		c.help(d.Hostname, d.ID),
	)
}
