package portal

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

// Passkeys is what can be done about passkeys by who has a parcel's link. It is
// satisfied by gateway.Gateway.
type Passkeys interface {
	PickupPasskeys(ctx context.Context, id dlp.ID) (keys []pickup.Passkey, user []byte, err error)
	SetPasskey(ctx context.Context, id dlp.ID, c pickup.Credential) error
	OpenByPasskey(ctx context.Context, id dlp.ID, check func([]pickup.Passkey) (pickup.Passkey, error)) (left int, err error)
	ForgetPasskey(ctx context.Context, id, key dlp.ID) error
}

// maxAnswered is how large an authenticator's answer may be, in bytes.
const maxAnswered = 32 << 10

// offered is what the page's script is told to ask an authenticator for.
type offered struct {
	Ceremony string `json:"ceremony"` // to be given back with the answer
	Options  any    `json:"options"`  // PublicKeyCredential*OptionsJSON; WebAuthn 5.1.8, 5.1.9
}

// answered is what comes back.
type answered struct {
	Ceremony   string          `json:"ceremony"`
	Credential json.RawMessage `json:"credential"`
}

func (s *Server) passkeyRoutes(mux *http.ServeMux) {
	if s.site == nil {
		return
	}
	mux.HandleFunc("POST /p/{id}/passkey/ask", s.limited(s.passkeyAsk))
	mux.HandleFunc("POST /p/{id}/passkey/open", s.limited(s.passkeyOpen))
	mux.HandleFunc("GET /p/{id}/passkeys", s.withSession(s.passkeyList))
	mux.HandleFunc("POST /p/{id}/passkey/new", s.limited(s.withSession(s.passkeyNew)))
	mux.HandleFunc("POST /p/{id}/passkey/set", s.limited(s.withSession(s.passkeySet)))
	mux.HandleFunc("POST /p/{id}/passkey/forget", s.limited(s.withSession(s.passkeyForget)))
}

func (s *Server) withSession(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.open.has(r, dlp.ID(r.PathValue("id"))) {
			answer(w, http.StatusUnauthorized, said{Error: "again"})
			return
		}
		next(w, r)
	}
}

// passkeysFor reports whether the parcel's page is to ask for a passkey.
func (s *Server) passkeysFor(ctx context.Context, id dlp.ID) bool {
	if s.site == nil {
		return false
	}
	keys, _, err := s.desk.PickupPasskeys(ctx, id)
	if err != nil {
		s.complain(ctx, err) // a code opens it
	}
	return len(keys) > 0
}

// offer begins a ceremony for who asks, and tells the page of it.
func (s *Server) offer(w http.ResponseWriter, c passkey.Ceremony, options any) {
	token := s.ceremonies.Begin(c)
	if token == "" {
		answer(w, http.StatusServiceUnavailable, said{Error: "wait"})
		return
	}
	tell(w, offered{Ceremony: token, Options: options})
}

func tell(w http.ResponseWriter, x any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(x) // whoever asked has gone
}

// taken reads an answer and ends the ceremony that it is of, whatever is in it.
func (s *Server) taken(w http.ResponseWriter, r *http.Request, session string) (c passkey.Ceremony, credential []byte, ok bool) {
	var x answered
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswered))
	if err != nil || json.Unmarshal(b, &x) != nil {
		answer(w, http.StatusBadRequest, said{Error: "failed"})
		return c, nil, false
	}
	if c, ok = s.ceremonies.End(x.Ceremony, r.PathValue("id"), session); !ok {
		answer(w, http.StatusForbidden, said{Error: "stale"})
	}
	return c, x.Credential, ok
}

// passkeyAsk offers to open a parcel by one of its mailbox's passkeys.
func (s *Server) passkeyAsk(w http.ResponseWriter, r *http.Request) {
	id := dlp.ID(r.PathValue("id"))
	keys, user, err := s.desk.PickupPasskeys(r.Context(), id)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	if len(keys) == 0 {
		answer(w, http.StatusForbidden, said{Error: "passkey_none"})
		return
	}
	options, c, err := s.site.BeginUse(user, credentialsOf(keys), nil)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	c.Of = string(id)
	s.offer(w, c, options)
}

