// Package resolve asks DNS where a domain's mail goes, and whether the answer is
// proved.
//
// An answer is proved when a validating resolver says so in the AD bit and the
// configuration trusts the way to that resolver. stanch checks no signature
// itself.
//
// Sources: RFC 1035, RFC 5321 5.1 (MX), RFC 7505 (null MX), RFC 6698 (TLSA),
// RFC 6840 5.7 (the AD bit in a query), RFC 6891 (EDNS).
package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Errors a caller chooses by.
var (
	// ErrNoDomain says that the name does not exist, NXDOMAIN.
	ErrNoDomain = errors.New("resolve: no such domain")
	// ErrFailed says that there is no answer now: SERVFAIL, a time-out, an
	// answer that cannot be read, a proof that fails.
	ErrFailed = errors.New("resolve: no answer")
)

// Resolver asks its servers, in their order. It is safe for use by many
// goroutines and keeps nothing: caching is the servers' work.
type Resolver struct {
	Servers []string // host:port
	Proves  bool     // what the servers say in the AD bit is believed
}

const (
	tryTimeout = 3 * time.Second  // of one question to one server
	askTimeout = 12 * time.Second // of one question in all
	tries      = 2                // rounds over the servers
	udpSize    = 1232             // bytes of an answer by UDP; DNS flag day 2020
	systemFile = "/etc/resolv.conf"
	maxRecords = 100 // of one answer that are read
)

// System returns the Resolver that this machine's programs use. Its answers are
// never proved.
func System() (*Resolver, error) {
	c, err := dns.ClientConfigFromFile(systemFile)
	if err != nil || len(c.Servers) == 0 {
		return nil, fmt.Errorf("resolve: %s names no resolver", systemFile)
	}
	r := &Resolver{}
	for _, s := range c.Servers {
		r.Servers = append(r.Servers, net.JoinHostPort(s, c.Port))
	}
	return r, nil
}

// Meta is what is known about an answer beside its records.
type Meta struct {
	Proved bool          // by DNSSEC; of no records: that there are none
	TTL    time.Duration // how long it may be kept
	Name   string        // where the records stand: the name asked for, or what it is an alias of
}

// MX is a mail server of a domain.
type MX struct {
	Pref uint16
	Host string // lower case, without the final dot; "" for the null MX
}

// MX returns a domain's mail servers, the most preferred first; none if it
// names none.
func (r *Resolver) MX(ctx context.Context, domain string) ([]MX, Meta, error) {
	rrs, meta, err := r.ask(ctx, domain, dns.TypeMX)
	var out []MX
	for _, rr := range rrs {
		if mx, ok := rr.(*dns.MX); ok {
			out = append(out, MX{mx.Preference, plain(mx.Mx)})
		}
	}
	slices.SortStableFunc(out, func(a, b MX) int { return int(a.Pref) - int(b.Pref) })
	return out, meta, err
}

// Addrs returns a host's addresses, IPv6 before IPv4; none if it has none. It
// is an error only when neither kind could be had.
func (r *Resolver) Addrs(ctx context.Context, host string) ([]netip.Addr, Meta, error) {
	four, meta4, err4 := r.ask(ctx, host, dns.TypeA)
	six, meta6, err6 := r.ask(ctx, host, dns.TypeAAAA)
	var out []netip.Addr
	for _, rr := range slices.Concat(six, four) {
		switch rr := rr.(type) {
		case *dns.AAAA:
			out = append(out, addr(rr.AAAA))
		case *dns.A:
			out = append(out, addr(rr.A))
		}
	}
	out = slices.DeleteFunc(out, func(a netip.Addr) bool { return !a.IsValid() })
	switch {
	case err4 != nil && err6 != nil:
		return nil, meta4, err4
	case err4 != nil && len(out) == 0: // the other kind alone has nothing
		return nil, meta4, err4
	case err6 != nil && len(out) == 0:
		return nil, meta6, err6
	case err4 != nil:
		return out, meta6, nil
	case err6 != nil:
		return out, meta4, nil
	}
	meta := Meta{Proved: meta4.Proved && meta6.Proved, TTL: min(meta4.TTL, meta6.TTL), Name: meta4.Name}
	if meta4.Name != meta6.Name {
		meta.Name = plain(host)
	}
	return out, meta, nil
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip) // the zero Addr for what is none
	return a.Unmap()
}

