package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/web"
)

// OIDCConfig is the [console.oidc] table.
type OIDCConfig struct {
	// Issuer is the OpenID Connect provider by which reviewers may sign in, exactly as it names itself: `https://login.clinic.example/realms/staff`. Empty: by none. Plain http is taken for a loopback address alone.
	Issuer string `toml:"issuer"`
	// ClientID is what the provider knows the console by.
	ClientID string `toml:"client_id"`
	// ClientSecretFile is a file with the client's secret, which its owner alone may read. It is read at start. Empty: the provider takes the console for a public client, and PKCE alone proves it.
	ClientSecretFile string `toml:"client_secret_file"`
	// URL is the console's address in reviewers' browsers. The provider is to send them back to `/signin/oidc/done` below it, and nowhere else.
	URL string `toml:"url"`
	// Provider is what the sign-in page calls it: `Harbor Vale staff login`.
	Provider string `toml:"provider"`
	// Scopes are asked for beside `openid`.
	Scopes []string `toml:"scopes"`
	// NameClaim is the claim of the ID token that is the account's name, less what follows an `@`: it is to be one that people do not choose themselves.
	NameClaim string `toml:"name_claim"`
	// Claim is the claim that says what somebody may do, a word or a list of words; `a.b` is b within a.
	Claim string `toml:"claim"`
	// Roles says which words of that claim give each role: `{ officer = ["stanch-officers"] }`. Of several roles the first of `admin`, `officer`, `auditor` and `viewer` holds. Who has none is not let in.
	Roles OIDCRoles `toml:"roles"`
	// TLSCA is a PEM file of certificates that the provider's is to lead to. Empty: the system's.
	TLSCA string `toml:"tls_ca"`
}

// OIDCRoles are the words of the claim that give each role.
type OIDCRoles struct {
	// Admin lists the words that make one an admin.
	Admin []string `toml:"admin,omitempty"`
	// Officer lists the words that make one an officer.
	Officer []string `toml:"officer,omitempty"`
	// Auditor lists the words that make one an auditor.
	Auditor []string `toml:"auditor,omitempty"`
	// Viewer lists the words that make one a viewer.
	Viewer []string `toml:"viewer,omitempty"`
}

// all are the roles, the one that holds of several first.
func (r *OIDCRoles) all() []roleWords {
	return []roleWords{{Admin, r.Admin}, {Officer, r.Officer}, {Auditor, r.Auditor}, {Viewer, r.Viewer}}
}

type roleWords struct {
	role  Role
	words []string
}

// DefaultOIDC asks for a profile, and for groups.
func DefaultOIDC() OIDCConfig {
	return OIDCConfig{Provider: "your organization's login", Scopes: []string{"profile"}, NameClaim: "preferred_username", Claim: "groups"}
}

// On reports whether there is a provider.
func (c *OIDCConfig) On() bool { return c.Issuer != "" }

