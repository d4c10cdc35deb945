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

	"github.com/stanch-dlp/stanch/smtp"
)

// certWarn is how long before its end a certificate is warned of: the common
// tools renew at 30 days.
const certWarn = 30 * 24 * time.Hour

// TLS looks at the certificate of the mail door. roots are who may have signed
// it; nil: those of the system.
func TLS(c smtp.Config, roots *x509.CertPool, now func() time.Time) Check {
	return Check{Name: "tls", Run: func(context.Context) []Finding {
		doors := c.AllDoors()
		if len(doors) == 0 {
			return []Finding{good("smtp.listen", "no mail door, no certificate")}
		}
		if c.TLSCert == "" && !slices.ContainsFunc(doors, fromOutside) {
			return []Finding{good("smtp.tls_cert", "none, and none needed: the mail doors are open to this machine alone")}
		}
		if c.TLSCert == "" {
			return []Finding{poor("smtp.tls_cert", "STARTTLS is not offered: mail comes to stanch in the clear",
				"Set smtp.tls_cert and smtp.tls_key.")}
		}
		out := []Finding{keyMode(c.TLSKey)}
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return append(out, bad(c.TLSCert, "does not load: "+strings.TrimPrefix(plain(err), "tls: "),
				"Set smtp.tls_cert to the certificate with its chain after it, and smtp.tls_key to the key that belongs to it."))
		}
		leaf := pair.Leaf
		if leaf == nil { // GODEBUG x509keypairleaf=0
			if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
				return append(out, bad(c.TLSCert, "does not parse", "Put the certificate first in the file of smtp.tls_cert."))
			}
		}
		return append(out, certTime(c.TLSCert, leaf, now()), certName(c.TLSCert, leaf, c.Hostname), certChain(c.TLSCert, leaf, pair.Certificate[1:], roots, now()))
	}}
}

// fromOutside reports whether other machines reach the door.
func fromOutside(d smtp.Door) bool {
	host, _, err := net.SplitHostPort(d.Listen)
	if err != nil {
		return true
	}
	a, err := netip.ParseAddr(host)
	return host != "localhost" && (err != nil || !a.IsLoopback())
}

func keyMode(path string) Finding {
	info, err := os.Stat(path)
	if err != nil {
		return bad(path, "cannot be looked at: "+plain(err), "Set smtp.tls_key to a file that the user that serves can read.")
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return bad(path, fmt.Sprintf("mode %04o: every user can read the key", mode), "Run `chmod o-rwx "+path+"`.")
	}
	return good(path, "mode %04o", info.Mode().Perm())
}

func certTime(path string, leaf *x509.Certificate, now time.Time) Finding {
	left := leaf.NotAfter.Sub(now)
	ends := leaf.NotAfter.Format(time.DateOnly)
	switch {
	case now.Before(leaf.NotBefore):
		return bad(path, "is not valid before "+leaf.NotBefore.Format(time.DateTime), "Check the clock, or wait.")
	case left <= 0:
		return bad(path, "ended on "+ends, "Renew the certificate: stanch reads it anew by itself.")
	case left < certWarn:
		return poor(path, fmt.Sprintf("ends on %s, in %d days", ends, int(left.Hours()/24)), "Renew the certificate: stanch reads it anew by itself.")
	}
	return good(path, "valid until %s", ends)
}

func certName(path string, leaf *x509.Certificate, hostname string) Finding {
	if err := leaf.VerifyHostname(hostname); err != nil {
		return poor(path, fmt.Sprintf("is not for %s, which smtp.hostname says", hostname), "Get a certificate for that name, or set smtp.hostname to one of its own.")
	}
	return good(path, "is for %s", hostname)
}

func certChain(path string, leaf *x509.Certificate, rest [][]byte, roots *x509.CertPool, now time.Time) Finding {
	between := x509.NewCertPool()
	for _, der := range rest {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	at := now
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) { // said already; the chain is judged by itself
		at = leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at})
	if err == nil {
		return good(path, "its chain leads to an authority that this machine knows")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if leaf.Issuer.String() == leaf.Subject.String() {
			return poor(path, "is signed by itself: clients that verify refuse it", "Get a certificate of an authority that your mail servers know, or give them this one.")
		}
		return poor(path, "its chain does not lead to an authority that this machine knows", "Put the authority's certificates after your own in the file of smtp.tls_cert.")
	}
	return poor(path, "its chain does not verify: "+strings.TrimPrefix(err.Error(), "x509: "), "Put the authority's certificates after your own in the file of smtp.tls_cert.")
}
