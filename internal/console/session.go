package console

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
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
	half          bool   // the password held, and the code has not been given
	offered       []byte // secret of a second factor that is not set yet
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
			delete(s.of, k)
		} else if o := s.of[oldest]; o == nil || x.active.Before(o.active) {
			oldest = k
		}
	}
	if len(s.of) >= maxSessions {
		delete(s.of, oldest)
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
		delete(s.of, k)
		return session{}, false
	}
	x.active = s.now()
	out := *x
	return out, true
}

// say has the session's next page say text.
func (s *sessions) say(r *http.Request, text string) {
	k, _ := key(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.of[k]; x != nil {
		x.say = text
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

// said returns that text once.
func (s *sessions) said(r *http.Request) string {
	k, _ := key(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[k]
	if x == nil {
		return ""
	}
	text := x.say
	x.say = ""
	return text
}

// end signs out.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if k, ok := key(r); ok {
		s.mu.Lock()
		delete(s.of, k)
		s.mu.Unlock()
	}
	http.SetCookie(w, cookie(r, "", -1))
}
