package smime_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

var bobAddress = dlp.Address{Local: "bob", Domain: "partner.example"}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// otherName is a SubjectAltName, critical as RFC 5280 4.1.2.6 asks where there
// is no subject, with one SmtpUTF8Mailbox.
func otherName(t testing.TB, mailbox string) pkix.Extension {
	t.Helper()
	utf8 := must(asn1.MarshalWithParams(mailbox, "utf8"))
	value := must(asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: utf8}))
	id := must(asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 9}))
	name := asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: slices.Concat(id, value)}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: must(asn1.Marshal([]asn1.RawValue{name}))}
}

func TestCheck(t *testing.T) {
	a, stranger := newAuthority(), newAuthority()
	ec, rsa2048 := ecKey(elliptic.P256()), rsaKey(2048)
	weak, weakEC := rsaKey(1024), must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	bob := "bob@partner.example"
	trust := smime.Trust{Roots: pool(a.cert)}
	for _, tc := range []struct {
		name   string
		change func(c *x509.Certificate)
		from   *authority
		trust  func(tr *smime.Trust)
		to     dlp.Address
		at     time.Duration
		want   smime.Reason
	}{
		{name: "RSA"},
		{name: "EC", change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement; c.PublicKey = ec.Public() }},
		{name: "no usage stated", change: func(c *x509.Certificate) { c.KeyUsage, c.ExtKeyUsage = 0, nil }},
		{name: "any purpose", change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }},
		{name: "another's case", change: func(c *x509.Certificate) { c.EmailAddresses = []string{"Bob@Partner.Example"} }},
		{name: "address in the subject", change: inSubject(bob)},
		{name: "address outside ASCII", to: dlp.Address{Local: "bjørn", Domain: "xn--mller-kva.example"}, change: func(c *x509.Certificate) {
			c.EmailAddresses = nil
			c.ExtraExtensions = []pkix.Extension{otherName(t, "bjørn@müller.example")}
		}},
		{name: "one of two addresses", change: func(c *x509.Certificate) { c.EmailAddresses = []string{"x@y.example", bob} }},
		{name: "weak RSA", change: func(c *x509.Certificate) { c.PublicKey = weak.Public() }, want: smime.ReasonKey},
		{name: "weak curve", change: func(c *x509.Certificate) { c.PublicKey = weakEC.Public() }, want: smime.ReasonKey},
		{name: "signs only", change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, want: smime.ReasonUsage},
		{name: "RSA for key agreement", change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, want: smime.ReasonUsage},
		{name: "EC signs only", change: func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
			c.PublicKey = ec.Public()
		}, want: smime.ReasonUsage},
		{name: "for servers", change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want: smime.ReasonPurpose},
		{name: "for something else", change: func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		}, want: smime.ReasonPurpose},
		{name: "expired", at: 25 * time.Hour, want: smime.ReasonExpired},
		{name: "not yet valid", at: -25 * time.Hour, want: smime.ReasonNotYetValid},
		{name: "another person's", to: dlp.Address{Local: "bobby", Domain: "partner.example"}, want: smime.ReasonAddress},
		{name: "another domain's", to: dlp.Address{Local: "bob", Domain: "partner.test"}, want: smime.ReasonAddress},
		{name: "a subdomain's", to: dlp.Address{Local: "bob", Domain: "x.partner.example"}, want: smime.ReasonAddress},
		{name: "an address literal", to: dlp.Address{Local: "bob", Domain: "[192.0.2.1]"}, want: smime.ReasonAddress},
		{name: "a letter that Unicode folds", to: dlp.Address{Local: "kim", Domain: "partner.example"}, change: func(c *x509.Certificate) {
			c.EmailAddresses = nil
			c.ExtraExtensions = []pkix.Extension{otherName(t, "\u212aim@partner.example")}
		}, want: smime.ReasonAddress},
		{name: "nobody", change: func(c *x509.Certificate) { c.EmailAddresses = nil }, want: smime.ReasonAddress},
		{name: "a name that holds the address", change: func(c *x509.Certificate) {
			c.EmailAddresses = nil
			c.Subject.CommonName = bob
		}, want: smime.ReasonAddress},
		{name: "not of the authority", from: stranger, want: smime.ReasonChain},
		{name: "nobody is trusted", trust: func(tr *smime.Trust) { tr.Roots = nil }, want: smime.ReasonChain},
		{name: "critical extension", change: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, want: smime.ReasonCritical},
		{name: "pinned", from: stranger, trust: func(tr *smime.Trust) { tr.Pinned = true }},
		{name: "pinned and expired", at: 25 * time.Hour, trust: func(tr *smime.Trust) { tr.Pinned = true }, want: smime.ReasonExpired},
		{name: "pinned, another's", to: dlp.Address{Local: "eve", Domain: "partner.example"}, trust: func(tr *smime.Trust) { tr.Pinned = true }, want: smime.ReasonAddress},
		{name: "the domain's", to: dlp.Address{Local: "eve", Domain: "partner.example"}, trust: func(tr *smime.Trust) { tr.Domain, tr.Pinned = true, true }},
		{name: "a person's for the domain", trust: func(tr *smime.Trust) { tr.Domain = true }, want: smime.ReasonAddress},
		{name: "a gateway's", to: dlp.Address{Local: "eve", Domain: "partner.example"}, change: func(c *x509.Certificate) {
			c.EmailAddresses = []string{"Domain-Confidentiality-Authority@partner.example"}
		}, trust: func(tr *smime.Trust) { tr.Domain = true }},
		{name: "the domain's by its name", to: dlp.Address{Local: "eve", Domain: "partner.example"}, change: func(c *x509.Certificate) {
			c.EmailAddresses, c.DNSNames = nil, []string{"partner.example"}
		}, trust: func(tr *smime.Trust) { tr.Domain = true }},
		{name: "another's domain", to: dlp.Address{Local: "eve", Domain: "other.example"}, trust: func(tr *smime.Trust) { tr.Domain = true }, want: smime.ReasonAddress},
	} {
		t.Run(tc.name, func(t *testing.T) {
			from, tr, to := a, trust, tc.to
			if tc.from != nil {
				from = tc.from
			}
			if to == (dlp.Address{}) {
				to = bobAddress
			}
			if tc.trust != nil {
				tc.trust(&tr)
			}
			tpl := from.template(bob, rsa2048.Public())
			tpl.PublicKey = rsa2048.Public()
			if tc.change != nil {
				tc.change(tpl)
			}
			err := tr.Check(from.issue(tpl, tpl.PublicKey), nil, to, time.Now().Add(tc.at))
			wantErr(t, err, tc.want)
		})
	}
}

