package sqlite

import (
	"context"
	"fmt"
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
