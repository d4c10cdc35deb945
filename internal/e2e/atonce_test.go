package e2e

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// together runs commands at the same instant and returns their exit codes.
func (g *gateway) together(commands ...[]string) []int {
	g.t.Helper()
	codes := make([]int, len(commands))
	var all sync.WaitGroup
	for i, args := range commands {
		all.Go(func() {
			cmd := exec.Command(stanch, append(args, "--config", g.config)...)
			_ = cmd.Run() // how it ended is its exit code
			codes[i] = cmd.ProcessState.ExitCode()
		})
	}
	all.Wait()
	return codes
}

// takenOf counts how often the next hop took the document with that id itself.
func takenOf(hop *nextHop, id string) (n int) {
	for _, m := range hop.messages() {
		if m.from != "" && strings.Contains(m.text, "X-Stanch-Id: "+id) { // not a notice about it
			n++
		}
	}
	return n
}

// TestDecisionsAtOnce: of two people's decisions about one held message one is
// carried out and the other is told so, through a serve that runs and without
// one.
func TestDecisionsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.reports = true
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start()
	pairs := [][2]string{{"release", "release"}, {"release", "reject"}, {"reject", "release"}, {"reject", "reject"}}
	const each = 3
	for range 2 * each * len(pairs) {
		if _, err := b.send(g, outside, phiMail); err != nil {
			t.Fatal(err)
		}
	}
	held, letters := g.held("--header", "X-Load-Id"), map[string]string{}
	for _, it := range held {
		letters[it.ID] = it.Header
	}
	if len(held) != 2*each*len(pairs) {
		t.Fatalf("%d held, want %d", len(held), 2*each*len(pairs))
	}
	decided := map[string]string{}
	decide := func() {
		for range each {
			for _, p := range pairs {
				id := held[0].ID
				held = held[1:]
				codes := g.together([]string{"quarantine", p[0], id}, []string{"quarantine", p[1], id})
				switch {
				case codes[0] == 0 && codes[1] != 0:
					decided[id] = p[0]
				case codes[0] != 0 && codes[1] == 0:
					decided[id] = p[1]
				default:
					t.Errorf("%v of %s at once: exit codes %v, want one 0", p, id, codes)
				}
			}
		}
	}
	decide()
	g.stop()
	decide()
	g.start()
	eventually(t, "the outbox is empty", func() bool { return len(g.queue()) == 0 })
	for _, it := range g.held("--all") {
		want := map[string]string{"release": "released", "reject": "rejected"}[decided[it.ID]]
		if it.State != want {
			t.Errorf("%s: %s was carried out, and it is %s", it.ID, decided[it.ID], it.State)
		}
		if want == "rejected" {
			b.keeps(letters[it.ID])
		}
		if n := takenOf(hop, it.ID); n > 1 || (n == 1) != (want == "released") {
			t.Errorf("%s is %s, and the next hop took it %d times", it.ID, it.State, n)
		}
	}
	b.judge(g, false)
}

// TestQueueDecisionsAtOnce: a message of the outbox that is dropped and tried
// again at the same instant is either delivered, once, or dropped, and whoever
// is told that it is dropped is told the truth.
func TestQueueDecisionsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.reports = true
	hop := b.hop()
	full := always("RCPT", "452 4.2.2 full")
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start()
	const messages = 12
	for range messages {
		if _, err := b.send(g, outside, phiMail); err != nil {
			t.Fatal(err)
		}
	}
	hop.follow(full)
	letters := map[string]string{} // by document
	for _, it := range g.held("--header", "X-Load-Id") {
		letters[it.ID] = it.Header
		g.must("quarantine", "release", it.ID)
	}
	eventually(t, "all were tried", func() bool {
		for _, q := range g.queue() {
			if q.Tries == 0 {
				return false
			}
		}
		return true
	})
	ways := map[string]int{}
	for i, q := range g.queue() {
		// The next hop has room for this one alone: another may be due by itself.
		hop.follow(func(verb, _ string, tx hopMail) string {
			if verb == "DOT" && tx.from != "" && !strings.Contains(tx.text, "X-Stanch-Id: "+q.Doc) {
				return "452 4.2.2 full"
			}
			return ""
		})
		commands := [][]string{{"queue", "drop", q.ID}, {"queue", "retry", q.ID}, {"queue", "retry", q.ID}}
		codes := g.together(append(commands[i%3:], commands[:i%3]...)...)
		dropped := codes[(3-i%3)%3] == 0
		eventually(t, "it has ended", func() bool {
			if len(g.queue()) == messages-i-1 {
				return true
			}
			g.cli("queue", "retry", q.ID) // those above are lost on a try of its own that was under way
			return false
		})
		state := ""
		for _, x := range g.queue("--all") {
			if x.ID == q.ID {
				state = x.State
			}
		}
		ways[state]++
		if state == "dropped" {
			b.keeps(letters[q.Doc])
		}
		n := takenOf(hop, q.Doc)
		if dropped && (state != "dropped" || n != 0) || !dropped && (state != "delivered" || n != 1) {
			t.Errorf("%s: exit codes %v, dropped: %v; it is %s, and the next hop took it %d times", q.ID, codes, dropped, state, n)
		}
	}
	t.Logf("became of %d: %v", messages, ways)
	b.judge(g, false)
}

// TestExpiryAndRetryAtOnce: a message that expires while it is tried again, and
// while its next hop comes back, is delivered or comes back to its sender:
// one of both, and once.
func TestExpiryAndRetryAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.reports = true
	hop := b.hop()
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy})
	g.start() // makes the keys
	g.stop()
	const messages = 40
	var expires time.Time
	var ls []*letter
	inSpool(t, g.data(), func(s *spool.Spool, db *sqlite.DB) {
		expires = time.Now().Add(4 * time.Second)
		ms := make([]spool.Message, messages)
		for i := range ms {
			ls = append(ls, b.letter(cleanMail))
			b.answered(ls[i], []string{fmt.Sprintf("n%d@partner.example", i)}, "dot", "250 queued")
			ms[i] = spool.Message{Rcpts: to(fmt.Sprintf("n%d@partner.example", i)), Expires: expires}
		}
		putTexts(t, s, db, func(i int) string { return ls[i].text }, ms)
	})
	hop.follow(func(verb, _ string, tx hopMail) string {
		past := time.Since(expires)
		if verb == "RCPT" && tx.from != "" && (past < -time.Second || past < time.Second && rand.IntN(2) == 0) { // the moment is the point
			return "452 4.2.2 full"
		}
		return ""
	})
	g.start()
	for time.Now().Before(expires.Add(2 * time.Second)) {
		g.together([]string{"queue", "retry", "--all"}, []string{"queue", "retry", "--all"})
	}
	eventually(t, "the outbox is empty", func() bool {
		g.together([]string{"queue", "retry", "--all"})
		return len(g.queue()) == 0
	})
	delivered := 0
	for i := range messages {
		rcpt := fmt.Sprintf("n%d@partner.example", i)
		came, back := 0, 0
		for _, m := range hop.messages() {
			switch {
			case m.from != "" && slices.Contains(m.rcpts, rcpt):
				came++
			case m.from == "" && strings.Contains(m.text, "; "+rcpt+"\r\n") && strings.Contains(m.text, "Action: failed"):
				back++
			}
		}
		if back > 0 {
			b.keeps(ls[i].id)
		}
		if delivered += came; came+back != 1 {
			t.Errorf("%s: arrived %d times and came back %d times, want one of both", rcpt, came, back)
		}
	}
	t.Logf("%d of %d were delivered, the rest came back", delivered, messages)
	b.judge(g, false)
}