// Validate reports the first bad value as a *dlp.KeyError.
func (c *OIDCConfig) Validate() error {
	bad := func(key, want string) error { return &dlp.KeyError{Key: "console.oidc." + key, Want: want} }
	if !c.On() {
		if c.ClientID != "" || c.URL != "" {
			return bad("issuer", "the provider's address, beside the other keys")
		}
		return nil
	}
	printable := func(s string) bool { return s != "" && web.IsLine(s) }
	switch {
	case !web.IsURL(c.Issuer):
		return bad("issuer", "the provider's https:// address, exactly as its tokens have it")
	case !printable(c.ClientID):
		return bad("client_id", "what the provider knows the console by")
	case !web.IsURL(c.URL):
		return bad("url", "the https:// address of the console in reviewers' browsers, without query")
	case !printable(c.Provider):
		return bad("provider", "one line of at most 100 bytes")
	case !printable(c.NameClaim):
		return bad("name_claim", "a claim such as preferred_username")
	case !printable(c.Claim):
		return bad("claim", "a claim such as groups")
	case len(c.Scopes) > 20 || slices.ContainsFunc(c.Scopes, func(s string) bool { return !printable(s) || strings.ContainsAny(s, ` "\`) }):
		return bad("scopes", `at most 20 words such as "profile"`)
	}
	n := 0
	for _, r := range c.Roles.all() {
		n += len(r.words)
		if slices.ContainsFunc(r.words, func(s string) bool { return !printable(s) }) {
			return bad("roles", "words of the claim, each one line of at most 100 bytes")
		}
	}
	if n == 0 || n > 100 {
		return bad("roles", `1 to 100 words of the claim in all, such as { officer = ["stanch-officers"] }`)
	}
	return nil
}

// Bounds of signing in by a provider.
const (
	flowWithin    = 10 * time.Minute // from leaving for the provider to coming back
	maxFlows      = 1000
	discoverEvery = time.Hour
	flowCookie    = "stanch_oidc"
	donePath      = "/signin/oidc/done"
)

// Why somebody who came back from the provider is not let in: Reason of a
// Login that failed. They are told apart in the audit log, never on the page.
const (
	oidcNotOurs  = "oidc_no_such_request"  // the state is unknown, used, over, or another browser's
	oidcRefused  = "oidc_provider_refused" // it came back with an error, or as another issuer
	oidcNoAnswer = "oidc_no_answer"        // the provider could not be asked, or gave no token
	oidcToken    = "oidc_bad_token"        // of another issuer or audience, over, or not signed by its keys
	oidcNonce    = "oidc_other_nonce"
	oidcNoRole   = "oidc_no_role"
	oidcNoName   = "oidc_no_name"
	oidcTaken    = "oidc_name_taken" // the name is a local account's or another person's
	oidcDisabled = "oidc_disabled"
	oidcPassed   = "oidc" // and who was let in
)

// flow is somebody who has left for the provider.
type flow struct {
	browser  [32]byte // digest of their cookie
	nonce    string
	verifier string // RFC 7636
	begun    time.Time
}

// OIDC signs people in by a provider, which is asked about itself at the first
// sign-in.
type OIDC struct {
	cfg    OIDCConfig
	secret string
	http   *http.Client
	now    func() time.Time

	mu    sync.Mutex
	flows map[string]flow // guarded by mu; by state
	known *oidc.Provider  // guarded by mu
	at    time.Time       // guarded by mu; when known was learnt
}

// provider asks the provider about itself, at most once an hour.
func (o *OIDC) provider(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock() // several who wait for one answer are as well served
	if o.known != nil && o.now().Sub(o.at) < discoverEvery {
		return o.known, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, o.http), o.cfg.Issuer)
	if err != nil {
		return nil, errors.New("console: the provider did not say who it is, or says it is another") // its own words may hold anything
	}
	if e := p.Endpoint(); !web.IsURL(e.TokenURL) || !isEndpoint(e.AuthURL) {
		return nil, errors.New("console: the provider names addresses that are not https")
	}
	o.known, o.at = p, o.now()
	return p, nil
}

// isEndpoint is web.IsURL, and a query may stand in it (RFC 6749 3.1).
func isEndpoint(s string) bool {
	before, _, _ := strings.Cut(s, "?")
	return web.IsURL(before) && len(s) <= 1000
}

func (o *OIDC) client(p *oidc.Provider) *oauth2.Config {
	at := p.Endpoint()
	if o.secret == "" {
		at.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: o.cfg.ClientID, ClientSecret: o.secret, Endpoint: at,
		RedirectURL: strings.TrimSuffix(o.cfg.URL, "/") + donePath, Scopes: append([]string{oidc.ScopeOpenID}, o.cfg.Scopes...)}
}

// leave returns where the browser is to go, and what its cookie is to be.
//
// Source: OpenID Connect Core 3.1.2.1; RFC 7636; RFC 9700 2.1.
func (o *OIDC) leave(ctx context.Context) (to, browser string, err error) {
	p, err := o.provider(ctx)
	if err != nil {
		return "", "", err
	}
	state, browser := rand.Text(), rand.Text()
	f := flow{browser: sha256.Sum256([]byte(browser)), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), begun: o.now()}
	o.mu.Lock()
	defer o.mu.Unlock()
	var oldest string
	for k, x := range o.flows {
		if o.now().Sub(x.begun) > flowWithin {
			delete(o.flows, k)
		} else if oldest == "" || x.begun.Before(o.flows[oldest].begun) {
			oldest = k
		}
	}
	if len(o.flows) >= maxFlows {
		delete(o.flows, oldest)
	}
	o.flows[state] = f
	return o.client(p).AuthCodeURL(state, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier)), browser, nil
}

// take returns the flow of state and forgets it: it is good once, and in the
// browser that left by it alone.
func (o *OIDC) take(state, browser string) (flow, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, ok := o.flows[state]
	delete(o.flows, state)
	sum := sha256.Sum256([]byte(browser))
	return f, ok && o.now().Sub(f.begun) <= flowWithin && subtle.ConstantTimeCompare(sum[:], f.browser[:]) == 1
}

// vouchee is whom the provider vouches for.
type vouchee struct {
	name    string
	subject string // what stands for them for good
	role    Role
}

// back finds out who came back with this answer. why is "" where all holds.
//
// Source: OpenID Connect Core 3.1.3.7; RFC 9207 2.4.
func (o *OIDC) back(r *http.Request) (_ vouchee, why string) {
	q := r.URL.Query()
	browser := ""
	if c, err := r.Cookie(flowCookie); err == nil {
		browser = c.Value
	}
	f, ok := o.take(q.Get("state"), browser)
	switch {
	case !ok:
		return vouchee{}, oidcNotOurs
	case q.Get("error") != "" || q.Get("code") == "" || q.Has("iss") && q.Get("iss") != o.cfg.Issuer:
		return vouchee{}, oidcRefused
	}
	ctx := oidc.ClientContext(r.Context(), o.http)
	p, err := o.provider(ctx)
	if err != nil {
		return vouchee{}, oidcNoAnswer
	}
	t, err := o.client(p).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(f.verifier))
	if err != nil {
		return vouchee{}, oidcNoAnswer
	}
	raw, ok := t.Extra("id_token").(string)
	if !ok {
		return vouchee{}, oidcNoAnswer
	}
	token, err := p.Verifier(&oidc.Config{ClientID: o.cfg.ClientID, Now: o.now}).Verify(ctx, raw)
	var claims map[string]any
	if err != nil || token.Claims(&claims) != nil || token.Subject == "" {
		return vouchee{}, oidcToken
	}
	if azp, given := claims["azp"]; given && azp != o.cfg.ClientID || !given && len(token.Audience) > 1 {
		return vouchee{}, oidcToken
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(f.nonce)) != 1 {
		return vouchee{}, oidcNonce
	}
	return o.person(token, claims)
}

func (o *OIDC) person(token *oidc.IDToken, claims map[string]any) (_ vouchee, why string) {
	sum := sha256.Sum256([]byte(token.Issuer + "\x00" + token.Subject))
	who := vouchee{subject: hex.EncodeToString(sum[:])}
	name, _ := claims[o.cfg.NameClaim].(string)
	name, _, _ = strings.Cut(name, "@")
	if who.name = strings.ToLower(name); !IsName(who.name) {
		return vouchee{}, oidcNoName
	}
	if slices.Contains(otherActors, who.name) {
		return vouchee{}, oidcTaken
	}
	has := wordsOf(claims, o.cfg.Claim)
	for _, r := range o.cfg.Roles.all() {
		if slices.ContainsFunc(r.words, func(s string) bool { return slices.Contains(has, s) }) {
			who.role = r.role
			return who, ""
		}
	}
	return vouchee{}, oidcNoRole
}

// wordsOf are the words of a claim.
func wordsOf(claims map[string]any, name string) (out []string) {
	v, ok := claims[name]
	if outer, inner, nested := strings.Cut(name, "."); !ok && nested {
		if m, is := claims[outer].(map[string]any); is {
			return wordsOf(m, inner)
		}
	}
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			if s, is := x.(string); is {
				out = append(out, s)
			}
		}
	}
	return out
}

// errTaken says that a name belongs to somebody else.
var errTaken = errors.New("console: the name is another's")

// vouched returns the account of who, which is made or given their role where
// it is not so yet; change is called before, with what is to be done, and again
// where it was not. Who is
// disabled here stays so.
func (u *Users) vouched(who vouchee, change func(what string) error) (User, error) {
	x, err := u.Find(who.name)
	switch {
	case err == nil && x.Subject != who.subject:
		return User{}, errTaken
	case err == nil && x.Role == who.role:
		return x, nil
	case err == nil:
		if err = change("role:" + who.name); err == nil {
			if err = u.edit(who.name, func(x *User) { x.Role = who.role }); err != nil {
				err = errors.Join(err, change("failed_role:"+who.name))
			}
		}
	case errors.Is(err, ErrNoUser):
		if err = change("add:" + who.name); err == nil {
			if err = u.add(User{Name: who.name, Role: who.role, Subject: who.subject}); err != nil {
				err = errors.Join(err, change("failed_add:"+who.name))
			}
		}
	}
	if err != nil {
		return User{}, fmt.Errorf("console: account of the provider: %w", err)
	}
	x, err = u.Find(who.name)
	if err == nil && x.Subject != who.subject {
		return User{}, errTaken
	}
	return x, err
}
