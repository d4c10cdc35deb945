package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
)

// keys are of each kind that is encrypted to, made once.
var keys = func() map[string]crypto.Signer {
	m := make(map[string]crypto.Signer)
	for name, bits := range map[string]int{"RSA-2048": 2048, "RSA-4096": 4096} {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		m[name] = k
	}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		m[c.Params().Name] = k
	}
	return m
}()

// certificate returns a certificate of key, signed by itself.
func certificate(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(0x80_0001),
		Subject:      pkix.Name{CommonName: "Invented Person"}, SubjectKeyId: []byte("0123456789abcdef0123"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// store writes the certificate and its key for openssl.
func store(t testing.TB, cert *x509.Certificate, key crypto.Signer) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert.Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func openssl(t testing.TB, in []byte, args ...string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = errors.New(err.Error() + ": " + stderr.String())
	}
	return out, err
}

func encrypt(t testing.TB, c cms.Cipher, content []byte, rcpts ...cms.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := cms.Encrypt(&b, c, rcpts, 0)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; len(content) > 0; n = n*3 + 1 { // pieces of many sizes
		m := min(n, len(content))
		if _, err := w.Write(content[:m]); err != nil {
			t.Fatal(err)
		}
		content = content[m:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var ciphers = map[string]cms.Cipher{"GCM": cms.AES256GCM, "CBC": cms.AES256CBC}

func TestEnvelopes(t *testing.T) {
	mode := os.Getenv("STANCH_TEST_FIPS")
	if want := mode != ""; fips140.Enabled() != want {
		t.Fatalf("fips140.Enabled() = %t, want %t", fips140.Enabled(), want)
	}
	for keyName, key := range keys {
		cert := certificate(t, key)
		certFile, keyFile := store(t, cert, key)
		for cipherName, c := range ciphers {
			if _, ok := key.(*rsa.PrivateKey); ok && mode == "only" && c == cms.AES256CBC { // PKCS #1 v1.5 is not approved
				if _, err := cms.Encrypt(io.Discard, c, []cms.Recipient{{Cert: cert}}, 0); err == nil {
					t.Errorf("%s %s is encrypted with fips140=only", keyName, cipherName)
				}
				continue
			}
			for byName, byID := range map[string]bool{"serial": false, "key id": true} {
				t.Run(keyName+" "+cipherName+" "+byName, func(t *testing.T) {
					for _, size := range []int{0, 1, 15, 16, 17, 16 << 10, 100_000} {
						content := make([]byte, size)
						rand.Read(content)
						sealed := encrypt(t, c, content, cms.Recipient{Cert: cert, ByKeyID: byID})
						got, err := openssl(t, sealed, "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", certFile, "-inkey", keyFile)
						if err != nil || !bytes.Equal(got, content) {
							t.Errorf("%d bytes: openssl = %d bytes, %v", size, len(got), err)
						}
					}
				})
			}
		}
	}
}

// TestFIPS does the same with the FIPS 140-3 module in force, and with nothing
// allowed but it.
func TestFIPS(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"on", "only"} {
		cmd := exec.Command(self, "-test.run", "^(TestEnvelopes|TestSign)$", "-test.v")
		cmd.Env = append(os.Environ(), "STANCH_TEST_FIPS="+mode, "GODEBUG=fips140="+mode)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestEnvelopes") {
			t.Errorf("fips140=%s: %v\n%s", mode, err, out)
		}
	}
}

func TestEveryRecipientOpens(t *testing.T) {
	content := []byte("for all of you")
	var rcpts []cms.Recipient
	for _, key := range keys {
		rcpts = append(rcpts, cms.Recipient{Cert: certificate(t, key)})
	}
	for name, c := range ciphers {
		sealed := encrypt(t, c, content, rcpts...)
		for keyName, key := range keys {
			_, keyFile := store(t, certificate(t, key), key)
			got, err := openssl(t, sealed, "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", keyFile)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %s: %q, %v", name, keyName, got, err)
			}
		}
	}
}

// TestAltered changes each byte in turn: GCM opens for none.
func TestAltered(t *testing.T) {
	key := keys["P-256"]
	cert := certificate(t, key)
	certFile, keyFile := store(t, cert, key)
	content := []byte("Patient: Erna Example, invented; result: none")
	sealed := encrypt(t, cms.AES256GCM, content, cms.Recipient{Cert: cert})
	for back := 1; back <= 16+2+len(content); back += 7 { // the tag, then the ciphertext
		bad := bytes.Clone(sealed)
		bad[len(bad)-back] ^= 1
		if got, err := openssl(t, bad, "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", certFile, "-inkey", keyFile); err == nil {
			t.Errorf("byte %d from the end altered: openssl opens it: %q", back, got)
		}
	}
}

func TestRefusedKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	noID := *certificate(t, keys["P-256"])
	noID.SubjectKeyId = nil
	for name, r := range map[string]cms.Recipient{
		"RSA-1024":  {Cert: &x509.Certificate{PublicKey: small.Public()}},
		"P-224":     {Cert: &x509.Certificate{PublicKey: p224.Public()}},
		"none":      {Cert: &x509.Certificate{}},
		"no key id": {Cert: &noID, ByKeyID: true},
	} {
		if _, err := cms.Encrypt(io.Discard, cms.AES256GCM, []cms.Recipient{r}, 0); !errors.Is(err, cms.ErrKey) {
			t.Errorf("%s: err = %v, want ErrKey", name, err)
		}
	}
	if _, err := cms.Encrypt(io.Discard, cms.AES256GCM, nil, 0); !errors.Is(err, cms.ErrRecipients) {
		t.Errorf("nobody: err = %v, want ErrRecipients", err)
	}
	if _, err := (cms.Signer{Key: keys["P-256"], Cert: certificate(t, keys["P-384"])}).Sign(); !errors.Is(err, cms.ErrKey) {
		t.Errorf("another's certificate: err = %v, want ErrKey", err)
	}
}

