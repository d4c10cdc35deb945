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
)

// Resolver asks the domain name system. It is satisfied by *net.Resolver.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// DNS looks at the name that stanch gives itself: it resolves, to an address
// that resolves back, as the servers that mail goes on to check.
func DNS(c smtp.Config, r Resolver) Check {
	return Check{Name: "dns", Within: 15 * time.Second, Run: func(ctx context.Context) []Finding {
		var out []Finding
		if c.Hostname != "" {
			out = append(out, hostname(ctx, c.Hostname, r)...)
		}
		if host, _, err := net.SplitHostPort(c.NextHop); err == nil && !isAddr(host) && !strings.HasPrefix(c.NextHop, "maildir:") {
			out = append(out, resolves(ctx, "smtp.next_hop", host, r))
		}
		return out
	}}
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
