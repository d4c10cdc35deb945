package notify

import (
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// PickupNotice is what a recipient is told of a message that waits for them on
// a page.
type PickupNotice struct {
	ID       dlp.ID // of the parcel
	Hostname string // of the gateway
	Site     string // who writes
	Contact  string // whom to ask
	To       dlp.Address
	Link     string // with the key
	Until    time.Time
	When     time.Time
}

// Pickup returns the notice as a complete message with CRLF line ends. It says
// nothing of the message but that there is one.
func (c Config) Pickup(n PickupNotice) []byte {
	text := paragraphs(
		n.Site+" has sent you a message that only you can open. It is encrypted: the link below holds its key, and your browser opens it.",
		n.Link,
		"The page will send a code to this address before it opens the message. The link is good until "+n.Until.UTC().Format("2 January 2006")+
			". Do not pass it on.",
		"If you did not expect this, or doubt that it is genuine, ask "+n.Site+": "+n.Contact,
		"This notice was written by a program. It repeats nothing of the message.",
	)
	return c.toRecipient("pickup", "A message for you from "+n.Site, n, text)
}

// PickupCode returns the mail that brings a recipient their code.
func (c Config) PickupCode(n PickupNotice, code string) []byte {
	text := paragraphs(
		"Your code: "+code,
		"Enter it on the page on which you asked for it. It is good for 15 minutes and for one use; a newer code takes its place.",
		"If you did not ask for a code, somebody has the link that was sent to you. Do not tell anybody the code, and tell "+n.Site+": "+n.Contact,
	)
	return c.toRecipient("code", "Your code for the message from "+n.Site, n, text)
}

func (c Config) toRecipient(kind, subject string, n PickupNotice, text string) []byte {
	return message.Entity{Fields: c.officerHead(kind, subject, n.Hostname, n.ID, n.To, n.When), Text: text}.Compose()
}

// Sender is the address that notices come from.
func (c Config) Sender(hostname string) string { return c.from(hostname) }
