// Package bypass is the switch that lets mail pass unread for a while.
//
// It promises that the switch is off unless a person turned it on, that it is
// on no longer than they asked for, whatever the clock does, however often the
// process dies and whichever of its files is put back, and that who turned it
// on, when and why outlives it. Who may turn it, and what stands on the audit
// log, is for others to see to.
package bypass

import (
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the section [bypass].
type Config struct {
	// Enabled is whether `stanch bypass` may let mail pass unread for a while when reading it has broken down. With it, serve also starts while nothing can be read, and asks senders to try again until that is mended or a bypass is begun.
	Enabled bool `toml:"enabled"`
	// Max is the longest that one bypass may be asked for.
	Max dlp.Duration `toml:"max"`
}

// Default returns the defaults: not enabled, four hours at most.
func Default() Config { return Config{Max: dlp.Duration(4 * time.Hour)} }

// longest is what a bypass may last at the very most.
const longest = 24 * time.Hour

// Validate reports the first bad value as a *dlp.KeyError.
func (c *Config) Validate() error {
	if c.Max.D() < time.Minute || c.Max.D() > longest {
		return &dlp.KeyError{Key: "bypass.max", Want: "between 1m and 24h"}
	}
	return nil
}

// Errors a caller chooses by.
var (
	// ErrOff says that the configuration does not allow a bypass.
	ErrOff = errors.New("a bypass is not allowed here: set enabled = true under [bypass] and restart stanch")
	// ErrOn says that a bypass is in force already.
	ErrOn = errors.New("a bypass is in force already; see `stanch bypass status`")
	// ErrNone says that no bypass is in force.
	ErrNone = errors.New("no bypass is in force")
	// ErrTooLong says that a bypass was asked for that is longer than allowed.
	ErrTooLong = errors.New("--for: want more than no time, and no more than max under [bypass], which is 4h unless set")
	// ErrReason says that a bypass was asked for without saying why.
	ErrReason = errors.New("want a reason of one line, at most 500 bytes")
)

// maxReason is the longest reason, in bytes.
const maxReason = 500

// How a bypass ended.
const (
	Expired  = "expired"   // its time was over
	Stopped  = "stopped"   // a person ended it
	NotBegun = "not_begun" // the process died before it was in force
)

// ByConfiguration is who ended a bypass that the configuration no longer allows
// at the next start.
const ByConfiguration = "configuration"

// Bypass is one time in which mail passes, or passed, unread.
type Bypass struct {
	ID     dlp.ID
	Actor  string    // who asked for it, as the audit log names them
	Reason string    // in their words: it may hold PHI, and goes to officers only
	Began  time.Time // wall clock
	Ends   time.Time // wall clock: never later, and never later than Ends-Began after it began
	Passed int64     // messages let pass so far
	Ended  time.Time // zero while it is in force
	How    string    // how it ended: Expired, Stopped or NotBegun; "" while in force
	By     string    // who ended it; "" where time did
}
