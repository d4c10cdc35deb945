package gateway

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/spool"
)

// lane is the work on the messages of the spool that are in one state.
type lane struct {
	state spool.State
	slots chan struct{} // bounds the messages in hand
	wake  chan struct{}
	dests *destinations // bounds the messages in hand by where they go; nil: it does not matter
	grace time.Duration // how long work under way may go on when no more is begun
	// broken is called when work on m broke; the process goes on.
	broken func(ctx context.Context, m spool.Message)
	// work calls sent, if it does so at all before it ends, when it has nothing
	// more to do with where m goes.
	work func(ctx context.Context, m spool.Message, sent func())
}

// lanePoll is the longest a lane sleeps; a wake-up that was missed costs no
// more than this.
const lanePoll = 30 * time.Second

// poke wakes who sleeps on c; a wake-up that is already waiting serves both.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// outlasting returns a context that ends d after ctx does.
func outlasting(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// drain works on what is due until ctx ends, and returns when the work in hand
// has ended too; it is cut l.grace after that.
func (g *Gateway) drain(ctx context.Context, l *lane) error {
	working, cut := outlasting(ctx, l.grace)
	defer cut()
	var wg sync.WaitGroup
	defer wg.Wait()
	var waiting []spool.Message // listed, for room where they go
	var looked time.Time        // when it was looked for what goes elsewhere
	for ctx.Err() == nil {
		due := waiting
		if len(due) == 0 {
			due = g.listDue(ctx, l)
		}
		due, started := g.begin(ctx, working, l, &wg, due)
		if full := l.dests.full(); len(due) > 0 && len(l.slots) < cap(l.slots) && len(due) < 8*cap(l.slots) && time.Since(looked) >= lookElsewhere {
			looked = time.Now()
			due, started = g.begin(ctx, working, l, &wg, append(due, g.listDue(ctx, l, full...)...))
		}
		waiting = due
		if started && len(due) == 0 {
			continue
		}
		if !g.sleep(ctx, l, len(waiting) > 0) {
			break
		}
	}
	return nil
}

// lookElsewhere is how often it is looked past a backlog for messages that do
// not go where there is no room.
const lookElsewhere = time.Second

func (g *Gateway) listDue(ctx context.Context, l *lane, except ...int64) []spool.Message {
	due, err := g.Spool.Due(ctx, l.state, g.Now(), 4*cap(l.slots), except...)
	if err != nil && ctx.Err() == nil {
		g.warn(ctx, "spool not read", "", err)
	}
	return due
}

// begin starts the work on those of due that nobody else has in hand and that
// go where there is room, as places get free. It returns those for whom there
// is no room where they go, and whether it started any. Nothing is begun once
// ctx has ended; what was goes on until working does.
func (g *Gateway) begin(ctx, working context.Context, l *lane, wg *sync.WaitGroup, due []spool.Message) (left []spool.Message, started bool) {
	for _, m := range due {
		done, err := g.alone(m.ID)
		if err != nil {
			continue
		}
		began, ok := l.dests.take(m.Dest)
		if !ok {
			done()
			left = append(left, m)
			continue
		}
		sent := sync.OnceFunc(func() {
			l.dests.done(m.Dest, began)
			poke(l.wake)
		})
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			sent()
			done()
			return nil, started
		}
		started = true
		wg.Go(func() {
			defer poke(l.wake)
			defer func() { <-l.slots }()
			defer done()
			defer sent()
			if ctx.Err() == nil {
				g.handle(working, l, m, sent)
			}
		})
	}
	return left, started
}

// handle works on one message. It is looked up again: since it was listed,
// other work on it may have ended.
func (g *Gateway) handle(ctx context.Context, l *lane, listed spool.Message, sent func()) {
	if listed.Damaged {
		g.setAside(ctx, listed, spool.WhyDamaged)
		return
	}
	m, err := g.Spool.Get(ctx, listed.ID)
	if err != nil || m.State != l.state || !m.IsDue(g.Now()) {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "background work on a message broke",
				slog.String("doc", string(m.Doc)), slog.String("stack", string(debug.Stack())))
			l.broken(ctx, m)
		}
	}()
	l.work(ctx, m, sent)
}

// sleep waits for a wake-up, for the next message to be due (some are now), or
// for ctx.
func (g *Gateway) sleep(ctx context.Context, l *lane, now bool) bool {
	g.outages.look(g.Now())
	wait := lanePoll
	if now {
		wait = lookElsewhere
	} else if next, ok, err := g.Spool.NextDue(ctx, l.state); err == nil && ok {
		wait = min(wait, max(next.Sub(g.Now()), time.Second))
	}
	return rest(ctx, wait, l.wake)
}

// pause waits, and reports whether ctx is still alive.
func (g *Gateway) pause(ctx context.Context, d time.Duration) bool { return rest(ctx, d, nil) }

// rest waits, for a wake-up at most, and reports whether ctx is still alive.
func rest(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-woken:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// setAside takes a message out of all further work, until a person has it
// tried again or drops it: it would only break again, and stand before others.
func (g *Gateway) setAside(ctx context.Context, m spool.Message, why spool.Why) {
	m.State, m.Why = spool.Poison, why
	g.asideTold(ctx, m)
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		err := g.progress(ctx, m)
		if err == nil {
			return
		}
		g.warn(ctx, "message not set aside", m.Doc, err)
		if !g.pause(ctx, pause) {
			return
		}
	}
}
