package audit

import (
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Pending is a decision, or a person's act, that has no outcome on record: the
// process died in between.
type Pending struct {
	Seq     uint64
	Kind    Kind
	Doc     dlp.ID
	Channel dlp.Channel
	Time    time.Time
}

// maxWaiting bounds what is remembered of decisions without an outcome. At the
// bound the oldest is given up: its outcome's record failed long ago.
const maxWaiting = 100_000

// waiting knows the events that await an outcome and where the oldest begins.
type waiting struct {
	open  map[uint64]awaited
	order []uint64 // by sequence number; may hold some that are no longer open
}

type awaited struct {
	Pending
	offset int64
}

// note takes one event, the line of which begins at offset, into account.
func (w *waiting) note(p Pending, ref uint64, offset int64) {
	if p.Kind == Outcome {
		delete(w.open, ref)
		return
	}
	if !p.Kind.awaits() {
		return
	}
	if w.open == nil {
		w.open = map[uint64]awaited{}
	}
	w.open[p.Seq] = awaited{p, offset}
	w.order = append(w.order, p.Seq)
	if len(w.open) > maxWaiting {
		w.low(0, 0)
		delete(w.open, w.order[0])
	}
	if len(w.order) > 2*len(w.open)+1024 {
		w.order = slices.DeleteFunc(w.order, func(seq uint64) bool { _, ok := w.open[seq]; return !ok })
	}
}

// low returns the oldest open event's number and place, or those given if
// there is none.
func (w *waiting) low(seq, offset int64) (int64, int64) {
	for len(w.order) > 0 {
		if a, ok := w.open[w.order[0]]; ok {
			return int64(a.Seq), a.offset
		}
		w.order = w.order[1:]
	}
	return seq, offset
}

// list returns all open events in order.
func (w *waiting) list() []Pending {
	var out []Pending
	for _, seq := range w.order {
		if a, ok := w.open[seq]; ok {
			out = append(out, a.Pending)
		}
	}
	return out
}
