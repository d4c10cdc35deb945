package watch

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is one [[watch]]: a folder whose files are judged, with everything
// below it.
type Config struct {
	// Path is the folder to watch. It is an error when one watched folder lies inside another.
	Path string `toml:"path"`
	// Settle is how long a file must be unchanged before it is read. Default 2s.
	Settle dlp.Duration `toml:"settle"`
	// Rescan is the time between complete walks, which find what events missed. Folders on network file systems are found by these walks alone. Default 10m.
	Rescan dlp.Duration `toml:"rescan"`
	// MaxWait is how long a file that keeps changing, or that a program holds open for writing, is waited for before it is read as it stands. It is never taken away while it is open for writing. Default 10m.
	MaxWait dlp.Duration `toml:"max_wait"`
	// Stub leaves NAME.stanch.txt behind each file that is taken away; it is gone again on release. Default false.
	Stub bool `toml:"stub"`
	// AgeRecipients are the age public keys ("age1…", and "age1pq1…" of the post-quantum kind) that can open what the action encrypt leaves as NAME.age. Without any, and with neither of the next two keys, such files are quarantined.
	AgeRecipients []string `toml:"age_recipients"`
	// PGPRecipients are files, each with the OpenPGP public key of one who can open what encrypt then leaves as NAME.gpg. A root has recipients of one kind.
	PGPRecipients []string `toml:"pgp_recipients"`
	// CMSRecipients are files, each with the certificate (PEM) of one who can open what encrypt then leaves as NAME.p7m, in algorithms that FIPS 140 allows. Files of more than 128 MiB are quarantined.
	CMSRecipients []string `toml:"cms_recipients"`
	// Poll uses no events, only the walks of rescan. Network file systems are polled without it.
	Poll bool `toml:"poll"`
	// Jobs is how many files of this folder are judged at once. Default 2.
	Jobs int `toml:"jobs"`
	// MaxFolders is how many folders are watched by events; what lies in further ones is found by the walks. The kernel's own limit is fs.inotify.max_user_watches. Default 100000.
	MaxFolders int `toml:"max_folders"`
}

// Bounds of a Config. The defaults of settle and rescan are those of the
// configuration reference.
const (
	defaultSettle     = 2 * time.Second
	defaultRescan     = 10 * time.Minute
	defaultMaxWait    = 10 * time.Minute
	defaultJobs       = 2
	defaultMaxFolders = 100_000
	minRescan         = time.Second // a shorter one would only burn the disk
	maxJobs           = 64
	maxFoldersBound   = 10_000_000
)

// DefaultConfig returns a Config with every default and no Path.
func DefaultConfig() Config { return Config{}.WithDefaults() }

// WithDefaults returns c with each value that was left at zero set to its
// default.
func (c Config) WithDefaults() Config {
	set := func(d *dlp.Duration, v time.Duration) {
		if *d == 0 {
			*d = dlp.Duration(v)
		}
	}
	set(&c.Settle, defaultSettle)
	set(&c.Rescan, defaultRescan)
	set(&c.MaxWait, defaultMaxWait)
	if c.Jobs == 0 {
		c.Jobs = defaultJobs
	}
	if c.MaxFolders == 0 {
		c.MaxFolders = defaultMaxFolders
	}
	return c
}

// Validate reports the first bad value of c as a *dlp.KeyError with a key such
// as "watch.path". Zero values stand for their defaults.
func (c *Config) Validate() error { return c.validate("watch") }

func (c *Config) validate(prefix string) error {
	bad := func(key, want string) error { return &dlp.KeyError{Key: prefix + "." + key, Want: want} }
	d := c.WithDefaults()
	switch {
	case d.Path == "":
		return bad("path", "the folder to watch")
	case strings.ContainsRune(d.Path, 0):
		return bad("path", "a path without a NUL byte")
	case d.Rescan.D() < minRescan:
		return bad("rescan", "1s or more")
	case d.MaxWait < d.Settle:
		return bad("max_wait", "at least settle")
	case d.Jobs < 0 || d.Jobs > maxJobs:
		return bad("jobs", fmt.Sprintf("1 to %d", maxJobs))
	case min(len(d.AgeRecipients), 1)+min(len(d.PGPRecipients), 1)+min(len(d.CMSRecipients), 1) > 1:
		return bad("pgp_recipients", "recipients of one kind: age_recipients, pgp_recipients or cms_recipients")
	case d.MaxFolders < 0 || d.MaxFolders > maxFoldersBound:
		return bad("max_folders", fmt.Sprintf("1 to %d", maxFoldersBound))
	}
	return nil
}

// ValidateAll checks each of cs and that no root lies inside another. Keys are
// written with the index: "watch[1].path".
func ValidateAll(cs []Config) error {
	paths := make([]string, len(cs))
	for i := range cs {
		prefix := fmt.Sprintf("watch[%d]", i)
		if err := cs[i].validate(prefix); err != nil {
			return err
		}
		p, err := resolve(cs[i].Path)
		if err != nil {
			return &dlp.KeyError{Key: prefix + ".path", Want: "a path that can be made absolute"}
		}
		for j, q := range paths[:i] {
			if within(p, q) || within(q, p) {
				return &dlp.KeyError{Key: prefix + ".path", Want: fmt.Sprintf("a folder neither inside nor around that of watch[%d]", j)}
			}
		}
		paths[i] = p
	}
	return nil
}

// resolve returns the absolute path without symbolic links as far as the
// folders exist, so that two spellings of one folder are seen to be one.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for dir := abs; ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest), nil
		}
		if dir == filepath.Dir(dir) {
			return abs, nil
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// within reports whether inner is outer or lies below it.
func within(inner, outer string) bool {
	rel, err := filepath.Rel(outer, inner)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
