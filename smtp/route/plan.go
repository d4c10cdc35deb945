package route

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/mtasts"
	"github.com/stanch-dlp/stanch/smtp/resolve"
)

// unroutable says that no host takes mail for a recipient's domain, and what to
// answer: now, to a client that has the message and may try again; later, from
// the outbox, to whom a message of ours came back.
type unroutable struct {
	cause      string
	now, later dlp.Reply
}

// Error names the cause.
func (u *unroutable) Error() string { return "route: no next hop: " + u.cause }

// What DNS may come to. That a domain does not exist is put to a client as
// something that may pass: a resolver that is wrong for an hour must not bounce
// what the client would have kept.
var (
	errNoDomain = &unroutable{"no_domain",
		dlp.Reply{Code: 451, Enhanced: "4.4.4", Text: "The recipient's domain does not exist as far as we can see, try again later"},
		dlp.Reply{Code: 550, Enhanced: "5.1.2", Text: "The recipient's domain does not exist"}}
	errNoServer = &unroutable{"no_server",
		dlp.Reply{Code: 451, Enhanced: "4.4.4", Text: "No mail server is known for the recipient's domain, try again later"},
		dlp.Reply{Code: 550, Enhanced: "5.4.4", Text: "No mail server is known for the recipient's domain"}}
	errNullMX = &unroutable{"null_mx", // RFC 7505 3: it is the domain's own word
		dlp.Reply{Code: 556, Enhanced: "5.1.10", Text: "The recipient's domain takes no mail"},
		dlp.Reply{Code: 556, Enhanced: "5.1.10", Text: "The recipient's domain takes no mail"}}
	errOurselves = &unroutable{"loops_back", // RFC 5321 5.1
		dlp.Reply{Code: 554, Enhanced: "5.4.6", Text: "Mail for this domain comes back to this server"},
		dlp.Reply{Code: 554, Enhanced: "5.4.6", Text: "Mail for this domain comes back to this server"}}
	errNoAnswer = &unroutable{"dns_failed",
		dlp.Reply{Code: 451, Enhanced: "4.4.3", Text: "DNS does not answer for the recipient's domain, try again later"},
		dlp.Reply{Code: 451, Enhanced: "4.4.3", Text: "DNS does not answer for the recipient's domain, try again later"}}
	errPolicy = &unroutable{"not_in_policy", // RFC 8461 5: tried again
		dlp.Reply{Code: 451, Enhanced: "4.7.5", Text: "No mail server of the recipient's domain keeps the domain's policy, try again later"},
		dlp.Reply{Code: 451, Enhanced: "4.7.5", Text: "No mail server of the recipient's domain keeps the domain's policy, try again later"}}
)

// plan is the hosts of a destination, and how each is secured.
type plan struct {
	groups  [][]host // in order; those of one group take turns
	err     error    // there are none
	expires time.Time
	ready   chan struct{} // closed once all above stands
}

// host is one server.
type host struct {
	name  string       // as MX or configuration have it
	addr  string       // host:port, or the path of a socket
	addrs []netip.Addr // from DNS; none: the system finds them
	lmtp  bool
	tls   demand
}

// demand is what a host must prove beyond the configuration.
type demand struct {
	mode  string // of smtp.ClientConfig.TLS; "": the configuration decides
	name  string // in the handshake
	proof smtp.Proof
	print string // tells one demand from another; "" where the mode does
}

// plans keeps what DNS said as long as it may be kept, and has many sessions
// wait for one answer.
type plans struct {
	mu  sync.Mutex // guards below
	all map[string]*plan
}

const (
	maxPlans     = 10_000
	keepLeast    = 5 * time.Second  // also a failure: fifty sessions do not each wait for it
	keepMost     = 10 * time.Minute // a change is seen within
	planTimeout  = 40 * time.Second // DNS, and an MTA-STS policy where it is fetched
	maxMXHosts   = 20               // of one domain
	negativeKept = time.Minute      // that there is no domain or no server
)

