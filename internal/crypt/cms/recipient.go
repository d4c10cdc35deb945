package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// minRSABits is the shortest RSA key that is used. NIST SP 800-131A rev. 2, 6.
const minRSABits = 2048

// maxRSABits bounds the work a certificate can ask for.
const maxRSABits = 16384

// maxRecipients bounds an envelope.
const maxRecipients = 1000

// Errors a caller chooses by.
var (
	// ErrKey says that a certificate's key cannot be encrypted to, or a signer's
	// cannot sign here.
	ErrKey = errors.New("cms: no usable key")
	// ErrRecipients says that there is no recipient, or more than 1,000.
	ErrRecipients = errors.New("cms: number of recipients")
	// ErrTooLarge says that the content is larger than can be sealed whole.
	ErrTooLarge = errors.New("cms: content too large")
)

// Recipient is one who can open an envelope.
type Recipient struct {
	Cert *x509.Certificate
	// ByKeyID names the certificate by its subject key identifier in place of
	// issuer and serial number. Not all programs find their key by it.
	ByKeyID bool
}

// KeyUsable says whether an envelope can be made for the certificate's key: RSA
// of 2048 bits or more, or P-256, P-384 or P-521. The error is ErrKey with the
// reason.
func KeyUsable(cert *x509.Certificate) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSABits || n > maxRSABits {
			return fmt.Errorf("%w: RSA of %d bits", ErrKey, n)
		}
		return nil
	case *ecdsa.PublicKey:
		if _, err := key.ECDH(); err != nil || !nist(key) {
			return fmt.Errorf("%w: curve", ErrKey)
		}
		return nil
	}
	return fmt.Errorf("%w: neither RSA nor ECDH", ErrKey)
}

// nist reports the curves that envelopes use. P-224 is too small.
func nist(key *ecdsa.PublicKey) bool {
	switch key.Curve.Params().Name {
	case "P-256", "P-384", "P-521":
		return true
	}
	return false
}

// seal returns the RecipientInfos of key for rcpts, each in DER and sorted as
// DER has a SET OF (X.690 11.6), and whether all are of version 0.
func seal(key []byte, rcpts []Recipient, oaep bool) (set []byte, plain bool, err error) {
	if len(rcpts) == 0 || len(rcpts) > maxRecipients {
		return nil, false, ErrRecipients
	}
	infos := make([][]byte, 0, len(rcpts))
	plain = true
	for _, r := range rcpts {
		if err := KeyUsable(r.Cert); err != nil {
			return nil, false, err
		}
		if r.ByKeyID && len(r.Cert.SubjectKeyId) == 0 {
			return nil, false, fmt.Errorf("%w: no subject key identifier", ErrKey)
		}
		var info []byte
		switch pub := r.Cert.PublicKey.(type) {
		case *rsa.PublicKey:
			info, err = r.transport(pub, key, oaep)
			plain = plain && !r.ByKeyID
		case *ecdsa.PublicKey:
			info, err = r.agreement(pub, key)
			plain = false
		}
		if err != nil {
			return nil, false, fmt.Errorf("cms: seal key: %w", err)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, bytes.Compare)
	all := bytes.Join(infos, nil)
	return append(tlv(tagSet, len(all)), all...), plain, nil
}

// transport returns a KeyTransRecipientInfo.
//
// Source: RFC 5652 6.2.1; RFC 3370 4.2.1 (PKCS #1 v1.5); RFC 3560 and RFC 4055
// 4.1 (OAEP with SHA-256, in MGF1 too; both parameters written).
func (r Recipient) transport(pub *rsa.PublicKey, key []byte, oaep bool) ([]byte, error) {
	oid, params := oidRSA, null
	var sealed []byte
	var err error
	if oaep {
		sha := der(func(b *cryptobyte.Builder) { algorithm(b, oidSHA256, null) })
		oid = oidOAEP
		params = der(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(sha) })
				b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { algorithm(b, oidMGF1, sha) })
			})
		})
		sealed, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, key, nil)
	} else {
		sealed, err = rsa.EncryptPKCS1v15(rand.Reader, pub, key) //nolint:staticcheck // what programs without OAEP open: RFC 8551 2.3
	}
	if err != nil {
		return nil, err
	}
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if r.ByKeyID {
				b.AddASN1Int64(2)
				b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(r.Cert.SubjectKeyId) })
			} else {
				b.AddASN1Int64(0)
				issuerAndSerial(b, r.Cert)
			}
			algorithm(b, oid, params)
			b.AddASN1OctetString(sealed)
		})
	}), nil
}

// agreement returns a KeyAgreeRecipientInfo with an ephemeral key of its own.
//
// Source: RFC 5652 6.2.2; RFC 5753 3.1 and 7.2.
func (r Recipient) agreement(pub *ecdsa.PublicKey, key []byte) ([]byte, error) {
	theirs, err := pub.ECDH()
	if err != nil {
		return nil, err
	}
	ours, err := theirs.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	kek, err := agree(ours, theirs)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrapKey(kek, key)
	if err != nil {
		return nil, err
	}
	wrap := der(func(b *cryptobyte.Builder) { algorithm(b, oidAES256Wrap, nil) })
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
					algorithm(b, oidECPublicKey, nil) // RFC 5753 7.1.2: absent, or the curve
					b.AddASN1BitString(ours.PublicKey().Bytes())
				})
			})
			algorithm(b, oidStdDHSHA256KDF, wrap)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					if r.ByKeyID {
						b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
							b.AddASN1OctetString(r.Cert.SubjectKeyId)
						})
					} else {
						issuerAndSerial(b, r.Cert)
					}
					b.AddASN1OctetString(wrapped)
				})
			})
		})
	}), nil
}

// agree is the key under which ours and theirs agree to wrap another.
//
// Source: RFC 5753 7.2 (ECC-CMS-SharedInfo: the wrap's algorithm, and the bits
// of its key); SEC 1 3.6.1 (the X9.63 key derivation).
func agree(ours *ecdh.PrivateKey, theirs *ecdh.PublicKey) ([]byte, error) {
	secret, err := ours.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	info := der(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			algorithm(b, oidAES256Wrap, nil)
			b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1OctetString([]byte{0, 0, 1, 0}) // 256
			})
		})
	})
	h := sha256.New() // one block of it is the key
	h.Write(secret)
	h.Write([]byte{0, 0, 0, 1})
	h.Write(info)
	return h.Sum(nil), nil
}

// wrapIV is what an unwrapped key is known by. RFC 3394 2.2.3.1.
var wrapIV = [8]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}

// wrapKey wraps key, of a multiple of eight bytes, under kek.
//
// Source: RFC 3394 2.2.1.
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 8+len(key))
	copy(out[8:], key)
	var b [16]byte
	copy(b[:], wrapIV[:])
	n := len(key) / 8
	for j := range 6 {
		for i := 1; i <= n; i++ {
			r := out[8*i : 8*i+8]
			copy(b[8:], r)
			block.Encrypt(b[:], b[:])
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(n*j+i))
			copy(r, b[8:])
		}
	}
	copy(out, b[:8])
	return out, nil
}

// issuerAndSerial adds an IssuerAndSerialNumber. RFC 5652 10.2.4.
func issuerAndSerial(b *cryptobyte.Builder, cert *x509.Certificate) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(cert.RawIssuer)
		b.AddASN1BigInt(cert.SerialNumber)
	})
}
