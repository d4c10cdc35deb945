package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKilledUnderLoad kills the gateway at random moments while 20 clients
// send: nothing that was answered 250 is lost, nothing is mangled, and nothing
// is doubled but where a reply was lost after the dot.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	killedUnderLoad(t, 7) // TestHundredKills is the long one
}

// TestKilledUnderLoadWithFaults does so before a next hop that refuses one
// message in ten for now, and of one in twenty takes the message and drops the
// connection instead of saying so.
func TestKilledUnderLoadWithFaults(t *testing.T) {
	t.Parallel()
	killedUnderLoad(t, 5, "-4xx", "0.1", "-drop", "0.05")
}

func TestHundredKills(t *testing.T) {
	longTest(t)
	killedUnderLoad(t, 100)
}

func TestHundredKillsWithFaults(t *testing.T) {
	longTest(t)
	killedUnderLoad(t, 100, "-4xx", "0.1", "-drop", "0.05")
}

func killedUnderLoad(t *testing.T, kills int, faults ...string) {
	t.Helper()
	const messages = 500 // a run; another begins when one ends early
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	g := newTrial(t, options{}, faults...)
	g.start()
	load := g.load(messages)
	for range kills {
		time.Sleep(time.Duration(random.IntN(1200)) * time.Millisecond) // the moment is the point
		g.kill()
		g.start()
		if load.done() {
			load = g.load(messages)
		}
	}
	load.wait(t)
	g.whole()
}

