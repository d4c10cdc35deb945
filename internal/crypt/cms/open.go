package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Errors of Open.
var (
	// ErrNotEnvelope says that the bytes are no envelope as Encrypt writes them
	// with AES256GCM.
	ErrNotEnvelope = errors.New("cms: no AuthEnvelopedData with AES-256-GCM")
	// ErrWrongKey says that no key at hand opens the envelope.
	ErrWrongKey = errors.New("cms: none of the keys opens it")
	// ErrTampered says that the envelope was altered.
	ErrTampered = errors.New("cms: altered")
)

// Secret is a private key that opens envelopes.
type Secret struct{ key crypto.PrivateKey }

// NewSecret returns a Secret of an *rsa.PrivateKey or *ecdsa.PrivateKey of a kind
// that envelopes are made for. ErrKey.
func NewSecret(key crypto.PrivateKey) (Secret, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
			return Secret{}, ErrKey
		}
		return Secret{k}, nil
	case *ecdsa.PrivateKey:
		if !nist(&k.PublicKey) {
			return Secret{}, ErrKey
		}
		dh, err := k.ECDH()
		if err != nil {
			return Secret{}, ErrKey
		}
		return Secret{dh}, nil
	}
	return Secret{}, ErrKey
}

// Opens reports whether pub is the public key of s.
func (s Secret) Opens(pub crypto.PublicKey) bool {
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		return key.PublicKey.Equal(pub)
	case *ecdh.PrivateKey:
		ec, ok := pub.(*ecdsa.PublicKey)
		if !ok {
			return false
		}
		theirs, err := ec.ECDH()
		return err == nil && key.PublicKey().Equal(theirs)
	}
	return false
}

// ReadSecret returns the private key in PEM, PKCS #8 or the older forms of RSA
// and EC keys, unencrypted. Certificates beside it do not matter. ErrKey.
func ReadSecret(b []byte) (Secret, error) {
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		var key crypto.PrivateKey
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return Secret{}, ErrKey // the parser's text may tell of the key
		}
		return NewSecret(key)
	}
	return Secret{}, ErrKey
}

// Open returns the content of an envelope in DER of AuthEnvelopedData with
// AES-256-GCM, its key sealed by RSA-OAEP with SHA-256, or agreed on with
// SHA-256 and wrapped by AES-256. An EnvelopedData is not opened: nothing in it
// tells whether it was altered. Every recipient is tried with every key,
// whoever it names. ErrNotEnvelope, ErrWrongKey, ErrTampered.
//
// Source: RFC 5083 2.1; RFC 5084 3.2.
func Open(b []byte, with []Secret) ([]byte, error) {
	in := cryptobyte.String(b)
	var all, outer, env, infos cryptobyte.String
	var typ asn1.ObjectIdentifier
	var version int64
	context0, context1 := cbasn1.Tag(0).Constructed().ContextSpecific(), cbasn1.Tag(1).Constructed().ContextSpecific()
	if !in.ReadASN1(&all, cbasn1.SEQUENCE) || !in.Empty() || !all.ReadASN1ObjectIdentifier(&typ) || !typ.Equal(oidAuthEnvelopedData) ||
		!all.ReadASN1(&outer, context0) || !all.Empty() || !outer.ReadASN1(&env, cbasn1.SEQUENCE) || !outer.Empty() ||
		!env.ReadASN1Integer(&version) || version != 0 || !env.SkipOptionalASN1(context0) || !env.ReadASN1(&infos, cbasn1.SET) {
		return nil, ErrNotEnvelope
	}
	var content, alg, params, nonce, text, mac cryptobyte.String
	var cipherOID asn1.ObjectIdentifier
	tagBytes := int64(12) // RFC 5084 3.2: the default
	if !env.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadASN1ObjectIdentifier(&typ) || !content.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&cipherOID) || !cipherOID.Equal(oidAES256GCM) || !alg.ReadASN1(&params, cbasn1.SEQUENCE) || !alg.Empty() ||
		!params.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !params.Empty() && !params.ReadASN1Integer(&tagBytes) ||
		!content.ReadASN1(&text, cbasn1.Tag(0).ContextSpecific()) || !content.Empty() {
		return nil, ErrNotEnvelope
	}
	var attrs cryptobyte.String
	var authenticated bool
	if !env.ReadOptionalASN1(&attrs, &authenticated, context1) || !env.ReadASN1(&mac, cbasn1.OCTET_STRING) ||
		len(nonce) != 12 || tagBytes != 16 || len(mac) != 16 {
		return nil, ErrNotEnvelope
	}
	var ad []byte
	if authenticated { // RFC 5083 2.2: as a SET OF
		ad = append(tlv(tagSet, len(attrs)), attrs...)
	}
	return openContent(infos, with, slices.Concat(nonce, text, mac), ad)
}

