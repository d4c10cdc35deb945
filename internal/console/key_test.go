package console_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const secretText = "what is held"

// locker is a vault whose keys are really sealed to reviewers. Its desk opens an
// item with the keys it is given, and with nothing else.
type locker struct {
	*desk
	mu      sync.Mutex
	periods *age.Periods // guarded by mu; nil: the server has its own key
	sealed  map[dlp.ID]map[string][]byte
	in      map[string]dlp.ID // period by kind
}

// seal has everything that is held sealed to those reviewers.
func (l *locker) seal(t *testing.T, needed int, reviewers ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	l.periods, err = age.OpenPeriods(age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "vault.keys"), Reviewers: reviewers, Only: true, Needed: needed}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.sealed, l.in = map[dlp.ID]map[string][]byte{}, map[string]dlp.ID{}
	for _, h := range l.held {
		l.sealed[h.ID] = map[string][]byte{}
		for _, kind := range []string{vault.KindContent, vault.KindCase} {
			var b bytes.Buffer
			w, in, err := l.periods.Seal(&b, kind, h.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, secretText); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			l.sealed[h.ID][kind], l.in[kind] = b.Bytes(), in
		}
	}
}

func (l *locker) Locks(_ context.Context, id dlp.ID) (out vault.Locks, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.periods == nil || l.sealed[id] == nil {
		return out, vault.ErrNotFound
	}
	if out.Content, err = l.periods.Lock(bytes.NewReader(l.sealed[id][vault.KindContent]), l.in[vault.KindContent]); err == nil {
		out.Case, err = l.periods.Lock(bytes.NewReader(l.sealed[id][vault.KindCase]), l.in[vault.KindCase])
	}
	return out, err
}

func (l *locker) VaultPeriods(context.Context) (vault.Periods, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.periods == nil {
		return vault.Periods{Server: "age1server", Readers: []string{"age1server"}, Needed: 1}, nil
	}
	return l.periods.Stands(false), nil
}

func (l *locker) opens(id dlp.ID, kind string, key []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sealed[id] == nil {
		return vault.ErrNotFound
	}
	r, err := l.periods.Open(bytes.NewReader(l.sealed[id][kind]), l.in[kind], kind, id, key)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(r)
	if err == nil && string(b) != secretText {
		err = fmt.Errorf("opened %q", b)
	}
	return err
}

func (l *locker) ShowHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor string) (gateway.HeldDetail, error) {
	if err := l.opens(id, vault.KindCase, keys.Case); err != nil {
		return gateway.HeldDetail{}, err
	}
	return l.desk.ShowHeld(ctx, id, keys, actor)
}

func (l *locker) ReadHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor, reason string, do func(*dlp.Document) error) error {
	if err := l.opens(id, vault.KindContent, keys.Content); err != nil {
		return err
	}
	return l.desk.ReadHeld(ctx, id, keys, actor, reason, do)
}

func (l *locker) Export(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, w io.Writer) error {
	if err := l.opens(id, vault.KindContent, keys.Content); err != nil {
		return err
	}
	return l.desk.Export(ctx, id, keys, actor, w)
}

func (l *locker) ReleaseFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) (gateway.Released, error) {
	if err := l.opens(id, vault.KindContent, keys.Content); err != nil {
		return gateway.Released{}, err
	}
	return l.desk.ReleaseFor(ctx, id, keys, actor, rv)
}

// newSealedSite is a site whose vault can be sealed to reviewers.
func newSealedSite(t *testing.T, items int) (*site, *locker) {
	t.Helper()
	l := &locker{}
	s := newSiteWith(t, items, func(s *site, d *console.Deps) {
		l.desk = s.desk
		d.Desk, d.Vault = l, l
	})
	return s, l
}

// makeKey has name make a reviewer's key, and returns its public half.
func (s *site) makeKey(t *testing.T, v *visitor, name string) string {
	t.Helper()
	if code, body, to := v.do(http.MethodPost, "/key/make", url.Values{"old": {password}}); code != http.StatusSeeOther || to != "/key" {
		t.Fatalf("make: %d to %q\n%s", code, to, body)
	}
	u, err := s.users.Find(name)
	if err != nil || !strings.HasPrefix(u.Key, "age1") {
		t.Fatalf("the key of %s: %q, %v", name, u.Key, err)
	}
	return u.Key
}

