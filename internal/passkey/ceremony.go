package passkey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
)

// Lasts is how long an authenticator has for its answer.
const Lasts = 5 * time.Minute

const maxCeremonies = 10_000

// Ceremony is a challenge that an authenticator is to answer. It is for one matter
// and for the page that asked for it: by its token, and where something is set by
// the session of who is let in too.
type Ceremony struct {
	Of      string // what it is about
	Session string // "" for who wants in
	User    []byte // handle of whose it is, nil where the answer says so
	asked   webauthn.SessionData
	until   time.Time
}

// Ceremonies live in memory, and each is good for one answer.
type Ceremonies struct {
	now func() time.Time
	per int // of one Of

	mu  sync.Mutex
	all map[[sha256.Size]byte]Ceremony // guarded by mu; by digest of the token
}

// NewCeremonies keeps at most per of one matter.
func NewCeremonies(now func() time.Time, per int) *Ceremonies {
	return &Ceremonies{now: now, per: per, all: map[[sha256.Size]byte]Ceremony{}}
}

// Begin returns the token of a new ceremony, "" while there are too many.
func (s *Ceremonies) Begin(c Ceremony) string {
	token := rand.Text() // 128 bits at least
	s.mu.Lock()
	defer s.mu.Unlock()
	now, of := s.now(), 0
	for k, x := range s.all {
		if !now.Before(x.until) {
			delete(s.all, k)
		} else if x.Of == c.Of {
			of++
		}
	}
	if len(s.all) >= maxCeremonies || of >= s.per {
		return ""
	}
	c.until = now.Add(Lasts)
	s.all[sha256.Sum256([]byte(token))] = c
	return token
}

// End returns the ceremony of token if it is of that matter and session, and its
// time is not over. Whatever it says, there is no such ceremony any more.
func (s *Ceremonies) End(token, of, session string) (Ceremony, bool) {
	key := sha256.Sum256([]byte(token)) // a look-up by digest tells nothing of other tokens by its time
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.all[key]
	delete(s.all, key)
	same := subtle.ConstantTimeCompare([]byte(c.Session), []byte(session)) == 1
	return c, ok && c.Of == of && same && s.now().Before(c.until)
}
