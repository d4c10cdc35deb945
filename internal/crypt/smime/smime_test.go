package smime_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/message"
)

// authority issues certificates of invented people.
type authority struct {
	cert   *x509.Certificate
	key    crypto.Signer
	serial int64
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ecKey(c elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func rsaKey(bits int) crypto.Signer { return must(rsa.GenerateKey(rand.Reader, bits)) }

func newAuthority() *authority {
	a := &authority{key: rsaKey(2048), serial: 1000}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Invented Root", Organization: []string{"Clinic Example"}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.cert = a.issue(tpl, a.key.Public())
	return a
}

// issue signs a certificate; the first is the authority's own.
func (a *authority) issue(tpl *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
	parent := a.cert
	if parent == nil {
		parent = tpl
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, tpl, parent, pub, a.key))))
}

// template is of a certificate that can be encrypted to at this time.
func (a *authority) template(address string, pub crypto.PublicKey) *x509.Certificate {
	a.serial++
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	if _, ok := pub.(*rsa.PublicKey); ok {
		usage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: address}, EmailAddresses: []string{address},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: usage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
}

// person is one with a certificate and its key, in files for other programs.
type person struct {
	cert              *x509.Certificate
	key               crypto.Signer
	certFile, keyFile string
	p8                []byte
}

func (a *authority) person(t testing.TB, address string, key crypto.Signer) *person {
	t.Helper()
	p := &person{cert: a.issue(a.template(address, key.Public()), key.Public()), key: key}
	p.p8 = must(x509.MarshalPKCS8PrivateKey(key))
	dir := t.TempDir()
	p.certFile, p.keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, p.certFile, "CERTIFICATE", p.cert.Raw)
	writePEM(t, p.keyFile, "PRIVATE KEY", p.p8)
	return p
}

func writePEM(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	write(t, name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program; a test without it skips.
func run(t testing.TB, in []byte, name string, args ...string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Logf("%s: %v: %.4000s", name, err, &stderr)
	}
	return out, err
}

const mailText = "Received: from a.clinic.example by gw.example; Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
	"From: alice@clinic.example\r\nTo: bob@partner.example\r\nSubject: Befund Erna Example\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@clinic.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe, Erna\r\n"

func protected(t testing.TB, text string) *message.Protected {
	t.Helper()
	p, err := message.Protect(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, message.Protection{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// encrypted returns the message for the class, and what is in its body.
func encrypted(t testing.TB, p *message.Protected, c smime.Class, signer *cms.Signer) (msg, der []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := smime.Encrypt(&b, p, c, signer, time.Now()); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	der, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), der
}

func class(c cms.Cipher, people ...*person) smime.Class {
	out := smime.Class{Cipher: c}
	for _, p := range people {
		out.Recipients = append(out.Recipients, smime.Recipient{Cert: p.cert})
	}
	return out
}

func TestMessage(t *testing.T) {
	a := newAuthority()
	bob := a.person(t, "bob@partner.example", ecKey(elliptic.P256()))
	alice := a.person(t, "alice@clinic.example", ecKey(elliptic.P256()))
	for c, kind := range map[cms.Cipher]string{cms.AES256GCM: "authEnveloped-data", cms.AES256CBC: "enveloped-data"} {
		msg, _ := encrypted(t, protected(t, mailText), class(c, bob), &cms.Signer{Key: alice.key, Cert: alice.cert})
		head, body, _ := strings.Cut(string(msg), "\r\n\r\n")
		want := "Received: from a.clinic.example by gw.example; Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
			"From: alice@clinic.example\r\nTo: bob@partner.example\r\nSubject: [...]\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
			"Message-ID: <1@clinic.example>\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=" + kind + ";\r\n name=\"smime.p7m\"\r\n" +
			"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\""
		if head != want {
			t.Errorf("header\n%s\nwant\n%s", head, want)
		}
		for line := range strings.SplitSeq(body, "\r\n") {
			if len(line) > 76 {
				t.Errorf("line of %d", len(line))
			}
		}
		if strings.Contains(string(msg), "Erna") || !strings.HasSuffix(body, "\r\n") {
			t.Errorf("message\n%s", msg)
		}
	}
}

func TestClasses(t *testing.T) {
	ec, r := &x509.Certificate{PublicKey: ecKey(elliptic.P256()).Public()}, &x509.Certificate{PublicKey: rsaKey(2048).Public()}
	gcm, both := smime.Capabilities{AES256GCM: true}, smime.Capabilities{AES256GCM: true, RSAOAEP: true}
	got := smime.Classes([]smime.Recipient{{ec, gcm}, {r, gcm}, {r, both}, {ec, smime.Capabilities{}}, {r, smime.Capabilities{RSAOAEP: true}}})
	if len(got) != 2 || got[0].Cipher != cms.AES256GCM || len(got[0].Recipients) != 2 || got[1].Cipher != cms.AES256CBC || len(got[1].Recipients) != 3 {
		t.Errorf("classes = %+v", got)
	}
	if got := smime.Classes(nil); got != nil {
		t.Errorf("of nobody: %v", got)
	}
}

func capabilities(t testing.TB, list ...any) []byte {
	t.Helper()
	return must(asn1.Marshal(list))
}

func TestCapabilities(t *testing.T) {
	type alg struct{ ID asn1.ObjectIdentifier }
	type withParams struct {
		ID     asn1.ObjectIdentifier
		Params any
	}
	type sha256Params struct {
		Hash alg `asn1:"explicit,tag:0"`
	}
	gcm, oaep := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	for _, tc := range []struct {
		name string
		der  []byte
		want smime.Capabilities
	}{
		{"empty", capabilities(t), smime.Capabilities{}},
		{"gcm", capabilities(t, alg{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}}, alg{gcm}), smime.Capabilities{AES256GCM: true}},
		{"oaep with SHA-1", capabilities(t, alg{gcm}, alg{oaep}, withParams{oaep, struct{}{}}), smime.Capabilities{AES256GCM: true}},
		{"oaep with SHA-256", capabilities(t, withParams{oaep, sha256Params{alg{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}}}, alg{gcm}), smime.Capabilities{AES256GCM: true, RSAOAEP: true}},
	} {
		if got, err := smime.ParseCapabilities(tc.der); err != nil || got != tc.want {
			t.Errorf("%s = %+v, %v, want %+v", tc.name, got, err, tc.want)
		}
	}
	for name, der := range map[string][]byte{"nothing": nil, "cut": {0x30, 5, 1}, "more after it": append(capabilities(t), 0), "large": make([]byte, 20_000)} {
		if _, err := smime.ParseCapabilities(der); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzParseCapabilities(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Add([]byte("\x30\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e"))
	f.Add([]byte("\x30\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30\x0d\xa0\x0b\x30\x09\x06\x07\x60\x86\x48\x01\x65\x03\x04\x02\x01"))
	f.Fuzz(func(t *testing.T, der []byte) {
		if c, err := smime.ParseCapabilities(der); err != nil && c != (smime.Capabilities{}) {
			t.Errorf("%+v of what is none", c)
		}
	})
}
