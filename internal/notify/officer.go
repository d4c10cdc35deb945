package notify

import (
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// BypassNotice tells an officer that mail passes unread, or is read again. Why
// is not in it: `stanch bypass list` says that.
type BypassNotice struct {
	ID       dlp.ID
	Hostname string      // of the gateway
	To       dlp.Address // the reader
	Ends     time.Time
	Over     bool
	Passed   int64 // messages, once it is over
	When     time.Time
}

// Bypass returns the notice as a complete message with CRLF line ends, to be
// sent from the null reverse-path.
func (c Config) Bypass(n BypassNotice) []byte {
	kind, subject := "bypass", "Outgoing mail passes unread (bypass)"
	text := paragraphs(
		"A bypass of "+n.Hostname+" was begun: until "+n.Ends.UTC().Format("2006-01-02 15:04 MST")+
			" outgoing mail passes without being read. It ends by itself; to end it at once: stanch bypass end",
		c.officerHelp(n.ID, "stanch bypass list"),
	)
	if n.Over {
		kind, subject = "bypass-over", "A bypass has ended: outgoing mail passes unread no more"
		text = paragraphs(
			fmt.Sprintf("The bypass of %s has ended: outgoing mail passes unread no more. Messages that passed unread: %d.", n.Hostname, n.Passed),
			c.officerHelp(n.ID, "stanch bypass list"),
		)
	}
	return message.Entity{Fields: c.officerHead(kind, subject, n.Hostname, n.ID, n.To, n.When), Text: text}.Compose()
}

func (c Config) officerHelp(id dlp.ID, command string) string {
	return "Who, when and why: " + command + "\nId: " + string(id) +
		"\n\nThis notice was written by a program. It repeats nothing of any message."
}

// officerHead is head for words that answer no mail.
func (c Config) officerHead(kind, subject, hostname string, id dlp.ID, to dlp.Address, when time.Time) []message.Named {
	fields := c.head(kind, subject, hostname, id, reader(to, false), when)
	for i := range fields {
		if fields[i].Name == "Auto-Submitted" {
			fields[i].Value = "auto-generated" // RFC 3834 5
		}
	}
	return fields
}

// OfficerAddresses returns Officers, which Validate has checked.
func (c Config) OfficerAddresses() []dlp.Address { return Addresses(c.Officers) }

// Addresses returns the addresses of a list that ValidAddress has checked.
func Addresses(list []string) []dlp.Address {
	var out []dlp.Address
	for _, s := range list {
		if at := strings.LastIndexByte(s, '@'); at > 0 {
			out = append(out, dlp.Address{Local: s[:at], Domain: s[at+1:]})
		}
	}
	return out
}

// ValidAddress reports an address of ASCII without a name and without quotes.
func ValidAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' })
}

// UrgentNotice calls an officer to a held message of an urgent sender.
type UrgentNotice struct {
	ID       dlp.ID
	Hostname string      // of the gateway
	To       dlp.Address // the reader
	Since    time.Time   // it is held
	By       time.Time   // when the next level is called
	Level    int         // how often somebody was called before
	When     time.Time
}

// Urgent returns the notice as a complete message with CRLF line ends, to be
// sent from the null reverse-path. It names neither sender nor recipients.
func (c Config) Urgent(n UrgentNotice) []byte {
	const form = "2006-01-02 15:04 MST"
	again := ""
	if n.Level > 0 {
		again = fmt.Sprintf("This is call %d: nobody has decided yet.", n.Level+1)
	}
	text := paragraphs(
		"A message of an urgent sender is held by "+n.Hostname+" since "+n.Since.UTC().Format(form)+" and waits for a decision. "+
			"It stays held until somebody decides.",
		again,
		"Look at it: stanch quarantine show "+string(n.ID)+
			"\nLet it go: stanch quarantine release "+string(n.ID)+
			"\nRefuse it: stanch quarantine reject "+string(n.ID),
		"Without a decision the next call is made at "+n.By.UTC().Format(form)+".",
		"This notice was written by a program. It repeats nothing of any message.",
	)
	kind := "urgent" + fmt.Sprint(n.Level)
	return message.Entity{Fields: c.officerHead(kind, "Urgent mail is held and waits for you", n.Hostname, n.ID, n.To, n.When), Text: text}.Compose()
}
