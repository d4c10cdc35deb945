package safelog_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

const aDoc = "abcdefghijklmnopqrstuvwxya"

// line logs once and returns the JSON line as a map.
func line(t *testing.T, log func(*slog.Logger)) map[string]any {
	t.Helper()
	var b bytes.Buffer
	log(safelog.New(&b, slog.LevelDebug))
	var m map[string]any
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatalf("%q: %v", b.String(), err)
	}
	return m
}

type valuer string

func (v valuer) LogValue() slog.Value { return slog.StringValue(string(v)) }

type stringer struct{}

func (stringer) String() string { return "mail" }

func TestAttributes(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 5, time.FixedZone("x", 3600))
	for _, tc := range []struct {
		name string
		attr slog.Attr
		want any
	}{
		{"a document's id", slog.String("doc", aDoc), aDoc},
		{"an id by its type", slog.Any("doc", dlp.ID(aDoc)), aDoc},
		{"no id", slog.String("doc", "report Quillon.docx"), safelog.Withheld},
		{"a part", slog.String("part", "2/3.1/HEADER"), "2/3.1/HEADER"},
		{"no part", slog.String("part", "536-22-8145"), safelog.Withheld},
		{"the empty part", slog.String("part", ""), ""},
		{"a rule", slog.String("rule", "us-ssn"), "us-ssn"},
		{"a rule by its type", slog.Any("rule", dlp.RuleID("us-ssn")), "us-ssn"},
		{"a number as a word", slog.String("rule", "536228145"), safelog.Withheld},
		{"many digits in a word", slog.String("rule", "a5362281"), safelog.Withheld},
		{"a sentence as a word", slog.String("cause", "no such file"), safelog.Withheld},
		{"an address as a word", slog.String("stage", "q@x.example"), safelog.Withheld},
		{"a count", slog.Int("count", 3), 3.0},
		{"a string as a count", slog.String("count", "3"), safelog.Withheld},
		{"a duration", slog.Duration("took", 1500*time.Millisecond), "1.5s"},
		{"a time", slog.Time("until", at), "2026-03-01T09:00:00.000000005Z"},
		{"a reply code", slog.Int("code", 451), 451.0},
		{"no reply code", slog.Int("code", 536228145), safelog.Withheld},
		{"an enhanced code", slog.String("code", "5.7.1"), "5.7.1"},
		{"a door", slog.String("addr_listen", "127.0.0.1:2525"), "127.0.0.1:2525"},
		{"a door on all interfaces", slog.String("addr_listen", "[::]:2525"), "[::]:2525"},
		{"no door", slog.String("addr_listen", "quillon.example:25"), safelog.Withheld},
		{"a LogValuer", slog.Any("channel", valuer("mail")), "mail"},
		{"a LogValuer with a name", slog.Any("channel", valuer("Q. Testperson")), safelog.Withheld},
		{"a Stringer", slog.Any("channel", stringer{}), safelog.Withheld},
		{"an error", slog.Any("cause", errors.New("mail")), safelog.Withheld},
		{"a struct", slog.Any("count", struct{ Name string }{"Q"}), safelog.Withheld},
		{"a group under a listed key", slog.Group("doc", slog.String("id", aDoc)), safelog.Withheld},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := line(t, func(l *slog.Logger) { l.LogAttrs(t.Context(), slog.LevelInfo, "said", tc.attr) })
			if got := m[tc.attr.Key]; got != tc.want {
				t.Errorf("%s = %v, want %v", tc.attr.Key, got, tc.want)
			}
			m = line(t, func(l *slog.Logger) { l.With(tc.attr).Info("said") })
			if got := m[tc.attr.Key]; got != tc.want {
				t.Errorf("by With: %s = %v, want %v", tc.attr.Key, got, tc.want)
			}
		})
	}
}

func TestNothingElsePasses(t *testing.T) {
	const canary = "Quillon"
	for _, tc := range []struct {
		name string
		log  func(*slog.Logger)
	}{
		{"unlisted key", func(l *slog.Logger) { l.Info("said", "subject", canary) }},
		{"as a key", func(l *slog.Logger) { l.Info("said", canary, 1) }},
		{"as a key in a group", func(l *slog.Logger) { l.Info("said", slog.Group(canary, slog.Int("count", 1))) }},
		{"in an unnamed group", func(l *slog.Logger) { l.Info("said", slog.Group("", slog.String("name", canary))) }},
		{"in WithGroup", func(l *slog.Logger) {
			l.WithGroup(canary).With("rule", "quillon", "x", canary).Info("said", "x", canary)
		}},
		{"as a LogValuer", func(l *slog.Logger) { l.Info("said", "x", valuer(canary)) }},
		{"as an error", func(l *slog.Logger) { l.Info("said", "err", errors.New(canary)) }},
		{"as a kind of error", func(l *slog.Logger) {
			l.LogAttrs(context.Background(), slog.LevelInfo, "said", safelog.Err(errors.New(canary)))
		}},
		{"without a key", func(l *slog.Logger) { l.Info("said", []any{canary}...) }},
		{"message with an address", func(l *slog.Logger) { l.Info("from Quillon@x.example") }},
		{"message with quotes", func(l *slog.Logger) { l.Info(`open "Quillon.doc"`) }},
		{"message with a number", func(l *slog.Logger) { l.Info("Quillon 536-22-8145") }},
		{"message beyond ASCII", func(l *slog.Logger) { l.Info("Quillon Müller") }},
		{"message of lines", func(l *slog.Logger) { l.Info("a\nQuillon") }},
		{"through log", func(l *slog.Logger) { safelog.Constant(l, slog.LevelWarn, "said").Print(canary) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			tc.log(safelog.New(&b, slog.LevelDebug))
			if b.Len() == 0 {
				t.Error("nothing was logged")
			}
			if strings.Contains(strings.ToLower(b.String()), "quillon") {
				t.Errorf("logged %s", b.String())
			}
		})
	}
}

