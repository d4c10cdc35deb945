package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// policiesPath is where the MTA-STS policies of other domains are kept.
func policiesPath(dir string) string { return filepath.Join(dir, "state", "mta-sts") }

// openHops opens the next hops of the configuration.
func (n *node) openHops() (*route.Router, error) {
	return route.New(&n.cfg.SMTP, route.Deps{Log: n.log, Metrics: n.metrics, Policies: policiesPath(n.cfg.DataDir), Keys: n.ring})
}

// prove is by what the server that mail goes to has to prove to be its
// recipient's. Nothing is judged before the next hops are open.
func (s *server) prove(ctx context.Context, from, rcpt dlp.Address) (string, error) {
	return s.hops.Proves(ctx, from, rcpt)
}

// outboxHop lets the outbox deliver through the door's own next hops.
type outboxHop struct{ hops *route.Router }

// Deliver tries once.
func (o outboxHop) Deliver(ctx context.Context, m spool.Message, open func() (io.ReadCloser, error)) []dlp.Delivery {
	rcpts, params := make([]dlp.Address, len(m.Rcpts)), make([]dlp.RcptParams, len(m.Rcpts))
	for i, r := range m.Rcpts {
		rcpts[i], params[i] = r.Addr, r.Params
	}
	deliver := o.hops.Deliver
	if m.Kind == spool.Proved {
		deliver = o.hops.DeliverProved
	}
	return deliver(ctx, m.From, rcpts, params, smtp.MailOptions{Size: m.Size + int64(len(m.Front)), MailParams: m.Params}, open)
}
