package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// trial is a gateway between the load generator and the sink.
type trial struct {
	*gateway
	t       *testing.T
	dir     string   // of the ledgers
	corpus  string   // what is sent
	sunk    string   // the sink's ledger
	ledgers []string // the generator's, one a run of it
}

// newTrial makes a gateway, which is still to be started, with o, and a sink
// with faults. The gateway holds what quietPolicy does, unless o says more. It
// skips the test where the tools are absent.
func newTrial(t *testing.T, o options, faults ...string) *trial {
	t.Helper()
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	x := &trial{t: t, dir: t.TempDir()}
	x.corpus = loadCorpus(t, x.dir)
	o.nextHop, x.sunk = startSink(t, x.dir, faults...)
	if !strings.Contains(o.extra, "[[policies]]") {
		o.extra = quietPolicy + o.extra
	}
	x.gateway = newGateway(t, o)
	return x
}

// loadSessions is how many clients a trial's load has.
const loadSessions = 20

// load has its clients send n messages, each until it is answered for good.
func (x *trial) load(n int) *loading {
	x.t.Helper()
	return startLoad(x.t, x.gateway, x.dir, x.corpus, loadSessions, n, &x.ledgers)
}

// sank counts what the sink was offered.
func (x *trial) sank() int {
	x.t.Helper()
	return strings.Count(read(x.t, x.sunk), "\n")
}

// sent says which file of the corpus each message was, by its X-Load-Id.
func (x *trial) sent() map[string]string {
	x.t.Helper()
	file := map[string]string{}
	for _, ledger := range x.ledgers {
		eachLine(x.t, ledger, func(line []byte) {
			var sent struct{ ID, Src string }
			if err := json.Unmarshal(line, &sent); err != nil {
				x.t.Fatal(err)
			}
			file[sent.ID] = filepath.Base(sent.Src)
		})
	}
	return file
}

// whole waits until the outbox is empty and holds that every message is at the
// sink or held, once and as it was sent, and nothing else is left of any.
func (x *trial) whole() {
	x.t.Helper()
	drainedBy(x.t, x.gateway, func() { x.cli("queue", "retry", "--all") }) // as long as it becomes less
	sent := x.sent()
	for i, it := range x.held("--header", "X-Load-Id") {
		if i%25 != 0 {
			continue // some are enough
		}
		want := "X-Load-Id: " + it.Header + "\r\n" + read(x.t, filepath.Join(x.corpus, sent[it.Header]))
		if got := x.must("quarantine", "export", it.ID, "--reveal"); got != want {
			x.t.Errorf("%s is mangled: %d bytes, want %d of %s", it.ID, len(got), len(want), sent[it.Header])
		}
	}
	account(x.t, x.dir, x.sunk, heldLoadIDs(x.t, x.gateway), x.ledgers)
	noneLeft(x.t, filepath.Join(x.data(), "tmp"))
	x.must("audit", "verify")
}
