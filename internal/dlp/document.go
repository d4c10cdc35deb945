package dlp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ID names one Document for its whole life. It is random, carries nothing
// about the sender or the patient, and may stand in logs and audit events.
// Twenty-six lower-case base32 characters (130 bits, 128 of them random).
type ID string

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a fresh random ID.
func NewID() ID {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read ends the program instead
	return IDOf(b)
}

// IDOf is the ID that b says.
func IDOf(b [16]byte) ID { return ID(idEncoding.EncodeToString(b[:])) }

// Bytes is what IDOf made id of; ok is false for what ParseID does not take.
func (id ID) Bytes() (b [16]byte, ok bool) {
	if _, err := ParseID(string(id)); err != nil {
		return b, false
	}
	n, err := idEncoding.Decode(b[:], []byte(id))
	return b, err == nil && n == len(b)
}

// ErrBadID is what ParseID returns for anything that NewID cannot have made.
var ErrBadID = errors.New("not a document id: want 26 characters of a-z and 2-7")

// ParseID checks that s has the form of an ID, so that it is safe in a file
// name and in a log.
func ParseID(s string) (ID, error) {
	if len(s) != 26 || strings.IndexByte("aeimquy4", s[25]) < 0 { // 128 bits: the last character stands for three of its five
		return "", ErrBadID
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", ErrBadID
		}
	}
	return ID(s), nil
}

// Channel says by which kind of door a Document came in.
type Channel uint8

// The channels. The zero Channel is not valid.
const (
	Mail Channel = iota + 1
	File
)

// String returns "mail" or "file".
func (c Channel) String() string {
	switch c {
	case Mail:
		return "mail"
	case File:
		return "file"
	}
	return "none"
}

// Address is one reverse-path or forward-path, parsed once at the door and
// never parsed again from text. The zero Address is the null reverse-path <>.
//
// Source: RFC 5321 4.1.2.
type Address struct {
	Local  string // local part, unquoted; outside ASCII it is UTF-8 in Normalization Form C
	Domain string // lower-case ASCII domain (A-labels), or an address literal in brackets
}

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

// AddressBytes is an Address as files keep it: local part and domain, as bytes, for a
// local part need not be UTF-8.
type AddressBytes [2][]byte

// Bytes is a as files keep it.
func (a Address) Bytes() AddressBytes { return AddressBytes{[]byte(a.Local), []byte(a.Domain)} }

// Address is Bytes's inverse.
func (b AddressBytes) Address() Address { return Address{Local: string(b[0]), Domain: string(b[1])} }

// FoldAddress puts the ASCII letters of an address, or a part of one, into lower case,
// and no others: Unicode folding would let different mailboxes be one.
func FoldAddress(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// IsASCII reports whether a can go to a server without SMTPUTF8.
func (a Address) IsASCII() bool {
	for i := range len(a.Local) {
		if a.Local[i] >= 0x80 {
			return false
		}
	}
	return true // a domain is A-labels
}

// String returns the address as it goes on the wire, without angle brackets;
// the local part is quoted where RFC 5321 4.1.2 demands it. The null
// reverse-path is "".
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	if a.Domain == "" { // RCPT TO:<postmaster>, RFC 5321 4.5.1
		return quoteLocal(a.Local)
	}
	return quoteLocal(a.Local) + "@" + a.Domain
}

