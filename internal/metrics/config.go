package metrics

import (
	"net"
	"strconv"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the [metrics] table.
type Config struct {
	// Listen is where /metrics, /healthz and /readyz are served, host:port;
	// "" serves them nowhere. They hold no PHI but tell how much mail there is.
	Listen string `toml:"listen"`
}

// Default returns the defaults: the loopback interface only.
func Default() Config { return Config{Listen: "127.0.0.1:9025"} }

// Validate reports the first bad value as a *dlp.KeyError.
func (c *Config) Validate() error {
	if c.Listen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return &dlp.KeyError{Key: "metrics.listen", Want: "host:port"}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return &dlp.KeyError{Key: "metrics.listen", Want: "a port from 0 to 65535"}
	}
	return nil
}
