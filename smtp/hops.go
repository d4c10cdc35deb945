package smtp

import (
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/stanch-dlp/stanch/internal/metrics"
)

// hopTLS is how the connections to a next hop are secured, as configured.
type hopTLS struct {
	mode, name, ca, cert, key, auth string
	pins                            []string
}

// keys are the names of hopTLS's values in the configuration.
type hopKeys struct{ mode, name, ca, pins, cert, key, auth string }

// nextHopTLS is the TLS of next_hop.
func (c *Config) nextHopTLS() (hopTLS, hopKeys) {
	return hopTLS{c.NextHopTLS, c.NextHopName, c.NextHopCA, c.NextHopCert, c.NextHopKey, c.NextHopAuth, c.NextHopPins},
		hopKeys{"smtp.next_hop_tls", "smtp.next_hop_name", "smtp.next_hop_ca", "smtp.next_hop_pins", "smtp.next_hop_cert", "smtp.next_hop_key", "smtp.next_hop_auth"}
}

// validate reports what contradicts itself: a value that promises a protection
// which the others take away is an error.
func (t hopTLS) validate(v *validation, k hopKeys) {
	switch t.mode {
	case TLSOff, TLSOpportunistic, TLSRequired, TLSVerified:
	default:
		v.want(k.mode, "off, opportunistic, required or verified")
		return
	}
	verified := t.mode == TLSVerified
	for _, x := range []struct {
		key string
		set bool
	}{{k.name, t.name != ""}, {k.ca, t.ca != ""}, {k.pins, len(t.pins) > 0}} {
		if x.set && !verified {
			v.want(x.key, `nothing, or "verified" as `+last(k.mode)+": the certificate is not checked otherwise")
		}
	}
	if len(t.pins) > 0 && (t.ca != "" || t.name != "") {
		v.want(k.pins, "either pins, or "+last(k.ca)+" and "+last(k.name)+": a pinned key is the whole proof")
	}
	if _, ok := parseDomain(t.name); t.name != "" && !ok && net.ParseIP(t.name) == nil {
		v.want(k.name, "a host name such as mx.partner.example")
	}
	for i, p := range t.pins {
		if _, ok := ParsePin(p); !ok {
			v.want(fmt.Sprintf("%s[%d]", k.pins, i), `"sha256:" and the digest of the public key in base64 or hexadecimal`)
		}
	}
	if (t.cert == "") != (t.key == "") {
		v.want(k.cert, "both "+last(k.cert)+" and "+last(k.key)+", or neither")
	}
	if t.cert != "" && t.mode == TLSOff {
		v.want(k.cert, "nothing, or another "+last(k.mode)+" than off")
	}
	if t.auth != "" && t.mode != TLSRequired && !verified {
		v.want(k.auth, `nothing, or "required" or "verified" as `+last(k.mode)+": a password does not go in the clear")
	}
}

// last is the last word of a key.
func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// securing is what of a hopTLS was read from files.
type securing struct {
	mode, name string
	roots      *Roots
	pins       []Pin
	cert       *KeyPair
	auth       *Credentials
}

// open reads the files that t names.
func (t hopTLS) open(log *slog.Logger) (s securing, err error) {
	s.mode, s.name = t.mode, t.name
	for _, p := range t.pins {
		pin, _ := ParsePin(p) // Validate has accepted it
		s.pins = append(s.pins, pin)
	}
	if t.ca != "" {
		if s.roots, err = LoadRoots(t.ca, log); err != nil {
			return s, err
		}
	}
	if t.cert != "" {
		if s.cert, err = LoadKeyPair(t.cert, t.key, log); err != nil {
			return s, err
		}
	}
	if t.auth != "" {
		s.auth, err = LoadCredentials(t.auth, log)
	}
	return s, err
}

// apply sets what a connection to host must prove.
func (s securing) apply(cc *ClientConfig, host string) {
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

// client is what all connections to next hops have in common.
func (c *Config) client(log *slog.Logger, m *metrics.Set) ClientConfig {
	cc := DefaultClient()
	cc.Hostname = c.Hostname
	cc.ConnectTimeout, cc.AnswerTimeout = c.NextHopConnectTimeout.D(), c.NextHopAnswerTimeout.D()
	cc.MaxIdle, cc.IdleTimeout = c.NextHopIdle, c.NextHopIdleTimeout.D()
	cc.Log, cc.Metrics = log, m
	return cc
}
