package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// ask keeps what senders ask for. One about what is not held, or a second one,
// undoes the Change.
func (db *DB) ask(g *group, ch *store.Change) error {
	for _, a := range ch.Ask {
		res, err := g.exec("INSERT OR IGNORE INTO asks SELECT id, ?, ? FROM holds WHERE id = ? AND state = 'held'", micros(a.At), a.Sealed, string(a.ID))
		if err != nil {
			return fmt.Errorf("sqlite: ask about %s: %w", a.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("sqlite: ask about %s: %w", a.ID, store.ErrState)
		}
	}
	return nil
}

// AskOf returns what the sender of id asked for, or vault.ErrNotFound.
func (db *DB) AskOf(ctx context.Context, id dlp.ID) (vault.Ask, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT id, at, sealed FROM asks WHERE id = ?", string(id))
	got, err := collect(rows, err, "asks", func(a *vault.Ask) ([]any, func() error) {
		var at int64
		return []any{&a.ID, &at, &a.Sealed}, func() error {
			a.At = fromMicros(at)
			return nil
		}
	})
	return one(got, err, vault.ErrNotFound)
}

// Wanted returns those of ids that there is an Ask about.
func (db *DB) Wanted(ctx context.Context, ids []dlp.ID) ([]dlp.ID, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("sqlite: asks: %w", err)
	}
	rows, err := db.read.QueryContext(ctx, "SELECT id FROM asks WHERE id IN (SELECT value FROM json_each(?))", string(list))
	return collect(rows, err, "asks", func(id *dlp.ID) ([]any, func() error) {
		return []any{id}, func() error { return nil }
	})
}
