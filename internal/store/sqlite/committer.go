package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/groupcommit"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

const (
	// maxGroup is the most operations in one transaction.
	maxGroup = 256
	// maxGroupBytes ends a group early, so that one sync does not wait for an
	// unbounded write.
	maxGroupBytes = 16 << 20
	// maxWait is the longest that a caller waits for the outcome of what it
	// handed over. A disk that hangs longer is answered with ErrUnknown.
	maxWait = 2 * time.Minute
	// maxLog is the size, in bytes, at which the write-ahead log is emptied by
	// force, whatever reads it.
	maxLog = 64 << 20
	// pruneEvery is how often what has had its time is deleted.
	pruneEvery = time.Hour
)

// op is one all-or-nothing piece of a group.
type op struct {
	apply func(*group) error
	bytes int
	state *atomic.Int32 // opWaits, or what the first to leave that made of it
	done  chan error    // buffered, one answer
}

// States of an op.
const (
	opWaits int32 = iota // for the committer
	opTaken              // the committer runs it
	opLeft               // its caller waits no longer
)

// take reports whether o is the committer's to run.
func (o op) take() bool {
	return o.state.CompareAndSwap(opWaits, opTaken) || o.state.Load() == opTaken
}

// errSlow says that stable storage did not come to an op in time. It was not
// written and will not be; what was handed over before it may yet be.
var errSlow = fmt.Errorf("sqlite: stable storage is too slow: %w", safefile.ErrFailing)

// committer owns the one connection that writes. It groups what waits into one
// transaction, and so one sync.
type committer struct {
	db   *DB
	conn *sql.Conn
	ops  chan op
	pace *groupcommit.Pace
	wg   sync.WaitGroup

	mu     sync.RWMutex
	closed bool // guarded by mu; ops is closed with it

	// Of the committer's goroutine alone.
	stmts  statements
	sick   bool      // the last group failed on stable storage
	pruned time.Time // when what has had its time was last deleted
	fold   fold
	traces bool // contents were deleted, by an earlier process perhaps, whose old pages the log may still have
}

func newCommitter(db *DB, conn *sql.Conn) *committer {
	c := &committer{db: db, conn: conn, ops: make(chan op, maxGroup), pace: groupcommit.NewPace(), stmts: statements{on: conn},
		fold: fold{done: make(chan int, 1)}, traces: true}
	c.wg.Go(c.run)
	return c
}

// do hands one op over and waits for its outcome. Once handed over it runs
// whatever becomes of ctx.
func (c *committer) do(ctx context.Context, bytes int, apply func(*group) error) error {
	o := op{apply: apply, bytes: bytes, state: new(atomic.Int32), done: make(chan error, 1)}
	if err := c.hand(ctx, o); err != nil {
		return err
	}
	t := time.NewTimer(maxWait)
	defer t.Stop()
	select {
	case err := <-o.done:
		return err
	case <-t.C:
		if o.state.CompareAndSwap(opWaits, opLeft) {
			return errSlow
		}
		return store.ErrUnknown
	}
}

func (c *committer) hand(ctx context.Context, o op) error {
	c.mu.RLock() // close waits for all who are handing over
	defer c.mu.RUnlock()
	if c.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.ops <- o:
		c.pace.Arrive()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the committer after all that was handed over.
func (c *committer) close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.ops)
	}
	c.mu.Unlock()
	c.wg.Wait()
	return errors.Join(c.stmts.close(), c.conn.Close())
}

func (c *committer) run() {
	scrub := time.NewTicker(c.db.scrubEvery)
	defer scrub.Stop()
	for {
		var first op
		var ok bool
		select {
		case first, ok = <-c.ops:
		case <-scrub.C:
			c.scrub(context.Background())
			continue
		}
		if !ok {
			return
		}
		c.pace.Take()
		if c.db.group > 1 {
			c.pace.Wait(1)
		}
		c.commit(c.gather(first))
	}
}

// gather adds to first what is in line, to the bound of a group.
func (c *committer) gather(first op) []op {
	batch, bytes := []op{first}, first.bytes
	for len(batch) < c.db.group && bytes < maxGroupBytes {
		select {
		case o, ok := <-c.ops:
			if !ok {
				return batch
			}
			c.pace.Take()
			batch, bytes = append(batch, o), bytes+o.bytes
		default:
			return batch
		}
	}
	return batch
}

// group is one transaction while it is built.
type group struct {
	c    *committer
	ctx  context.Context
	gone []goneContent // files whose rows end in this transaction
}

type goneContent struct {
	in *Contents
	id dlp.ID
}

func (g *group) exec(query string, args ...any) (sql.Result, error) {
	return g.c.stmts.exec(g.ctx, query, args...)
}

func (g *group) queryRow(query string, into []any, args ...any) error {
	return g.c.stmts.queryRow(g.ctx, query, into, args...)
}

// commit runs one group and answers each op.
func (c *committer) commit(batch []op) {
	ctx := context.Background() // no caller's end may end the others' transaction
	errs := make([]error, len(batch))
	start := time.Now()
	err := c.settle(ctx)
	var gone []goneContent
	if err == nil {
		gone, err = c.transact(ctx, batch, errs)
	}
	if err != nil {
		c.sick = true
		_ = c.settle(ctx) // at once, before anyone is answered; where it fails, the next group begins with it
	}
	c.pace.Recorded(len(batch), time.Since(start))
	for i, o := range batch {
		if err != nil {
			errs[i] = err
		}
		o.done <- errs[i]
	}
	if err == nil {
		c.clean(ctx, gone)
		c.foldBack(ctx, batch)
	}
}

