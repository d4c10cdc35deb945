package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSoak sends mail through one gateway, rules on. One message in ten is of
// sendingCorpus: most of those are held for one recipient and sent to the
// others. One in a hundred is of slowCorpus: read on without its client. In the
// second half of it the gateway may take no more than in the first: memory and
// file handles, of the gateway and of its readers together.
func TestSoak(t *testing.T) {
	longTest(t)
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	const sessions, points = 20, 20
	messages := 200_000
	if s := os.Getenv("STANCH_SOAK_MESSAGES"); s != "" {
		var err error
		if messages, err = strconv.Atoi(s); err != nil || messages%(100*points) != 0 {
			t.Fatalf("STANCH_SOAK_MESSAGES=%s: want a multiple of %d", s, 100*points)
		}
	}
	dir := t.TempDir()
	sinkAddr, sinkLedger := startSink(t, dir, "-fsync=false")
	g := newGateway(t, options{nextHop: sinkAddr, smtp: `scan_timeout = "20ms"`,
		extra: fmt.Sprintf(sendingPolicy, sinkAddr) + "[scan]\nbackground_queue = 10000\n"})
	corpus, slow := sendingCorpus(t, dir), slowCorpus(t, dir)
	g.start()
	pid := g.cmd.Process.Pid

	var ledgers []string
	var took []soaked
	began := time.Now()
	for i := range points {
		var said []byte
		for kind, args := range [][]string{
			{"-n", fmt.Sprint(messages / points * 89 / 100), "-sizes", "1k-10k"},
			{"-n", fmt.Sprint(messages / points / 10), "-corpus", corpus, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example"},
			{"-n", fmt.Sprint(messages / points / 100), "-corpus", slow, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example"},
		} {
			ledger := filepath.Join(dir, fmt.Sprintf("load%d-%d.jsonl", i, kind))
			ledgers = append(ledgers, ledger)
			// Sessions of 50 messages: connections come and go as well.
			out, err := exec.Command(filepath.Join(tools, "load"), append(args, "-relay", g.addr, "-c", fmt.Sprint(sessions),
				"-per-conn", "50", "-ledger", ledger, "-q", "-retry", "3", "-seed", fmt.Sprint(3*i+kind+1))...).CombinedOutput()
			if err != nil {
				t.Fatalf("load: %v\n%s", err, out)
			}
			said = append(said, out...)
		}
		s := soakedOf(t, pid)
		took = append(took, s)
		fmt.Printf("%7d messages, %4.0f s: %s; %s", (i+1)*(messages/points), time.Since(began).Seconds(), s, said)
	}
	for _, how := range []string{"Held for review", "Accepted for reading"} {
		n := answeredBy(t, ledgers, how)
		if t.Logf("%q answered %d messages", how, n); n == 0 {
			t.Errorf("no message was answered %q", how)
		}
	}
	if n := answeredBy(t, ledgers, "2.0.0"); n < messages {
		t.Errorf("%d of %d messages were taken", n, messages)
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

	// What is allowed for is what a short run is still warming up by; in the second
	// half of 200,000 messages a leak of 200 bytes a message passes it.
	first, second := took[:points/2], took[points/2:]
	for _, m := range []struct {
		name  string
		of    func(soaked) int64
		slack int64
	}{
		{"resident memory of the gateway", func(s soaked) int64 { return s.resident }, 16 << 20},
		{"memory of gateway and readers", func(s soaked) int64 { return s.all }, 24 << 20},
		{"file handles", func(s soaked) int64 { return int64(s.handles) }, 8},
	} {
		if was, is := most(first, m.of), most(second, m.of); is > was+m.slack {
			t.Errorf("%s: %d in the second half, %d in the first", m.name, is, was)
		}
	}
	g.must("audit", "verify")
}

// slowCorpus makes messages that are small for what there is to read in them,
// with an SSN at its end and without: a list in an archive takes a tenth of a
// second.
func slowCorpus(t *testing.T, dir string) string {
	t.Helper()
	corpus := mkdir(t, filepath.Join(dir, "slow"))
	for name, last := range map[string]string{"clean": "the end", "phi": "Her social security number is 536-22-8145."} {
		var archive bytes.Buffer
		z := zip.NewWriter(&archive)
		w, err := z.Create("list.txt")
		for i := 0; i < 80_000 && err == nil; i++ {
			_, err = fmt.Fprintf(w, "Entry %d of a list of nothing much at all.\r\n", i)
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\r\n", last)
		}
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(archive.Bytes())), 76) {
			fmt.Fprintf(&text, "%s\r\n", line)
		}
		write(t, filepath.Join(corpus, name+".eml"), "Subject: slow\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name=list.zip\r\n"+
			"Content-Transfer-Encoding: base64\r\n\r\n"+text.String(), 0o600)
	}
	return corpus
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