// openContent opens sealed, its nonce before it and its tag behind, by the key that
// any of with finds in infos.
func openContent(infos cryptobyte.String, with []Secret, sealed, ad []byte) ([]byte, error) {
	for n := 0; !infos.Empty(); n++ {
		var info cryptobyte.String
		var tag cbasn1.Tag
		if !infos.ReadAnyASN1(&info, &tag) || n >= maxRecipients {
			return nil, ErrNotEnvelope
		}
		for _, s := range with {
			for _, key := range s.keys(info, tag) {
				block, err := aes.NewCipher(key)
				if err != nil || len(key) != 32 {
					continue
				}
				aead, err := cipher.NewGCMWithRandomNonce(block) // as it was sealed; the module of FIPS 140 approves no other
				if err != nil {
					continue
				}
				plain, err := aead.Open(sealed[:0], nil, sealed, ad)
				if err != nil { // the key came out of it whole: what is beside it is not
					return nil, ErrTampered
				}
				return plain, nil
			}
		}
	}
	return nil, ErrWrongKey
}

// keys are the content's keys that s finds in one RecipientInfo.
func (s Secret) keys(info cryptobyte.String, tag cbasn1.Tag) [][]byte {
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		if tag == cbasn1.SEQUENCE {
			return transported(key, info)
		}
	case *ecdh.PrivateKey:
		if tag == cbasn1.Tag(1).Constructed().ContextSpecific() {
			return agreed(key, info)
		}
	}
	return nil
}

// transported opens a KeyTransRecipientInfo.
func transported(key *rsa.PrivateKey, info cryptobyte.String) [][]byte {
	var version int64
	var rid, alg, sealed cryptobyte.String
	var tag cbasn1.Tag
	var oid asn1.ObjectIdentifier
	if !info.ReadASN1Integer(&version) || !info.ReadAnyASN1(&rid, &tag) || !info.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidOAEP) || !info.ReadASN1(&sealed, cbasn1.OCTET_STRING) {
		return nil
	}
	b, err := rsa.DecryptOAEP(sha256.New(), nil, key, sealed, nil)
	if err != nil {
		return nil // sealed to another
	}
	return [][]byte{b}
}

// agreed opens a KeyAgreeRecipientInfo: the key wrapped for each of its
// recipients, of whom at most one is ours.
func agreed(key *ecdh.PrivateKey, info cryptobyte.String) (keys [][]byte) {
	var version int64
	var originator, public, alg, each cryptobyte.String
	var oid, kdf asn1.ObjectIdentifier
	var bits asn1.BitString
	context0, context1 := cbasn1.Tag(0).Constructed().ContextSpecific(), cbasn1.Tag(1).Constructed().ContextSpecific()
	if !info.ReadASN1Integer(&version) || version != 3 || !info.ReadASN1(&originator, context0) || !originator.ReadASN1(&public, context1) ||
		!public.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) || !public.ReadASN1BitString(&bits) ||
		!info.SkipOptionalASN1(context1) || !info.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&kdf) || !kdf.Equal(oidStdDHSHA256KDF) ||
		!alg.ReadASN1(&public, cbasn1.SEQUENCE) || !public.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidAES256Wrap) || !info.ReadASN1(&each, cbasn1.SEQUENCE) {
		return nil
	}
	theirs, err := key.Curve().NewPublicKey(bits.RightAlign())
	if err != nil {
		return nil // of another curve
	}
	kek, err := agree(key, theirs)
	if err != nil {
		return nil
	}
	for n := 0; !each.Empty() && n < maxRecipients; n++ {
		var one, rid, wrapped cryptobyte.String
		var tag cbasn1.Tag
		if !each.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadAnyASN1(&rid, &tag) || !one.ReadASN1(&wrapped, cbasn1.OCTET_STRING) {
			return keys
		}
		if k, ok := unwrapKey(kek, wrapped); ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// unwrapKey is the inverse of wrapKey. Source: RFC 3394 2.2.2.
func unwrapKey(kek, wrapped []byte) ([]byte, bool) {
	if len(wrapped) != 40 {
		return nil, false
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, false
	}
	out := append([]byte(nil), wrapped[8:]...)
	var b [16]byte
	copy(b[:8], wrapped)
	n := len(out) / 8
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			r := out[8*(i-1) : 8*i]
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(n*j+i))
			copy(b[8:], r)
			block.Decrypt(b[:], b[:])
			copy(r, b[8:])
		}
	}
	return out, subtle.ConstantTimeCompare(b[:8], wrapIV[:]) == 1
}