func wantErr(t *testing.T, err error, want smime.Reason) {
	t.Helper()
	var got smime.Reason
	if u, ok := errors.AsType[smime.Unfit](err); ok {
		got = u.Reason
	} else if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("reason = %q, want %q", got, want)
	}
}

func TestCheckThroughChain(t *testing.T) {
	root := newAuthority()
	middle := &authority{key: ecKey(elliptic.P256()), serial: 5000}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Invented Middle"}, NotBefore: root.cert.NotBefore, NotAfter: root.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	middle.cert = root.issue(tpl, middle.key.Public())
	bob := middle.person(t, "bob@partner.example", rsaKey(2048))
	tr := smime.Trust{Roots: pool(root.cert)}
	now := time.Now()
	wantErr(t, tr.Check(bob.cert, nil, bobAddress, now), smime.ReasonChain)
	wantErr(t, tr.Check(bob.cert, []*x509.Certificate{middle.cert}, bobAddress, now), "")

	says := map[string]smime.Reason{}
	tr.Status = func(cert, issuer *x509.Certificate) smime.Reason {
		if cert.CheckSignatureFrom(issuer) != nil {
			t.Error("asked of a certificate that another issued")
		}
		return says[cert.SerialNumber.String()]
	}
	bobs, middles := bob.cert.SerialNumber.String(), middle.cert.SerialNumber.String()
	for _, tc := range []struct {
		name string
		says map[string]smime.Reason
		want smime.Reason
	}{
		{"both good", nil, ""},
		{"not known", map[string]smime.Reason{bobs: smime.ReasonNoStatus}, smime.ReasonNoStatus},
		{"authority not known", map[string]smime.Reason{middles: smime.ReasonNoStatus}, smime.ReasonNoStatus},
		{"revoked", map[string]smime.Reason{bobs: smime.ReasonRevoked}, smime.ReasonRevoked},
		{"authority revoked", map[string]smime.Reason{bobs: smime.ReasonNoStatus, middles: smime.ReasonRevoked}, smime.ReasonRevoked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			says = tc.says
			wantErr(t, tr.Check(bob.cert, []*x509.Certificate{middle.cert}, bobAddress, now), tc.want)
		})
	}
}

