package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// authenticator is one in software, which can be told to lie.
type authenticator struct {
	rpID, origin string
	flags        byte
	count        uint32
	handle       []byte
	cose         []byte
	sign         func([]byte) []byte
	challenge    string // other than it was asked for
}

const maxOfMatter = 20

const (
	present, verified, attested = 1, 4, 0x40 // WebAuthn 6.1
	testHost, testOrigin        = "pickup.clinic.example", "https://pickup.clinic.example"
)

func cborBytes(b []byte) []byte { // RFC 8949 3.1, major type 2
	return append([]byte{0x59, byte(len(b) >> 8), byte(len(b))}, b...)
}

func newAuthenticator(t testing.TB, kind string) *authenticator {
	t.Helper()
	a := &authenticator{rpID: testHost, origin: testOrigin, flags: present | verified, handle: []byte(rand.Text())}
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	switch kind { // COSE_Key: RFC 9053 7, RFC 8230 4
	case "ES256":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		fail(err)
		point, err := k.PublicKey.Bytes()
		fail(err)
		a.cose = slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21}, cborBytes(point[1:33]), []byte{0x22}, cborBytes(point[33:]))
		a.sign = func(b []byte) []byte {
			sum := sha256.Sum256(b)
			s, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
			fail(err)
			return s
		}
	case "EdDSA":
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		fail(err)
		a.cose = slices.Concat([]byte{0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21}, cborBytes(pub))
		a.sign = func(b []byte) []byte { return ed25519.Sign(k, b) }
	case "RS256":
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		fail(err)
		a.cose = slices.Concat([]byte{0xa4, 1, 3, 3, 0x39, 1, 0, 0x20}, cborBytes(k.N.Bytes()), []byte{0x21, 0x43, 1, 0, 1})
		a.sign = func(b []byte) []byte {
			sum := sha256.Sum256(b)
			s, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
			fail(err)
			return s
		}
	}
	return a
}

func (a *authenticator) data(flags byte) []byte {
	sum := sha256.Sum256([]byte(a.rpID))
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.count)
}

