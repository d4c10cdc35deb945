package sqlite

import (
	"context"
	"database/sql"
)

const (
	// foldAt is how many bytes a change writes to the log, about, before the log
	// is folded into the database.
	foldAt = 4 << 20
	// opPages is what an op writes beside its contents, about, in bytes.
	opPages = 8 << 10
	// longLog is how many pages of the log make it worth that the committer
	// itself folds the last of them, so that the log begins anew.
	longLog = 1000
)

// fold is what the committer knows of the log's way into the database. SQLite
// would do it within the commit that passes a thousand pages, whose senders, and
// all who come after them, then wait for twice the writing and two more syncs.
type fold struct {
	bytes   int      // written since the last one began, about
	running bool     // one is under way, or its answer was not yet taken
	done    chan int // how many pages the log had; room for one
}

// foldBack has the log folded into the database beside the groups that follow, on
// a connection of its own. A log that grows meanwhile never begins anew by that
// alone: once it is long the committer folds the little that came since. Either
// may fail without harm: the log is whole, and the next turn tries again.
func (c *committer) foldBack(ctx context.Context, batch []op) {
	for _, o := range batch {
		c.fold.bytes += o.bytes + opPages
	}
	select {
	case pages := <-c.fold.done:
		c.fold.running = false
		if pages >= longLog {
			_, _ = checkpoint(ctx, c.conn)
		}
	default:
	}
	if c.fold.running || c.fold.bytes < foldAt {
		return
	}
	c.fold.bytes, c.fold.running = 0, true
	c.wg.Go(func() {
		c.db.steps("fold: begin")
		pages, _ := checkpoint(ctx, c.db.fold)
		c.db.steps("fold: end")
		c.fold.done <- pages
	})
}

// checkpoint folds as much of the log into the database as readers leave to be
// folded, and waits for nobody. It returns how many pages the log has.
func checkpoint(ctx context.Context, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (pages int, err error) {
	var busy bool
	var folded int
	err = on.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &folded)
	return pages, err
}
