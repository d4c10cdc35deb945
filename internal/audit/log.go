package audit

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stanch-dlp/stanch/internal/groupcommit"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

var (
	// ErrFull says that the disk has no room and the reserve is used up, so
	// that the event was not recorded. Once there is room, Append works again.
	ErrFull = errors.New("no room for the audit log")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("audit: closed")
	// ErrInUse says that another process has the log open.
	ErrInUse = errors.New("audit: in use by another process")
	// ErrBroken says that the log is not what was written: see BrokenError.
	ErrBroken = errors.New("audit: the log is broken")
)

// Options say where a Log lies.
type Options struct {
	Dir        string // folder of the log; created 0700
	Key        string // file of the Ed25519 key that signs the head; made, mode 0600, with the log
	AnchorPath string // file outside Dir that holds the head; made, mode 0600, with the log
	Reserve    int64  // bytes kept allocated ahead of the log's end; 0 means DefaultReserve
	Log        *slog.Logger
}

// DefaultReserve holds about 25,000 events.
const DefaultReserve = 8 << 20

const (
	// noteDelay is the longest that a noted event waits for a group to ride in.
	noteDelay = 250 * time.Millisecond
	// maxGroup bounds the bytes of one group, and so how long one sync takes.
	maxGroup = 1 << 20
	// maxQueue is how many events wait for the next group before callers do.
	maxQueue = 4096
	// maxNotes bounds the noted events that are kept while the log cannot be
	// written.
	maxNotes = 20_000
	// anchorSync is how often the head outside is synced: after a power cut it
	// may be this much older than the log, never newer.
	anchorSync = time.Second
)

// Log is the open log. It is safe for any number of goroutines.
type Log struct {
	opt  Options
	in   chan *request
	done sync.WaitGroup // of the committer

	pace *groupcommit.Pace // counts requests whose senders wait

	mu     sync.RWMutex // guards closed; held shared while a request is handed over
	closed bool

	state sync.Mutex // guards the three below, which the committer publishes
	view  Status
	size  int64 // bytes of the log file that are synced
	err   error // of the last group

	c committer // of the committer alone
}

// Status is how the log stands.
type Status struct {
	Events  uint64 // on stable storage
	Bytes   int64  // of the log file
	Reserve int64  // bytes allocated ahead
	Root    string // of the tree over all lines, base64
}

// request is one event on its way to the committer.
type request struct {
	fields []byte
	p      Pending
	ref    uint64
	done   chan result // nil: noted only
}

type result struct {
	seq uint64
	err error
}

// Append records e and returns its sequence number once it is on stable
// storage, together with others in one sync. ErrFull, ErrNotOurs, ErrClosed,
// or ctx's error, after which it is not known whether e is recorded.
func (l *Log) Append(ctx context.Context, e Event) (uint64, error) {
	r, err := newRequest(e)
	if err != nil {
		return 0, err
	}
	r.done = make(chan result, 1)
	if err := l.send(ctx, r); err != nil {
		return 0, err
	}
	select {
	case res := <-r.done:
		return res.seq, res.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Note gives e its place in the log and returns. It is on stable storage with
// the next group, or within a second; if the log cannot be written, once it
// can be again.
func (l *Log) Note(ctx context.Context, e Event) error {
	r, err := newRequest(e)
	if err != nil {
		return err
	}
	return l.send(ctx, r)
}

func newRequest(e Event) (*request, error) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if by, of := Actors(e.Actor); of != "" {
		e.Actor, e.For = by, of
	}
	if err := e.validate(); err != nil {
		return nil, err
	}
	return &request{
		fields: e.fields(make([]byte, 0, 512)),
		p:      Pending{Kind: e.Kind, Doc: e.Doc, Channel: e.Channel, Time: e.Time},
		ref:    e.Ref,
	}, nil
}

func (l *Log) send(ctx context.Context, r *request) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	select {
	case l.in <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.done != nil {
		l.pace.Arrive()
	}
	return nil
}

// Close records what was noted, writes the head as that of a closed log and
// frees the files. A second Close does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.in)
	l.mu.Unlock()
	l.done.Wait()
	l.state.Lock()
	defer l.state.Unlock()
	return l.err
}

