package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Errors of Verify.
var (
	// ErrNotSigned says that the bytes are no SignedData of one signer over data,
	// with its certificate and by algorithms of today.
	ErrNotSigned = errors.New("cms: no SignedData of one signer")
	// ErrSignature says that the signature does not hold.
	ErrSignature = errors.New("cms: the signature does not hold")
)

// maxCertificates is how many certificates of a signature are read.
const maxCertificates = 20

// Signed is what a signature says that holds. Nobody has vouched for its
// certificates.
type Signed struct {
	Signer       *x509.Certificate   // whose key made it
	Encryption   *x509.Certificate   // to which the signer wants mail encrypted; Signer where nothing else is said
	All          []*x509.Certificate // that came with it, the two among them
	Capabilities []byte              // value of the attribute smimeCapabilities in DER; nil: there is none
}

// Verify checks the one signature of a SignedData in BER over content; nil content
// is what stands in it. Signed attributes have to be there, by SHA-256, SHA-384 or
// SHA-512. It says nothing of the signer's certificate but that it was made for
// signing, with a key of a strength that is used here. ErrNotSigned, ErrSignature.
//
// Source: RFC 5652 5.4, 5.6; RFC 8551 2.5.2, 2.5.3; RFC 8550 4.4.2.
func Verify(ber, content []byte) (*Signed, error) {
	b, rest, ok := definite(ber, 0)
	if !ok || len(bytes.Trim(rest, "\x00\r\n")) > 0 { // what fills a line up behind it
		return nil, ErrNotSigned
	}
	in := cryptobyte.String(b)
	var all, outer, data, digests, encap, certs, infos, info cryptobyte.String
	var typ asn1.ObjectIdentifier
	var version int64
	context0, context1 := cbasn1.Tag(0).Constructed().ContextSpecific(), cbasn1.Tag(1).Constructed().ContextSpecific()
	if !in.ReadASN1(&all, cbasn1.SEQUENCE) || !all.ReadASN1ObjectIdentifier(&typ) || !typ.Equal(oidSignedData) ||
		!all.ReadASN1(&outer, context0) || !all.Empty() || !outer.ReadASN1(&data, cbasn1.SEQUENCE) || !outer.Empty() ||
		!data.ReadASN1Integer(&version) || !data.ReadASN1(&digests, cbasn1.SET) || !data.ReadASN1(&encap, cbasn1.SEQUENCE) ||
		!encap.ReadASN1ObjectIdentifier(&typ) || !typ.Equal(oidData) || !data.ReadASN1(&certs, context0) ||
		!data.SkipOptionalASN1(context1) || !data.ReadASN1(&infos, cbasn1.SET) || !data.Empty() ||
		!infos.ReadASN1(&info, cbasn1.SEQUENCE) || !infos.Empty() {
		return nil, ErrNotSigned
	}
	if !encap.Empty() {
		var octets, inside cryptobyte.String
		if !encap.ReadASN1(&octets, context0) || !octets.ReadASN1(&inside, cbasn1.OCTET_STRING) || content != nil {
			return nil, ErrNotSigned
		}
		content = inside
	}
	if content == nil {
		return nil, ErrNotSigned
	}
	s := &Signed{}
	for !certs.Empty() {
		var raw cryptobyte.String
		var tag cbasn1.Tag
		if !certs.ReadAnyASN1Element(&raw, &tag) || len(s.All) == maxCertificates {
			return nil, ErrNotSigned
		}
		if c, err := x509.ParseCertificate(raw); err == nil && tag == cbasn1.SEQUENCE { // others are of kinds of long ago
			s.All = append(s.All, c)
		}
	}
	if err := s.verify(info, content); err != nil {
		return nil, err
	}
	return s, nil
}

// verify checks one SignerInfo over content.
func (s *Signed) verify(info cryptobyte.String, content []byte) error {
	var version int64
	var sid, alg, digestAlg, attrs, sig cryptobyte.String
	var tag cbasn1.Tag
	var digest, scheme asn1.ObjectIdentifier
	context0 := cbasn1.Tag(0).Constructed().ContextSpecific()
	if !info.ReadASN1Integer(&version) || !info.ReadAnyASN1Element(&sid, &tag) || !info.ReadASN1(&digestAlg, cbasn1.SEQUENCE) ||
		!digestAlg.ReadASN1ObjectIdentifier(&digest) || !info.ReadASN1(&attrs, context0) || !info.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&scheme) || !info.ReadASN1(&sig, cbasn1.OCTET_STRING) {
		return ErrNotSigned
	}
	hash, ok := hashOf(digest)
	if s.Signer = s.named(sid, tag); s.Signer == nil || !ok || KeyUsable(s.Signer) != nil || !signs(s.Signer) {
		return ErrNotSigned
	}
	values, ok := attributeValues(attrs)
	if !ok || !bytes.Equal(values[oidContentType.String()], der(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })) {
		return ErrNotSigned
	}
	h := hash.New()
	h.Write(content) // a hash never fails to write
	if !bytes.Equal(values[oidMessageDigest.String()], append(tlv(tagOctets, h.Size()), h.Sum(nil)...)) {
		return ErrSignature
	}
	if !verifies(s.Signer, scheme, hash, append(tlv(tagSet, len(attrs)), attrs...), sig) {
		return ErrSignature
	}
	s.Capabilities = values[oidSMIMECapabilities.String()]
	s.Encryption = s.Signer
	if pref := cryptobyte.String(values[oidEncryptionKeyPreference.String()]); len(pref) > 0 {
		var name cryptobyte.String
		s.Encryption = nil
		if pref.ReadASN1(&name, context0) { // issuerAndSerialNumber, which is what programs write
			s.Encryption = s.byIssuer(name)
		}
		if s.Encryption == nil {
			return ErrNotSigned
		}
	}
	return nil
}

