package pickup

import (
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/web"
)

// Config is the [portal] table.
type Config struct {
	// Listen is the host:port of the pickup pages. Empty: there are none, and nobody's mail goes that way.
	Listen string `toml:"listen"`
	// URL is where recipients reach these pages, such as `https://pickup.clinic.example`: the beginning of every link. Behind a proxy it is the proxy's. Plain http is taken for `localhost` and a loopback address alone. Passkeys take a name: none are set where it is an IP address.
	URL string `toml:"url"`
	// TLSCert is the certificate of the pages, PEM, its chain after it. Without it they speak plain HTTP, which is for a proxy in front.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is its private key, PEM; only its owner may read the file.
	TLSKey string `toml:"tls_key"`
	// Proxies are the networks from which `X-Forwarded-For` is believed, for the limits by address.
	Proxies []string `toml:"proxies"`
	// Site is who writes, as pages and notices name it: `Harbor Vale Clinic`.
	Site string `toml:"site"`
	// Contact is where a recipient can turn to, in a few words: a telephone number, an address. It stands on every page.
	Contact string `toml:"contact"`
	// Expiry is how long a message can be opened; then its content is gone.
	Expiry dlp.Duration `toml:"expiry"`
	// TellSender has the sender of a message that waits here told so, with a link that takes it back, where there are pages of [sender]. At most 20 such notices go to a sender within an hour.
	TellSender bool `toml:"tell_sender"`
	// SMSCommand is a program, by its absolute path, with its arguments, that sends a code as a text message. Its environment has STANCH_RCPT, the address of the recipient whose number it is to know, and STANCH_CODE. Empty: codes go by mail alone.
	SMSCommand []string `toml:"sms_command"`
	// PasskeyExpiry is how long a passkey that a reader has set opens messages in place of a code after it was used last. `"0s"`: none may be set, and none opens anything.
	PasskeyExpiry dlp.Duration `toml:"passkey_expiry"`
	// MaxReply is how large a reply with its files may be.
	MaxReply dlp.Size `toml:"max_reply"`
}

// Default has no pages, and keeps messages for two weeks.
func Default() Config {
	return Config{Expiry: dlp.Duration(14 * 24 * time.Hour), PasskeyExpiry: dlp.Duration(400 * 24 * time.Hour), MaxReply: 20 << 20, TellSender: true}
}

// On reports whether there are pickup pages.
func (c *Config) On() bool { return c.Listen != "" }

// Validate reports what no link can be made of, and what a page cannot show.
func (c *Config) Validate() error {
	bad := func(key, want string) error { return &dlp.KeyError{Key: "portal." + key, Want: want} }
	switch {
	case c.Expiry < dlp.Duration(time.Hour) || c.Expiry > dlp.Duration(365*24*time.Hour):
		return bad("expiry", `a duration from "1h" to "365d"`)
	case c.PasskeyExpiry != 0 && (c.PasskeyExpiry < dlp.Duration(24*time.Hour) || c.PasskeyExpiry > dlp.Duration(3650*24*time.Hour)):
		return bad("passkey_expiry", `a duration from "1d" to "3650d", or "0s" for no passkeys`)
	case c.MaxReply < 64<<10 || c.MaxReply > 100<<20:
		return bad("max_reply", "a size from 64KiB to 100MiB")
	case !web.IsLine(c.Site):
		return bad("site", "one line of at most 100 bytes")
	case !web.IsLine(c.Contact):
		return bad("contact", "one line of at most 100 bytes")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return bad("tls_key", "tls_cert and tls_key together")
	case len(c.SMSCommand) > 0 && !filepath.IsAbs(c.SMSCommand[0]):
		return bad("sms_command", "a program by its absolute path first")
	}
	if _, err := web.Networks(c.Proxies); err != nil {
		return bad("proxies", `networks such as "10.0.0.0/8"`)
	}
	if c.Listen == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return bad("listen", "host:port")
	}
	if !web.IsURL(c.URL) && !isLocalhost(c.URL) {
		return bad("url", "the https:// address by which recipients reach the pages, without query")
	}
	if c.Site == "" || c.Contact == "" {
		return bad("contact", "site and contact too: pages and notices say who writes and whom to ask")
	}
	return nil
}

// isLocalhost reports http to this machine by its name, which browsers hold to be
// as safe as https. W3C Secure Contexts 3.1.
func isLocalhost(s string) bool {
	rest, ok := strings.CutPrefix(s, "http://localhost")
	return ok && web.IsURL("http://127.0.0.1"+rest)
}

// Link is the address of the parcel id for a browser: key stands in the
// fragment, which no browser sends. RFC 3986 3.5; RFC 9110 7.1.
func (c *Config) Link(id dlp.ID, key Key) string {
	return strings.TrimSuffix(c.URL, "/") + "/p/" + string(id) + "#" + key.String()
}
