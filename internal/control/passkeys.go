package control

import (
	"context"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

func (s *Server) passkeys(w http.ResponseWriter, r *http.Request) {
	all, err := s.desk.ListPasskeys(r.Context())
	s.answer(w, r, all, err)
}

// ListPasskeys asks for the passkeys that readers of the portal have set.
func (c *Client) ListPasskeys(ctx context.Context) ([]gateway.ListedPasskey, error) {
	var ks []gateway.ListedPasskey
	err := c.call(ctx, http.MethodGet, "/passkeys", &ks)
	return ks, err
}

// RemovePasskey has one open nothing any more.
func (c *Client) RemovePasskey(ctx context.Context, id dlp.ID, _ string) error {
	return c.post(ctx, "/passkeys/", id, "/remove")
}
