package ways

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

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
	"126.com", "163.com", "aim.com", "alice.it", "ameritech.net", "att.net", "bell.net", "bellsouth.net", "bigpond.com", "bluewin.ch",
	"blueyonder.co.uk", "bol.com.br", "btinternet.com", "centurylink.net", "charter.net", "cogeco.ca", "comcast.net", "cox.net", "daum.net", "duck.com",
	"earthlink.net", "eastlink.ca", "email.com", "email.it", "fastmail.com", "fastmail.fm", "foxmail.com", "free.fr", "freenet.de", "frontier.com",
	"gmail.com", "hanmail.net", "hey.com", "hushmail.com", "hushmail.me", "icloud.com", "inbox.com", "juno.com", "laposte.net", "libero.it", "mac.com",
	"mail.com", "mail.ru", "mailbox.org", "mailfence.com", "mchsi.com", "me.com", "msn.com", "naver.com", "netscape.net", "netzero.net", "ntlworld.com",
	"optonline.net", "orange.fr", "pacbell.net", "pm.me", "posteo.de", "prodigy.net", "proton.me", "protonmail.ch", "protonmail.com",
	"q.com", "qq.com", "rediffmail.com", "roadrunner.com", "rocketmail.com", "rogers.com", "rr.com", "runbox.com", "sbcglobal.net", "seznam.cz",
	"sfr.fr", "shaw.ca", "sina.com", "sky.com", "skynet.be", "snet.net", "spectrum.net", "startmail.com", "suddenlink.net", "swbell.net", "sympatico.ca",
	"t-online.de", "talktalk.net", "tds.net", "telenet.be", "telus.net", "terra.com.br", "tiscali.it", "tuta.com", "tuta.io", "tutanota.com",
	"tutanota.de", "uol.com.br", "verizon.net", "videotron.ca", "virgilio.it", "virginmedia.com", "wanadoo.fr", "web.de", "windstream.net", "wowway.com",
	"wp.pl", "xtra.co.nz", "ya.ru", "ymail.com", "ziggo.nl", "zoho.com", "zohomail.com",
}

// consumersAnywhere are those that have such domains in many countries: yahoo.co.uk.
var consumersAnywhere = []string{"aol", "gmx", "googlemail", "hotmail", "live", "outlook", "yahoo", "yandex"}

// isConsumers reports a domain, which is folded, of mail for consumers, or one below.
func isConsumers(domain string) bool {
	if slices.ContainsFunc(consumers, func(p string) bool { return p == domain || strings.HasSuffix(domain, "."+p) }) {
		return true
	}
	own, err := publicsuffix.EffectiveTLDPlusOne(domain)
	name, _, _ := strings.Cut(own, ".")
	return err == nil && slices.Contains(consumersAnywhere, name)
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
	case isConsumers(domain):
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
