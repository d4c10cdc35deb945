// Package route chooses the next hop of each recipient, and what it must prove
// before mail goes over to it.
//
// It promises that a message which has one next hop goes there inside the
// client's own transaction; that a host which does not answer is passed over
// for the next one only while nothing of a message was accepted; and that what
// a domain promises about its servers, by DANE or MTA-STS, holds on the very
// connection that carries the message.
//
// Sources: RFC 5321 5.1 (MX), RFC 7505 (null MX), RFC 8461 (MTA-STS), RFC 7672
// (DANE for SMTP).
package route

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/mtasts"
	"github.com/stanch-dlp/stanch/smtp/resolve"
)

// Deps are what a Router needs beside the configuration. All may be left out.
type Deps struct {
	Log     *slog.Logger
	Metrics *metrics.Set
	// Policies is the file in which MTA-STS policies are kept, sealed by Keys;
	// "": in memory only.
	Policies string
	Keys     mtasts.Keys

	// Dial connects; nil: net.Dialer. Roots are those of policy hosts and of
	// servers under MTA-STS; nil: the system's. Shuffle puts n things in a random
	// order; nil: rand.Shuffle. All are for tests.
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Roots   *smtp.Roots
	Pool    *x509.CertPool
	Shuffle func(n int, swap func(i, j int))

	// AskOnly has nothing made or swept where mail goes to: only Ask is called.
	AskOnly bool
}

// Router is a smtp.NextHop of all configured ones. It is safe for use by many
// goroutines.
type Router struct {
	d     Deps
	table atomic.Pointer[table]
	work  *work
}

// work is what goes on behind the callers: looks at DNS, goodbyes. Close ends
// it and waits for it.
type work struct {
	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex // guards below
	closed bool
	wg     sync.WaitGroup
}

// do runs f beside the caller; false: not any more.
func (w *work) do(f func(context.Context)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.wg.Go(func() { f(w.ctx) })
	return true
}

func (w *work) end() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.stop()
	w.wg.Wait()
}

// New opens what the routes of cfg name. Nothing is dialled or resolved yet.
func New(cfg *smtp.Config, d Deps) (*Router, error) {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Dial == nil {
		d.Dial = new(net.Dialer).DialContext
	}
	if d.Shuffle == nil {
		d.Shuffle = rand.Shuffle
	}
	r := &Router{d: d, work: &work{}}
	r.work.ctx, r.work.stop = context.WithCancel(context.Background())
	t, err := newTable(cfg, r, nil)
	if err != nil {
		r.work.end()
		return nil, err
	}
	r.table.Store(t)
	t.announce()
	return r, nil
}

// Prepare opens the routes of cfg and returns what puts them in force, for all
// that begins from then on. Transactions under way are not disturbed.
func (r *Router) Prepare(cfg *smtp.Config) (use func(), err error) {
	old := r.table.Load()
	t, err := newTable(cfg, r, old)
	if err != nil {
		return nil, err
	}
	return func() {
		r.table.Store(t)
		t.announce()
		old.close()
	}, nil
}

// Close ends the idle connections and looks at DNS. Who waits for one has no
// answer.
func (r *Router) Close() error {
	r.work.end()
	r.table.Load().close()
	return nil
}

// Begin opens a transaction. Where the next hop does not depend on the
// recipient, what that says is the answer; otherwise a refusal of MAIL answers
// those recipients alone whose next hop it is.
func (r *Router) Begin(ctx context.Context, from dlp.Address, opt smtp.MailOptions, first smtp.Recipient) (smtp.Transaction, dlp.Reply, error) {
	t := r.table.Load()
	if d := t.fixed(from); d != nil {
		return d.Begin(ctx, from, opt, first)
	}
	x := &transaction{t: t, from: from, opt: opt}
	reply, err := x.Rcpt(ctx, first.Addr, first.Params)
	return x, reply, err
}

// Offers returns what every next hop offers. Of servers that DNS names nothing
// is known beforehand, so with a route to them nothing is promised; a folder
// offers nothing.
func (r *Router) Offers() smtp.Extensions {
	t := r.table.Load()
	all := smtp.Extensions{UTF8: true, Chunking: true, Binary: true, DSN: true}
	for _, e := range t.entries {
		if e.maildir != nil || e.kind == smtp.TargetMX || e.TLS == smtp.TLSDANE {
			return smtp.Extensions{}
		}
		p := t.destination(e, "").fixedPlan()
		several := p.hosts() > 1
		for _, g := range p.groups {
			for _, h := range g {
				if c := t.client(e, h, several); !several || !c.Down() {
					all = all.And(c.Offers())
				}
			}
		}
	}
	return all
}

// table is one configuration of routes. It is not changed.
type table struct {
	cfg      *smtp.Config
	d        Deps
	work     *work
	entries  []*entry
	resolver *resolve.Resolver
	policies *mtasts.Store // nil: no route asks for policies
	self     []netip.AddrPort
	plans    plans
	clients  clients
}

