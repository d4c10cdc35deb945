package ways

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TLS is the [encrypt.tls] table.
type TLS struct {
	// Domains are those of recipients for whom a proved connection to their own server is enough: "partner.example", "*.partner.example" (all below it, not itself) or "*". None: the way is not used. Patterns leave out the domains of mail for consumers (gmail.com and the like): such a one counts only where it is named itself.
	Domains []string `toml:"domains"`
	// Except are domains, written in the same way, for whom it is not.
	Except []string `toml:"except"`
}

// validate reports what is no domain or pattern.
func (c *TLS) validate() error {
	for key, list := range map[string][]string{"domains": c.Domains, "except": c.Except} {
		for i, d := range list {
			if rest := strings.TrimPrefix(d, "*."); d != "*" && (rest == "" || strings.ContainsAny(rest, "*@ \t\r\n/") || strings.HasPrefix(rest, ".")) {
				return &dlp.KeyError{Key: fmt.Sprintf("encrypt.tls.%s[%d]", key, i), Want: `a domain such as "partner.example", "*.partner.example" or "*"`}
			}
		}
	}
	return nil
}

// fits reports whether pattern is domain or stands for it.
func fits(pattern, domain string) bool {
	pattern = fold(pattern)
	if below, all := strings.CutPrefix(pattern, "*."); all {
		return strings.HasSuffix(domain, "."+below)
	}
	return pattern == "*" || pattern == domain
}

// consumers are domains at which anybody has a mailbox: who reads it, on what
// machine and with whom, no proof of a server tells. A list of our own; a domain
// below one of these counts too.
var consumers = []string{
	"126.com", "163.com", "alice.it", "aol.com", "att.net", "bellsouth.net", "bluewin.ch", "btinternet.com", "charter.net", "comcast.net", "cox.net",
	"earthlink.net", "email.com", "fastmail.com", "fastmail.fm", "free.fr", "frontier.com", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net",
	"googlemail.com", "hey.com", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.fr", "hushmail.com", "icloud.com", "inbox.com", "juno.com", "laposte.net",
	"libero.it", "live.co.uk", "live.com", "mac.com", "mail.com", "mail.ru", "me.com", "msn.com", "naver.com", "netscape.net", "netzero.net", "optonline.net",
	"orange.fr", "outlook.com", "outlook.de", "outlook.fr", "pm.me", "posteo.de", "proton.me", "protonmail.ch", "protonmail.com", "qq.com", "rediffmail.com",
	"rocketmail.com", "rogers.com", "rr.com", "sbcglobal.net", "seznam.cz", "shaw.ca", "sky.com", "spectrum.net", "swbell.net", "sympatico.ca", "t-online.de",
	"telus.net", "tuta.com", "tuta.io", "tutanota.com", "tutanota.de", "verizon.net", "videotron.ca", "virginmedia.com", "wanadoo.fr", "web.de", "windstream.net",
	"wp.pl", "ya.ru", "yahoo.ca", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com", "yahoo.com.br", "yahoo.de", "yahoo.fr", "yandex.com", "yandex.ru", "ymail.com",
	"zoho.com",
}

// may is what speaks against a proved connection to domain, which is folded,
// whatever its server proves.
func (c *TLS) may(domain string) Reason {
	named := slices.ContainsFunc(c.Domains, func(p string) bool { return fold(p) == domain })
	switch {
	case slices.ContainsFunc(c.Except, func(p string) bool { return fits(p, domain) }):
		return NotNamed
	case named:
		return ""
	case !slices.ContainsFunc(c.Domains, func(p string) bool { return fits(p, domain) }):
		return NotNamed
	case slices.ContainsFunc(consumers, func(p string) bool { return p == domain || strings.HasSuffix(domain, "."+p) }):
		return Consumer
	}
	return ""
}

// Proof reports whether a proved connection to rcpt's server is enough, whatever
// that proves: the way is in encrypt.order, and encrypt.tls names the domain.
func (w *Ways) Proof(rcpt dlp.Address) bool {
	return slices.Contains(w.order, dlp.VerifiedTLS) && w.tls.may(fold(rcpt.Domain)) == ""
}

// Prover says by what the server that mail from from to rcpt goes to has to prove to
// be rcpt's before it is given any. dlp.ErrNotProved: it need prove nothing.
type Prover func(ctx context.Context, from, rcpt dlp.Address) (string, error)

// Proving is w with p to ask. Without one no server proves anything.
func (w *Ways) Proving(p Prover) *Ways {
	out := *w
	out.prove = p
	return &out
}

// proveWithin is how long it is waited for what DNS says of a recipient's server,
// while a client waits.
const proveWithin = 10 * time.Second

// tlsChoice is the way by a proved connection to rcpt.
func (w *Ways) tlsChoice(ctx context.Context, from, rcpt dlp.Address) Choice {
	c := Choice{Way: dlp.VerifiedTLS, Unfit: w.tls.may(fold(rcpt.Domain))}
	if c.Unfit != "" {
		return c
	}
	if w.prove == nil {
		c.Unfit = NotProved
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, proveWithin)
	defer cancel()
	by, err := w.prove(ctx, from, rcpt)
	switch {
	case errors.Is(err, dlp.ErrNotProved):
		c.Unfit = NotProved
	case err != nil || by == "":
		c.Unfit = NotReached
	default:
		c.By = by
	}
	return c
}
