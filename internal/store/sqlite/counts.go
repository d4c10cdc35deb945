package sqlite

import (
	"context"
	"fmt"
)

// Counts returns how many messages of the outbox are queued and how many
// documents are held.
func (db *DB) Counts(ctx context.Context) (queued, held int, err error) {
	const query = "SELECT (SELECT count(*) FROM outbox WHERE state = 'queued'), (SELECT count(*) FROM holds WHERE state = 'held')"
	if err := db.read.QueryRowContext(ctx, query).Scan(&queued, &held); err != nil {
		return 0, 0, fmt.Errorf("sqlite: count: %w", classify(err))
	}
	return queued, held, nil
}
