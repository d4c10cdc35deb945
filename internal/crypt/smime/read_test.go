package smime_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestReadCertificates(t *testing.T) {
	a := newAuthority()
	bob := a.person(t, "bob@partner.example", ecKey(elliptic.P256()))
	cert, root, key := block("CERTIFICATE", bob.cert.Raw), block("CERTIFICATE", a.cert.Raw), block("PRIVATE KEY", bob.p8)
	for _, tc := range []struct {
		name  string
		in    []byte
		chain int
		want  error
	}{
		{name: "PEM", in: cert},
		{name: "DER", in: bob.cert.Raw},
		{name: "with its chain and words", in: slices.Concat([]byte("Bob's:\n"), cert, []byte("Root:\r\n"), root), chain: 1},
		{name: "nothing", want: smime.ErrUnreadable},
		{name: "no certificate in it", in: block("CERTIFICATE", []byte("no")), want: smime.ErrUnreadable},
		{name: "a bad one in the chain", in: slices.Concat(cert, block("CERTIFICATE", nil)), want: smime.ErrUnreadable},
		{name: "too many", in: bytes.Repeat(cert, 21), want: smime.ErrUnreadable},
		{name: "too large", in: append(bytes.Clone(cert), make([]byte, smime.MaxFile)...), want: smime.ErrUnreadable},
		{name: "a secret key", in: slices.Concat(cert, key), want: smime.ErrSecret},
		{name: "a secret key that cannot be read", in: slices.Concat(cert, block("ENCRYPTED PRIVATE KEY", []byte("no"))), want: cms.ErrKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, chain, err := smime.ReadCertificates(bytes.NewReader(tc.in))
			if !errors.Is(err, tc.want) || len(chain) != tc.chain {
				t.Fatalf("%d in the chain, %v, want %d, %v", len(chain), err, tc.chain, tc.want)
			}
			if tc.want == nil && !got.Equal(bob.cert) {
				t.Error("another certificate")
			}
		})
	}
}

func TestReadSigner(t *testing.T) {
	a := newAuthority()
	gate := a.person(t, "gateway@clinic.example", ecKey(elliptic.P256()))
	eve := a.person(t, "eve@clinic.example", rsaKey(2048))
	tpl := a.template("box@clinic.example", gate.key.Public())
	tpl.KeyUsage = x509.KeyUsageKeyAgreement
	cert, root, key := block("CERTIFICATE", gate.cert.Raw), block("CERTIFICATE", a.cert.Raw), block("PRIVATE KEY", gate.p8)
	for _, tc := range []struct {
		name string
		in   []byte
		want error
	}{
		{"key first", slices.Concat(key, cert), nil},
		{"in any order", slices.Concat(root, block("CERTIFICATE", eve.cert.Raw), cert, block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(gate.key.(*ecdsa.PrivateKey))))), nil},
		{"no key", cert, cms.ErrKey},
		{"another's key", slices.Concat(cert, block("PRIVATE KEY", eve.p8)), cms.ErrKey},
		{"two keys", slices.Concat(cert, key, key), smime.ErrUnreadable},
		{"encrypts only", slices.Concat(key, block("CERTIFICATE", a.issue(tpl, gate.key.Public()).Raw)), cms.ErrKey},
		{"no certificate", key, smime.ErrUnreadable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := smime.ReadSigner(bytes.NewReader(tc.in))
			if !errors.Is(err, tc.want) {
				t.Fatalf("err = %v, want %v", err, tc.want)
			}
			if tc.want == nil && (!s.Cert.Equal(gate.cert) || slices.ContainsFunc(s.Chain, a.cert.Equal)) {
				t.Error("another certificate, or the root in the chain")
			}
		})
	}
}

// TestReadOfOpenSSL reads files that another program wrote.
func TestReadOfOpenSSL(t *testing.T) {
	for _, args := range []string{"rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384"} {
		dir := t.TempDir()
		key, cert := filepath.Join(dir, "key"), filepath.Join(dir, "cert")
		if _, err := run(t, nil, "openssl", slices.Concat([]string{"req", "-x509", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=Invented", "-text", "-newkey"}, strings.Fields(args))...); err != nil {
			t.Fatal(err)
		}
		k, c := must(os.ReadFile(key)), must(os.ReadFile(cert))
		if _, _, err := smime.ReadCertificates(bytes.NewReader(c)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		traditional, err := run(t, k, "openssl", "pkey", "-traditional")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range [][]byte{k, traditional} {
			if _, err := smime.ReadSigner(bytes.NewReader(slices.Concat(c, k))); err != nil {
				t.Errorf("%s: %v", args, err)
			}
		}
	}
}

func FuzzReadCertificates(f *testing.F) {
	for _, name := range []string{"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "0"} {
		f.Add([]byte(name))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if cert, _, err := smime.ReadCertificates(bytes.NewReader(in)); err == nil && cert == nil {
			t.Error("neither a certificate nor an error")
		}
		if s, err := smime.ReadSigner(bytes.NewReader(in)); err == nil && (s.Key == nil || s.Cert == nil) {
			t.Error("a signer without key or certificate")
		}
	})
}
