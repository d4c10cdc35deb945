package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDamagedNoteOfTheOutbox: whatever stands where the outbox notes when it last
// ran, serve starts, delivers and, when it stops, has noted it anew.
func TestDamagedNoteOfTheOutbox(t *testing.T) {
	t.Parallel()
	hop := newNextHop(t)
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start()
	note := filepath.Join(g.data(), "state", "outbox.alive")
	text := func(s string) func() error {
		return func() error { return os.WriteFile(note, []byte(s), 0o600) }
	}
	cases := []struct {
		name string
		put  func() error
	}{
		{"nothing", func() error { return nil }},
		{"empty", text("")},
		{"garbage", text("\x00\xff{[")},
		{"another's JSON", text(`[1, "two"]`)},
		{"a time to come", text(`{"alive": "2999-01-01T00:00:00Z", "past": [{"from": "2000-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z"}]}`)},
		{"a terabyte", func() error { return errors.Join(text("")(), os.Truncate(note, 1<<40)) }},
		{"unreadable", func() error { return os.WriteFile(note, []byte("{}"), 0) }},
		{"a pipe", func() error { return syscall.Mkfifo(note, 0o600) }},
		{"a link to nowhere", func() error { return os.Symlink(filepath.Join(g.dir, "nowhere"), note) }},
	}
	for range cases {
		if answer, err := g.send("ada@clinic.example", outside, phiMail); err != nil || !strings.Contains(answer, "Held") {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	g.stop()
	for i, c := range cases {
		if err := errors.Join(os.Remove(note), c.put()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		g.start()
		before := time.Now()
		g.must("quarantine", "release", g.held()[0].ID)
		eventually(t, c.name+": it is delivered", func() bool { return hop.count() == i+1 })
		g.stop()
		var k struct{ Alive time.Time }
		info, err := os.Lstat(note)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: the note is %v, %v", c.name, info, err)
			continue
		}
		if err := json.Unmarshal([]byte(read(t, note)), &k); err != nil || k.Alive.Before(before) || k.Alive.After(time.Now()) {
			t.Errorf("%s: noted %v, %v", c.name, k.Alive, err)
		}
	}
	g.must("audit", "verify")
}
