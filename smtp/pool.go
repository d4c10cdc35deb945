package smtp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// pool keeps connections whose last transaction has ended. The one used last is
// the first to be used again, so that the others may go.
type pool struct {
	max       int
	idle, age time.Duration

	mu     sync.Mutex // guards all below
	closed bool
	free   []*hop
	timers sync.WaitGroup // one for each h.idle
}

// get takes a connection out, or returns nil. One on which the next hop has said
// something unasked is closed: the next answer read would not be its own. Most
// often it says that it closes.
func (p *pool) get() *hop {
	for {
		h := p.take()
		if h == nil || h.quiet() {
			return h
		}
		h.close()
	}
}

// take takes the connection used last out, or returns nil.
func (p *pool) take() *hop {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return nil
	}
	h := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.disarm(h)
	return h
}

// put keeps h, or closes it when there are enough, it is too old, or the next
// hop has said more than was asked: the next answer read would not be its own.
func (p *pool) put(h *hop) {
	h.rest()
	p.mu.Lock()
	if h.saidMore() || p.closed || len(p.free) >= p.max || time.Since(h.born) > p.age {
		p.mu.Unlock()
		h.quit()
		return
	}
	defer p.mu.Unlock()
	p.free = append(p.free, h)
	p.timers.Add(1)
	h.idle = time.AfterFunc(p.idle, func() {
		defer p.timers.Done()
		p.expire(h)
	})
}

// expire closes h if it is still idle.
func (p *pool) expire(h *hop) {
	p.mu.Lock()
	i := slices.Index(p.free, h)
	if i >= 0 {
		p.free = slices.Delete(p.free, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		h.quit()
	}
}

// disarm stops h's timer. One that has gone off finds h no longer in free.
func (p *pool) disarm(h *hop) {
	if h.idle.Stop() {
		p.timers.Done()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	for _, h := range free {
		p.disarm(h)
	}
	p.mu.Unlock()
	for _, h := range free {
		h.quit()
	}
	p.timers.Wait()
}

const (
	breakAfter = 3                // failures in a row before the next hop counts as down
	breakFirst = time.Second      // first pause
	breakMost  = 30 * time.Second // longest pause; it doubles up to here

	// tryAtOnce is how many may wait for the greeting of a next hop that answered
	// lately: the connections that Postfix takes from one client by default
	// (smtpd_client_connection_count_limit). While others wait for their turn each
	// that is answered makes room for one more, up to tryMost.
	tryAtOnce = 50
	tryMost   = 1000
)

// errDown is returned while the next hop counts as down.
var errDown = errors.New("smtp: next hop is down")

// breaker spares sessions the wait for a next hop that is down: after some
// failures in a row it allows one try at a time, with a pause between tries. One
// that has not answered lately is tried by as many at once as it takes to find
// it down, one that has by tryAtOnce and more as it answers; who comes meanwhile
// waits for what they hear. The zero value is ready.
type breaker struct {
	mu       sync.Mutex // guards all below
	failed   int        // in a row
	pause    time.Duration
	until    time.Time
	answered time.Time     // the last success, unless a failure came after it
	trying   int           // tries under way
	room     int           // tries allowed at once beyond tryAtOnce
	heard    chan struct{} // closed when one ends; nil: nobody listens
	waiting  int           // for their turn
}

// allow waits until it is known whether to connect, and returns nil if so: then
// success, failure or pass must follow. It waits for d at most.
func (b *breaker) allow(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for waits := false; ; {
		ok, heard := b.ask(time.Now())
		switch {
		case ok:
			return nil
		case heard == nil:
			return errDown
		case !waits:
			waits = true
			b.wait(1)
			defer b.wait(-1)
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return errDown
		}
	}
}

// ask reports whether to connect now. If not, it returns what to wait for before
// asking again; nil: the next hop is down.
func (b *breaker) ask(now time.Time) (ok bool, heard <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failed >= breakAfter:
		if b.trying > 0 || now.Before(b.until) {
			return false, nil
		}
	case now.Sub(b.answered) > breakMost && b.failed+b.trying >= breakAfter, b.trying >= tryAtOnce+b.room:
		if b.heard == nil {
			b.heard = make(chan struct{})
		}
		return false, b.heard
	}
	b.trying++
	return true, nil
}

// wait counts those who wait for their turn.
func (b *breaker) wait(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

// ended notes the end of a try. The caller holds mu.
func (b *breaker) ended(answered bool) {
	b.trying--
	switch {
	case b.waiting == 0 || !answered:
		b.room = 0
	case b.room < tryMost-tryAtOnce:
		b.room++
	}
	if b.heard != nil {
		close(b.heard)
		b.heard = nil
	}
}

func (b *breaker) down() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed >= breakAfter
}

func (b *breaker) success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(true)
	b.failed, b.pause, b.answered = 0, 0, time.Now()
}

// pass takes back a try that told nothing.
func (b *breaker) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(false)
}

// failure counts one, and reports whether the next hop counts as down from now.
func (b *breaker) failure(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(false)
	b.answered = time.Time{}
	if b.failed++; b.failed < breakAfter {
		return false
	}
	b.pause = min(max(2*b.pause, breakFirst), breakMost)
	b.until = now.Add(b.pause)
	return b.failed == breakAfter
}
