package sender

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/gateway"
)

// back is what the page says of a message that waits to be opened.
type back struct{ gateway.SentMail }

// Read says how many have opened it.
func (b back) Read() string {
	switch {
	case b.Opened == 0:
		return "Nobody has opened it."
	case b.Rcpts == 1:
		return "It has been opened."
	}
	return fmt.Sprintf("%d of %d have opened it.", b.Opened, b.Rcpts)
}

// State is what there is to say: "waiting", "revoked", "undelivered" or "over".
func (b back) State() string {
	switch {
	case b.Waiting > 0:
		return "waiting"
	case b.Revoked > 0:
		return "revoked"
	case b.Undelivered > 0:
		return "undelivered"
	}
	return "over"
}

func sentShown(m gateway.SentMail) shown {
	return shown{Back: &back{m}, Sent: m.Sent.UTC().Format(sentAt), To: to(m.Rcpts, m.Domains), Ends: m.Until.UTC().Format(clock)}
}

func (s *Server) showSent(ctx context.Context, w http.ResponseWriter, status int, x shown) {
	page := "sent"
	if x.Back.State() != "waiting" {
		page = "back"
	}
	s.render(ctx, w, status, page, x)
}

// sentPage shows how a message that went to the pickup pages stands. It changes
// nothing.
func (s *Server) sentPage(w http.ResponseWriter, r *http.Request) {
	m, err := s.desk.SendersSent(r.Context(), r.PathValue("token"))
	if err != nil {
		s.fail(r.Context(), w, err, shown{Back: &back{}})
		return
	}
	s.showSent(r.Context(), w, http.StatusOK, sentShown(m))
}

// takeBack ends what waits, once, and answers with a page of its own address.
func (s *Server) takeBack(w http.ResponseWriter, r *http.Request) {
	ctx, token := r.Context(), r.PathValue("token")
	m, err := s.desk.SendersSent(ctx, token)
	if err != nil {
		s.fail(ctx, w, err, shown{Back: &back{}})
		return
	}
	x := sentShown(m)
	if !s.allowed(r) {
		x.Amiss = tooMany
		s.showSent(ctx, w, http.StatusTooManyRequests, x)
		return
	}
	if r.PostFormValue("do") != "take-back" {
		x.Amiss = "Nothing was done: choose this first."
		s.showSent(ctx, w, http.StatusBadRequest, x)
		return
	}
	switch err := s.desk.SenderTakesBack(ctx, token); {
	case errors.Is(err, gateway.ErrBusy):
		x.Amiss = "Nothing was done: something else is being done with it right now. Confirm again in a moment."
		s.showSent(ctx, w, http.StatusConflict, x)
	case err != nil && !errors.Is(err, gateway.ErrChosen):
		s.fail(ctx, w, err, x)
	default: // done, or by somebody before: the page says what
		http.Redirect(w, r, "/sent/"+token, http.StatusSeeOther)
	}
}
