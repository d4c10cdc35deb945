package console_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// idp is a provider that says what a test has it say.
type idp struct {
	*httptest.Server
	t      *testing.T
	asked  url.Values // of the last browser that came
	codes  map[string]bool
	sign   func(claims string) string
	claims map[string]any // beside those of the protocol, or in their place
	issuer string         // that discovery says
}

// idpKey signs the tokens of all providers of these tests: making it takes long.
var idpKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newIDP(t *testing.T) *idp {
	t.Helper()
	key := idpKey()
	p := &idp{t: t, codes: map[string]bool{}, claims: map[string]any{}}
	p.sign = func(c string) string { return oidctest.SignIDToken(key, "k", "RS256", c) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.answer(w, map[string]any{"issuer": p.issuer, "authorization_endpoint": p.URL + "/auth?tenant=1", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}})
	})
	enc := base64.RawURLEncoding.EncodeToString
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.answer(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k", "n": enc(key.N.Bytes()), "e": enc(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	p.issuer = p.URL
	t.Cleanup(p.Close)
	return p
}

func (p *idp) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

// token gives one token for a code, to who knows the client's secret and what
// the browser left with.
func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	code := r.PostFormValue("code")
	if id != "stanch" || secret != "s3cret" || !p.codes[code] || r.PostFormValue("redirect_uri") != p.asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != p.asked.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	delete(p.codes, code)
	claims := map[string]any{"iss": p.URL, "aud": "stanch", "sub": "S-4711", "nonce": p.asked.Get("nonce"), "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(),
		"preferred_username": "Dana@clinic.example", "groups": []string{"everybody", "desk"}}
	maps.Copy(claims, p.claims)
	b, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	p.answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": p.sign(string(b))})
}

// now is the clock of the sites of these tests.
var now = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

func (p *idp) config() console.OIDCConfig {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	c := console.DefaultOIDC()
	c.Issuer, c.ClientID, c.ClientSecretFile, c.URL = p.URL, "stanch", file, "https://console.clinic.example/"
	c.Roles = console.OIDCRoles{Officer: []string{"desk"}, Admin: []string{"heads"}, Auditor: []string{"books"}}
	return c
}

// providedSite is a console whose people may sign in by p.
func providedSite(t *testing.T, p *idp, change func(*console.OIDCConfig)) *site {
	t.Helper()
	return newSiteWith(t, 1, func(s *site, d *console.Deps) {
		c := p.config()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		var err error
		if d.OIDC, err = console.OpenOIDC(c, s.now); err != nil {
			t.Fatal(err)
		}
	})
}

// leave has v go to the provider, which gives it a code.
func (p *idp) leave(v *visitor) (code string) {
	p.t.Helper()
	status, _, to := v.do(http.MethodGet, "/signin/oidc", nil)
	u, err := url.Parse(to)
	if err != nil || status != http.StatusSeeOther || !strings.HasPrefix(to, p.URL+"/auth?tenant=1&") {
		p.t.Fatalf("left with %d to %q, %v", status, to, err)
	}
	p.asked = u.Query()
	code = rand.Text()
	p.codes[code] = true
	return code
}

func back(v *visitor, q url.Values) (status int, body string) {
	status, body, _ = v.do(http.MethodGet, "/signin/oidc/done?"+q.Encode(), nil)
	return status, body
}

// round is leaving and coming back as one should.
func (p *idp) round(v *visitor) (status int, body string) {
	p.t.Helper()
	code := p.leave(v)
	return back(v, url.Values{"code": {code}, "state": {p.asked.Get("state")}, "iss": {p.URL}})
}

func in(v *visitor) bool {
	status, _, _ := v.do(http.MethodGet, "/queue", nil)
	return status == http.StatusOK
}

func (s *site) last() audit.Event {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	return s.desk.events[len(s.desk.events)-1]
}

