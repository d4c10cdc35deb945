package age

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// certificateIdentity is the private key of a certificate among age's
// identities: it opens no age file.
type certificateIdentity struct{ cms.Secret }

// Unwrap opens nothing.
func (certificateIdentity) Unwrap([]*filippo.Stanza) ([]byte, error) {
	return nil, filippo.ErrIncorrectIdentity
}

// strictIdentity is the key of a strict period; it opens no age file either.
type strictIdentity struct{ strict.Key }

// Unwrap opens nothing.
func (strictIdentity) Unwrap([]*filippo.Stanza) ([]byte, error) {
	return nil, filippo.ErrIncorrectIdentity
}

// maxPrivateKey bounds a file with the private key of a certificate, in bytes.
const maxPrivateKey = 256 << 10

// ReadIdentities reads a reviewer's key: an identity file of age, or the private
// key of a certificate, in PEM. The error never quotes it.
func ReadIdentities(r io.Reader) ([]filippo.Identity, error) {
	in := bufio.NewReader(io.LimitReader(r, maxPrivateKey))
	if b, err := in.Peek(len("-----BEGIN ")); err != nil || string(b) != "-----BEGIN " {
		return ParseIdentities(in)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, errors.New("the file cannot be read")
	}
	s, err := cms.ReadSecret(b)
	if err != nil {
		return nil, errors.New("want the private key of a certificate in PEM, without a passphrase (`openssl pkey` takes one off)")
	}
	return []filippo.Identity{certificateIdentity{s}}, nil
}

// shortPrefix begins the private key of a certificate on P-384 in the short form
// that a TPM has room for: base64 of the number that it is.
const shortPrefix = "P384-PRIVATE-KEY:"

// NewCertificate makes a private key on P-384, in PEM and in the short form, and a
// certificate that it signs itself, in PEM, which does not end: what counts for
// readers of the vault is who has its key.
//
// Source: RFC 5280 4.1.2.5 (the end).
func NewCertificate(name string, now time.Time) (key, short, cert []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("age: new certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("age: new certificate: %w", err)
	}
	tpl := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.UTC(), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), KeyUsage: x509.KeyUsageKeyAgreement}
	certDER, err := x509.CreateCertificate(rand.Reader, tpl, tpl, k.Public(), k)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("age: new certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("age: new certificate: %w", err)
	}
	number, err := k.Bytes()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("age: new certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), []byte(shortPrefix + base64.StdEncoding.EncodeToString(number)),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER}), nil
}

// shortIdentity reads the short form of a certificate's private key.
func shortIdentity(s string) (filippo.Identity, bool) {
	b, ok := strings.CutPrefix(s, shortPrefix)
	number, err := base64.StdEncoding.DecodeString(b)
	if !ok || err != nil {
		return nil, false
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), number)
	if err != nil {
		return nil, false
	}
	secret, err := cms.NewSecret(k)
	return certificateIdentity{secret}, err == nil
}

// Secrets are the private keys of certificates among ids.
func Secrets(ids []filippo.Identity) (out []cms.Secret) {
	for _, id := range ids {
		if c, ok := id.(certificateIdentity); ok {
			out = append(out, c.Secret)
		}
	}
	return out
}

// secretsOf are the keys among ids that open what is strict.
func secretsOf(ids []filippo.Identity) (out []cms.Secret) {
	for _, id := range ids {
		switch id := id.(type) {
		case certificateIdentity:
			out = append(out, id.Secret)
		case strictIdentity:
			out = append(out, id.Secret)
		}
	}
	return out
}

// Reads reports whether id is the secret key of that reader.
func Reads(id filippo.Identity, reader string) bool {
	if c, ok := id.(certificateIdentity); ok {
		cert, err := strict.Certificate(reader)
		return err == nil && c.Opens(cert.PublicKey)
	}
	return publicOf(id) == reader
}

// certified reports whether every reader has a certificate.
func certified(readers []string) bool {
	return len(readers) > 0 && !slices.ContainsFunc(readers, func(r string) bool { return !strict.IsReader(r) })
}

// checkReader says why nothing can be sealed to a reader or the key of a period.
func checkReader(s string) error {
	if strict.IsReader(s) || strict.IsRecipient(s) {
		return strict.Usable(s)
	}
	_, err := parseRecipient(s)
	return err
}

// sealTo seals b to a reader, in the format that the reader's key is of.
func sealTo(b []byte, reader string) ([]byte, error) {
	if strict.IsReader(reader) {
		return strict.SealKey(b, reader)
	}
	to, err := parseRecipient(reader)
	if err != nil {
		return nil, err
	}
	var sealed bytes.Buffer
	w, err := filippo.Encrypt(&sealed, to)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	return sealed.Bytes(), err
}

// openLayer opens what sealTo sealed with any of ids. ErrWrongKey, ErrTampered.
func openLayer(b []byte, ids []filippo.Identity) ([]byte, error) {
	if !strings.HasPrefix(string(b[:min(len(b), len(ageIntro))]), ageIntro) {
		out, err := strict.OpenKey(b, secretsOf(ids))
		return out, strictError(err)
	}
	r, err := filippo.Decrypt(bytes.NewReader(b), ids...)
	if err != nil {
		return nil, openError(err)
	}
	if b, err = io.ReadAll(io.LimitReader(r, maxSealedKey)); err != nil {
		return nil, fmt.Errorf("age: open key: %w", ErrTampered)
	}
	return b, nil
}

// strictError is err in the words of this package.
func strictError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cms.ErrWrongKey):
		return fmt.Errorf("age: open: %w", crypt.ErrWrongKey)
	case errors.Is(err, cms.ErrTampered), errors.Is(err, cms.ErrNotEnvelope):
		return fmt.Errorf("age: open: %w", ErrTampered)
	}
	return fmt.Errorf("age: open: %w", err)
}

// strictReader turns the errors of a strict content into ErrTampered.
type strictReader struct{ r io.Reader }

// Read passes on what has been verified.
func (s strictReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = strictError(err)
	}
	return n, err
}

// openStrict opens a content of a strict period.
func openStrict(src io.Reader, kind string, id dlp.ID, with filippo.Identity, key []byte) (io.Reader, error) {
	r, err := strict.Open(src, bindLine(kind, id), secretsOf([]filippo.Identity{with}), key)
	if err != nil {
		return nil, strictError(err)
	}
	return strictReader{r}, nil
}
