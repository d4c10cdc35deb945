package gateway

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
)

// maxLate is how long an outage of ours may last and all of it count towards
// the expiry of a message.
const maxLate = time.Hour

// maxOutages bounds what is remembered of outages; the shortest is forgotten.
const maxOutages = 16

// aliveEvery is how often it is noted that the outbox runs.
const aliveEvery = time.Minute

// outages are the times in which nothing was tried for reasons of ours: the
// process did not run, or the clock was put forward or the machine slept. To
// wait behind others for a destination that is slow is none.
//
// They outlive the process in a file, written without a sync: what it says when
// the machine stopped is older, and what it does not say at all counts as an
// outage since ever. Both keep messages longer.
type outages struct {
	mu   sync.Mutex
	file string    // guarded by mu; "": they are not kept
	past []outage  // guarded by mu
	wall time.Time // guarded by mu: what the clock said at the last look
	mono time.Time // guarded by mu: when that was, by a clock that is never set
	kept time.Time // guarded by mu: when the file was written, by that clock
}

type outage struct {
	From time.Time `json:"from"` // zero: nobody knows
	To   time.Time `json:"to"`
}

// keptOutages is what the file holds, as JSON.
type keptOutages struct {
	Alive time.Time `json:"alive"` // the outbox ran then
	Past  []outage  `json:"past"`
}

// began notes that the outbox begins: since it was last alive, as file says,
// nothing was tried.
func (o *outages) began(file string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.file = file
	now = now.Round(0)
	o.past = nil
	k := noted(file)
	for _, x := range k.Past {
		if x.To.After(now) { // the clock was put back
			x.To = now
		}
		if x.From.Before(x.To) {
			o.add(x)
		}
	}
	if k.Alive.After(now) { // the clock was put back: how long it has been cannot be known
		k.Alive = time.Time{}
	}
	if now.Sub(k.Alive) > aliveEvery {
		o.add(outage{k.Alive, now})
	}
	o.wall, o.mono = now, time.Now()
	o.keep()
}

// maxNote bounds the file, in bytes: sixteen outages take less than two thousand.
const maxNote = 64 << 10

// noted is what file holds; nothing when it cannot be read, was cut short when
// the machine stopped or is no note of ours. It does not wait for what is no
// file.
func noted(file string) (k keptOutages) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return keptOutages{}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxNote))
	if err != nil || json.Unmarshal(b, &k) != nil {
		return keptOutages{}
	}
	return k
}

// add remembers x. The caller holds mu.
func (o *outages) add(x outage) {
	o.past = append(o.past, x)
	for len(o.past) > maxOutages {
		short := 0
		for i, y := range o.past {
			if y.To.Sub(y.From) < o.past[short].To.Sub(o.past[short].From) {
				short = i
			}
		}
		o.past = append(o.past[:short], o.past[short+1:]...)
	}
}

// keep writes the file anew, whatever stands in its place. The caller holds mu.
func (o *outages) keep() {
	o.kept = o.mono
	if o.file == "" {
		return
	}
	b, err := json.Marshal(keptOutages{o.wall, o.past})
	if err == nil {
		err = os.WriteFile(o.file+".new", b, 0o600)
	}
	if err == nil {
		_ = os.Rename(o.file+".new", o.file)
	} // else: a full disk must not keep the outbox from emptying
}

// ended notes that the outbox ends.
func (o *outages) ended(now time.Time) {
	o.look(now)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep()
}

// look compares the clock with one that is never set.
func (o *outages) look(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now = now.Round(0) // what the clock says, not what has passed
	mono := time.Now()
	if ran := o.wall.Add(mono.Sub(o.mono)); now.Sub(ran) > maxLate {
		o.add(outage{ran, now})
	}
	o.wall, o.mono = now, mono
	if mono.Sub(o.kept) >= aliveEvery {
		o.keep()
	}
}

// since is how much of the time from then to now was an outage.
func (o *outages) since(then, now time.Time) (sum time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	past := slices.Clone(o.past)
	slices.SortFunc(past, func(a, b outage) int { return a.From.Compare(b.From) })
	for _, x := range past { // what two have in common counts once
		if x.From.Before(then) {
			x.From = then
		}
		if x.To.After(now) {
			x.To = now
		}
		if d := x.To.Sub(x.From); d > 0 {
			sum += d
			then = x.To
		}
	}
	return sum
}

// shifted moves the expiry of a message that comes up at another time than it
// was set to by an outage, or because the clock was put back. A message expires
// by the time in which the outbox ran, whether it was its turn or others'.
func (g *Gateway) shifted(m spool.Message) spool.Message {
	now := g.Now()
	g.outages.look(now)
	if early := now.Sub(m.Next); early < 0 {
		m.Expires = m.Expires.Add(early)
	} else if out := g.outages.since(m.Next, now); out > maxLate {
		m.Expires = m.Expires.Add(out - maxLate)
	}
	return m
}
