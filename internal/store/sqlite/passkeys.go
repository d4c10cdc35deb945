package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/store"
)

// passkeys keeps what readers of parcels set, use and remove.
func (db *DB) passkeys(g *group, ch *store.Change) error {
	for _, r := range ch.KeySet {
		res, err := g.exec(`INSERT INTO passkeys (id, mailbox, created, used, version, sealed)
			SELECT ?, ?, ?, ?, 0, ? WHERE (SELECT count(*) FROM passkeys WHERE mailbox = ?) < ?`,
			string(r.ID), r.Mailbox, micros(r.Created), micros(r.Used), r.Sealed, r.Mailbox, pickup.MaxPasskeys)
		if err := changedOne(res, err, pickup.ErrManyPasskeys); err != nil {
			return fmt.Errorf("sqlite: passkey %s: %w", r.ID, err)
		}
	}
	for _, r := range ch.KeyUsed {
		res, err := g.exec("UPDATE passkeys SET used = ?, sealed = ?, version = version + 1 WHERE id = ? AND mailbox = ? AND version = ?",
			micros(r.Used), r.Sealed, string(r.ID), r.Mailbox, r.Version)
		if err := changedOne(res, err, pickup.ErrState); err != nil {
			return fmt.Errorf("sqlite: passkey %s: %w", r.ID, err)
		}
	}
	for _, id := range ch.KeyGone {
		res, err := g.exec("DELETE FROM passkeys WHERE id = ?", string(id))
		if err := changedOne(res, err, pickup.ErrNoPasskey); err != nil {
			return fmt.Errorf("sqlite: passkey %s: %w", id, err)
		}
	}
	return nil
}

// changedOne is onlyOne, with what it means here.
func changedOne(res sql.Result, err, means error) error {
	if err = onlyOne(res, err); errors.Is(err, store.ErrState) {
		return fmt.Errorf("%w: %w", err, means)
	}
	return err
}

const passkeyColumns = "SELECT id, mailbox, created, used, version, sealed FROM passkeys "

func scanPasskey(r *pickup.PasskeyRow) ([]any, func() error) {
	var created, used int64
	return []any{&r.ID, &r.Mailbox, &created, &used, &r.Version, &r.Sealed}, func() error {
		r.Created, r.Used = fromMicros(created), fromMicros(used)
		return nil
	}
}

// Passkey returns one row, or pickup.ErrNoPasskey.
func (db *DB) Passkey(ctx context.Context, id dlp.ID) (pickup.PasskeyRow, error) {
	rows, err := db.read.QueryContext(ctx, passkeyColumns+"WHERE id = ?", string(id))
	got, err := collect(rows, err, "passkey", scanPasskey)
	return one(got, err, pickup.ErrNoPasskey)
}

// PasskeysOf returns the rows of one mailbox, the oldest first.
func (db *DB) PasskeysOf(ctx context.Context, mailbox []byte) ([]pickup.PasskeyRow, error) {
	rows, err := db.read.QueryContext(ctx, passkeyColumns+"WHERE mailbox = ? ORDER BY created, id", mailbox)
	return collect(rows, err, "list passkeys", scanPasskey)
}

// Passkeys returns rows of all mailboxes, the one that was used last first.
func (db *DB) Passkeys(ctx context.Context) ([]pickup.PasskeyRow, error) {
	rows, err := db.read.QueryContext(ctx, passkeyColumns+"ORDER BY used DESC, id LIMIT ?", pickup.MaxList)
	return collect(rows, err, "list passkeys", scanPasskey)
}

// PasskeysOver returns rows that were used last at or before then.
func (db *DB) PasskeysOver(ctx context.Context, then time.Time) ([]pickup.PasskeyRow, error) {
	rows, err := db.read.QueryContext(ctx, passkeyColumns+"WHERE used <= ? ORDER BY used LIMIT ?", micros(then), pickup.MaxList)
	return collect(rows, err, "list passkeys", scanPasskey)
}
