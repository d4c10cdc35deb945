package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// step is one call of a gateway, and what it was about.
type step struct {
	call string // as in watchedCalls; "say" for a write to a connection
	path string // of the file; for say, the first line of what was said
	to   string // the new name, of a rename
}

// steps are the calls of a gateway in the order in which it made them: what it
// did to its files, and what it said to its client and its next hop. A call is
// noted before it is made.
type steps struct {
	notified
	t  testing.TB
	in string // the folder of the files

	mu  sync.Mutex // guards below
	did []step
}

// startNoted is start with every step noted.
func (g *gateway) startNoted() *steps {
	g.t.Helper()
	s := &steps{t: g.t, in: g.dir + "/"}
	g.startBehind(diskLayer, &s.notified, func(n *notif) (unix.Errno, bool) {
		s.note(n)
		return 0, false
	})
	return s
}

func (s *steps) note(n *notif) {
	call := watchedCalls[n.nr].name
	path := pathOf(n)
	x := step{call: call}
	switch {
	case call == "write" && strings.HasPrefix(path, "socket:"):
		line, _, _ := strings.Cut(stringOf(int(n.pid), n.args[1]), "\r\n")
		x = step{call: "say", path: line}
	case !strings.HasPrefix(path, s.in):
		return
	default:
		x.path = strings.TrimPrefix(path, s.in)
		if strings.HasPrefix(call, "renameat") {
			x.to = strings.TrimPrefix(stringOf(int(n.pid), n.args[3]), s.in)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, x)
}

// forget begins anew.
func (s *steps) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = nil
}

// taken are the steps so far.
func (s *steps) taken() order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return order{s.t, slices.Clone(s.did)}
}

// order is a run of steps that has ended.
type order struct {
	t   testing.TB
	did []step
}

// said is where the gateway first said what begins so.
func (o order) said(begins string) int {
	o.t.Helper()
	return o.first("saying "+begins, 0, len(o.did), func(x step) bool { return x.call == "say" && strings.HasPrefix(x.path, begins) })
}

// synced is where the file, or folder, was first synced, from step from on and
// before step to.
func (o order) synced(path string, from, to int) int {
	o.t.Helper()
	return o.first("a sync of "+path, from, to, func(x step) bool {
		return (x.call == "fsync" || x.call == "fdatasync") && x.path == path
	})
}

// written is where the file was first written to, from step from on and before
// step to.
func (o order) written(path string, from, to int) int {
	o.t.Helper()
	return o.first("a write to "+path, from, to, func(x step) bool { return strings.HasSuffix(x.call, "write") && x.path == path })
}

// first is where is first holds, from step from on and before step to; that it
// holds nowhere ends the test.
func (o order) first(what string, from, to int, is func(step) bool) int {
	o.t.Helper()
	if i := slices.IndexFunc(o.did[from:to], is); i >= 0 {
		return from + i
	}
	var all strings.Builder
	for i, x := range o.did {
		fmt.Fprintf(&all, "\n%3d %s %.80s %s", i, x.call, x.path, x.to)
	}
	o.t.Fatalf("no %s in steps %d to %d of:%s", what, from, to, all.String())
	return -1
}

// placed holds that before step end one file got its name below folder: all that
// was written to it synced before, and its folder synced after. It returns where
// that was done.
func (o order) placed(folder string, end int) int {
	o.t.Helper()
	named := o.first("new name in "+folder, 0, end, func(x step) bool { return strings.HasPrefix(x.to, folder+"/") })
	tmp, final := o.did[named].path, o.did[named].to
	last := o.written(tmp, 0, named)
	for i := last; i < named; i++ {
		if x := o.did[i]; strings.HasSuffix(x.call, "write") && x.path == tmp {
			last = i
		}
	}
	o.synced(tmp, last+1, named)
	return o.synced(filepath.Dir(final), named+1, end)
}

// recorded holds that path was written and then synced between two steps, and
// returns where the sync was.
func (o order) recorded(path string, from, to int) int {
	o.t.Helper()
	return o.synced(path, o.written(path, from, to)+1, to)
}

// TestOrderOfSyncs holds what makes an answer true whatever the machine does
// next: that each file is synced before it is named, each name before it is
// counted on, and all that is promised before it is promised. Which steps are
// wanted does not come from the run that is looked at.
func TestOrderOfSyncs(t *testing.T) {
	t.Parallel()
	const wal, log = "data/stanch.db-wal", "data/audit/log"
	filler := "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 6_000) // a file of its own: over 256 KiB
	hop := newNextHop(t)
	toHop, toFolder := newGateway(t, options{extra: quietPolicy, nextHop: hop.addr}), newGateway(t, options{extra: quietPolicy})
	hopSteps, folderSteps := toHop.startNoted(), toFolder.startNoted()
	sent := func(g *gateway, s *steps, msg, answer string) order {
		t.Helper()
		g.must("audit", "verify")
		c := dial(t, g)
		defer c.cut()
		c.want("MAIL FROM:<ada@clinic.example>", "250")
		c.want("RCPT TO:<sam@partner.example>", "250")
		s.forget()
		c.want("DATA", "354")
		c.put(msg + "\r\n.\r\n")
		if got := c.reply(); !strings.HasPrefix(got, answer) {
			t.Fatalf("answered %q, want %s", got, answer)
		}
		return s.taken()
	}
	for round := range 2 { // the first one makes folders
		id := fmt.Sprintf("X-Round: %d\r\n", round) // a message that comes again is not held again
		for name, msg := range map[string]string{"small": id + phiMail, "large": "X-Large: yes\r\n" + id + phiMail + filler} {
			o := sent(toHop, hopSteps, msg, "250 2.0.0 Held")
			from, end := 0, o.said("250 2.0.0 Held")
			if name == "large" {
				from = o.placed("data/vault", end)
			}
			o.recorded(wal, from, end)
			o.recorded(log, 0, end)
		}
		o := sent(toHop, hopSteps, cleanMail, "250 ")
		o.recorded(log, 0, o.said("DATA"))
		o = sent(toFolder, folderSteps, cleanMail, "250 ")
		end := o.said("250 2.0.0 Delivered")
		o.recorded(log, 0, o.first("file in maildir/new", 0, end, func(x step) bool { return strings.HasPrefix(x.to, "maildir/new/") }))
		o.placed("maildir/new", end)
	}
}