// plan returns the hosts of d. A destination by name is looked up once for all
// that wait, and not for the one that asks first: it may hang up.
func (d *destination) plan(ctx context.Context) (*plan, error) {
	if d.e.kind != smtp.TargetMX && d.e.TLS != smtp.TLSDANE {
		return d.fixedPlan(), nil
	}
	ps := &d.t.plans
	key := hostKey(d.e.Name, d.domain)
	ps.mu.Lock()
	p, ok := ps.all[key]
	if ok && p.done() && !time.Now().Before(p.expires) {
		ok = false
	}
	if !ok {
		if len(ps.all) >= maxPlans {
			clear(ps.all)
		}
		p = &plan{ready: make(chan struct{})}
		if !d.t.work.do(func(ctx context.Context) { d.look(ctx, p) }) {
			ps.mu.Unlock()
			return nil, errNoAnswer
		}
		ps.all[key] = p
	}
	ps.mu.Unlock()
	select {
	case <-p.ready:
		return p, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *plan) hosts() int {
	n := 0
	for _, g := range p.groups {
		n += len(g)
	}
	return n
}

func (p *plan) done() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// look fills p.
func (d *destination) look(ctx context.Context, p *plan) {
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	defer close(p.ready)
	defer func() {
		if x := recover(); x != nil {
			d.t.d.Log.LogAttrs(ctx, slog.LevelError, "looking for a next hop broke", slog.String("route", d.e.Name), slog.String("stack", string(debug.Stack())))
			p.groups, p.err = nil, errNoAnswer
		}
	}()
	l := lookup{d: d, ttl: keepMost}
	p.groups, p.err = l.hosts(ctx)
	keep := max(min(l.ttl, keepMost), keepLeast)
	if p.err != nil {
		d.t.d.Log.LogAttrs(ctx, slog.LevelWarn, "no next hop for a recipient", slog.String("route", d.e.Name), slog.String("cause", causeOf(p.err)))
		keep = keepLeast
		if u, ok := errors.AsType[*unroutable](p.err); ok && u.later.Permanent() {
			keep = negativeKept
		}
	}
	p.expires = time.Now().Add(keep)
}

func causeOf(err error) string {
	if u, ok := errors.AsType[*unroutable](err); ok {
		return u.cause
	}
	return "dns_failed"
}

// fixedPlan is the hosts as the configuration has them.
func (d *destination) fixedPlan() *plan {
	p := &plan{}
	for _, g := range d.e.groups {
		var group []host
		for _, m := range g {
			h := host{addr: m.Addr, lmtp: m.Kind == smtp.TargetLMTP}
			h.name, _, _ = net.SplitHostPort(m.Addr) // "" for a socket
			group = append(group, h)
		}
		p.groups = append(p.groups, group)
	}
	return p
}

// lookup is one look at DNS.
type lookup struct {
	d   *destination
	ttl time.Duration
	bad error // why a host was left out for now
}

func (l *lookup) kept(ttl time.Duration) { l.ttl = min(l.ttl, ttl) }

// hosts finds the hosts of the destination in groups of one preference.
func (l *lookup) hosts(ctx context.Context) ([][]host, error) {
	if l.d.e.kind != smtp.TargetMX {
		return l.named(ctx)
	}
	mxs, proved, err := l.servers(ctx)
	if err != nil {
		return nil, err
	}
	policy, has := l.policy(ctx)
	var groups [][]host
	last := -1
	for _, mx := range mxs {
		h, err := l.host(ctx, mx.Host, l.d.e.port, proved, l.d.domain)
		if errors.Is(err, errOurselves) {
			if last == int(mx.Pref) {
				groups = groups[:len(groups)-1]
			}
			if len(groups) == 0 && l.bad == nil {
				return nil, errOurselves
			}
			break // RFC 5321 5.1: those no better than ourselves are left out
		}
		if err == nil && h.tls.mode != smtp.TLSVerified && has { // TLSA records that can be used come first, RFC 8461 2
			err = h.follow(policy, l.d.t.d)
		}
		if err != nil {
			l.leaveOut(err)
			continue
		}
		if h.tls.mode == "" {
			h.tls = l.byConfig(mx.Host, proved)
		}
		if int(mx.Pref) != last {
			groups, last = append(groups, nil), int(mx.Pref)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], h)
	}
	if len(groups) == 0 {
		return nil, l.why()
	}
	return groups, nil
}