// quoteLocal writes a local part as Dot-string where it is one and as
// Quoted-string otherwise. RFC 5321 4.1.2.
func quoteLocal(s string) string {
	plain := s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0 {
			plain = false
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// Document is one outgoing message or file while the gateway judges it. It is
// not changed after intake; an action that rewrites it makes a new one.
type Document struct {
	ID       ID
	Channel  Channel
	Sender   Address   // mail: the reverse-path; file: zero
	Rcpts    []Address // mail: the accepted forward-paths, in order, no two equal; file: none
	Name     string    // file: path relative to the watched root. PHI: never in logs, metrics, audit events or notices
	Root     string    // file: the watched root, as configured
	File     *FileMeta // file: what a release must bring back; mail: nil
	Received time.Time
	Size     int64 // bytes, as received (mail: without our own trace headers)

	Params     MailParams   // mail: the parameters of MAIL
	RcptParams []RcptParams // mail: those of RCPT, parallel to Rcpts; nil: none were given

	// Scattered says of a mail that no one answer can stand for all its
	// recipients: their next hops differ, or answer for each by itself. It
	// cannot go on inside the client's transaction.
	Scattered bool

	// Trace is the header fields that the mail door puts in front of the
	// message when it goes on: complete lines ended by CRLF. PHI.
	Trace []byte

	// Asked says of a mail that its sender asks for it to be encrypted.
	Asked bool

	// Unproved says of a mail that it was to go by VerifiedTLS and no server
	// proved to be its recipient's: it goes another way encrypted, or not at all.
	Unproved bool

	// Passwords are what its encrypted parts are tried with before all others.
	// Secret: never in logs, metrics, audit events or notices, and kept nowhere.
	Passwords []string

	// Known is what was decided about this very content before, nil if nothing.
	Known *Released

	// Open returns the bytes as they came. It may be called again and again and
	// from several goroutines; each reader starts at byte 0.
	Open func() (io.ReadSeekCloser, error)
}

// OpenBytes is Document.Open of what is in memory, which is not copied.
func OpenBytes(b []byte) func() (io.ReadSeekCloser, error) {
	return func() (io.ReadSeekCloser, error) { return memory{bytes.NewReader(b)}, nil }
}

type memory struct{ *bytes.Reader }

// Close does nothing.
func (memory) Close() error { return nil }

// FileMeta is what makes a file itself beside its content.
type FileMeta struct {
	UID, GID   int
	Mode       uint32 // permission, setuid, setgid and sticky bits, as chmod(2) takes them; with an access list those of the group are its mask
	ACL        []byte // access list, as safefile.AccessList has it; nil: none, or not known
	ModTime    time.Time
	AccessTime time.Time // zero: not known
	SHA256     [32]byte  // of the content that is judged
	Links      uint64    // names (hard links) that the file had then; 0: not known, and not kept in the vault
}

// Released says that a person released this content at this place before, and
// what they saw when they did: the same reasons do not take it again.
type Released struct {
	Rules  []RuleID
	Causes []Cause
}

// Validate reports a Document that no door should have made.
func (d *Document) Validate() error {
	if _, err := ParseID(string(d.ID)); err != nil {
		return err
	}
	if d.Open == nil {
		return fmt.Errorf("document %s cannot be opened", d.ID)
	}
	if d.Channel != Mail && d.Channel != File {
		return fmt.Errorf("document %s came by no known channel", d.ID)
	}
	if d.RcptParams != nil && len(d.RcptParams) != len(d.Rcpts) {
		return fmt.Errorf("document %s has parameters for other recipients than its own", d.ID)
	}
	if d.Channel == Mail && len(d.Rcpts) == 0 {
		return fmt.Errorf("document %s has no recipient", d.ID)
	}
	return nil
}

// Onward is a mail Document's live transaction with the next hop: MAIL and
// every RCPT are accepted there, DATA has not been sent. Exactly one of Send
// and Reset ends it.
type Onward interface {
	// Send passes header and then body on inside the transaction and returns
	// the next hop's own answer to the end of data. An error means that no
	// answer was had; whether the next hop took the message is then unknown
	// only if SendError.AfterDot says so.
	Send(ctx context.Context, header []byte, body io.Reader) (Reply, error)

	// Reset gives the transaction up; nothing of the message has left.
	Reset(ctx context.Context) error
}

// SendError is the error of Onward.Send and of a delivery: no final reply.
type SendError struct {
	AfterDot bool // the end of data had been sent: the next hop may have taken the message
	Err      error
}

// Error describes the failure without any of the message.
func (e *SendError) Error() string {
	if e.AfterDot {
		return "no answer after the end of data: " + e.Err.Error()
	}
	return "next hop lost before the end of data: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// StageError says at which step of talking to a next hop it failed.
type StageError struct {
	At  string // a word of a closed set: connect, greeting, ehlo, tls, auth, mail, rcpt, data, body, dot, reset; down: it was not tried
	Err error
}

// Error describes the failure without any of the message.
func (e *StageError) Error() string { return "smtp: next hop: " + e.At + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// ErrNotProved says of a mail that goes by VerifiedTLS that no server proves to be
// its recipient's: nothing of it has left.
var ErrNotProved = errors.New("no server proves to be the recipient's")

// ErrChanged is what a Claim returns when the file is no longer what was
// judged. It has been put back, or never taken; it is to be read again.
var ErrChanged = errors.New("the file changed while it was judged")

// Claim is a watched file that is to be taken away or replaced. Calls come in
// this order: Take, then either (Check, Remove) or Encrypt; PutBack instead of
// any later one. Each step survives kill -9: the sweep at the next start ends
// or undoes it.
type Claim interface {
	// Take renames the file into the root's own folder and compares it with
	// what was judged (digest, size, mtime). ErrChanged: it was put back.
	Take(ctx context.Context) error
	// Open reads the taken file.
	Open() (io.ReadSeekCloser, error)
	// Check reports ErrChanged, and puts the file back, when size, mtime or
	// ctime are not those of just after Take or a writer has it open.
	Check(ctx context.Context) error
	// Remove deletes the taken file once the vault has it, and leaves the stub
	// with the given text if the root asks for stubs.
	Remove(ctx context.Context, stub []byte) error
	// Encrypt leaves the encrypted form for the root's recipients in the file's
	// place. ErrNoWay: the root names no recipient, or none that can be used.
	Encrypt(ctx context.Context) error
	// PutBack renames the taken file back, never over another.
	PutBack(ctx context.Context) error
}

// ErrNoWay says that there is no way to encrypt for this recipient or root.
var ErrNoWay = errors.New("no way to encrypt")

// Delivery is the result of one try to deliver to one recipient: a Reply, or
// an Err (often a *SendError) when no reply was had.
type Delivery struct {
	Rcpt  Address
	Reply Reply
	Err   error
	// Relayed says that a next hop took it that does not report on deliveries:
	// whoever asked to be told of success is told that it went on. RFC 3461 6.
	Relayed bool
}

// Reply is an SMTP reply.
//
// Source: RFC 5321 4.2; RFC 3463 for Enhanced.
type Reply struct {
	Code     int    // 200 to 599
	Enhanced string // "2.0.0", or "" when the other side gave none
	Text     string // lines joined by "\n", without codes; a next hop's text may hold PHI and is passed to the client only
}

// Positive reports a 2yz reply.
func (r Reply) Positive() bool { return r.Code >= 200 && r.Code <= 299 }

// Permanent reports a 5yz reply.
func (r Reply) Permanent() bool { return r.Code >= 500 && r.Code <= 599 }
