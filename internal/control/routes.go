package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/stanch-dlp/stanch/internal/probe"
)

func (s *Server) routes(w http.ResponseWriter, r *http.Request) {
	all, err := s.desk.Routes(r.Context())
	s.answer(w, r, all, err)
}

func (s *Server) sendProbes(w http.ResponseWriter, r *http.Request) {
	names := r.URL.Query()["name"]
	if len(names) > 100 {
		s.fail(w, r, errors.New("control: too many names"))
		return
	}
	all, err := s.desk.SendProbes(context.WithoutCancel(r.Context()), names, actor(r))
	s.answer(w, r, all, err)
}

// Routes asks where each route of the configuration stands.
func (c *Client) Routes(ctx context.Context) ([]probe.Status, error) {
	var all []probe.Status
	err := c.call(ctx, http.MethodGet, "/routes", &all)
	return all, err
}

// SendProbes has serve send a probe on each of the named routes, or on all.
func (c *Client) SendProbes(ctx context.Context, names []string, _ string) ([]probe.Status, error) {
	res, err := c.send(ctx, http.MethodPost, "/routes?"+url.Values{"name": names}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var all []probe.Status
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("control: answer: %w", err)
	}
	return all, nil
}
