// Package dkim signs messages with the site's key.
//
// It promises that a signature covers From and what a reader acts on, fields
// that are not there included, so that none can be added; that a message which
// has a signature of the site's domain is not signed again; and that a key
// others can read is not used.
//
// Source: RFC 6376, RFC 8301 (RSA of at least 1024 bits; ours 2048), RFC 8463
// (Ed25519).
package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"slices"
	"strings"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Config is the section [dkim].
type Config struct {
	// Domain signs: the one that `notify.from` is in, or above it. Empty: nothing is signed.
	Domain string `toml:"domain"`
	// Selector names the key below `_domainkey.DOMAIN` in DNS. `stanch dkim init` makes a key and prints the record.
	Selector string `toml:"selector"`
	// Key is the PEM file with the private key, RSA of 2048 bits or more or Ed25519, which only its owner may read.
	Key string `toml:"key"`
}

// On reports whether the configuration asks for signatures.
func (c *Config) On() bool { return c.Domain != "" }

// Validate reports the first bad value as a *dlp.KeyError. It does not read the
// key.
func (c *Config) Validate() error {
	switch {
	case c.Domain == "" && c.Selector == "" && c.Key == "":
		return nil
	case !hostname(c.Domain):
		return &dlp.KeyError{Key: "dkim.domain", Want: "a domain such as clinic.example, in ASCII"}
	case !label(c.Selector):
		return &dlp.KeyError{Key: "dkim.selector", Want: "one or more labels such as stanch1"}
	case c.Key == "":
		return &dlp.KeyError{Key: "dkim.key", Want: "the file of a private key; `stanch dkim init` makes one"}
	}
	return nil
}

// hostname reports two labels or more.
func hostname(s string) bool { return strings.Contains(s, ".") && label(s) }

// label reports labels of letters, digits, - and _, joined by dots. RFC 6376
// 3.1 (selectors), RFC 5321 2.3.5.
func label(s string) bool {
	if len(s) > 253 {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if l == "" || len(l) > 63 || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Covers reports whether a signature of the domain speaks for addresses at
// host: it is the domain or below it (RFC 7489 3.1.1, relaxed alignment, less
// what only a list of public suffixes could add).
func (c *Config) Covers(host string) bool {
	host, domain := strings.ToLower(host), strings.ToLower(c.Domain)
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// Errors of a key.
var (
	ErrMode = errors.New("others than its owner can read it: chmod 600")
	ErrKey  = errors.New("not a private key in PEM, RSA of 2048 bits or more or Ed25519")
)

// minRSA is the fewest bits of an RSA key. RFC 8301 3.2 asks for it where it
// can be had.
const minRSA = 2048

// maxKey bounds a key file, in bytes.
const maxKey = 64 << 10

// ReadKey reads the private key at path. ErrMode, ErrKey, or why it could not be
// read, each with the path.
func ReadKey(path string) (crypto.Signer, error) {
	key, err := readKey(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readKey(path string) (crypto.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, safefile.Classify("open key", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, safefile.Classify("look at key", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, ErrMode
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return nil, safefile.Classify("read key", err)
	}
	return parseKey(text)
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, ErrKey
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, ErrKey
	}
	if err != nil {
		return nil, ErrKey
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() >= minRSA {
			return k, nil
		}
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, ErrKey
}

// Record returns what stands in the TXT record of that key, as RFC 6376 3.6.1
// and RFC 8463 4 have it.
func Record(key crypto.Signer) (string, error) {
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return "", ErrKey
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub), nil
	}
	return "", ErrKey
}

// Signer signs. It is safe for use by many goroutines.
type Signer struct {
	cfg Config
	key crypto.Signer
}

// New reads the key that c names. nil where c asks for no signatures.
func New(c Config) (*Signer, error) {
	if !c.On() {
		return nil, nil
	}
	key, err := ReadKey(c.Key)
	if err != nil {
		return nil, err
	}
	return &Signer{cfg: c, key: key}, nil
}

// signed are the fields that a signature covers, those in the second list once
// more than they are there: one that is added later breaks it (RFC 6376 8.15).
var (
	signed = []string{
		"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References", "MIME-Version",
		"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Auto-Submitted", "X-Stanch-Tag",
	}
	sealedShut = []string{"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
)

// maxHeader bounds what is read of a header block, in bytes.
const maxHeader = 1 << 20

// Field returns the DKIM-Signature field, with its line end, that is to stand
// above the message that open opens. It reads the message to its end.
func (s *Signer) Field(open func() (io.ReadCloser, error)) ([]byte, error) {
	keys, err := present(open)
	if err != nil {
		return nil, err
	}
	r, err := open()
	if err != nil {
		return nil, fmt.Errorf("dkim: open: %w", err)
	}
	defer r.Close()
	w, err := msgauth.NewSigner(&msgauth.SignOptions{Domain: s.cfg.Domain, Selector: s.cfg.Selector, Signer: s.key,
		HeaderCanonicalization: msgauth.CanonicalizationRelaxed, BodyCanonicalization: msgauth.CanonicalizationRelaxed,
		HeaderKeys: append(keys, sealedShut...)})
	if err != nil {
		return nil, fmt.Errorf("dkim: sign: %w", err)
	}
	_, err = io.Copy(w, r)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("dkim: sign: %w", err)
	}
	return []byte(w.Signature()), nil
}

// present lists the fields of signed that the message has, each as often as it
// has it.
func present(open func() (io.ReadCloser, error)) (keys []string, err error) {
	values, err := pick(open, signed...)
	for i, name := range signed {
		for range values[i] {
			keys = append(keys, name)
		}
	}
	return keys, err
}

func pick(open func() (io.ReadCloser, error), names ...string) ([][]string, error) {
	r, err := open()
	if err != nil {
		return make([][]string, len(names)), fmt.Errorf("dkim: open: %w", err)
	}
	defer r.Close()
	values, err := message.Pick(r, maxHeader, names...)
	if err != nil {
		return values, fmt.Errorf("dkim: read header: %w", err)
	}
	return values, nil
}

// Wanted reports whether a message that was changed is to be signed: its one
// From is of the domain, and none of the signatures it has is the domain's
// already.
func (s *Signer) Wanted(open func() (io.ReadCloser, error)) (bool, error) {
	values, err := pick(open, "From", "DKIM-Signature")
	if err != nil || len(values[0]) != 1 {
		return false, err
	}
	list, err := mail.ParseAddressList(values[0][0])
	if err != nil || len(list) != 1 {
		return false, nil // no address that a signature could speak for
	}
	at := strings.LastIndexByte(list[0].Address, '@')
	if !s.cfg.Covers(list[0].Address[at+1:]) {
		return false, nil
	}
	return !slices.ContainsFunc(values[1], func(sig string) bool { return strings.EqualFold(tag(sig, "d"), s.cfg.Domain) }), nil
}

// tag returns the value of a tag of a signature. RFC 6376 3.2.
func tag(sig, name string) string {
	for part := range strings.SplitSeq(sig, ";") {
		if k, v, ok := strings.Cut(part, "="); ok && strings.TrimSpace(k) == name {
			return strings.Join(strings.Fields(v), "")
		}
	}
	return ""
}
