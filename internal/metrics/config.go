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
	// MinFree is how much room the file system of data_dir is to have: with less, the alarm disk is raised on /healthz and /readyz.
	MinFree dlp.Size `toml:"min_free"`
}

// Default returns the defaults: the loopback interface only, and the room below
// which stanch doctor says that data_dir fails.
func Default() Config { return Config{Listen: "127.0.0.1:9025", MinFree: 256 << 20} }

// Validate reports the first bad value as a *dlp.KeyError.
func (c *Config) Validate() error {
	if c.MinFree < 0 {
		return &dlp.KeyError{Key: "metrics.min_free", Want: "a size of 0 or more"}
	}
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
