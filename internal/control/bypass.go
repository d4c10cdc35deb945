package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stanch-dlp/stanch/internal/gateway"
)

// bypassAsked is the body of a call that begins a bypass.
type bypassAsked struct {
	Seconds float64 `json:"seconds"`
	Reason  string  `json:"reason"`
}

// maxAsked is the longest such body, in bytes.
const maxAsked = 16 << 10

func (s *Server) beginBypass(w http.ResponseWriter, r *http.Request) {
	var asked bypassAsked
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&asked); err != nil {
		s.fail(w, r, errors.New("control: want seconds and a reason"))
		return
	}
	d := time.Duration(asked.Seconds * float64(time.Second))
	b, err := s.desk.BeginBypass(context.WithoutCancel(r.Context()), d, asked.Reason, actor(r))
	s.answer(w, r, b, err)
}

func (s *Server) endBypass(w http.ResponseWriter, r *http.Request) {
	b, err := s.desk.EndBypass(context.WithoutCancel(r.Context()), actor(r))
	s.answer(w, r, b, err)
}

func (s *Server) bypasses(w http.ResponseWriter, r *http.Request) {
	bs, err := s.desk.Bypasses(r.Context(), r.URL.Query().Get("all") == "1")
	s.answer(w, r, bs, err)
}

// BeginBypass asks serve to let mail pass unread for d.
func (c *Client) BeginBypass(ctx context.Context, d time.Duration, reason, _ string) (gateway.Bypassed, error) {
	body, err := json.Marshal(bypassAsked{Seconds: d.Seconds(), Reason: reason})
	if err != nil {
		return gateway.Bypassed{}, fmt.Errorf("control: call: %w", err)
	}
	return c.bypass(ctx, "/bypass", body)
}

// EndBypass asks serve to read mail again.
func (c *Client) EndBypass(ctx context.Context, _ string) (gateway.Bypassed, error) {
	return c.bypass(ctx, "/bypass/end", nil)
}

func (c *Client) bypass(ctx context.Context, path string, body []byte) (b gateway.Bypassed, err error) {
	res, err := c.send(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return b, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&b); err != nil {
		return b, fmt.Errorf("control: answer: %w", err)
	}
	return b, nil
}

// Bypasses asks for the bypass in force, or for all that there were.
func (c *Client) Bypasses(ctx context.Context, all bool) ([]gateway.Bypassed, error) {
	path := "/bypass"
	if all {
		path += "?all=1"
	}
	var bs []gateway.Bypassed
	err := c.call(ctx, http.MethodGet, path, &bs)
	return bs, err
}
