package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the section [smtp].
type Config struct {
	// Listen are the addresses the mail door listens on, as "host:port". None: no mail door.
	Listen []string `toml:"listen"`
	// Hostname is the name of this server in greetings, EHLO and trace headers.
	Hostname string `toml:"hostname"`
	// NextHop is where mail goes on to: "host:port", "lmtp:host:port", "lmtp:/run/SOCKET", "mx" (the recipient's own servers by DNS), "mx@PORT", or "maildir:DIR" to keep it in a folder.
	NextHop string `toml:"next_hop"`
	// NextHopTLS is "off", "opportunistic" (when offered), "required" (else mail waits) or "verified" (else, and unless the certificate proves who the next hop is, mail waits). Only "verified" keeps out one who stands in between. With "mx" or host names also as a route's tls: "mta-sts", "dane".
	NextHopTLS string `toml:"next_hop_tls"`
	// NextHopName is the name that the next hop's certificate must bear under "verified". Empty: the host of next_hop.
	NextHopName string `toml:"next_hop_name"`
	// NextHopCA is a PEM file with the roots, or the very certificates, that are accepted under "verified". Empty: the system's roots.
	NextHopCA string `toml:"next_hop_ca"`
	// NextHopPins are public keys accepted under "verified", whatever name and dates the certificate has: "sha256:" and the digest, in base64 or hexadecimal.
	NextHopPins []string `toml:"next_hop_pins"`
	// NextHopCert is a PEM file with a certificate and its chain, shown to a next hop that asks for one.
	NextHopCert string `toml:"next_hop_cert"`
	// NextHopKey is the PEM file with that certificate's key.
	NextHopKey string `toml:"next_hop_key"`
	// NextHopAuth is a file of one line, USER:PASSWORD, to log in with at the next hop (SCRAM-SHA-256, PLAIN or LOGIN). It wants mode 0600, and next_hop_tls "required" or "verified".
	NextHopAuth string `toml:"next_hop_auth"`
	// Routes send some recipients or senders another way than next_hop; the first that fits decides.
	Routes []Route `toml:"routes"`
	// Resolver is the DNS resolver that routes by MX ask, as "host:port". Its word that an answer is proved (DNSSEC) is believed when it is on this machine. Empty: those of this system, whose word is not.
	Resolver string `toml:"resolver"`
	// ResolverTrusted is true when resolver is on another machine and nobody can stand between: then its word is believed too.
	ResolverTrusted bool `toml:"resolver_trusted"`
	// Networks are the clients that may relay, as CIDR prefixes.
	Networks []string `toml:"networks"`
	// InternalDomains are the domains of this organisation, "clinic.example" or "*.clinic.example" (all below it, not itself; two labels or more); recipients elsewhere are external.
	InternalDomains []string `toml:"internal_domains"`
	// Contact is who a sender turns to when a message is refused; it stands in the refusal.
	Contact string `toml:"contact"`
	// TLSCert is a PEM file with the certificate and its chain. With it and tls_key, STARTTLS is offered.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is the PEM file with the certificate's key.
	TLSKey string `toml:"tls_key"`

	// Doors are listeners that differ from those of listen: submission, LMTP, TLS from the first byte, behind a proxy.
	Doors []Door `toml:"doors"`
	// Auth is who may log in.
	Auth Auth `toml:"auth"`
	// ProxyFrom are the proxies whose PROXY header is believed, as CIDR prefixes, on doors with proxy = true.
	ProxyFrom []string `toml:"proxy_from"`
	// XClientFrom are the mail proxies and filters that may say by XCLIENT and XFORWARD who their client is, as CIDR prefixes.
	XClientFrom []string `toml:"xclient_from"`

	// MaxMessageSize is the largest message; beyond it 552.
	MaxMessageSize dlp.Size `toml:"max_message_size"`
	// ScanTimeout is how long reading a message may take while its client waits; past it the message is taken into the spool and read on (see `[scan]`). Waiting for other messages to be read does not count. Keep it below the client's own limit.
	ScanTimeout dlp.Duration `toml:"scan_timeout"`
	// MaxConnections is how many sessions there may be at once; beyond it 421. The last tenth goes only to client addresses that have no session yet.
	MaxConnections int `toml:"max_connections"`
	// MaxPerClient is how many sessions one client address (an IPv6 /64) may have at once; beyond it 421.
	MaxPerClient int `toml:"max_per_client"`
	// MaxRcpts is how many recipients a message may have; beyond it 452.
	MaxRcpts int `toml:"max_rcpts"`
	// MaxErrors is how many faulty commands a session may send before it ends with 421.
	MaxErrors int `toml:"max_errors"`
	// CommandTimeout is how long a client may take for one whole command.
	CommandTimeout dlp.Duration `toml:"command_timeout"`
	// DataTimeout is how long a client may take for one whole message.
	DataTimeout dlp.Duration `toml:"data_timeout"`
	// MinRate is how many bytes a second a message must come at, after a minute's grace.
	MinRate dlp.Size `toml:"min_rate"`
	// SessionTimeout is how long a session may last; it ends between messages. One that has begun may take as long again before its data.
	SessionTimeout dlp.Duration `toml:"session_timeout"`
	// AnswerTimeout is how long judging and passing on may take after the last byte. Clients wait ten minutes.
	AnswerTimeout dlp.Duration `toml:"answer_timeout"`

	// NextHopConnectTimeout bounds connecting to the next hop, greeting and TLS included.
	NextHopConnectTimeout dlp.Duration `toml:"next_hop_connect_timeout"`
	// NextHopAnswerTimeout is how long the next hop may take to answer the end of a message.
	NextHopAnswerTimeout dlp.Duration `toml:"next_hop_answer_timeout"`
	// NextHopIdle is how many connections to the next hop are kept open for reuse.
	NextHopIdle int `toml:"next_hop_idle"`
	// NextHopIdleTimeout is how long one of them is kept.
	NextHopIdleTimeout dlp.Duration `toml:"next_hop_idle_timeout"`
}

