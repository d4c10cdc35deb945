package portal

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

const testOrigin = "https://pickup.clinic.example"

// authenticator is one in software, which signs by ES256. What one is refused for is
// tested with internal/passkey.
type authenticator struct {
	key    *ecdsa.PrivateKey
	handle []byte
	count  uint32
}

func newAuthenticator(t *testing.T) *authenticator {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{key: k, handle: []byte(rand.Text())}
}

// answer is to a ceremony of that kind; what is signed of it is in data. WebAuthn 6.1.
func (a *authenticator) answer(t *testing.T, kind, challenge string, flags byte, response func(data, client []byte) map[string]any) []byte {
	t.Helper()
	site := sha256.Sum256([]byte("pickup.clinic.example"))
	data := binary.BigEndian.AppendUint32(append(site[:], flags), a.count)
	client := inJSON(t, map[string]any{"type": kind, "challenge": challenge, "origin": testOrigin, "crossOrigin": false})
	r := response(data, client)
	r["clientDataJSON"] = client
	for name, b := range r {
		r[name] = base64.RawURLEncoding.EncodeToString(b.([]byte))
	}
	id := base64.RawURLEncoding.EncodeToString(a.handle)
	return inJSON(t, map[string]any{"id": id, "rawId": id, "type": "public-key", "clientExtensionResults": map[string]any{}, "response": r})
}

// makes is a new passkey: RFC 8949 3.1 (CBOR), RFC 9053 7 (COSE_Key).
func (a *authenticator) makes(t *testing.T, challenge string) []byte {
	t.Helper()
	return a.answer(t, "webauthn.create", challenge, 0x45, func(data, _ []byte) map[string]any {
		point, err := a.key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		data = slices.Concat(data, make([]byte, 16), []byte{0, byte(len(a.handle))}, a.handle,
			[]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], []byte{0x22, 0x58, 32}, point[33:])
		return map[string]any{"attestationObject": slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), []byte{byte(len(data))}, data)}
	})
}

func (a *authenticator) signs(t *testing.T, challenge string) []byte {
	t.Helper()
	return a.answer(t, "webauthn.get", challenge, 5, func(data, client []byte) map[string]any {
		of := sha256.Sum256(client)
		sum := sha256.Sum256(slices.Concat(data, of[:]))
		signature, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"authenticatorData": data, "signature": signature}
	})
}

func inJSON(t *testing.T, x any) []byte {
	t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mailbox is a desk with two parcels for one reader, whose code is 123456.
type mailbox struct {
	parcels []dlp.ID
	keys    []pickup.Passkey
}

func (m *mailbox) PickupOf(_ context.Context, id dlp.ID) (pickup.Parcel, error) {
	if !slices.Contains(m.parcels, id) {
		return pickup.Parcel{}, pickup.ErrEnded
	}
	return pickup.Parcel{ID: id, State: pickup.Waiting, Expires: time.Now().Add(time.Hour)}, nil
}
func (m *mailbox) SendPickupCode(ctx context.Context, id dlp.ID, _ bool) (pickup.Parcel, error) {
	return m.PickupOf(ctx, id)
}
func (m *mailbox) OpenPickup(ctx context.Context, id dlp.ID, code string) (pickup.Parcel, int, error) {
	p, err := m.PickupOf(ctx, id)
	if err == nil && code != "123456" {
		err = pickup.ErrCode
	}
	return p, 4, err
}
func (m *mailbox) PickupContent(context.Context, dlp.ID) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader("sealed")), 6, nil
}
func (m *mailbox) ReplyPickup(context.Context, dlp.ID, pickup.Reply) error { return gateway.ErrNotSent }
func (m *mailbox) Texts() bool                                             { return false }

