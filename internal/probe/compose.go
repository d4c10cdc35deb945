package probe

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/synth"
)

// maxSize bounds what is looked at for a probe, in bytes. A probe has less than
// a thousand; mail servers put header fields in front.
const maxSize = 64 << 10

// prefix begins the last line of a probe, and the name of a file that is one.
const prefix = "stanch-probe-"

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// tokenForm is an id of 16 random bytes, and the 16 bytes of its keyed digest.
var tokenForm = regexp.MustCompile(prefix + `([a-z2-7]{26})-([a-z2-7]{26})`)

// letter is a Referral under a token.
func letter(token string) string {
	return Referral() + "\nThe patient is invented: this is a test that such a text does not leave.\n" + token + "\n"
}

// Letter writes a Referral as an ordinary mail, with CRLF line ends. Nothing in it
// says what it is.
func Letter(from, to dlp.Address, at time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: Referral\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", from, to, at.Format(time.RFC1123Z), newID(), from.Domain)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n")
	b.WriteString(strings.ReplaceAll(Referral(), "\n", "\r\n"))
	return b.Bytes()
}

// Referral writes about a patient whom nobody has met before, and whom nobody is:
// what stands in it are invented numbers of each kind that packs know.
func Referral() string {
	var seed [8]byte
	rand.Read(seed[:]) // never fails: crypto/rand.Read ends the program instead
	p := synth.New(binary.BigEndian.Uint64(seed[:])).Patient()
	lines := []string{
		"Referral",
		"",
		"Patient: " + p.Name(),
		"Date of birth: " + p.Born.Format("01/02/2006"),
		"Social security number: " + p.SSN,
		"Medicare beneficiary identifier (MBI): " + p.DashedMBI(),
		"Medical record number (MRN): " + p.MRN,
		"Phone: " + p.Phone,
		"Diagnosis (ICD-10): " + p.Diagnoses[0].Code,
	}
	return strings.Join(lines, "\n") + "\n"
}

// field is a header field of a probe.
type field struct{ name, value string }

// ownFields are the fields by which a probe is compared. Automatic answers are
// not sent to it (RFC 3834 2).
func ownFields(r Route) []field {
	return []field{
		{"From", "<" + r.From + ">"}, {"To", "<" + r.To + ">"}, {"Subject", "Referral"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=us-ascii"}, {"Content-Transfer-Encoding", "7bit"}, {"Auto-Submitted", "auto-generated"},
	}
}

// mail writes the probe as a message with CRLF line ends.
func mail(r Route, text, id, hostname string, at time.Time) []byte {
	var b bytes.Buffer
	for _, f := range ownFields(r) {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	fmt.Fprintf(&b, "Date: %s\r\nMessage-ID: <%s%s@%s>\r\n\r\n", at.Format(time.RFC1123Z), prefix, id, hostname)
	b.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
	return b.Bytes()
}

// onItsWay are the fields that servers add; a probe that has others, or others
// of its own fields, is not what was sent.
var onItsWay = []string{
	"date", "message-id", "received", "return-path", "delivered-to", "x-original-to", "dkim-signature", "authentication-results",
	"received-spf", "x-stanch-id", "sender",
}

// digestMail is the digest of the text of b, if all else in it is as a probe of
// r was sent, whatever trace fields servers put in front.
func digestMail(r Route, b []byte) ([sha256.Size]byte, bool) {
	var none [sha256.Size]byte
	fields, body, ok := parts(b)
	if !ok {
		return none, false
	}
	own := ownFields(r)
	var got []field
	for _, f := range fields {
		i := slices.IndexFunc(own, func(o field) bool { return f.Is(o.name) })
		name := strings.ToLower(f.Name())
		switch {
		case i >= 0:
			got = append(got, field{own[i].name, strings.Join(strings.Fields(f.Value()), " ")})
		case !slices.Contains(onItsWay, name) && !strings.HasPrefix(name, "arc-"):
			return none, false
		}
	}
	slices.SortFunc(got, func(a, b field) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(own, func(a, b field) int { return strings.Compare(a.name, b.name) })
	if !slices.Equal(got, own) {
		return none, false
	}
	return digestText(body), true
}

// parts takes a message apart.
func parts(b []byte) (fields message.Fields, body []byte, ok bool) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		if head, body, ok = bytes.Cut(b, []byte("\n\n")); !ok {
			return nil, nil, false
		}
	}
	fields, err := message.ReadHeader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n\r\n")), maxSize)
	return fields, body, err == nil
}

// hasMessageID reports whether the message b bears the Message-ID under which
// the probe id was sent.
func hasMessageID(b []byte, id string) bool {
	fields, _, ok := parts(b)
	return ok && strings.HasPrefix(fields.Get("Message-ID"), "<"+prefix+id+"@")
}

// digestText is the digest of a text, whatever its line ends.
func digestText(b []byte) [sha256.Size]byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return sha256.Sum256(bytes.TrimRight(b, "\n"))
}

// newID returns 26 characters of 16 random bytes.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read ends the program instead
	return encoding.EncodeToString(b[:])
}
