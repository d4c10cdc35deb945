package route

import (
	"context"
	"sync"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// Asked is what a host said of itself.
type Asked struct {
	Route string // its name
	Host  string // host:port or a socket; "" when none was found
	TLS   string // what is demanded of it: a value of smtp.ClientConfig.TLS
	Offer smtp.Offer
	Err   error // it could not be found, or did not do its part
}

// Ask talks to every host that routes name, without sending mail, all at once
// and in the order of the configuration. Routes by MX have no hosts until there
// is a recipient: AskDomain.
func (r *Router) Ask(ctx context.Context) []Asked {
	t := r.table.Load()
	var out []Asked
	for _, e := range t.entries {
		if e.kind != smtp.TargetMX && e.maildir == nil {
			out = append(out, t.ask(ctx, t.destination(e, ""))...)
		}
	}
	return out
}

// AskDomain talks to the hosts to which mail for a domain, in lower case, goes.
func (r *Router) AskDomain(ctx context.Context, domain string) []Asked {
	t := r.table.Load()
	d := t.of(dlp.Address{}, dlp.Address{Local: "postmaster", Domain: domain})
	if d.e.maildir != nil {
		return nil
	}
	return t.ask(ctx, d)
}

func (t *table) ask(ctx context.Context, d *destination) []Asked {
	p, err := d.plan(ctx)
	if err != nil {
		return []Asked{{Route: d.e.Name, TLS: d.e.TLS, Err: err}}
	}
	var out []Asked
	for _, g := range p.groups {
		for _, h := range g {
			mode := h.tls.mode
			if mode == "" {
				mode = d.e.TLS
			}
			out = append(out, Asked{Route: d.e.Name, Host: h.addr, TLS: mode})
		}
	}
	var wg sync.WaitGroup
	i := 0
	several := p.hosts() > 1
	for _, g := range p.groups {
		for _, h := range g {
			a, c := &out[i], t.client(d.e, h, several)
			wg.Go(func() { a.Offer, a.Err = c.Ask(ctx) })
			i++
		}
	}
	wg.Wait()
	return out
}
