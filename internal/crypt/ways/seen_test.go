package ways_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/gopenpgp/v3/crypto"

	"github.com/stanch-dlp/stanch/internal/crypt/seen"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// sightings is a configuration with folders of its own.
func sightings(t testing.TB) ways.Config {
	t.Helper()
	cfg := ways.Default()
	cfg.SMIMEDir, cfg.OpenPGPDir, cfg.SeenDir, cfg.UseSeen = t.TempDir(), t.TempDir(), t.TempDir(), true
	return cfg
}

func message(at time.Time, from string) *seen.Message { return &seen.Message{From: addr(from), At: at} }

func pgpSeen(t testing.TB, armoured string) seen.Key {
	t.Helper()
	k, err := crypto.NewKeyFromArmored(armoured)
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.GetPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return seen.Key{Way: dlp.OpenPGP, Domain: "partner.example", Selector: "s1", OpenPGP: b}
}

func certSeen(c *x509.Certificate) seen.Key {
	return seen.Key{Way: dlp.SMIME, Domain: "partner.example", Selector: "s1", Certs: []*x509.Certificate{c}, Signer: c}
}

// choice is how a way to bob stands.
func choiceOf(t testing.TB, cfg ways.Config, way dlp.Way) ways.Choice {
	t.Helper()
	w, err := ways.Open(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range w.Choices(t.Context(), dlp.Address{}, addr("bob@partner.example")) {
		if c.Way == way {
			return c
		}
	}
	return ways.Choice{Unfit: "not told"}
}

// TestSeenCounts: what was seen counts where it may, and below everything else.
func TestSeenCounts(t *testing.T) {
	const bob = "bob@partner.example"
	now := time.Now()
	public, secret := key(t, bob)
	_, _, cert := certificate(t, named(bob))
	for _, tc := range []struct {
		name string
		way  dlp.Way
		key  seen.Key
		dir  func(*ways.Config) string
		ext  string
	}{
		{"openpgp", dlp.OpenPGP, pgpSeen(t, public), func(c *ways.Config) string { return c.OpenPGPDir }, ".asc"},
		{"smime", dlp.SMIME, certSeen(cert), func(c *ways.Config) string { return c.SMIMEDir }, ".pem"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := sightings(t)
			k, was, err := ways.AddSeen(cfg, message(now.Add(-time.Hour), "Bob@partner.example"), tc.key, time.Now)
			if err != nil || was != "" || k.Trust != ways.Seen || k.Unfit != "" || k.Sighting.Domain != "partner.example" {
				t.Fatalf("got %+v, %q, %v", k, was, err)
			}
			if c := choiceOf(t, cfg, tc.way); c.Unfit != "" || c.Key.Expires.After(now.Add(cfg.SeenExpiry.D())) {
				t.Errorf("got %+v", c)
			}
			off := cfg
			off.UseSeen = false
			if c := choiceOf(t, off, tc.way); c.Unfit != ways.SeenOnly {
				t.Errorf("switched off: %+v", c)
			}
			late, err := ways.Open(cfg, func() time.Time { return now.Add(cfg.SeenExpiry.D()) })
			if err != nil {
				t.Fatal(err)
			}
			if got := late.Way(t.Context(), dlp.Address{}, addr(bob)); got != "" {
				t.Errorf("long after: %q", got)
			}
			if err := ways.Pin(off, k.Fingerprint, bob); err != nil {
				t.Fatal(err)
			}
			if c := choiceOf(t, off, tc.way); c.Unfit != "" || c.Key.Trust != ways.Pinned {
				t.Errorf("pinned: %+v", c)
			}
			if err := ways.Revoke(cfg, k.Fingerprint); err != nil {
				t.Fatal(err)
			}
			if c := choiceOf(t, cfg, tc.way); c.Unfit != ways.Revoked {
				t.Errorf("revoked: %+v", c)
			}
			if err := os.Remove(filepath.Join(tc.dir(&cfg), ways.TrustFile)); err != nil {
				t.Fatal(err)
			}
			write(t, tc.dir(&cfg), bob+tc.ext, "no key")
			if c := choiceOf(t, cfg, tc.way); c.Unfit != ways.Unreadable {
				t.Errorf("where the folder has one, unfit as it is: %+v", c)
			}
		})
	}
	t.Run("opened", func(t *testing.T) {
		cfg := sightings(t)
		if _, _, err := ways.AddSeen(cfg, message(now, bob), pgpSeen(t, public), time.Now); err != nil {
			t.Fatal(err)
		}
		w, err := ways.Open(cfg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := w.Encrypt(&out, opener("From: a@clinic.example\r\n\r\nlabs of Mira\r\n"), dlp.OpenPGP, []dlp.Address{addr(bob)}); err != nil {
			t.Fatal(err)
		}
		if got := decrypt(t, secret, out.String()); !strings.Contains(got, "labs of Mira") {
			t.Errorf("got %q", got)
		}
	})
}

// TestSeenBelowOthers: an admin's key goes before one that was seen, whichever way
// stands first.
func TestSeenBelowOthers(t *testing.T) {
	const bob = "bob@partner.example"
	cfg := sightings(t)
	public, _ := key(t, bob)
	_, _, cert := certificate(t, named(bob))
	if _, _, err := ways.AddSeen(cfg, message(time.Now(), bob), certSeen(cert), time.Now); err != nil {
		t.Fatal(err)
	}
	way := func() dlp.Way {
		w, err := ways.Open(cfg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return w.Way(t.Context(), dlp.Address{}, addr(bob))
	}
	if got := way(); got != dlp.SMIME {
		t.Errorf("alone: %q", got)
	}
	if _, _, err := ways.AddSeen(cfg, message(time.Now(), bob), pgpSeen(t, public), time.Now); err != nil {
		t.Fatal(err)
	}
	if got := way(); got != dlp.SMIME {
		t.Errorf("two that were seen: %q", got)
	}
	write(t, cfg.OpenPGPDir, bob+".asc", public)
	if got := way(); got != dlp.OpenPGP {
		t.Errorf("beside the folder's: %q", got)
	}
	if c := choiceOf(t, cfg, dlp.SMIME); c.Unfit != ways.Outranked {
		t.Errorf("got %+v", c)
	}
	domain, _, _ := certificate(t, func(c *x509.Certificate) { c.DNSNames = []string{"partner.example"} })
	write(t, cfg.SMIMEDir, "partner.example.pem", domain)
	if c := choiceOf(t, cfg, dlp.SMIME); c.Unfit != "" || c.Key.Trust != ways.Folder {
		t.Errorf("beside the domain's: %+v", c)
	}
}

// TestSeenReplaces: by newer ones, never a pinned one, and it is told.
func TestSeenReplaces(t *testing.T) {
	const bob = "bob@partner.example"
	cfg := sightings(t)
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	first, _ := key(t, bob)
	second, _ := key(t, bob)
	a, b := pgpSeen(t, first), pgpSeen(t, second)
	one, _, err := ways.AddSeen(cfg, message(start, bob), a, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ways.AddSeen(cfg, message(start.Add(-time.Minute), bob), b, time.Now); !errors.Is(err, ways.ErrOlder) {
		t.Errorf("an older message: %v", err)
	}
	two, was, err := ways.AddSeen(cfg, message(start.Add(time.Minute), bob), b, time.Now)
	if err != nil || was != one.Fingerprint || two.Fingerprint == one.Fingerprint || two.Sighting.Was != was || !two.Sighting.Changed.Equal(start.Add(time.Minute)) {
		t.Fatalf("got %+v, %q, %v", two, was, err)
	}
	if k, was, err := ways.AddSeen(cfg, message(start.Add(2*time.Minute), bob), b, time.Now); err != nil || was != "" || k.Sighting.Was != one.Fingerprint {
		t.Errorf("once more: %+v, %q, %v", k, was, err)
	}
	if err := ways.Pin(cfg, two.Fingerprint, bob); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ways.AddSeen(cfg, message(start.Add(3*time.Minute), bob), a, time.Now); !errors.Is(err, ways.ErrKeptPinned) {
		t.Errorf("in the place of a pinned one: %v", err)
	}
	w, err := ways.Open(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if keys := w.Keys(); len(keys) != 1 || keys[0].Fingerprint != two.Fingerprint || keys[0].Sighting == nil || keys[0].Trust != ways.Pinned {
		t.Errorf("got %+v", keys)
	}
	write(t, cfg.SeenDir, bob+".asc", "damaged")
	if c := choiceOf(t, cfg, dlp.OpenPGP); c.Unfit != ways.Unreadable {
		t.Errorf("damaged: %+v", c)
	}
}

// TestSeenNotKept: what could not be encrypted to, or is not its sender's.
func TestSeenNotKept(t *testing.T) {
	const bob = "bob@partner.example"
	cfg := sightings(t)
	other, _ := key(t, "eve@partner.example")
	mine, secret := key(t, bob)
	_, _, otherCert := certificate(t, named("eve@partner.example"))
	_, _, nobodys := certificate(t, named())
	_, _, signs := certificate(t, func(c *x509.Certificate) { named(bob)(c); c.KeyUsage = x509.KeyUsageDigitalSignature })
	_, _, good := certificate(t, named(bob))
	locked, err := secret.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	byOther := certSeen(good)
	byOther.Signer = otherCert
	for _, tc := range []struct {
		name string
		from string
		key  seen.Key
		want error
	}{
		{"another's key", bob, pgpSeen(t, other), ways.Unkept{Reason: ways.OtherPerson}},
		{"a secret key", bob, seen.Key{Way: dlp.OpenPGP, OpenPGP: locked}, ways.Unkept{Reason: ways.SecretKey}},
		{"no key", bob, seen.Key{Way: dlp.OpenPGP, OpenPGP: []byte("x")}, ways.Unkept{Reason: ways.Unreadable}},
		{"another's certificate", bob, certSeen(otherCert), ways.Unkept{Reason: ways.OtherPerson}},
		{"nobody's certificate", bob, certSeen(nobodys), ways.Unkept{Reason: ways.OtherPerson}},
		{"signs only", bob, certSeen(signs), ways.Unkept{Reason: ways.Cannot}},
		{"another's signature", bob, byOther, ways.Unkept{Reason: ways.OtherPerson}},
		{"an address that is a path", "../bob@partner.example", pgpSeen(t, mine), ways.ErrWhose},
		{"a long address", strings.Repeat("b", 300) + "@partner.example", pgpSeen(t, mine), ways.ErrWhose},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if k, _, err := ways.AddSeen(cfg, message(time.Now(), tc.from), tc.key, time.Now); !errors.Is(err, tc.want) {
				t.Errorf("got %+v, %v, want %v", k, err, tc.want)
			}
			if left, err := filepath.Glob(filepath.Join(cfg.SeenDir, "*@*")); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestSeenChain: an authority stands behind what was seen, whatever use_seen says.
func TestSeenChain(t *testing.T) {
	const bob = "bob@partner.example"
	cfg := sightings(t)
	cfg.UseSeen, cfg.SMIMERevocation = false, "off"
	text, _, root := certificate(t, func(c *x509.Certificate) {
		named(bob)(c) // its own authority: one certificate is enough
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage |= x509.KeyUsageCertSign
	})
	_, _, other := certificate(t, named(bob))
	cfg.SMIMERoots = filepath.Join(t.TempDir(), "roots.pem")
	write(t, filepath.Dir(cfg.SMIMERoots), "roots.pem", text)
	start := time.Now().Add(-time.Hour)
	if _, _, err := ways.AddSeen(cfg, message(start, bob), certSeen(root), time.Now); err != nil {
		t.Fatal(err)
	}
	if c := choiceOf(t, cfg, dlp.SMIME); c.Unfit != "" || c.Key.Trust != ways.Chain {
		t.Errorf("got %+v", c)
	}
	if _, _, err := ways.AddSeen(cfg, message(start.Add(time.Minute), bob), certSeen(other), time.Now); err != nil {
		t.Fatal(err)
	}
	cfg.UseSeen = true
	if c := choiceOf(t, cfg, dlp.SMIME); c.Unfit != ways.NoChain {
		t.Errorf("no authority's: %+v", c)
	}
}

// TestSeenCapabilities: what a signature says its owner's program reads counts for the
// very certificate that made it, also where that lies in the folder.
func TestSeenCapabilities(t *testing.T) {
	const bob = "bob@partner.example"
	gcm, err := asn1.Marshal([]struct{ ID asn1.ObjectIdentifier }{{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}}}) // RFC 5084 3.2
	if err != nil {
		t.Fatal(err)
	}
	text, _, cert := certificate(t, named(bob))
	_, _, other := certificate(t, named(bob))
	kind := func(cfg ways.Config) string {
		w, err := ways.Open(cfg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := w.Encrypt(&out, opener("From: a@clinic.example\r\n\r\nx\r\n"), dlp.SMIME, []dlp.Address{addr(bob)}); err != nil {
			t.Fatal(err)
		}
		_, kind, _ := strings.Cut(out.String(), "smime-type=")
		kind, _, _ = strings.Cut(kind, ";")
		return kind
	}
	says := certSeen(cert)
	says.Capabilities = gcm
	saysOther := certSeen(other)
	saysOther.Capabilities = gcm
	for _, tc := range []struct {
		name   string
		folder bool
		key    seen.Key
		want   string
	}{
		{"seen", false, says, "authEnveloped-data"},
		{"seen, says nothing", false, certSeen(cert), "enveloped-data"},
		{"the folder's", true, says, "authEnveloped-data"},
		{"another than the folder's", true, saysOther, "enveloped-data"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := sightings(t)
			if tc.folder {
				write(t, cfg.SMIMEDir, bob+".pem", text)
			}
			if _, _, err := ways.AddSeen(cfg, message(time.Now(), bob), tc.key, time.Now); err != nil {
				t.Fatal(err)
			}
			if got := kind(cfg); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func opener(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// decrypt is what the holder of secret reads in msg.
func decrypt(t testing.TB, secret *crypto.Key, msg string) string {
	t.Helper()
	_, rest, _ := strings.Cut(msg, "-----BEGIN PGP MESSAGE-----")
	rest, _, _ = strings.Cut(rest, "-----END PGP MESSAGE-----")
	d, err := crypto.PGP().Decryption().DecryptionKey(secret).New()
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decrypt([]byte("-----BEGIN PGP MESSAGE-----"+rest+"-----END PGP MESSAGE-----"), crypto.Armor)
	if err != nil {
		t.Fatal(err)
	}
	return string(got.Bytes())
}