// entry is a route with its files read.
type entry struct {
	smtp.Route
	kind     smtp.TargetKind
	port     string // mx
	groups   [][]smtp.Target
	security smtp.Security
	maildir  *smtp.Maildir
	turn     atomic.Uint32 // who of a group comes first
}

func newTable(cfg *smtp.Config, r *Router, old *table) (*table, error) {
	c, d := *cfg, r.d
	t := &table{cfg: &c, d: d, work: r.work, plans: plans{all: map[string]*plan{}}, clients: clients{byKey: map[string]*pooled{}}}
	asks := false // by DNS
	for _, rt := range cfg.AllRoutes() {
		e := &entry{Route: rt, groups: rt.Groups()}
		first := e.groups[0][0]
		e.kind = first.Kind
		var err error
		if e.security, err = rt.LoadSecurity(d.Log); err != nil {
			return nil, err
		}
		switch e.kind {
		case smtp.TargetMaildir:
			if d.AskOnly {
				e.maildir = new(smtp.Maildir)
			} else if e.maildir, err = first.OpenMaildir(); err != nil {
				return nil, err
			}
		case smtp.TargetMX:
			e.port, asks = first.Addr, true
		}
		asks = asks || rt.TLS == smtp.TLSDANE
		t.entries = append(t.entries, e)
	}
	if !asks {
		return t, nil
	}
	var err error
	t.self = ownAddresses(cfg.AllDoors())
	if t.resolver, err = newResolver(cfg); err != nil {
		return nil, err
	}
	if old != nil && old.policies != nil && old.cfg.Resolver == cfg.Resolver {
		t.policies = old.policies
		return t, nil
	}
	t.policies, err = mtasts.Open(mtasts.Options{
		TXT: func(ctx context.Context, name string) ([]string, error) {
			txt, _, err := t.resolver.TXT(ctx, name)
			return txt, err
		},
		File: d.Policies, Keys: d.Keys, Dial: t.dialName, Roots: d.Pool,
	})
	return t, err
}

// announce tells the counters the routes.
func (t *table) announce() {
	var names []string
	for _, e := range t.entries {
		names = append(names, e.Name)
	}
	t.d.Metrics.Routes(names)
}

func newResolver(cfg *smtp.Config) (*resolve.Resolver, error) {
	if cfg.Resolver == "" {
		return resolve.System()
	}
	return &resolve.Resolver{Servers: []string{cfg.Resolver}, Proves: cfg.ResolverProves()}, nil
}

// ownAddresses are the addresses and ports at which our own doors are reached.
func ownAddresses(doors []smtp.Door) []netip.AddrPort {
	var out []netip.AddrPort
	ifs, _ := net.InterfaceAddrs() // none: a loop is then found by its many hops
	for _, d := range doors {
		host, port, _ := net.SplitHostPort(d.Listen)
		if ap, err := netip.ParseAddrPort(d.Listen); err == nil && !ap.Addr().IsUnspecified() {
			out = append(out, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
			continue
		}
		if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
			continue // a name
		}
		for _, a := range ifs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				if ap, err := netip.ParseAddrPort(net.JoinHostPort(p.Addr().Unmap().String(), port)); err == nil {
					out = append(out, ap)
				}
			}
		}
	}
	return out
}

// dialName connects to a host by its name in DNS as the configured resolver
// gives it.
func (t *table) dialName(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addrs, _, err := t.resolver.Addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	return dialEach(ctx, t.d.Dial, network, addrs, port)
}

var errNoAddress = errors.New("route: host has no address")

// dialMost is how long one of several addresses may take to connect: a way that
// is not there, as IPv6 often is not, costs no more.
const dialMost = 5 * time.Second

