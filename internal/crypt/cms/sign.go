package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for P-384 and P-521
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"hash"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Signer signs content.
type Signer struct {
	Key   crypto.Signer       // RSA, or ECDSA on P-256, P-384 or P-521
	Cert  *x509.Certificate   // of Key
	Chain []*x509.Certificate // sent along: those between Cert and a root
}

// scheme is how a key signs.
type scheme struct {
	hash      crypto.Hash
	digest    asn1.ObjectIdentifier
	signature asn1.ObjectIdentifier
	params    []byte // of signature
	micalg    string // RFC 8551 3.5.3.2
}

func (s Signer) scheme() (scheme, error) {
	if s.Key == nil || s.Cert == nil {
		return scheme{}, fmt.Errorf("%w: none to sign with", ErrKey)
	}
	switch pub := s.Key.Public().(type) {
	case *rsa.PublicKey:
		if n := pub.N.BitLen(); n >= minRSABits && n <= maxRSABits && pub.Equal(s.Cert.PublicKey) {
			return scheme{crypto.SHA256, oidSHA256, oidSHA256WithRSA, null, "sha-256"}, nil
		}
	case *ecdsa.PublicKey:
		if !pub.Equal(s.Cert.PublicKey) {
			break
		}
		switch pub.Curve.Params().Name {
		case "P-256":
			return scheme{crypto.SHA256, oidSHA256, oidECDSAWithSHA256, nil, "sha-256"}, nil
		case "P-384":
			return scheme{crypto.SHA384, oidSHA384, oidECDSAWithSHA384, nil, "sha-384"}, nil
		case "P-521":
			return scheme{crypto.SHA512, oidSHA512, oidECDSAWithSHA512, nil, "sha-512"}, nil
		}
	}
	return scheme{}, fmt.Errorf("%w: not the certificate's, or of no kind that signs here", ErrKey)
}

// Signature is content being signed: what is written to it is.
type Signature struct {
	signer Signer
	scheme scheme
	hash   hash.Hash
}

// Sign begins a signature of s. ErrKey.
func (s Signer) Sign() (*Signature, error) {
	scheme, err := s.scheme()
	if err != nil {
		return nil, err
	}
	return &Signature{signer: s, scheme: scheme, hash: scheme.hash.New()}, nil
}

// Write adds content. It does not fail.
func (s *Signature) Write(p []byte) (int, error) { return s.hash.Write(p) }

// Micalg is the digest's name in multipart/signed. RFC 8551 3.5.3.2.
func (s *Signature) Micalg() string { return s.scheme.micalg }

// Detached returns the signature of what was written, as a SignedData in DER
// without the content: the contents of application/pkcs7-signature. now is the
// time of signing.
//
// Source: RFC 5652 5; RFC 5754 (algorithms); RFC 5035 5.4.1 (the signer's
// certificate is signed too).
func (s *Signature) Detached(now time.Time) ([]byte, error) {
	attrs := s.attributes(now)
	// What is signed is a SET OF, what is written has another tag: RFC 5652 5.4.
	h := s.scheme.hash.New()
	h.Write(tlv(tagSet, len(attrs))) // a hash never fails to write
	h.Write(attrs)
	sig, err := s.signer.Key.Sign(rand.Reader, h.Sum(nil), s.scheme.hash)
	if err != nil {
		return nil, fmt.Errorf("cms: sign: %w", err)
	}
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidSignedData)
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { s.signedData(b, attrs, sig) })
			})
		})
	}), nil
}

func (s *Signature) signedData(b *cryptobyte.Builder, attrs, sig []byte) {
	digest := func(b *cryptobyte.Builder) { algorithm(b, s.scheme.digest, nil) } // RFC 5754 2: absent
	b.AddASN1Int64(1)
	b.AddASN1(cbasn1.SET, digest)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
	b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
		raws := [][]byte{s.signer.Cert.Raw}
		for _, c := range s.signer.Chain {
			raws = append(raws, c.Raw)
		}
		b.AddBytes(sorted(raws))
	})
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			issuerAndSerial(b, s.signer.Cert)
			digest(b)
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(attrs) })
			algorithm(b, s.scheme.signature, s.scheme.params)
			b.AddASN1OctetString(sig)
		})
	})
}

// attributes returns the signed attributes in the order of a SET OF, without
// its tag. RFC 5652 11; X.690 11.6.
func (s *Signature) attributes(now time.Time) []byte {
	attr := func(oid asn1.ObjectIdentifier, value func(b *cryptobyte.Builder)) []byte {
		return der(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oid)
				b.AddASN1(cbasn1.SET, value)
			})
		})
	}
	now = now.UTC()
	id := sha256.Sum256(s.signer.Cert.Raw)
	return sorted([][]byte{
		attr(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) }),
		attr(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(s.hash.Sum(nil)) }),
		attr(oidSigningTime, func(b *cryptobyte.Builder) {
			if y := now.Year(); y >= 1950 && y < 2050 { // RFC 5652 11.3
				b.AddASN1UTCTime(now)
				return
			}
			b.AddASN1GeneralizedTime(now)
		}),
		attr(oidSigningCertificate, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // SigningCertificateV2
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // certs
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(id[:]) }) // SHA-256 is the default
				})
			})
		}),
	})
}

func sorted(items [][]byte) []byte {
	slices.SortFunc(items, func(a, b []byte) int { return slices.Compare(a, b) })
	return slices.Concat(items...)
}
