package milter

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// Config is the section [milter].
type Config struct {
	// Listen are the addresses the milter door listens on: "inet:host:port" or "unix:/path". None: no milter door. What holds for messages (max_message_size, max_rcpts, scan_timeout, contact, hostname) stands in `[smtp]`, and what is released leaves by its next_hop.
	Listen []string `toml:"listen"`
	// SocketMode are the permissions of the sockets of "unix:" addresses, in octal. The mail server must be able to write to them.
	SocketMode string `toml:"socket_mode"`
	// Networks are the hosts that may connect to "inet:" addresses, as CIDR prefixes: the mail servers.
	Networks []string `toml:"networks"`
	// Held says what the server is told about a message that is held for all its recipients: "discard", which leaves it to the vault alone, or "quarantine", which has the server keep a copy of its own as well (Postfix: the hold queue).
	Held string `toml:"held"`
	// MaxConnections is how many connections there may be at once; more are closed at once, and the server has its client try again.
	MaxConnections int `toml:"max_connections"`
	// IdleTimeout is how long a connection may be silent. A server keeps it for as long as its client's session lasts.
	IdleTimeout dlp.Duration `toml:"idle_timeout"`
	// PacketTimeout is how long one packet of the protocol may take, in or out.
	PacketTimeout dlp.Duration `toml:"packet_timeout"`
	// AnswerTimeout is how long judging may take after the end of a message; meanwhile the server is told every few seconds that work goes on. The server's client waits ten minutes.
	AnswerTimeout dlp.Duration `toml:"answer_timeout"`
}

// The values of held.
const (
	HeldDiscard    = "discard"
	HeldQuarantine = "quarantine"
)

// Default returns the section as it is when nothing is set: no listener, and
// servers of this machine only.
func Default() Config {
	return Config{
		SocketMode:     "0660",
		Networks:       []string{"127.0.0.0/8", "::1/128"},
		Held:           HeldDiscard,
		MaxConnections: 500, // Postfix runs 100 smtpd processes unless told otherwise
		IdleTimeout:    dlp.Duration(time.Hour),
		PacketTimeout:  dlp.Duration(time.Minute),
		AnswerTimeout:  dlp.Duration(9 * time.Minute), // RFC 5321 4.5.3.2.6: the client gives up after ten
	}
}

// Validate checks every value and returns all that is wrong, each as a
// *dlp.KeyError, joined.
func (c *Config) Validate() error {
	var errs []error
	want := func(key, want string) { errs = append(errs, &dlp.KeyError{Key: "milter." + key, Want: want}) }
	for i, l := range c.Listen {
		if _, _, err := ParseListen(l); err != nil {
			want(fmt.Sprintf("listen[%d]", i), `"inet:host:port" or "unix:/path"`)
		}
	}
	if _, err := c.Mode(); err != nil {
		want("socket_mode", `permissions such as "0660"`)
	}
	if _, i := smtp.ParseNetworks(c.Networks); i >= 0 {
		want(fmt.Sprintf("networks[%d]", i), "a network such as 192.0.2.0/24")
	}
	if c.Held != HeldDiscard && c.Held != HeldQuarantine {
		want("held", "discard or quarantine")
	}
	if c.MaxConnections < 1 {
		want("max_connections", "at least 1")
	}
	for key, d := range map[string]dlp.Duration{"idle_timeout": c.IdleTimeout, "packet_timeout": c.PacketTimeout, "answer_timeout": c.AnswerTimeout} {
		if d <= 0 {
			want(key, `a duration above zero such as "60s"`)
		}
	}
	return errors.Join(errs...)
}

// errListen says that an address is none to listen on.
var errListen = errors.New(`milter: want "inet:host:port" or "unix:/path"`)

// ParseListen takes an address of listen apart, for net.Listen. A path must be
// absolute.
func ParseListen(s string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !filepath.IsAbs(path) || len(path) > sunPathMax {
			return "", "", errListen
		}
		return "unix", path, nil
	}
	addr, ok := strings.CutPrefix(s, "inet:")
	if !ok {
		return "", "", errListen
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "", errListen
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", errListen
	}
	return "tcp", addr, nil
}

const sunPathMax = 107 // bytes; unix(7): sun_path has 108, the last one NUL

// Mode returns the permissions of a socket.
func (c *Config) Mode() (os.FileMode, error) {
	m, err := strconv.ParseUint(c.SocketMode, 8, 32)
	if err != nil || m > 0o777 {
		return 0, errors.New("milter: not a mode")
	}
	return os.FileMode(m), nil
}
