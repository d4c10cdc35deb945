package ways

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/revocation"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a file of certificates.
const (
	maxPEM   = 256 << 10
	maxChain = 20
	maxRoots = 1000 // and four times maxPEM
)

// oidCapabilities is the extension in which a certificate says what its owner's
// program reads. RFC 4262 2.
var oidCapabilities = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}

var errSecretPEM = errors.New("ways: a private key")

// ErrCertificate says that a file holds certificates of which one cannot be read.
var ErrCertificate = errors.New("a certificate in it cannot be read")

// errNoCertificate says that a file holds none.
var errNoCertificate = errors.New("ways: no certificate")

// certificates reads the certificates of a file, most at most.
func certificates(b []byte, most int) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	begun := bytes.Count(b, []byte("-----BEGIN CERTIFICATE-----")) + bytes.Count(b, []byte("-----BEGIN X509 CERTIFICATE-----"))
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, errSecretPEM
		}
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(out) == most {
			return nil, ErrCertificate
		}
		out = append(out, c)
	}
	switch {
	case len(out) < begun: // one of them is no PEM
		return nil, ErrCertificate
	case len(out) == 0:
		return nil, errNoCertificate
	}
	return out, nil
}

// smimeKey is one file of certificates.
type smimeKey struct {
	Key
	chain []*x509.Certificate // the recipient's first; nil where it cannot be read
	reads smime.Capabilities
}

func (w *Ways) readSMIME(dir string) error {
	t, err := readTrust(dir, sha256Digits)
	if err != nil {
		return err
	}
	files, err := readFolder(dir, ".pem", maxPEM)
	if err != nil {
		return err
	}
	w.smimeTrust = t
	for _, f := range files {
		k := &smimeKey{Key: Key{Way: dlp.SMIME, File: f.name, For: f.whom, Trust: Folder}}
		if at := strings.LastIndexByte(f.whom, '@'); at == 0 || at == len(f.whom)-1 || w.smime[f.whom] != nil {
			k.Unfit = BadName
			w.other = append(w.other, k.Key)
			continue
		}
		w.smime[f.whom] = k
		if f.err != nil {
			k.Unfit = Unreadable
			continue
		}
		chain, err := certificates(f.data, maxChain)
		switch {
		case errors.Is(err, errSecretPEM):
			k.Unfit = SecretKey
			continue
		case err != nil:
			k.Unfit = Unreadable
			continue
		}
		k.chain, k.Fingerprint, k.Expires = chain, sha256Of(chain[0].Raw), chain[0].NotAfter
		k.judge(t)
		k.reads = t.reads(k.Fingerprint, capabilities(chain[0]))
	}
	return nil
}

// readRoots reads the authorities that are trusted.
func readRoots(path string) (*x509.CertPool, error) {
	b, err := readFile(path, 4*maxPEM)
	if err != nil {
		return nil, err
	}
	all, err := certificates(b, maxRoots)
	switch {
	case errors.Is(err, errSecretPEM):
		return nil, errors.New("it holds a private key")
	case errors.Is(err, errNoCertificate):
		return nil, errors.New("there is none in it")
	case err != nil:
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		if !c.IsCA {
			return nil, errors.New("one in it is no authority's")
		}
		pool.AddCert(c)
	}
	return pool, nil
}

// capabilities is what the certificate itself says of its owner's program.
func capabilities(c *x509.Certificate) smime.Capabilities {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidCapabilities) {
			reads, err := smime.ParseCapabilities(e.Value)
			if err != nil {
				return smime.Capabilities{} // what all programs read
			}
			return reads
		}
	}
	return smime.Capabilities{}
}

// askWithin is how long it is waited for what authorities say of one certificate
// and of theirs, while a client waits.
const askWithin = 10 * time.Second

