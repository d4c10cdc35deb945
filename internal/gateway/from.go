package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxFrom is how far the items of one sender are counted.
const maxFrom = 1000

// From is what was held of one sender's mail.
type From struct {
	Held  []Held // the newest first
	Count int
	Cut   bool // there are more
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
	if of.Channel != dlp.Mail || of.Envelope.Sender.IsNull() {
		return out, nil
	}
	from := vault.Field{Kind: vault.BySender, Value: of.Envelope.Sender.String()}
	es, next, err := g.Vault.Find(ctx, vault.Query{All: [][]vault.Field{{from}}, Since: since, Limit: max(limit+1, 100)})
	if err != nil {
		return out, fmt.Errorf("gateway: look for others like %s: %w", id, err)
	}
	others := false // of other senders: not everything has its terms yet
	for i := range es {
		e := &es[i]
		switch {
		case e.ID == id || g.wasDrill(e):
		case e.Damaged || e.Channel != dlp.Mail || e.Envelope.Sender != of.Envelope.Sender || e.Received.Before(since):
			others = true
		default:
			if out.Count++; len(out.Held) < limit {
				out.Held = append(out.Held, g.heldOf(*e))
			}
		}
	}
	if next == "" {
		return out, nil
	}
	n, err := g.Vault.CountFrom(ctx, from, since, maxFrom)
	if err != nil {
		return out, fmt.Errorf("gateway: look for others like %s: %w", id, err)
	}
	if !of.Received.Before(since) {
		n-- // itself
	}
	out.Count, out.Cut = max(out.Count, n), others || n >= maxFrom-1
	return out, nil
}