// Status returns how the log stands.
func (l *Log) Status() Status {
	l.state.Lock()
	defer l.state.Unlock()
	return l.view
}

// Ready returns nil when the last group could be recorded, else its error.
func (l *Log) Ready() error {
	l.state.Lock()
	defer l.state.Unlock()
	return l.err
}

// run is the committer: the one goroutine that writes. It ends when the
// channel is closed, and closes the files.
func (l *Log) run() {
	var (
		notes []*request // waiting for a group; those of a failed group again
		wait  <-chan time.Time
	)
	for {
		group := notes
		due := false
		select {
		case r, ok := <-l.in:
			if !ok {
				l.finish(group)
				return
			}
			group = l.take(group, r)
		case <-wait:
			due = true
		}
		group = l.gather(group)
		if !due && senders(group) == 0 && len(group) < maxQueue {
			if notes = group; wait == nil {
				wait = time.After(noteDelay)
			}
			continue
		}
		wait = nil
		if l.pace.Wait(senders(group)) {
			group = l.gather(group)
		}
		if notes = l.commit(group); len(notes) > 0 {
			wait = time.After(noteDelay)
		}
	}
}

// take adds what came out of the channel.
func (l *Log) take(group []*request, r *request) []*request {
	if r.done != nil {
		l.pace.Take()
	}
	return append(group, r)
}

// gather adds what is already waiting, to the bound of a group.
func (l *Log) gather(group []*request) []*request {
	bytes := 0
	for _, r := range group {
		bytes += len(r.fields)
	}
	runtime.Gosched() // who is about to send gets to it: a sync costs more than a turn
	for bytes < maxGroup {
		select {
		case r, ok := <-l.in:
			if !ok {
				return group // the next receive sees it too
			}
			group = l.take(group, r)
			bytes += len(r.fields)
		default:
			return group
		}
	}
	return group
}

// senders counts those who wait for group.
func senders(group []*request) int {
	n := 0
	for _, r := range group {
		if r.done != nil {
			n++
		}
	}
	return n
}

// commit records a group, answers those who wait, and returns the noted events
// that could not be recorded.
func (l *Log) commit(group []*request) (left []*request) {
	start := time.Now()
	n, err := l.c.write(group)
	l.pace.Recorded(senders(group), time.Since(start))
	before := l.publish(err)
	for i, r := range group {
		switch {
		case r.done != nil && i < n:
			r.done <- result{seq: r.p.Seq}
		case r.done != nil:
			r.done <- result{err: err}
		case i >= n:
			left = append(left, r)
		}
	}
	switch {
	case err != nil && before == nil: // once, not for each group
		l.opt.Log.Error("audit log cannot be written", safelog.Err(err), slog.Int("failed", len(group)-n))
	case err == nil && before != nil:
		l.opt.Log.Info("audit log is written again")
	}
	if over := len(left) - maxNotes; over > 0 {
		l.opt.Log.Error("outcomes dropped, the audit log cannot be written", slog.Int("count", over))
		left = left[over:]
	}
	return left
}

// publish shows how the log stands after a group, and returns the error of the
// group before.
func (l *Log) publish(err error) (before error) {
	l.state.Lock()
	defer l.state.Unlock()
	before, l.err = l.err, err
	l.size = l.c.bytes
	l.view = Status{Events: uint64(max(0, l.c.tree.n-1)), Bytes: l.c.bytes, Reserve: max(0, l.c.logEnd-l.c.bytes),
		Root: l.c.tree.root().String()}
	return before
}

// finish records what is left, closes the head and the files.
func (l *Log) finish(notes []*request) {
	var errs []error
	if len(notes) > 0 {
		if left := l.commit(notes); len(left) > 0 {
			errs = append(errs, l.Ready())
		}
	}
	errs = append(errs, l.c.close())
	l.state.Lock()
	defer l.state.Unlock()
	l.err = errors.Join(errs...)
}

// hashBytes is the length of the file of hashes for n lines.
func hashBytes(n int64) int64 { return tlog.StoredHashCount(n) * tlog.HashSize }
