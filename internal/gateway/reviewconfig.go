package gateway

import (
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// ReviewConfig is the section [review].
type ReviewConfig struct {
	// SecondPatients is how many distinct patients make a release take two people: the first one's decision is noted, and somebody else must decide the same. 0: no number does.
	SecondPatients int `toml:"second_patients"`
	// SecondSeverity does the same by what was found: `high` for rules of that severity, `medium` for these and those of medium, `low` for anything found, "" for none.
	SecondSeverity string `toml:"second_severity"`
	// Expires is how long an item waits for a decision, in `h` or `d`. Then `outcome` ends it, once `serve` has seen that for six hours of running on end (or `expires`, where that is less): a clock that is wrong for a while ends nothing. 0: it waits for good. Nothing is ever released by time alone.
	Expires dlp.Duration `toml:"expires"`
	// Outcome is what then becomes of it: `reject` tells the sender of mail as a person's rejection does, and keeps the content for as long as `vault.keep` says; `discard` deletes the content and tells nobody.
	Outcome string `toml:"outcome"`
}

// DefaultReview returns the defaults: one person decides, and nothing ends by time.
func DefaultReview() ReviewConfig { return ReviewConfig{Outcome: outcomeReject} }

const (
	outcomeReject  = "reject"
	outcomeDiscard = "discard"
)

// Validate reports what is wrong, as *dlp.KeyErrors.
func (c *ReviewConfig) Validate() error {
	var errs []error
	want := func(key, want string) { errs = append(errs, &dlp.KeyError{Key: "review." + key, Want: want}) }
	if c.SecondPatients < 0 {
		want("second_patients", "0 or more")
	}
	if _, ok := c.severity(); c.SecondSeverity != "" && !ok {
		want("second_severity", `"high", "medium", "low" or ""`)
	}
	if d := c.Expires.D(); d != 0 && (d < time.Hour || d > 366*24*time.Hour) {
		want("expires", `0, or between 1h and 366d: "release" is nothing that time does`)
	}
	if c.Outcome != outcomeReject && c.Outcome != outcomeDiscard {
		want("outcome", `"reject" or "discard": nothing is released by time`)
	}
	return errors.Join(errs...)
}

func (c *ReviewConfig) severity() (s dlp.Severity, ok bool) {
	return s, s.UnmarshalText([]byte(c.SecondSeverity)) == nil
}
