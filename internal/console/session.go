package console

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// How long a session lasts, and how many there may be.
const (
	quietFor    = 15 * time.Minute // without a request
	sessionFor  = 8 * time.Hour    // altogether
	maxSessions = 1000
	cookieName  = "stanch_session"
)

// session is somebody who is signed in.
type session struct {
	was           User // the account when it began: any change of it ends the session
	begun, active time.Time
	say           string // what the next page says once
	left          bool   // that something was left undone, of what it says
	half          bool   // the password held, and the code has not been given
	offered       []byte // secret of a second factor that is not set yet
	searches      []kept // what was searched for
	lent          []byte // the reviewer's secret key, sealed under the cookie; nil: locked
}

// sessions are kept in memory: a restart ends them all.
type sessions struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[[32]byte]*session // guarded by mu; by the digest of the cookie
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, of: map[[32]byte]*session{}}
}

// begin signs somebody in, or half where a code is still to come. Where there are too many sessions, the one that was
// quiet longest ends.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request, u User, half bool) {
	s.start(w, r, session{was: u, half: half})
}

// beginSaying is begin, and the first page says something.
func (s *sessions) beginSaying(w http.ResponseWriter, r *http.Request, u User, say string) {
	s.start(w, r, session{was: u, say: say})
}

func (s *sessions) start(w http.ResponseWriter, r *http.Request, fresh session) {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest [32]byte
	for k, x := range s.of {
		if s.over(x) {
			s.drop(k)
		} else if o := s.of[oldest]; o == nil || x.active.Before(o.active) {
			oldest = k
		}
	}
	if len(s.of) >= maxSessions {
		s.drop(oldest)
	}
	now := s.now()
	fresh.begun, fresh.active = now, now
	s.of[sha256.Sum256([]byte(token))] = &fresh
	http.SetCookie(w, cookie(r, token, 0))
}

// cookie is the session's. It is Secure where the browser came by TLS, here or
// at the proxy in front.
func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"}
}

func (s *sessions) over(x *session) bool {
	now := s.now()
	return now.Sub(x.active) > quietFor || now.Sub(x.begun) > sessionFor
}

func key(r *http.Request) (k [32]byte, ok bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return k, false
	}
	return sha256.Sum256([]byte(c.Value)), true
}

// drop ends a session. Locked: s.mu.
func (s *sessions) drop(k [32]byte) {
	if x := s.of[k]; x != nil {
		clear(x.lent)
	}
	delete(s.of, k)
}

// find returns a copy of the request's session and counts it as active.
func (s *sessions) find(r *http.Request) (session, bool) {
	k, ok := key(r)
	if !ok {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[k]
	if x == nil {
		return session{}, false
	}
	if s.over(x) {
		s.drop(k)
		return session{}, false
	}
	x.active = s.now()
	out := *x
	out.lent = nil // borrow opens it
	return out, true
}

// say has the session's next page say text.
func (s *sessions) say(r *http.Request, text string) { s.sayOf(r, text, false) }

// sayOf is say, of an act that left something undone or did not.
func (s *sessions) sayOf(r *http.Request, text string, left bool) {
	k, _ := key(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.of[k]; x != nil {
		x.say, x.left = text, left
	}
}

// makeOffer keeps a secret with the session until it is set.
func (s *sessions) makeOffer(r *http.Request, secret []byte) {
	k, _ := key(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.of[k]; x != nil {
		x.offered = secret
	}
}

// offer returns that secret, or nil.
func (s *sessions) offer(r *http.Request) []byte {
	x, _ := s.find(r)
	return x.offered
}

// said returns that text once, and whether something was left undone.
func (s *sessions) said(r *http.Request) (text string, left bool) {
	k, _ := key(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[k]
	if x == nil {
		return "", false
	}
	text, left = x.say, x.left
	x.say, x.left = "", false
	return text, left
}

// end signs out.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if k, ok := key(r); ok {
		s.mu.Lock()
		s.drop(k)
		s.mu.Unlock()
	}
	http.SetCookie(w, cookie(r, "", -1))
}

// lend keeps a reviewer's secret key with the request's session, sealed under
// its cookie, of which only a digest is kept: between requests nothing in this
// process opens it.
func (s *sessions) lend(r *http.Request, secret []byte) error {
	aead, err := cookieSeal(r)
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails: crypto/rand.Read ends the program instead
	sealed := aead.Seal(nonce, nonce, secret, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _ := key(r)
	x := s.of[k]
	if x == nil || x.half {
		return errKeyForms
	}
	x.lent = sealed
	return nil
}

// lock forgets the secret key of the request's session.
func (s *sessions) lock(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _ := key(r)
	if x := s.of[k]; x != nil {
		clear(x.lent)
		x.lent = nil
	}
}

// borrow returns the secret key of the request's session, or nil. The caller
// clears it.
func (s *sessions) borrow(r *http.Request) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _ := key(r)
	x := s.of[k]
	if x == nil || x.half || len(x.lent) == 0 {
		return nil
	}
	aead, err := cookieSeal(r)
	if err != nil {
		return nil
	}
	secret, err := aead.Open(nil, x.lent[:aead.NonceSize()], x.lent[aead.NonceSize():], nil)
	if err != nil {
		return nil
	}
	return secret
}

// cookieSeal seals under the request's cookie.
func cookieSeal(r *http.Request) (cipher.AEAD, error) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil, errKeyForms
	}
	k, err := hkdf.Key(sha256.New, []byte(c.Value), nil, "stanch session key v1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, errKeyForms
	}
	defer clear(k)
	aead, err := chacha20poly1305.NewX(k)
	if err != nil {
		return nil, errKeyForms
	}
	return aead, nil
}