// TestSignInByAProvider: who comes back from it with a role is let in as it
// says, on record; what it says later holds later; accounts kept here stay, and
// what is kept at the provider is not asked for here.
func TestSignInByAProvider(t *testing.T) { // long: one account through what may happen to it
	t.Parallel()
	p := newIDP(t)
	s := providedSite(t, p, func(*console.OIDCConfig) {})
	s.add(t, "root", console.Admin, false)
	if _, page, _ := s.visitor(t).do(http.MethodGet, "/signin", nil); !strings.Contains(page, `href="/signin/oidc"`) {
		t.Error("the page offers no provider")
	}
	v := s.visitor(t)
	if status, body := p.round(v); status != http.StatusOK || !in(v) {
		t.Fatalf("came back to %d:\n%s", status, body)
	}
	for key, want := range map[string]string{"redirect_uri": "https://console.clinic.example/signin/oidc/done", "response_type": "code", "scope": "openid profile", "client_id": "stanch", "code_challenge_method": "S256"} {
		if got := p.asked.Get(key); got != want {
			t.Errorf("asked with %s %q, want %q", key, got, want)
		}
	}
	if e := s.last(); e.Kind != audit.Login || e.Actor != "user:dana" || e.Result != audit.ResultPassed || e.Reason != "oidc" {
		t.Errorf("recorded %+v", e)
	}
	u, err := s.users.Find("dana")
	if err != nil || u.Role != console.Officer || strings.Contains(fmt.Sprint(u), "S-4711") {
		t.Errorf("account %+v, %v", u, err)
	}
	for _, path := range []string{"/password", "/second"} {
		if status, body, _ := v.do(http.MethodGet, path, nil); status != http.StatusForbidden || !strings.Contains(body, "not kept here") {
			t.Errorf("%s: %d", path, status)
		}
	}
	if err := s.users.SetPassword("dana", password); !errors.Is(err, console.ErrProvided) {
		t.Errorf("a password was set: %v", err)
	}
	if err := s.users.SetRole("dana", console.Admin); !errors.Is(err, console.ErrProvided) {
		t.Errorf("a role was set: %v", err)
	}
	for _, pass := range []string{"", password} {
		if status, _, _ := s.visitor(t).do(http.MethodPost, "/signin", url.Values{"name": {"dana"}, "password": {pass}}); status != http.StatusUnauthorized {
			t.Errorf("signed in by a password: %d", status)
		}
	}

	p.claims["groups"] = "books"
	other := s.visitor(t)
	if status, _ := p.round(other); status != http.StatusOK || in(v) || !in(other) {
		t.Errorf("with another role: %d, the older session lives: %v", status, in(v))
	}
	if u, err := s.users.Find("dana"); err != nil || u.Role != console.Auditor {
		t.Errorf("account %+v, %v", u, err)
	}
	if err := s.users.SetDisabled("dana", true); err != nil {
		t.Fatal(err)
	}
	if status, _ := p.round(other); status != http.StatusForbidden || in(other) || s.last().Reason != "oidc_disabled" {
		t.Errorf("who is disabled: %d, %+v", status, s.last())
	}
	p.claims = map[string]any{"groups": []string{"heads"}, "sub": "1", "preferred_username": "boss"}
	if status, _ := p.round(s.visitor(t)); status != http.StatusOK {
		t.Errorf("an admin of the provider's: %d", status)
	}
	if err := s.users.SetDisabled("root", true); !errors.Is(err, console.ErrLast) {
		t.Errorf("the last admin kept here was shut out: %v", err)
	}
	s.signedIn(t, "root")
	s.desk.broken = errors.New("no disk")
	if status, _ := p.round(v); status != http.StatusServiceUnavailable || in(v) {
		t.Errorf("what could not be recorded: %d", status)
	}
}

// TestRoleWithinAClaim: the claim may stand within another.
func TestRoleWithinAClaim(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := providedSite(t, p, func(c *console.OIDCConfig) { c.Claim = "realm_access.roles" })
	p.claims["realm_access"] = map[string]any{"roles": []string{"books", "heads", "desk"}}
	if status, _ := p.round(s.visitor(t)); status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	if u, err := s.users.Find("dana"); err != nil || u.Role != console.Admin {
		t.Errorf("account %+v, %v", u, err)
	}
}

