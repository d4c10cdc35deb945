package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Running is what a serve says of itself.
type Running struct {
	PID     int
	Version string
	Loaded  time.Time // when it last read its configuration
	Files   uint64    // how many files it may have open
	RuleSet string    // digest of the rules it judges by
	Failing []string  // of its own health checks
	FIPS    string    // version of the FIPS 140-3 module it runs with, "" for none
	Alarms  []string  // what an operator should see, such as "bypass"
}

// Serving tells whether serve runs and is well. r is nil when none answers;
// locked is whether a process has the data folder all the same.
func Serving(r *Running, locked bool, version, configFile string) Check {
	return Check{Name: "serve", Run: func(context.Context) []Finding {
		switch {
		case r == nil && locked:
			return []Finding{bad("serve", "a process has the data folder and does not answer", "It may be starting, which takes a minute the first time; else look for it with `fuser -v` on the file lock in data_dir.")}
		case r == nil:
			return []Finding{poor("serve", "does not run: what follows was looked at from outside", "Run `systemctl start stanch`, or `stanch serve`.")}
		}
		out := []Finding{good("serve", "runs as process %d, version %s", r.PID, r.Version)}
		if r.Version != version {
			out = append(out, poor("serve", fmt.Sprintf("is version %s, this program is %s", r.Version, version), "Run `stanch upgrade`: no client is refused."))
		}
		if len(r.Failing) > 0 {
			out = append(out, bad("serve", "says that it is not well: "+strings.Join(r.Failing, ", "), "Look at its log: `journalctl -u stanch`."))
		}
		for _, a := range r.Alarms {
			switch a {
			case "bypass":
				out = append(out, bad("bypass", "a bypass is in force: mail passes unread", "Run `stanch bypass status`, and `stanch bypass end` when it is not needed any more."))
			case "routes", "siem": // the checks of these names say more
			default:
				out = append(out, poor("alarm", "serve raises the alarm "+a, "Look at its log: `journalctl -u stanch`."))
			}
		}
		if info, err := os.Stat(configFile); err == nil && info.ModTime().After(r.Loaded.Add(time.Second)) {
			out = append(out, poor(configFile, "was changed after serve read it", "Run `systemctl reload stanch`; keys that a reload cannot put in force are named in the log."))
		}
		return out
	}}
}

// Configuration tells that the configuration loaded, and looks at its file.
func Configuration(file string) Check {
	return Check{Name: "configuration", Run: func(context.Context) []Finding {
		info, err := os.Stat(file)
		if err != nil {
			return []Finding{bad(file, "cannot be looked at: "+plain(err), "Name the file with --config.")}
		}
		if mode := info.Mode().Perm(); mode&0o022 != 0 {
			return []Finding{bad(file, fmt.Sprintf("loads; mode %04o: others than its owner can change what may leave", mode), "Run `chmod go-w "+file+"`.")}
		}
		return []Finding{good(file, "loads, every key known")}
	}}
}
