package console_test

import (
	"encoding/base32"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
)

// TestTOTPCode has the values of RFC 6238 appendix B, for six digits.
func TestTOTPCode(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := console.TOTPCode(secret, at/30); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

var shownSecret = regexp.MustCompile(`id="secret">([A-Z2-7 ]+)<`)

// enrol sets up a second factor for who is signed in, and returns its secret.
func enrol(t *testing.T, s *site, v *visitor) []byte {
	t.Helper()
	if code, _, to := v.do(http.MethodPost, "/second/offer", url.Values{"old": {password}}); code != http.StatusSeeOther || to != "/second" {
		t.Fatalf("offer: %d to %q", code, to)
	}
	_, page, _ := v.do(http.MethodGet, "/second", nil)
	m := shownSecret.FindStringSubmatch(page)
	if m == nil || !strings.Contains(page, `class="qr"`) {
		t.Fatalf("no secret in\n%s", page)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil || len(secret) != 20 {
		t.Fatalf("secret of %d bytes, %v", len(secret), err)
	}
	if code, _, to := v.do(http.MethodPost, "/second/set", url.Values{"code": {s.code(secret, 0)}}); code != http.StatusSeeOther || to != "/queue" {
		t.Fatalf("set: %d to %q", code, to)
	}
	return secret
}

// code is the code of now, or of some steps from now.
func (s *site) code(secret []byte, steps int64) string {
	return console.TOTPCode(secret, s.now().Unix()/30+steps)
}

func (s *site) signIn(v *visitor) (to string) {
	_, _, to = v.do(http.MethodPost, "/signin", url.Values{"name": {"dana"}, "password": {password}})
	return to
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	first, other := s.signedIn(t, "dana"), s.signedIn(t, "dana")
	secret := enrol(t, s, first)
	if _, _, to := other.do(http.MethodGet, "/queue", nil); to != "/signin" {
		t.Error("a session of before the second factor goes on")
	}
	file, err := os.ReadFile(filepath.Join(s.dir, "users.json"))
	if err != nil || strings.Contains(string(file), base32.StdEncoding.EncodeToString(secret)) || strings.Contains(string(file), string(secret)) {
		t.Errorf("the secret lies open, %v", err)
	}
	v := s.visitor(t)
	if to := s.signIn(v); to != "/code" {
		t.Fatalf("with a password alone: to %q, want /code", to)
	}
	for pattern, needs := range console.Routes() { // half signed in is not signed in
		method, path, _ := strings.Cut(pattern, " ")
		if _, _, to := v.do(method, strings.ReplaceAll(strings.TrimSuffix(path, "{$}"), "{id}", string(s.desk.held[0].ID)), nil); needs != "anyone" && to != "/signin" {
			t.Errorf("half signed in, %s: to %q", pattern, to)
		}
	}
	give := func(v *visitor, code string) (int, string) {
		status, _, to := v.do(http.MethodPost, "/code", url.Values{"code": {code}})
		return status, to
	}
	s.signIn(v)
	if status, _ := give(v, s.code(secret, 0)); status != http.StatusUnauthorized {
		t.Errorf("the code that set it up is good again: %d", status)
	}
	s.pass(5 * time.Minute)
	for name, code := range map[string]func() string{"none": func() string { return "" }, "wrong": func() string { return "000000" },
		"too old": func() string { return s.code(secret, -2) }, "too early": func() string { return s.code(secret, 2) }} {
		s.signIn(v)
		if status, _ := give(v, code()); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
		s.pass(5 * time.Minute)
	}
	for _, steps := range []int64{-1, 0, 1} { // a clock may be off by one
		s.signIn(v)
		spaced := s.code(secret, steps)
		if status, to := give(v, spaced[:3]+" "+spaced[3:]); status != http.StatusSeeOther || to != "/" {
			t.Errorf("%d steps off: %d to %q", steps, status, to)
		}
		if code, _, _ := v.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
			t.Errorf("%d steps off: the queue answers %d", steps, code)
		}
		again := s.visitor(t)
		s.signIn(again)
		if status, _ := give(again, spaced); status != http.StatusUnauthorized {
			t.Errorf("%d steps off, a second time: %d", steps, status)
		}
		s.pass(5 * time.Minute)
	}
	s.signIn(v)
	s.pass(6 * time.Minute)
	if _, to := give(v, s.code(secret, 0)); to != "/signin" {
		t.Errorf("a code long after the password: to %q", to)
	}
	if err := s.users.SetSecond("dana", "", 0); err != nil { // an admin, by the command
		t.Fatal(err)
	}
	if to := s.signIn(v); to != "/" {
		t.Errorf("after it was taken away: to %q", to)
	}
	passed := 0
	for _, e := range s.desk.events {
		if e.Kind == audit.Login && e.Result == audit.ResultPassed {
			passed++
		}
	}
	if passed != 2+3+1 {
		t.Errorf("%d sign-ins on record, want 6", passed)
	}
}

func TestCodesAreThrottled(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	secret := enrol(t, s, s.signedIn(t, "dana"))
	v := s.visitor(t)
	s.signIn(v)
	try := func(code string) int {
		status, _, _ := v.do(http.MethodPost, "/code", url.Values{"code": {code}})
		return status
	}
	for range 5 {
		if status := try("000000"); status != http.StatusUnauthorized {
			t.Fatalf("%d", status)
		}
	}
	s.pass(time.Second)
	s.signIn(v) // the password again gives no more tries
	if status := try(s.code(secret, 1)); status != http.StatusTooManyRequests {
		t.Errorf("the sixth, though right: %d, want it to wait", status)
	}
	s.pass(time.Minute)
	if status := try(s.code(secret, 0)); status != http.StatusSeeOther {
		t.Errorf("a minute later: %d", status)
	}
}

// TestCodesFromManyPlacesAreThrottled: who has the password and asks from ever another
// place has no more tries than an account has in all.
func TestCodesFromManyPlacesAreThrottled(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	enrol(t, s, s.signedIn(t, "dana"))
	v := s.visitor(t)
	s.signIn(v)
	for i := range 200 {
		status, _, _ := v.do(http.MethodPost, "/code", url.Values{"code": {"000000"}}, "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		if status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("200 tries from as many places, and none had to wait")
}

// TestACodeIsUsedUpOnce, also where two gave it at the same moment, each before the
// other's was used up.
func TestACodeIsUsedUpOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	s.add(t, "dana", console.Officer, false)
	for i, c := range []struct {
		step int64
		good bool
	}{{5, true}, {5, false}, {4, false}, {6, true}} {
		if err := s.users.TakeStep("dana", c.step); (err == nil) != c.good {
			t.Errorf("%d: step %d: %v", i, c.step, err)
		}
	}
}

// TestSecondFactorOfARole: who must have one sets it up before anything else, and
// cannot take it away.
func TestSecondFactorOfARole(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, console.Officer)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "eve", console.Viewer, false)
	v := s.signedIn(t, "dana")
	for pattern, needs := range console.Routes() {
		if needs == "anyone" || needs == "signed in" {
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		if _, _, to := v.do(method, strings.ReplaceAll(strings.TrimSuffix(path, "{$}"), "{id}", string(s.desk.held[0].ID)), nil); to != "/second" {
			t.Errorf("%s: to %q, want /second", pattern, to)
		}
	}
	if status, _, _ := v.do(http.MethodPost, "/second/offer", url.Values{"old": {"another password"}}); status != http.StatusUnauthorized {
		t.Errorf("set up without the password: %d", status)
	}
	secret := enrol(t, s, v)
	if code, _, _ := v.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
		t.Errorf("then the queue answers %d", code)
	}
	s.pass(time.Minute)
	form := url.Values{"old": {password}, "code": {s.code(secret, 0)}}
	if status, _, _ := v.do(http.MethodPost, "/second/remove", form); status != http.StatusForbidden {
		t.Errorf("taken away: %d", status)
	}
	eve := s.signedIn(t, "eve")
	if code, _, _ := eve.do(http.MethodGet, "/queue", nil); code != http.StatusOK {
		t.Errorf("another role: %d", code)
	}
	own := enrol(t, s, eve)
	s.pass(time.Minute)
	if status, _, to := eve.do(http.MethodPost, "/second/remove", url.Values{"old": {password}, "code": {s.code(own, 0)}}); status != http.StatusSeeOther || to != "/queue" {
		t.Errorf("eve's: %d to %q", status, to)
	}
	if u, err := s.users.Find("eve"); err != nil || u.Second != "" {
		t.Errorf("%+v, %v", u, err)
	}
}
