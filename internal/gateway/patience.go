package gateway

import (
	"context"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/passbook"
)

// patience is how long a client still waits for its message to be read. It runs
// unless it is stopped; its context ends when it has run out.
type patience struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil: no limit, or it has run out
	due    time.Time   // when it runs out, unless it is stopped
	left   time.Duration
}

// newPatience starts one of limit, 0 being without end.
func newPatience(parent context.Context, limit time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(parent)
	p := &patience{cancel: cancel, due: time.Now().Add(limit)}
	switch {
	case limit <= 0:
	case time.Until(p.due) <= 0: // so that it ends before anything is begun, as a context's own does
		cancel(context.DeadlineExceeded)
	default:
		p.timer = time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	}
	return ctx, p
}

// stop stops it until goOn.
func (p *patience) stop() {
	if p.timer == nil {
		return
	}
	if !p.timer.Stop() {
		p.timer = nil
		return
	}
	p.left = time.Until(p.due)
}

func (p *patience) goOn() {
	if p.timer != nil {
		p.due = time.Now().Add(p.left)
		p.timer.Reset(p.left)
	}
}

// end frees what it holds. Its context is over then.
func (p *patience) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.cancel(context.Canceled)
}

// slowSink is a Detection that waits for its turn with a slow reader.
type slowSink struct {
	dlp.Sink
	slow func(context.Context, dlp.SlowReader) error
}

// Slow waits for the turn.
func (s slowSink) Slow(ctx context.Context, r dlp.SlowReader) error { return s.slow(ctx, r) }

// pairSink is a slowSink of a mail whose correspondents may have named passwords.
type pairSink struct {
	slowSink
	book *passbook.Book
	doc  *dlp.Document
}

// Passwords returns what mails of the last hour between the same two named.
func (s pairSink) Passwords() []string { return s.book.Words(s.doc.Sender, s.doc.Rcpts) }

// Named keeps what this one names, for mails between the same two.
func (s pairSink) Named(words []string) { s.book.Note(s.doc.Sender, s.doc.Rcpts, words) }
