package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
)

// Bounds of what is read from a file of certificates.
const (
	MaxFile  = 256 << 10 // bytes
	maxCerts = 20        // a chain has three or four
)

// Errors a caller chooses by.
var (
	// ErrUnreadable says that a file holds no certificate that can be read.
	ErrUnreadable = errors.New("smime: no certificate that can be read")
	// ErrSecret says that a file of somebody else's certificates holds a secret
	// key.
	ErrSecret = errors.New("smime: a secret key beside a certificate")
)

// ReadCertificates reads a recipient's certificate and those that may stand
// between it and a root, which follow it: PEM, whose other text counts for
// nothing, or one certificate in DER. ErrUnreadable, ErrSecret; an error of r is
// its own.
func ReadCertificates(r io.Reader) (cert *x509.Certificate, chain []*x509.Certificate, err error) {
	certs, key, err := read(r)
	if err != nil {
		return nil, nil, err
	}
	if key != nil {
		return nil, nil, ErrSecret
	}
	return certs[0], certs[1:], nil
}

// ReadSigner reads what the site signs with: a secret key that no password
// protects and the certificates of its chain, in PEM and any order. Roots are
// not sent along. ErrUnreadable, and cms.ErrKey where the key cannot sign or no
// certificate is of it.
func ReadSigner(r io.Reader) (*cms.Signer, error) {
	certs, key, err := read(r)
	if err != nil {
		return nil, err
	}
	s := &cms.Signer{}
	if key == nil {
		return nil, fmt.Errorf("%w: no secret key in the file", cms.ErrKey)
	}
	s.Key = key
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, cms.ErrKey
	}
	for _, c := range certs {
		switch {
		case s.Cert == nil && public.Equal(c.PublicKey):
			s.Cert = c
		case !bytes.Equal(c.RawIssuer, c.RawSubject):
			s.Chain = append(s.Chain, c)
		}
	}
	if s.Cert != nil && has(s.Cert, oidKeyUsage) && s.Cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 { // RFC 8550 4.4.2
		return nil, fmt.Errorf("%w: the certificate is not for signing", cms.ErrKey)
	}
	if _, err := s.Sign(); err != nil {
		return nil, err
	}
	return s, nil
}

// read reads certificates, one at least, and the secret key among them.
func read(r io.Reader) ([]*x509.Certificate, crypto.Signer, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("smime: read: %w", err)
	}
	if len(b) > MaxFile {
		return nil, nil, ErrUnreadable
	}
	if cert, err := x509.ParseCertificate(b); err == nil {
		return []*x509.Certificate{cert}, nil, nil
	}
	var certs []*x509.Certificate
	var key crypto.Signer
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil || len(certs) == maxCerts {
				return nil, nil, ErrUnreadable // the parser's text may quote the certificate
			}
			certs = append(certs, c)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if key != nil {
				return nil, nil, ErrUnreadable
			}
			if key = parseKey(block); key == nil {
				return nil, nil, fmt.Errorf("%w: a secret key that has a password or is of no kind that is known", cms.ErrKey)
			}
		}
	}
	if len(certs) == 0 {
		return nil, nil, ErrUnreadable
	}
	return certs, key, nil
}

// parseKey returns the key of a block, nil where it cannot be read.
func parseKey(block *pem.Block) crypto.Signer {
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		s, _ := k.(crypto.Signer)
		return s
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return k
	}
	return nil
}
