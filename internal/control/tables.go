package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/gateway"
)

func (s *Server) noteTable(w http.ResponseWriter, r *http.Request) {
	var c gateway.TableChange
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&c); err != nil {
		s.fail(w, r, errors.New("control: want a change of the code tables"))
		return
	}
	s.answer(w, r, struct{}{}, s.desk.NoteTable(context.WithoutCancel(r.Context()), c, actor(r)))
}

// NoteTable has serve record a change of the code tables.
func (c *Client) NoteTable(ctx context.Context, change gateway.TableChange, _ string) error {
	return c.note(ctx, "/tables", change)
}
