package gateway

import (
	"encoding/binary"
	"sync"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// destinations bounds how many deliveries go to one destination at once, so
// that one that hangs does not take all workers. One that gave no answer gets
// one delivery at a time until it gives one.
type destinations struct {
	most int // deliveries to one destination at once

	mu     sync.Mutex
	busy   map[int64]int      // guarded by mu: deliveries under way
	silent map[int64]struct{} // guarded by mu: those whose last delivery had no answer
}

// maxSilent bounds what is remembered of destinations that gave no answer. At the
// bound all are forgotten: they are found out again.
const maxSilent = 10_000

func newDestinations(most int) *destinations {
	return &destinations{most: max(1, most), busy: map[int64]int{}, silent: map[int64]struct{}{}}
}

// full lists the destinations that take no further delivery now: as many at most as
// deliveries are under way.
func (d *destinations) full() (out []int64) {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for dest, n := range d.busy {
		if n >= d.room(dest) {
			out = append(out, dest)
		}
	}
	return out
}

// room is how many deliveries may go to dest at once. The caller holds mu.
func (d *destinations) room(dest int64) int {
	if _, silent := d.silent[dest]; silent {
		return 1
	}
	return d.most
}

// take claims room at dest for one delivery, if it has any.
func (d *destinations) take(dest int64) bool {
	if d == nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[dest] >= d.room(dest) {
		return false
	}
	d.busy[dest]++
	return true
}

// done gives the room back.
func (d *destinations) done(dest int64) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[dest]--; d.busy[dest] <= 0 {
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
