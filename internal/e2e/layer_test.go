package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// faultLayer stands between a gateway and its disk: every call that changes a
// file asks it first, and it lets the call through or has it fail as a disk
// would. It sees SQLite's calls too.
type faultLayer struct {
	notified
	match func(path string) bool

	mu    sync.Mutex // guards all below
	names []string   // calls that matched
	last  time.Time  // when the last one came
	armed *fault     // nil: none fails
	left  int        // calls of its kind until it fails
	hits  []string   // what failed
}

// fault is a call that fails.
type fault struct {
	call  string // its name
	nth   int    // which of that name
	only  bool   // it alone; else it and all calls after it, whatever their name
	errno syscall.Errno
}

func (f *fault) String() string {
	if f == nil {
		return "no fault"
	}
	after := " and all after it"
	if f.only {
		after = ""
	}
	return fmt.Sprintf("%s %d%s: %s", f.call, f.nth, after, unix.ErrnoName(f.errno))
}

// The calls that change files, and which argument says the file: a handle, or
// the name where at is true.
var watchedCalls = map[int32]struct {
	name string
	arg  int
	at   bool
}{
	unix.SYS_WRITE: {"write", 0, false}, unix.SYS_PWRITE64: {"pwrite", 0, false}, unix.SYS_FSYNC: {"fsync", 0, false},
	unix.SYS_FDATASYNC: {"fdatasync", 0, false}, unix.SYS_FTRUNCATE: {"ftruncate", 0, false}, unix.SYS_FALLOCATE: {"fallocate", 0, false},
	unix.SYS_OPENAT: {"openat", 1, true}, unix.SYS_RENAMEAT: {"renameat", 1, true}, unix.SYS_RENAMEAT2: {"renameat2", 1, true},
	unix.SYS_UNLINKAT: {"unlinkat", 1, true}, unix.SYS_MKDIRAT: {"mkdirat", 1, true}, unix.SYS_OPEN: {"open", 0, true}, unix.SYS_UNLINK: {"unlink", 0, true},
}

// diskFilter asks for each call that changes a file.
func diskFilter() []unix.SockFilter {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	var nrs []uint32
	for nr := range watchedCalls {
		nrs = append(nrs, uint32(nr))
	}
	for i, nr := range nrs {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: uint8(len(nrs) - i)})
	}
	return append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
}

// startLayered is start behind a faultLayer that watches the files in data that
// match.
func (g *gateway) startLayered(match func(path string) bool) *faultLayer {
	g.t.Helper()
	l := &faultLayer{match: match}
	g.startBehind(diskLayer, &l.notified, func(n *notif) (unix.Errno, bool) {
		errno := l.judge(n)
		return errno, errno != 0
	})
	return l
}

// judge says how the call is to fail, 0 for not at all.
func (l *faultLayer) judge(n *notif) syscall.Errno {
	call := watchedCalls[n.nr]
	const writes = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT
	if call.name == "openat" && n.args[2]&writes == 0 || call.name == "open" && n.args[1]&writes == 0 {
		return 0
	}
	path := pathOf(n)
	if !l.match(path) {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.names = time.Now(), append(l.names, call.name)
	f := l.armed
	switch {
	case f == nil, f.only && l.left == 0:
		return 0
	case l.left > 0:
		if call.name == f.call {
			l.left--
		}
		if l.left > 0 {
			return 0
		}
	}
	l.hits = append(l.hits, call.name+" "+filepath.Base(path))
	return f.errno
}

// pathOf is the file that a call of watchedCalls is about.
func pathOf(n *notif) string {
	call := watchedCalls[n.nr]
	if call.at {
		return stringOf(int(n.pid), n.args[call.arg])
	}
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, n.args[call.arg])) // gone: no file of ours
	return path
}

// stringOf reads a string of another process.
func stringOf(pid int, addr uint64) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 512)
	n, _ := f.ReadAt(b, int64(addr)) // as far as it goes
	s, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(s)
}

// arm has f come, counted from now on.
func (l *faultLayer) arm(f *fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.left, l.hits = f, f.nth, nil
}

// disarm lets everything through again and returns what failed.
func (l *faultLayer) disarm() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = nil
	return l.hits
}

// failed reports whether a call has failed since arm.
func (l *faultLayer) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.hits) > 0
}

// settle waits until no call has come for a while, or until one has failed and
// a moment has passed.
func (l *faultLayer) settle() {
	for {
		l.mu.Lock()
		quiet, hit := time.Since(l.last), len(l.hits) > 0
		l.mu.Unlock()
		if quiet > 250*time.Millisecond || hit && quiet > 50*time.Millisecond {
			return
		}
		time.Sleep(10 * time.Millisecond) // nothing else tells that nothing comes
	}
}

