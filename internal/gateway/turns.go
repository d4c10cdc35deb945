package gateway

import (
	"context"
	"slices"
	"sync"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// class is who waits for a turn.
type class uint8

// The classes.
const (
	ordinary class = iota // a message
	urgent                // a message of an urgent sender: before all others
	file                  // a file, for which nobody waits
)

// urgentRow is how many urgent messages in a row may be read while others wait:
// with one in five they are slow, and do not starve.
const urgentRow = 4

// turns bounds how many documents are read at once. Under load messages wait
// here, where no scan time-out runs: it is for documents that are slow to read,
// not for a gateway that is busy. Files leave one place to the mail, for whose
// reading a client waits.
type turns struct {
	mu      sync.Mutex // guards all below
	free    int
	files   int // how many more files may be read
	row     int // urgent messages read since another was
	hurry   []*waiter
	waiting []*waiter // ordinary messages and files, as they came
}

// waiter waits for one turn.
type waiter struct {
	of   class
	turn chan struct{} // closed when it has it
	has  bool
}

func newTurns(n int) *turns {
	n = max(1, n)
	return &turns{free: n, files: max(1, n-1)}
}

// take waits for a turn; done gives it back. Its error is ctx's.
func (t *turns) take(ctx context.Context, of class) (done func(), err error) {
	w := &waiter{of: of, turn: make(chan struct{})}
	t.mu.Lock()
	if of == urgent {
		t.hurry = append(t.hurry, w)
	} else {
		t.waiting = append(t.waiting, w)
	}
	t.next()
	t.mu.Unlock()
	select {
	case <-w.turn:
	case <-ctx.Done():
		t.leave(w)
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() { t.back(w) }), nil
}

// turn is a document's turn, one at a time.
type turn struct {
	of   class
	done func()
}

// move gives the turn back and waits for one of to. Its error is ctx's.
func (t *turn) move(ctx context.Context, to *turns) error {
	t.done()
	next, err := to.take(ctx, t.of)
	if err == nil {
		t.done = next
	}
	return err
}

// firstTurn waits for a document's first turn.
func (g *Gateway) firstTurn(ctx context.Context, of class) (*turn, error) {
	done, err := g.reading.take(ctx, of)
	return &turn{of, done}, err
}

// turnsOf are the turns of a slow reader.
func (g *Gateway) turnsOf(r dlp.SlowReader) *turns {
	if r == dlp.OCRReader {
		return g.pictures
	}
	return g.slow
}

// next gives free turns away. The caller holds mu.
func (t *turns) next() {
	for t.free > 0 {
		i := slices.IndexFunc(t.waiting, func(w *waiter) bool { return w.of != file || t.files > 0 })
		var w *waiter
		switch {
		case len(t.hurry) > 0 && (i < 0 || t.row < urgentRow):
			w, t.hurry = t.hurry[0], t.hurry[1:]
			t.row++
		case i >= 0:
			w = t.waiting[i]
			t.waiting = slices.Delete(t.waiting, i, i+1)
			t.row = 0
		default:
			return
		}
		t.free--
		if w.of == file {
			t.files--
		}
		w.has = true
		close(w.turn)
	}
}

// back gives w's turn back.
func (t *turns) back(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	if w.of == file {
		t.files++
	}
	t.next()
}

// leave takes w out of the queue, or gives back the turn that it got meanwhile.
func (t *turns) leave(w *waiter) {
	t.mu.Lock()
	has := w.has
	is := func(x *waiter) bool { return x == w }
	t.hurry, t.waiting = slices.DeleteFunc(t.hurry, is), slices.DeleteFunc(t.waiting, is)
	t.mu.Unlock()
	if has {
		t.back(w)
	}
}