// leaveOut remembers the reason that leaves most hope.
func (l *lookup) leaveOut(err error) {
	if u, ok := errors.AsType[*unroutable](l.bad); l.bad == nil || ok && u.later.Permanent() {
		l.bad = err
	}
}

func (l *lookup) why() error {
	if l.bad != nil {
		return l.bad
	}
	return errNoServer
}

// servers returns the MX of the domain, or the domain itself where it has none;
// an address literal is its own server. proved: by DNSSEC.
func (l *lookup) servers(ctx context.Context) (mxs []resolve.MX, proved bool, err error) {
	domain := l.d.domain
	if strings.HasPrefix(domain, "[") {
		return []resolve.MX{{Host: domain}}, false, nil
	}
	mxs, meta, err := l.d.t.resolver.MX(ctx, domain)
	l.kept(meta.TTL)
	switch {
	case errors.Is(err, resolve.ErrNoDomain):
		return nil, false, errNoDomain
	case err != nil:
		return nil, false, errNoAnswer
	case len(mxs) == 0: // RFC 5321 5.1: the implicit MX
		return []resolve.MX{{Host: domain}}, meta.Proved, nil
	case len(mxs) == 1 && mxs[0].Host == "":
		return nil, false, errNullMX
	}
	return mxs[:min(len(mxs), maxMXHosts)], meta.Proved, nil
}

// host finds a host's addresses, and what DANE demands of it. proved: that it
// is a server of the domain.
func (l *lookup) host(ctx context.Context, name, port string, proved bool, domain string) (host, error) {
	h := host{name: name, addr: net.JoinHostPort(name, port)}
	var meta resolve.Meta
	if lit, ok := literal(name); ok {
		h.name, h.addrs = lit.String(), []netip.Addr{lit}
		h.addr = net.JoinHostPort(h.name, port)
	} else {
		var err error
		h.addrs, meta, err = l.d.t.resolver.Addrs(ctx, name)
		l.kept(meta.TTL)
		switch {
		case errors.Is(err, resolve.ErrNoDomain), err == nil && len(h.addrs) == 0:
			return h, errNoServer
		case err != nil:
			return h, errNoAnswer
		}
	}
	if l.isSelf(name, h.addrs, port) {
		return h, errOurselves
	}
	if l.d.e.TLS != smtp.TLSDANE || !proved {
		return h, nil
	}
	base := meta.Name
	if !meta.Proved {
		if base == "" || base == h.name { // no alias
			return h, nil
		}
		alias, err := l.d.t.resolver.Alias(ctx, h.name)
		if err != nil {
			return h, errNoAnswer
		}
		if l.kept(alias.TTL); !alias.Proved {
			return h, nil
		}
		base = h.name // RFC 7672 2.1.3: it leads out of what is signed, its own records stand where it is
	}
	err := l.dane(ctx, &h, base, port, domain)
	return h, err
}

// literal reads the domain of an address such as [192.0.2.1].
func literal(s string) (netip.Addr, bool) {
	s, ok := strings.CutPrefix(s, "[")
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(strings.TrimPrefix(strings.TrimSuffix(s, "]"), "IPv6:"))
	return a, err == nil
}

// isSelf reports whether a host is this server.
func (l *lookup) isSelf(name string, addrs []netip.Addr, port string) bool {
	if strings.EqualFold(name, l.d.t.cfg.Hostname) {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		for _, own := range l.d.t.self {
			if own == netip.AddrPortFrom(a, uint16(n)) {
				return true
			}
		}
	}
	return false
}

// policy returns the MTA-STS policy of the domain where the route asks for it.
func (l *lookup) policy(ctx context.Context) (mtasts.Policy, bool) {
	if l.d.e.TLS != smtp.TLSSTS && l.d.e.TLS != smtp.TLSDANE || strings.HasPrefix(l.d.domain, "[") {
		return mtasts.Policy{}, false
	}
	p, ok := l.d.t.policies.Policy(ctx, l.d.domain)
	return p, ok && p.Mode == mtasts.Enforce
}