// Alias asks about an alias alone, not what it leads to: whether it is proved, for
// all that what it leads to may not be.
func (r *Resolver) Alias(ctx context.Context, name string) (Meta, error) {
	_, meta, err := r.ask(ctx, name, dns.TypeCNAME)
	return meta, err
}

// TXT returns a name's texts, each joined from its strings.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, Meta, error) {
	rrs, meta, err := r.ask(ctx, name, dns.TypeTXT)
	var out []string
	for _, rr := range rrs {
		if t, ok := rr.(*dns.TXT); ok {
			out = append(out, strings.Join(t.Txt, ""))
		}
	}
	return out, meta, err
}

// TLSA is what a domain says about a certificate. RFC 6698 2.1.
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      string // hexadecimal, lower case
}

// TLSA returns the records at name, such as "_25._tcp.mx.example".
func (r *Resolver) TLSA(ctx context.Context, name string) ([]TLSA, Meta, error) {
	rrs, meta, err := r.ask(ctx, name, dns.TypeTLSA)
	var out []TLSA
	for _, rr := range rrs {
		if t, ok := rr.(*dns.TLSA); ok {
			out = append(out, TLSA{t.Usage, t.Selector, t.MatchingType, strings.ToLower(t.Certificate)})
		}
	}
	return out, meta, err
}

// plain is a name in lower case, without the final dot.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// ask returns the records of a type at name, or at what it is an alias of.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, Meta, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return nil, Meta{}, ErrNoDomain
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.SetEdns0(udpSize, false)
	q.AuthenticatedData = true
	for range tries {
		for _, s := range r.Servers {
			a := exchange(ctx, s, q)
			if a == nil {
				continue
			}
			switch a.Rcode {
			case dns.RcodeSuccess:
				return r.read(a, name, kind)
			case dns.RcodeNameError:
				meta := Meta{Proved: r.Proves && a.AuthenticatedData, TTL: negativeTTL(a), Name: plain(name)}
				return nil, meta, ErrNoDomain
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, Meta{}, ErrFailed
}

// exchange asks one server, by TCP when the answer does not fit; nil when there
// is none.
func exchange(ctx context.Context, server string, q *dns.Msg) *dns.Msg {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	q = q.Copy()
	for _, network := range []string{"udp", "tcp"} {
		q.Id = dns.Id()
		c := dns.Client{Net: network, UDPSize: udpSize}
		a, _, err := c.ExchangeContext(ctx, q, server)
		if err != nil || a == nil || !a.Response || len(a.Question) != 1 || a.Question[0] != q.Question[0] &&
			!strings.EqualFold(a.Question[0].Name, q.Question[0].Name) {
			return nil
		}
		if !a.Truncated {
			return a
		}
	}
	return nil
}

// read takes the records out of an answer, along the aliases it tells of.
func (r *Resolver) read(a *dns.Msg, name string, kind uint16) ([]dns.RR, Meta, error) {
	meta := Meta{Proved: r.Proves && a.AuthenticatedData, Name: plain(name), TTL: time.Hour}
	answer := a.Answer[:min(len(a.Answer), maxRecords)]
	for range len(answer) { // as many aliases as there are records, so that a loop ends
		next := slices.IndexFunc(answer, func(rr dns.RR) bool {
			return rr.Header().Rrtype == dns.TypeCNAME && plain(rr.Header().Name) == meta.Name
		})
		if next < 0 || kind == dns.TypeCNAME {
			break
		}
		c, ok := answer[next].(*dns.CNAME)
		if !ok {
			break
		}
		meta.Name, meta.TTL = plain(c.Target), min(meta.TTL, ttl(c))
	}
	var out []dns.RR
	for _, rr := range answer {
		if rr.Header().Rrtype == kind && plain(rr.Header().Name) == meta.Name {
			out = append(out, rr)
			meta.TTL = min(meta.TTL, ttl(rr))
		}
	}
	if len(out) == 0 {
		meta.TTL = negativeTTL(a)
	}
	return out, meta, nil
}

func ttl(rr dns.RR) time.Duration { return time.Duration(rr.Header().Ttl) * time.Second }

// negativeTTL is how long it may be kept that there is nothing. RFC 2308 5.
func negativeTTL(a *dns.Msg) time.Duration {
	for _, rr := range a.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(ttl(soa), time.Duration(soa.Minttl)*time.Second, time.Hour)
		}
	}
	return time.Minute
}
