package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStopWhileTheOutboxWaits: a next hop that takes two seconds to answer the
// end of data has a message once, though serve is told to stop meanwhile, or to
// give way.
func TestStopWhileTheOutboxWaits(t *testing.T) {
	t.Parallel()
	for _, upgrade := range []bool{false, true} {
		name := "stop and start"
		if upgrade {
			name = "upgrade"
		}
		t.Run(name, func(t *testing.T) {
			hop := newNextHop(t)
			g := newInstalled(t, options{nextHop: hop.addr, extra: quietPolicy})
			if upgrade {
				g.startInstalled()
			} else {
				g.start()
			}
			if answer, err := g.send("ada@clinic.example", outside, phiMail); err != nil || !strings.Contains(answer, "Held") {
				t.Fatal(answer, err)
			}
			dot := make(chan struct{}, 9)
			hop.follow(func(verb, _ string, _ hopMail) string {
				if verb == "DOT" {
					dot <- struct{}{}
					time.Sleep(2 * time.Second) // a content filter
				}
				return ""
			})
			g.must("quarantine", "release", g.held()[0].ID)
			<-dot
			if upgrade {
				if out, code := g.upgrade(); code != 0 {
					t.Fatalf("upgrade: exit %d: %s", code, out)
				}
			} else {
				g.stop() // SIGTERM; exit 0
				if note := filepath.Join(g.data(), "state", "outbox.alive"); !exists(note) {
					t.Error("nothing notes when the outbox last ran")
				}
				g.start()
			}
			g.must("queue", "retry", "--all")
			eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
			if n := hop.count(); n != 1 {
				t.Errorf("the next hop took the message %d times, want once", n)
			}
		})
	}
}
