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

// soakMessages is how many messages a soak sends.
func soakMessages(t *testing.T) int {
	t.Helper()
	longTest(t)
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	messages := 200_000
	if s := os.Getenv("STANCH_SOAK_MESSAGES"); s != "" {
		var err error
		if messages, err = strconv.Atoi(s); err != nil || messages < soakLeast || messages%(100*soakPoints) != 0 {
			t.Fatalf("STANCH_SOAK_MESSAGES=%s: want a multiple of %d, and %d or more: with fewer the readers are still growing to their usual size in the second half",
				s, 100*soakPoints, soakLeast)
		}
	}
	return messages
}

// soakLeast is the fewest messages of a soak: the readers of TestSoakReaders, which
// has half of them, reach their usual size after some 3,000 to 7,000.
const soakLeast = 20_000

// soakPoints is how often a soak looks at what the gateway takes: always at rest,
// when all that was sent has been read and delivered. Amid its work one reader
// takes 90 MiB for a long list, and whether a look meets it is chance.
const soakPoints = 20

// TestSoak sends mail through one gateway, rules on. One message in ten is of
// sendingCorpus: most of those are held for one recipient and sent to the
// others. One in a hundred is of slowCorpus: read on without its client. In the
// second half of it the gateway may take no more than in the first: memory,
// file handles, readers. What one reader keeps is TestSoakReaders' matter: here
// they are replaced, by hundreds.
func TestSoak(t *testing.T) {
	messages := soakMessages(t)
	dir := t.TempDir()
	sinkAddr, sinkLedger := startSink(t, dir, "-fsync=false")
	g := newGateway(t, options{nextHop: sinkAddr, smtp: `scan_timeout = "20ms"`,
		extra: fmt.Sprintf(sendingPolicy, sinkAddr) + "[scan]\nbackground_queue = 10000\n"})
	corpus, slow := sendingCorpus(t, dir), slowCorpus(t, dir)
	g.start()

	var ledgers []string
	var took []soaked
	for i := range soakPoints {
		for kind, args := range [][]string{
			{"-n", fmt.Sprint(messages / soakPoints * 89 / 100), "-sizes", "1k-10k"},
			{"-n", fmt.Sprint(messages / soakPoints / 10), "-corpus", corpus, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example"},
			{"-n", fmt.Sprint(messages / soakPoints / 100), "-corpus", slow, "-rcpts", "3", "-rcpt", "r%d@d%[1]d.example"},
		} {
			ledgers = append(ledgers, soakLoad(g, dir, 3*i+kind+1, args...))
		}
		drained(t, g)
		took = append(took, soakedOf(t, g.cmd.Process.Pid))
		fmt.Printf("%7d messages: %s\n", (i+1)*(messages/soakPoints), took[i])
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
	noMore(t, took)
	g.must("audit", "verify")
}

// TestSoakReaders has the same readers read all messages: none is replaced, so
// that what one keeps of each document adds up.
func TestSoakReaders(t *testing.T) {
	messages := soakMessages(t) / 2
	dir := t.TempDir()
	sinkAddr, _ := startSink(t, dir, "-fsync=false")
	g := newGateway(t, options{nextHop: sinkAddr, smtp: `scan_timeout = "60s"`,
		extra: fmt.Sprintf(sendingPolicy, sinkAddr) + "[extract]\nrecycle_documents = 1000000\n"})
	corpus := sendingCorpus(t, dir)
	g.start()
	var took []soaked
	var first []int
	for i := range soakPoints {
		soakLoad(g, dir, 2*i+1, "-n", fmt.Sprint(messages/soakPoints*9/10), "-sizes", "1k-10k")
		soakLoad(g, dir, 2*i+2, "-n", fmt.Sprint(messages/soakPoints/10), "-corpus", corpus)
		drained(t, g)
		readers := g.children()
		if slices.Sort(readers); i == 0 {
			first = readers
		}
		if !slices.Equal(readers, first) {
			t.Fatalf("the readers are processes %v, and were %v: one was replaced", readers, first)
		}
		took = append(took, soakedOf(t, g.cmd.Process.Pid))
		fmt.Printf("%7d messages: %s\n", (i+1)*(messages/soakPoints), took[i])
	}
	noMore(t, took)
}

// drained waits until the outbox is empty: as long as it takes, as long as it
// becomes less.
func drained(t *testing.T, g *gateway) {
	t.Helper()
	drainedBy(t, g, func() {})
}

// drainedBy is drained where something has to be done for it, again and again.
func drainedBy(t *testing.T, g *gateway, do func()) {
	t.Helper()
	for n := len(g.queue()); n > 0; n = len(g.queue()) {
		eventually(t, fmt.Sprintf("fewer than %d wait", n), func() bool { do(); return len(g.queue()) < n })
	}
}

// soakLoad sends messages in sessions of 50, so that connections come and go as
// well, and returns the generator's ledger. seed is another each time.
func soakLoad(g *gateway, dir string, seed int, args ...string) (ledger string) {
	g.t.Helper()
	ledger = filepath.Join(dir, fmt.Sprintf("load%d.jsonl", seed))
	out, err := exec.Command(filepath.Join(tools, "load"), append(args, "-relay", g.addr, "-c", "20",
		"-per-conn", "50", "-ledger", ledger, "-q", "-retry", "3", "-seed", fmt.Sprint(seed))...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("load: %v\n%s", err, out)
	}
	return ledger
}

// noMore holds that the second half of took is no more than the first. What is
// allowed for is what a short run is still warming up by (the caches of SQLite, up
// to 16 MiB a connection); in the second half of 200,000 messages a leak of 200
// bytes a message passes it.
func noMore(t *testing.T, took []soaked) {
	t.Helper()
	first, second := took[:len(took)/2], took[len(took)/2:]
	for _, m := range []struct {
		name  string
		of    func(soaked) int64
		slack int64
	}{
		{"memory of the gateway", func(s soaked) int64 { return s.gateway }, 16 << 20},
		{"memory of the largest reader", func(s soaked) int64 { return s.reader }, 4 << 20},
		{"readers", func(s soaked) int64 { return int64(s.readers) }, 0},
		{"file handles", func(s soaked) int64 { return int64(s.handles) }, 8},
	} {
		if was, is := most(first, m.of), most(second, m.of); is > was+m.slack {
			t.Errorf("%s: %d in the second half, %d in the first", m.name, is, was)
		}
	}
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

// soaked is what a gateway takes at rest.
type soaked struct {
	gateway, reader  int64 // bytes that are its own, and no other process's: the gateway's, the largest reader's
	readers, handles int
}

// soakedOf looks several times and takes the least: what work leaves behind is
// given back within moments of its end.
func soakedOf(t *testing.T, pid int) soaked {
	t.Helper()
	var least soaked
	for i := range 10 {
		var s soaked
		s.gateway = anonymous(pid)
		for _, p := range family(pid)[1:] {
			s.readers++
			s.reader = max(s.reader, anonymous(p))
		}
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		if s.handles = len(fds); i > 0 {
			s = soaked{min(s.gateway, least.gateway), min(s.reader, least.reader), min(s.readers, least.readers), min(s.handles, least.handles)}
		}
		least = s
		time.Sleep(100 * time.Millisecond) // another process has nothing to wait on
	}
	return least
}

func (s soaked) String() string {
	return fmt.Sprintf("gateway %.1f MiB, largest of %d readers %.1f MiB, %d file handles",
		float64(s.gateway)/(1<<20), s.readers, float64(s.reader)/(1<<20), s.handles)
}

// anonymous is what of a process's resident memory is no file's, in bytes; 0
// once it has ended.
func anonymous(pid int) int64 { return ofStatus(pid, "\nRssAnon:") }

// ofStatus is a field of /proc/PID/status in bytes, see proc(5); 0 once the
// process has ended.
func ofStatus(pid int, field string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return kibibytes(string(b), field)
}

func most(ss []soaked, of func(soaked) int64) (m int64) {
	for _, s := range ss {
		m = max(m, of(s))
	}
	return m
}
