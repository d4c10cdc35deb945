package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// takeBackKind is what the links are for by which senders take mail back: no
// other link does that, and these do nothing else.
const takeBackKind = "sender takes back"

// waitingNotice is the notice to the sender of a message that waits at the pickup
// pages for those of ciphers who go there, with the link that takes it back. It
// is good as long as the message can be opened. n says of which message, why it is
// encrypted and what is told of such data.
func (g *Gateway) waitingNotice(ctx context.Context, n notify.Notice, to dlp.Address, ciphers []cipher) ([]spool.Entry, []store.NoticeMark) {
	var until time.Time
	rcpts := 0
	for _, c := range ciphers {
		if c.packed != nil {
			rcpts, until = rcpts+1, c.parcel.Expires.Truncate(time.Second)
		}
	}
	if rcpts == 0 {
		return nil, nil
	}
	n.Hostname, n.To, n.Hidden, n.Policy, n.When = g.cfg.Hostname, to, g.hides(ctx, to), "waits at the portal", g.Now()
	n.Choices = &notify.Choices{Link: g.cfg.Sender.link("sent", g.signLink(takeBackKind, n.ID, until, "-")), Until: until}
	return g.tell(ctx, n, g.cfg.Notices.Waiting(n, rcpts))
}

// tellsSenders reports whether senders are told of what waits at the pickup pages.
func (g *Gateway) tellsSenders() bool { return g.cfg.Portal.TellSender && g.cfg.Sender.On() }

// SentMail is what the sender of a message that went to the pickup pages is shown
// of it by the link: to how many it went, at which domains, and what became of
// that, and nothing of its content.
type SentMail struct {
	Sent    time.Time
	Until   time.Time
	Rcpts   int
	Domains []string // of the recipients, sorted
	Opened  int      // by how many of them
	// How many parcels are in each state.
	Waiting, Revoked, Undelivered int
}

// SendersSent returns what a link to take mail back is about. It changes
// nothing. ErrNoChoice.
func (g *Gateway) SendersSent(ctx context.Context, token string) (SentMail, error) {
	id, until, _, err := g.openLink(takeBackKind, token)
	if err != nil {
		return SentMail{}, err
	}
	ps, err := g.parcelsOf(ctx, id)
	if err != nil {
		return SentMail{}, err
	}
	m := SentMail{Sent: ps[0].Created, Until: until, Rcpts: len(ps)}
	for _, p := range ps {
		if p.Created.Before(m.Sent) {
			m.Sent = p.Created
		}
		if !p.Opened.IsZero() {
			m.Opened++
		}
		switch {
		case g.waits(p):
			m.Waiting++
		case p.State == pickup.Revoked:
			m.Revoked++
		case p.State == pickup.Undelivered:
			m.Undelivered++
		}
		if p.To.Domain != "" { // a damaged parcel does not say
			m.Domains = append(m.Domains, strings.ToLower(p.To.Domain))
		}
	}
	slices.Sort(m.Domains)
	m.Domains = slices.Compact(m.Domains)
	return m, nil
}

// parcelsOf returns at least one parcel of a document, ended ones too. ErrNoChoice.
func (g *Gateway) parcelsOf(ctx context.Context, doc dlp.ID) ([]pickup.Parcel, error) {
	if g.Pickup == nil {
		return nil, ErrNoChoice
	}
	ps, err := g.Pickup.Of(ctx, doc)
	if err != nil {
		return nil, fmt.Errorf("gateway: parcels of %s: %w", doc, err)
	}
	if len(ps) == 0 {
		return nil, ErrNoChoice
	}
	return ps, nil
}

// waits reports whether p can be opened.
func (g *Gateway) waits(p pickup.Parcel) bool {
	return p.State == pickup.Waiting && g.Now().Before(p.Expires)
}

// SenderTakesBack ends all that waits at the pickup pages of the message that a
// link is about. Each parcel is put on record before it ends: what is broken off
// leaves the rest waiting, and the link good. ErrNoChoice, ErrChosen, ErrBusy.
func (g *Gateway) SenderTakesBack(ctx context.Context, token string) error {
	id, _, _, err := g.openLink(takeBackKind, token)
	if err != nil {
		return err
	}
	done, err := g.alone(id)
	if err != nil {
		return err
	}
	defer done()
	ps, err := g.parcelsOf(ctx, id)
	if err != nil {
		return err
	}
	ps = slices.DeleteFunc(ps, func(p pickup.Parcel) bool { return !g.waits(p) })
	if len(ps) == 0 {
		return ErrChosen
	}
	ctx = context.WithoutCancel(ctx) // who closes the page has chosen
	for _, p := range ps {
		err = errors.Join(err, g.endPickup(ctx, p, pickup.Revoked, audit.ReasonRevoked, bySender))
	}
	return err
}
