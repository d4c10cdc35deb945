package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// hopWithin bounds a talk with a next hop; a server may wait some seconds with
// its greeting on purpose.
const hopWithin = 12 * time.Second

// NextHops talks to where mail goes on to, without sending any. ask is
// route.Router.Ask, err why there is no router.
func NextHops(c smtp.Config, ask func(context.Context) []route.Asked, err error) Check {
	return Check{Name: "next_hop", Within: hopWithin + 5*time.Second, Run: func(ctx context.Context) []Finding {
		if c.NextHop == "" && len(c.Routes) == 0 {
			return []Finding{good("smtp.next_hop", "no mail door, no next hop")}
		}
		if err != nil {
			return []Finding{bad("smtp.next_hop", "a file that it names cannot be used: "+reached(err), "See that the user that serves can read the certificates, keys and passwords named in [smtp] and [[smtp.routes]].")}
		}
		var out []Finding
		ourselves := map[string]bool{}
		for _, r := range c.AllRoutes() {
			for _, group := range r.Groups() {
				for _, t := range group {
					switch t.Kind {
					case smtp.TargetMaildir:
						out = append(out, maildir(t.Addr))
					case smtp.TargetMX:
						out = append(out, good("route "+r.Name, "goes to the recipient's own servers, which are known only with a recipient"))
					default:
						if f, ok := loops(ctx, c, t.Addr); ok {
							out, ourselves[t.Addr] = append(out, f), true
						}
					}
				}
			}
		}
		actx, cancel := context.WithTimeout(ctx, hopWithin)
		defer cancel()
		asked := slices.DeleteFunc(ask(actx), func(a route.Asked) bool { return ourselves[a.Host] })
		for _, a := range asked {
			out = append(out, hop(c, a, othersAnswer(asked, a))...)
		}
		return out
	}}
}

// othersAnswer reports whether another host of a's route does its part.
func othersAnswer(asked []route.Asked, a route.Asked) bool {
	return slices.ContainsFunc(asked, func(o route.Asked) bool { return o.Route == a.Route && o.Err == nil && o.Host != a.Host })
}

func maildir(dir string) Finding {
	if info, err := os.Stat(dir); err == nil && (!info.IsDir() || unix.Access(dir, unix.W_OK) != nil) {
		return bad(dir, "cannot be written to", "Give the folder of smtp.next_hop to the user that serves.")
	}
	return poor(dir, "mail ends in a folder: it goes on to nobody", `Set smtp.next_hop to the "host:port" of your mail server.`)
}

// loops reports a next hop that is one of our own doors.
func loops(ctx context.Context, c smtp.Config, target string) (Finding, bool) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return Finding{}, false
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return Finding{}, false // the DNS check says so
	}
	for _, d := range c.AllDoors() {
		lhost, lport, err := net.SplitHostPort(d.Listen)
		if err != nil || lport != port {
			continue
		}
		for _, a := range addrs {
			if sameHost(a, lhost) {
				return bad(target, "is stanch's own door "+d.Listen+": mail goes round in a circle", "Set smtp.next_hop, or next_hops of the route, to the server behind stanch."), true
			}
		}
	}
	return Finding{}, false
}

// sameHost reports whether a connection to addr reaches a listener on listen,
// on this machine.
func sameHost(addr, listen string) bool {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	l, err := netip.ParseAddr(listen)
	if err != nil && listen != "" {
		return listen == "localhost" && a.IsLoopback()
	}
	if listen != "" && !l.IsUnspecified() {
		return a.Unmap() == l.Unmap()
	}
	if a.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, o := range own {
		if n, ok := o.(*net.IPNet); ok && n.IP.String() == a.Unmap().String() {
			return true
		}
	}
	return false
}

// key names what a route is set by.
func key(route string) string {
	if route == smtp.DefaultName {
		return "smtp.next_hop"
	}
	return "route " + route
}