func (a *authenticator) client(t testing.TB, kind, challenge string) []byte {
	t.Helper()
	if a.challenge != "" {
		challenge = a.challenge
	}
	return inJSON(t, map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
}

func inJSON(t testing.TB, x any) []byte {
	t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (a *authenticator) answer(t testing.TB, response map[string]any) []byte {
	t.Helper()
	return inJSON(t, map[string]any{"id": base64.RawURLEncoding.EncodeToString(a.handle), "rawId": base64.RawURLEncoding.EncodeToString(a.handle),
		"type": "public-key", "clientExtensionResults": map[string]any{}, "response": response})
}

func (a *authenticator) makes(t testing.TB, challenge string) []byte {
	t.Helper()
	data := slices.Concat(a.data(a.flags|attested), make([]byte, 16), []byte{0, byte(len(a.handle))}, a.handle, a.cose)
	object := slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"), cborBytes(data))
	return a.answer(t, map[string]any{"clientDataJSON": base64.RawURLEncoding.EncodeToString(a.client(t, "webauthn.create", challenge)),
		"attestationObject": base64.RawURLEncoding.EncodeToString(object), "transports": []string{"internal", "by pigeon"}})
}

func (a *authenticator) signs(t testing.TB, challenge string) []byte {
	t.Helper()
	data, client := a.data(a.flags), a.client(t, "webauthn.get", challenge)
	sum := sha256.Sum256(client)
	return a.answer(t, map[string]any{"clientDataJSON": base64.RawURLEncoding.EncodeToString(client), "authenticatorData": base64.RawURLEncoding.EncodeToString(data),
		"signature": base64.RawURLEncoding.EncodeToString(a.sign(slices.Concat(data, sum[:])))})
}

func siteAt(url string) *Site { return NewSite(url, "Harbor Vale Clinic") }

func setBy(t testing.TB, s *Site, a *authenticator) (Credential, error) {
	t.Helper()
	_, c, err := s.BeginSet([]byte("user"), "b•••••@p•••••.example", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return s.EndSet(c, a.makes(t, c.asked.Challenge))
}

func TestPasskeyHosts(t *testing.T) {
	for url, want := range map[string]bool{"https://pickup.clinic.example/": true, "https://Pickup.Clinic.example:8443": true, "http://localhost:8080/": true,
		"http://127.0.0.1:8080/": false, "https://192.0.2.1/": false, "http://pickup.clinic.example/": false, "https://[::1]/": false} {
		if got := siteAt(url) != nil; got != want {
			t.Errorf("passkeys at %s: %v", url, got)
		}
	}
	if s := siteAt("https://Pickup.Clinic.example:443"); s.rp.Config.RPID != testHost || s.rp.Config.RPOrigins[0] != testOrigin {
		t.Errorf("%q, %q", s.rp.Config.RPID, s.rp.Config.RPOrigins)
	}
}

// TestPasskey: what an authenticator signs is taken once it is all as asked for, and
// one thing in it that is not has it refused.
func TestPasskey(t *testing.T) {
	s := siteAt(testOrigin)
	for _, kind := range []string{"ES256", "EdDSA", "RS256"} {
		a := newAuthenticator(t, kind)
		a.count = 7
		made, err := setBy(t, s, a)
		if err != nil || !bytes.Equal(made.Handle, a.handle) || made.Count != 7 || !slices.Equal(made.Transports, []string{"internal"}) {
			t.Fatalf("%s: %+v, %v", kind, made, err)
		}
		keys := []Credential{made}
		try := func(change func(*authenticator)) error {
			t.Helper()
			_, c, err := s.BeginUse([]byte("user"), keys, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := *a
			change(&b)
			k, err := s.EndUse(c, keys, b.signs(t, c.asked.Challenge))
			if err == nil && (!bytes.Equal(k.Handle, made.Handle) || k.Count != b.count) {
				t.Errorf("%s: %+v", kind, k)
			}
			return err
		}
		if err := try(func(b *authenticator) { b.count = 8 }); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for what, change := range map[string]func(*authenticator){
			"another origin":           func(b *authenticator) { b.origin = "https://pickup.clinic.example.evil.example" },
			"plain http":               func(b *authenticator) { b.origin = "http://pickup.clinic.example" },
			"another port":             func(b *authenticator) { b.origin = testOrigin + ":8443" },
			"another site":             func(b *authenticator) { b.rpID = "clinic.example" },
			"another challenge":        func(b *authenticator) { b.challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
			"no user verification":     func(b *authenticator) { b.flags = present },
			"no user":                  func(b *authenticator) { b.flags = verified },
			"another's credential":     func(b *authenticator) { b.handle = []byte("another") },
			"a counter that stays":     func(b *authenticator) { b.count = 7 },
			"a counter that goes back": func(b *authenticator) { b.count = 6 },
			"another's key":            func(b *authenticator) { b.sign = newAuthenticator(t, kind).sign },
			"an altered signature": func(b *authenticator) {
				b.sign = func(m []byte) []byte { s := a.sign(m); s[len(s)-1] ^= 1; return s }
			},
		} {
			if err := try(func(b *authenticator) { b.count = 9; change(b) }); !errors.Is(err, ErrAnswer) {
				t.Errorf("%s, %s: %v", kind, what, err)
			}
		}
	}
	for what, change := range map[string]func(*authenticator){
		"another origin":       func(b *authenticator) { b.origin = "https://evil.example" },
		"another site":         func(b *authenticator) { b.rpID = "evil.example" },
		"another challenge":    func(b *authenticator) { b.challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
		"no user verification": func(b *authenticator) { b.flags = present },
		"a key that is none":   func(b *authenticator) { b.cose = []byte{0xa0} },
	} {
		a := newAuthenticator(t, "ES256")
		change(a)
		if _, err := setBy(t, s, a); !errors.Is(err, ErrAnswer) {
			t.Errorf("set with %s: %v", what, err)
		}
	}
	for _, junk := range []string{"", "null", "{}", `{"response":{"attestationObject":"////"}}`, "\xff"} {
		if _, err := s.EndSet(Ceremony{}, []byte(junk)); !errors.Is(err, ErrAnswer) {
			t.Errorf("%q: %v", junk, err)
		}
		if _, err := s.EndUse(Ceremony{}, nil, []byte(junk)); !errors.Is(err, ErrAnswer) {
			t.Errorf("%q: %v", junk, err)
		}
	}
}

// TestCeremonies: a challenge is for one answer, of one page, about one matter, for
// five minutes.
func TestCeremonies(t *testing.T) {
	now := time.Now()
	cs := NewCeremonies(func() time.Time { return now }, maxOfMatter)
	id := rand.Text()
	ends := func(what string, want bool, of, session string, wait time.Duration, times int) {
		t.Helper()
		token := cs.Begin(Ceremony{Of: id, Session: "s"})
		if token == "" {
			t.Fatalf("%s: not begun", what)
		}
		now = now.Add(wait)
		ok := false
		for range times {
			_, ok = cs.End(token, of, session)
		}
		if ok != want {
			t.Errorf("%s: %v", what, ok)
		}
	}
	ends("in time", true, id, "s", Lasts-time.Second, 1)
	ends("late", false, id, "s", Lasts, 1)
	ends("twice", false, id, "s", 0, 2)
	ends("another matter", false, rand.Text(), "s", 0, 1)
	ends("another session", false, id, "t", 0, 1)
	ends("no session", false, id, "", 0, 1)
	if _, ok := cs.End("", id, ""); ok {
		t.Error("no token at all")
	}
	for range maxOfMatter {
		cs.Begin(Ceremony{Of: id})
	}
	if cs.Begin(Ceremony{Of: id}) != "" {
		t.Error("one matter has them all")
	}
	if cs.Begin(Ceremony{Of: rand.Text()}) == "" {
		t.Error("another matter has none")
	}
}