// TestBoundedAuthority: one that may vouch for some addresses only vouches for no other,
// wherever that stands in a certificate.
func TestBoundedAuthority(t *testing.T) {
	const bob = "bob@partner.example"
	root, ours := newAuthority(), []string{"partner.example"}
	for _, tc := range []struct {
		name               string
		permitted, exclude []string
		change             func(c *x509.Certificate)
		domain             bool
		want               smime.Reason
	}{
		{name: "permitted", permitted: ours},
		{name: "another's", permitted: []string{"other.example"}, want: smime.ReasonChain},
		{name: "excluded", exclude: ours, want: smime.ReasonChain},
		{name: "another's, in the subject", permitted: []string{"other.example"}, change: inSubject(bob), want: smime.ReasonChain},
		{name: "excluded, in the subject", exclude: ours, change: inSubject(bob), want: smime.ReasonChain},
		{name: "another's, outside ASCII", permitted: []string{"other.example"}, change: func(c *x509.Certificate) {
			c.EmailAddresses, c.ExtraExtensions = nil, []pkix.Extension{otherName(t, bob)}
		}, want: smime.ReasonChain},
		{name: "another's beside its own", permitted: []string{"other.example"}, change: func(c *x509.Certificate) {
			inSubject(bob)(c)
			c.EmailAddresses = []string{"eve@other.example"}
		}, want: smime.ReasonChain},
		{name: "another's domain", permitted: []string{"other.example"}, domain: true, change: func(c *x509.Certificate) {
			c.EmailAddresses, c.DNSNames = nil, ours
		}, want: smime.ReasonChain},
		{name: "its domain", permitted: ours, domain: true, change: func(c *x509.Certificate) {
			c.EmailAddresses = []string{"domain-confidentiality-authority@partner.example"}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			middle := &authority{key: ecKey(elliptic.P256()), serial: 7000}
			middle.cert = root.issue(&x509.Certificate{
				SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Invented Bounded"}, NotBefore: root.cert.NotBefore, NotAfter: root.cert.NotAfter,
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, PermittedEmailAddresses: tc.permitted, ExcludedEmailAddresses: tc.exclude,
			}, middle.key.Public())
			key := rsaKey(2048).Public()
			tpl := middle.template(bob, key)
			if tc.change != nil {
				tc.change(tpl)
			}
			tr := smime.Trust{Roots: pool(root.cert), Domain: tc.domain}
			wantErr(t, tr.Check(middle.issue(tpl, key), []*x509.Certificate{middle.cert}, bobAddress, time.Now()), tc.want)
		})
	}
}

// inSubject has a certificate name address in its subject alone.
func inSubject(address string) func(c *x509.Certificate) {
	return func(c *x509.Certificate) {
		c.EmailAddresses = nil
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: address}}
	}
}