// Default returns the section as it is when nothing is set: no listener, no
// next hop, relaying for this machine only.
func Default() Config {
	return Config{
		NextHopTLS:     TLSOpportunistic,
		Networks:       []string{"127.0.0.0/8", "::1/128"},
		MaxMessageSize: 50 << 20,
		ScanTimeout:    dlp.Duration(time.Minute),
		MaxConnections: 1000,
		MaxPerClient:   250,
		MaxRcpts:       1000,
		MaxErrors:      20,
		CommandTimeout: dlp.Duration(5 * time.Minute), // RFC 5321 4.5.3.2.7
		DataTimeout:    dlp.Duration(time.Hour),
		MinRate:        256,
		SessionTimeout: dlp.Duration(time.Hour),
		AnswerTimeout:  dlp.Duration(9 * time.Minute), // RFC 5321 4.5.3.2.6: the client gives up after ten

		NextHopConnectTimeout: dlp.Duration(30 * time.Second),
		NextHopAnswerTimeout:  dlp.Duration(5 * time.Minute),
		NextHopIdle:           20,
		NextHopIdleTimeout:    dlp.Duration(30 * time.Second),
	}
}

// The values of next_hop_tls and of a route's tls.
const (
	TLSOff           = "off"
	TLSOpportunistic = "opportunistic" // STARTTLS when offered
	TLSRequired      = "required"      // no mail without it
	TLSVerified      = "verified"      // no mail unless the certificate proves who the next hop is
	TLSSTS           = "mta-sts"       // what the recipient's domain promises by MTA-STS, else opportunistic
	TLSDANE          = "dane"          // what it promises by DANE, else as mta-sts
)

// maildirPrefix marks a next hop that is a folder.
const maildirPrefix = "maildir:"

