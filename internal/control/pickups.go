package control

import (
	"context"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

func (s *Server) pickups(w http.ResponseWriter, r *http.Request) {
	all, err := s.desk.ListPickups(r.Context(), r.URL.Query().Has("all"))
	s.answer(w, r, all, err)
}

// ListPickups asks for the messages that wait to be opened in a browser.
func (c *Client) ListPickups(ctx context.Context, all bool) ([]gateway.Picked, error) {
	path := "/pickups"
	if all {
		path += "?all=1"
	}
	var ps []gateway.Picked
	err := c.call(ctx, http.MethodGet, path, &ps)
	return ps, err
}

// RevokePickup takes such a message back.
func (c *Client) RevokePickup(ctx context.Context, id dlp.ID, _ string) error {
	return c.post(ctx, "/pickups/", id, "/revoke")
}
