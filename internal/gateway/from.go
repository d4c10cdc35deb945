package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxFrom bounds the items that are looked through for those of one sender.
const maxFrom = 5000

// From is what was held of one sender's mail.
type From struct {
	Held  []Held // the newest first
	Count int
	Cut   bool // there may be more: not all of the time was looked through
}

// HeldFrom returns what was held since then, in whatever state it is by now, of
// mail from the sender of id, but for id itself: the newest limit of it, and how
// much there is.
func (g *Gateway) HeldFrom(ctx context.Context, id dlp.ID, since time.Time, limit int) (From, error) {
	var out From
	of, err := g.Vault.Get(ctx, id)
	if err != nil {
		return out, fmt.Errorf("gateway: look for others like %s: %w", id, err)
	}
	f := vault.Filter{All: true, Newest: true}
	for seen := 0; seen < maxFrom; {
		es, err := g.Vault.List(ctx, f)
		if err != nil {
			return out, fmt.Errorf("gateway: look for others like %s: %w", id, err)
		}
		for i := range es {
			e := &es[i]
			if e.Received.Before(since) {
				return out, nil
			}
			f.After = e.ID
			if e.ID == id || e.Damaged || e.Channel != dlp.Mail || e.Envelope.Sender != of.Envelope.Sender {
				continue
			}
			if out.Count++; len(out.Held) < limit {
				out.Held = append(out.Held, g.heldOf(*e))
			}
		}
		if len(es) < vault.MaxList {
			return out, nil
		}
		seen += len(es)
	}
	out.Cut = true
	return out, nil
}
