package sqlite

import (
	"context"
	"fmt"

	"github.com/stanch-dlp/stanch/internal/spool"
)

// Counts returns how many messages of the outbox have not ended and how many
// documents are held.
func (db *DB) Counts(ctx context.Context) (queued, held int, err error) {
	const query = "SELECT (SELECT count(*) FROM outbox WHERE ended = 0), (SELECT count(*) FROM holds WHERE state = 'held')"
	if err := db.read.QueryRowContext(ctx, query).Scan(&queued, &held); err != nil {
		return 0, 0, fmt.Errorf("sqlite: count: %w", classify(err))
	}
	return queued, held, nil
}

// QueueCount returns how many messages of the outbox are in state s. Unlike
// QueueSize it reads an index only, for every state that is waited in.
func (db *DB) QueueCount(ctx context.Context, s spool.State) (n int, err error) {
	state, err := stateIs(s)
	if err != nil {
		return 0, err
	}
	if err := db.stmts.queryRow(ctx, "SELECT count(*) FROM outbox WHERE "+state, []any{&n}); err != nil {
		return 0, fmt.Errorf("sqlite: count: %w", classify(err))
	}
	return n, nil
}
