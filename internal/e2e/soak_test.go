package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestSoak sends messages of 1 to 10 KB through one gateway, rules on, and
// holds it to what it took once it was warm: memory and file handles, of the
// gateway and of its readers together.
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
	g := newGateway(t, options{nextHop: sinkAddr, extra: quietPolicy})
	g.start()
	pid := g.cmd.Process.Pid

	var ledgers []string
	var took []soaked
	began := time.Now()
	for i := range points {
		ledger := filepath.Join(dir, fmt.Sprintf("load%d.jsonl", i))
		ledgers = append(ledgers, ledger)
		// Sessions of 50 messages: connections come and go as well.
		out, err := exec.Command(filepath.Join(tools, "load"), "-relay", g.addr, "-n", fmt.Sprint(messages/points), "-c", fmt.Sprint(sessions),
			"-sizes", "1k-10k", "-per-conn", "50", "-ledger", ledger, "-q", "-retry", "3", "-seed", fmt.Sprint(i+1)).CombinedOutput()
		if err != nil {
			t.Fatalf("load: %v\n%s", err, out)
		}
		s := soakedOf(t, pid)
		took = append(took, s)
		fmt.Printf("%7d messages, %4.0f s: %s; %s", (i+1)*(messages/points), time.Since(began).Seconds(), s, out)
	}
	account(t, dir, sinkLedger, nil, ledgers)
	noneLeft(t, filepath.Join(g.data(), "tmp"))

	// What the first quarter needed it may need again; what grows shows.
	warm, end := took[points/4-1:points/2], took[points*3/4:]
	for _, m := range []struct {
		name  string
		of    func(soaked) int64
		slack int64
	}{
		{"resident memory of the gateway", func(s soaked) int64 { return s.resident }, 24 << 20},
		{"memory of gateway and readers", func(s soaked) int64 { return s.all }, 48 << 20},
		{"file handles", func(s soaked) int64 { return int64(s.handles) }, 30},
	} {
		if was, is := most(warm, m.of), most(end, m.of); is > was+was/10+m.slack {
			t.Errorf("%s: %d at the end, %d when it was warm", m.name, is, was)
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