// stateOf is k as it stands at now for rcpt, who is k's or of its domain.
func (w *Ways) stateOf(ctx context.Context, k *smimeKey, rcpt dlp.Address, now time.Time) Key {
	out := k.Key
	if k.chain == nil || out.Unfit != "" {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cert := k.chain[0]
	byChain := w.roots != nil && k.Trust != Pinned
	err := smime.Trust{Pinned: !byChain, Roots: w.roots, Domain: !strings.Contains(k.For, "@"), Status: w.asking(ctx)}.Check(cert, k.chain[1:], rcpt, now)
	u, is := errors.AsType[smime.Unfit](err)
	switch {
	case err == nil && byChain:
		out.Trust = Chain
	case err == nil && k.Trust == Fetched:
		out.Unfit = NotChecked
	case err == nil:
	case is && u.Reason == smime.ReasonAddress && (k.Trust == Pinned || !byChain && k.Trust != Fetched && len(smime.Addresses(cert))+len(cert.DNSNames) == 0):
		// The administrator says whose it is. What Check looks for after that:
		if len(cert.UnhandledCriticalExtensions) > 0 {
			out.Unfit = Cannot
		}
	case is:
		out.Unfit = smimeReason(u.Reason)
	default:
		out.Unfit = Cannot
	}
	return out
}

// asking is what authorities say of a certificate; nil where they are not asked.
func (w *Ways) asking(ctx context.Context) func(cert, issuer *x509.Certificate) smime.Reason {
	if w.status == nil {
		return nil
	}
	return func(cert, issuer *x509.Certificate) smime.Reason {
		switch got := w.status.Ask(ctx, cert, issuer); {
		case got == revocation.Revoked:
			return smime.ReasonRevoked
		case got == revocation.Good || w.soft:
			return ""
		}
		return smime.ReasonNoStatus
	}
}

// smimeReason is the Reason for one of S/MIME's.
func smimeReason(r smime.Reason) Reason {
	switch r {
	case smime.ReasonNotYetValid, smime.ReasonExpired:
		return Expired
	case smime.ReasonAddress:
		return OtherPerson
	case smime.ReasonRevoked:
		return Revoked
	case smime.ReasonChain:
		return NoChain
	case smime.ReasonNoStatus:
		return NoStatus
	}
	return Cannot
}

// smimeFor returns the certificate for rcpt and how it stands: that of the
// address, or where that cannot be used that of the domain; where the folder has none
// for the address, and none for the domain that can be used, what was seen in mail. A pin for the address
// bars all others, the domain's too. nil: there is none.
func (w *Ways) smimeFor(ctx context.Context, rcpt dlp.Address, now time.Time) (*smimeKey, Key) {
	own, ok := w.smime[nameOf(rcpt)]
	var s Key
	if ok {
		if s = w.stateOf(ctx, own, rcpt, now); s.Unfit == "" {
			return own, s
		}
	}
	if d, found := w.smime[fold(rcpt.Domain)]; found {
		ds := w.stateOf(ctx, d, rcpt, now)
		if pin, pinned := w.smimeTrust.pins[nameOf(rcpt)]; pinned && pin != d.Fingerprint && ds.Unfit == "" {
			ds.Unfit = NotPinned
		}
		if ds.Unfit == "" {
			return d, ds
		}
		if !ok {
			own, s = d, ds
		}
	}
	if !ok {
		if k, ss := w.seenOf(ctx, dlp.SMIME, rcpt, now); k != nil && (own == nil || ss.Unfit == "") {
			if k.smime == nil {
				return &smimeKey{Key: ss}, ss
			}
			return k.smime, ss
		}
	}
	return own, s
}

// recipient is rcpt as S/MIME has it; false where there is no way any more.
func (w *Ways) recipient(rcpt dlp.Address, now time.Time) (smime.Recipient, bool) {
	k, s := w.smimeFor(context.Background(), rcpt, now) // what authorities say was asked when the way was chosen, and is kept
	if k == nil || s.Unfit != "" {
		return smime.Recipient{}, false
	}
	reads := k.reads
	if seen := w.seenKey(dlp.SMIME, nameOf(rcpt)); seen != nil && seen.smime != nil && seen.Fingerprint == k.Fingerprint {
		reads.AES256GCM = reads.AES256GCM || seen.smime.reads.AES256GCM // the owner of this very key signed that
		reads.RSAOAEP = reads.RSAOAEP || seen.smime.reads.RSAOAEP
	}
	return smime.Recipient{Cert: k.chain[0], Capabilities: reads}, true
}

// maxSMIME is how many certificates one message is encrypted to.
const maxSMIME = 100

// smimeClasses sorts rcpts by what their programs read.
func (w *Ways) smimeClasses(rcpts []dlp.Address) (out [][]dlp.Address) {
	now := w.now()
	of := map[cms.Cipher][]dlp.Address{}
	for _, r := range rcpts {
		x, ok := w.recipient(r, now)
		if !ok {
			out = append(out, []dlp.Address{r}) // Encrypt says that there is none
			continue
		}
		c := smime.Classes([]smime.Recipient{x})[0].Cipher
		of[c] = append(of[c], r)
	}
	for _, c := range []cms.Cipher{cms.AES256GCM, cms.AES256CBC} {
		out = slices.AppendSeq(out, slices.Chunk(of[c], maxSMIME))
	}
	return out
}

// smimeClass is what rcpts share; false where they share nothing.
func (w *Ways) smimeClass(rcpts []dlp.Address, now time.Time) (smime.Class, bool) {
	var all []smime.Recipient
	for _, r := range rcpts {
		x, ok := w.recipient(r, now)
		if !ok {
			return smime.Class{}, false
		}
		if !slices.ContainsFunc(all, func(o smime.Recipient) bool { return o.Cert.Equal(x.Cert) }) { // a domain's stands for many
			all = append(all, x)
		}
	}
	cs := smime.Classes(all)
	if len(cs) != 1 {
		return smime.Class{}, false
	}
	return cs[0], true
}

// readSigner reads the site's own certificate and its key.
func readSigner(cert, key string) (*cms.Signer, error) {
	fi, err := os.Stat(key)
	if err != nil {
		return nil, bare(err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, errors.New("others may read it: chmod 600")
	}
	k, err := readFile(key, maxPEM)
	if err != nil {
		return nil, err
	}
	c, err := readFile(cert, maxPEM)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		return nil, errors.New("not a certificate, its chain after it, and its key")
	}
	s := &cms.Signer{Cert: pair.Leaf}
	var ok bool
	if s.Key, ok = pair.PrivateKey.(crypto.Signer); !ok {
		return nil, errors.New("not a key that signs")
	}
	for _, der := range pair.Certificate[1:] {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("not a certificate in its chain")
		}
		if !bytes.Equal(x.RawIssuer, x.RawSubject) { // a root is not sent
			s.Chain = append(s.Chain, x)
		}
	}
	if _, err := s.Sign(); err != nil {
		return nil, errors.New("a key of a kind that is not used: want RSA of 2048 bits or more, or ECDSA on a NIST curve")
	}
	return s, nil
}
