package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/passkey"
)

// TestPasskeyRefused: what no authenticator signed lets nobody in, sets and opens
// nothing, and says nothing of which account it was for; a password alone is not
// enough for who has a passkey.
func TestPasskeyRefused(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, 1, func(_ *site, d *console.Deps) { d.Site = passkey.NewSite("https://desk.clinic.example", "stanch") })
	s.add(t, "dana", console.Officer, false)
	ceremony := func(body string) string {
		t.Helper()
		_, rest, ok := strings.Cut(body, `name="ceremony" value="`)
		if !ok {
			t.Fatalf("no ceremony in\n%s", body)
		}
		token, _, _ := strings.Cut(rest, `"`)
		return token
	}
	v := s.visitor(t)
	_, body, _ := v.do(http.MethodPost, "/signin/passkey/ask", nil)
	if strings.Contains(body, "allowCredentials") {
		t.Error("who is not signed in is told of credentials")
	}
	token := ceremony(body)
	for name, form := range map[string]url.Values{"an answer that is none": {"ceremony": {token}, "credential": {"{}"}}, "a used ceremony": {"ceremony": {token}, "credential": {"{}"}}, "no ceremony": {"credential": {"{}"}}} {
		if code, body, _ := v.do(http.MethodPost, "/signin/passkey", form); code != http.StatusUnauthorized || !strings.Contains(body, "That did not match.") {
			t.Errorf("%s: %d", name, code)
		}
	}
	for range 47 {
		v.do(http.MethodPost, "/signin/passkey", nil)
	}
	if code, _, _ := v.do(http.MethodPost, "/signin/passkey", nil); code != http.StatusTooManyRequests {
		t.Errorf("after 50 that did not match from one place: %d, want 429", code)
	}
	s.pass(5 * time.Minute)
	dana := s.signedIn(t, "dana")
	if code, _, _ := dana.do(http.MethodPost, "/passkeys/offer", url.Values{"old": {"wrong"}}); code != http.StatusUnauthorized {
		t.Errorf("an offer without the password: %d", code)
	}
	_, body, _ = dana.do(http.MethodPost, "/passkeys/offer", url.Values{"old": {password}})
	if code, body, _ := dana.do(http.MethodPost, "/passkeys/set", url.Values{"ceremony": {ceremony(body)}, "credential": {`{"id":"x"}`}}); code != http.StatusBadRequest || !strings.Contains(body, "No passkey was set") {
		t.Errorf("setting what no authenticator made: %d", code)
	}
	if u, err := s.users.Find("dana"); err != nil || u.Passkeys != "" {
		t.Errorf("and yet it is set: %v", err)
	}
	// A passkey that does not open: the password alone is not enough all the same.
	if err := s.users.SetPasskeys("dana", "AAAA", "bm90IHNlYWxlZA=="); err != nil {
		t.Fatal(err)
	}
	v = s.visitor(t)
	if _, _, to := v.do(http.MethodPost, "/signin", url.Values{"name": {"dana"}, "password": {password}}); to != "/code" {
		t.Errorf("a password leads to %q", to)
	}
	if _, _, to := v.do(http.MethodGet, "/queue", nil); to != "/signin" {
		t.Error("half a session sees the queue")
	}
	if code, body, _ := v.do(http.MethodGet, "/code", nil); code != http.StatusOK || !strings.Contains(body, "cannot be used at this address") {
		t.Errorf("the page of the passkey: %d", code)
	}
	if code, _, _ := v.do(http.MethodPost, "/code/passkey", url.Values{"credential": {"{}"}}); code != http.StatusUnauthorized {
		t.Errorf("no ceremony: %d", code)
	}
	if _, _, to := v.do(http.MethodPost, "/code", url.Values{"code": {"000000"}}); to != "/signin" {
		t.Errorf("a code where there is none leads to %q", to)
	}
	if err := s.users.SetPasskeys("dana", "", ""); err != nil {
		t.Fatal(err)
	}
	s.signedIn(t, "dana")
}
