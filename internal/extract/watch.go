package extract

import (
	"context"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// look is how often a child's size and clock are looked at; a look costs 2 µs.
const look = 20 * time.Millisecond

// watch holds a child's clock and why it was killed.
type watch struct {
	limit int64 // bytes of resident memory

	mu     sync.Mutex // guards all below
	part   time.Time  // when the time of the unit at hand is up
	end    time.Time  // when the document's is
	paused time.Time  // since when the clock stands still; zero when it runs
	cause  dlp.Cause  // why it was killed; meaningful when killed
	killed bool
	late   bool // it was the document's time
}

// restart gives the unit at hand d from now, and the document whole, unless
// that is 0.
func (w *watch) restart(d, whole time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.part = now.Add(d)
	if whole > 0 {
		w.end = now.Add(whole)
	}
}

func (w *watch) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paused = time.Now()
}

func (w *watch) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := time.Since(w.paused)
	w.part, w.end = w.part.Add(d), w.end.Add(d)
	w.paused = time.Time{}
}

// due reports whether the child is to be killed now, and notes why.
func (w *watch) due(resident int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch {
	case resident > w.limit:
		w.cause = dlp.TooLarge
	case !w.paused.IsZero():
		return false
	case now.After(w.end):
		w.cause, w.late = dlp.Timeout, true
	case now.After(w.part):
		w.cause = dlp.Timeout
	default:
		return false
	}
	w.killed = true
	return true
}

// reason returns why the child ended: what it was killed for, or crashed.
func (w *watch) reason() dlp.Cause {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.killed {
		return w.cause
	}
	return dlp.Crashed
}

// until is when the document's time is up.
func (w *watch) until() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end
}

// over reports whether the document's own time is up.
func (w *watch) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late
}

// guard kills children whose time or memory is used up or whose client has gone.
// One goroutine looks after all that are at a document, and ends when none is.
type guard struct {
	mu    sync.Mutex // guards both below
	tries map[*try]context.Context
	awake bool // the goroutine is there
}

// enter has t looked after until leave.
func (p *Pool) enter(ctx context.Context, t *try) {
	g := &p.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tries == nil {
		g.tries = map[*try]context.Context{}
	}
	g.tries[t] = ctx
	if !g.awake {
		g.awake = true
		p.children.Go(g.run)
	}
}

// leave gives t's child back: nobody kills it any more.
func (g *guard) leave(t *try) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.tries, t)
}

func (g *guard) run() {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for range tick.C {
		if g.look() == 0 {
			return
		}
	}
}

// look looks at each child once and returns how many there are.
func (g *guard) look() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t, ctx := range g.tries {
		t.c.size = t.c.resident()
		if ctx.Err() != nil || t.watch.due(t.c.size) {
			_ = t.c.proc.Kill() // it may be gone already
			delete(g.tries, t)
		}
	}
	g.awake = len(g.tries) > 0
	return len(g.tries)
}
