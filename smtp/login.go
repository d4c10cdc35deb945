package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp/scram"
)

// errLogin says that a next hop did not take our name and password, or offers
// no way to show them that we know.
var errLogin = errors.New("login refused")

// login says who we are to a next hop, by the best way that it offers. It is
// called on secured connections only. A refusal is no refusal of a message: an
// expired password must not bounce mail.
//
// Source: RFC 4954; LOGIN has no standard.
func (c *Client) login(ctx context.Context, h *hop) error {
	cred, d := c.cfg.Auth.files.get(), c.cfg.ConnectTimeout
	offers := func(m string) bool { return slices.Contains(h.auth, m) }
	switch {
	case offers(scram.Mechanism):
		return h.loginSCRAM(ctx, d, cred)
	case offers("PLAIN"):
		return h.exchange(ctx, d, "AUTH PLAIN "+encode("\x00"+cred.user+"\x00"+cred.password))
	case offers("LOGIN"):
		return h.exchange(ctx, d, "AUTH LOGIN", encode(cred.user), encode(cred.password))
	}
	return errLogin
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// exchange sends lines that do not depend on what the server says between them.
func (h *hop) exchange(ctx context.Context, d time.Duration, lines ...string) error {
	for i, line := range lines {
		r, more, err := h.respond(ctx, d, line)
		if err != nil {
			return err
		}
		if more != (i < len(lines)-1) {
			return refusedLogin(r)
		}
	}
	return nil
}

// respond sends one line of an exchange; more means that the server wants
// another.
func (h *hop) respond(ctx context.Context, d time.Duration, line string) (r dlp.Reply, more bool, err error) {
	r, err = h.command(ctx, d, line)
	switch {
	case errors.Is(err, errReply) && r.Code == 334:
		return r, true, nil
	case err != nil:
		return r, false, err
	case r.Code != 235:
		return r, false, refusedLogin(r)
	}
	return r, false, nil
}

func refusedLogin(r dlp.Reply) error { return fmt.Errorf("%w: replied %d", errLogin, r.Code) }

// loginSCRAM shows that we know the password, and wants to see the same of the
// next hop.
func (h *hop) loginSCRAM(ctx context.Context, d time.Duration, cred credentials) error {
	x := scram.NewClient(cred.user, cred.password)
	r, more, err := h.respond(ctx, d, "AUTH "+scram.Mechanism+" "+encode(string(x.First())))
	if err != nil {
		return err
	}
	if !more {
		return refusedLogin(r)
	}
	first, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Text))
	if err != nil {
		return fmt.Errorf("%w: %w", errLogin, scram.ErrMessage)
	}
	final, err := x.Final(first)
	if err != nil {
		return fmt.Errorf("%w: %w", errLogin, err)
	}
	r, more, err = h.respond(ctx, d, encode(string(final)))
	if err != nil {
		return err
	}
	if !more { // RFC 4954 4: the server's final message comes as a challenge
		return refusedLogin(r)
	}
	last, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Text))
	if err == nil {
		err = x.Verify(last)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errLogin, err)
	}
	return h.exchange(ctx, d, "") // an empty answer, and 235
}