// dialEach connects to the first of addrs that answers, each within its share
// of the time that is left, and all but the last within dialMost.
func dialEach(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network string, addrs []netip.Addr, port string) (net.Conn, error) {
	err := errNoAddress
	for i, a := range addrs {
		actx, cancel := context.WithCancel(ctx)
		if end, ok := ctx.Deadline(); ok && i < len(addrs)-1 {
			cancel()
			actx, cancel = context.WithTimeout(ctx, min(dialMost, time.Until(end)/time.Duration(len(addrs)-i)))
		}
		var conn net.Conn
		conn, err = dial(actx, network, net.JoinHostPort(a.String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func (t *table) close() { t.clients.close() }

// fixed returns the one destination of everything from from, or nil when it
// depends on the recipient.
func (t *table) fixed(from dlp.Address) *destination {
	for _, e := range t.entries {
		if !e.MatchesSender(from) {
			continue
		}
		if !e.AnyRcpt() || e.kind == smtp.TargetMX {
			return nil
		}
		return t.destination(e, "")
	}
	return nil
}

// of returns where mail from from to a recipient in domain goes on to.
func (t *table) of(from dlp.Address, rcpt dlp.Address) *destination {
	for _, e := range t.entries {
		if e.Matches(from, rcpt.Domain) {
			return t.destination(e, rcpt.Domain)
		}
	}
	return t.destination(t.entries[len(t.entries)-1], rcpt.Domain)
}

// destination is a route, and for one by MX a domain: recipients with the same
// destination share a transaction.
type destination struct {
	t      *table
	e      *entry
	domain string // mx
	proved bool   // only servers count that prove to be the recipient's
}

func (t *table) destination(e *entry, domain string) *destination {
	d := &destination{t: t, e: e}
	if e.kind == smtp.TargetMX {
		d.domain = domain
		if domain == "" { // postmaster, RFC 5321 4.5.1: ours
			d.domain = t.cfg.Hostname
		}
	}
	return d
}

func (d *destination) same(o *destination) bool { return d.e == o.e && d.domain == o.domain }

// Begin opens a transaction with the first host that answers. A host that
// answers MAIL with 4yz is passed over too, and its reply given only if no
// other takes the message. A *unroutable says that there is no host.
func (d *destination) Begin(ctx context.Context, from dlp.Address, opt smtp.MailOptions, first smtp.Recipient) (smtp.Transaction, dlp.Reply, error) {
	none := dlp.Reply{}
	if d.e.maildir != nil && d.proved {
		return nil, none, dlp.ErrNotProved
	}
	if d.e.maildir != nil {
		return d.e.maildir.Begin(ctx, from, opt, first)
	}
	if d.e.kind == smtp.TargetMX {
		opt.Origin = smtp.Origin{} // who our client is, is for servers of our own choice
	}
	p, err := d.plan(ctx)
	if err != nil {
		d.count("unroutable")
		return nil, none, d.unproved(err)
	}
	if d.proved {
		if p, _, err = d.proving(p); err != nil {
			d.count("unroutable")
			return nil, none, err
		}
	}
	start := time.Now()
	var refusal *smtp.ReplyError
	for i, c := range d.t.order(d.e, p) {
		if i > 0 {
			if time.Since(start) > d.t.cfg.NextHopConnectTimeout.D() {
				break
			}
			d.count("failover")
		}
		tx, reply, e := c.Begin(ctx, from, opt, first)
		if e == nil {
			d.count("opened")
			return tx, reply, nil
		}
		if re, ok := errors.AsType[*smtp.ReplyError](e); ok {
			refusal = re
			if re.Permanent() {
				break
			}
		}
		err = e
		if ctx.Err() != nil {
			break
		}
	}
	if refusal != nil {
		d.count("refused")
		return nil, none, refusal
	}
	d.count("unreached")
	return nil, none, fmt.Errorf("route: %w", d.unproved(err))
}

func (d *destination) count(result string) { d.t.d.Metrics.Route(d.e.Name, result) }

// clients are the connections to each host under each way to be secured.
type clients struct {
	mu     sync.Mutex // guards all below
	closed bool
	byKey  map[string]*pooled
}

type pooled struct {
	*smtp.Client
	route string
	used  time.Time
}

// maxClients is how many hosts are known at once; the one not used for longest
// is forgotten.
const maxClients = 1000

// get returns the client at key, made by build where there is none.
func (c *clients) get(key, route string, w *work, build func() *smtp.Client) *smtp.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.byKey[key]
	if !ok {
		if len(c.byKey) >= maxClients {
			c.forgetOne(w)
		}
		p = &pooled{Client: build(), route: route}
		c.byKey[key] = p
		if c.closed {
			_ = p.Close() // it keeps no connection then
		}
	}
	p.used = time.Now()
	return p.Client
}

// forgetOne drops the client not used for longest. The caller holds mu.
func (c *clients) forgetOne(w *work) {
	oldest := ""
	for k, p := range c.byKey {
		if oldest == "" || p.used.Before(c.byKey[oldest].used) {
			oldest = k
		}
	}
	p := c.byKey[oldest]
	delete(c.byKey, oldest)
	if !w.do(func(context.Context) { _ = p.Close() }) { // says goodbye to idle connections, each within a second
		_ = p.Close() // it has no error
	}
}

func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.byKey {
		_ = p.Close() // it has no error
	}
}

// downSeen is how long a host that nobody asks any more still counts.
const downSeen = time.Hour

// Down counts the hosts of each route that count as down and were wanted within
// the last hour.
func (r *Router) Down() map[string]int {
	t := r.table.Load()
	out := map[string]int{}
	for _, e := range t.entries {
		out[e.Name] = 0
	}
	t.clients.mu.Lock()
	defer t.clients.mu.Unlock()
	for _, p := range t.clients.byKey {
		if p.Client.Down() && time.Since(p.used) < downSeen {
			out[p.route]++
		}
	}
	return out
}

// hostKey tells one way to reach and secure a host, or one destination, from
// another.
func hostKey(parts ...string) string { return strings.Join(parts, "\x00") }

// addrsText is a stable text of addresses.
func addrsText(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}