// Validate checks every value and returns all that is wrong, each as a
// *dlp.KeyError, joined. Without listeners and next hop only the values that
// are set are checked.
func (c *Config) Validate() error {
	var v validation
	for i, l := range c.Listen {
		v.hostPort(fmt.Sprintf("smtp.listen[%d]", i), l)
	}
	if len(c.AllDoors()) > 0 || c.Hostname != "" {
		_, ok := parseDomain(c.Hostname)
		v.domain("smtp.hostname", c.Hostname, ok, "a host name such as gw.example")
	}
	c.validateHops(&v)
	if _, i := ParseNetworks(c.Networks); i >= 0 {
		v.want(fmt.Sprintf("smtp.networks[%d]", i), "a network such as 192.0.2.0/24")
	}
	for i, d := range c.InternalDomains {
		below, all := strings.CutPrefix(d, "*.")
		ok := isDomainPattern(d) && d != "*" && !strings.Contains(d, "[") && // everybody would be internal; a literal is no domain
			!(all && !strings.Contains(strings.TrimSuffix(below, "."), ".")) // nor is all of a top-level domain's mail ours
		v.domain(fmt.Sprintf("smtp.internal_domains[%d]", i), d, ok, `a domain such as "clinic.example" or "*.clinic.example"`)
	}
	for i := range len(c.Contact) {
		if c.Contact[i] < ' ' || c.Contact[i] > '~' || len(c.Contact) > 200 {
			v.want("smtp.contact", "up to 200 printable ASCII characters")
			break
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		v.want("smtp.tls_cert", "both tls_cert and tls_key, or neither")
	}
	c.validateDoors(&v)
	c.validateLimits(&v)
	return errors.Join(v.errs...)
}

func (c *Config) validateLimits(v *validation) {
	v.atLeast("smtp.max_message_size", int64(c.MaxMessageSize), 64<<10) // RFC 5321 4.5.3.1.7: 64 KiB at the fewest
	v.atLeast("smtp.max_connections", int64(c.MaxConnections), 1)
	v.atLeast("smtp.max_per_client", int64(c.MaxPerClient), 1)
	v.atLeast("smtp.max_rcpts", int64(c.MaxRcpts), 100) // RFC 5321 4.5.3.1.8
	v.atLeast("smtp.max_errors", int64(c.MaxErrors), 1)
	v.atLeast("smtp.min_rate", int64(c.MinRate), 1)
	v.atLeast("smtp.next_hop_idle", int64(c.NextHopIdle), 0)
	v.positive("smtp.scan_timeout", c.ScanTimeout)
	v.positive("smtp.command_timeout", c.CommandTimeout)
	v.positive("smtp.data_timeout", c.DataTimeout)
	v.positive("smtp.session_timeout", c.SessionTimeout)
	v.positive("smtp.answer_timeout", c.AnswerTimeout)
	v.positive("smtp.next_hop_connect_timeout", c.NextHopConnectTimeout)
	v.positive("smtp.next_hop_answer_timeout", c.NextHopAnswerTimeout)
	v.positive("smtp.next_hop_idle_timeout", c.NextHopIdleTimeout)
	if c.ScanTimeout > 0 && c.ScanTimeout >= c.AnswerTimeout {
		v.want("smtp.scan_timeout", "less than answer_timeout")
	}
}

// validation gathers what is wrong.
type validation struct{ errs []error }

func (v *validation) want(key, want string) {
	v.errs = append(v.errs, &dlp.KeyError{Key: key, Want: want})
}

// domain wants s to be ok, and its labels as mail has them: a domain outside
// ASCII would be compared with what it never is.
func (v *validation) domain(key, s string, ok bool, want string) {
	below, all := strings.CutPrefix(s, "*.")
	if a, known := parseDomain(below); known && !isASCII(below) {
		if all {
			a = "*." + a
		}
		ok, want = false, fmt.Sprintf("%q: a domain outside ASCII is written as its A-label", a) // RFC 5890 2.3.2.1
	}
	if !ok {
		v.want(key, want)
	}
}

func (v *validation) hostPort(key, s string) {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		v.want(key, "host:port")
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		v.want(key, "host:port with a port from 0 to 65535")
	}
}

func (v *validation) atLeast(key string, n, least int64) {
	if n < least {
		v.want(key, fmt.Sprintf("at least %d", least))
	}
}

func (v *validation) positive(key string, d dlp.Duration) {
	if d <= 0 {
		v.want(key, `a duration above zero such as "60s"`)
	}
}

// ParseNetworks reads CIDR prefixes: it returns them and -1, or the index of a
// bad one.
func ParseNetworks(ss []string) ([]netip.Prefix, int) {
	var out []netip.Prefix
	for i, s := range ss {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil || a.Zone() != "" {
				return nil, i
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, -1
}

// LoadTLS reads the certificate for STARTTLS, or returns nil when none is
// configured. A renewed one is used from the next handshake on; log hears of
// it, and may be nil.
func (c *Config) LoadTLS(log *slog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	pair, err := LoadKeyPair(c.TLSCert, c.TLSKey, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Certificate(), nil },
		MinVersion:     tls.VersionTLS12,
	}, nil
}
