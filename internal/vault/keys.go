package vault

import (
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the [vault] table.
type Config struct {
	// Reviewers are the age public keys ("age1…", or all of them "age1pq1…") of those who may open what is held. What is held is sealed to one key for each period, and that key to each of them.
	Reviewers []string `toml:"reviewers"`
	// ReviewerCertificates are files, each with the certificate (PEM) of one who may open what is held, in place of reviewers: RSA of 2048 bits or more, P-256, P-384 or P-521. Then what is held and its keys are sealed by what FIPS 140 approves (CMS, P-384, AES-256-GCM) and not by age. It takes `reviewers_only`.
	ReviewerCertificates []string `toml:"reviewer_certificates"`
	// ReviewersOnly takes the release key away from this server at the next start, for good: then showing, releasing and exporting what is held takes a reviewer's key (`--identity`). False: the server keeps a release key of its own, and whoever reads its disk and memory can read what is held.
	ReviewersOnly bool `toml:"reviewers_only"`
	// ReviewersNeeded is how many of the reviewers must be there to open anything: 1, or 2, which takes `reviewers_only`.
	ReviewersNeeded int `toml:"reviewers_needed"`
	// Period is how long one key is used for what comes in before the next begins.
	Period dlp.Duration `toml:"period"`
	// Keep is how long a period's key is kept after the period. Then the key is destroyed, and with it every copy of the contents of that period, in backups too. What nobody has decided about yet keeps its period's key. 0 keeps contents for good, the least else is 1s.
	Keep dlp.Duration `toml:"keep"`
	// KeepCases is the same for the case records, which say why something was held; 0 keeps them for good, the least else is 1s.
	KeepCases dlp.Duration `toml:"keep_cases"`
}

// DefaultConfig is the configuration of an empty file: the release key is on
// the server, and nothing expires.
func DefaultConfig() Config {
	return Config{ReviewersNeeded: 1, Period: dlp.Duration(30 * 24 * time.Hour)}
}

// Validate reports numbers that do not go together. What a public key is, the
// package that knows them says.
func (c *Config) Validate() error {
	var errs []error
	want := func(key, want string) { errs = append(errs, &dlp.KeyError{Key: "vault." + key, Want: want}) }
	if len(c.Reviewers) > MaxReviewers {
		want("reviewers", "at most 20 public keys")
	}
	if len(c.ReviewerCertificates) > MaxReviewers {
		want("reviewer_certificates", "at most 20 files")
	}
	seen := map[string]bool{}
	for _, r := range c.Reviewers {
		if seen[r] {
			want("reviewers", "each public key once")
		}
		seen[r] = true
	}
	for _, f := range c.ReviewerCertificates {
		if seen[f] {
			want("reviewer_certificates", "each file once")
		}
		seen[f] = true
	}
	switch {
	case c.ReviewersNeeded != 1 && c.ReviewersNeeded != 2:
		want("reviewers_needed", "1 or 2")
	case c.ReviewersNeeded == 2 && !c.ReviewersOnly:
		want("reviewers_needed", "1 while the server keeps the release key: two are asked for with reviewers_only = true")
	case len(c.Reviewers) > 0 && len(c.ReviewerCertificates) > 0:
		want("reviewer_certificates", "reviewers or reviewer_certificates, not both: what is sealed to an age key too is not by what FIPS 140 approves")
	case len(c.ReviewerCertificates) > 0 && !c.ReviewersOnly:
		want("reviewer_certificates", "reviewers_only = true with them: the release key of the server is one of age's")
	case c.ReviewersOnly && len(c.Reviewers)+len(c.ReviewerCertificates) < c.ReviewersNeeded:
		want("reviewers", "at least as many public keys (or reviewer_certificates) as are needed to open what is held: with reviewers_only nobody else can")
	}
	if c.Period.D() < time.Hour {
		want("period", `a duration of at least an hour such as "30d"`)
	}
	for _, k := range []struct {
		key  string
		keep dlp.Duration
	}{{"keep", c.Keep}, {"keep_cases", c.KeepCases}} {
		if k.keep != 0 && k.keep.D() < leastKeep {
			want(k.key, `0, for good, or a duration of at least a second such as "365d"`)
		}
	}
	return errors.Join(errs...)
}

// leastKeep is the shortest time that keys are kept: that of the second look by
// which a wrong clock is found out, which is never longer.
const leastKeep = time.Second

// MaxReviewers bounds how many keys one period's key is sealed to; with two
// needed there are as many seals as pairs.
const MaxReviewers = 20

// ErrLocked says that the server has no key for what was asked: a reviewer's
// is needed.
var ErrLocked = errors.New("vault: this takes a reviewer's key")

// Lock is what a reviewer needs, beside a key of their own, to open one sealed
// stream, and nothing else. None of it is secret.
type Lock struct {
	Period    dlp.ID   `json:"period"`
	Recipient string   `json:"recipient"` // public key of the period
	Sealed    [][]byte `json:"sealed"`    // the period's key, sealed to each that may open it
	Header    []byte   `json:"header"`    // of the stream
}

// Locks are those of one held document.
type Locks struct {
	Content Lock `json:"content"`
	Case    Lock `json:"case"`
}

// Opened are the keys of the two streams of one held document and of nothing
// else: what a reviewer's program made of its Locks. The zero value leaves it
// to the server's own key.
type Opened struct {
	Content []byte `json:"content,omitempty"`
	Case    []byte `json:"case,omitempty"`
}

// KindRelease is the kind of a key beside KindContent and KindCase: the release
// key of a server that gave it up, to which is sealed what was held before there
// were periods.
const KindRelease = "release"

// Period is how the key of one period stands.
type Period struct {
	ID        dlp.ID    `json:"id"`
	Kind      string    `json:"kind"` // KindContent, KindCase or KindRelease
	Begun     time.Time `json:"begun"`
	Ended     time.Time `json:"ended,omitzero"`     // when the next began
	Destroyed time.Time `json:"destroyed,omitzero"` // zero: it is there
	Recipient string    `json:"recipient"`
	Readers   []string  `json:"readers"` // public keys that it is sealed to
	Needed    int       `json:"needed"`  // how many of them it takes
	Stale     bool      `json:"stale"`   // these are not the readers that are configured
	Sealed    [][]byte  `json:"sealed,omitempty"`
}

// Periods is how all of them stand, and for whom they are to be sealed.
type Periods struct {
	Server  string   `json:"server,omitempty"` // public key of the release key on this server; "": it has none
	Readers []string `json:"readers"`
	Needed  int      `json:"needed"`
	Periods []Period `json:"periods"`
}
