package gateway

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// destinations bounds how many deliveries go to one destination at once, so
// that one that hangs does not take all workers. One that gave no answer gets
// one delivery at a time until it gives one. A delivery that has hung for long
// is none of these: the destination may answer others.
type destinations struct {
	most int // deliveries to one destination at once

	mu     sync.Mutex
	busy   map[int64][]time.Time // guarded by mu: when those under way began, the oldest first
	silent map[int64]struct{}    // guarded by mu: those whose last delivery had no answer
}

const (
	// maxSilent bounds what is remembered of destinations that gave no answer. At the
	// bound all are forgotten: they are found out again.
	maxSilent = 10_000
	// hangsFor is when a delivery has hung for long: a hop that answers does so
	// sooner, as a rule, and waits for up to ten minutes are allowed (RFC 5321 4.5.3.2.6).
	hangsFor = 30 * time.Second
)

func newDestinations(most int) *destinations {
	return &destinations{most: max(1, most), busy: map[int64][]time.Time{}, silent: map[int64]struct{}{}}
}

// full lists the destinations that take no further delivery now: as many at most as
// deliveries are under way.
func (d *destinations) full() (out []int64) {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for dest := range d.busy {
		if !d.room(dest) {
			out = append(out, dest)
		}
	}
	return out
}

// room reports whether one more delivery may go to dest. The caller holds mu.
func (d *destinations) room(dest int64) bool {
	under := d.busy[dest]
	if _, silent := d.silent[dest]; silent && len(under) > 0 && time.Since(under[len(under)-1]) < hangsFor {
		return false
	}
	return len(under) < d.most
}

// take claims room at dest for one delivery, if it has any. The delivery is known by
// when it began.
func (d *destinations) take(dest int64) (began time.Time, ok bool) {
	if d == nil {
		return time.Time{}, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.room(dest) {
		return time.Time{}, false
	}
	began = time.Now()
	d.busy[dest] = append(d.busy[dest], began)
	return began, true
}

// done gives the room back.
func (d *destinations) done(dest int64, began time.Time) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	under := d.busy[dest]
	if i := slices.Index(under, began); i >= 0 {
		under = slices.Delete(under, i, i+1)
	}
	d.busy[dest] = under
	if len(under) == 0 {
		delete(d.busy, dest)
	}
}

// heard notes whether dest gave an answer.
func (d *destinations) heard(dest int64, answer bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if answer {
		delete(d.silent, dest)
		return
	}
	if len(d.silent) >= maxSilent {
		clear(d.silent)
	}
	d.silent[dest] = struct{}{}
}

// leg is those recipients of a message who go to one destination.
type leg struct {
	dest  int64
	rcpts []spool.Rcpt
}

// legs sorts the recipients of m that are pending by where they go, in the
// order in which the destinations first come up.
func (g *Gateway) legs(m spool.Message) (out []leg) {
	var pending []spool.Rcpt
	var addrs []dlp.Address
	for _, r := range m.Rcpts {
		if r.State == "" || r.State == spool.RcptPending {
			pending, addrs = append(pending, r), append(addrs, r.Addr)
		}
	}
	at := map[int64]int{}
	for i, dest := range g.destsOf(m.From, addrs) {
		j, known := at[dest]
		if !known {
			j = len(out)
			at[dest] = j
			out = append(out, leg{dest: dest})
		}
		out[j].rcpts = append(out[j].rcpts, pending[i])
	}
	return out
}

// destsOf returns where each recipient goes: a keyed digest, since the name of
// one may hold a recipient's domain.
func (g *Gateway) destsOf(from dlp.Address, rcpts []dlp.Address) []int64 {
	out := make([]int64, len(rcpts))
	if g.Destinations == nil {
		return out // there is one next hop
	}
	known := map[string]int64{}
	for i, name := range g.Destinations(from, rcpts) {
		dest, ok := known[name]
		if !ok {
			sum := g.Names.MAC("destination", []byte(name))
			dest = int64(binary.BigEndian.Uint64(sum[:8]))
			known[name] = dest
		}
		out[i] = dest
	}
	return out
}
