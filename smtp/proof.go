package smtp

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// Proof judges the certificate that a next hop showed: nil means that it is who
// it should be. It is asked on the very connection that carries the message,
// and on each anew.
type Proof func(tls.ConnectionState) error

// What a Proof finds wrong, beside the errors of crypto/x509.
var (
	errNoPeer   = errors.New("no certificate")
	errWrongKey = errors.New("the certificate's key is not pinned")
)

// ProveName wants a certificate that is valid today, goes back to roots and
// names one of names: host names, "*.example" for one more label, or IP
// addresses.
//
// Source: RFC 5280; RFC 6125 for names, of which the subject's is not read.
func ProveName(roots *Roots, names ...string) Proof {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errNoPeer
		}
		leaf := cs.PeerCertificates[0]
		between := x509.NewCertPool()
		for _, c := range cs.PeerCertificates[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots.pool(), Intermediates: between}); err != nil {
			return err
		}
		err := error(x509.HostnameError{Certificate: leaf})
		for _, n := range names {
			if err = leaf.VerifyHostname(n); err == nil {
				return nil
			}
		}
		return err
	}
}

// Pin is the SHA-256 of a public key, as its SubjectPublicKeyInfo is encoded.
type Pin [sha256.Size]byte

// ParsePin reads "sha256:" and the digest in base64 or in hexadecimal.
func ParsePin(s string) (Pin, bool) {
	digest, ok := strings.CutPrefix(s, "sha256:")
	if !ok {
		return Pin{}, false
	}
	b, err := hex.DecodeString(strings.ReplaceAll(digest, ":", ""))
	if err != nil || len(b) != sha256.Size {
		if b, err = base64.StdEncoding.DecodeString(digest); err != nil || len(b) != sha256.Size {
			return Pin{}, false
		}
	}
	return Pin(b), true
}

// ProvePin wants a certificate with one of the pinned keys. The key is the whole
// proof: names, dates and who signed count for nothing, as with DANE-EE
// (RFC 7672 3.1.1).
func ProvePin(pins []Pin) Proof {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errNoPeer
		}
		if !slices.Contains(pins, Pin(sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo))) {
			return errWrongKey
		}
		return nil
	}
}

// Causes of a failure to secure a connection, as logs and checks name them.
const (
	causeNoTLS     = "not_offered"
	causeExpired   = "expired"
	causeName      = "wrong_name"
	causeAuthority = "unknown_authority"
	causeKey       = "wrong_key"
	causeInjected  = "injected"
	causeRefused   = "login_refused"
	causeOther     = "handshake"
)

// tlsCause names what was wrong without quoting it.
func tlsCause(err error) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isName := errors.AsType[x509.HostnameError](err)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case errors.Is(err, errNoTLS):
		return causeNoTLS
	case errors.Is(err, errInjected):
		return causeInjected
	case isInvalid && invalid.Reason == x509.Expired:
		return causeExpired
	case isName:
		return causeName
	case isInvalid, isUnknown:
		return causeAuthority
	case errors.Is(err, errWrongKey), errors.Is(err, errNoPeer):
		return causeKey
	case errors.Is(err, errLogin):
		return causeRefused
	}
	return causeOther
}
