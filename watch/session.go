package watch

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds of one root.
const (
	maxPending = 65536 // files waiting; past it the walker waits
	firstRetry = 5 * time.Second
)

// session watches one opened root until its context ends or the root's path
// leads somewhere else. Four kinds of goroutines, each with one duty and its
// own state:
//
//	reader   events → dirty set
//	walker   dirty set, timer → candidates; owns the watches
//	settler  candidates → files that have settled; owns the pending files
//	workers  settled files → judged
type session struct {
	r *root
	t *tree

	notifier Notifier // nil: polled
	dirty    *dirty
	watches  watches        // the walker's
	found    chan candidate // walker → settler
	jobs     chan *entry    // settler → workers
	done     chan result    // workers → settler
}

// candidate is a file that a walk found and that no state explains.
type candidate struct {
	rel  string
	seen stamp
}

// entry is a file that waits. It belongs to the settler, but for the time that
// a worker has it.
type entry struct {
	rel   string
	seen  stamp
	first time.Time // since when it is waited for: the start of max_wait
	due   time.Time
	tries int // times the Handler asked to be offered it again

	moved *stamp // found to look differently while a worker has it
	index int    // in the queue; -1 while a worker has it
}

// resultKind is what is to happen with an entry after a worker had it.
type resultKind uint8

const (
	entryDone   resultKind = iota // judged, gone or no file: forget it
	entryMoving                   // still changing: wait for it to settle
	entryFresh                    // changed while judged: wait as for a new file
	entryRetry                    // the Handler asked to be offered it again
)

type result struct {
	e    *entry
	kind resultKind
	seen stamp // how it looks now, for entryMoving and entryFresh
}

func newSession(r *root, t *tree) *session {
	return &session{r: r, t: t, dirty: newDirty(), watches: newWatches(),
		found: make(chan candidate), jobs: make(chan *entry), done: make(chan result)}
}

// run returns when ctx has ended or the root was replaced, all goroutines
// having ended.
func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.r.cfg.Poll && !s.t.network {
		n, err := s.r.w.deps.Notify()
		if err != nil {
			s.r.count(CountUnwatched, 1)
			s.r.log(ctx, slog.LevelError, "no events for the watched folder: it is polled", err)
		} else {
			s.notifier = n
		}
	}
	s.r.setStatus(func(st *RootStatus) { st.Polled = s.notifier == nil })
	var wg sync.WaitGroup
	if s.notifier != nil {
		wg.Go(func() { s.read(ctx) })
	}
	for range s.r.cfg.Jobs {
		wg.Go(func() { s.work(ctx) })
	}
	wg.Go(func() { s.settleFiles(ctx) })
	s.walk(ctx)
	cancel()
	wg.Wait()
	if s.notifier != nil {
		_ = s.notifier.Close() // nothing is read from it any more
	}
}

// queue is the waiting entries by when they are due.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }
func (q *queue) Push(x any)        { e := x.(*entry); e.index = len(*q); *q = append(*q, e) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = -1
	return e
}

// pending is the settler's own state.
type pending struct {
	settle, longest time.Duration
	byPath          map[string]*entry
	q               queue
}

// settleFiles holds each candidate until it was unchanged for the root's
// settle, then hands it to a worker.
func (s *session) settleFiles(ctx context.Context) {
	p := &pending{settle: s.r.cfg.Settle.D(), longest: s.r.cfg.Rescan.D(), byPath: make(map[string]*entry)}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		found := s.found
		if len(p.byPath) >= maxPending {
			found = nil // the walker waits
		}
		var jobs chan *entry
		var next *entry
		if len(p.q) > 0 {
			if wait := time.Until(p.q[0].due); wait > 0 {
				timer.Reset(wait)
			} else {
				jobs, next = s.jobs, p.q[0]
			}
		}
		select {
		case <-ctx.Done():
			return
		case c := <-found:
			p.note(c, time.Now())
		case res := <-s.done:
			p.finish(res, time.Now())
		case jobs <- next:
			// The worker does not look at index, the only field set here.
			heap.Pop(&p.q)
		case <-timer.C:
		}
		s.r.setStatus(func(st *RootStatus) { st.Pending = len(p.byPath) })
	}
}

// note adds a candidate, or lets the one of its path wait anew if it changed.
func (p *pending) note(c candidate, now time.Time) {
	e := p.byPath[c.rel]
	switch {
	case e == nil:
		e = &entry{rel: c.rel, seen: c.seen, first: now, due: now.Add(p.settle)}
		p.byPath[c.rel] = e
		heap.Push(&p.q, e)
	case e.index < 0: // with a worker
		if !c.seen.same(e.seen) {
			e.moved = &c.seen
		}
	case !c.seen.same(e.seen):
		e.seen, e.due, e.tries = c.seen, now.Add(p.settle), 0
		heap.Fix(&p.q, e.index)
	}
}

// finish does with an entry what a worker found.
func (p *pending) finish(res result, now time.Time) {
	e := res.e
	moved := e.moved
	e.moved = nil
	switch {
	case res.kind == entryDone && moved == nil:
		delete(p.byPath, e.rel)
		return
	case res.kind == entryDone:
		e.seen, e.first, e.due, e.tries = *moved, now, now.Add(p.settle), 0
	case res.kind == entryMoving:
		e.seen, e.due = res.seen, now.Add(p.settle)
	case res.kind == entryFresh:
		e.seen, e.first, e.due, e.tries = res.seen, now, now.Add(p.settle), 0
	case res.kind == entryRetry:
		e.due = now.Add(min(firstRetry<<min(e.tries, 10), p.longest))
		e.tries++
	}
	heap.Push(&p.q, e)
}
