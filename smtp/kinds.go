package smtp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// The protocols of a Door.
const (
	DoorSMTP       = "smtp"       // for relays
	DoorSubmission = "submission" // for people's programs: after TLS and a login only; RFC 6409
	DoorLMTP       = "lmtp"       // an answer for each recipient; RFC 2033
)

// The values of a Door's TLS.
const (
	DoorTLSOffered  = "offered"  // STARTTLS, when a certificate is configured
	DoorTLSRequired = "required" // nothing before STARTTLS
	DoorTLSImplicit = "implicit" // TLS from the first byte; RFC 8314 3
)

// Door is one listener that differs from those of listen. The zero value is
// one of these.
type Door struct {
	// Listen is the address of this door, as "host:port".
	Listen string `toml:"listen"`
	// Protocol is "smtp", "submission" (after TLS and a login only) or "lmtp". Empty: "smtp".
	Protocol string `toml:"protocol"`
	// TLS is "offered" (STARTTLS), "required" (nothing before STARTTLS) or "implicit" (TLS from the first byte). Empty: "offered"; for submission "required".
	TLS string `toml:"tls"`
	// Proxy says that each connection begins with a PROXY header, version 1 or 2, of a proxy in smtp.proxy_from; any other connection is refused.
	Proxy bool `toml:"proxy"`
}

// Auth is the section [smtp.auth].
type Auth struct {
	// Users is the file of those who may log in and send, as `stanch smtp-user` keeps it. With it, AUTH PLAIN and SCRAM-SHA-256 are offered once a connection is secured, to clients outside smtp.networks too.
	Users string `toml:"users"`
	// OwnSender says that who logged in sends as themselves only: the sender address is the name they logged in with, in whatever case, or empty.
	OwnSender bool `toml:"own_sender"`
}

// AllDoors are the doors of listen, and after them the others.
func (c *Config) AllDoors() []Door {
	var out []Door
	for _, l := range c.Listen {
		out = append(out, Door{Listen: l})
	}
	return append(out, c.Doors...)
}

// validateDoors reports doors that cannot work: a promise of TLS without a
// certificate, of a login without users.
func (c *Config) validateDoors(v *validation) {
	seen := map[string]bool{}
	for _, l := range c.Listen {
		seen[l] = true
	}
	for i, d := range c.Doors {
		key := func(k string) string { return fmt.Sprintf("smtp.doors[%d].%s", i, k) }
		v.hostPort(key("listen"), d.Listen)
		_, port, _ := net.SplitHostPort(d.Listen) // told by hostPort
		if seen[d.Listen] && port != "0" {
			v.want(key("listen"), "an address that no other door has")
		}
		seen[d.Listen] = true
		if !slices.Contains([]string{"", DoorSMTP, DoorSubmission, DoorLMTP}, d.Protocol) {
			v.want(key("protocol"), "smtp, submission or lmtp")
		}
		if !slices.Contains([]string{"", DoorTLSOffered, DoorTLSRequired, DoorTLSImplicit}, d.TLS) {
			v.want(key("tls"), "offered, required or implicit")
		}
		d = d.filled()
		if d.TLS != DoorTLSOffered && c.TLSCert == "" {
			v.want(key("tls"), "smtp.tls_cert and smtp.tls_key, without which there is no TLS")
		}
		if d.Protocol == DoorSubmission && d.TLS == DoorTLSOffered {
			v.want(key("tls"), "required or implicit: a password does not go in the clear")
		}
		if d.Protocol == DoorSubmission && c.Auth.Users == "" {
			v.want(key("protocol"), "smtp.auth.users, without which nobody can log in")
		}
		if d.Proxy && len(c.ProxyFrom) == 0 {
			v.want(key("proxy"), "smtp.proxy_from, without which no proxy is believed")
		}
	}
	if _, i := ParseNetworks(c.ProxyFrom); i >= 0 {
		v.want(fmt.Sprintf("smtp.proxy_from[%d]", i), "a network such as 192.0.2.0/24")
	}
	if _, i := ParseNetworks(c.XClientFrom); i >= 0 {
		v.want(fmt.Sprintf("smtp.xclient_from[%d]", i), "a network such as 192.0.2.0/24")
	}
	if c.Auth.Users != "" && c.TLSCert == "" {
		v.want("smtp.auth.users", "smtp.tls_cert and smtp.tls_key: nobody logs in without TLS")
	}
	if c.Auth.OwnSender && c.Auth.Users == "" {
		v.want("smtp.auth.own_sender", "smtp.auth.users")
	}
}

// filled is d with what its empty values mean.
func (d Door) filled() Door {
	if d.Protocol == "" {
		d.Protocol = DoorSMTP
	}
	switch {
	case d.TLS != "":
	case d.Protocol == DoorSubmission:
		d.TLS = DoorTLSRequired
	default:
		d.TLS = DoorTLSOffered
	}
	return d
}

func within(nets []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// enters reports whether client may have a session at d at all. Where there are
// users, everybody may: who is outside the networks has to log in.
func (s *Server) enters(d Door, client netip.Addr) bool {
	return within(s.nets, client) || within(s.xclients, client) || s.d.Users != nil && d.Protocol != DoorLMTP
}

// multiplexed reports a peer that stands in for others: what one client may
// have does not bind it.
func (s *Server) multiplexed(d Door, peer netip.Addr) bool {
	return d.Proxy || within(s.xclients, peer)
}