// named is the certificate that a SignerIdentifier names.
func (s *Signed) named(sid cryptobyte.String, tag cbasn1.Tag) *x509.Certificate {
	var inside cryptobyte.String
	if tag == cbasn1.SEQUENCE && sid.ReadASN1(&inside, cbasn1.SEQUENCE) {
		return s.byIssuer(inside)
	}
	if tag == cbasn1.Tag(0).ContextSpecific() && sid.ReadASN1(&inside, tag) {
		for _, c := range s.All {
			if len(c.SubjectKeyId) > 0 && bytes.Equal(c.SubjectKeyId, inside) {
				return c
			}
		}
	}
	return nil
}

// byIssuer is the certificate of an issuer's name and serial number.
func (s *Signed) byIssuer(name cryptobyte.String) *x509.Certificate {
	var issuer cryptobyte.String
	serial := new(big.Int)
	if !name.ReadASN1Element(&issuer, cbasn1.SEQUENCE) || !name.ReadASN1Integer(serial) {
		return nil
	}
	for _, c := range s.All {
		if bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0 {
			return c
		}
	}
	return nil
}

// attributeValues are the attributes by their type, each of one value.
func attributeValues(attrs cryptobyte.String) (map[string][]byte, bool) {
	values := map[string][]byte{}
	for !attrs.Empty() {
		var one, set, value cryptobyte.String
		var typ asn1.ObjectIdentifier
		var tag cbasn1.Tag
		if !attrs.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&typ) || !one.ReadASN1(&set, cbasn1.SET) || !one.Empty() ||
			!set.ReadAnyASN1Element(&value, &tag) || values[typ.String()] != nil {
			return nil, false
		}
		if !set.Empty() { // none of those that are looked for has more than one
			value = cryptobyte.String{}
		}
		values[typ.String()] = value
	}
	return values, true
}

func hashOf(id asn1.ObjectIdentifier) (crypto.Hash, bool) {
	switch {
	case id.Equal(oidSHA256):
		return crypto.SHA256, true
	case id.Equal(oidSHA384):
		return crypto.SHA384, true
	case id.Equal(oidSHA512):
		return crypto.SHA512, true
	}
	return 0, false // SHA-1 and MD5 among them
}

// signs reports a key usage that allows signatures of mail; one that is not stated
// allows all. RFC 8550 4.4.2.
func signs(c *x509.Certificate) bool {
	return c.KeyUsage == 0 || c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) != 0
}

// verifies reports a signature by the key of c over signed.
func verifies(c *x509.Certificate, scheme asn1.ObjectIdentifier, hash crypto.Hash, signed, sig []byte) bool {
	pkcs1 := map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.SHA256WithRSA, crypto.SHA384: x509.SHA384WithRSA, crypto.SHA512: x509.SHA512WithRSA}
	ecdsa := map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.ECDSAWithSHA256, crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512}
	switch {
	case scheme.Equal(oidRSA), scheme.Equal(oidSHA256WithRSA), scheme.Equal(oidSHA384WithRSA), scheme.Equal(oidSHA512WithRSA): // RFC 5754 3.2: the digest is said once
		return c.CheckSignature(pkcs1[hash], signed, sig) == nil
	case scheme.Equal(oidECDSAWithSHA256), scheme.Equal(oidECDSAWithSHA384), scheme.Equal(oidECDSAWithSHA512):
		return c.CheckSignature(ecdsa[hash], signed, sig) == nil
	case scheme.Equal(oidPSS): // RFC 4056: with the digest's hash; by another it does not hold
		pub, ok := c.PublicKey.(*rsa.PublicKey)
		h := hash.New()
		h.Write(signed) // a hash never fails to write
		return ok && rsa.VerifyPSS(pub, hash, h.Sum(nil), sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}
	return false
}
