package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
)

func secrets(t testing.TB, some ...crypto.PrivateKey) (out []cms.Secret) {
	t.Helper()
	for _, k := range some {
		s, err := cms.NewSecret(k)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// TestOpen opens what Encrypt and openssl wrote, for each kind of key.
func TestOpen(t *testing.T) {
	content := make([]byte, 70_000)
	rand.Read(content)
	certs, private := map[string]*x509.Certificate{}, map[string]crypto.PrivateKey{}
	var all []cms.Recipient
	for name, k := range keys {
		certs[name], private[name] = certificate(t, k), k
		all = append(all, cms.Recipient{Cert: certs[name]})
	}
	for name, key := range private {
		t.Run(name, func(t *testing.T) {
			for what, sealed := range map[string][]byte{"alone": encrypt(t, cms.AES256GCM, content, cms.Recipient{Cert: certs[name]}), "by key id": encrypt(t, cms.AES256GCM, content, cms.Recipient{Cert: certs[name], ByKeyID: true}),
				"among others": encrypt(t, cms.AES256GCM, content, all...), "by openssl": byOpenSSL(t, content, certs[name])} {
				got, err := cms.Open(bytes.Clone(sealed), secrets(t, key))
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes, %v", what, len(got), err)
				}
				if what == "among others" {
					continue
				}
				if got, err := cms.Open(bytes.Clone(sealed), nil); !errors.Is(err, cms.ErrWrongKey) || got != nil {
					t.Errorf("%s, without a key: %d bytes, %v", what, len(got), err)
				}
			}
			var others []crypto.PrivateKey
			for n, k := range private {
				if n != name {
					others = append(others, k)
				}
			}
			if got, err := cms.Open(encrypt(t, cms.AES256GCM, content, cms.Recipient{Cert: certs[name]}), secrets(t, others...)); !errors.Is(err, cms.ErrWrongKey) || got != nil {
				t.Errorf("by others: %d bytes, %v", len(got), err)
			}
		})
	}
}

// byOpenSSL encrypts as openssl does by algorithms that are known here.
func byOpenSSL(t testing.TB, content []byte, cert *x509.Certificate) []byte {
	t.Helper()
	file, _ := store(t, cert, keys["P-256"])
	how := []string{"cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", "-recip", file}
	if cert.PublicKeyAlgorithm == x509.RSA {
		how = append(how, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
	} else {
		how = append(how, "-aes256-wrap", "-keyopt", "ecdh_kdf_md:sha256")
	}
	sealed, err := openssl(t, content, how...)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// TestOpenAltered: of what was altered anywhere, cut short, or followed by
// something, nothing comes out. What is not authenticated is not opened at all.
func TestOpenAltered(t *testing.T) {
	content := []byte("Patient: Erna Example, invented; result: none")
	rcpt := cms.Recipient{Cert: certificate(t, keys["P-256"])}
	with := secrets(t, keys["P-256"])
	sealed := encrypt(t, cms.AES256GCM, content, rcpt)
	refused := func(what string, at int, b []byte) {
		t.Helper()
		got, err := cms.Open(b, with)
		// Names of recipients and versions are not bound to the content: then all of it comes, as it was.
		if err != nil && got != nil || err == nil && !bytes.Equal(got, content) {
			t.Errorf("%s, byte %d: %q, %v", what, at, got, err)
		}
	}
	opened := 0
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused("altered", i, bytes.Clone(bad))
		if _, err := cms.Open(bad, with); err == nil {
			opened++
		}
		if _, err := cms.Open(bytes.Clone(sealed[:i]), with); err == nil {
			t.Errorf("cut short at %d: opened", i)
		}
	}
	if opened > len(sealed)/3 { // the name of the issuer is long
		t.Errorf("%d of %d bytes may be altered", opened, len(sealed))
	}
	for back := 1; back <= 16; back++ {
		bad := bytes.Clone(sealed)
		bad[len(bad)-back] ^= 1
		if _, err := cms.Open(bad, with); !errors.Is(err, cms.ErrTampered) {
			t.Errorf("tag altered: %v", err)
		}
	}
	for what, b := range map[string][]byte{"something behind it": append(bytes.Clone(sealed), 0), "nothing": nil, "EnvelopedData": encrypt(t, cms.AES256CBC, content, rcpt)} {
		if got, err := cms.Open(b, with); !errors.Is(err, cms.ErrNotEnvelope) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

func TestReadSecret(t *testing.T) {
	key := keys["P-384"]
	_, file := store(t, certificate(t, key), key)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sealed := encrypt(t, cms.AES256GCM, []byte("x"), cms.Recipient{Cert: certificate(t, key)})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, key).Raw})
	s, err := cms.ReadSecret(append(cert, good...))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cms.Open(sealed, []cms.Secret{s}); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	p224Key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := x509.MarshalECPrivateKey(p224Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"a certificate": cert, "nothing": nil, "P-224": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: p224}),
		"damaged": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30}})} {
		if _, err := cms.ReadSecret(b); !errors.Is(err, cms.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	content := []byte("text")
	with := secrets(f, keys["P-256"])
	f.Add(encrypt(f, cms.AES256GCM, content, cms.Recipient{Cert: certificate(f, keys["P-256"])}))
	f.Add([]byte{0x30, 0x80})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := cms.Open(b, with); err == nil && !bytes.Equal(got, content) {
			t.Errorf("opened to %q", got)
		}
	})
}
