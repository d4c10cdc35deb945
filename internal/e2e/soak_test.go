package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestSoak sends mail through one gateway, rules on, of which one message in ten
// is of sendingCorpus: most of those held for one recipient and sent to the
// others. In the second half of it the gateway may take no more than in the
// first: memory and file handles, of the gateway and of its readers together.
func TestSoak(t *testing.T) {
	longTest(t)
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	const sessions, points = 20, 20
	messages := 200_000
	if s := os.Getenv("STANCH_SOAK_MESSAGES"); s != "" {
		var err error
		if messages, err = strconv.Atoi(s); err != nil || messages < 10*points {
			t.Fatalf("STANCH_SOAK_MESSAGES=%s: want a number of at least %d", s, 10*points)
		}
	}
	dir := t.TempDir()
	sinkAddr, sinkLedger := startSink(t, dir, "-fsync=false")
	g := newGateway(t, options{nextHop: sinkAddr, extra: fmt.Sprintf(sendingPolicy, sinkAddr)})
	corpus := sendingCorpus(t, dir)
	g.start()
	pid := g.cmd.Process.Pid

	var ledgers []string
	var took []soaked
	began := time.Now()
	for i := range points {
		var said []byte
		for kind, args := range [][]string{
			{"-n", fmt.Sprint(messages / points * 9 / 10), "-sizes", "1k-10k"},
			{"-n", fmt.Sprint(messages / points / 10), "-corpus", corpus, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example"},
		} {
			ledger := filepath.Join(dir, fmt.Sprintf("load%d-%d.jsonl", i, kind))
			ledgers = append(ledgers, ledger)
			// Sessions of 50 messages: connections come and go as well.
			out, err := exec.Command(filepath.Join(tools, "load"), append(args, "-relay", g.addr, "-c", fmt.Sprint(sessions),
				"-per-conn", "50", "-ledger", ledger, "-q", "-retry", "3", "-seed", fmt.Sprint(2*i+kind+1))...).CombinedOutput()
			if err != nil {
				t.Fatalf("load: %v\n%s", err, out)
			}
			said = append(said, out...)
		}
		s := soakedOf(t, pid)
		took = append(took, s)
		fmt.Printf("%7d messages, %4.0f s: %s; %s", (i+1)*(messages/points), time.Since(began).Seconds(), s, said)
	}
	if answeredBy(t, ledgers, "Held for review") == 0 {
		t.Error("nothing was held")
	}
	emptyOutbox(t, g)
	var held []string
	for _, it := range g.held() {
		held = append(held, it.ID)
	}
	for batch := range slices.Chunk(held, 100) {
		g.must(append([]string{"quarantine", "release"}, batch...)...)
	}
	emptyOutbox(t, g)
	account(t, dir, sinkLedger, nil, ledgers)
	noneLeft(t, filepath.Join(g.data(), "tmp"))

	first, second := took[:points/2], took[points/2:]
	for _, m := range []struct {
		name  string
		of    func(soaked) int64
		slack int64
	}{
		{"resident memory of the gateway", func(s soaked) int64 { return s.resident }, 8 << 20},
		{"memory of gateway and readers", func(s soaked) int64 { return s.all }, 16 << 20},
		{"file handles", func(s soaked) int64 { return int64(s.handles) }, 8},
	} {
		if was, is := most(first, m.of), most(second, m.of); is > was+m.slack {
			t.Errorf("%s: %d in the second half, %d in the first", m.name, is, was)
		}
	}
	g.must("audit", "verify")
}

// soaked is what a gateway takes at one moment.
type soaked struct {
	resident, all int64 // bytes: the gateway's; its own and its readers' share
	handles       int
}

func soakedOf(t *testing.T, pid int) soaked {
	t.Helper()
	s := soaked{resident: resident(pid)}
	for _, p := range family(pid) {
		s.all += proportional(p)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	s.handles = len(fds)
	return s
}

func (s soaked) String() string {
	return fmt.Sprintf("RSS %d MiB, with readers %d MiB (PSS), %d file handles", s.resident>>20, s.all>>20, s.handles)
}

func most(ss []soaked, of func(soaked) int64) (m int64) {
	for _, s := range ss {
		m = max(m, of(s))
	}
	return m
}
