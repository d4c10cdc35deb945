package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("control: call: %w", err)
	}
	res, err := c.send(ctx, http.MethodPost, "/tables", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return res.Body.Close()
}
