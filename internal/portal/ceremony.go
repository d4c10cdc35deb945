package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	ceremonyLasts = 5 * time.Minute
	maxCeremonies = 10_000
	maxOfParcel   = 20 // of these
)

// ceremony is a challenge that an authenticator is to answer. It is for one parcel
// and for the page that asked for it: by its token, and where something is set by
// the session of who has opened the parcel too.
type ceremony struct {
	of      dlp.ID
	session string // the token of a session; "" for who wants in
	asked   webauthn.SessionData
	user    []byte // handle of the mailbox
	until   time.Time
}

// ceremonies live in memory, and each is good for one answer.
type ceremonies struct {
	now func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]ceremony // guarded by mu; by digest of the token
}

// begin returns the token of a new ceremony, "" while there are too many.
func (s *ceremonies) begin(c ceremony) string {
	token := rand.Text() // 128 bits at least
	s.mu.Lock()
	defer s.mu.Unlock()
	now, of := s.now(), 0
	for k, x := range s.all {
		if !now.Before(x.until) {
			delete(s.all, k)
		} else if x.of == c.of {
			of++
		}
	}
	if len(s.all) >= maxCeremonies || of >= maxOfParcel {
		return ""
	}
	c.until = now.Add(ceremonyLasts)
	s.all[sha256.Sum256([]byte(token))] = c
	return token
}

// end returns the ceremony of token if it is for that parcel and session, and its
// time is not over. Whatever it says, there is no such ceremony any more.
func (s *ceremonies) end(token string, of dlp.ID, session string) (ceremony, bool) {
	key := sha256.Sum256([]byte(token)) // a look-up by digest tells nothing of other tokens by its time
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.all[key]
	delete(s.all, key)
	same := subtle.ConstantTimeCompare([]byte(c.session), []byte(session)) == 1
	return c, ok && c.of == of && same && s.now().Before(c.until)
}

// bearer is the token of the session that r comes of.
func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}
