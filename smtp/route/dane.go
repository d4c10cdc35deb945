package route

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/resolve"
)

// Values of a TLSA record. RFC 6698 2.1; by the names of RFC 7218.
const (
	usageTA = 2 // DANE-TA: an authority of the chain
	usageEE = 3 // DANE-EE: the server's own certificate

	selectCert = 0
	selectKey  = 1

	matchFull   = 0
	matchSHA256 = 1
	matchSHA512 = 2
)

// dane sets what the TLSA records of h demand; base is where h's addresses
// stand when its name is an alias. Without records there is no demand; with
// records of which none can be used TLS is demanded all the same; records that
// cannot be had, or whose proof fails, leave the host out for now.
//
// Source: RFC 7672 2.1, 2.2.
func (l *lookup) dane(ctx context.Context, h *host, base, port, domain string) error {
	names := []string{base}
	if base != h.name {
		names = append(names, h.name)
	}
	for _, name := range names { // 2.2.3: first where the alias leads, then the alias
		records, meta, err := l.d.t.resolver.TLSA(ctx, "_"+port+"._tcp."+name)
		switch {
		case errors.Is(err, resolve.ErrNoDomain):
			l.kept(meta.TTL)
			continue
		case err != nil:
			return errNoAnswer
		}
		l.kept(meta.TTL)
		if !meta.Proved || len(records) == 0 {
			continue
		}
		records = usable(records)
		if len(records) == 0 {
			h.tls = demand{mode: smtp.TLSRequired, name: name, print: "dane, unusable"}
			return nil
		}
		h.tls = demand{smtp.TLSVerified, name, proveTLSA(records, name, domain), printOf(records, name, domain)}
		return nil
	}
	return nil
}

// printOf is a short text that is the same for the same demand only: where an
// authority proves the server, the names that it may bear belong to it, of which
// domain is one. Two domains at one server share no connection then.
func printOf(records []resolve.TLSA, name, domain string) string {
	if !slices.ContainsFunc(records, func(r resolve.TLSA) bool { return r.Usage == usageTA }) {
		domain = ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %v", name, domain, records))
	return "dane " + hex.EncodeToString(sum[:])
}

// usable returns the records that a mail client can use, and of digests over
// the same thing the strongest only. RFC 7672 3.1.3: PKIX-TA and PKIX-EE cannot
// be; RFC 7671 9 for digests.
func usable(records []resolve.TLSA) []resolve.TLSA {
	var out []resolve.TLSA
	for _, r := range records {
		b, err := hex.DecodeString(r.Data)
		fits := r.Matching == matchFull && len(b) > 0 || r.Matching == matchSHA256 && len(b) == sha256.Size ||
			r.Matching == matchSHA512 && len(b) == sha512.Size
		if err == nil && fits && (r.Usage == usageTA || r.Usage == usageEE) && r.Selector <= selectKey {
			out = append(out, r)
		}
	}
	return slices.DeleteFunc(slices.Clone(out), func(r resolve.TLSA) bool {
		return r.Matching == matchSHA256 && slices.ContainsFunc(out, func(o resolve.TLSA) bool {
			return o.Usage == r.Usage && o.Selector == r.Selector && o.Matching == matchSHA512
		})
	})
}

var errTLSA = errors.New("route: no certificate fits the domain's TLSA records")

// proveTLSA wants a chain that fits one of records. With DANE-EE the
// certificate's own key is the whole proof; with DANE-TA the chain must lead to
// the authority, be valid today, and name the host or the domain.
//
// Source: RFC 7672 3.1.1, 3.1.2, 3.2.
func proveTLSA(records []resolve.TLSA, names ...string) smtp.Proof {
	return func(cs tls.ConnectionState) error {
		chain := cs.PeerCertificates
		if len(chain) == 0 {
			return errTLSA
		}
		err := errTLSA
		for _, r := range records {
			if r.Usage == usageEE {
				if fits(r, chain[0]) {
					return nil
				}
				continue
			}
			for _, anchor := range chain {
				if !fits(r, anchor) {
					continue
				}
				if verr := leadsTo(chain, anchor, names); verr != nil {
					err = verr
					continue
				}
				return nil
			}
		}
		return err
	}
}

// fits reports whether a record is about this certificate.
func fits(r resolve.TLSA, c *x509.Certificate) bool {
	b := c.Raw
	if r.Selector == selectKey {
		b = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case matchSHA256:
		sum := sha256.Sum256(b)
		b = sum[:]
	case matchSHA512:
		sum := sha512.Sum512(b)
		b = sum[:]
	}
	return strings.EqualFold(r.Data, hex.EncodeToString(b))
}

// leadsTo wants chain to be valid up to anchor, and its first to bear one of
// names.
func leadsTo(chain []*x509.Certificate, anchor *x509.Certificate, names []string) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(anchor)
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return err
	}
	err := errTLSA
	for _, n := range names {
		if err = chain[0].VerifyHostname(n); err == nil {
			return nil
		}
	}
	return err
}
