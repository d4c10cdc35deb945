// Package notify words the messages that tell a sender what became of a mail.
//
// It promises that a notice holds nothing of the mail it speaks of: kinds of
// data, places and our own id, never the data, a name, a subject or an address
// of anybody but its reader. It composes; others send.
package notify

import (
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Interval is how long a sender is not told again under the same policy.
const Interval = time.Hour

// maxDigests is how many digests there may be a day.
const maxDigests = 24

// Config is how notices speak.
type Config struct {
	// Contact is where a sender can turn to, in a few words: an address, a
	// telephone number, a page. Empty: the postmaster of the gateway.
	Contact string `toml:"contact"`
	// From is the address that notices come from. Empty: postmaster@ the
	// gateway's hostname.
	From string `toml:"from"`
	// Officers are the addresses that are told when a bypass begins and ends, by `at_once` and `digest`, and first when mail of an urgent sender is held.
	Officers []string `toml:"officers"`
	// AtOnce has officers told at once when something is held for a finding of this severity or a worse one: `low`, `medium` or `high`. At most 20 such notices go out within an hour. Empty: they are not.
	AtOnce string `toml:"at_once"`
	// Digest are the times of day, such as `["07:30", "13:00"]`, by the server's clock, at which officers are told how much is held, by which rules, and how much of it since the last time. Nothing is sent while nothing is held.
	Digest []string `toml:"digest"`
}

// Default returns the defaults, which are empty.
func Default() Config { return Config{} }

// Validate reports the first bad value as a *dlp.KeyError.
func (c *Config) Validate() error {
	if len(c.Contact) > 200 || strings.ContainsFunc(c.Contact, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &dlp.KeyError{Key: "notify.contact", Want: "one line of at most 200 bytes"}
	}
	for i, o := range c.Officers {
		if !ValidAddress(o) {
			return &dlp.KeyError{Key: fmt.Sprintf("notify.officers[%d]", i), Want: "an address such as privacy@clinic.example, without a name"}
		}
	}
	if _, ok := c.AtOnceSeverity(); c.AtOnce != "" && !ok {
		return &dlp.KeyError{Key: "notify.at_once", Want: `"low", "medium" or "high"`}
	}
	for i, s := range c.Digest {
		if _, err := time.Parse(clockForm, s); err != nil || len(c.Digest) > maxDigests {
			return &dlp.KeyError{Key: fmt.Sprintf("notify.digest[%d]", i), Want: `a time of day such as "07:30", at most 24 of them`}
		}
	}
	if len(c.Officers) == 0 && (c.AtOnce != "" || len(c.Digest) > 0) {
		return &dlp.KeyError{Key: "notify.officers", Want: "somebody to tell, with at_once or digest"}
	}
	if c.From == "" {
		return nil
	}
	if a, err := mail.ParseAddress(c.From); err != nil || a.Address != c.From {
		return &dlp.KeyError{Key: "notify.from", Want: "an address such as postmaster@gw.example, without a name"}
	}
	return nil
}

// Notice is what a sender is told of.
type Notice struct {
	ID       dlp.ID
	Hostname string         // of the gateway
	To       dlp.Address    // the reader: the sender of the mail; not the null reverse-path
	Hidden   bool           // To says what must not be repeated: it stands in the envelope alone
	Types    []dlp.Type     // kinds of data that counted
	Parts    []string       // paths of the parts they lie in, never names
	Causes   []dlp.Cause    // why something could not be read
	Coaching []dlp.Coaching // what the site says of such data
	Policy   string         // id of the policy that decided; not shown, it throttles
	When     time.Time      // of the notice
	Note     string         // of a reviewer who rejected it, in their words; "" for none
	Late     bool           // Rejected: nobody decided in time
	Choices  *Choices       // what the reader may do about it; nil: nothing
	Decision bool           // Rejected: after it was held, and of this one message
}

// Choices are what the sender of a held message may do about it by a page.
type Choices struct {
	Link    string // of the page
	Until   time.Time
	Encrypt bool // to have it go encrypted instead is one of them
}

// timesOfOwn is how often a sender is told within Interval where every notice is of
// one message: it has a link of its own, or says what somebody decided.
const timesOfOwn = 20

// Times is how often the reader is told of the same within Interval.
func (n Notice) Times() int {
	if n.Choices != nil || n.Decision {
		return timesOfOwn
	}
	return 1
}

// Held returns the message that tells n.To that their mail waits for review:
// complete, with CRLF line ends, to be sent from the null reverse-path.
func (c Config) Held(n Notice) []byte {
	text := paragraphs(
		"Your message is held for review: "+reason(n),
		where(n.Parts),
		"It does not reach the recipients it is held for until an authorized person has looked at it. You need not send it again.",
		advice(n.Coaching),
		n.Choices.words(),
		limits(n),
		c.help(n.Hostname, n.ID),
	)
	return c.compose(n, "held", "Your message was held for review", text)
}

// words say what a reader may do, and where.
func (c *Choices) words() string {
	if c == nil {
		return ""
	}
	encrypt := ""
	if c.Encrypt {
		encrypt = "have it sent encrypted instead, "
	}
	return "You can cancel it, " + encrypt + "or ask for its release and say why. You need not sign in, and opening this page changes nothing:\n" +
		c.Link + "\nThe link works once, until " + noticeTime(c.Until) + " or until somebody has decided. Do not pass it on."
}

// limits says of what the reader is not told.
func limits(n Notice) string {
	if n.Decision {
		return "Of more than " + strconv.Itoa(n.Times()) + " messages that are refused after they were held within an hour the others are not told of."
	}
	if n.Choices != nil {
		return "Of more than " + strconv.Itoa(n.Times()) + " messages that are held for the same reason within an hour the others are not told of."
	}
	return "Of further messages that are held for the same reason within the next hour you are not told."
}

// Waiting returns the message that tells n.To that their mail waits for rcpts of
// its recipients to be opened on a page, and by which link of n.Choices it is
// taken back.
func (c Config) Waiting(n Notice, rcpts int) []byte {
	who, they, plural := "one recipient who has", "that recipient opens", ""
	if rcpts != 1 {
		who, they, plural = strconv.Itoa(rcpts)+" recipients who have", "they open", " each"
	}
	text := paragraphs(
		"Your message went encrypted"+because(n)+". For "+who+" no other way to read encrypted mail it waits on a page, which "+they+" by a link"+plural+" and a code. "+
			"It can be opened until "+noticeTime(n.Choices.Until)+"; then it is gone.",
		"If it was the wrong message or the wrong person, take it back: it cannot be opened any more then. The page also says whether it has been opened. "+
			"You need not sign in, and opening this page changes nothing:\n"+n.Choices.Link+"\nThe link works once. Do not pass it on.",
		"Of more than "+strconv.Itoa(n.Times())+" messages that wait so within an hour the others are not told of.",
		advice(n.Coaching),
		c.help(n.Hostname, n.ID),
	)
	return c.compose(n, "waits", "Your message waits to be opened", text)
}

// because says what an act was for, as a piece of a sentence: nothing where a sender
// asked for it, and no rule did.
func because(n Notice) string {
	if len(n.Types)+len(n.Causes) == 0 {
		return ""
	}
	return ", because " + strings.TrimSuffix(reason(n), ".")
}

// noticeTime is a time as notices say it.
func noticeTime(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04") + " UTC" }

// Rejected returns the message that tells n.To that their mail was refused, by
// a policy, by a reviewer or, with n.Late, by time.
func (c Config) Rejected(n Notice) []byte {
	what, bound := "Your message was refused, and the recipients it was refused for do not get it: ", ""
	if n.Late {
		what = "Your message waited for review, and nobody decided about it in time. The recipients it was held for do not get it. It was held because "
	}
	if n.Decision {
		bound = limits(n)
	}
	text := paragraphs(
		what+reason(n),
		where(n.Parts),
		noteOf(n),
		advice(n.Coaching),
		"If it has to reach its recipients, take that information out or send it in a way that is meant for it.",
		bound,
		c.help(n.Hostname, n.ID),
	)
	return c.compose(n, "rejected", "Your message was refused", text)
}

// advice is what the site tells senders of such data, or "". It is a paragraph
// for each, its address on a line of its own.
func advice(list []dlp.Coaching) string {
	var out []string
	for _, c := range list {
		text := "About sending such data: " + c.Text
		if c.URL != "" {
			text += "\n" + c.URL
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n\n")
}

// noteOf is what a reviewer wrote to the sender, or "".
func noteOf(n Notice) string {
	if n.Note == "" {
		return ""
	}
	return "Whoever reviewed it writes:\n" + strings.Map(plainRune, n.Note)
}

// plainRune drops what is no text: control characters but the end of a line and a tab,
// and what turns the direction of the text about it (Unicode UAX 9).
func plainRune(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}

// Stub returns the text that stands in the place of a file that was taken
// away, with LF line ends. It uses n.ID, n.Types, n.Causes
// and n.Coaching.
func Stub(n Notice, c Config) []byte {
	contact := c.Contact
	if contact == "" {
		contact = "the people who run stanch here"
	}
	return []byte(paragraphs(
		"The file that stood here was taken away and is held for review: "+reason(n),
		"It is safe, and comes back to this place when it is released.",
		advice(n.Coaching),
		"Questions: "+contact+"\nFile id: "+string(n.ID),
	))
}

// help is the last paragraph: where to turn to, and what to say there.
func (c Config) help(hostname string, id dlp.ID) string {
	contact := c.Contact
	if contact == "" {
		contact = c.from(hostname)
	}
	return "Questions: " + contact + "\nMessage id: " + string(id) +
		"\n\nThis notice was written by a program. It repeats nothing of what you wrote."
}

func (c Config) from(hostname string) string {
	if c.From != "" {
		return c.From
	}
	return "postmaster@" + hostname
}

// head is the header fields that all messages of ours have; to is the To field.
//
// Source: RFC 3834 3.1 and 5 (automatic responses); RFC 5322 3.6.
func (c Config) head(kind, subject, hostname string, id dlp.ID, to string, when time.Time) []message.Named {
	return []message.Named{
		{Name: "From", Value: "<" + c.from(hostname) + ">"},
		{Name: "To", Value: to},
		{Name: "Subject", Value: subject},
		{Name: "Date", Value: when.Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{Name: "Message-ID", Value: "<" + kind + "." + string(id) + "." + when.UTC().Format("20060102150405.000") + "@" + hostname + ">"},
		{Name: "Auto-Submitted", Value: "auto-replied"},
		{Name: "X-Auto-Response-Suppress", Value: "All"},
		{Name: "X-Stanch-Id", Value: string(id)},
	}
}

// reader is the To field. An address outside ASCII cannot stand in a header that
// is ASCII; its place is the envelope, as that of one that is hidden.
// RFC 5322 3.4: a group may be empty.
func reader(to dlp.Address, hidden bool) string {
	if to.IsASCII() && !hidden {
		return "<" + to.String() + ">"
	}
	return "undisclosed-recipients:;"
}

func (c Config) compose(n Notice, kind, subject, text string) []byte {
	return message.Entity{Fields: c.head(kind, subject, n.Hostname, n.ID, reader(n.To, n.Hidden), n.When), Text: text}.Compose()
}

// Wanted reports whether a notice may be sent in answer to a mail with these
// header fields from this reverse-path: not to the null one, not to programs,
// not to lists.
//
// Source: RFC 3834 2.
func Wanted(header message.Fields, from dlp.Address) bool {
	if message.AutoSubmitted(header, from) {
		return false
	}
	local := strings.ToLower(from.Local)
	return local != "mailer-daemon" && !strings.HasPrefix(local, "owner-") && !strings.HasSuffix(local, "-request") &&
		!strings.HasSuffix(local, "-owner") && !strings.HasSuffix(local, "-bounces")
}

// Key stands for a sender and a policy: while it is younger than Interval the
// sender is not told again. mac is keyed, so that the mark tells nobody.
func Key(mac func(kind string, parts ...[]byte) [32]byte, sender dlp.Address, policy string) [32]byte {
	// Mail systems that tell Ann@ from ann@ are rare, two notices are no harm.
	return mac("notice", []byte(strings.ToLower(sender.String())), []byte(policy))
}