// TestProvidersAnswersThatDoNotHold: none lets anybody in, each is on record by
// its kind, and none says why to who came.
func TestProvidersAnswersThatDoNotHold(t *testing.T) { // long: a table
	t.Parallel()
	enc := base64.RawURLEncoding.EncodeToString
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(k string, v any) func(*idp) { return func(p *idp) { p.claims[k] = v } }
	signed := func(sign func(string) string) func(*idp) { return func(p *idp) { p.sign = sign } }
	for _, tt := range []struct {
		name   string
		change func(*idp)
		query  url.Values // in place of what should come
		why    string
	}{
		{"another issuer", claim("iss", "https://evil.example"), nil, "oidc_bad_token"},
		{"another audience", claim("aud", "billing"), nil, "oidc_bad_token"},
		{"several audiences and nobody's in particular", claim("aud", []string{"stanch", "billing"}), nil, "oidc_bad_token"},
		{"given to another client", claim("azp", "billing"), nil, "oidc_bad_token"},
		{"another nonce", claim("nonce", "another"), nil, "oidc_other_nonce"},
		{"no nonce", claim("nonce", ""), nil, "oidc_other_nonce"},
		{"over", claim("exp", now.Add(-time.Second).Unix()), nil, "oidc_bad_token"},
		{"not yet", claim("nbf", now.Add(time.Hour).Unix()), nil, "oidc_bad_token"},
		{"nobody", claim("sub", ""), nil, "oidc_bad_token"},
		{"signed by nobody", signed(func(c string) string { return enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(c)) + "." }), nil, "oidc_bad_token"},
		{"signed by another key", signed(func(c string) string { return oidctest.SignIDToken(stranger, "k", "RS256", c) }), nil, "oidc_bad_token"},
		{"signed by a secret that all know, the key's public half", signed(func(c string) string {
			head := enc([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + enc([]byte(c))
			mac := hmac.New(sha256.New, publicPEM(t))
			mac.Write([]byte(head))
			return head + "." + enc(mac.Sum(nil))
		}), nil, "oidc_bad_token"},
		{"signed by the client's secret", signed(func(c string) string {
			head := enc([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + enc([]byte(c))
			mac := hmac.New(sha256.New, []byte("s3cret"))
			mac.Write([]byte(head))
			return head + "." + enc(mac.Sum(nil))
		}), nil, "oidc_bad_token"},
		{"no token", signed(func(string) string { return "" }), nil, "oidc_bad_token"},
		{"no role", claim("groups", []string{"everybody", "Desk", "officer"}), nil, "oidc_no_role"},
		{"a claim of another kind", claim("groups", map[string]any{"desk": true}), nil, "oidc_no_role"},
		{"no name", claim("preferred_username", "MRN 0012345678"), nil, "oidc_no_name"},
		{"a name kept here", claim("preferred_username", "root"), nil, "oidc_name_taken"},
		{"the name of who does things without an account", claim("preferred_username", "sender"), nil, "oidc_name_taken"},
		{"another's name", func(p *idp) { p.claims["preferred_username"], p.claims["sub"] = "ann", "another" }, nil, "oidc_name_taken"},
		{"a code nobody gave", nil, url.Values{"code": {"made-up"}}, "oidc_no_answer"},
		{"no code", nil, url.Values{"code": {""}}, "oidc_provider_refused"},
		{"an error", nil, url.Values{"error": {"<script>access_denied"}}, "oidc_provider_refused"},
		{"another issuer's answer", nil, url.Values{"iss": {"https://evil.example"}}, "oidc_provider_refused"},
		{"another state", nil, url.Values{"state": {"made-up"}}, "oidc_no_such_request"},
		{"no state", nil, url.Values{"state": {""}}, "oidc_no_such_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			s := providedSite(t, p, func(*console.OIDCConfig) {})
			s.add(t, "root", console.Admin, false)
			p.claims["preferred_username"] = "ann"
			if status, _ := p.round(s.visitor(t)); status != http.StatusOK {
				t.Fatalf("what holds: %d", status)
			}
			p.claims = map[string]any{}
			if tt.change != nil {
				tt.change(p)
			}
			v := s.visitor(t)
			q := url.Values{"code": {p.leave(v)}, "state": {p.asked.Get("state")}}
			maps.Copy(q, tt.query)
			status, body := back(v, q)
			if e := s.last(); status != http.StatusForbidden || in(v) || e.Kind != audit.Login || e.Result != audit.ResultFailed || e.Reason != tt.why || e.Actor != "" {
				t.Errorf("%d, recorded %+v, want %s", status, e, tt.why)
			}
			if strings.Contains(body, tt.why) || strings.Contains(body, "<script>a") || strings.Contains(body, "evil") {
				t.Errorf("the page says why:\n%s", body)
			}
			if all, err := s.users.List(); err != nil || len(all) != 2 {
				t.Errorf("accounts %+v, %v: want two", all, err)
			}
		})
	}
}

func publicPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(idpKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// TestNamesOfNobody: who does things without an account lends no account its name.
func TestNamesOfNobody(t *testing.T) {
	t.Parallel()
	u := console.OpenUsers(t.TempDir())
	for _, name := range []string{"sender", "oidc"} {
		if err := u.Add(name, console.Officer, password, false); !errors.Is(err, console.ErrTaken) {
			t.Errorf("an account %q: %v, want %v", name, err, console.ErrTaken)
		}
	}
}

// TestProvidersAnswerIsGoodOnce: in the browser that left alone, within ten
// minutes, and never where an address says.
func TestProvidersAnswerIsGoodOnce(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := providedSite(t, p, func(*console.OIDCConfig) {})
	v := s.visitor(t)
	code := p.leave(v)
	q := url.Values{"code": {code}, "state": {p.asked.Get("state")}, "redirect_uri": {"https://evil.example"}, "next": {"//evil.example"}}
	refused := func(what string, v *visitor) {
		t.Helper()
		if status, _ := back(v, q); status != http.StatusForbidden || s.last().Reason != "oidc_no_such_request" {
			t.Errorf("%s: %d, %+v", what, status, s.last())
		}
	}
	if status, body := back(v, q); status != http.StatusOK || strings.Contains(body, "evil") {
		t.Fatalf("%d:\n%s", status, body)
	}
	p.codes[code] = true
	refused("again", v)
	q = url.Values{"code": {p.leave(v)}, "state": {p.asked.Get("state")}}
	refused("in another browser", s.visitor(t))
	refused("after another browser had tried", v)
	q = url.Values{"code": {p.leave(v)}, "state": {p.asked.Get("state")}}
	s.pass(11 * time.Minute)
	refused("late", v)
}

// TestProvidersThatAreNot: without a provider, with one that says it is another,
// and with one that is not there, nobody leaves.
func TestProvidersThatAreNot(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.issuer = "https://evil.example"
	s := providedSite(t, p, func(*console.OIDCConfig) {})
	if status, _, to := s.visitor(t).do(http.MethodGet, "/signin/oidc", nil); status != http.StatusBadGateway || to != "" {
		t.Errorf("another issuer: %d to %q", status, to)
	}
	p.Close()
	if status, _, to := s.visitor(t).do(http.MethodGet, "/signin/oidc", nil); status != http.StatusBadGateway || to != "" {
		t.Errorf("nobody there: %d to %q", status, to)
	}
	bare := newSite(t, 1)
	for _, path := range []string{"/signin/oidc", "/signin/oidc/done?code=x&state=y"} {
		if status, page, _ := bare.visitor(t).do(http.MethodGet, path, nil); status != http.StatusNotFound || strings.Contains(page, `href="/signin/oidc"`) {
			t.Errorf("%s without a provider: %d", path, status)
		}
	}
}

func TestOIDCConfig(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	for key, change := range map[string]func(*console.OIDCConfig){
		"issuer":             func(c *console.OIDCConfig) { c.Issuer = "http://login.example" },
		"url":                func(c *console.OIDCConfig) { c.URL = "http://console.example" },
		"client_id":          func(c *console.OIDCConfig) { c.ClientID = "" },
		"roles":              func(c *console.OIDCConfig) { c.Roles = console.OIDCRoles{} },
		"scopes":             func(c *console.OIDCConfig) { c.Scopes = []string{"a b"} },
		"claim":              func(c *console.OIDCConfig) { c.Claim = "" },
		"name_claim":         func(c *console.OIDCConfig) { c.NameClaim = "a\nb" },
		"client_secret_file": func(c *console.OIDCConfig) { c.ClientSecretFile = "/nowhere" },
		"tls_ca":             func(c *console.OIDCConfig) { c.TLSCA = c.ClientSecretFile },
	} {
		c := p.config()
		change(&c)
		err := c.Validate()
		if err == nil && slices.Contains([]string{"client_secret_file", "tls_ca"}, key) {
			_, err = console.OpenOIDC(c, time.Now)
		}
		if e, ok := errors.AsType[*dlp.KeyError](err); !ok || e.Key != "console.oidc."+key {
			t.Errorf("%s: %v", key, err)
		}
	}
	c := p.config()
	if err := os.Chmod(c.ClientSecretFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := console.OpenOIDC(c, time.Now); err == nil {
		t.Error("a secret that others may read was taken")
	}
}
