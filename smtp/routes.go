package smtp

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Route is one of [[smtp.routes]].
type Route struct {
	// Name is what logs and measurements call the route: a lower-case word.
	Name string `toml:"name"`
	// Recipients are the domains that the route is for: "partner.example", "*.partner.example" (all below it) or "*". None: all.
	Recipients []string `toml:"recipients"`
	// Senders are those whose mail the route is for: addresses, domains as in recipients, or "<>" for the null sender. None: all.
	Senders []string `toml:"senders"`
	// NextHops say where mail goes on to: groups of "host:port" or "lmtp:host:port", "lmtp:/run/SOCKET", tried in order; those of one group, with commas between, take turns. Or alone: "mx" (the recipient's own servers by DNS), "mx@PORT", "maildir:DIR".
	NextHops []string `toml:"next_hops"`
	// TLS is as next_hop_tls. With "mx" it may also be "mta-sts" (what the recipient's domain promises by MTA-STS, else opportunistic) or "dane" (what it promises by DANE, else as "mta-sts"); "dane" also goes with host names.
	TLS string `toml:"tls"`
	// TLSName is as next_hop_name.
	TLSName string `toml:"tls_name"`
	// TLSCA is as next_hop_ca.
	TLSCA string `toml:"tls_ca"`
	// TLSPins are as next_hop_pins.
	TLSPins []string `toml:"tls_pins"`
	// TLSCert is as next_hop_cert.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is as next_hop_key.
	TLSKey string `toml:"tls_key"`
	// Auth is as next_hop_auth.
	Auth string `toml:"auth"`
}

// DefaultName is the name of the route that next_hop is.
const DefaultName = "default"

// DefaultRoute returns a route as it is when nothing is set.
func DefaultRoute() Route { return Route{TLS: TLSOpportunistic} }

// AllRoutes are the routes in the order in which they are looked at: those of
// [[smtp.routes]], and last next_hop, which takes every recipient.
func (c *Config) AllRoutes() []Route {
	return append(slices.Clone(c.Routes), Route{
		Name: DefaultName, NextHops: []string{c.NextHop}, TLS: c.NextHopTLS, TLSName: c.NextHopName, TLSCA: c.NextHopCA,
		TLSPins: c.NextHopPins, TLSCert: c.NextHopCert, TLSKey: c.NextHopKey, Auth: c.NextHopAuth,
	})
}

// TargetKind is a kind of next hop.
type TargetKind string

// The kinds of next hop.
const (
	TargetSMTP    TargetKind = "smtp"
	TargetLMTP    TargetKind = "lmtp"
	TargetMX      TargetKind = "mx"
	TargetMaildir TargetKind = "maildir"
)

// Target is a next hop as it is written in the configuration.
type Target struct {
	Kind TargetKind
	Addr string // host:port; the path of a socket; for an MX the port; a folder
}

// mxPort is where mail servers listen. RFC 5321 4.5.4.2.
const mxPort = "25"

// ParseTarget reads "host:port", "lmtp:host:port", "lmtp:/SOCKET", "mx",
// "mx@PORT" or "maildir:DIR".
func ParseTarget(s string) (Target, bool) {
	if s == "mx" {
		return Target{TargetMX, mxPort}, true
	}
	if port, ok := strings.CutPrefix(s, "mx@"); ok {
		return Target{TargetMX, port}, hostPort("x:" + port)
	}
	if dir, ok := strings.CutPrefix(s, maildirPrefix); ok {
		return Target{TargetMaildir, dir}, dir != ""
	}
	if addr, ok := strings.CutPrefix(s, "lmtp:"); ok && (strings.HasPrefix(addr, "/") || hostPort(addr)) {
		return Target{TargetLMTP, addr}, true
	}
	return Target{TargetSMTP, s}, hostPort(s)
}

// Groups takes NextHops apart: the groups in order, each with its members.
func (r *Route) Groups() [][]Target {
	var out [][]Target
	for _, g := range r.NextHops {
		var group []Target
		for s := range strings.SplitSeq(g, ",") {
			t, _ := ParseTarget(strings.TrimSpace(s)) // Validate has accepted it
			group = append(group, t)
		}
		out = append(out, group)
	}
	return out
}

// Paths are the keys that hold the path of a file, to be made absolute.
func (r *Route) Paths() []*string { return []*string{&r.TLSCA, &r.TLSCert, &r.TLSKey, &r.Auth} }

// MapFolders replaces the folder of each maildir.
func (r *Route) MapFolders(f func(string) string) {
	for i, g := range r.NextHops {
		if dir, ok := strings.CutPrefix(g, maildirPrefix); ok && dir != "" {
			r.NextHops[i] = maildirPrefix + f(dir)
		}
	}
}

