package smtp

import (
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// What another door for mail needs, so that both read the same addresses, hold
// the same bounds and speak the same words.

// Wording turns the outcome of a message into the reply to its client
// (docs/contract.md, SMTP replies). sent says that the message went on and was
// answered: without it, no Passed outcome is believed.
func Wording(out dlp.Outcome, sent bool, contact string) dlp.Reply {
	return wording(out, sent, contact)
}

// ReplyTo words an error of this package's readers for a client: a refusal as it
// is, anything else as "451 4.3.0", whose text says nothing about the cause.
func ReplyTo(err error) dlp.Reply { return toReply(err) }

// ReadSender reads a reverse-path, with or without angle brackets, and the
// parameters of MAIL that came with it. The mail server that hands them over has
// accepted them for itself: those that are not known here, or not as they are
// given, are left out. The error is one for ReplyTo.
func ReadSender(path string, params []string) (dlp.Address, dlp.MailParams, error) {
	path = bracket(path)
	from, opt, err := parseMail("FROM:" + path + known(params, "BODY", "SMTPUTF8", "RET", "ENVID"))
	if err != nil {
		from, opt, err = parseMail("FROM:" + path + known(params, "SMTPUTF8"))
	}
	return from, opt.MailParams, err
}

// ReadRcpt reads a forward-path and the parameters of RCPT, as ReadSender.
// beyondASCII says that the sender's parameters allow for other than ASCII.
func ReadRcpt(path string, params []string, beyondASCII bool) (dlp.Address, dlp.RcptParams, error) {
	path = bracket(path)
	rcpt, p, err := parseRcpt("TO:"+path+known(params, "NOTIFY", "ORCPT"), beyondASCII)
	if err != nil {
		rcpt, p, err = parseRcpt("TO:"+path, beyondASCII)
	}
	return rcpt, p, err
}

// bracket returns path in the angle brackets that a command has around it.
func bracket(path string) string {
	if strings.HasPrefix(path, "<") {
		return path
	}
	return "<" + path + ">"
}

// known joins those params that have one of the names, each after a space.
func known(params []string, names ...string) string {
	var b strings.Builder
	for _, p := range params {
		name, _, _ := strings.Cut(p, "=")
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			b.WriteString(" " + p)
		}
	}
	return b.String()
}

// Intake takes one message in under the bounds of the mail door: its size, its
// longest line, its Received fields.
type Intake struct{ in intake }

// NewIntake returns an Intake of at most max bytes, kept in buf.
func NewIntake(buf *buffer.Buffer, max int64) *Intake {
	return &Intake{intake{buf: buf, max: max}}
}

// Add takes the next bytes. Past a bound they are counted and dropped.
func (in *Intake) Add(p []byte) {
	for len(p) > 0 {
		n := min(len(p), maxBodyLine)
		in.in.add(p[:n])
		p = p[n:]
	}
}

// TooMuch reports that a refused message goes on for longer than is worth
// reading.
func (in *Intake) TooMuch() bool { return in.in.tooMuch() }

// Done ends the message: it is kept whole, or the error is one for ReplyTo.
func (in *Intake) Done() error { return in.in.done() }

// Close frees what is kept.
func (in *Intake) Close() { in.in.close() }
