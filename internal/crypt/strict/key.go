package strict

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
)

// How keys are written: what kind, and base64 of its form in DER, of the key's
// point for recipientPrefix.
const (
	recipientPrefix = "p384:"
	secretPrefix    = "P384-SECRET-KEY:"
	readerPrefix    = "x509:"
)

// ErrKey says that something is no key or certificate of a kind that is used.
var ErrKey = errors.New("strict: no usable key")

// Key is a secret key.
type Key struct {
	Secret    cms.Secret
	Recipient string // its public key, as it is written
	text      string
}

// String returns the secret key as it is written.
func (k Key) String() string { return k.text }

// NewKey makes one.
func NewKey() (Key, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("strict: new key: %w", err)
	}
	return keyOf(key)
}

func keyOf(key *ecdsa.PrivateKey) (Key, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil || key.Curve != elliptic.P384() {
		return Key{}, ErrKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Key{}, ErrKey
	}
	secret, err := cms.NewSecret(key)
	if err != nil {
		return Key{}, ErrKey
	}
	encode := base64.StdEncoding.EncodeToString
	return Key{Secret: secret, Recipient: recipientPrefix + encode(point), text: secretPrefix + encode(der)}, nil
}

// ParseKey reads what Key.String wrote. ErrKey.
func ParseKey(s string) (Key, error) {
	b, ok := strings.CutPrefix(s, secretPrefix)
	der, err := base64.StdEncoding.DecodeString(b)
	if !ok || err != nil {
		return Key{}, ErrKey
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if ec, is := key.(*ecdsa.PrivateKey); err == nil && is {
		return keyOf(ec)
	}
	return Key{}, ErrKey // the parser's text may tell of the key
}

// IsRecipient reports the public key of a Key, IsReader a certificate as
// ReadReader returns it. Neither says that it can be used.
func IsRecipient(s string) bool { return strings.HasPrefix(s, recipientPrefix) }

// IsReader reports a certificate as ReadReader returns it.
func IsReader(s string) bool { return strings.HasPrefix(s, readerPrefix) }

// ReadReader returns the first certificate of b, PEM, as readers are written.
// Whether it has expired does not matter: what counts is who has its key. ErrKey.
func ReadReader(b []byte) (string, error) {
	block, _ := pem.Decode(bytes.TrimSpace(b))
	if block == nil || block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("%w: not a certificate in PEM", ErrKey)
	}
	s := readerPrefix + base64.StdEncoding.EncodeToString(block.Bytes)
	_, err := Certificate(s)
	return s, err
}

// Certificate returns the certificate of a reader. ErrKey.
func Certificate(reader string) (*x509.Certificate, error) {
	b, ok := strings.CutPrefix(reader, readerPrefix)
	der, err := base64.StdEncoding.DecodeString(b)
	if !ok || err != nil {
		return nil, ErrKey
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || cms.KeyUsable(cert) != nil {
		return nil, fmt.Errorf("%w: want a certificate of RSA with 2048 bits or more, or of P-256, P-384 or P-521", ErrKey)
	}
	return cert, nil
}

// Short says in short who a reader of the vault is. A post-quantum key of age is
// 2,000 characters long, of which the first tell it apart.
func Short(reader string) string {
	if IsReader(reader) {
		cert, err := Certificate(reader)
		if err != nil {
			return reader
		}
		return fmt.Sprintf("certificate SHA-256 %x", sha256.Sum256(cert.Raw))
	}
	if len(reader) > 62 {
		return reader[:40] + "…"
	}
	return reader
}

// to is whom an envelope is for: a Recipient's key or a certificate.
func to(s string) (cms.Recipient, error) {
	if IsReader(s) {
		cert, err := Certificate(s)
		return cms.Recipient{Cert: cert}, err
	}
	b, ok := strings.CutPrefix(s, recipientPrefix)
	point, err := base64.StdEncoding.DecodeString(b)
	if !ok || err != nil {
		return cms.Recipient{}, ErrKey
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), point)
	if err != nil {
		return cms.Recipient{}, ErrKey
	}
	id := sha256.Sum256(point)
	return cms.Recipient{Cert: &x509.Certificate{PublicKey: key, SubjectKeyId: id[:20]}, ByKeyID: true}, nil
}

// Usable reports whether s is a public key or certificate that can be sealed to.
func Usable(s string) error {
	_, err := to(s)
	return err
}

// SealKey seals b, a few KiB, to a public key or a certificate. ErrKey.
func SealKey(b []byte, recipient string) ([]byte, error) {
	r, err := to(recipient)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := cms.Encrypt(&out, cms.AES256GCM, []cms.Recipient{r}, len(b))
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("strict: seal key: %w", err)
	}
	return out.Bytes(), nil
}

// OpenKey opens what SealKey sealed. cms.ErrWrongKey, cms.ErrTampered,
// cms.ErrNotEnvelope.
func OpenKey(b []byte, with []cms.Secret) ([]byte, error) { return cms.Open(b, with) }
