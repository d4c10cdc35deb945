package sample

import (
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the section [sample].
type Config struct {
	// OneIn keeps, of mail that passed, one message in so many, by chance, sealed as what is held is: for `rules replay` and *Replay the draft*. 1 keeps all, 0 none, and then erases at the next start what was kept.
	OneIn int `toml:"one_in"`
	// Keep is how long a message is kept, 1h to 90d. Then it is erased, or with the key of its period where `[vault]` has that destroyed sooner; no backup holds any.
	Keep dlp.Duration `toml:"keep"`
	// MaxBytes is how much is kept on the disk, and 20,000 messages at most. The oldest go first.
	MaxBytes dlp.Size `toml:"max_bytes"`
	// MaxMessage is the largest message that is kept, up to 10 MiB. Eight of that size may be in memory until they are sealed.
	MaxMessage dlp.Size `toml:"max_message"`
}

// maxMessage is the most that max_message may say.
const maxMessage = 10 << 20

// Default returns the defaults: nothing is kept.
func Default() Config {
	return Config{Keep: dlp.Duration(7 * 24 * time.Hour), MaxBytes: 256 << 20, MaxMessage: 1 << 20}
}

// Validate reports what is wrong, as *dlp.KeyErrors.
func (c *Config) Validate() error {
	var errs []error
	want := func(key, want string) { errs = append(errs, &dlp.KeyError{Key: "sample." + key, Want: want}) }
	if c.OneIn < 0 || c.OneIn > 1_000_000 {
		want("one_in", "0, for none, to 1000000")
	}
	if d := c.Keep.D(); d < time.Hour || d > 90*24*time.Hour {
		want("keep", "1h to 90d")
	}
	if c.MaxMessage < 1<<10 || c.MaxMessage > maxMessage {
		want("max_message", `1KiB to 10MiB`)
	}
	if c.MaxBytes < c.MaxMessage || c.MaxBytes > 1<<40 {
		want("max_bytes", "at least max_message, and 1TiB at most")
	}
	return errors.Join(errs...)
}
