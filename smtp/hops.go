package smtp

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/metrics"
)

// hopKeys are the names in the configuration of what secures a route.
type hopKeys struct{ mode, name, ca, pins, cert, key, auth string }

// keysOf are those of the route at prefix, "" for next_hop.
func keysOf(prefix string) hopKeys {
	if prefix == "" {
		return hopKeys{"smtp.next_hop_tls", "smtp.next_hop_name", "smtp.next_hop_ca", "smtp.next_hop_pins",
			"smtp.next_hop_cert", "smtp.next_hop_key", "smtp.next_hop_auth"}
	}
	return hopKeys{prefix + ".tls", prefix + ".tls_name", prefix + ".tls_ca", prefix + ".tls_pins",
		prefix + ".tls_cert", prefix + ".tls_key", prefix + ".auth"}
}

// validateTLS reports what contradicts itself, and what promises a protection
// that cannot be had.
func (r *Route) validateTLS(v *validation, k hopKeys, proves bool) {
	kind := r.kind()
	switch r.TLS {
	case TLSOff, TLSOpportunistic, TLSRequired, TLSVerified:
	case TLSDANE:
		if !proves {
			v.want(k.mode, "another value, or a validating resolver on this machine as smtp.resolver: without one nobody proves what DNS says")
		}
		if kind == TargetMaildir || kind == TargetLMTP {
			v.want(k.mode, "off, opportunistic, required or verified")
		}
		if slices.ContainsFunc(slices.Concat(r.Groups()...), func(t Target) bool {
			host, _, _ := net.SplitHostPort(t.Addr)
			return t.Kind == TargetSMTP && net.ParseIP(host) != nil
		}) {
			v.want(k.mode, "another value, or host names: an address has no records")
		}
	case TLSSTS:
		if kind != TargetMX {
			v.want(k.mode, `another value, or "mx" as next hop: MTA-STS speaks of the servers that a domain names in DNS`)
		}
	default:
		v.want(k.mode, "off, opportunistic, required, verified, mta-sts or dane")
		return
	}
	verified := r.TLS == TLSVerified
	for _, x := range []struct {
		key string
		set bool
	}{{k.name, r.TLSName != ""}, {k.ca, r.TLSCA != ""}, {k.pins, len(r.TLSPins) > 0}} {
		if x.set && !verified {
			v.want(x.key, `nothing, or "verified" as `+last(k.mode)+": the certificate is not checked otherwise")
		}
	}
	if len(r.TLSPins) > 0 && (r.TLSCA != "" || r.TLSName != "") {
		v.want(k.pins, "either pins, or "+last(k.ca)+" and "+last(k.name)+": a pinned key is the whole proof")
	}
	if _, ok := parseDomain(r.TLSName); r.TLSName != "" && !ok && net.ParseIP(r.TLSName) == nil {
		v.want(k.name, "a host name such as mx.partner.example")
	}
	for i, p := range r.TLSPins {
		if _, ok := ParsePin(p); !ok {
			v.want(fmt.Sprintf("%s[%d]", k.pins, i), `"sha256:" and the digest of the public key in base64 or hexadecimal`)
		}
	}
	if (r.TLSCert == "") != (r.TLSKey == "") {
		v.want(k.cert, "both "+last(k.cert)+" and "+last(k.key)+", or neither")
	}
	if r.TLSCert != "" && r.TLS == TLSOff {
		v.want(k.cert, "nothing, or another "+last(k.mode)+" than off")
	}
	if kind == TargetMX && r.Auth != "" {
		v.want(k.auth, "nothing with mx: it would be shown to everybody's servers")
	}
	if kind == TargetLMTP && strings.HasPrefix(r.Groups()[0][0].Addr, "/") && (r.TLS == TLSRequired || verified) {
		v.want(k.mode, "off or opportunistic: nobody stands between here and a socket")
	}
	if r.Auth != "" && r.TLS != TLSRequired && !verified {
		v.want(k.auth, `nothing, or "required" or "verified" as `+last(k.mode)+": a password does not go in the clear")
	}
}

// last is the last word of a key.
func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// Security is how a route's connections are secured, its files read.
type Security struct {
	mode, name string
	roots      *Roots
	pins       []Pin
	cert       *KeyPair
	auth       *Credentials
}

// FileError says which file of a route could not be loaded.
type FileError struct {
	Route string // its name
	Err   error
	key   func(hopKeys) string
}

// Error returns "smtp: route NAME: " and why.
func (e *FileError) Error() string { return fmt.Sprintf("smtp: route %s: %v", e.Route, e.Err) }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// KeyOf is the key in the configuration that names the file, such as
// "smtp.next_hop_auth" or "smtp.routes[1].auth".
func (c *Config) KeyOf(e *FileError) string {
	i := slices.IndexFunc(c.Routes, func(r Route) bool { return r.Name == e.Route })
	if i < 0 {
		return e.key(keysOf(""))
	}
	return e.key(keysOf(fmt.Sprintf("smtp.routes[%d]", i)))
}

// LoadSecurity reads the files that r names; log hears of later changes and may
// be nil. Its error is the *FileError of the first that fails.
func (r *Route) LoadSecurity(log *slog.Logger) (Security, error) {
	s := Security{mode: r.TLS, name: r.TLSName}
	for _, p := range r.TLSPins {
		pin, _ := ParsePin(p) // Validate has accepted it
		s.pins = append(s.pins, pin)
	}
	var err error
	if r.TLSCA != "" {
		if s.roots, err = LoadRoots(r.TLSCA, log); err != nil {
			return Security{}, &FileError{r.Name, err, func(k hopKeys) string { return k.ca }}
		}
	}
	if r.TLSCert != "" {
		if s.cert, err = LoadKeyPair(r.TLSCert, r.TLSKey, log); err != nil {
			return Security{}, &FileError{r.Name, err, func(k hopKeys) string { return k.cert }}
		}
	}
	if r.Auth != "" {
		if s.auth, err = LoadCredentials(r.Auth, log); err != nil {
			return Security{}, &FileError{r.Name, err, func(k hopKeys) string { return k.auth }}
		}
	}
	return s, nil
}

// Apply sets what a connection to host must prove, as far as the configuration
// alone says it.
func (s Security) Apply(cc *ClientConfig, host string) {
	cc.TLS, cc.ServerName, cc.Certificate, cc.Auth = s.mode, s.name, s.cert, s.auth
	if s.name == "" {
		cc.ServerName = host
	}
	if len(s.pins) > 0 {
		cc.Proof = ProvePin(s.pins)
	} else {
		cc.Proof = ProveName(s.roots, cc.ServerName)
	}
}

// Roots are those that a certificate must go back to; nil for the system's.
func (s Security) Roots() *Roots { return s.roots }

// Client is what all connections to next hops have in common.
func (c *Config) Client(log *slog.Logger, m *metrics.Set) ClientConfig {
	cc := DefaultClient()
	cc.Hostname = c.Hostname
	cc.ConnectTimeout, cc.AnswerTimeout = c.NextHopConnectTimeout.D(), c.NextHopAnswerTimeout.D()
	cc.MaxIdle, cc.IdleTimeout = c.NextHopIdle, c.NextHopIdleTimeout.D()
	cc.Log, cc.Metrics = log, m
	return cc
}
