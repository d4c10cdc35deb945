package control

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

func (s *Server) legalHolds(w http.ResponseWriter, r *http.Request) {
	ls, err := s.desk.LegalHolds(r.Context())
	s.answer(w, r, ls, err)
}

func (s *Server) placeLegalHold(w http.ResponseWriter, r *http.Request) {
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
	s.answer(w, r, struct{}{}, s.desk.PlaceLegalHold(context.WithoutCancel(r.Context()), id, why, actor(r)))
}

// LegalHolds asks for all legal holds.
func (c *Client) LegalHolds(ctx context.Context) (ls []gateway.LegalHold, err error) {
	err = c.call(ctx, http.MethodGet, "/legal", &ls)
	return ls, err
}

// PlaceLegalHold has a document kept whatever its time.
func (c *Client) PlaceLegalHold(ctx context.Context, id dlp.ID, why, _ string) error {
	return c.note(ctx, "/legal/"+string(id), why)
}

// LiftLegalHold ends that.
func (c *Client) LiftLegalHold(ctx context.Context, id dlp.ID, _ string) error {
	return c.post(ctx, "/legal/", id, "/lift")
}
