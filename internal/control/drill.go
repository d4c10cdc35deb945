package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
)

// maxDrillAsk bounds what a drill is asked for by, in bytes: addresses of as many as
// may be in one.
const maxDrillAsk = 64 << 10

func (s *Server) drills(w http.ResponseWriter, r *http.Request) {
	all, err := s.desk.Drills(r.Context(), actor(r))
	s.answer(w, r, all, err)
}

func (s *Server) drill(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.desk.Drill(r.Context(), id, actor(r))
	s.answer(w, r, d, err)
}

func (s *Server) startDrill(w http.ResponseWriter, r *http.Request) {
	var p drill.Plan
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDrillAsk)).Decode(&p) != nil {
		s.fail(w, r, errors.New("control: want what a drill is to be"))
		return
	}
	d, err := s.desk.StartDrill(context.WithoutCancel(r.Context()), p, actor(r))
	s.answer(w, r, d, err)
}

// Drills asks for all drills.
func (c *Client) Drills(ctx context.Context, _ string) (all []drill.Drill, err error) {
	err = c.call(ctx, http.MethodGet, "/drills", &all)
	return all, err
}

// Drill asks for one.
func (c *Client) Drill(ctx context.Context, id dlp.ID, _ string) (d drill.Drill, err error) {
	err = c.call(ctx, http.MethodGet, "/drills/"+string(id), &d)
	return d, err
}

// StartDrill has one begun.
func (c *Client) StartDrill(ctx context.Context, p drill.Plan, _ string) (d drill.Drill, err error) {
	err = c.ask(ctx, "/drills", p, &d)
	return d, err
}

// StopDrill has one ended.
func (c *Client) StopDrill(ctx context.Context, id dlp.ID, _ string) error {
	return c.post(ctx, "/drills/", id, "/stop")
}
