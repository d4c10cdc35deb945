package ways_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/gopenpgp/v3/crypto"

	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// key makes the public key of somebody, and the secret one.
func key(t testing.TB, addr string) (public string, secret *crypto.Key) {
	t.Helper()
	k, err := crypto.PGP().KeyGeneration().AddUserId("Somebody", addr).New().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = k.GetArmoredPublicKey(); err != nil {
		t.Fatal(err)
	}
	return public, k
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string, change ...func(*ways.Config)) *ways.Ways {
	t.Helper()
	cfg := ways.Default()
	cfg.OpenPGPDir = dir
	for _, f := range change {
		f(&cfg)
	}
	w, err := ways.Open(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func addr(s string) dlp.Address {
	local, domain, _ := strings.Cut(s, "@")
	return dlp.Address{Local: local, Domain: domain}
}

// unfit is what speaks against OpenPGP for somebody.
func unfit(w *ways.Ways, to string) ways.Reason {
	for _, c := range w.Choices(context.Background(), dlp.Address{}, addr(to)) {
		if c.Way == dlp.OpenPGP {
			return c.Unfit
		}
	}
	return "not told"
}

func TestChoice(t *testing.T) {
	dir := t.TempDir()
	bob, secret := key(t, "bob@partner.example")
	eve, _ := key(t, "eve@elsewhere.test")
	locked, err := secret.Armor()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "Bob@Partner.Example.asc", bob)
	write(t, dir, "carol@partner.example.asc", eve)
	write(t, dir, "dora@partner.example.asc", "no key")
	write(t, dir, "fred@partner.example.asc", locked)
	write(t, dir, "partner.example.asc", bob)
	write(t, dir, "notes.txt", "anything")
	if err := os.Mkdir(filepath.Join(dir, "gina@partner.example.asc"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := open(t, dir)
	for to, want := range map[string]ways.Reason{
		"bob@partner.example": "", "BOB@partner.EXAMPLE": "", "carol@partner.example": ways.OtherPerson, "dora@partner.example": ways.Unreadable,
		"fred@partner.example": ways.SecretKey, "gina@partner.example": ways.Unreadable, "hans@partner.example": ways.NoKey,
	} {
		if got := unfit(w, to); got != want {
			t.Errorf("%s: got %q, want %q", to, got, want)
		}
		way := w.Way(t.Context(), dlp.Address{}, addr(to))
		if (way == dlp.OpenPGP) != (want == "") || way != "" && way != dlp.OpenPGP {
			t.Errorf("%s: goes by %q", to, way)
		}
	}
	var names []string
	for _, k := range w.Keys() {
		names = append(names, k.File+" "+string(k.Unfit))
	}
	want := []string{"Bob@Partner.Example.asc ", "carol@partner.example.asc other_person", "dora@partner.example.asc unreadable",
		"fred@partner.example.asc secret_key", "gina@partner.example.asc unreadable", "partner.example.asc bad_name"}
	if !slices.Equal(names, want) {
		t.Errorf("keys %q, want %q", names, want)
	}
	if got := open(t, dir, func(c *ways.Config) { c.Order = []string{"smime"} }).Way(t.Context(), dlp.Address{}, addr("bob@partner.example")); got != "" {
		t.Errorf("goes by %q, which is not in the order", got)
	}
	if got := ways.Default().Order; !slices.Equal(got, []string{"smime", "openpgp", "tls", "portal", "pdf"}) {
		t.Errorf("default order %q", got)
	}
}

// TestKeyThatIsOver: a key is used as long as it lasts, and then passed over with the
// reason, so that mail goes the next way.
func TestKeyThatIsOver(t *testing.T) {
	dir := t.TempDir()
	k, err := crypto.PGP().KeyGeneration().AddUserId("Bob", "bob@partner.example").Lifetime(3600).New().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.GetArmoredPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "bob@partner.example.asc", public)
	now := time.Now()
	cfg := ways.Default()
	cfg.OpenPGPDir = dir
	w, err := ways.Open(cfg, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	w.HavePortal()
	for _, x := range []struct {
		after time.Duration
		want  ways.Reason
		way   dlp.Way
	}{{time.Minute, "", dlp.OpenPGP}, {2 * time.Hour, ways.Expired, dlp.Portal}} {
		now = time.Now().Add(x.after)
		if got := unfit(w, "bob@partner.example"); got != x.want {
			t.Errorf("after %v: got %q, want %q", x.after, got, x.want)
		}
		if got := w.Way(t.Context(), dlp.Address{}, addr("bob@partner.example")); got != x.way {
			t.Errorf("after %v: goes by %q, want %q", x.after, got, x.way)
		}
	}
}

// TestTrustFile: a pin lets the key it names be another's, and no other key
// count; what is revoked there is not used.
func TestTrustFile(t *testing.T) {
	dir := t.TempDir()
	bob, bobs := key(t, "bob@partner.example")
	old, olds := key(t, "carol@partner.example")
	write(t, dir, "bob@partner.example.asc", bob)
	write(t, dir, "office@partner.example.asc", bob)
	write(t, dir, "carol@partner.example.asc", old)
	print := strings.ToUpper(bobs.GetFingerprint())
	write(t, dir, ways.TrustFile, "# said on the telephone\n\npin "+print+" Office@partner.example\nrevoke "+olds.GetFingerprint()+"\n")
	w := open(t, dir)
	for to, want := range map[string]ways.Reason{"bob@partner.example": "", "office@partner.example": "", "carol@partner.example": ways.Revoked} {
		if got := unfit(w, to); got != want {
			t.Errorf("%s: got %q, want %q", to, got, want)
		}
	}
	write(t, dir, ways.TrustFile, "pin "+olds.GetFingerprint()+" bob@partner.example\n")
	if got := unfit(open(t, dir), "bob@partner.example"); got != ways.NotPinned {
		t.Errorf("another key is pinned: got %q", got)
	}
	for i, sub := range olds.GetEntity().Subkeys { // bars the whole key
		write(t, dir, ways.TrustFile, fmt.Sprintf("revoke %X\n", sub.PublicKey.Fingerprint))
		w := open(t, dir)
		if got := unfit(w, "carol@partner.example"); got != ways.Revoked {
			t.Errorf("subkey %d is revoked: got %q", i, got)
		}
		if got := unfit(w, "bob@partner.example"); got != "" {
			t.Errorf("another's subkey is revoked: got %q", got)
		}
	}
	if len(olds.GetEntity().Subkeys) == 0 {
		t.Error("the key has no subkey")
	}
	for _, bad := range []string{"revoke", "revoke 1234", "pin " + print, "revoke " + print + " x", "remove " + print} {
		write(t, dir, ways.TrustFile, bad)
		cfg := ways.Default()
		cfg.OpenPGPDir = dir
		_, err := ways.Open(cfg, time.Now)
		if e, ok := errors.AsType[*dlp.KeyError](err); !ok || e.Key != "encrypt.openpgp_dir" || !strings.Contains(e.Want, "trust.txt:1") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// TestTrustFileKeepsEachLine: what several say at one moment stands there, all of it.
func TestTrustFileKeepsEachLine(t *testing.T) {
	cfg := ways.Config{OpenPGPDir: t.TempDir()}
	const n = 16
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := ways.Revoke(cfg, fmt.Sprintf("%040x", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(filepath.Join(cfg.OpenPGPDir, ways.TrustFile))
	if lines := strings.Count(string(b), "revoke "); err != nil || lines != n {
		t.Errorf("%d of %d lines stand in the file, %v:\n%s", lines, n, err, b)
	}
}

// TestTrustFileIsNotSpoiled: what would make the file one that cannot be read is
// not written, since nothing could be encrypted then.
func TestTrustFileIsNotSpoiled(t *testing.T) {
	cfg := ways.Config{OpenPGPDir: t.TempDir()}
	path := filepath.Join(cfg.OpenPGPDir, ways.TrustFile)
	print := strings.Repeat("a", 40)
	for _, address := range []string{"bob\u00a0@partner.example", "bo\u2003b@partner.example", strings.Repeat("b", 70<<10) + "@partner.example"} {
		if err := ways.Pin(cfg, print, address); err == nil {
			t.Errorf("pinned for %.20q", address)
		}
	}
	if err := ways.Pin(cfg, print, "bob@partner.example"); err != nil {
		t.Error(err)
	}
	full := "pin " + print + " bob@partner.example\n" + strings.Repeat("# as told\n", 1<<20/10)
	full = full[:1<<20-20] + "\n"
	write(t, cfg.OpenPGPDir, ways.TrustFile, full)
	if err := ways.Revoke(cfg, print); err == nil {
		t.Error("written past what is read")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != full {
		t.Errorf("%d bytes, want %d: %v", len(b), len(full), err)
	}
}

func TestEncrypt(t *testing.T) {
	dir := t.TempDir()
	bob, secret := key(t, "bob@partner.example")
	write(t, dir, "bob@partner.example.asc", bob)
	w := open(t, dir)
	const text = "From: ada@clinic.example\r\nSubject: Mira\r\n\r\nher labs\r\n"
	plain := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	var b bytes.Buffer
	if err := w.Encrypt(&b, plain, dlp.OpenPGP, []dlp.Address{addr("bob@partner.example")}); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(b.String(), "-----BEGIN PGP MESSAGE-----")
	rest, _, _ = strings.Cut(rest, "-----END PGP MESSAGE-----")
	d, err := crypto.PGP().Decryption().DecryptionKey(secret).New()
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decrypt([]byte("-----BEGIN PGP MESSAGE-----"+rest+"-----END PGP MESSAGE-----"), crypto.Armor)
	if err != nil || !strings.Contains(string(got.Bytes()), "her labs") || strings.Contains(b.String(), "Mira") {
		t.Errorf("%v: %q", err, b.String())
	}
	for _, x := range []struct {
		way dlp.Way
		to  string
	}{{dlp.OpenPGP, "carol@partner.example"}, {dlp.Portal, "bob@partner.example"}, {dlp.VerifiedTLS, "bob@partner.example"}, {"", "bob@partner.example"}} {
		b.Reset()
		if err := w.Encrypt(&b, plain, x.way, []dlp.Address{addr(x.to)}); !errors.Is(err, dlp.ErrNoWay) || b.Len() > 0 {
			t.Errorf("%s by %q: got %v and %d bytes", x.to, x.way, err, b.Len())
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []ways.Config{{Order: []string{"smtp"}}, {Order: []string{"tls", "tls"}}, {RequestHeader: "X Encrypt"}, {RequestHeader: "X-Encrypt:"}} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	c := ways.Default()
	c.RequestHeader = "X-Encrypt"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.OpenPGPDir = filepath.Join(t.TempDir(), "none")
	if _, err := ways.Open(c, time.Now); err == nil {
		t.Error("a folder that is not there is taken")
	}
}

// certificate makes a certificate of its own, with its key, as PEM.
func certificate(t testing.TB, change func(*x509.Certificate)) (cert, secret string, c *x509.Certificate) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "somebody"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageKeyAgreement | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}
	change(x)
	der, err := x509.CreateCertificate(rand.Reader, x, x, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})), c
}

func named(addrs ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.EmailAddresses = addrs }
}

func TestSMIME(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, change func(*x509.Certificate)) *x509.Certificate {
		cert, _, c := certificate(t, change)
		write(t, dir, name, cert)
		return c
	}
	put("bob@partner.example.pem", named("Bob@partner.example"))
	put("eve@partner.example.pem", named("else@partner.example"))
	put("any@partner.example.pem", func(*x509.Certificate) {})
	put("old@partner.example.pem", func(c *x509.Certificate) { named("old@partner.example")(c); c.NotAfter = time.Now().Add(-time.Minute) })
	put("sign@partner.example.pem", func(c *x509.Certificate) {
		named("sign@partner.example")(c)
		c.KeyUsage = x509.KeyUsageDigitalSignature
	})
	put("web@partner.example.pem", func(c *x509.Certificate) {
		named("web@partner.example")(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	gone := put("gone@partner.example.pem", named("gone@partner.example"))
	new := put("new@partner.example.pem", named("new@partner.example"))
	pinned := put("office@partner.example.pem", named("else@partner.example"))
	put("Big.example.pem", func(c *x509.Certificate) { c.DNSNames = []string{"big.example"} })
	old := put("late@big.example.pem", func(c *x509.Certificate) { named("late@big.example")(c); c.NotAfter = time.Now().Add(-time.Minute) })
	_, secret, _ := certificate(t, named("key@partner.example"))
	write(t, dir, "key@partner.example.pem", secret)
	write(t, dir, "none@partner.example.pem", "nothing")
	big, err := os.ReadFile(filepath.Join(dir, "Big.example.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(big)
	domains := fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
	print := func(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }
	write(t, dir, ways.TrustFile, "pin "+print(new)+" elsewhere@big.example\npin "+domains+" here@big.example\n"+"revoke "+print(gone)+"\nmodern "+print(new)+"\npin "+print(pinned)+" office@partner.example\n")
	smimeDir := func(c *ways.Config) { c.OpenPGPDir, c.SMIMEDir = "", dir }
	w := open(t, "", smimeDir)
	for to, want := range map[string]ways.Reason{
		"bob@partner.example": "", "any@partner.example": "", "new@partner.example": "", "office@partner.example": "", "who@big.example": "", "here@big.example": "",
		"elsewhere@big.example": ways.NotPinned, "late@BIG.example": "", // a pin bars the domain's certificate too

		"eve@partner.example": ways.OtherPerson, "old@partner.example": ways.Expired, "sign@partner.example": ways.Cannot, "web@partner.example": ways.Cannot,
		"gone@partner.example": ways.Revoked, "key@partner.example": ways.SecretKey, "none@partner.example": ways.Unreadable, "x@sub.big.example": ways.NoKey,
	} {
		if got := w.Choices(t.Context(), dlp.Address{}, addr(to))[0]; got.Way != dlp.SMIME || got.Unfit != want {
			t.Errorf("%s: got %v %q, want %q", to, got.Way, got.Unfit, want)
		}
		if way := w.Way(t.Context(), dlp.Address{}, addr(to)); (way == dlp.SMIME) != (want == "") {
			t.Errorf("%s: goes by %q", to, way)
		}
	}
	rcpts := []dlp.Address{addr("bob@partner.example"), addr("new@partner.example"), addr("who@big.example"), addr("late@big.example")}
	classes := w.Classes(dlp.SMIME, rcpts)
	if len(classes) != 2 || !slices.Equal(classes[0], rcpts[1:2]) || len(classes[1]) != 3 {
		t.Fatalf("classes %v, want the modern one apart", classes)
	}
	plain := func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: Mira\r\n\r\nx\r\n")), nil
	}
	for _, c := range classes {
		var b bytes.Buffer
		if err := w.Encrypt(&b, plain, dlp.SMIME, c); err != nil || !strings.Contains(b.String(), "Subject: [...]\r\n") || strings.Contains(b.String(), "Mira") {
			t.Errorf("%v: %v: %q", c, err, b.String())
		}
	}
	for _, c := range [][]dlp.Address{{addr("old@partner.example")}, rcpts, nil} { // unfit; of two classes; nobody
		if err := w.Encrypt(io.Discard, plain, dlp.SMIME, c); !errors.Is(err, dlp.ErrNoWay) {
			t.Errorf("%v: got %v", c, err)
		}
	}
	write(t, dir, ways.TrustFile, "revoke "+print(old)[:40]+"\n") // openssl's default fingerprint: it would bar nobody
	cfg := ways.Default()
	smimeDir(&cfg)
	if _, err := ways.Open(cfg, time.Now); err == nil {
		t.Error("a fingerprint that no certificate has is taken")
	}
}

// TestSigner: a site's certificate is read with its key, which nobody else may
// read.
func TestSigner(t *testing.T) {
	dir := t.TempDir()
	cert, secret, _ := certificate(t, named("gw@clinic.example"))
	write(t, dir, "cert.pem", cert)
	write(t, dir, "key.pem", secret)
	_, other, _ := certificate(t, named("gw@clinic.example"))
	write(t, dir, "other.pem", other)
	for key, want := range map[string]bool{"key.pem": true, "other.pem": false, "none.pem": false, "cert.pem": false} {
		cfg := ways.Default()
		cfg.SMIMESignCert, cfg.SMIMESignKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, key)
		if _, err := ways.Open(cfg, time.Now); (err == nil) != want {
			t.Errorf("%s: got %v", key, err)
		}
		if key != "key.pem" {
			continue
		}
		if err := os.Chmod(cfg.SMIMESignKey, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ways.Open(cfg, time.Now); err == nil {
			t.Error("a key that others may read is taken")
		}
		if err := os.Chmod(cfg.SMIMESignKey, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := ways.Default()
	c.SMIMESignKey = "x"
	if err := c.Validate(); err == nil {
		t.Error("a key without a certificate is taken")
	}
}