func hop(c smtp.Config, a route.Asked, others bool) []Finding {
	o, object := a.Offer, a.Host
	if object == "" {
		object = key(a.Route)
	}
	if a.Err != nil {
		found := "cannot be used: " + reached(a.Err)
		if others {
			return []Finding{poor(object, found+"; another host of "+key(a.Route)+" answers", "Mend that server, or take it out of "+key(a.Route)+".")}
		}
		return []Finding{bad(object, found, "Check that the server of "+key(a.Route)+" runs there and accepts mail from this machine: until then senders get 451 4.4.1 and try again.")}
	}
	out := []Finding{good(object, "%s greets with %d and offers %s", orUnnamed(o.Name), o.Greeting, strings.Join(o.Extensions, " "))}
	if strings.EqualFold(o.Name, c.Hostname) {
		out = append(out, poor(object, "gives itself our own name, "+c.Hostname+": it may be stanch itself", "Set smtp.next_hop to the server behind stanch, or give the two different names in smtp.hostname."))
	}
	if o.Size > 0 && o.Size < int64(c.MaxMessageSize) {
		out = append(out, poor(object, fmt.Sprintf("takes messages up to %s, stanch up to %s: those between are refused late", size(uint64(o.Size)), size(uint64(c.MaxMessageSize))),
			fmt.Sprintf("Set smtp.max_message_size = %d, or raise the limit there.", o.Size)))
	}
	var lacks []string
	for _, e := range []string{"8BITMIME", "SMTPUTF8", "DSN"} {
		if !o.Offers(e) {
			lacks = append(lacks, e)
		}
	}
	if len(lacks) > 0 {
		out = append(out, poor(object, "does not offer "+strings.Join(lacks, ", ")+": mail that needs it is refused or goes on without it", "Switch it on there, if the server can."))
	}
	return append(out, hopTLS(a))
}

func orUnnamed(name string) string {
	if name == "" {
		return "a server without a name"
	}
	return name
}

func hopTLS(a route.Asked) Finding {
	o, object := a.Offer, a.Host+" TLS"
	host, _, err := net.SplitHostPort(a.Host)
	near := err != nil || host == "localhost" || isAddr(host) && sameHost(host, "") // a socket, or this machine
	verified := a.TLS != smtp.TLSOff && a.TLS != smtp.TLSOpportunistic && a.TLS != smtp.TLSRequired
	switch {
	case a.TLS == smtp.TLSOff && near:
		return good(object, "not used, on this machine")
	case a.TLS == smtp.TLSOff:
		return poor(object, "not used: mail goes on in the clear", `Set smtp.next_hop_tls, or tls of the route, to "verified".`)
	case o.TLSError != nil:
		return bad(object, "STARTTLS is offered and fails: "+reached(o.TLSError), "Mend TLS on that server: until then no mail passes.")
	case !o.TLS && a.TLS != smtp.TLSOpportunistic:
		return bad(object, "STARTTLS is not offered, and "+a.TLS+" asks for it: no mail passes", "Switch on STARTTLS on that server.")
	case !o.TLS && near:
		return good(object, "not offered, on this machine")
	case !o.TLS:
		return poor(object, "STARTTLS is not offered: mail goes on in the clear", `Switch on STARTTLS on that server, then set smtp.next_hop_tls, or tls of the route, to "verified".`)
	case o.Proof != nil && verified:
		return bad(object, "its certificate does not prove who it is ("+certText(o.Proof)+"): no mail passes",
			"Give that server a certificate for "+host+", or name what to accept in smtp.next_hop_name, next_hop_ca or next_hop_pins, or tls_name, tls_ca or tls_pins of the route.")
	case o.Proof != nil && near:
		return good(object, "%s; its certificate proves nothing (%s), on this machine", tls.VersionName(o.Version), certText(o.Proof))
	case o.Proof != nil:
		return poor(object, fmt.Sprintf("%s; its certificate does not prove who it is: %s", tls.VersionName(o.Version), certText(o.Proof)),
			"Give that server a certificate for "+host+", then set smtp.next_hop_tls, or tls of the route, to \"verified\".")
	case time.Until(o.CertEnds) < certWarn:
		return poor(object, "its certificate ends on "+o.CertEnds.Format(time.DateOnly), "Have it renewed, unless its key alone is pinned.")
	case !verified && !near:
		return poor(object, fmt.Sprintf("%s, and its certificate proves that it is %s, which is not asked for: one in between could take its place", tls.VersionName(o.Version), host),
			`Set smtp.next_hop_tls, or tls of the route, to "verified".`)
	}
	return good(object, "%s, its certificate proves who it is, until %s", tls.VersionName(o.Version), o.CertEnds.Format(time.DateOnly))
}

// certText is why a certificate is not accepted, without the long lists of
// names that x509 adds.
func certText(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "another name"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "expired, or not valid yet"
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}

// reached words an error of the network without the address it repeats.
func reached(err error) string {
	slow, isNet := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || isNet && slow.Timeout() { // closed: by us, as time is up
		return "no answer in time"
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok && oe.Op == "dial" {
		if no, ok := errors.AsType[unix.Errno](oe.Err); ok {
			return "connect: " + no.Error()
		}
	}
	return strings.TrimPrefix(err.Error(), "smtp: ")
}