// TestOfficersKey: what the server cannot open opens by the password of an
// officer, in their session, until it ends.
//
// long: one officer led through it
func TestOfficersKey(t *testing.T) {
	t.Parallel()
	s, l := newSealedSite(t, 2)
	s.add(t, "dana", console.Admin, false)
	s.add(t, "vera", console.Viewer, false)
	v := s.signedIn(t, "dana")
	public := s.makeKey(t, v, "dana")
	if _, page, _ := v.do(http.MethodGet, "/key", nil); !strings.Contains(page, public) || !strings.Contains(page, "waiting") {
		t.Errorf("a new key does not wait:\n%s", page)
	}
	if code, _, _ := v.do(http.MethodPost, "/key/make", url.Values{"old": {password}}); code != http.StatusConflict {
		t.Errorf("a second key: %d, want 409", code)
	}
	l.seal(t, 1, public)
	id := string(s.desk.held[0].ID)
	item, decision := "/items/"+id, url.Values{"do": {"release"}, "code": {"payment"}}
	reveal := url.Values{"part": {"1"}, "reason": {"to_decide"}}
	locked := func(when string) {
		t.Helper()
		before := len(s.desk.log())
		for _, try := range []struct {
			method, path string
			form         url.Values
		}{{http.MethodGet, item, nil}, {http.MethodPost, item + "/reveal", reveal}, {http.MethodPost, item + "/download", nil}, {http.MethodPost, item + "/decide", decision}} {
			if code, body, _ := v.do(try.method, try.path, try.form); code != http.StatusConflict || !strings.Contains(body, `action="/key/unlock"`) || strings.Contains(body, "8145") {
				t.Errorf("%s, %s: %d, want to be asked for the password", when, try.path, code)
			}
		}
		if got := s.desk.log()[before:]; len(got) != 0 {
			t.Errorf("%s: the desk did %q", when, got)
		}
	}
	locked("before")
	if code, _, _ := v.do(http.MethodPost, "/key/unlock", url.Values{"old": {"wrong"}, "item": {id}}); code != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d, want 401", code)
	}
	locked("after a wrong password")
	unlock := func() {
		t.Helper()
		if code, _, to := v.do(http.MethodPost, "/key/unlock", url.Values{"old": {password}, "item": {id}}); code != http.StatusSeeOther || to != item {
			t.Fatalf("unlock: %d to %q", code, to)
		}
	}
	unlock()
	if code, page, _ := v.do(http.MethodGet, item, nil); code != http.StatusOK || !strings.Contains(page, "***-**-8145") || !strings.Contains(page, "/key/lock") {
		t.Errorf("unlocked: %d\n%s", code, page)
	}
	if code, page, _ := v.do(http.MethodPost, item+"/reveal", reveal); code != http.StatusOK || !strings.Contains(page, "536-22-8145") {
		t.Errorf("reveal: %d", code)
	}
	if _, body, _ := v.do(http.MethodPost, item+"/download", nil); body != "as it came \x00\r\n" {
		t.Errorf("download: %q", body)
	}
	if code, _, to := v.do(http.MethodPost, item+"/decide", decision); code != http.StatusSeeOther || to != "/queue" {
		t.Errorf("release: %d to %q", code, to)
	}
	if code, _, _ := v.do(http.MethodPost, "/queue/decide", url.Values{"do": {"encrypt"}, "code": {"payment"}, "item": {string(s.desk.held[1].ID)}, "count": {"1"}}); code != http.StatusSeeOther {
		t.Errorf("bulk: %d", code)
	}
	if got := strings.Join(s.desk.log(), "; "); !strings.Contains(got, "release payment user:dana") || !strings.Contains(got, "release payment encrypted user:dana") {
		t.Errorf("the desk did %q", got)
	}
	v.do(http.MethodPost, "/key/lock", nil)
	locked("locked again")
	unlock()
	s.pass(16 * time.Minute)
	v = s.signedIn(t, "dana")
	locked("a new session")
	other := s.signedIn(t, "dana")
	unlock()
	if code, _, _ := other.do(http.MethodGet, item, nil); code != http.StatusConflict {
		t.Errorf("another session of the same account: %d, want 409", code)
	}
	vera := s.signedIn(t, "vera")
	if code, page, _ := vera.do(http.MethodGet, item, nil); code != http.StatusConflict || strings.Contains(page, "/key/unlock") {
		t.Errorf("a viewer: %d", code)
	}
	if code, page, _ := v.do(http.MethodGet, "/keys", nil); code != http.StatusOK || !strings.Contains(page, "the login of dana") || !strings.Contains(page, public) {
		t.Errorf("the page of keys: %d\n%s", code, page)
	}
	for _, e := range s.desk.events {
		if e.Kind == audit.Login && e.Reason == "key_opened" && e.Result == audit.ResultPassed {
			return
		}
	}
	t.Error("unlocking is not on record")
}

