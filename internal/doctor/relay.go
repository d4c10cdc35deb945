package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/stanch-dlp/stanch/smtp"
)

// Of how many addresses a network may be of which a site can say that all are
// its own: a provider's hundred thousand are shared by its customers.
const (
	ownBits4 = 22 // 1,024 addresses of the internet, a provider's usual largest assignment to one site
	ownBits6 = 48 // what a site is assigned, RFC 6177
	allBits4 = 8  // beyond the largest block that anybody was given: not a list of clients any more
	allBits6 = 16
)

// Relay looks at who may relay without a login, and at whose word on that is
// believed. milters are those who may connect to the milter door, where there
// is one.
func Relay(c smtp.Config, milters []string) Check {
	return Check{Name: "relay", Run: func(context.Context) []Finding {
		doors := c.AllDoors()
		if len(doors) == 0 && len(milters) == 0 {
			return []Finding{good("smtp.listen", "no mail door, nobody relays")}
		}
		var out []Finding
		if len(doors) > 0 {
			out = append(out, networks("smtp.networks", c.Networks, "may relay to anywhere, without a login", "List your mail servers alone; others log in, [smtp.auth]."))
		}
		if len(c.XClientFrom) > 0 {
			out = append(out, networks("smtp.xclient_from", c.XClientFrom, "may say that they speak for anybody, logins included", "List the addresses of your mail proxies and filters alone."))
		}
		if slices.ContainsFunc(doors, func(d smtp.Door) bool { return d.Proxy }) {
			out = append(out, networks("smtp.proxy_from", c.ProxyFrom, "may say that they speak for any address, those of smtp.networks included", "List the addresses of your proxies alone."))
		}
		if len(milters) > 0 {
			out = append(out, networks("milter.networks", milters, "may hand in mail by the milter door as your mail server does", "List your mail servers alone."))
		}
		return out
	}}
}

// networks judges who is named by a list of networks; may is what they may do.
func networks(key string, list []string, may, remedy string) Finding {
	nets, i := smtp.ParseNetworks(list)
	if i >= 0 {
		return bad(key, fmt.Sprintf("its entry %d is no network", i+1), remedy)
	}
	worst := good(key, "%d networks, none larger than one site's", len(nets))
	for _, p := range nets {
		own, all := ownBits4, allBits4
		if p.Addr().Is6() {
			own, all = ownBits6, allBits6
		}
		a := p.Addr()
		switch {
		case a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast(), shared.Contains(a):
		case p.Bits() < all:
			return bad(key, fmt.Sprintf("anybody in %s %s", p, may), remedy)
		case p.Bits() < own:
			worst = poor(key, fmt.Sprintf("all of %s, which is more of the internet than one site has, %s", p, may), remedy)
		}
	}
	return worst
}

// shared are the addresses behind a provider's NAT. RFC 6598.
var shared = netip.MustParsePrefix("100.64.0.0/10")
