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

// parcelSuffix ends the name of a parcel's content: no age program opens it.
const parcelSuffix = ".sealed"

// parcels keeps what somebody opens in a browser, and what became of it.
func (db *DB) parcels(g *group, ch *store.Change) error {
	for _, it := range ch.Parcels {
		external, err := db.content(g, db.pickup, it.ID, it.Inline, "INSERT INTO parcel_contents VALUES (?, ?)")
		if err != nil {
			return err
		}
		_, err = g.exec(`INSERT INTO parcels (id, doc, state, created, expires, size, sealed, version, external, ended)
			VALUES (?, ?, 'waiting', ?, ?, ?, ?, 0, ?, 0)`,
			string(it.ID), string(it.Doc), micros(it.Created), micros(it.Expires), it.Size, it.Sealed, external)
		if err != nil {
			return fmt.Errorf("sqlite: parcel %s: %w", it.ID, err)
		}
	}
	for _, u := range ch.Picked {
		var ended int64
		if u.State != pickup.Waiting {
			ended = micros(db.now())
		}
		res, err := g.exec("UPDATE parcels SET state = ?, sealed = ?, version = version + 1, ended = ? WHERE id = ? AND version = ? AND ended = 0",
			string(u.State), u.Sealed, ended, string(u.ID), u.Version)
		if err != nil {
			return fmt.Errorf("sqlite: parcel %s: %w", u.ID, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("sqlite: parcel %s: %w: %w", u.ID, store.ErrState, pickup.ErrState)
		}
		if ended == 0 {
			continue
		}
		if err := db.forget(g, db.pickup, u.ID, "DELETE FROM parcel_contents WHERE id = ?", "SELECT external FROM parcels WHERE id = ?"); err != nil {
			return err
		}
		if _, err := g.exec("DELETE FROM parcels WHERE ended > 0 AND ended < ?", micros(db.now().Add(-pickup.KeptFor))); err != nil {
			return fmt.Errorf("sqlite: forget parcels: %w", err)
		}
	}
	return nil
}

const parcelColumns = "SELECT id, doc, state, created, expires, size, version, sealed FROM parcels "

func scanParcel(r *pickup.Row) ([]any, func() error) {
	var created, expires int64
	return []any{&r.ID, &r.Doc, &r.State, &created, &expires, &r.Size, &r.Version, &r.Sealed}, func() error {
		r.Created, r.Expires = fromMicros(created), fromMicros(expires)
		return nil
	}
}

// Parcel returns one row in any state, or pickup.ErrNotFound.
func (db *DB) Parcel(ctx context.Context, id dlp.ID) (pickup.Row, error) {
	rows, err := db.read.QueryContext(ctx, parcelColumns+"WHERE id = ?", string(id))
	got, err := collect(rows, err, "parcel", scanParcel)
	return one(got, err, pickup.ErrNotFound)
}

// Parcels returns the newest rows first; ended ones with all.
func (db *DB) Parcels(ctx context.Context, all bool) ([]pickup.Row, error) {
	where := "WHERE ended = 0 ORDER BY created DESC, id LIMIT ?"
	if all {
		where = "ORDER BY created DESC, id LIMIT ?"
	}
	rows, err := db.read.QueryContext(ctx, parcelColumns+where, pickup.MaxList)
	return collect(rows, err, "list parcels", scanParcel)
}

// ParcelsOver returns waiting rows that expired at or before now.
func (db *DB) ParcelsOver(ctx context.Context, now time.Time) ([]pickup.Row, error) {
	rows, err := db.read.QueryContext(ctx, parcelColumns+"WHERE ended = 0 AND expires <= ? ORDER BY expires LIMIT ?", micros(now), pickup.MaxList)
	return collect(rows, err, "list parcels", scanParcel)
}

// ParcelsOf returns rows of one document, in any state.
func (db *DB) ParcelsOf(ctx context.Context, doc dlp.ID) ([]pickup.Row, error) {
	rows, err := db.read.QueryContext(ctx, parcelColumns+"WHERE doc = ? ORDER BY id LIMIT ?", string(doc), pickup.MaxList)
	return collect(rows, err, "list parcels", scanParcel)
}

// ParcelContent returns the sealed content kept in the database, or nil where
// its file has it. pickup.ErrNotFound.
func (db *DB) ParcelContent(ctx context.Context, id dlp.ID) ([]byte, error) {
	var external int
	err := db.read.QueryRowContext(ctx, "SELECT external FROM parcels WHERE id = ? AND ended = 0", string(id)).Scan(&external)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, pickup.ErrNotFound
	}
	var content []byte
	if err == nil && external == 0 {
		err = db.read.QueryRowContext(ctx, "SELECT content FROM parcel_contents WHERE id = ?", string(id)).Scan(&content)
		if errors.Is(err, sql.ErrNoRows) { // it ended in between
			return nil, pickup.ErrNotFound
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: parcel content: %w", classify(err))
	}
	return content, nil
}
