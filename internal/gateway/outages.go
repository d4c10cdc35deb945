package gateway

import (
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
)

// maxLate is how long an outage of ours may last and all of it count towards
// the expiry of a message.
const maxLate = time.Hour

// maxOutages bounds what is remembered of outages; the oldest is forgotten.
const maxOutages = 16

// outages are the times in which nothing was tried for reasons of ours: the
// process did not run, or the clock was put forward or the machine slept. To
// wait behind others for a destination that is slow is none.
type outages struct {
	mu   sync.Mutex
	past []outage  // guarded by mu
	wall time.Time // guarded by mu: what the clock said at the last look
	mono time.Time // guarded by mu: when that was, by a clock that is never set
}

type outage struct{ from, to time.Time }

// began notes that the outbox begins: before that nothing was tried.
func (o *outages) began(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.past = []outage{{to: now.Round(0)}}
	o.wall, o.mono = now.Round(0), time.Now()
}

// look compares the clock with one that is never set.
func (o *outages) look(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now = now.Round(0) // what the clock says, not what has passed
	mono := time.Now()
	if ran := o.wall.Add(mono.Sub(o.mono)); now.Sub(ran) > maxLate {
		if len(o.past) >= maxOutages {
			o.past = o.past[1:]
		}
		o.past = append(o.past, outage{ran, now})
	}
	o.wall, o.mono = now, mono
}

// since is how much of the time from then to now was an outage.
func (o *outages) since(then, now time.Time) (sum time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.past {
		from, to := x.from, x.to
		if from.Before(then) {
			from = then
		}
		if to.After(now) {
			to = now
		}
		sum += max(0, to.Sub(from))
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
