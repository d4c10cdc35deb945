package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	maxReplyLine  = 1024 // bytes of a reply line read or written; RFC 5321 4.5.3.1.5 asks for 512
	maxReplyLines = 100  // lines of one reply; EHLO of a rich server has about 20
)

// ReplyError is a refusal by the next hop: a 4yz or 5yz reply.
type ReplyError struct{ dlp.Reply }

// Error gives the codes. The text may hold PHI and is left out.
func (e *ReplyError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("smtp: next hop replied %d %s", e.Code, e.Enhanced))
}

// errReply says that the next hop spoke something other than SMTP.
var errReply = errors.New("no proper reply")

// errOutOfStep says that the next hop has said more than was asked: its next
// answer read would not be its own.
var errOutOfStep = errors.New("more answers than questions")

// errElsewhere says that the next hop is elsewhere in the conversation; see
// hop.elsewhere.
var errElsewhere = errors.New("answered out of sequence")

// refusal makes the error with which the readers of foreign bytes say what the
// client is to be told.
func refusal(code int, enhanced gosmtp.EnhancedCode, text string) *gosmtp.SMTPError {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

// toReply words err for the client: a refusal as it is, anything else as
// "451 4.3.0", whose text says nothing about the cause.
func toReply(err error) dlp.Reply {
	e, ok := errors.AsType[*gosmtp.SMTPError](err)
	if !ok {
		return replyTryAgain
	}
	c := e.EnhancedCode
	return dlp.Reply{Code: e.Code, Enhanced: fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2]), Text: e.Message}
}

// The door's fixed replies.
var (
	replyOK         = dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "OK"}
	replySenderOK   = dlp.Reply{Code: 250, Enhanced: "2.1.0", Text: "Sender OK"}
	replyRcptOK     = dlp.Reply{Code: 250, Enhanced: "2.1.5", Text: "Recipient OK"}
	replyBye        = dlp.Reply{Code: 221, Enhanced: "2.0.0", Text: "Bye"}
	replyGoAhead    = dlp.Reply{Code: 354, Text: "End data with <CR><LF>.<CR><LF>"}
	replyTryAgain   = dlp.Reply{Code: 451, Enhanced: "4.3.0", Text: "Try again later"}
	replyUnreached  = dlp.Reply{Code: 451, Enhanced: "4.4.1", Text: "The next mail server does not answer, try again later"}
	replyNoRoom     = dlp.Reply{Code: 452, Enhanced: "4.3.1", Text: "No room for this message, try again later"}
	replyQueueFull  = dlp.Reply{Code: 451, Enhanced: "4.3.2", Text: "This message takes long to read, and many wait for that already; try again later"}
	replyTooMany    = dlp.Reply{Code: 452, Enhanced: "4.5.3", Text: "Too many recipients"}
	replyBusy       = dlp.Reply{Code: 421, Enhanced: "4.3.2", Text: "Too many connections, try again later"}
	replyBusyClient = dlp.Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many connections from your address, try again later"}
	replyErrors     = dlp.Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many errors"}
	replyStopping   = dlp.Reply{Code: 421, Enhanced: "4.3.2", Text: "Shutting down"}
	replyIdle       = dlp.Reply{Code: 421, Enhanced: "4.4.2", Text: "Waited too long"}
	replyBroken     = dlp.Reply{Code: 421, Enhanced: "4.3.0", Text: "Internal error, try again later"}
	replySequence   = dlp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Bad sequence of commands"}
	replyNoRcpt     = dlp.Reply{Code: 503, Enhanced: "5.5.1", Text: "No valid recipients"}
	replyUnknown    = dlp.Reply{Code: 500, Enhanced: "5.5.1", Text: "Unknown command"}
	replyNotHere    = dlp.Reply{Code: 502, Enhanced: "5.5.1", Text: "Command not implemented here"}
	replyArgument   = dlp.Reply{Code: 501, Enhanced: "5.5.4", Text: "Wrong argument"}
	replyDenied     = dlp.Reply{Code: 554, Enhanced: "5.7.1", Text: "Your address may not relay here"}
	replyEarly      = dlp.Reply{Code: 554, Enhanced: "5.5.0", Text: "You spoke before the greeting"}
	replyTooLarge   = dlp.Reply{Code: 552, Enhanced: "5.3.4", Text: "Message too large"}
	replyNoBinary   = dlp.Reply{Code: 554, Enhanced: "5.6.3", Text: "The next mail server takes no binary data"}
	replyNoUTF8     = dlp.Reply{Code: 553, Enhanced: "5.6.7", Text: "The next mail server does not take SMTPUTF8"}
	replyNo8Bit     = dlp.Reply{Code: 554, Enhanced: "5.6.3", Text: "The next mail server takes no 8-bit data"}
)

