package gateway

import (
	"context"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Waiting is how many documents wait for their turn to be read.
func (g *Gateway) Waiting() int {
	g.reading.mu.Lock()
	defer g.reading.mu.Unlock()
	return len(g.reading.hurry) + len(g.reading.waiting)
}

// Turns are how many turns are free, of readers and of slow readers.
func (g *Gateway) Turns() (free [2]int) {
	for i, t := range []*turns{g.reading, g.slow} {
		t.mu.Lock()
		free[i] = t.free
		t.mu.Unlock()
	}
	return free
}

var ReadEnvelope = readEnvelope

// CountDeaths makes one try to put on record what was in hand when a process died.
func (g *Gateway) CountDeaths(ctx context.Context) error { return g.countOnce(ctx) }

// DestOf is the destination of a recipient.
func (g *Gateway) DestOf(from, rcpt dlp.Address) int64 {
	return g.destsOf(from, []dlp.Address{rcpt})[0]
}

// OutboxRan notes that the outbox ran from one time to another.
func (g *Gateway) OutboxRan(from, to time.Time) {
	o := &g.outages
	o.began(g.Outages, from)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wall = to
	o.keep()
}

// OutboxMissed is how much of a time was an outage.
func (g *Gateway) OutboxMissed(from, to time.Time) time.Duration { return g.outages.since(from, to) }

// OutboxLooks is what the outbox does each few seconds while it runs.
func (g *Gateway) OutboxLooks(now time.Time) { g.outages.look(now) }

// StepDrills does once what RunDrills does.
func (g *Gateway) StepDrills(ctx context.Context) time.Duration { return g.stepDrills(ctx) }

// Forget lets go of what is in hand, as a new process has nothing in hand.
func (g *Gateway) Forget() { g.busy.Clear() }

// Places are the destinations of an outbox.
type Places = destinations

// NewPlaces returns those of an outbox that delivers to most at once.
func NewPlaces(most int) *Places { return newDestinations(most) }

// Take claims room at dest.
func (d *destinations) Take(dest int64) (began time.Time, ok bool) { return d.take(dest) }

// Done gives it back.
func (d *destinations) Done(dest int64, began time.Time) { d.done(dest, began) }

// Heard notes whether dest gave an answer.
func (d *destinations) Heard(dest int64, answer bool) { d.heard(dest, answer) }

// Full lists those without room.
func (d *destinations) Full() []int64 { return d.full() }
