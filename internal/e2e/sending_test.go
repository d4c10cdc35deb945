package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestKilledWhileSending kills the gateway while its outbox is busy: two
// messages in three are split or read on without their client, held ones are
// released, and all leave by two next hops of which one fails on purpose.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	killedWhileSending(t, 6)
}

func TestHundredKillsWhileSending(t *testing.T) {
	longTest(t)
	killedWhileSending(t, 100)
}

// sendingPolicy holds what is for d2.example, and only that, of what has an SSN
// in it: the rest of such a message goes out.
const sendingPolicy = `
[[policies]]
id = "hold"
where = { channels = ["mail"], recipients = ["*@d2.example"] }
all = [ { type = "SSN" } ]
action = "quarantine"
[[smtp.routes]]
name = "faulty"
recipients = ["d1.example"]
next_hops = [%q]
`

// outboxWorkers is the default of outbox.workers: how many messages a kill may
// double (docs/adr/0018-backlog.md).
const outboxWorkers = 16

// long: one chain of kills, and what must hold after it
func killedWhileSending(t *testing.T, kills int) {
	t.Helper()
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	soundDir, faultyDir := filepath.Join(dir, "sound"), filepath.Join(dir, "faulty")
	sound, soundLedger := startSink(t, mkdir(t, soundDir), "-delay", "20ms")
	faulty, faultyLedger := startSink(t, mkdir(t, faultyDir), "-delay", "20ms", "-4xx", "0.1", "-drop", "0.05", "-drop-before", "0.05")
	g := newGateway(t, options{nextHop: sound, extra: fmt.Sprintf(sendingPolicy, faulty), smtp: `scan_timeout = "60s"`})
	atDoor := read(t, g.config) // of every other life; in the rest each message is read on without its client
	readOn := strings.Replace(atDoor, `scan_timeout = "60s"`, `scan_timeout = "1ns"`, 1)
	corpus := sendingCorpus(t, dir)

	g.start()
	var loads []string
	load := startLoad(t, g, dir, corpus, 20, 500, &loads, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example")
	var dead []span
	var releasing sync.WaitGroup
	due, idle, released := 0, 0, 0
	for len(dead)-idle < kills {
		time.Sleep(time.Duration(200+random.IntN(1200)) * time.Millisecond) // the moment is the point
		gone := span{from: time.Now()}
		g.kill()
		releasing.Wait() // it would hold the data folder
		n := dueAt(g, gone.from)
		if due += n; n == 0 {
			idle++
		}
		if idle > 10+kills { // on a busy machine little is begun between two of them
			t.Fatalf("nothing was due in the outbox at %d of %d kills", idle, len(dead)+1)
		}
		ids := someHeld(g, 20)
		released += len(ids)
		write(t, g.config, []string{atDoor, readOn}[(len(dead)+1)%2], 0o600)
		gone.to = time.Now()
		dead = append(dead, gone)
		g.start()
		releasing.Go(func() { release(g, ids) })
		if load.done() {
			load = startLoad(t, g, dir, corpus, 20, 500, &loads, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example")
		}
	}
	load.wait(t)
	releasing.Wait()
	for _, how := range []string{"Held for review", "Accepted for reading"} {
		n := answeredBy(t, loads, how)
		if t.Logf("%q answered %d messages", how, n); n == 0 {
			t.Errorf("no message was answered %q", how)
		}
	}
	aside := len(g.queue("--state", "poison"))
	emptyOutbox(t, g)
	t.Logf("%d kills, at %d of which nothing was due; %.0f messages due at one; %d releases begun; %d set aside after three kills in hand",
		len(dead), idle, float64(due)/float64(len(dead)), released, aside)

	copies := sentCopies(t, soundLedger, faultyLedger)
	if releaseHeld(g, copies) == 0 {
		t.Error("nothing is held")
	}
	emptyOutbox(t, g)

	doubled, perKill, unproven := proveSent(sentCopies(t, soundLedger, faultyLedger), dead)
	t.Logf("copies that arrived more than once: %s; for one kill at most %d messages", doubled, perKill)
	for _, u := range unproven {
		t.Error(u)
	}
	if perKill > outboxWorkers {
		t.Errorf("one kill doubled %d messages, want at most outbox.workers, %d", perKill, outboxWorkers)
	}
	args := []string{"-sink", soundLedger, "-sink", faultyLedger, "-strict-header"}
	for _, l := range loads {
		args = append(args, "-load", l)
	}
	out, err := exec.Command(filepath.Join(tools, "account"), args...).CombinedOutput()
	t.Logf("%s", out)
	if err != nil && !onlyDoubled(string(out)) { // doubles are proven above: account knows nothing of kills
		t.Errorf("account: %v", err)
	}
	noneLeft(t, filepath.Join(g.data(), "tmp"))
	g.must("audit", "verify")
}

// sendingCorpus makes the messages: of six, four are split.
func sendingCorpus(t *testing.T, dir string) string {
	t.Helper()
	corpus := mkdir(t, filepath.Join(dir, "corpus"))
	line := "A plain line about nothing much at all.\r\n.and one that begins with a dot\r\n"
	for i, size := range []int{1 << 10, 100 << 10} {
		write(t, filepath.Join(corpus, fmt.Sprintf("clean%d.eml", i)), "Subject: clean\r\n\r\n"+strings.Repeat(line, size/len(line)), 0o600)
	}
	for i, size := range []int{0, 4 << 10, 40 << 10, 400 << 10} { // in the database, and in files of their own
		write(t, filepath.Join(corpus, fmt.Sprintf("phi%d.eml", i)),
			"Subject: phi\r\n\r\nHer social security number is 536-22-8145.\r\n"+strings.Repeat(line, size/len(line)), 0o600)
	}
	return corpus
}

// answeredBy counts the messages that were answered with text.
func answeredBy(t *testing.T, ledgers []string, text string) (n int) {
	t.Helper()
	for _, ledger := range ledgers {
		eachLine(t, ledger, func(line []byte) {
			var sent struct{ Reply string }
			if err := json.Unmarshal(line, &sent); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(sent.Reply, text) {
				n++
			}
		})
	}
	return n
}

// mkdir makes a folder and returns its path.
func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dueAt counts what the outbox of g, which does not run, had to deliver at a
// moment.
func dueAt(g *gateway, at time.Time) (n int) {
	var qs []struct {
		State string
		Next  time.Time
	}
	out := g.must("queue", "list", "--format", "json")
	if err := json.Unmarshal([]byte(out), &qs); err != nil {
		g.t.Fatalf("queue list: %v", err)
	}
	for _, q := range qs {
		if q.State == "queued" && !q.Next.After(at) {
			n++
		}
	}
	return n
}

// someHeld are the ids of at most n held messages.
func someHeld(g *gateway, n int) (ids []string) {
	for _, it := range g.held() {
		if len(ids) < n {
			ids = append(ids, it.ID)
		}
	}
	return ids
}

// release lets held messages go; the gateway may be killed meanwhile.
func release(g *gateway, ids []string) {
	if len(ids) > 0 {
		_ = exec.Command(stanch, append([]string{"quarantine", "release", "--config", g.config}, ids...)...).Run() // as said
	}
}

// emptyOutbox tries what is in the outbox until it is empty.
func emptyOutbox(t *testing.T, g *gateway) {
	t.Helper()
	g.cli("queue", "retry", "--all", "--state", "poison") // three kills in a row while it was in hand
	drainedBy(t, g, func() { g.cli("queue", "retry", "--all") })
}

// sentCopy is one copy of a message that a sink took.
type sentCopy struct {
	T         time.Time
	ID        string
	Rcpts     []string
	Committed bool
	Outcome   string // "drop": taken, and the connection closed instead of an answer
}

// sentCopies reads the copies, by id and recipient, in the order in which they
// came.
func sentCopies(t *testing.T, ledgers ...string) map[string][]sentCopy {
	t.Helper()
	out := map[string][]sentCopy{}
	for _, ledger := range ledgers {
		eachLine(t, ledger, func(line []byte) {
			var c sentCopy
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatal(err)
			}
			if !c.Committed {
				return
			}
			for _, r := range c.Rcpts {
				out[c.ID+" "+r] = append(out[c.ID+" "+r], c)
			}
		})
	}
	for _, cs := range out {
		slices.SortFunc(cs, func(a, b sentCopy) int { return a.T.Compare(b.T) })
	}
	return out
}

// proveSent looks at what arrived more than once. Each copy but the last is
// excused by its own lost answer: the hop dropped it, or the gateway was killed
// between this copy and the next; what was on its way then the hop may note
// while the gateway is gone. perKill is the most messages that one kill doubled.
func proveSent(copies map[string][]sentCopy, dead []span) (doubled string, perKill int, unproven []string) {
	dropped := 0
	atKill := map[int]map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(copies)) {
		cs := copies[key]
		for i := range max(0, len(cs)-1) {
			k := slices.IndexFunc(dead, func(d span) bool { return !d.to.Before(cs[i].T) })
			switch {
			case cs[i].Outcome == "drop":
				dropped++
			case k >= 0 && dead[k].to.Before(cs[i+1].T):
				if atKill[k] == nil {
					atKill[k] = map[string]bool{}
				}
				atKill[k][cs[i].ID+" "+strings.Join(cs[i].Rcpts, " ")] = true // one delivery
			default:
				unproven = append(unproven, fmt.Sprintf("%s came at %v and at %v: nothing was lost between", key, cs[i].T, cs[i+1].T))
			}
		}
	}
	n := 0
	for _, at := range atKill {
		n, perKill = n+len(at), max(perKill, len(at))
	}
	return fmt.Sprintf("%d after a dropped answer, %d by %d kills, %d unproven", dropped, n, len(atKill), len(unproven)), perKill, unproven
}

