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
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/smtp"
)

// hopWithin bounds a talk with a next hop; a server may wait some seconds with
// its greeting on purpose.
const hopWithin = 12 * time.Second

// NextHops talks to where mail goes on to, without sending any.
func NextHops(c smtp.Config) Check {
	return Check{Name: "next_hop", Within: hopWithin + 5*time.Second, Run: func(ctx context.Context) []Finding {
		if c.NextHop == "" {
			return []Finding{good("smtp.next_hop", "no mail door, no next hop")}
		}
		if dir, ok := strings.CutPrefix(c.NextHop, "maildir:"); ok {
			return []Finding{maildir(dir)}
		}
		if f, ok := loops(ctx, c); ok {
			return []Finding{f}
		}
		return hop(ctx, c)
	}}
}

func maildir(dir string) Finding {
	if info, err := os.Stat(dir); err == nil && (!info.IsDir() || unix.Access(dir, unix.W_OK) != nil) {
		return bad(dir, "cannot be written to", "Give the folder of smtp.next_hop to the user that serves.")
	}
	return poor(dir, "mail ends in a folder: it goes on to nobody", `Set smtp.next_hop to the "host:port" of your mail server.`)
}

// loops reports a next hop that is one of our own doors.
func loops(ctx context.Context, c smtp.Config) (Finding, bool) {
	host, port, err := net.SplitHostPort(c.NextHop)
	if err != nil {
		return Finding{}, false
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return Finding{}, false // the DNS check says so
	}
	for _, l := range c.Listen {
		lhost, lport, err := net.SplitHostPort(l)
		if err != nil || lport != port {
			continue
		}
		for _, a := range addrs {
			if sameHost(a, lhost) {
				return bad(c.NextHop, "is stanch's own door "+l+": mail goes round in a circle", "Set smtp.next_hop to the server behind stanch."), true
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

func hop(ctx context.Context, c smtp.Config) []Finding {
	o, err := c.AskNextHop(ctx, hopWithin)
	if err != nil {
		return []Finding{bad(c.NextHop, "cannot be used: "+reached(err), "Check that the server of smtp.next_hop runs there and accepts mail from this machine: until then senders get 451 4.4.1 and try again.")}
	}
	out := []Finding{good(c.NextHop, "%s greets with %d and offers %s", orUnnamed(o.Name), o.Greeting, strings.Join(o.Extensions, " "))}
	if strings.EqualFold(o.Name, c.Hostname) {
		out = append(out, poor(c.NextHop, "gives itself our own name, "+c.Hostname+": it may be stanch itself", "Set smtp.next_hop to the server behind stanch, or give the two different names in smtp.hostname."))
	}
	if o.Size > 0 && o.Size < int64(c.MaxMessageSize) {
		out = append(out, poor(c.NextHop, fmt.Sprintf("takes messages up to %s, stanch up to %s: those between are refused late", size(uint64(o.Size)), size(uint64(c.MaxMessageSize))),
			fmt.Sprintf("Set smtp.max_message_size = %d, or raise the limit there.", o.Size)))
	}
	var lacks []string
	for _, e := range []string{"8BITMIME", "SMTPUTF8", "DSN"} {
		if !o.Offers(e) {
			lacks = append(lacks, e)
		}
	}
	if len(lacks) > 0 {
		out = append(out, poor(c.NextHop, "does not offer "+strings.Join(lacks, ", ")+": mail that needs it is refused or goes on without it", "Switch it on there, if the server can."))
	}
	return append(out, hopTLS(c, o))
}

func orUnnamed(name string) string {
	if name == "" {
		return "a server without a name"
	}
	return name
}

func hopTLS(c smtp.Config, o smtp.Offer) Finding {
	object := c.NextHop + " TLS"
	host, _, err := net.SplitHostPort(c.NextHop)
	near := err == nil && (host == "localhost" || isAddr(host) && sameHost(host, ""))
	if c.NextHopName != "" {
		host = c.NextHopName
	}
	verified := c.NextHopTLS == smtp.TLSVerified
	switch {
	case c.NextHopTLS == smtp.TLSOff && near:
		return good(object, "not used, on this machine")
	case c.NextHopTLS == smtp.TLSOff:
		return poor(object, "not used: mail goes on in the clear", `Set smtp.next_hop_tls = "verified".`)
	case o.TLSError != nil:
		return bad(object, "STARTTLS is offered and fails: "+reached(o.TLSError), "Mend TLS on that server: until then no mail passes.")
	case !o.TLS && c.NextHopTLS != smtp.TLSOpportunistic:
		return bad(object, "STARTTLS is not offered, and smtp.next_hop_tls asks for it: no mail passes", "Switch on STARTTLS on that server.")
	case !o.TLS && near:
		return good(object, "not offered, on this machine")
	case !o.TLS:
		return poor(object, "STARTTLS is not offered: mail goes on in the clear", `Switch on STARTTLS on that server, then set smtp.next_hop_tls = "verified".`)
	case o.Proof != nil && verified:
		return bad(object, "its certificate does not prove who it is ("+certText(o.Proof)+"): no mail passes",
			"Give that server a certificate for "+host+", or name what to accept in smtp.next_hop_name, next_hop_ca or next_hop_pins.")
	case o.Proof != nil && near:
		return good(object, "%s; its certificate proves nothing (%s), on this machine", tls.VersionName(o.Version), certText(o.Proof))
	case o.Proof != nil:
		return poor(object, fmt.Sprintf("%s; its certificate does not prove who it is: %s", tls.VersionName(o.Version), certText(o.Proof)),
			"Give that server a certificate for "+host+", then set smtp.next_hop_tls = \"verified\".")
	case time.Until(o.CertEnds) < certWarn && len(c.NextHopPins) == 0:
		return poor(object, "its certificate ends on "+o.CertEnds.Format(time.DateOnly), "Have it renewed.")
	case !verified && !near:
		return poor(object, fmt.Sprintf("%s, and its certificate proves that it is %s, which is not asked for: one in between could take its place", tls.VersionName(o.Version), host),
			`Set smtp.next_hop_tls = "verified".`)
	}
	return good(object, "%s, its certificate proves that it is %s, until %s", tls.VersionName(o.Version), host, o.CertEnds.Format(time.DateOnly))
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
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) || os.IsTimeout(err) { // closed: by us, as time is up
		return "no answer in time"
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok && oe.Op == "dial" {
		if no, ok := errors.AsType[unix.Errno](oe.Err); ok {
			return "connect: " + no.Error()
		}
	}
	return strings.TrimPrefix(err.Error(), "smtp: ")
}