// passkeyOpen lets in whose authenticator has signed what passkeyAsk offered.
func (s *Server) passkeyOpen(w http.ResponseWriter, r *http.Request) {
	c, credential, ok := s.taken(w, r, "")
	if !ok {
		return
	}
	of := dlp.ID(c.Of)
	left, err := s.desk.OpenByPasskey(r.Context(), of, func(keys []pickup.Passkey) (pickup.Passkey, error) {
		return s.used(c, keys, credential)
	})
	switch {
	case errors.Is(err, pickup.ErrPasskey) && left > 0:
		answer(w, http.StatusForbidden, said{Error: "passkey_wrong", Left: left})
		return
	case errors.Is(err, pickup.ErrPasskey), errors.Is(err, pickup.ErrNoCode):
		answer(w, http.StatusForbidden, said{Error: "passkey_over"})
		return
	case err != nil:
		s.refuse(r.Context(), w, err, 0)
		return
	}
	token := s.open.begin(of)
	if token == "" {
		answer(w, http.StatusServiceUnavailable, said{Error: "wait"})
		return
	}
	answer(w, http.StatusOK, said{Token: token})
}

// passkeyNew offers to set a passkey, to who has opened the parcel.
func (s *Server) passkeyNew(w http.ResponseWriter, r *http.Request) {
	id := dlp.ID(r.PathValue("id"))
	keys, user, err := s.desk.PickupPasskeys(r.Context(), id)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	if len(keys) >= pickup.MaxPasskeys {
		answer(w, http.StatusForbidden, said{Error: "passkey_many"})
		return
	}
	p, err := s.desk.PickupOf(r.Context(), id)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	options, c, err := s.site.BeginSet(user, masked(p.To), credentialsOf(keys), false)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	c.Of, c.Session = string(id), bearer(r)
	s.offer(w, c, options)
}

// passkeySet keeps what an authenticator has made of what passkeyNew offered.
func (s *Server) passkeySet(w http.ResponseWriter, r *http.Request) {
	c, answered, ok := s.taken(w, r, bearer(r))
	if !ok {
		return
	}
	made, err := s.site.EndSet(c, answered)
	if err == nil {
		err = s.desk.SetPasskey(r.Context(), dlp.ID(c.Of), pickup.Credential{Handle: made.Handle, Key: made.Key, Count: made.Count, Flags: made.Flags, Transports: made.Transports})
	}
	switch {
	case errors.Is(err, passkey.ErrAnswer):
		answer(w, http.StatusForbidden, said{Error: "passkey_failed"})
	case errors.Is(err, pickup.ErrManyPasskeys):
		answer(w, http.StatusForbidden, said{Error: "passkey_many"})
	case err != nil:
		s.refuse(r.Context(), w, err, 0)
	default:
		answer(w, http.StatusOK, said{})
	}
}

// listed is a passkey as its reader sees it.
type listed struct {
	ID   dlp.ID    `json:"id"`
	Set  time.Time `json:"set"`
	Used time.Time `json:"used"`
}

func (s *Server) passkeyList(w http.ResponseWriter, r *http.Request) {
	keys, _, err := s.desk.PickupPasskeys(r.Context(), dlp.ID(r.PathValue("id")))
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	out := make([]listed, 0, len(keys))
	for _, k := range keys {
		out = append(out, listed{ID: k.ID, Set: k.Created, Used: k.Used})
	}
	tell(w, out)
}

func (s *Server) passkeyForget(w http.ResponseWriter, r *http.Request) {
	var x struct {
		Key dlp.ID `json:"key"`
	}
	if !asked(w, r, &x) {
		return
	}
	err := s.desk.ForgetPasskey(r.Context(), dlp.ID(r.PathValue("id")), x.Key)
	if err != nil && !errors.Is(err, pickup.ErrNoPasskey) { // gone is gone
		s.refuse(r.Context(), w, err, 0)
		return
	}
	answer(w, http.StatusOK, said{})
}
