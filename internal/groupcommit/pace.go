// Package groupcommit decides how long a group commit waits for more to join.
//
// It promises that senders who come back together share a sync, that no group
// is asked to wait longer than four times what the last one took to record, or
// 2 ms (a timer may be late by the process's slack, of 4 ms in serve), and that
// a sender by itself never waits for others.
package groupcommit

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a group waits for the senders of the last one, in
	// times of what that took to record: 4 cost ten senders of mail 5 % less
	// processor time than 1, at the same rate (docs/adr/0022).
	patience = 4
	// maxWait bounds that wait where a sync takes long.
	maxWait = 2 * time.Millisecond
)

// Pace is the pace of one committer: a goroutine that takes requests out of a
// line, records a group of them and answers their senders. Arrive may be called
// by any goroutine, the rest by the committer alone.
type Pace struct {
	inLine atomic.Int64  // requests in the line whose senders wait
	wanted atomic.Int64  // of them by the committer while it waits, else more than there can be
	enough chan struct{} // there are as many

	senders int           // about the last group: those it answers and those that came meanwhile
	wait    time.Duration // for them, at most
}

// NewPace returns the pace of a committer that has recorded nothing yet.
func NewPace() *Pace {
	p := &Pace{enough: make(chan struct{}, 1)}
	p.wanted.Store(math.MaxInt64)
	return p
}

// Arrive says that a request whose sender waits is in the line.
func (p *Pace) Arrive() {
	if p.inLine.Add(1) >= p.wanted.Load() {
		select {
		case p.enough <- struct{}{}:
		default: // it is known already
		}
	}
}

// Take says that the committer took such a request out of the line.
func (p *Pace) Take() { p.inLine.Add(-1) }

// Wait returns once all senders of the last group are back, or the wait is not
// worth it any more. have is how many senders wait for the group already; the
// others are in the line. It reports whether there may be some to take out of
// it.
func (p *Pace) Wait(have int) bool {
	more := int64(p.senders - have)
	if more <= 0 {
		return false
	}
	select { // what an earlier wait left
	case <-p.enough:
	default:
	}
	p.wanted.Store(more)
	defer p.wanted.Store(math.MaxInt64)
	if p.inLine.Load() >= more {
		return true
	}
	t := time.NewTimer(p.wait)
	defer t.Stop()
	select {
	case <-p.enough:
	case <-t.C:
	}
	return true
}

// Recorded says that a group took so long to record, and that the committer is
// about to answer so many senders.
func (p *Pace) Recorded(senders int, took time.Duration) {
	p.senders, p.wait = senders+int(p.inLine.Load()), min(patience*took, maxWait)
}
