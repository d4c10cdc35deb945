package route

import (
	"context"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// Destinations names where each of rcpts goes on to. Those with the same one
// share a transaction and its fate. A name may hold a recipient's domain.
func (r *Router) Destinations(from dlp.Address, rcpts []dlp.Address) []string {
	t := r.table.Load()
	out := make([]string, len(rcpts))
	for i, rcpt := range rcpts {
		d := t.of(from, rcpt)
		out[i] = hostKey(d.e.Name, d.domain)
	}
	return out
}

// group is a destination and who goes there.
type group struct {
	dest    *destination
	members []int
}

func (t *table) groups(from dlp.Address, rcpts []dlp.Address) []group {
	var out []group
	type key struct {
		e      *entry
		domain string
	}
	at := map[key]int{}
	for i, rcpt := range rcpts {
		d := t.of(from, rcpt)
		k := key{d.e, d.domain}
		j, ok := at[k]
		if !ok {
			j = len(out)
			at[k] = j
			out = append(out, group{dest: d})
		}
		out[j].members = append(out[j].members, i)
	}
	return out
}

// Deliver tries once to bring a message of ours to its recipients, hop by hop.
// It differs from what a client is told in one thing: that a domain does not
// exist, or that none of its servers does, is final here. RFC 5321 5.1 wants it
// reported, and there is nobody else who would give up in time.
func (r *Router) Deliver(ctx context.Context, from dlp.Address, rcpts []dlp.Address, params []dlp.RcptParams,
	opt smtp.MailOptions, open func() (io.ReadCloser, error)) []dlp.Delivery {
	return r.deliver(ctx, false, from, rcpts, params, opt, open)
}

func (r *Router) deliver(ctx context.Context, proved bool, from dlp.Address, rcpts []dlp.Address, params []dlp.RcptParams,
	opt smtp.MailOptions, open func() (io.ReadCloser, error)) []dlp.Delivery {
	out := make([]dlp.Delivery, len(rcpts))
	for _, g := range r.table.Load().groups(from, rcpts) {
		g.dest.proved = proved
		some := make([]dlp.Address, len(g.members))
		var with []dlp.RcptParams
		for j, i := range g.members {
			some[j] = rcpts[i]
			if params != nil {
				with = append(with, params[i])
			}
		}
		for j, d := range smtp.Deliver(ctx, final{g.dest}, from, some, with, opt, open) {
			out[g.members[j]] = d
		}
	}
	return out
}

// final is a destination whose not existing is a refusal.
type final struct{ *destination }

// Begin is that of the destination.
func (f final) Begin(ctx context.Context, from dlp.Address, opt smtp.MailOptions, first smtp.Recipient) (smtp.Transaction, dlp.Reply, error) {
	tx, r, err := f.destination.Begin(ctx, from, opt, first)
	if u, ok := errors.AsType[*unroutable](err); ok {
		return nil, dlp.Reply{}, &smtp.ReplyError{Reply: u.later}
	}
	return tx, r, err
}
