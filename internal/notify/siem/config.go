package siem

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is one [[siem]].
type Config struct {
	// Name names the receiver in metrics, logs and `stanch doctor`, and is what its place in the audit log is kept under: up to 32 of a-z, 0-9 and `-`, beginning with a letter. One with a new name is sent what happens from then on.
	Name string `toml:"name"`
	// URL is where events go: `https://…` for a signed webhook, `syslog://host:6514` for syslog over TLS.
	URL string `toml:"url"`
	// Format is what is sent: `json` (stanch's own, the default of a webhook), `cef` (the default of syslog) or `ocsf`.
	Format string `toml:"format,omitempty"`
	// SecretFile is a file with the secret that signs webhooks: `whsec_` and base64 of 24 to 64 bytes, as `echo whsec_$(openssl rand -base64 32)` writes it; needed for a webhook. It is read at start.
	SecretFile string `toml:"secret_file,omitempty"`
	// TLSCA is a PEM file of certificates that the receiver's is to lead to. Empty: the system's.
	TLSCA string `toml:"tls_ca,omitempty"`
	// TLSCert is a PEM file with the certificate stanch shows the receiver, the leaf first.
	TLSCert string `toml:"tls_cert,omitempty"`
	// TLSKey is the PEM file with its private key.
	TLSKey string `toml:"tls_key,omitempty"`
	// CheckpointEvery is how often the signed checkpoint of the audit log is sent too, where the log has grown; "0s": never.
	CheckpointEvery dlp.Duration `toml:"checkpoint_every,omitempty"`
}

// DefaultConfig is what a [[siem]] has where it does not say.
func DefaultConfig() Config { return Config{CheckpointEvery: dlp.Duration(time.Hour)} }

const (
	maxReceivers  = 8
	schemeWebhook = "https"
	schemeSyslog  = "syslog"
	portSyslog    = "6514" // RFC 5425 4.1
)

// Formats of events.
const (
	formatJSON = "json"
	formatCEF  = "cef"
	formatOCSF = "ocsf"
)

// format is Format or what stands for an empty one.
func (c *Config) format() string {
	switch {
	case c.Format != "":
		return c.Format
	case c.webhook():
		return formatJSON
	}
	return formatCEF
}

func (c *Config) webhook() bool { return strings.HasPrefix(c.URL, schemeWebhook+"://") }

// address is host:port of a syslog receiver.
func (c *Config) address() string {
	u, err := url.Parse(c.URL)
	if err != nil { // ValidateAll has seen to it
		return ""
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), portSyslog)
	}
	return u.Host
}

// Paths are the file names in c, for who makes them absolute.
func (c *Config) Paths() []*string {
	return []*string{&c.SecretFile, &c.TLSCA, &c.TLSCert, &c.TLSKey}
}

// ValidateAll reports the first bad value as a *dlp.KeyError.
func ValidateAll(all []Config) error {
	if len(all) > maxReceivers {
		return &dlp.KeyError{Key: "siem", Want: fmt.Sprintf("at most %d receivers", maxReceivers)}
	}
	seen := map[string]bool{}
	for i := range all {
		if key, want := all[i].validate(); key != "" {
			return &dlp.KeyError{Key: fmt.Sprintf("siem[%d].%s", i, key), Want: want}
		}
		if seen[all[i].Name] {
			return &dlp.KeyError{Key: fmt.Sprintf("siem[%d].name", i), Want: "a name of its own"}
		}
		seen[all[i].Name] = true
	}
	return nil
}

func (c *Config) validate() (key, want string) {
	u, err := url.Parse(c.URL)
	switch {
	case !name(c.Name):
		return "name", "up to 32 of a-z, 0-9 and -, beginning with a letter"
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != schemeWebhook && u.Scheme != schemeSyslog:
		return "url", "https://host/path or syslog://host:port, without a name or password"
	case u.Scheme == schemeSyslog && (u.Path != "" || u.RawQuery != ""):
		return "url", "syslog://host:port and nothing behind it"
	case c.Format != "" && c.Format != formatJSON && c.Format != formatCEF && c.Format != formatOCSF:
		return "format", "json, cef or ocsf"
	case u.Scheme == schemeWebhook && c.Format == formatCEF:
		return "format", "json or ocsf for a webhook"
	case u.Scheme == schemeWebhook && c.SecretFile == "":
		return "secret_file", "a file with the secret that signs webhooks"
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return "tls_cert", "together with tls_key"
	case c.CheckpointEvery != 0 && c.CheckpointEvery.D() < time.Second:
		return "checkpoint_every", `"0s", or a duration of at least a second such as "1h"`
	}
	return "", ""
}

func name(s string) bool {
	return s != "" && len(s) <= 32 && s[0] >= 'a' && s[0] <= 'z' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