var routeName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// validateHops checks next_hop, routes and resolver.
func (c *Config) validateHops(v *validation) {
	if len(c.AllDoors()) > 0 || c.NextHop != "" {
		if t, ok := ParseTarget(c.NextHop); !ok {
			v.want("smtp.next_hop", `"host:port", "lmtp:host:port", "mx" or "maildir:DIR"`)
		} else if t.Kind == TargetSMTP && c.isDoor(c.NextHop) {
			v.want("smtp.next_hop", "another server: this is the mail door itself")
		} else if t.Kind == TargetSMTP {
			v.hostPort("smtp.next_hop", c.NextHop)
		}
	}
	routes := c.AllRoutes()
	for i := range routes {
		prefix := fmt.Sprintf("smtp.routes[%d]", i)
		r := &routes[i]
		if i < len(c.Routes) {
			r.validate(v, prefix)
			if r.Name == DefaultName || slices.ContainsFunc(routes[:i], func(o Route) bool { return o.Name == r.Name }) {
				v.want(prefix+".name", "a name that no other route has, and not default")
			}
			for j, g := range r.NextHops {
				for s := range strings.SplitSeq(g, ",") {
					if c.isDoor(strings.TrimSpace(s)) {
						v.want(fmt.Sprintf("%s.next_hops[%d]", prefix, j), "another server: this is the mail door itself")
					}
				}
			}
		}
		if i == len(c.Routes) {
			prefix = ""
		}
		r.validateTLS(v, keysOf(prefix), c.ResolverProves())
	}
	if c.Resolver != "" {
		v.hostPort("smtp.resolver", c.Resolver)
	}
	if c.ResolverTrusted && c.Resolver == "" {
		v.want("smtp.resolver_trusted", "false, or a resolver")
	}
}

// isDoor reports whether addr is written as one of our own doors is.
func (c *Config) isDoor(addr string) bool {
	return slices.ContainsFunc(c.AllDoors(), func(d Door) bool { return d.Listen == addr })
}

// ResolverProves reports whether the resolver's word is believed that an answer
// is proved: nobody may stand between it and us.
func (c *Config) ResolverProves() bool {
	host, _, err := net.SplitHostPort(c.Resolver)
	ip := net.ParseIP(host)
	return err == nil && (c.ResolverTrusted || ip != nil && ip.IsLoopback())
}

// validate checks all of a route but its TLS.
func (r *Route) validate(v *validation, prefix string) {
	digits := strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, r.Name)
	if !routeName.MatchString(r.Name) || len(r.Name) > 40 || len(digits) > 6 {
		v.want(prefix+".name", "a lower-case word such as partner-a, with at most six digits")
	}
	for i, d := range r.Recipients {
		v.domain(fmt.Sprintf("%s.recipients[%d]", prefix, i), d, isDomainPattern(d), `a domain such as "partner.example", "*.partner.example" or "*"`)
	}
	for i, s := range r.Senders {
		_, err := ParseAddress(s)
		v.domain(fmt.Sprintf("%s.senders[%d]", prefix, i), s, s == "<>" || isDomainPattern(s) || err == nil, `an address, a domain, "*.clinic.example" or "<>"`)
	}
	if len(r.NextHops) == 0 {
		v.want(prefix+".next_hops", `["host:port"], ["mx"] or ["maildir:DIR"]`)
	}
	members := 0
	for i, g := range r.NextHops {
		for s := range strings.SplitSeq(g, ",") {
			members++
			t, ok := ParseTarget(strings.TrimSpace(s))
			if !ok {
				v.want(fmt.Sprintf("%s.next_hops[%d]", prefix, i), `"host:port", "lmtp:host:port", "lmtp:/run/SOCKET", "mx" or "maildir:DIR"`)
			}
			if (t.Kind == TargetMX || t.Kind == TargetMaildir) && (len(r.NextHops) > 1 || strings.Contains(g, ",")) {
				v.want(fmt.Sprintf("%s.next_hops[%d]", prefix, i), string(t.Kind)+" alone, with no other next hop beside it")
			}
		}
	}
	if members > maxHosts {
		v.want(prefix+".next_hops", fmt.Sprintf("at most %d", maxHosts))
	}
}

// maxHosts is how many hosts a route may name: each takes its part of the time
// in which one must answer.
const maxHosts = 16

func isDomainPattern(s string) bool {
	if s == "*" {
		return true
	}
	_, ok := parseDomain(strings.TrimPrefix(s, "*."))
	return ok
}

// kind is that of r's next hops; "" where none can be read.
func (r *Route) kind() TargetKind {
	if gs := r.Groups(); len(gs) > 0 && len(gs[0]) > 0 {
		return gs[0][0].Kind
	}
	return ""
}

// Matches reports whether the route is for mail from from to a recipient in
// domain, lower case.
func (r *Route) Matches(from dlp.Address, domain string) bool {
	return r.MatchesSender(from) && (len(r.Recipients) == 0 || slices.ContainsFunc(r.Recipients, func(p string) bool { return matchDomain(p, domain) }))
}

// AnyRcpt reports whether the route is for every recipient.
func (r *Route) AnyRcpt() bool { return len(r.Recipients) == 0 || slices.Contains(r.Recipients, "*") }

// MatchesSender reports whether the route is for mail from from.
func (r *Route) MatchesSender(from dlp.Address) bool {
	return len(r.Senders) == 0 || slices.ContainsFunc(r.Senders, func(p string) bool {
		switch {
		case p == "<>":
			return from.IsNull()
		case strings.Contains(p, "@"):
			return strings.EqualFold(p, from.String())
		}
		return !from.IsNull() && matchDomain(p, from.Domain)
	})
}

// matchDomain reports whether domain, lower case, fits a pattern.
func matchDomain(pattern, domain string) bool {
	if pattern == "*" {
		return true
	}
	pattern = strings.ToLower(pattern)
	if below, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(domain, below) && len(domain) > len(below)
	}
	return domain == pattern
}

// OpenMaildir opens the folder that a target names.
func (t Target) OpenMaildir() (*Maildir, error) { return NewMaildir(filepath.Clean(t.Addr)) }

// hostPort reports whether s is host:port.
func hostPort(s string) bool {
	var v validation
	v.hostPort("", s)
	return len(v.errs) == 0
}