// TestReadersKilledUnderLoad kills readers at random, mostly amid a document:
// every message is held or goes out, once and whole, none of those with PHI
// goes out, and mail flows as before once nobody kills them.
func TestReadersKilledUnderLoad(t *testing.T) {
	t.Parallel()
	g := newTrial(t, options{extra: "[defaults]\nnotify = []\n"}) // what cannot be read is held
	g.start()
	load, kills := g.load(200), 0
	for kills < 20 && len(g.ledgers) < 10 || !load.done() {
		if load.done() { // sooner than twenty kills: there is more of it
			load = g.load(200)
		}
		if readers := g.children(); len(readers) > 0 && syscall.Kill(readers[rand.IntN(len(readers))], syscall.SIGKILL) == nil {
			kills++
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // the moment is the point
	}
	load.wait(t)
	if kills < 20 {
		t.Errorf("%d readers were killed while mail flowed, want 20", kills)
	}
	g.load(40).wait(t)
	g.whole()
	sent := g.sent()
	for id := range copiesOf(t, g.sunk) {
		if strings.HasPrefix(sent[id], "phi") {
			t.Errorf("%s, which is %s, went out", id, sent[id])
		}
	}
	held := map[string]int{} // by what was sent
	for _, it := range g.held("--header", "X-Load-Id") {
		held[sent[it.Header]]++
	}
	t.Logf("%d readers killed; held: %v", kills, held)
	if held["phi-small.eml"] == 0 || held["phi-large.eml"] == 0 {
		t.Errorf("held: %v; want all that has PHI among it", held)
	}
}

// account compares what was sent with what the sink took and what is held.
func account(t *testing.T, dir, sinkLedger string, held, loads []string) {
	t.Helper()
	if _, err := accounted(t, dir, sinkLedger, held, loads); err != nil {
		t.Errorf("account: %v", err)
	}
}

// accounted is account for a caller that looks at what it found.
func accounted(t *testing.T, dir, sinkLedger string, held, loads []string) (found string, err error) {
	t.Helper()
	list := filepath.Join(dir, "held.txt")
	write(t, list, strings.Join(held, "\n")+"\n", 0o600)
	args := []string{"-sink", sinkLedger, "-held", list, "-strict-header"}
	for _, l := range loads {
		args = append(args, "-load", l)
	}
	out, err := exec.Command(filepath.Join(tools, "account"), args...).CombinedOutput()
	t.Logf("%s", out)
	return string(out), err
}

// quietPolicy holds and tells nobody, so that every message at the sink is one
// that the generator sent.
const quietPolicy = `
[[policies]]
id = "hold"
where = { channels = ["mail"], recipients = "external" }
all = [ { type = "SSN" } ]
action = "quarantine"
`

// loadCorpus makes the messages that are sent: clean ones of several sizes and
// two that are held.
func loadCorpus(t *testing.T, dir string) string {
	t.Helper()
	corpus := filepath.Join(dir, "corpus")
	if err := os.Mkdir(corpus, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{1 << 10, 10 << 10, 100 << 10, 1 << 20} {
		body := strings.Repeat("A plain line about nothing much at all.\r\n.and one that begins with a dot\r\n", size/73)
		write(t, filepath.Join(corpus, fmt.Sprintf("clean%d.eml", i)), "Subject: clean\r\n\r\n"+body, 0o600)
	}
	write(t, filepath.Join(corpus, "phi-small.eml"), "Subject: phi\r\n\r\nHer social security number is 536-22-8145.\r\n", 0o600)
	write(t, filepath.Join(corpus, "phi-large.eml"), "Subject: phi\r\n\r\nHer social security number is 536-22-8145.\r\n"+
		strings.Repeat(strings.Repeat("y", 75)+"\r\n", 6000), 0o600)
	return corpus
}

// startSink starts the sink, with the faults that args give it.
func startSink(t *testing.T, dir string, args ...string) (addr, ledger string) {
	t.Helper()
	addr, ledger = freeAddr(t), filepath.Join(dir, "sink.jsonl")
	cmd := exec.Command(filepath.Join(tools, "sink"), append([]string{"-listen", addr, "-ledger", ledger}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it serves until then
		_ = cmd.Wait()
	})
	eventually(t, "the sink listens", func() bool { return listens(addr) })
	return addr, ledger
}

// loading is one run of the load generator.
type loading struct {
	ended chan struct{}
	out   *bytes.Buffer
	err   error
}

// startLoad has clients send n messages of corpus, each until it is answered
// for good; extra are more of the generator's arguments.
func startLoad(t *testing.T, g *gateway, dir, corpus string, clients, n int, ledgers *[]string, extra ...string) *loading {
	t.Helper()
	ledger := filepath.Join(dir, fmt.Sprintf("load%d.jsonl", len(*ledgers)))
	*ledgers = append(*ledgers, ledger)
	cmd := exec.Command(filepath.Join(tools, "load"), append([]string{"-relay", g.addr, "-n", fmt.Sprint(n), "-c", fmt.Sprint(clients), "-corpus", corpus,
		"-retry", "500", "-retry-wait", "200ms", "-rcpts", "2", "-ledger", ledger, "-q", "-timeout", "30s"}, extra...)...)
	l := &loading{ended: make(chan struct{}), out: &bytes.Buffer{}}
	cmd.Stdout, cmd.Stderr = l.out, l.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // a failed test leaves it running
		<-l.ended
	})
	go func() {
		l.err = cmd.Wait()
		close(l.ended)
	}()
	return l
}

func (l *loading) done() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *loading) wait(t *testing.T) {
	t.Helper()
	select {
	case <-l.ended:
		t.Logf("load: %s%v", l.out, l.err)
	case <-time.After(10 * time.Minute):
		t.Fatal("the load generator does not come to an end")
	}
}

// heldLoadIDs returns the id of every held message, and fails on a double hold.
func heldLoadIDs(t *testing.T, g *gateway, again ...string) []string {
	t.Helper()
	seen := map[string]int{}
	var ids []string
	for _, it := range g.held("--header", "X-Load-Id") {
		if seen[it.Header]++; seen[it.Header] > 1 {
			if i := slices.Index(again, it.Header); i >= 0 {
				t.Logf("%s is held %d times: its client had no answer", it.Header, seen[it.Header])
				again = slices.Delete(again, i, i+1)
				continue
			}
			t.Errorf("%s is held %d times", it.Header, seen[it.Header])
		}
		ids = append(ids, it.Header)
	}
	if len(ids) == 0 {
		t.Error("nothing is held")
	}
	return ids
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
