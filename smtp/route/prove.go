package route

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/smtp"
)

// Proof is by what a server proves to be a recipient's.
type Proof string

// The proofs.
const (
	ByDANE        Proof = "dane"        // TLSA records of the server, RFC 7672
	BySTS         Proof = "mta-sts"     // an enforced policy of the domain, RFC 8461
	ByPin         Proof = "pin"         // a key that the route pins
	ByCertificate Proof = "certificate" // of the roots and the name that the route demands
)

// proof is by what h proves to be a recipient's server; "" for by nothing. A
// route that names its hosts says that they are its recipients' servers only
// where it names the recipients too: a smart host proves nothing about others.
func (d *destination) proof(h host) Proof {
	named := !d.e.AnyRcpt()
	if d.e.kind != smtp.TargetMX && !named || h.lmtp {
		return ""
	}
	switch {
	case h.tls.mode == smtp.TLSVerified && strings.HasPrefix(h.tls.print, "dane "):
		return ByDANE
	case h.tls.mode == smtp.TLSVerified && h.tls.print == "mta-sts":
		return BySTS
	case h.tls.mode == smtp.TLSVerified:
		return ByCertificate
	case h.tls.mode != "" || d.e.TLS != smtp.TLSVerified || !named:
		return ""
	case len(d.e.TLSPins) > 0:
		return ByPin
	}
	return ByCertificate
}

// proving is p without the hosts that need prove nothing; by is the first's
// proof. dlp.ErrNotProved: there are none.
func (d *destination) proving(p *plan) (out *plan, by Proof, err error) {
	out = &plan{}
	for _, g := range p.groups {
		var group []host
		for _, h := range g {
			if x := d.proof(h); x != "" {
				group = append(group, h)
				if by == "" {
					by = x
				}
			}
		}
		if len(group) > 0 {
			out.groups = append(out.groups, group)
		}
	}
	if by == "" {
		return nil, "", dlp.ErrNotProved
	}
	return out, by, nil
}

// unproved is err, and dlp.ErrNotProved where d wants proof and err is that there
// is none: a host that is not reached may yet give it.
func (d *destination) unproved(err error) error {
	if !d.proved || errors.Is(err, dlp.ErrNotProved) {
		return err
	}
	if errors.Is(err, errPolicy) {
		return dlp.ErrNotProved // not what a next hop answered
	}
	if stage, is := errors.AsType[*dlp.StageError](err); is && stage.At == string(metrics.StageTLS) {
		return fmt.Errorf("%w: %w", dlp.ErrNotProved, err)
	}
	return err
}

// to is where mail to rcpt goes if only servers count that prove to be its own.
func (t *table) to(from, rcpt dlp.Address) *destination {
	d := *t.of(from, rcpt)
	d.proved = true
	return &d
}

// Proves says by what the server that mail to rcpt goes to has to prove to be
// rcpt's before it is given any. Nothing is dialled. dlp.ErrNotProved: it need
// prove nothing; other errors: nobody knows for now.
func (r *Router) Proves(ctx context.Context, from, rcpt dlp.Address) (string, error) {
	_, by, err := r.table.Load().to(from, rcpt).plannedProof(ctx)
	return string(by), err
}

// Prove is Proves, and that one of those servers has given the proof just now.
func (r *Router) Prove(ctx context.Context, from, rcpt dlp.Address) (string, error) {
	t := r.table.Load()
	d := t.to(from, rcpt)
	p, by, err := d.plannedProof(ctx)
	if err != nil {
		return "", err
	}
	clients := t.order(d.e, p)
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			o, err := c.Ask(ctx)
			if errs[i] = err; err == nil && (!o.TLS || o.Proof != nil) {
				errs[i] = dlp.ErrNotProved
			}
		})
	}
	wg.Wait()
	if slices.Contains(errs, nil) {
		return string(by), nil
	}
	return "", errs[0]
}

func (d *destination) plannedProof(ctx context.Context) (*plan, Proof, error) {
	if d.e.maildir != nil {
		return nil, "", dlp.ErrNotProved
	}
	p, err := d.plan(ctx)
	if err != nil {
		return nil, "", d.unproved(err)
	}
	return d.proving(p)
}

// DeliverProved is Deliver over connections alone on which a server has proved to
// be the recipient's. Where none does the error is dlp.ErrNotProved.
func (r *Router) DeliverProved(ctx context.Context, from dlp.Address, rcpts []dlp.Address, params []dlp.RcptParams,
	opt smtp.MailOptions, open func() (io.ReadCloser, error)) []dlp.Delivery {
	return r.deliver(ctx, true, from, rcpts, params, opt, open)
}