func TestUnlistedKeyIsShownWithoutItsValue(t *testing.T) {
	m := line(t, func(l *slog.Logger) { l.Info("said", "subject", "x") })
	if got := m["subject"]; got != safelog.Withheld {
		t.Errorf("subject = %v, want %v", got, safelog.Withheld)
	}
	if got := m["msg"]; got != "said" {
		t.Errorf("msg = %v", got)
	}
}

func TestStackKeepsNamesOfFunctions(t *testing.T) {
	m := line(t, func(l *slog.Logger) {
		func(string) { l.Info("broke", "stack", string(debug.Stack())) }("Quillon")
	})
	got, _ := m["stack"].(string)
	if !strings.Contains(got, "safelog_test.TestStackKeepsNamesOfFunctions") {
		t.Errorf("stack = %q, want the name of this test", got)
	}
	if strings.Contains(got, "0x") || strings.Contains(got, "\n") {
		t.Errorf("stack = %q, want names only", got)
	}
}

func TestLevel(t *testing.T) {
	var b bytes.Buffer
	safelog.New(&b, slog.LevelWarn).Info("said")
	if b.Len() != 0 {
		t.Errorf("logged %s", b.String())
	}
}

type ownKind string

func (e ownKind) Error() string   { return "Quillon" }
func (e ownKind) ErrKind() string { return string(e) }

func TestKind(t *testing.T) {
	_, notFound := os.Open("/nonexistent/Quillon")
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"none", nil, safelog.KindNone},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), safelog.KindTimeout},
		{"canceled", context.Canceled, safelog.KindCanceled},
		{"full disk", &fs.PathError{Op: "write", Path: "/Quillon", Err: syscall.ENOSPC}, safelog.KindNoSpace},
		{"not found", notFound, safelog.KindNotFound},
		{"permission", fs.ErrPermission, safelog.KindPermission},
		{"exists", fs.ErrExist, safelog.KindExists},
		{"closed", net.ErrClosed, safelog.KindClosed},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, safelog.KindRefused},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, safelog.KindReset},
		{"dns", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "quillon.example", IsNotFound: true}}, safelog.KindDNS},
		{"dns in time", &net.DNSError{IsTimeout: true}, safelog.KindTimeout},
		{"tls", x509.UnknownAuthorityError{}, safelog.KindTLS},
		{"input", io.ErrUnexpectedEOF, safelog.KindIO},
		{"path", &fs.PathError{Op: "read", Path: "/Quillon", Err: syscall.EISDIR}, safelog.KindIO},
		{"joined", errors.Join(errors.New("x"), syscall.ENOSPC), safelog.KindNoSpace},
		{"own kind", fmt.Errorf("x: %w", ownKind("too_deep")), "too_deep"},
		{"own kind that is none", ownKind("Quillon was here"), safelog.KindOther},
		{"other", errors.New("Quillon"), safelog.KindOther},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := safelog.Kind(tc.err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzNothingPasses: no string is logged as it is unless it is a word of ours.
func FuzzNothingPasses(f *testing.F) {
	f.Add("subject", "Quillon Testperson")
	f.Add("part", "1.2/HEADER")
	f.Add("rule", "us-ssn")
	f.Fuzz(func(t *testing.T, key, value string) {
		var b bytes.Buffer
		safelog.New(&b, slog.LevelDebug).LogAttrs(t.Context(), slog.LevelInfo, "said", slog.String(key, value))
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatalf("%q: %v", b.String(), err)
		}
		for k, v := range m {
			switch s, _ := v.(string); {
			case k == "time", k == "level", k == "msg", s == safelog.Withheld:
			case strings.ContainsAny(s, "@\"'\n<>") || strings.Contains(s, "  "):
				t.Errorf("%q under %q was logged as %q", value, key, s)
			}
		}
	})
}