// TestCheckOfOpenSSL checks certificates that another program made, as of now: what
// has expired expired by its own dates.
func TestCheckOfOpenSSL(t *testing.T) {
	const rsa, p384 = "rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384"
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name, key, usage, names, want string
		from, until                   time.Duration // from now; zero: a day about it
	}{
		{name: "mail", key: rsa, usage: "digitalSignature,keyEncipherment", names: "email:bob@partner.example"},
		{name: "signs only", key: rsa, usage: "digitalSignature", names: "email:bob@partner.example", want: "key_usage"},
		{name: "wrong person", key: rsa, usage: "keyEncipherment", names: "email:eve@partner.example", want: "wrong_address"},
		{name: "expired", key: rsa, usage: "keyEncipherment", names: "email:bob@partner.example", want: "expired", from: -30 * day, until: -day},
		{name: "not yet valid", key: rsa, usage: "keyEncipherment", names: "email:bob@partner.example", want: "not_yet_valid", from: day, until: 30 * day},
		{name: "international name", key: rsa, usage: "keyEncipherment", names: "otherName:1.3.6.1.5.5.7.8.9;UTF8:bob@partner.example"},
		{name: "mail, EC", key: p384, usage: "digitalSignature,keyAgreement", names: "email:bob@partner.example"},
		{name: "signs only, EC", key: p384, usage: "digitalSignature", names: "email:bob@partner.example", want: "key_usage"},
		{name: "wrong person, EC", key: p384, usage: "keyAgreement", names: "email:eve@partner.example", want: "wrong_address"},
		{name: "expired, EC", key: p384, usage: "keyAgreement", names: "email:bob@partner.example", want: "expired", from: -30 * day, until: -day},
		{name: "signing curve", key: "ed25519", usage: "digitalSignature", names: "email:bob@partner.example", want: "key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.until == 0 {
				tc.from, tc.until = -day, day
			}
			dir, now := t.TempDir(), time.Now()
			at := func(name string) string { return filepath.Join(dir, name) }
			write(t, at("index.txt"), nil)
			write(t, at("ca.cnf"), []byte("[ca]\ndefault_ca = it\n[it]\ndatabase = "+at("index.txt")+"\nnew_certs_dir = "+dir+"\nrand_serial = yes\ndefault_md = default\npolicy = any\n[any]\ncommonName = supplied\n"))
			write(t, at("ext"), []byte("keyUsage="+tc.usage+"\nsubjectAltName="+tc.names+"\nextendedKeyUsage=emailProtection\n"))
			date := func(d time.Duration) string { return now.Add(d).UTC().Format("060102150405Z") }
			for _, how := range [][]string{
				append([]string{"req", "-new", "-nodes", "-keyout", at("key.pem"), "-out", at("csr.pem"), "-subj", "/CN=Invented", "-newkey"}, strings.Fields(tc.key)...),
				{"ca", "-batch", "-notext", "-utf8", "-selfsign", "-config", at("ca.cnf"), "-keyfile", at("key.pem"), "-in", at("csr.pem"), "-extfile", at("ext"), "-out", at("cert.pem"),
					"-startdate", date(tc.from), "-enddate", date(tc.until)},
			} {
				if _, err := run(t, nil, "openssl", how...); err != nil {
					t.Fatal(err)
				}
			}
			block, _ := pem.Decode(must(os.ReadFile(at("cert.pem"))))
			cert := must(x509.ParseCertificate(block.Bytes))
			tr := smime.Trust{Roots: pool(cert)}
			wantErr(t, tr.Check(cert, nil, bobAddress, now), smime.Reason(tc.want))
		})
	}
}

func FuzzCheck(f *testing.F) {
	tr := smime.Trust{Pinned: true} // a signature over what was changed would not hold
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		err = tr.Check(cert, nil, bobAddress, cert.NotBefore)
		if addresses := smime.Addresses(cert); err == nil && len(addresses) == 0 {
			t.Error("a certificate of nobody passes")
		}
		if k, ok := cert.PublicKey.(*rsa.PublicKey); ok && err == nil && k.N.BitLen() < 2048 {
			t.Error("a weak key passes")
		}
	})
}