func (l *faultLayer) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.names)
}

// since names the calls that matched after the first n.
func (l *faultLayer) since(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.names[n:])
}

// storage matches the database and the sealed files of data.
func storage(data string) func(string) bool {
	return func(path string) bool {
		rel, ok := strings.CutPrefix(path, data+"/")
		return ok && (strings.HasPrefix(rel, "stanch.db") || strings.HasPrefix(rel, "vault/") || strings.HasPrefix(rel, "spool/"))
	}
}

// TestFaultAtEachStep has the disk fail at each sync and every few other calls
// (with STANCH_LONG=1: at every single one) of a hold, a split with the delivery
// of its copy, and a message that is read on: for good until it is mended, and
// at that call alone. Each time nothing is answered 250 that
// is not there in the end, clean mail flows meanwhile, what was refused is taken
// once the disk works, without a restart, and everything is there once. A kind of
// call that every message needs has failed at least once; the log names the
// faults whose call never came.
func TestFaultAtEachStep(t *testing.T) { // by itself: what is quiet for a moment is taken to be done
	long := os.Getenv("STANCH_LONG") == "1"
	filler := "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 6_000)
	for _, tt := range []struct {
		name   string
		o      options
		rcpts  []string
		msg    string
		answer string
		held   bool // each message is, in the end
		split  bool // and a copy of it is sent
	}{
		{"hold", options{extra: quietPolicy}, outside, phiMail, "250 2.0.0 Held", true, false},
		{"large hold", options{extra: quietPolicy}, outside, phiMail + filler, "250 2.0.0 Held", true, false},
		{"split", options{extra: quietPolicy}, []string{"nurse@clinic.example", "sam@partner.example"}, phiMail, "250 2.0.0 ", true, true},
		{"read on and held", readingOn, outside, phiMail + filler, "250 2.0.0 Accepted for reading", true, false},
		{"read on and sent", readingOn, outside, cleanMail + filler, "250 2.0.0 Accepted for reading", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting for the disk to be quiet
			b := newBooks(t)
			tt.o.nextHop = b.hop().addr
			g := newGateway(t, tt.o)
			l := g.startLayered(storage(g.data()))
			f := &faultRun{t: t, g: g, l: l, books: b, rcpts: tt.rcpts, msg: tt.msg, answer: tt.answer, passes: tt.o.smtp == "",
				queued: tt.o.smtp != "" || tt.split, faults: map[string]*fault{}, cases: map[string]*tally{}}
			f.once(nil) // what is made at first use
			var calls []string
			var always map[string]int // of every message, at least
			for range 3 {
				before := l.count()
				f.once(nil)
				calls = l.since(before)
				always = fewest(always, counted(calls))
			}
			delete(always, "mkdirat") // less and less often: a folder that is there stays
			errnos, stride := []syscall.Errno{unix.EIO}, 1+len(calls)/10
			if long { // every call, and every way to fail
				errnos, stride = []syscall.Errno{unix.EIO, unix.ENOSPC, unix.EROFS}, 1
			}
			for _, errno := range errnos {
				for call, n := range counted(calls) {
					step := stride
					if strings.HasSuffix(call, "sync") { // a sync that fails is never left out
						step = 1
					}
					// How many calls there are is not the same each time: to the last one that comes.
					for nth, came := 1, true; nth <= n || long && came; nth += step {
						all := f.once(&fault{call, nth, false, errno})
						came = f.once(&fault{call, nth, true, errno}) || all
					}
				}
			}
			f.told(calls, always)
			f.check(tt.held)
			g.kill()
			g.start()
			f.check(tt.held)
			b.settle(g)
			for id, x := range f.faults {
				if t.Failed() {
					t.Logf("%s was sent while: %v", id, x)
				}
			}
		})
	}
}

// counted says how often each name is in names.
func counted(names []string) map[string]int {
	n := map[string]int{}
	for _, name := range names {
		n[name]++
	}
	return n
}

// fewest keeps of each name the smaller count, and only those in both; nil is no
// bound.
func fewest(a, b map[string]int) map[string]int {
	if a == nil {
		return b
	}
	out := map[string]int{}
	for name, n := range a {
		if m := min(n, b[name]); m > 0 {
			out[name] = m
		}
	}
	return out
}

