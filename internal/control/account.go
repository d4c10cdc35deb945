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

func (s *Server) noteAccount(w http.ResponseWriter, r *http.Request) {
	var what string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&what); err != nil {
		s.fail(w, r, errors.New("control: want a change of an account"))
		return
	}
	s.answer(w, r, struct{}{}, s.desk.NoteAccount(context.WithoutCancel(r.Context()), what, actor(r)))
}

func (s *Server) noteDeputy(w http.ResponseWriter, r *http.Request) {
	var c gateway.DeputyChange
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&c); err != nil {
		s.fail(w, r, errors.New("control: want a change of a deputy"))
		return
	}
	s.answer(w, r, struct{}{}, s.desk.NoteDeputy(context.WithoutCancel(r.Context()), c, actor(r)))
}

// NoteDeputy has serve record a change of a deputy.
func (c *Client) NoteDeputy(ctx context.Context, change gateway.DeputyChange, _ string) error {
	return c.note(ctx, "/deputies", change)
}

// NoteAccount has serve record a change of an account.
func (c *Client) NoteAccount(ctx context.Context, what, _ string) error {
	return c.note(ctx, "/accounts", what)
}

// note sends what to be recorded to path.
func (c *Client) note(ctx context.Context, path string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("control: call: %w", err)
	}
	res, err := c.send(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return res.Body.Close()
}