// TestDoublesOfTheOutboxAreProven holds that a second copy is not excused but by
// a loss between it and the one before.
func TestDoublesOfTheOutboxAreProven(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0) }
	dead := []span{{at(10), at(12)}, {at(20), at(22)}}
	took := func(outcome string, s ...int) (cs []sentCopy) {
		for _, s := range s {
			cs = append(cs, sentCopy{T: at(s), ID: "m", Rcpts: []string{"a"}, Outcome: outcome})
		}
		return cs
	}
	for name, tt := range map[string]struct {
		copies   []sentCopy
		perKill  int
		unproven int
	}{
		"once":                      {took("250", 9), 0, 0},
		"twice, a kill between":     {took("250", 9, 13), 1, 0},
		"twice, noted while gone":   {took("250", 11, 13), 1, 0},
		"twice, the answer dropped": {took("drop", 13, 14), 0, 0},
		"twice in one life":         {took("250", 13, 14), 0, 1},
		"twice after the last kill": {took("250", 23, 24), 0, 1},
		"three, two kills between":  {took("250", 9, 13, 23), 1, 0},
		"three, one kill":           {took("250", 9, 13, 14), 1, 1},
	} {
		_, perKill, unproven := proveSent(map[string][]sentCopy{"m a": tt.copies}, dead)
		if perKill != tt.perKill || len(unproven) != tt.unproven {
			t.Errorf("%s: %d for a kill, unproven %q; want %d and %d", name, perKill, unproven, tt.perKill, tt.unproven)
		}
	}
}