// TestOfficersKeyAndPasswords: with the old password the key outlasts another,
// without it it is lost, and the file alone opens nothing.
func TestOfficersKeyAndPasswords(t *testing.T) {
	t.Parallel()
	s, l := newSealedSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	public := s.makeKey(t, v, "dana")
	l.seal(t, 1, public)
	was, err := s.users.Find("dana")
	if err != nil {
		t.Fatal(err)
	}
	const next = "another good password"
	if code, _, _ := v.do(http.MethodPost, "/password", url.Values{"old": {password}, "new": {next}, "again": {next}}); code != http.StatusSeeOther {
		t.Fatalf("another password: %d", code)
	}
	now, err := s.users.Find("dana")
	if err != nil || now.Key != public || now.KeySealed == was.KeySealed || now.Hash == was.Hash {
		t.Errorf("the key was not sealed anew, %v", err)
	}
	item := "/items/" + string(s.desk.held[0].ID)
	v.do(http.MethodPost, "/key/unlock", url.Values{"old": {password}})
	if code, _, _ := v.do(http.MethodGet, item, nil); code != http.StatusConflict {
		t.Errorf("with the old password: %d, want 409", code)
	}
	v.do(http.MethodPost, "/key/unlock", url.Values{"old": {next}})
	if code, _, _ := v.do(http.MethodGet, item, nil); code != http.StatusOK {
		t.Errorf("with the new one: %d", code)
	}
	file, err := os.ReadFile(filepath.Join(s.dir, "users.json"))
	if err != nil || bytes.Contains(file, []byte("AGE-SECRET")) || bytes.Contains(file, []byte(next)) {
		t.Errorf("the accounts hold what they must not, %v", err)
	}
	ring, err := crypt.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.users.SecretKey(now, next, ring); err == nil {
		t.Error("the key opens without the index key of its server")
	}
	swapped := now
	swapped.Name = "mallory"
	if _, err := s.users.SecretKey(swapped, next, l.ring(t, s)); err == nil {
		t.Error("the key opens as another account's")
	}
	if err := s.users.SetPassword("dana", password); err != nil {
		t.Fatal(err)
	}
	if now, err = s.users.Find("dana"); err != nil || now.Key != "" || now.KeySealed != "" {
		t.Errorf("an admin's password left the key, %v", err)
	}
}

// ring is that of the site.
func (l *locker) ring(t *testing.T, s *site) *crypt.Ring {
	t.Helper()
	ring, err := crypt.Open(filepath.Join(s.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestTwoOfficersKeys: where it takes two, an item opens for each of two who
// agreed to opening it, for no other item, and for an hour.
func TestTwoOfficersKeys(t *testing.T) {
	t.Parallel()
	s, l := newSealedSite(t, 2)
	who := []string{"ann", "ben", "cyd"}
	var at []*visitor
	var public []string
	for _, name := range who {
		s.add(t, name, console.Officer, false)
		v := s.signedIn(t, name)
		public = append(public, s.makeKey(t, v, name))
		at = append(at, v)
	}
	l.seal(t, 2, public...)
	item, other := "/items/"+string(s.desk.held[0].ID), "/items/"+string(s.desk.held[1].ID)
	sees := func(v *visitor, path string) bool {
		t.Helper()
		code, _, _ := v.do(http.MethodGet, path, nil)
		return code == http.StatusOK
	}
	for _, v := range at {
		v.do(http.MethodPost, "/key/unlock", url.Values{"old": {password}})
		if sees(v, item) {
			t.Error("one key opens it")
		}
	}
	// Both orders: what is sealed to a pair is sealed to one inside the other.
	for _, pair := range [][2]int{{0, 1}, {1, 0}} {
		first, second := at[pair[0]], at[pair[1]]
		if code, _, to := first.do(http.MethodPost, item+"/agree", nil); code != http.StatusSeeOther || to != item {
			t.Fatalf("agree: %d to %q", code, to)
		}
		if sees(first, item) || sees(second, item) {
			t.Error("it opens before the second agreed")
		}
		if _, page, _ := second.do(http.MethodGet, item, nil); !strings.Contains(page, who[pair[0]]+" agreed") {
			t.Error("the second is not told who agreed")
		}
		second.do(http.MethodPost, item+"/agree", nil)
		if !sees(first, item) || !sees(second, item) {
			t.Error("it does not open for both")
		}
		if sees(at[2], item) || sees(first, other) || sees(second, other) {
			t.Error("it opens for a third, or another item opens")
		}
		s.pass(14 * time.Minute) // they stay signed in
		for range 4 {
			for _, v := range at {
				v.do(http.MethodGet, "/key", nil)
			}
			s.pass(14 * time.Minute)
		}
		if sees(first, item) || sees(second, item) {
			t.Error("it opens after an hour")
		}
	}
	at[0].do(http.MethodPost, item+"/agree", nil)
	if err := s.users.SetDisabled("ann", true); err != nil {
		t.Fatal(err)
	}
	at[1].do(http.MethodPost, item+"/agree", nil)
	if sees(at[1], item) {
		t.Error("the yes of who may sign in no more counts")
	}
}