func (m *mailbox) PickupPasskeys(ctx context.Context, id dlp.ID) ([]pickup.Passkey, []byte, error) {
	_, err := m.PickupOf(ctx, id)
	return slices.Clone(m.keys), []byte("user"), err
}
func (m *mailbox) SetPasskey(_ context.Context, _ dlp.ID, c pickup.Credential) error {
	m.keys = append(m.keys, pickup.Passkey{ID: dlp.NewID(), Credential: c})
	return nil
}
func (m *mailbox) OpenByPasskey(_ context.Context, _ dlp.ID, check func([]pickup.Passkey) (pickup.Passkey, error)) (int, error) {
	_, err := check(slices.Clone(m.keys))
	return 4, err
}
func (m *mailbox) ForgetPasskey(_ context.Context, _, key dlp.ID) error {
	n := len(m.keys)
	m.keys = slices.DeleteFunc(m.keys, func(k pickup.Passkey) bool { return k.ID == key })
	if len(m.keys) == n {
		return pickup.ErrNoPasskey
	}
	return nil
}

// passkeyPages asks of the pages as their script does.
type passkeyPages struct {
	t    *testing.T
	url  string
	box  *mailbox
	skew time.Duration
}

func newPasskeyPages(t *testing.T) *passkeyPages {
	t.Helper()
	p := &passkeyPages{t: t, box: &mailbox{parcels: []dlp.ID{dlp.NewID(), dlp.NewID()}}}
	cfg := pickup.Default()
	cfg.Listen, cfg.URL, cfg.Site, cfg.Contact = "127.0.0.1:0", testOrigin, "Harbor Vale Clinic", "555-0142"
	h, err := New(cfg, p.box, nil, slog.New(slog.DiscardHandler), func() time.Time { return time.Now().Add(p.skew) })
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

// ask sends body, text or what is written as JSON, and reads the answer.
func (p *passkeyPages) ask(method string, n int, path, session string, body any) (status int, said map[string]any) {
	p.t.Helper()
	text, ok := body.(string)
	if !ok {
		text = string(inJSON(p.t, body))
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+"/p/"+string(p.box.parcels[n])+path, strings.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if session != "" {
		req.Header.Set("Authorization", "Bearer "+session)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	_ = json.NewDecoder(res.Body).Decode(&said) // a list, or nothing
	return res.StatusCode, said
}

func (p *passkeyPages) wants(what string, status int, said map[string]any, want int, word string) {
	p.t.Helper()
	if got, _ := said["error"].(string); status != want || got != word {
		p.t.Errorf("%s: %d %v, want %d %q", what, status, said, want, word)
	}
}

// opens returns the session of who has entered the code of the nth parcel.
func (p *passkeyPages) opens(n int) string {
	p.t.Helper()
	status, said := p.ask("POST", n, "/open", "", map[string]string{"code": "123456"})
	token, _ := said["token"].(string)
	if status != http.StatusOK || token == "" {
		p.t.Fatalf("opened: %d %v", status, said)
	}
	return token
}

// begun is the ceremony that path offers, and its challenge.
func (p *passkeyPages) begun(n int, path, session string) (ceremony, challenge string) {
	p.t.Helper()
	status, said := p.ask("POST", n, path, session, "{}")
	ceremony, _ = said["ceremony"].(string)
	options, _ := said["options"].(map[string]any)
	challenge, _ = options["challenge"].(string)
	if status != http.StatusOK || ceremony == "" || challenge == "" {
		p.t.Fatalf("%s: %d %v", path, status, said)
	}
	return ceremony, challenge
}

func given(ceremony string, credential []byte) map[string]any {
	return map[string]any{"ceremony": ceremony, "credential": json.RawMessage(credential)}
}

// TestPasskeyPages: a passkey is set by who has opened a parcel alone, and opens
// another of the same mailbox; a challenge is for one answer, of the page that asked.
func TestPasskeyPages(t *testing.T) {
	p := newPasskeyPages(t)
	a := newAuthenticator(t)
	for _, path := range []string{"/passkey/new", "/passkey/set", "/passkey/forget"} {
		for what, session := range map[string]string{"no session": "", "one that there is not": "x", "one of another parcel": p.opens(1)} {
			status, said := p.ask("POST", 0, path, session, given("x", []byte("{}")))
			p.wants(path+" with "+what, status, said, http.StatusUnauthorized, "again")
		}
	}
	status, said := p.ask("GET", 0, "/passkeys", "", "")
	p.wants("the list without a session", status, said, http.StatusUnauthorized, "again")
	status, said = p.ask("POST", 0, "/passkey/ask", "", "{}")
	p.wants("where none is", status, said, http.StatusForbidden, "passkey_none")

	session, other := p.opens(0), p.opens(0)
	token, challenge := p.begun(0, "/passkey/new", session)
	status, said = p.ask("POST", 0, "/passkey/set", other, given(token, a.makes(t, challenge)))
	p.wants("set by another session of the same parcel", status, said, http.StatusForbidden, "stale")
	status, said = p.ask("POST", 0, "/passkey/set", session, given(token, a.makes(t, challenge)))
	p.wants("once another had answered", status, said, http.StatusForbidden, "stale")
	token, challenge = p.begun(0, "/passkey/new", session)
	status, said = p.ask("POST", 0, "/passkey/open", "", given(token, a.signs(t, challenge)))
	p.wants("the challenge of a new one opens", status, said, http.StatusForbidden, "stale")
	token, challenge = p.begun(0, "/passkey/new", session)
	if len(p.box.keys) != 0 {
		t.Fatalf("set: %+v", p.box.keys)
	}
	if status, said = p.ask("POST", 0, "/passkey/set", session, given(token, a.makes(t, challenge))); status != http.StatusOK || len(p.box.keys) != 1 {
		t.Fatalf("set: %d %v, %d kept", status, said, len(p.box.keys))
	}

	a.count = 1
	token, challenge = p.begun(1, "/passkey/ask", "")
	status, said = p.ask("POST", 0, "/passkey/open", "", given(token, a.signs(t, challenge)))
	p.wants("of another parcel", status, said, http.StatusForbidden, "stale")
	token, challenge = p.begun(1, "/passkey/ask", "")
	p.skew = passkey.Lasts
	status, said = p.ask("POST", 1, "/passkey/open", "", given(token, a.signs(t, challenge)))
	p.wants("after its time", status, said, http.StatusForbidden, "stale")
	token, challenge = p.begun(1, "/passkey/ask", "")
	status, said = p.ask("POST", 1, "/passkey/open", "", given(token, newAuthenticator(t).signs(t, challenge)))
	p.wants("by another's authenticator", status, said, http.StatusForbidden, "passkey_wrong")
	status, said = p.ask("POST", 1, "/passkey/open", "", given(token, a.signs(t, challenge)))
	p.wants("answered a second time", status, said, http.StatusForbidden, "stale")
	for what, body := range map[string]any{"no JSON": "{", "too much": strings.Repeat(" ", maxAnswered) + "{}"} {
		status, said = p.ask("POST", 1, "/passkey/open", "", body)
		p.wants(what, status, said, http.StatusBadRequest, "failed")
	}
	token, challenge = p.begun(1, "/passkey/ask", "")
	status, said = p.ask("POST", 1, "/passkey/open", "", given(token, a.signs(t, challenge)))
	inside, _ := said["token"].(string)
	if status != http.StatusOK || inside == "" {
		t.Fatalf("opened by it: %d %v", status, said)
	}
	if status, _ := p.ask("GET", 1, "/content", inside, ""); status != http.StatusOK {
		t.Errorf("the content: %d", status)
	}
	status, said = p.ask("POST", 0, "/passkey/forget", inside, map[string]any{"key": p.box.keys[0].ID})
	p.wants("removed by the session of another parcel", status, said, http.StatusUnauthorized, "again")
	gone := map[string]any{"key": p.box.keys[0].ID}
	for range 2 { // gone is gone
		if status, said = p.ask("POST", 1, "/passkey/forget", inside, gone); status != http.StatusOK || len(p.box.keys) != 0 {
			t.Errorf("removed: %d %v, %d left", status, said, len(p.box.keys))
		}
	}
	status, said = p.ask("POST", 1, "/passkey/ask", "", "{}")
	p.wants("once it is removed", status, said, http.StatusForbidden, "passkey_none")
}
