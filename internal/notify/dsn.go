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
	boundary := "=_stanch_" + string(d.ID) // "=_" stands in no text that is 7bit or quoted-printable
	b := c.head(nil, "dsn", "Your message could not be delivered", d.Hostname, d.ID, d.To, d.When)
	b = message.AppendField(b, "Content-Type", `multipart/report; report-type=delivery-status; boundary="`+boundary+`"`)
	open := []byte("\r\n--" + boundary + "\r\n")

	b = append(b, open...)
	b = message.AppendText(b, c.dsnText(d))

	b = append(b, open...)
	b = append(b, "Content-Type: message/delivery-status\r\n\r\n"...)
	b = message.AppendField(b, "Reporting-MTA", "dns; "+d.Hostname)
	if !d.Arrived.IsZero() {
		b = message.AppendField(b, "Arrival-Date", d.Arrived.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	for _, f := range d.Failed {
		b = append(b, "\r\n"...)
		b = message.AppendField(b, "Final-Recipient", "rfc822; "+f.Rcpt.String())
		b = message.AppendField(b, "Action", "failed")
		b = message.AppendField(b, "Status", status(f))
		if f.Code > 0 {
			b = message.AppendField(b, "Diagnostic-Code", fmt.Sprintf("smtp; %d %s", f.Code, status(f)))
		}
	}

	b = append(b, open...)
	b = append(b, "Content-Type: text/rfc822-headers\r\n\r\n"...)
	b = message.AppendField(b, "X-Stanch-Id", string(d.ID))
	return append(b, "\r\n--"+boundary+"--\r\n"...)
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
