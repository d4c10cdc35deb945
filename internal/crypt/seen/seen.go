// Package seen reads out of a message that came in to which key its sender wants
// mail encrypted.
//
// It promises that a key is told only where the domain of the one From address
// signed (DKIM, checked here, by the DNS of this moment) the whole message, that
// address, its date and what says the key, and that nothing in a message makes it use more
// than a few times the memory of that message.
package seen

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net/mail"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Reason says in a word why nothing is taken from a message, or not what it
// offers. The set is closed.
type Reason string

func (r Reason) Error() string { return "seen: " + string(r) }

// The reasons.
const (
	Nothing      Reason = "nothing"       // it offers no key
	TooLarge     Reason = "too_large"     // longer than MaxMessage, or its header or field than is read
	Damaged      Reason = "damaged"       // programs may differ about what its header is
	NoOneFrom    Reason = "from"          // not one From field with one address
	BadDate      Reason = "date"          // not one Date, or one that is too long ago or to come
	NotSigned    Reason = "not_signed"    // no signature of the From address's domain holds
	NoAnswer     Reason = "no_answer"     // DNS gave none: try again
	NotCovered   Reason = "not_covered"   // the domain signed, but not this field
	Several      Reason = "several"       // more than one of them
	OtherAddress Reason = "other_address" // it is for another address than From's
	Unreadable   Reason = "unreadable"    // not as its format has it
	Report       Reason = "report"        // of a mail system
	BadSignature Reason = "bad_signature" // of S/MIME: it does not hold
)

// Bounds of what is read.
const (
	MaxMessage   = 32 << 20  // bytes
	maxHeader    = 256 << 10 // bytes
	maxAutocrypt = 32 << 10  // bytes of the field; a key of RSA 4096 takes 3 KiB. Autocrypt 1.1 asks for less than 10 KiB
	maxSignature = 1 << 20   // bytes of a detached signature
)

// How old a message may be, and how far ahead its clock.
const (
	maxAge   = 90 * 24 * time.Hour
	maxAhead = time.Hour
)

// Message is what is known of one whose sender's domain signed it.
type Message struct {
	From    dlp.Address // PHI
	At      time.Time   // of its Date field
	Keys    []Key
	Refused []Refusal // what it offers and is not taken
}

// Refusal is an offer that is not taken.
type Refusal struct {
	Way    dlp.Way
	Reason Reason
}

// Key is a key that a message offers. Whether it can be used is not looked at.
type Key struct {
	Way          dlp.Way
	Domain       string              // that signed
	Selector     string              // by which key of its
	OpenPGP      []byte              // without armour
	Mutual       bool                // prefer-encrypt=mutual
	Certs        []*x509.Certificate // the one to encrypt to, then those that came with it
	Signer       *x509.Certificate   // made the signature that shows them
	Capabilities []byte              // SMIMECapabilities of the signature, DER; nil: none
}

// Lookup returns the TXT records of a name; an error says that there is no answer
// now, not that there are none.
type Lookup func(ctx context.Context, name string) ([]string, error)

// Read returns what the message raw, with LF or CRLF, offers. The error is a
// Reason.
func Read(ctx context.Context, raw []byte, lookup Lookup, now time.Time) (*Message, error) {
	if len(raw) > MaxMessage {
		return nil, TooLarge
	}
	raw, ok := canonical(raw)
	if !ok {
		return nil, Damaged
	}
	fs, err := header(raw)
	if err != nil {
		return nil, err
	}
	body := raw[fs.size+2:]
	offersKey, offersCert := fs.count("autocrypt") > 0, fs.offersSignature()
	if !offersKey && !offersCert {
		return nil, Nothing // nobody is asked about most mail
	}
	m := &Message{}
	var domain string
	if m.From, domain, err = fs.from(); err != nil {
		return nil, err
	}
	if m.At, err = fs.date(now); err != nil {
		return nil, err
	}
	proofs, err := prove(ctx, raw, fs, domain, lookup, now)
	if err != nil {
		return nil, err
	}
	take := func(way dlp.Way, offered bool, read func() (Key, error), fields ...string) {
		if !offered {
			return
		}
		p, ok := covering(proofs, fields...)
		if !ok {
			m.Refused = append(m.Refused, Refusal{way, NotCovered})
			return
		}
		k, err := read()
		if r, is := errors.AsType[Reason](err); is {
			m.Refused = append(m.Refused, Refusal{way, r})
			return
		}
		k.Way, k.Domain, k.Selector = way, p.domain, p.selector
		m.Keys = append(m.Keys, k)
	}
	take(dlp.OpenPGP, offersKey, func() (Key, error) { return fs.autocrypt(m.From) }, "autocrypt")
	structure := []string{"content-type"}
	if fs.count("content-transfer-encoding") > 0 {
		structure = append(structure, "content-transfer-encoding")
	}
	take(dlp.SMIME, offersCert, func() (Key, error) { return fs.certificate(body) }, structure...)
	return m, nil
}

// canonical is raw with CRLF. False for one in which lines end in both ways, or
// that holds what no line may.
func canonical(raw []byte) ([]byte, bool) {
	lf := bytes.Count(raw, []byte("\n"))
	pairs := bytes.Count(raw, []byte("\r\n"))
	switch {
	case pairs == lf:
		return raw, true
	case pairs == 0:
		return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")), true
	}
	return nil, false
}

// fields is the header of a message of which there are no two readings.
type fields struct {
	all  message.Fields
	size int // bytes, without the empty line
}

func header(raw []byte) (fields, error) {
	fs, err := message.ReadHeader(bytes.NewReader(raw), maxHeader)
	if errors.Is(err, message.ErrTooLarge) {
		return fields{}, TooLarge
	}
	out := fields{all: fs}
	for _, f := range fs {
		out.size += len(f.Raw)
		name, _, ok := bytes.Cut(f.Raw, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) ||
			bytes.IndexByte(f.Raw, 0) >= 0 || bytes.Count(f.Raw, []byte("\r")) != bytes.Count(f.Raw, []byte("\r\n")) {
			return fields{}, Damaged
		}
	}
	if err != nil || len(fs) == 0 || !bytes.HasPrefix(raw[out.size:], []byte("\r\n")) {
		return fields{}, Damaged // a line that is no field, where some see the body begin
	}
	return out, nil
}

func (fs fields) count(name string) (n int) {
	for _, f := range fs.all {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// from is the one address of the one From field, and its domain as DNS has it.
func (fs fields) from() (dlp.Address, string, error) {
	if fs.count("from") != 1 {
		return dlp.Address{}, "", NoOneFrom
	}
	list, err := mail.ParseAddressList(fs.all.Get("from"))
	if err != nil || len(list) != 1 {
		return dlp.Address{}, "", NoOneFrom
	}
	at := strings.LastIndexByte(list[0].Address, '@')
	a := dlp.Address{Local: list[0].Address[:at], Domain: strings.ToLower(list[0].Address[at+1:])}
	domain, err := idna.Lookup.ToASCII(a.Domain)
	if err != nil || a.Local == "" {
		return dlp.Address{}, "", NoOneFrom
	}
	return a, strings.ToLower(domain), nil
}

// date is when the message was written.
func (fs fields) date(now time.Time) (time.Time, error) {
	at, err := mail.ParseDate(fs.all.Get("date"))
	if err != nil || fs.count("date") != 1 || at.Before(now.Add(-maxAge)) || at.After(now.Add(maxAhead)) {
		return time.Time{}, BadDate
	}
	return at, nil
}
