package control

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// maxLifted bounds the lifted legal holds of one answer.
const maxLifted = 1000

func (s *Server) legalHolds(w http.ResponseWriter, r *http.Request) {
	ls, err := s.desk.LegalHolds(r.Context(), 0)
	s.answer(w, r, ls, err)
}

func (s *Server) liftedHolds(w http.ResponseWriter, r *http.Request) {
	ls, err := s.desk.LiftedHolds(r.Context(), maxLifted)
	s.answer(w, r, ls, err)
}

// legally answers a call that places or lifts a legal hold, for the reason in its
// body.
func (s *Server) legally(do func(context.Context, dlp.ID, string, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := dlp.ParseID(r.PathValue("id"))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		var why string
		if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&why) != nil {
			s.fail(w, r, gateway.ErrNoWhy)
			return
		}
		s.answer(w, r, struct{}{}, do(context.WithoutCancel(r.Context()), id, why, actor(r)))
	}
}

// LegalHolds asks for all legal holds.
func (c *Client) LegalHolds(ctx context.Context, _ int) (ls []gateway.LegalHold, err error) {
	err = c.call(ctx, http.MethodGet, "/legal", &ls)
	return ls, err
}

// LiftedHolds asks for the legal holds that were lifted last.
func (c *Client) LiftedHolds(ctx context.Context, _ int) (ls []gateway.LegalHold, err error) {
	err = c.call(ctx, http.MethodGet, "/legal/lifted", &ls)
	return ls, err
}

// PlaceLegalHold has a document kept whatever its time.
func (c *Client) PlaceLegalHold(ctx context.Context, id dlp.ID, why, _ string) error {
	return c.note(ctx, "/legal/"+string(id), why)
}

// LiftLegalHold ends that.
func (c *Client) LiftLegalHold(ctx context.Context, id dlp.ID, why, _ string) error {
	return c.note(ctx, "/legal/"+string(id)+"/lift", why)
}
