// Package safelog makes loggers that cannot spread PHI.
//
// It promises that a line holds the time, the level, a message that reads like
// a constant, and values only under listed keys, each in the form its key
// asks for; whatever else a caller hands in becomes "[withheld]". Errors are
// told by their kind, never by their text.
package safelog

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"
)

// Withheld stands in the place of everything that is not listed.
const Withheld = "[withheld]"

// New returns a logger that writes one JSON line a record to w.
func New(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(&handler{json: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// Discard returns a logger that writes nothing.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Constant returns a standard-library logger for parts that want one and quote
// what they were sent: each line becomes the constant msg at the given level,
// without its text.
func Constant(l *slog.Logger, level slog.Level, msg string) *log.Logger {
	return log.New(constant{l, level, msg}, "", 0)
}

type constant struct {
	l     *slog.Logger
	level slog.Level
	msg   string
}

func (c constant) Write(p []byte) (int, error) {
	c.l.LogAttrs(context.Background(), c.level, c.msg)
	return len(p), nil
}

// handler withholds, then lets slog's own handler write. Groups are flattened:
// a key means the same wherever it stands.
type handler struct {
	json slog.Handler
	// within is set inside a group that is not listed: all its attributes are
	// withheld.
	within bool
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.json.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, message(r.Message), 0)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.clean(a)...)
		return true
	})
	return h.json.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var clean []slog.Attr
	for _, a := range attrs {
		clean = append(clean, h.clean(a)...)
	}
	if len(clean) == 0 {
		return h
	}
	return &handler{json: h.json.WithAttrs(clean), within: h.within}
}

// WithGroup implements slog.Handler. No group is listed.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{json: h.json, within: true}
}

// clean returns what may be written of a: one attribute, or none for the empty
// Attr, which handlers must ignore.
func (h *handler) clean(a slog.Attr) []slog.Attr {
	if a.Equal(slog.Attr{}) {
		return nil
	}
	v := a.Value.Resolve() // a LogValuer may stand for anything
	if v.Kind() == slog.KindGroup && a.Key == "" && !h.within {
		var out []slog.Attr // slog: an unnamed group stands in its parent's place
		for _, in := range v.Group() {
			out = append(out, h.clean(in)...)
		}
		return out
	}
	if !h.within {
		if f, ok := forms[a.Key]; ok {
			if s, ok := f(v); ok {
				return []slog.Attr{{Key: a.Key, Value: s}}
			}
			return []slog.Attr{slog.String(a.Key, Withheld)}
		}
	}
	// The key may tell as much as the value: only one that could stand in our
	// own source is shown.
	key := a.Key
	if !identifier(key) {
		key = "attr"
	}
	return []slog.Attr{slog.String(key, Withheld)}
}

// message returns s if it reads like one of our constants: a short line of
// ASCII with no address and no long number in it.
func message(s string) string {
	if len(s) > 160 || strings.ContainsAny(s, "@\"<>") {
		return Withheld
	}
	digits := 0
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= utf8.RuneSelf {
			return Withheld
		}
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	if digits > 4 {
		return Withheld
	}
	return s
}

func identifier(s string) bool {
	if s == "" || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// timeForm is how a time under a listed key is written.
func timeForm(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
