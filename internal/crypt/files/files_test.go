package files_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/files"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

var now = time.Now()

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// certificate writes one of key for that usage, valid to until.
func certificate(t *testing.T, key crypto.Signer, usage x509.KeyUsage, until time.Time) string {
	t.Helper()
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-48 * time.Hour), NotAfter: until, KeyUsage: usage}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func secretFile(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestRecipientsThatCannotBeUsed: with one of them nothing is encrypted for
// anybody, and the error says which it is.
func TestRecipientsThatCannotBeUsed(t *testing.T) {
	key := ecKey(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := certificate(t, key, x509.KeyUsageKeyAgreement, now.Add(time.Hour))
	for name, tc := range map[string]struct{ file, want string }{
		"expired":                  {certificate(t, key, x509.KeyUsageKeyAgreement, now.Add(-time.Hour)), "expired"},
		"signs only":               {certificate(t, key, x509.KeyUsageDigitalSignature, now.Add(time.Hour)), "not made for encryption"},
		"a curve's, for transport": {certificate(t, key, x509.KeyUsageKeyEncipherment, now.Add(time.Hour)), "not made for encryption"},
		"RSA, for agreement":       {certificate(t, rsaKey, x509.KeyUsageKeyAgreement, now.Add(time.Hour)), "not made for encryption"},
		"a secret key":             {secretFile(t, key), "not a certificate"},
		"nothing":                  {file(t, ""), "not a certificate"},
		"larger than a key can be": {file(t, strings.Repeat("x", 300<<10)), "larger than"},
		"a file that is not there": {filepath.Join(t.TempDir(), "gone"), ""},
	} {
		_, err := files.Open(files.Recipients{CMS: []string{good, tc.file}}, now)
		k, ok := errors.AsType[*dlp.KeyError](err)
		if !ok || k.Key != "cms_recipients[1]" || !strings.Contains(k.Want, tc.want) {
			t.Errorf("%s: %v, want cms_recipients[1]: %s", name, err, tc.want)
		}
	}
	if _, err := files.Open(files.Recipients{PGP: []string{good}}, now); err == nil {
		t.Error("a certificate is taken for an OpenPGP key")
	}
	if _, err := files.Open(files.Recipients{}, now); !errors.Is(err, dlp.ErrNoWay) {
		t.Errorf("nobody: %v", err)
	}
}

// TestCMSFile: what is written opens with the secret key; altered, cut short or
// with another's nothing of it comes out.
func TestCMSFile(t *testing.T) {
	key := ecKey(t)
	e, err := files.Open(files.Recipients{CMS: []string{certificate(t, key, 0, now.Add(time.Hour))}}, now)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte("Erna Example, invented\r\n"), 10_000)
	var sealed bytes.Buffer
	if err := e.Write(&sealed, bytes.NewReader(plain)); err != nil || e.Ext() != files.ExtCMS || !strings.Contains(e.Note(), "stanch decrypt NAME.p7m") || !strings.HasPrefix(e.Note(), files.NoteLine) {
		t.Fatalf("%v, %s: %s", err, e.Ext(), e.Note())
	}
	secret, err := cms.NewSecret(key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := cms.NewSecret(ecKey(t))
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Clone(sealed.Bytes())
	altered[len(altered)/2] ^= 1
	for name, tc := range map[string]struct {
		b    []byte
		with cms.Secret
		want error
	}{
		"as it is":      {sealed.Bytes(), secret, nil},
		"altered":       {altered, secret, cms.ErrTampered},
		"cut short":     {sealed.Bytes()[:sealed.Len()-1], secret, cms.ErrNotEnvelope},
		"for somebody":  {sealed.Bytes(), other, cms.ErrWrongKey},
		"nothing of it": {nil, secret, cms.ErrNotEnvelope},
	} {
		var got bytes.Buffer
		err := files.DecryptCMS(&got, bytes.NewReader(tc.b), []cms.Secret{tc.with})
		if !errors.Is(err, tc.want) || err == nil && !bytes.Equal(got.Bytes(), plain) || err != nil && got.Len() > 0 {
			t.Errorf("%s: %d bytes, %v; want %v", name, got.Len(), err, tc.want)
		}
	}
	if e.Takes(files.MaxCMS+1) || !e.Takes(files.MaxCMS) {
		t.Error("what is taken is not bounded by MaxCMS")
	}
	if err := e.Write(io.Discard, io.LimitReader(zeros{}, files.MaxCMS+1)); !errors.Is(err, dlp.ErrNoWay) {
		t.Errorf("a file that grew: %v", err)
	}
}

// TestLargeCMSFileIsNotRead: a file past the bound is refused by its size, and what has
// none, once that much has come.
func TestLargeCMSFileIsNotRead(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "large.p7m"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(140 << 20); err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]io.Reader{"file": unread{f, t}, "stream": zeros{}} {
		var got bytes.Buffer
		if err := files.DecryptCMS(&got, src, nil); err == nil || !strings.Contains(err.Error(), "larger than 128 MiB") || got.Len() > 0 {
			t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
		}
	}
}

// unread is a file that nothing is to be read from.
type unread struct {
	*os.File
	t *testing.T
}

func (u unread) Read([]byte) (int, error) {
	u.t.Error("it is read")
	return 0, io.EOF
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAgeFile(t *testing.T) {
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	e, err := files.Open(files.Recipients{Age: []string{id.Recipient().String()}}, now)
	if err != nil || e.Ext() != files.ExtAge || !e.Takes(1<<40) || !strings.Contains(e.Note(), id.Recipient().String()) {
		t.Fatalf("%v, %s", err, e.Note())
	}
	var sealed, got bytes.Buffer
	if err := e.Write(&sealed, strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	if err := age.Decrypt(&got, &sealed, []filippo.Identity{id}); err != nil || got.String() != "text" {
		t.Errorf("%q, %v", got.String(), err)
	}
}