// TestBrokenWriter makes sure that an envelope that could not be written is not
// taken for one.
func TestBrokenWriter(t *testing.T) {
	rcpts := []cms.Recipient{{Cert: certificate(t, keys["P-256"])}}
	for name, c := range ciphers {
		for room := 0; room < 40_000; room += 997 {
			w, err := cms.Encrypt(&limited{room}, c, rcpts, 0)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(make([]byte, 40_000)) // Close tells
			if err := w.Close(); !errors.Is(err, io.ErrShortWrite) {
				t.Fatalf("%s, %d bytes: Close = %v", name, room, err)
			}
		}
	}
}

type limited struct{ room int }

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.room {
		return 0, io.ErrShortWrite
	}
	l.room -= len(p)
	return len(p), nil
}

func TestSign(t *testing.T) {
	content := []byte("what was said\r\n")
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			cert := certificate(t, key)
			certFile, _ := store(t, cert, key)
			s, err := (cms.Signer{Key: key, Cert: cert}).Sign()
			if err != nil {
				t.Fatal(err)
			}
			s.Write(content)
			sig, err := s.Detached(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			verify := func(content []byte) error {
				file := filepath.Join(t.TempDir(), "content")
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := openssl(t, sig, "cms", "-verify", "-binary", "-inform", "DER", "-content", file, "-CAfile", certFile, "-purpose", "any")
				return err
			}
			if err := verify(content); err != nil {
				t.Error(err)
			}
			if err := verify([]byte("what was not said\r\n")); err == nil {
				t.Error("other content verifies")
			}
		})
	}
}

func BenchmarkEncrypt(b *testing.B) {
	content := make([]byte, 1<<20)
	rcpts := []cms.Recipient{{Cert: certificate(b, keys["RSA-2048"])}}
	for name, c := range ciphers {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				w, err := cms.Encrypt(io.Discard, c, rcpts, len(content))
				if err != nil {
					b.Fatal(err)
				}
				w.Write(content)
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
