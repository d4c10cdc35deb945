package strict_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
)

func newKey(t testing.TB) strict.Key {
	t.Helper()
	k, err := strict.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealed(t testing.TB, to, bind string, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := strict.Seal(&out, to, bind)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; len(plain) > 0; n = n*3 + 1 { // pieces of many sizes
		m := min(n, len(plain))
		if _, err := w.Write(plain[:m]); err != nil {
			t.Fatal(err)
		}
		plain = plain[m:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opened(b []byte, bind string, with []cms.Secret, key []byte) ([]byte, error) {
	r, err := strict.Open(iotest.HalfReader(bytes.NewReader(b)), bind, with, key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestContentsComeBack(t *testing.T) {
	k := newKey(t)
	for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 300_000} {
		plain := make([]byte, n)
		rand.Read(plain)
		b := sealed(t, k.Recipient, "mine", plain)
		got, err := opened(b, "mine", []cms.Secret{k.Secret}, nil)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
		head, err := strict.Header(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		own, err := strict.OpenKey(head, []cms.Secret{newKey(t).Secret, k.Secret})
		if err != nil || len(own) != 32 {
			t.Fatalf("its own key: %d bytes, %v", len(own), err)
		}
		if got, err := opened(b, "mine", nil, own); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes, by its own key: %d, %v", n, len(got), err)
		}
	}
}

func TestContentsOpenOnlyAsWhatTheyAre(t *testing.T) {
	k := newKey(t)
	plain := bytes.Repeat([]byte("p"), 200<<10)
	b := sealed(t, k.Recipient, "mine", plain)
	head, err := strict.Header(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	body := len("stanch-strict/1\n") + 2 + len(head)
	const chunk = 64<<10 + 28
	flipped := func(at int) []byte {
		x := bytes.Clone(b)
		x[at] ^= 1
		return x
	}
	swapped := append(append(append(bytes.Clone(b[:body]), b[body+chunk:body+2*chunk]...), b[body:body+chunk]...), b[body+2*chunk:]...)
	for name, tc := range map[string]struct {
		b    []byte
		bind string
		with strict.Key
		want error
	}{
		"another's name":        {b, "other", k, strict.ErrTampered},
		"another key":           {b, "mine", newKey(t), cms.ErrWrongKey},
		"cut at a chunk":        {b[:body+2*chunk], "mine", k, strict.ErrTampered},
		"cut inside one":        {b[:len(b)-1], "mine", k, strict.ErrTampered},
		"cut before the first":  {b[:body], "mine", k, strict.ErrTampered},
		"cut inside the header": {b[:40], "mine", k, strict.ErrTampered},
		"nothing":               {nil, "mine", k, strict.ErrTampered},
		"something behind it":   {append(bytes.Clone(b), 0), "mine", k, strict.ErrTampered},
		"chunks in other order": {swapped, "mine", k, strict.ErrTampered},
		"the first chunk":       {flipped(body + 20), "mine", k, strict.ErrTampered},
		"a nonce":               {flipped(body + chunk), "mine", k, strict.ErrTampered},
		"the last byte":         {flipped(len(b) - 1), "mine", k, strict.ErrTampered},
		"the envelope":          {flipped(body - 1), "mine", k, strict.ErrTampered},
		"the first line":        {flipped(0), "mine", k, strict.ErrTampered},
	} {
		got, err := opened(tc.b, tc.bind, []cms.Secret{tc.with.Secret}, nil)
		if !errors.Is(err, tc.want) || !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: %d bytes, %v; want %v", name, len(got), err, tc.want)
		}
	}
	if _, err := opened(b, "mine", nil, make([]byte, 16)); !errors.Is(err, strict.ErrTampered) {
		t.Errorf("a key of another length: %v", err)
	}
}

func TestKeysAreRead(t *testing.T) {
	k := newKey(t)
	again, err := strict.ParseKey(k.String())
	if err != nil || again.Recipient != k.Recipient || !strict.IsRecipient(k.Recipient) || strict.IsReader(k.Recipient) {
		t.Errorf("%v", err)
	}
	for _, s := range []string{"", k.Recipient, k.String()[:60], "P384-SECRET-KEY:AAAA"} {
		if _, err := strict.ParseKey(s); !errors.Is(err, strict.ErrKey) {
			t.Errorf("%.20s: %v", s, err)
		}
	}
	for _, s := range []string{"", "age1x", k.Recipient[:60], "x509:AAAA", "p384:AAAA"} {
		if err := strict.Usable(s); !errors.Is(err, strict.ErrKey) {
			t.Errorf("%.20s: %v", s, err)
		}
	}
}

// TestReaders seals a key to certificates that openssl made: openssl opens it, and
// so does this package.
func TestReaders(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for _, kind := range [][]string{{"rsa:3072"}, {"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}} {
		dir := t.TempDir()
		cert, key, file := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "sealed")
		args := append([]string{"req", "-x509", "-nodes", "-subj", "/CN=Reviewer", "-keyout", key, "-out", cert, "-newkey"}, kind...)
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := strict.ReadReader(b)
		if err != nil {
			t.Fatal(err)
		}
		const text = "a period's key"
		s, err := strict.SealKey([]byte(text), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, s, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("openssl", "cms", "-decrypt", "-inform", "DER", "-binary", "-in", file, "-inkey", key).Output(); err != nil || string(out) != text {
			t.Errorf("openssl: %q, %v", out, err)
		}
		if b, err = os.ReadFile(key); err != nil {
			t.Fatal(err)
		}
		secret, err := cms.ReadSecret(b)
		if err != nil {
			t.Fatal(err)
		}
		c, err := strict.Certificate(reader)
		if err != nil || !secret.Opens(c.PublicKey) || secret.Opens(newPublic(t)) {
			t.Errorf("whose key it is: %v", err)
		}
		if got, err := strict.OpenKey(s, []cms.Secret{secret}); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := strict.ReadReader(b); !errors.Is(err, strict.ErrKey) {
			t.Errorf("a secret key for a certificate: %v", err)
		}
	}
}

func newPublic(t *testing.T) any {
	t.Helper()
	der, _ := pem.Decode([]byte("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"))
	if der == nil {
		t.Fatal("no public key")
	}
	pub, err := x509.ParsePKIXPublicKey(der.Bytes) // P-256, the base point
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// TestApproved does it all with nothing allowed but what FIPS 140 approves.
func TestApproved(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^(TestContentsComeBack|TestContentsOpenOnlyAsWhatTheyAre|TestKeysAreRead|TestReaders)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestContentsComeBack") {
		t.Errorf("fips140=only: %v\n%s", err, out)
	}
}

func FuzzOpen(f *testing.F) {
	k := newKey(f)
	f.Add(sealed(f, k.Recipient, "mine", []byte("text")))
	f.Add([]byte("stanch-strict/1\n\x00\x01\x30"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := opened(b, "mine", []cms.Secret{k.Secret}, nil); err == nil && string(got) != "text" {
			t.Errorf("opened to %q", got)
		}
	})
}