// settle writes something harmless after a group that failed on stable
// storage. A failed sync leaves frames in the log, and the group is answered as
// not written: only other frames in their place keep a restart from finding
// them. They take that place even if their own sync fails too.
func (c *committer) settle(ctx context.Context) error {
	if !c.sick {
		return nil
	}
	if err := c.exec(ctx, "INSERT OR REPLACE INTO meta VALUES ('settled', datetime('now'))"); err != nil {
		return fmt.Errorf("sqlite: settle: %w", c.db.writing(err))
	}
	c.sick = false
	return nil
}

// transact runs all of batch in one transaction. errs tells of ops that failed
// alone; an error, that all of it failed.
func (c *committer) transact(ctx context.Context, batch []op, errs []error) ([]goneContent, error) {
	gone, err := c.attempt(ctx, batch, errs, false)
	switch {
	case !errors.Is(err, errAlone):
		return gone, err
	case len(batch) > 1:
		return c.attempt(ctx, batch, errs, true)
	}
	return nil, nil
}

// errAlone says that an op failed alone and that the transaction was rolled back.
var errAlone = errors.New("sqlite: one change failed")

// attempt runs batch in one transaction. An op that fails alone costs the others
// nothing where they are apart; for that SQLite keeps each page as it was before
// each op, so a first attempt does without and ends with the first such op.
func (c *committer) attempt(ctx context.Context, batch []op, errs []error, apart bool) ([]goneContent, error) {
	g := &group{c: c, ctx: ctx}
	c.db.steps("commit: begin")
	if err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, fmt.Errorf("sqlite: begin: %w", c.db.writing(err))
	}
	for i, o := range batch {
		if !o.take() {
			continue // its caller has gone, and was told so
		}
		apply := o.apply
		if apart {
			apply = o.apart
		}
		errs[i] = apply(g)
		switch {
		case errs[i] == nil:
		case fatal(errs[i]):
			return nil, c.undo(ctx, fmt.Errorf("sqlite: write: %w", c.db.writing(errs[i])))
		case !apart:
			return nil, c.undo(ctx, errAlone)
		}
	}
	c.db.steps("commit: sync")
	if err := c.exec(ctx, "COMMIT"); err != nil {
		return nil, c.undo(ctx, fmt.Errorf("sqlite: commit: %w", c.db.writing(err)))
	}
	c.db.steps("commit: answer")
	return g.gone, nil
}

// apart applies o so that it happens wholly or not at all.
func (o op) apart(g *group) error {
	if _, err := g.exec("SAVEPOINT one"); err != nil {
		return err
	}
	gone := len(g.gone)
	err := o.apply(g)
	if err == nil {
		_, err = g.exec("RELEASE one")
		return err
	}
	g.gone = g.gone[:gone]
	if fatal(err) {
		return err
	}
	if _, undoErr := g.exec("ROLLBACK TO one"); undoErr != nil {
		return undoErr
	}
	if _, undoErr := g.exec("RELEASE one"); undoErr != nil {
		return undoErr
	}
	return err
}

// undo rolls back. SQLite may have done so itself, so its answer says nothing.
func (c *committer) undo(ctx context.Context, err error) error {
	_ = c.exec(ctx, "ROLLBACK")
	return err
}

func (c *committer) exec(ctx context.Context, query string) error {
	_, err := c.stmts.exec(ctx, query)
	return err
}

// clean does what may fail without harm once a group is durable: files of
// ended rows, old rows, the log's size. What it misses, the sweep at the next
// start or the next turn finds.
func (c *committer) clean(ctx context.Context, gone []goneContent) {
	for _, x := range gone {
		c.db.steps("clean: remove")
		c.db.kept.remove(x)
	}
	if now := c.db.now(); c.pruned.IsZero() || now.Sub(c.pruned).Abs() >= pruneEvery {
		c.pruned = now
		c.sick = c.prune(ctx, now) != nil || c.sick
	}
	if info, err := os.Stat(c.db.path("-wal")); err == nil && info.Size() > maxLog && !c.db.kept.held() { // a snapshot reads it
		_, _ = c.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
}

// scrub empties the log of pages from before contents were deleted, and writes
// over them in the database: secure_delete does so only where a checkpoint comes,
// which a quiet day does not bring. A reader that is in the way is not waited
// for; the next turn tries again.
func (c *committer) scrub(ctx context.Context) {
	if !c.traces || c.sick || c.db.kept.held() { // a snapshot reads it
		return
	}
	if _, err := c.conn.ExecContext(ctx, "PRAGMA busy_timeout(50)"); err != nil { // not as a statement that is kept: it acts when it is compiled
		return
	}
	var busy, log, done int
	err := c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
	c.traces = err != nil || busy != 0
	_, _ = c.conn.ExecContext(ctx, "PRAGMA busy_timeout(10000)") // where it fails, waits are short
}

// prune deletes what has had its time, in one transaction of its own.
func (c *committer) prune(ctx context.Context, now time.Time) error {
	prune := op{state: new(atomic.Int32), apply: func(g *group) error {
		for _, p := range []struct {
			query string
			kept  time.Duration
		}{
			{"DELETE FROM outbox WHERE ended > 0 AND ended < ?", spool.KeptFor},
			{"DELETE FROM repeats WHERE at < ?", store.RepeatKept},
			{"DELETE FROM notices WHERE at < ?", store.NoticeKept},
		} {
			if _, err := g.exec(p.query, micros(now.Add(-p.kept))); err != nil {
				return err
			}
		}
		return nil
	}}
	errs := make([]error, 1)
	if _, err := c.transact(ctx, []op{prune}, errs); err != nil {
		return err
	}
	return errs[0]
}

func (db *DB) path(suffix string) string { return db.dir + "/" + dbFile + suffix }

// micros writes t as the database keeps it.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros, in UTC.
func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

var errMissing = fmt.Errorf("sqlite: the staged content is not there: %w", safefile.ErrFailing)