// What a message is refused for while it is read. Each is a *gosmtp.SMTPError.
var (
	errTooLarge = refusal(552, gosmtp.EnhancedCode{5, 3, 4}, "Message too large")
	errNoRoom   = refusal(452, gosmtp.EnhancedCode{4, 3, 1}, "No room for this message, try again later")
	errKeep     = refusal(451, gosmtp.EnhancedCode{4, 3, 0}, "Try again later")
	errLoop     = refusal(554, gosmtp.EnhancedCode{5, 4, 6}, "Too many hops: this message loops")
	errLongLine = refusal(554, gosmtp.EnhancedCode{5, 6, 0}, "A line of this message is longer than 64 KiB")
	errEndMark  = refusal(554, gosmtp.EnhancedCode{5, 6, 0}, "Bare CR or LF around an end of data")
	errBareLine = refusal(500, gosmtp.EnhancedCode{5, 5, 2}, "Bare CR or LF in a command")
	errLongCmd  = refusal(500, gosmtp.EnhancedCode{5, 5, 2}, "Command line too long")
)

// appendReply adds r as it goes on the wire: every line with its codes, no
// byte outside printable ASCII. A reply that no server may give becomes
// "451 4.3.0".
func appendReply(b []byte, r dlp.Reply) []byte {
	if r.Code < 200 || r.Code > 599 {
		r = replyTryAgain
	}
	if !enhancedFits(r.Enhanced, r.Code) {
		r.Enhanced = ""
	}
	for text, n := r.Text, 1; ; n++ {
		line, rest, more := strings.Cut(text, "\n")
		more = more && n < maxReplyLines
		b = strconv.AppendInt(b, int64(r.Code), 10)
		if more {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if r.Enhanced != "" {
			b = append(append(b, r.Enhanced...), ' ')
		}
		for j := range min(len(line), maxReplyLine-16) {
			c := line[j]
			if c < ' ' || c > '~' {
				c = '?'
			}
			b = append(b, c)
		}
		b = append(b, '\r', '\n')
		if !more {
			return b
		}
		text = rest
	}
}

// enhancedFits reports whether s is an enhanced code of the class that code
// has. RFC 2034 4, RFC 3463 2.
func enhancedFits(s string, code int) bool {
	class, rest, _ := strings.Cut(s, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	return len(class) == 1 && int(class[0]-'0') == code/100 && enhancedPart(subject) && enhancedPart(detail)
}

// enhancedPart reports one to three digits without a leading zero.
func enhancedPart(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == 1 || len(s) > 1 && len(s) <= 3 && s[0] != '0'
}

// readReply reads one reply of the next hop, of at most maxReplyLines lines of
// maxReplyLine bytes. RFC 5321 4.2.1.
func readReply(br *bufio.Reader) (dlp.Reply, error) {
	var r dlp.Reply
	var text []string
	for len(text) < maxReplyLines {
		line, err := br.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = errReply
			}
			return dlp.Reply{}, err
		}
		if len(line) > maxReplyLine {
			return dlp.Reply{}, errReply
		}
		s := string(bytes.TrimRight(line, "\r\n"))
		if len(s) < 3 || len(s) > 3 && s[3] != ' ' && s[3] != '-' {
			return dlp.Reply{}, errReply
		}
		code, err := strconv.Atoi(s[:3])
		if err != nil || code < 200 || code > 599 || r.Code != 0 && code != r.Code {
			return dlp.Reply{}, errReply
		}
		r.Code = code
		last := len(s) == 3 || s[3] == ' '
		s = s[min(len(s), 4):]
		if enh, rest, _ := strings.Cut(s, " "); enhancedFits(enh, code) {
			r.Enhanced, s = enh, rest
		}
		if last && text == nil {
			r.Text = s
			return r, nil
		}
		text = append(text, s)
		if last {
			r.Text = strings.Join(text, "\n")
			return r, nil
		}
	}
	return dlp.Reply{}, errReply
}
