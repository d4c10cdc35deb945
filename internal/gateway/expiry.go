package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// expiryEvery is how often it is looked whether an item's time is over.
const expiryEvery = 10 * time.Minute

// RunExpiry ends what waited for a decision for too long, until ctx ends.
func (g *Gateway) RunExpiry(ctx context.Context) error {
	if g.cfg.Review.Expires == 0 {
		return nil
	}
	for {
		if err := g.Expire(ctx); err != nil && ctx.Err() == nil {
			g.warn(ctx, "items whose time is over are still held", "", err)
		}
		if !g.pause(ctx, min(expiryEvery, g.expirySettles())) {
			return nil
		}
	}
}

// expirySettles is how long an item's time must be over, as this process runs,
// before it ends.
func (g *Gateway) expirySettles() time.Duration { return min(secondLook, g.cfg.Review.Expires.D()) }

// noClock is before any of this program ran: a clock that says less had not been
// set. Machines without a battery begin in 1970, or when their system was made.
var noClock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ends is when e ends if nobody decides; nil: never. Of what came before the clock
// was set it is not known how long it waits, and what does not open is a person's to
// look at.
func (g *Gateway) ends(e *vault.Entry) *time.Time {
	if g.cfg.Review.Expires == 0 || e.State != vault.Held || e.Damaged || e.Received.Before(noClock) {
		return nil
	}
	at := e.Received.Add(g.cfg.Review.Expires.D())
	return &at
}

// EndingBy returns when what ends by then if nobody decides had come; false: nothing
// ends by itself.
func (g *Gateway) EndingBy(then time.Time) (received time.Time, ends bool) {
	return then.Add(-g.cfg.Review.Expires.D()), g.cfg.Review.Expires > 0
}

// Expire ends what is due, and was due ever since a look long enough ago. It is
// not for two to call at the same time.
func (g *Gateway) Expire(ctx context.Context) error {
	now := g.Now()
	due := map[dlp.ID]time.Duration{}
	kept, err := g.legally(ctx)
	if err != nil {
		return err
	}
	var errs []error
	f := vault.Filter{}
	for {
		page, err := g.Vault.List(ctx, f) // the oldest first
		if err != nil {
			return fmt.Errorf("gateway: expire: %w", err)
		}
		for i := range page {
			e := &page[i]
			f.After = e.ID
			if at := g.ends(e); at == nil || now.Before(*at) || kept[e.ID] || g.isDrill(e.ID) {
				continue
			}
			since, seen := g.due[e.ID]
			if !seen {
				since = g.Elapsed()
			}
			if g.Elapsed()-since < g.expirySettles() {
				due[e.ID] = since
				continue
			}
			if err := g.end(ctx, e.ID); err != nil && !errors.Is(err, ErrNotHeld) {
				due[e.ID] = since
				errs = append(errs, err)
			}
		}
		if len(page) < vault.MaxList {
			break
		}
	}
	g.due = due
	return errors.Join(errs...)
}

// end ends one item as the configuration says. It never leaves.
func (g *Gateway) end(ctx context.Context, id dlp.ID) error {
	if kept, err := g.legally(ctx); err != nil || kept[id] { // asked anew: there may be many to end before it
		return err
	}
	rv := Review{Code: "expired", Words: "nobody decided within review.expires"}
	if g.cfg.Review.Outcome == outcomeReject {
		return g.RejectFor(ctx, id, vault.Opened{}, "", rv)
	}
	done, err := g.alone(id)
	if err != nil {
		return err
	}
	defer done()
	if err := g.reviewed(ctx, id, rv, "", ""); err != nil {
		return err
	}
	e, seq, err := g.open(ctx, id, audit.Reject, "discarded", "", nil)
	if err != nil {
		return err
	}
	if err := g.move(ctx, store.Change{}, id, vault.Expired, "", rv.Words); err != nil {
		g.notMoved(ctx, store.Change{}, e, seq, err)
		return fmt.Errorf("gateway: discard %s: %w", id, err)
	}
	g.done(ctx, e, seq, audit.ResultRejected)
	return nil
}
