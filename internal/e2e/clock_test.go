package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// movedClock is a wall clock of a gateway that a test puts forward and back, as
// an operator or a time server does. The machine's own stays.
//
// The kernel's seccomp filter asks for each clock_gettime(CLOCK_REALTIME), and
// the answer is written into the gateway's memory. Programs mostly read the
// clock without the kernel, by the vDSO: the gateway is run from a copy in which
// the name under which Go's runtime looks for that function is another, so that
// it falls back to the system call.
type movedClock struct {
	by    atomic.Int64 // nanoseconds
	asked atomic.Int64
	notified
}

// write puts the moved time where n wants it.
func (c *movedClock) write(n *notif) (errno unix.Errno, done bool) {
	now := time.Now().Add(time.Duration(c.by.Load()))
	var ts [16]byte // struct timespec
	binary.NativeEndian.PutUint64(ts[:], uint64(now.Unix()))
	binary.NativeEndian.PutUint64(ts[8:], uint64(now.Nanosecond()))
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", n.pid), os.O_WRONLY, 0)
	if err != nil {
		return 0, false // it is gone, or the kernel gives its own
	}
	defer f.Close()
	if _, err := f.WriteAt(ts[:], int64(n.args[1])); err != nil {
		return 0, false
	}
	c.asked.Add(1)
	return 0, true
}

// clockFilter asks for each reading of the wall clock.
func clockFilter() []unix.SockFilter {
	const nr, clockid = 0, uint32(unsafe.Offsetof(notif{}.args) - unsafe.Offsetof(notif{}.nr)) // in struct seccomp_data
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nr},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLOCK_GETTIME, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: clockid},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.CLOCK_REALTIME, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
}

// withoutVDSO is a copy of the program that reads the clock by the kernel.
func withoutVDSO(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(stanch)
	if err != nil {
		t.Fatal(err)
	}
	const name, other = "__vdso_clock_gettime", "__none_clock_gettime"
	if !bytes.Contains(b, []byte(name)) {
		t.Fatal("Go's runtime reads the clock another way: this test is to be written anew")
	}
	path := filepath.Join(t.TempDir(), "stanch")
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(name), []byte(other)), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestClockJumps puts the wall clock of a running gateway two days forward and
// three back, while a message waits in its outbox, another is under way and
// mail flows: nothing expires, nothing hangs, nothing is lost or doubled.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.reports = true
	hop := b.hop()
	later := func(verb, arg string, tx hopMail) string {
		if verb == "DOT" && strings.HasPrefix(strings.Join(tx.rcpts, " "), "later@") {
			return "451 4.2.0 later"
		}
		return ""
	}
	hop.follow(later)
	g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy + "[outbox]\nexpiry = \"1d\"\n"})
	g.program = withoutVDSO(t)
	clock := g.startClocked()
	if clock.asked.Load() == 0 {
		t.Fatal("the gateway reads another clock")
	}
	answer, err := b.send(g, []string{"later@clinic.example", "sam@partner.example"}, phiMail)
	if err != nil || !strings.Contains(answer, "Held for review") {
		t.Fatalf("answered %q, %v", answer, err)
	}
	tries := 0
	type waiting struct {
		State         string
		Tries         int
		Next, Expires time.Time
	}
	waits := func() waiting {
		t.Helper()
		var qs []waiting
		if err := json.Unmarshal([]byte(g.must("queue", "list", "--format", "json", "--kind", "copy")), &qs); err != nil || len(qs) != 1 {
			t.Fatalf("%d copies in the queue, %v; want 1", len(qs), err)
		}
		return qs[0]
	}
	for _, jump := range []time.Duration{0, 48 * time.Hour, -24 * time.Hour} {
		c, l := dial(t, g), b.letter(cleanMail)
		c.want("MAIL FROM:<ada@clinic.example>", "250")
		c.want("RCPT TO:<sam@partner.example>", "250")
		clock.by.Store(int64(jump))
		c.want("DATA", "354") // no time-out of a session is due
		b.answered(l, outside, "dot", c.want(stuffed(l.text), "250"))
		c.want("QUIT", "221")
		if _, err := b.send(g, outside, cleanMail); err != nil {
			t.Errorf("%v: a new message: %v", jump, err)
		}
		eventually(t, fmt.Sprintf("%v: what waits is tried again", jump), func() bool { return waits().Tries > tries })
		q := waits()
		tries = q.Tries
		now := time.Now().Add(jump)
		if left := q.Expires.Sub(now); q.State != "queued" || left < 12*time.Hour || left > 36*time.Hour {
			t.Errorf("%v: %s, expires in %v, want it queued for about a day", jump, q.State, left)
		}
		if in := q.Next.Sub(now); in > 10*time.Minute {
			t.Errorf("%v: tried again in %v", jump, in)
		}
	}
	hop.follow(nil)
	g.must("queue", "retry", "--all")
	eventually(t, "the outbox is empty", func() bool { return len(g.queue()) == 0 })
	if n := len(g.held()); n != 1 {
		t.Errorf("%d held, want 1", n)
	}
	for _, m := range hop.messages() {
		if m.from == "" && !strings.Contains(m.text, "Action: delayed") { // by this clock it waits for days, which may be told
			t.Errorf("the sender is told:\n%s", m.text)
		}
	}
	b.settle(g)
}

// startClocked is start behind a movedClock.
func (g *gateway) startClocked() *movedClock {
	g.t.Helper()
	c := &movedClock{}
	g.startBehind(clockLayer, &c.notified, c.write)
	return c
}
