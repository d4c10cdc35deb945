package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/resolve"
)

// Resolver asks the domain name system. It is satisfied by *net.Resolver.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Prover asks for the text at a name, and says whether the answer is proved. It
// is satisfied by *resolve.Resolver.
type Prover interface {
	TXT(ctx context.Context, name string) ([]string, resolve.Meta, error)
}

// DNS looks at the name that stanch gives itself: it resolves, to an address
// that resolves back, as the servers that mail goes on to check.
//
// ask is the resolver that mail is routed by; nil: the system's, of which
// nothing more is asked.
func DNS(c smtp.Config, r Resolver, ask Prover) Check {
	return Check{Name: "dns", Within: 15 * time.Second, Run: func(ctx context.Context) []Finding {
		var out []Finding
		if c.Hostname != "" {
			out = append(out, hostname(ctx, c.Hostname, r)...)
		}
		for _, host := range hosts(c) {
			out = append(out, resolves(ctx, host[0], host[1], r))
		}
		return append(out, proving(ctx, c, ask)...)
	}}
}

// hosts are the next hops that have a name, each after the key that names it.
func hosts(c smtp.Config) [][2]string {
	var out [][2]string
	for _, r := range c.AllRoutes() {
		key := "smtp.next_hop"
		if r.Name != smtp.DefaultName {
			key = "next_hops of route " + r.Name
		}
		for _, group := range r.Groups() {
			for _, t := range group {
				host, _, err := net.SplitHostPort(t.Addr)
				if (t.Kind == smtp.TargetSMTP || t.Kind == smtp.TargetLMTP) && err == nil && !isAddr(host) {
					out = append(out, [2]string{key, host})
				}
			}
		}
	}
	return out
}

// proving asks the configured resolver for the root zone, which is signed, and
// looks whether it says so: without that, DANE proves nothing.
func proving(ctx context.Context, c smtp.Config, ask Prover) []Finding {
	const object = "smtp.resolver"
	dane := slices.ContainsFunc(c.AllRoutes(), func(r smtp.Route) bool { return r.TLS == smtp.TLSDANE })
	if ask == nil || c.Resolver == "" {
		if dane {
			return []Finding{bad(object, "none, and a route asks for DANE: nothing is ever proved", `Run a validating resolver on this machine, and set smtp.resolver = "127.0.0.1:53".`)}
		}
		return nil
	}
	_, meta, err := ask.TXT(ctx, ".")
	switch {
	case err != nil:
		return []Finding{bad(object, c.Resolver+" does not answer", "See that a resolver listens on "+c.Resolver+": routes by MX wait for it.")}
	case dane && !meta.Proved:
		return []Finding{bad(object, c.Resolver+" does not say that the root zone is proved (AD bit): it does not validate, and DANE proves nothing",
			"Switch validation on in that resolver (unbound: `module-config: \"validator iterator\"`), or take another.")}
	case !meta.Proved:
		return []Finding{good(object, "%s answers; it does not validate, and nothing asks for that", c.Resolver)}
	}
	return []Finding{good(object, "%s answers, and validates", c.Resolver)}
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func resolves(ctx context.Context, key, host string, r Resolver) Finding {
	addrs, err := r.LookupHost(ctx, host)
	if err == nil {
		return good(host, "%s resolves to %s", key, strings.Join(addrs, ", "))
	}
	if de, ok := errors.AsType[*net.DNSError](err); ok && de.IsNotFound {
		return bad(host, key+" does not resolve: there is no such name", "Set "+key+" to a name that resolves, or to an address.")
	}
	return bad(host, "the name server does not answer", "Check /etc/resolv.conf: mail waits until the name of "+key+" resolves.")
}

func hostname(ctx context.Context, name string, r Resolver) []Finding {
	const object = "smtp.hostname"
	addrs, err := r.LookupHost(ctx, name)
	if de, ok := errors.AsType[*net.DNSError](err); ok && de.IsNotFound {
		return []Finding{poor(object, name+" does not resolve: servers that check it may refuse mail from here",
			"Enter "+name+" in the DNS with this machine's address, or set smtp.hostname to a name that is there.")}
	}
	if err != nil {
		return []Finding{poor(object, "the name server does not answer for "+name, "Check /etc/resolv.conf.")}
	}
	var back []string
	for _, a := range addrs {
		names, err := r.LookupAddr(ctx, a)
		if err == nil && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), name) }) {
			return []Finding{good(object, "%s resolves to %s, and back", name, a)}
		}
		back = append(back, names...)
	}
	found := fmt.Sprintf("%s resolves to %s, which does not resolve back", name, strings.Join(addrs, ", "))
	if len(back) > 0 {
		found = fmt.Sprintf("%s resolves to %s, which resolves back to %s", name, strings.Join(addrs, ", "), strings.Join(back, ", "))
	}
	return []Finding{poor(object, found, "Have the address's PTR record name "+name+": many servers refuse mail from a host whose names disagree.")}
}