// follow holds the host to an enforced policy: it must be named there, and its
// certificate must prove its name. RFC 8461 4.1, 4.2.
func (h *host) follow(p mtasts.Policy, d Deps) error {
	if !p.Fits(h.name) {
		return errPolicy
	}
	h.tls = demand{smtp.TLSVerified, h.name, smtp.ProveName(d.Roots, h.name), "mta-sts"}
	return nil
}

// byConfig is what the route itself demands of a server found by MX. A name
// that DNS gave unproved proves nothing about the domain, unless it lies in the
// domain.
func (l *lookup) byConfig(name string, proved bool) demand {
	if l.d.e.TLS == smtp.TLSSTS || l.d.e.TLS == smtp.TLSDANE {
		return demand{mode: smtp.TLSOpportunistic, name: name}
	}
	if l.d.e.TLS != smtp.TLSVerified || l.d.e.TLSName != "" || len(l.d.e.TLSPins) > 0 {
		return demand{}
	}
	names := []string{l.d.domain}
	if proved || strings.HasSuffix(name, "."+l.d.domain) {
		names = append(names, name)
	}
	return demand{smtp.TLSVerified, name, smtp.ProveName(l.d.e.security.Roots(), names...), "domain " + strings.Join(names, " ")}
}

// named looks up the hosts of a route that names them and asks for DANE.
func (l *lookup) named(ctx context.Context) ([][]host, error) {
	var groups [][]host
	for _, g := range l.d.e.groups {
		var group []host
		for _, m := range g {
			name, port, _ := net.SplitHostPort(m.Addr) // Validate has accepted it
			h, err := l.host(ctx, strings.ToLower(name), port, true, strings.ToLower(name))
			if err != nil {
				l.leaveOut(err)
				continue
			}
			if h.tls.mode == "" {
				h.tls = demand{mode: smtp.TLSOpportunistic, name: name}
			}
			group = append(group, h)
		}
		if len(group) > 0 {
			groups = append(groups, group)
		}
	}
	if len(groups) == 0 {
		return nil, errNoAnswer // a host that is configured and gone is a mistake to be mended, no reason to bounce
	}
	return groups, nil
}

// order returns the clients to try, one after the other. In a group of the
// configuration the members take turns; servers of one preference come in a
// random order, RFC 5321 5.1: what one that is down would have had falls to all
// others alike.
func (t *table) order(e *entry, p *plan) []*smtp.Client {
	several := p.hosts() > 1
	turn := int(e.turn.Add(1) - 1)
	var out []*smtp.Client
	for _, g := range p.groups {
		first := len(out)
		for i := range g {
			out = append(out, t.client(e, g[(turn+i)%len(g)], several))
		}
		if e.kind == smtp.TargetMX {
			of := out[first:]
			t.d.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		}
	}
	return out
}

// client returns the connections to h under what it must prove now. Under
// another demand, or at another address, there are others: none is reused that
// did not prove it.
func (t *table) client(e *entry, h host, several bool) *smtp.Client {
	key := hostKey(e.Name, h.addr, addrsText(h.addrs), h.tls.mode, h.tls.print)
	return t.clients.get(key, e.Name, t.work, func() *smtp.Client {
		cc := t.cfg.Client(t.d.Log, t.d.Metrics)
		cc.Addr, cc.Route = h.addr, e.Name
		e.security.Apply(&cc, h.name)
		if h.tls.mode != "" {
			cc.TLS, cc.Proof = h.tls.mode, h.tls.proof
			cc.ServerName = h.tls.name
		}
		if several {
			cc.ConnectTimeout /= 2 // the next host has its turn before the client loses patience
		}
		cc.Dial, cc.LMTP = t.d.Dial, h.lmtp
		switch {
		case strings.HasPrefix(h.addr, "/"):
			cc.Dial = func(ctx context.Context, _, addr string) (net.Conn, error) { return t.d.Dial(ctx, "unix", addr) }
		case len(h.addrs) > 0:
			_, port, _ := net.SplitHostPort(h.addr)
			cc.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialEach(ctx, t.d.Dial, network, h.addrs, port)
			}
		}
		return smtp.NewClient(cc)
	})
}
