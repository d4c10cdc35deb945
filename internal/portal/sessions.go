package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	sessionLasts = 30 * time.Minute
	maxSessions  = 10_000
)

// sessions are those who entered a code. They live in memory, on both sides: a
// page that is loaded anew, and a server that is started anew, ask for another code.
type sessions struct {
	now func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]session // guarded by mu; by digest of the token
}

type session struct {
	of    dlp.ID
	until time.Time
}

// begin returns the token of a new session for one parcel, "" while there are too many.
func (s *sessions) begin(of dlp.ID) string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read ends the program instead
	token := base64.RawURLEncoding.EncodeToString(b[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for k, x := range s.all {
		if !now.Before(x.until) {
			delete(s.all, k)
		}
	}
	if len(s.all) >= maxSessions {
		return ""
	}
	s.all[sha256.Sum256([]byte(token))] = session{of: of, until: now.Add(sessionLasts)}
	return token
}

// has reports whether r comes of a session for that parcel.
func (s *sessions) has(r *http.Request, of dlp.ID) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.all[sha256.Sum256([]byte(token))] // a look-up by digest tells nothing of other tokens by its time
	return ok && x.of == of && s.now().Before(x.until)
}
