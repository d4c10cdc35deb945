// Package probe makes mails and files about invented patients, remembers what
// it sent, and knows its own when it comes by.
//
// It promises that no two probes are about the same person, that nobody without
// the site's key can make what it takes for a probe, and that it takes for one
// only what it remembers having sent. It judges nothing and lets nothing pass:
// what it is shown has been decided upon before.
package probe

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the section [doctor].
type Config struct {
	// Routes are the ways out that are tried with a mail or a file about an invented patient, one [[doctor.routes]] for each. One that is not held in time, or passes, raises an alarm.
	Routes []Route `toml:"routes"`
}

// Route is one [[doctor.routes]].
type Route struct {
	// Name names the route in the audit log, the metrics and the alarm: up to 32 letters, digits and `-`, beginning with a letter.
	Name string `toml:"name"`
	// Via is how the mail is handed in, as your people's is: "host:port" of your own mail server, or "sendmail", or "sendmail:/usr/sbin/sendmail -C /etc/postfix-out". Empty for a folder.
	Via string `toml:"via,omitempty"`
	// From is the sender of the mail: an address whose mail goes this way.
	From string `toml:"from,omitempty"`
	// To is where the mail would go if nothing held it: an address of your own outside your organisation, for it arrives when the route is open.
	To string `toml:"to,omitempty"`
	// Folder is a watched folder, or one below it, in which a file is left instead of a mail.
	Folder string `toml:"folder,omitempty"`
	// Every is how often the route is tried.
	Every dlp.Duration `toml:"every,omitempty" default:"6h"`
	// Within is how soon it must be held. Mail may wait in your server's queue.
	Within dlp.Duration `toml:"within,omitempty" default:"10m"`
}

const (
	everyDefault  = 6 * time.Hour
	withinDefault = 10 * time.Minute
	maxRoutes     = 50
)

func (r Route) every() time.Duration  { return or(r.Every.D(), everyDefault) }
func (r Route) within() time.Duration { return or(r.Within.D(), withinDefault) }

// pause is how long after a probe that came to last the next one follows: one
// that could not be handed in is tried again sooner.
func (r Route) pause(last Result) time.Duration {
	if last == NotSent {
		return min(r.within(), r.every())
	}
	return r.every()
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Sendmail returns the program and arguments of a Via that hands mail to one;
// nil for the address of a server.
func (r Route) Sendmail() []string {
	rest, ok := strings.CutPrefix(r.Via, "sendmail")
	if !ok || rest != "" && rest[0] != ':' {
		return nil
	}
	if args := strings.Fields(strings.TrimPrefix(rest, ":")); len(args) > 0 {
		return args
	}
	return []string{"/usr/sbin/sendmail"}
}

// Validate reports the first bad value as a *dlp.KeyError.
func (c *Config) Validate() error {
	if len(c.Routes) > maxRoutes {
		return &dlp.KeyError{Key: "doctor.routes", Want: fmt.Sprintf("at most %d", maxRoutes)}
	}
	seen := map[string]bool{}
	for i, r := range c.Routes {
		if k := r.validate(); k != nil {
			k.Key = fmt.Sprintf("doctor.routes[%d].%s", i, k.Key)
			return k
		}
		if seen[r.Name] {
			return &dlp.KeyError{Key: fmt.Sprintf("doctor.routes[%d].name", i), Want: "a name that no other route has"}
		}
		seen[r.Name] = true
	}
	return nil
}

func (r Route) validate() *dlp.KeyError {
	bad := func(key, want string) *dlp.KeyError { return &dlp.KeyError{Key: key, Want: want} }
	if !validName(r.Name) {
		return bad("name", "up to 32 small letters, digits (six at most) and -, beginning with a letter")
	}
	if (r.Via == "") == (r.Folder == "") {
		return bad("via", "either via, from and to, or folder")
	}
	if r.Folder == "" {
		if r.Sendmail() == nil {
			_, port, err := net.SplitHostPort(r.Via)
			if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
				return bad("via", `host:port, "sendmail" or "sendmail:PROGRAM"`)
			}
		} else if !filepath.IsAbs(r.Sendmail()[0]) {
			return bad("via", "sendmail: and the whole path of a program")
		}
		for key, a := range map[string]string{"from": r.From, "to": r.To} {
			if _, ok := address(a); !ok {
				return bad(key, "an address of ASCII such as probe@clinic.example")
			}
		}
	} else if r.From != "" || r.To != "" {
		return bad("folder", "either folder, or via, from and to")
	}
	if r.Within < 0 || r.within() < time.Second {
		return bad("within", "at least 1s")
	}
	if r.Every < 0 || r.every() <= r.within() {
		return bad("every", "more than within")
	}
	return nil
}

// validName takes what may stand in the audit log and be a label.
func validName(s string) bool {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c == '-' && i > 0:
		case c >= '0' && c <= '9' && i > 0:
			digits++
		default:
			return false
		}
	}
	return s != "" && len(s) <= 32 && digits <= 6 && s[len(s)-1] != '-' && !strings.Contains(s, "--")
}

// Address is the address of a Route that Validate has accepted.
func Address(s string) dlp.Address {
	a, _ := address(s)
	return a
}

// address takes "local@domain" without quotes and what needs them.
func address(s string) (dlp.Address, bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 254 {
		return dlp.Address{}, false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("<>()[]\\,;:\"", c) >= 0 || c == '@' && i != at {
			return dlp.Address{}, false
		}
	}
	return dlp.Address{Local: s[:at], Domain: s[at+1:]}, true
}

// reaches reports whether a is where the route's probes go.
func (r Route) reaches(a dlp.Address) bool {
	to, ok := address(r.To)
	return ok && a.Local == to.Local && strings.EqualFold(a.Domain, to.Domain)
}
