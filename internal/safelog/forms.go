package safelog

import (
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// form returns what may be written of a value, and whether it may be written
// at all.
type form func(slog.Value) (slog.Value, bool)

// forms lists the keys that may carry a value. All values are ours: ids,
// constants, numbers, times. A key is added here, with the narrowest form that
// serves it, or its values are withheld.
var forms = map[string]form{
	// Which document, which piece of it.
	"doc":  id,
	"id":   id,
	"part": matching(`(?:(?:\d{1,5}|HEADER|MIME)(?:[./~](?:\d{1,5}|HEADER|MIME)){0,60})?`),

	// What was decided and what came of it: constants of the configuration or
	// of the program.
	"rule": word, "policy": word, "action": word, "cause": word, "reason": word, "channel": word,
	"stage": word, "step": word, "kind": word, "state": word, "mode": word, "result": word, "outcome": word,
	"err_kind": word, "check": word, "signal": word, "format": word, "event": word, "component": word,
	"command": word, "verb": word, "route": word, "check_name": word, "key": word,
	"code":     matching(`[1-5]\d\d|[245]\.\d{1,3}\.\d{1,3}`),
	"enhanced": matching(`[245]\.\d{1,3}\.\d{1,3}`),
	"ruleset":  matching(`[0-9a-f]{0,64}`),
	"digest":   matching(`[0-9a-f]{0,64}`),
	"version":  matching(`[A-Za-z0-9][A-Za-z0-9.+_()-]{0,63}`),
	"revision": matching(`[0-9a-f]{0,40}`),
	"go":       matching(`go[0-9a-z.]{1,20}`),
	"tls":      matching(`TLS 1\.[0-3]|[0-9a-z._-]{1,20}`),
	"stack":    stack,

	// Our own doors.
	"addr_listen": listen,

	// Numbers, times, claims.
	"count": number, "bytes": number, "took": number, "pid": number, "seq": number, "line": number,
	"attempt": number, "tries": number, "limit": number, "depth": number, "rcpts": number, "findings": number,
	"gaps": number, "delivered": number, "failed": number, "pending": number, "files": number, "folders": number,
	"rules": number, "policies": number, "workers": number, "worker": number, "watch": number, "exit": number,
	"session": number, "sessions": number, "messages": number, "held": number, "queued": number, "open": number,
	"size": number, "expired": number, "removed": number, "recovered": number, "landlock": number, "seccomp": number, "trials": number, "rss": number, "passwords": number,
	"wait": number, "retry_in": number, "timeout": number, "age": number, "until": number, "since": number,
	"root": number, "enabled": number, "ok": number, "partial": number, "level": number, "cores": number, "restarts": number,
}

// number takes numbers, booleans, durations (written as 1.5s) and times.
func number(v slog.Value) (slog.Value, bool) {
	switch v.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool:
		return v, true
	case slog.KindDuration:
		return slog.StringValue(v.Duration().String()), true
	case slog.KindTime:
		return slog.StringValue(timeForm(v.Time())), true
	}
	return v, false
}

// id takes a dlp.ID.
func id(v slog.Value) (slog.Value, bool) {
	s, ok := text(v)
	if !ok {
		return v, false
	}
	_, err := dlp.ParseID(s)
	return slog.StringValue(s), err == nil
}

// expression compiles an expression when it is first used: a process that logs
// nothing compiles none.
func expression(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

var wordRE = expression(`^[a-z][a-z0-9]*(?:[_.:-][a-z0-9]+)*$`)

// word takes a lower-case word such as a rule id or a constant. It starts with
// a letter and holds at most six digits, so that no number of a person fits.
func word(v slog.Value) (slog.Value, bool) {
	s, ok := text(v)
	if !ok || len(s) > 64 {
		return v, false
	}
	digits := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			digits++
		}
	}
	return slog.StringValue(s), s == "" || digits <= 6 && wordRE().MatchString(s)
}

// matching takes a string that matches the expression from end to end, or a
// number that does when written out.
func matching(expr string) form {
	re := expression("^(?:" + expr + ")$")
	return func(v slog.Value) (slog.Value, bool) {
		switch v.Kind() {
		case slog.KindInt64, slog.KindUint64:
			return v, re().MatchString(v.String())
		}
		s, ok := text(v)
		return slog.StringValue(s), ok && len(s) <= 512 && re().MatchString(s)
	}
}

// listen takes the address of a door: an IP address or "localhost" and a port,
// a port alone, or a socket's name without its folder.
func listen(v slog.Value) (slog.Value, bool) {
	s, ok := text(v)
	if !ok {
		return v, false
	}
	rest := s
	for _, name := range []string{"localhost:", ":"} {
		if r, ok := strings.CutPrefix(s, name); ok {
			rest = "127.0.0.1:" + r
			break
		}
	}
	_, err := netip.ParseAddrPort(rest)
	return slog.StringValue(s), err == nil || s == "control.sock"
}

// maxFrames bounds a stack trace.
const maxFrames = 24

// stack takes what debug.Stack gives and keeps the names of the functions; the
// words of their arguments stay out.
func stack(v slog.Value) (slog.Value, bool) {
	s, ok := text(v)
	if !ok {
		return v, false
	}
	var names []string
	for line := range strings.SplitSeq(s, "\n") {
		if line == "" || line[0] == '\t' || strings.HasPrefix(line, "goroutine ") {
			continue
		}
		i := strings.LastIndexByte(line, '(')
		if i <= 0 || strings.ContainsAny(line[:i], " \"'@") {
			continue
		}
		if names = append(names, line[:i]); len(names) == maxFrames {
			break
		}
	}
	return slog.StringValue(strings.Join(names, " ")), true
}

// text returns the string of v: a string, or a value of a string type such as
// dlp.ID, never what a Stringer or an error would say.
func text(v slog.Value) (string, bool) {
	switch v.Kind() {
	case slog.KindString:
		return v.String(), true
	case slog.KindAny:
		switch x := v.Any().(type) {
		case dlp.ID:
			return string(x), true
		case dlp.RuleID:
			return string(x), true
		case dlp.Type:
			return string(x), true
		}
	}
	return "", false
}