// faultRun is one gateway whose disk fails again and again.
type faultRun struct {
	t       *testing.T
	g       *gateway
	l       *faultLayer
	books   *books
	rcpts   []string
	msg     string
	answer  string // to a message that is taken
	passes  bool   // small clean mail is read in time, and so never stanch's
	queued  bool   // the message is in the spool for a while
	n       int    // messages
	refused int
	faults  map[string]*fault // by message
	cases   map[string]*tally // by call and errno
}

// tally counts faults of one call and errno: that were to come, that came, and
// of the latter those after which something was wrong.
type tally struct {
	call             string
	run, came, wrong int
	never            []int // which of that name did not come
}

// told logs what was tried, and fails on a call of every message that never
// failed.
func (f *faultRun) told(calls []string, always map[string]int) {
	f.t.Helper()
	f.t.Logf("a message is %d calls: %v, of which always %v; %d messages, %d refused for now", len(calls), counted(calls), always, f.n, f.refused)
	for _, name := range slices.Sorted(maps.Keys(f.cases)) {
		c := f.cases[name]
		f.t.Logf("%-18s %4d run, in %4d the call came, %d wrong; never came: %v", name, c.run, c.came, c.wrong, c.never)
		if c.came == 0 && always[c.call] > 0 {
			f.t.Errorf("%s: every message makes this call, and it never failed", name)
		}
	}
	for call := range always {
		if !slices.ContainsFunc(slices.Collect(maps.Values(f.cases)), func(c *tally) bool { return c.call == call }) {
			f.t.Errorf("%s: every message makes this call, and it was never to fail", call)
		}
	}
}

// once sends one message while x comes, nil for no fault, and sees it taken. It
// reports whether a call failed.
func (f *faultRun) once(x *fault) bool {
	f.t.Helper()
	f.n++
	l := f.books.letter(f.msg)
	f.faults[l.id] = x
	if x != nil {
		f.l.arm(x)
	}
	wrong := false
	failed := func(format string, args ...any) {
		f.t.Helper()
		wrong = true
		f.t.Errorf("message %d, %v: "+format, append([]any{f.n, x}, args...)...)
	}
	answer := f.send(f.rcpts, l)
	if f.queued {
		f.empty(x, f.l.failed)
	}
	f.l.settle()
	if x != nil && f.passes {
		if got := f.send([]string{"nurse@clinic.example"}, f.books.letter(cleanMail)); !strings.HasPrefix(got, "250 ") {
			failed("clean mail answered %q", got)
		}
	}
	hits := f.l.disarm()
	if !strings.HasPrefix(answer, f.answer) {
		if len(hits) == 0 || !strings.HasPrefix(answer, "452 4.3.1") {
			failed("answered %q after %q, want 452 4.3.1", answer, hits)
		}
		f.refused++
		if answer = f.send(f.rcpts, l); !strings.HasPrefix(answer, f.answer) {
			failed("%q failed; with the disk mended: %q", hits, answer)
		}
	}
	if f.queued {
		f.empty(x, nil)
	}
	if x == nil {
		return false
	}
	name := x.call + " " + unix.ErrnoName(x.errno)
	c := f.cases[name]
	if c == nil {
		c = &tally{call: x.call}
		f.cases[name] = c
	}
	c.run++
	if len(hits) > 0 {
		c.came++
	} else {
		c.never = append(c.never, x.nth)
	}
	if wrong {
		c.wrong++
	}
	return len(hits) > 0
}

// empty waits until nothing of the last message waits any more, or until or holds.
func (f *faultRun) empty(x *fault, or func() bool) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("message %d has come to its end (%v)", f.n, x), func() bool {
		return or != nil && or() || len(f.g.queue()) == 0
	})
}

// send gives l over and breaks the connection: what is not
// acknowledged can be sent again.
func (f *faultRun) send(rcpts []string, l *letter) string {
	c := dial(f.t, f.g)
	defer c.cut()
	c.want("MAIL FROM:<ada@clinic.example>", "250")
	for _, r := range rcpts {
		c.want("RCPT TO:<"+r+">", "250")
	}
	c.want("DATA", "354")
	c.put(stuffed(l.text) + "\r\n")
	answer := c.reply()
	f.books.answered(l, rcpts, "dot", answer)
	return answer
}

// check finds every message in the vault, or none.
func (f *faultRun) check(held bool) {
	f.t.Helper()
	eventually(f.t, "the queue is empty", func() bool { return len(f.g.queue()) == 0 })
	want := 0
	if held {
		want = f.n
	}
	if n := len(f.g.held()); n != want {
		f.t.Errorf("%d of %d messages are held, want %d", n, f.n, want)
	}
	f.g.must("audit", "verify")
}
