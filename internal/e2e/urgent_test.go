package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUrgent: a held message of an urgent sender has an officer called, by mail
// and by the command, also when serve dies before or while it calls; what is
// called stands before the rest, and nothing of the patient is told.
//
// long: one story, each step of which needs the one before
func TestUrgent(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"committed", "call", "acknowledge", "none"} {
		t.Run("killed at "+step, func(t *testing.T) {
			dir := t.TempDir()
			rung := filepath.Join(dir, "rung")
			pager := filepath.Join(dir, "pager")
			write(t, pager, fmt.Sprintf("#!/bin/sh\nenv | grep STANCH_ >> %s\n", rung), 0o700)
			g := newGateway(t, options{extra: fmt.Sprintf(`
[notify]
officers = ["officer@clinic.example"]
[urgent]
senders = ["*@lab.clinic.example"]
answer_within = "1h"
escalate = ["chief@clinic.example"]
command = [%q]
`, pager)})
			g.start("STANCH_CRASH_AT=" + step)
			const who, to = "quillfeather.zephyrine@lab.clinic.example", "zq-correspondent@partner.example"
			_, _ = g.send(who, []string{to}, canaryMail("urgent")) // it may be cut off
			if step != "none" {
				if !g.ended() {
					t.Fatal("serve did not reach the step")
				}
				g.kill()
				g.start()
			}
			told := func() (n int) {
				for _, m := range g.delivered() {
					if strings.Contains(m, "To: <officer@clinic.example>") {
						noCanary(t, "notice to an officer", m)
						n++
					}
				}
				return n
			}
			most := 1
			if step == "acknowledge" {
				most = 2 // the notice was under way when it died
			}
			eventually(t, "an officer is told", func() bool { return told() > 0 })
			eventually(t, "the pager rings", func() bool {
				b, err := os.ReadFile(rung)
				return err == nil && strings.Contains(string(b), "STANCH_LEVEL=0")
			})
			noCanary(t, "what the pager has", read(t, rung))
			if _, err := g.send("ada@clinic.example", []string{to}, canaryMail("later")); err != nil {
				t.Fatal(err)
			}
			list := func() (items []struct {
				ID       string
				Urgent   bool
				AnswerBy time.Time `json:"answer_by"`
			}) {
				t.Helper()
				if err := json.Unmarshal([]byte(g.must("quarantine", "list", "--format", "json")), &items); err != nil {
					t.Fatal(err)
				}
				return items
			}
			before := list()
			if len(before) != 2 || !before[0].Urgent || before[1].Urgent {
				t.Fatalf("list %+v; want the urgent one first", before)
			}
			eventually(t, "that the officer was told is on record", func() bool { return len(g.queue()) == 0 })
			g.kill()
			g.start()
			if after := list(); len(after) != 2 || !after[0].AnswerBy.Equal(before[0].AnswerBy) {
				t.Errorf("after kill -9 the next call is due at %v, want %v", after[0].AnswerBy, before[0].AnswerBy)
			}
			g.must("quarantine", "release", before[0].ID)
			eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
			if n := told(); n > most {
				t.Errorf("the officer was told %d times, want %d at most", n, most)
			}
			if left := list(); len(left) != 1 || left[0].Urgent {
				t.Errorf("after the decision: %+v", left)
			}
			log := g.must("audit", "export")
			if !strings.Contains(log, `"kind":"call"`) || !strings.Contains(log, `"reason":"level_0"`) {
				t.Error("the call is not on the audit log")
			}
			g.must("audit", "verify")
			noCanary(t, "audit export", log)
			noCanary(t, "the log", g.logged())
		})
	}
}
