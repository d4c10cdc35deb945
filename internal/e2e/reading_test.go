package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readingOn makes every message one that takes too long to read while its client
// waits: the time is up before it begins.
var readingOn = options{smtp: `scan_timeout = "1ns"`, extra: quietPolicy}

// queued is one line of queue list.
type queued struct {
	ID, Doc, Kind, State, Why string
	Tries                     int
	Expires                   time.Time
}

func (g *gateway) queue(args ...string) []queued {
	g.t.Helper()
	var qs []queued
	out := g.must(append([]string{"queue", "list", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &qs); err != nil {
		g.t.Fatalf("queue list: %v: %s", err, out)
	}
	return qs
}

// TestSlowReading: past scan_timeout the client has its answer, and the
// message goes its way by itself: the clean one out, the other into the vault.
func TestSlowReading(t *testing.T) {
	t.Parallel()
	g := newGateway(t, readingOn)
	g.start()
	for _, msg := range []string{cleanMail, phiMail} {
		answer, err := g.send("ada@clinic.example", outside, slowMail(msg))
		if err != nil || !strings.Contains(answer, "Accepted for reading, id ") {
			t.Fatalf("answered %q, %v", answer, err)
		}
	}
	eventually(t, "one is held", func() bool { return len(g.held()) == 1 })
	eventually(t, "one is delivered", func() bool { return len(g.delivered()) == 1 })
	eventually(t, "the queue is empty", func() bool { return len(g.queue()) == 0 })
	if got := g.delivered()[0]; !strings.HasSuffix(got, slowMail(cleanMail)) || !strings.Contains(got, "X-Stanch-Id: ") {
		t.Errorf("delivered %d bytes, want the message as it came behind its trace fields", len(got))
	}
	if got := g.must("quarantine", "export", g.held()[0].ID, "--reveal"); got != slowMail(phiMail) {
		t.Errorf("held %d bytes, want the message as it came", len(got))
	}
	eventually(t, "nothing is left in the spool", func() bool {
		left, err := filepath.Glob(filepath.Join(g.data(), "spool", "*", "*"))
		return err == nil && len(left) == 0
	})
	g.must("audit", "verify")
}

// TestSlowReadingSurvivesKillAtEachStep kills the gateway before each durable
// step on the way into the spool, out of it and into the vault. In the end
// there is one message, where its verdict says; its client was told 250 once it
// was on stable storage, and not before.
func TestSlowReadingSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for _, verdict := range []struct{ name, msg string }{{"out", slowMail(cleanMail)}, {"held", slowMail(phiMail)}} {
		for _, tt := range []struct {
			step  string
			acked bool // the client had its 250
			quick bool // among the quick tests too
		}{
			{"decision", false, false},
			{"spool unread", false, true},
			{"put: name", false, false},
			{"put: named", false, false},
			{"commit", false, false},
			{"commit: sync", false, true},
			{"commit: answer", false, false},
			{"committed", false, true},
			{"commit#2", true, false}, // the reading's beginning
			{"committed#2", true, false},
			{"read on", true, true},
			{"decision#2", true, false},
			{"judged", true, true},
			{"put: name#2", true, false},
			{"put: named#2", true, false},
			{"commit#3", true, true},
			{"committed#3", true, true},
		} {
			t.Run(verdict.name+"/"+tt.step, func(t *testing.T) {
				if !tt.quick {
					longTest(t)
				}
				b, o := newBooks(t), readingOn
				hop, l := b.hop(), b.letter(verdict.msg)
				o.nextHop = hop.addr
				g := newGateway(t, o)
				g.start("STANCH_CRASH_AT=" + tt.step)
				answer, err := b.give(g, outside, l)
				if !g.ended() {
					t.Fatalf("the step was never reached: answered %q, %v", answer, err)
				}
				acked := strings.Contains(answer, "Accepted for reading, id ")
				if acked && !tt.acked {
					t.Fatalf("answered %q before it was on stable storage", answer)
				}
				g.start()
				if !acked { // as every mail server does
					if answer, err = b.give(g, outside, l); err != nil || !strings.Contains(answer, ", id ") {
						t.Fatalf("second try: %q, %v", answer, err)
					}
				}
				eventually(t, "the queue is empty", func() bool { return len(g.queue()) == 0 })
				held, out := g.held(), hop.count()
				if verdict.name == "out" && (len(held) != 0 || out != 1) || verdict.name == "held" && (len(held) != 1 || out != 0) {
					t.Errorf("%d held, %d delivered; want one message", len(held), out)
				}
				for _, it := range held {
					if got := g.must("quarantine", "export", it.ID, "--reveal"); got != l.text {
						t.Errorf("held %d bytes, want the message as it came", len(got))
					}
				}
				if n := b.settle(g); n != 0 {
					t.Errorf("%d second copies, want none", n)
				}
			})
		}
	}
}
