package openpgp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// gnupg is a GnuPG of its own, with its own keys.
type gnupg struct {
	t    testing.TB
	home string
}

func newGnuPG(t testing.TB) *gnupg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed: .ci/deps installs it")
	}
	home, err := os.MkdirTemp("", "gpg") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	g := &gnupg{t, home}
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--homedir", home, "--kill", "all")
		_ = stop.Run() // what it leaves ends with its folder
		_ = os.RemoveAll(home)
	})
	// It returns once the agent answers; gpg gives one that it starts itself 5 s for that.
	if err := exec.Command("gpg-agent", "--homedir", home, "--daemon").Run(); err != nil {
		t.Fatalf("gpg-agent: %v", err)
	}
	return g
}

// run runs gpg and returns what it printed.
func (g *gnupg) run(in []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("gpg", append([]string{"--homedir", g.home, "--batch", "--yes", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), errors.Join(err, errors.New(errs.String()))
	}
	return out.Bytes(), nil
}

func (g *gnupg) must(in []byte, args ...string) []byte {
	g.t.Helper()
	out, err := g.run(in, args...)
	if err != nil {
		g.t.Fatalf("gpg %v: %v", args, err)
	}
	return out
}

// key makes a key and returns its public form.
func (g *gnupg) key(uid, algo, usage, expires string, args ...string) []byte {
	g.t.Helper()
	g.must(nil, append(args, "--quick-generate-key", uid, algo, usage, expires)...)
	return g.must(nil, "--armor", "--export", uid)
}

// withSubkey adds a part that encrypts.
func (g *gnupg) withSubkey(key []byte, algo string) []byte {
	g.t.Helper()
	fpr := read(g.t, key).Fingerprint()
	g.must(nil, "--quick-add-key", fpr, algo, "encr", "1y")
	return g.must(nil, "--armor", "--export", fpr)
}

func read(t testing.TB, armoured []byte) *openpgp.Key {
	t.Helper()
	k, err := openpgp.ReadKey(bytes.NewReader(armoured))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const plain = "From: Ada <ada@clinic.example>\r\nTo: Bob <bob@partner.example>\r\nBcc: eve@partner.example\r\nSubject: Labs of Maria Quint\r\n" +
	"Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <m1@clinic.example>\r\n\r\nSSN 536-22-8145, gr\xc3\xbc\xc3\x9fe\r\n"

func protected(t testing.TB, text string) *message.Protected {
	t.Helper()
	p, err := message.Protect(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, message.Protection{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func encrypt(t testing.TB, text string, keys ...*openpgp.Key) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.Encrypt(&b, protected(t, text), keys); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// cipherOf returns the armoured part of a PGP/MIME message, read as any program
// reads it.
func cipherOf(t testing.TB, msg []byte) []byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/encrypted" || params["protocol"] != "application/pgp-encrypted" {
		t.Fatalf("content type %q %v, %v", kind, params, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var parts [][]byte
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, b)
	}
	if len(parts) != 2 || strings.TrimSpace(string(parts[0])) != "Version: 1" {
		t.Fatalf("%d parts, the first %q", len(parts), parts[0])
	}
	return parts[1]
}

// TestOpenedByOtherPrograms: with its key, of each kind that people have, gpg and sq
// open a message; altered, or with somebody else's key of that kind, they do not.
func TestOpenedByOtherPrograms(t *testing.T) {
	g, strangers := newGnuPG(t), newGnuPG(t)
	for _, tc := range []struct{ algo, usage string }{{"rsa2048", "sign"}, {"rsa3072", "sign"}, {"rsa4096", "sign"}, {"future-default", "default"}, {"nistp256", "sign"}, {"nistp384", "sign"}, {"nistp521", "sign"}} {
		t.Run(tc.algo, func(t *testing.T) {
			uid := "Bob <bob@" + tc.algo + ".example>"
			made := func(g *gnupg) []byte {
				k := g.key(uid, tc.algo, tc.usage, "1y")
				if tc.usage == "sign" {
					k = g.withSubkey(k, tc.algo)
				}
				return k
			}
			key := read(t, made(g))
			if err := key.Usable(time.Now()); err != nil {
				t.Fatal(err)
			}
			msg := encrypt(t, plain, key)
			var want bytes.Buffer
			if _, err := protected(t, plain).WriteTo(&want); err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"Maria", "536-22", "eve@", "gr\xc3"} {
				if bytes.Contains(msg, []byte(secret)) {
					t.Errorf("%q stands outside", secret)
				}
			}
			if !bytes.Contains(msg, []byte("\r\nSubject: [...]\r\n")) || bytes.Contains(bytes.ReplaceAll(msg, []byte("\r\n"), nil), []byte("\n")) {
				t.Errorf("no hidden subject, or a bare LF: %.400q", msg)
			}
			if got := g.must(cipherOf(t, msg), "--decrypt"); !bytes.Equal(got, want.Bytes()) {
				t.Errorf("gpg: got %q, want %q", got, want.Bytes())
			}
			if !bytes.Contains(want.Bytes(), []byte("Subject: Labs of Maria Quint")) {
				t.Errorf("the subject is not inside: %q", want.Bytes())
			}
			if got, err := g.sq(uid, cipherOf(t, msg)); err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("sq: got %q, %v", got, err)
			}
			made(strangers)
			if got, err := strangers.run(cipherOf(t, msg), "--decrypt"); err == nil || len(got) > 0 {
				t.Errorf("a stranger reads %q by gpg, %v", got, err)
			}
			if got, err := strangers.sq(uid, cipherOf(t, msg)); err == nil || len(got) > 0 {
				t.Errorf("a stranger reads %q by sq, %v", got, err)
			}
			g.refuses(uid, g.must(cipherOf(t, msg), "--dearmor"))
		})
	}
}

// sq has Sequoia decrypt with the secret key of uid.
func (g *gnupg) sq(uid string, cipher []byte) ([]byte, error) {
	g.t.Helper()
	if _, err := exec.LookPath("sq"); err != nil {
		g.t.Skip("sq is not installed: .ci/deps installs it")
	}
	secret := filepath.Join(g.t.TempDir(), "secret.asc")
	if err := os.WriteFile(secret, g.must(nil, "--armor", "--export-secret-keys", uid), 0o600); err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.Command("sq", "decrypt", "--recipient-key", secret)
	cmd.Stdin = bytes.NewReader(cipher)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return out, err
}

// TestSeveralReadOne: each of two can read the one message; a third cannot.
func TestSeveralReadOne(t *testing.T) {
	g, other := newGnuPG(t), newGnuPG(t)
	a, b := g.key("a@partner.example", "future-default", "default", "1y"), other.withSubkey(other.key("b@partner.example", "rsa2048", "sign", "1y"), "rsa2048")
	third := newGnuPG(t)
	third.key("c@partner.example", "future-default", "default", "1y")
	cipher := cipherOf(t, encrypt(t, plain, read(t, a), read(t, b)))
	for _, who := range []*gnupg{g, other} {
		if got := who.must(cipher, "--decrypt"); !bytes.Contains(got, []byte("Maria Quint")) {
			t.Errorf("got %q", got)
		}
	}
	if got, err := third.run(cipher, "--decrypt"); err == nil || len(got) > 0 {
		t.Errorf("a stranger reads %q, %v", got, err)
	}
	if got, err := third.sq("c@partner.example", cipher); err == nil || len(got) > 0 {
		t.Errorf("a stranger reads %q by sq, %v", got, err)
	}
}

// refuses has gpg and sq open what was altered on its way, wherever it was: the key,
// the text, and what is to tell, which gpg looks at last.
func (g *gnupg) refuses(uid string, raw []byte) {
	g.t.Helper()
	if _, err := g.run(raw, "--decrypt"); err != nil {
		g.t.Fatal(err)
	}
	for _, at := range []int{50, len(raw) / 2, len(raw) - 30, len(raw) - 1} {
		bad := bytes.Clone(raw)
		bad[at] ^= 1
		if _, err := g.run(bad, "--decrypt"); err == nil {
			g.t.Errorf("byte %d of %d altered, and gpg takes it", at, len(raw))
		}
		if got, err := g.sq(uid, bad); err == nil || len(got) > 0 {
			g.t.Errorf("byte %d of %d altered, and sq gives %q", at, len(raw), got)
		}
	}
	cut := raw[:len(raw)-40]
	if _, err := g.run(cut, "--decrypt"); err == nil {
		g.t.Error("cut short, and gpg takes it")
	}
	if got, err := g.sq(uid, cut); err == nil || len(got) > 0 {
		g.t.Errorf("cut short, and sq gives %q", got)
	}
}

// TestFilesOpenedByOtherPrograms: the same of files, which are not mail.
func TestFilesOpenedByOtherPrograms(t *testing.T) {
	g, strangers := newGnuPG(t), newGnuPG(t)
	text := bytes.Repeat([]byte("name,ssn\nMaria Quint,536-22-8145\n\x00\xff"), 4000)
	for _, algo := range []string{"rsa3072", "future-default", "nistp384"} {
		t.Run(algo, func(t *testing.T) {
			uid := "records@" + algo + ".example"
			made := func(g *gnupg) []byte {
				if algo == "future-default" {
					return g.key(uid, algo, "default", "1y")
				}
				return g.withSubkey(g.key(uid, algo, "sign", "1y"), algo)
			}
			var sealed bytes.Buffer
			if err := openpgp.EncryptFile(&sealed, bytes.NewReader(text), []*openpgp.Key{read(t, made(g))}); err != nil {
				t.Fatal(err)
			}
			if got := g.must(sealed.Bytes(), "--decrypt"); !bytes.Equal(got, text) {
				t.Errorf("gpg: got %d bytes, want %d", len(got), len(text))
			}
			if got, err := g.sq(uid, sealed.Bytes()); err != nil || !bytes.Equal(got, text) {
				t.Errorf("sq: got %d bytes, want %d; %v", len(got), len(text), err)
			}
			made(strangers)
			if got, err := strangers.run(sealed.Bytes(), "--decrypt"); err == nil || len(got) > 0 {
				t.Errorf("a stranger reads %d bytes by gpg, %v", len(got), err)
			}
			if got, err := strangers.sq(uid, sealed.Bytes()); err == nil || len(got) > 0 {
				t.Errorf("a stranger reads %d bytes by sq, %v", len(got), err)
			}
			secrets, err := openpgp.ReadSecret(bytes.NewReader(g.must(nil, "--armor", "--export-secret-keys", uid)))
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []int{50, sealed.Len() / 2, sealed.Len() - 1} {
				bad := bytes.Clone(sealed.Bytes())
				bad[at] ^= 1
				got, err := g.run(bad, "--decrypt")
				if err == nil {
					t.Errorf("byte %d of %d altered, and gpg takes it", at, len(bad))
				}
				if at == len(bad)-1 && !bytes.Equal(got, text) { // docs/encryption.md: its exit tells, not that nothing came
					t.Errorf("gpg gave %d of %d bytes of what it refused at its end: say in docs/encryption.md what it does now", len(got), len(text))
				}
				if _, err := g.sq(uid, bad); err == nil { // it gives out what it has proved of a long text
					t.Errorf("byte %d of %d altered, and sq takes it", at, len(bad))
				}
				if err := openpgp.Decrypt(io.Discard, bytes.NewReader(bad), []*openpgp.Secret{secrets}); err == nil {
					t.Errorf("byte %d of %d altered, and it opens", at, len(bad))
				}
			}
		})
	}
}

func TestUnfitKeys(t *testing.T) {
	now := time.Now().Add(time.Hour) // after the keys below are made
	g := newGnuPG(t)
	revoked := func(algo, usage string) []byte {
		uid := "revoked-" + algo + "@partner.example"
		fpr := read(t, g.key(uid, algo, usage, "1y")).Fingerprint()
		rev, err := os.ReadFile(filepath.Join(g.home, "openpgp-revocs.d", strings.ToUpper(fpr)+".rev"))
		if err != nil {
			t.Fatal(err)
		}
		g.must(bytes.Replace(rev, []byte(":-----BEGIN"), []byte("-----BEGIN"), 1), "--import")
		return g.must(nil, "--armor", "--export", fpr)
	}
	for _, tc := range []struct {
		name string
		key  []byte
		want error
	}{
		{"good", g.key("good@partner.example", "future-default", "default", "1y"), nil},
		{"never expires", g.key("ever@partner.example", "future-default", "default", "never"), nil},
		{"expired", g.key("old@partner.example", "future-default", "default", "1d", "--faked-system-time", "20260101T000000!"), openpgp.ErrExpired},
		{"expired, RSA", g.key("old-rsa@partner.example", "rsa2048", "cert,encr", "1d", "--faked-system-time", "20260101T000000!"), openpgp.ErrExpired},
		{"RSA in one part", g.key("one-rsa@partner.example", "rsa2048", "cert,encr", "1y"), nil},
		{"sign only", g.key("sign@partner.example", "ed25519", "sign", "1y"), openpgp.ErrCannot},
		{"sign only, RSA", g.key("sign-rsa@partner.example", "rsa2048", "sign", "1y"), openpgp.ErrCannot},
		{"sign only, P-256", g.key("sign-p256@partner.example", "nistp256", "sign", "1y"), openpgp.ErrCannot},
		{"revoked", revoked("future-default", "default"), openpgp.ErrRevoked},
		{"revoked, RSA", revoked("rsa2048", "cert,encr"), openpgp.ErrRevoked},
	} {
		if got := read(t, tc.key).Usable(now); !errors.Is(got, tc.want) || tc.want == nil && got != nil {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
	good := read(t, g.must(nil, "--armor", "--export", "good@partner.example"))
	if !good.Names("Good@Partner.Example", now) || good.Names("else@partner.example", now) {
		t.Errorf("the key names %v", good.Addresses(now))
	}
	if folded := read(t, g.must(nil, "--armor", "--export", "sign-rsa@partner.example")); folded.Names("\u017fign-rsa@partner.example", now) || !folded.Names("Sign-RSA@partner.example", now) {
		t.Error("a mailbox is another's that Unicode folds to it")
	}
	g.key("Eve <eve@evil.example>", "future-default", "default", "1y")
	g.must(nil, "--quick-add-uid", "eve@evil.example", "Just Eve")
	g.must(nil, "--quick-revoke-uid", "Just Eve", "Eve <eve@evil.example>")
	eve := read(t, g.must(nil, "--armor", "--export", "Just Eve"))
	if later := now.Add(time.Minute); len(eve.Addresses(later)) != 0 || eve.Names("bob@partner.example", later) {
		t.Errorf("a key whose address is revoked names %v, and somebody else", eve.Addresses(later))
	}
	if d := good.Expires(now).Sub(now); d < 300*24*time.Hour || d > 400*24*time.Hour {
		t.Errorf("expires in %v", d)
	}
	for name, b := range map[string][]byte{
		"secret":    g.must(nil, "--armor", "--export-secret-keys", "good@partner.example"),
		"two":       g.must(nil, "--armor", "--export", "good@partner.example", "ever@partner.example"),
		"nothing":   nil,
		"no key":    []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"),
		"too large": bytes.Repeat([]byte("x"), openpgp.MaxKey+1),
	} {
		want := openpgp.ErrUnreadable
		if name == "secret" {
			want = openpgp.ErrSecret
		}
		if _, err := openpgp.ReadKey(bytes.NewReader(b)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	if _, err := openpgp.ReadKey(bytes.NewReader(g.must(nil, "--export", "good@partner.example"))); err != nil {
		t.Errorf("without armour: %v", err)
	}
}

// FuzzReadKey: whatever the bytes, a key comes of them or an error of ours, and
// what comes can be asked.
func FuzzReadKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"))
	f.Add([]byte{0x98, 0x33, 0x04, 0x66})
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := openpgp.ReadKey(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, openpgp.ErrUnreadable) && !errors.Is(err, openpgp.ErrSecret) && !errors.Is(err, openpgp.ErrVersion) {
				t.Errorf("got %v", err)
			}
			return
		}
		_, _, _ = k.Usable(now), k.Addresses(now), k.Expires(now)
	})
}
