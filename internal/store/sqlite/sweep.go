package sqlite

import (
	"context"
	"fmt"
	"os"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Queries for the ids whose contents stand in files.
const (
	heldFiles   = "SELECT id FROM holds WHERE external = 1 AND state <> 'expired'"
	queuedFiles = "SELECT id FROM outbox WHERE external = 1 AND ended = 0"
	parcelFiles = "SELECT id FROM parcels WHERE external = 1 AND ended = 0"
)

// sweep takes away files that no row owns: staged and never committed, or
// ended while the process died. It runs before anything can be staged, under
// the folder's lock, so every such file is left over.
func (db *DB) sweep(ctx context.Context) error {
	for _, x := range []struct {
		in    *Contents
		query string
	}{{db.vault, heldFiles}, {db.spool, queuedFiles}, {db.pickup, parcelFiles}} {
		owned, err := db.ids(ctx, x.query)
		if err != nil {
			return err
		}
		err = x.in.each(func(id dlp.ID, path string) error {
			if owned[id] {
				return nil
			}
			db.swept++
			return safefile.Classify("sweep", os.Remove(path))
		})
		if err != nil {
			return fmt.Errorf("sqlite: sweep: %w", err)
		}
	}
	return nil
}

func (db *DB) ids(ctx context.Context, query string) (map[dlp.ID]bool, error) {
	rows, err := db.read.QueryContext(ctx, query)
	got, err := collect(rows, err, "list contents", func(id *dlp.ID) ([]any, func() error) {
		return []any{id}, func() error { return nil }
	})
	if err != nil {
		return nil, err
	}
	owned := make(map[dlp.ID]bool, len(got))
	for _, id := range got {
		owned[id] = true
	}
	return owned, nil
}

// Check reads the whole database and looks for every file that a row owns. An
// error says what is not sound.
func (db *DB) Check(ctx context.Context) error {
	var said string
	if err := db.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return fmt.Errorf("sqlite: check: %w", classify(err))
	}
	if said != "ok" {
		return fmt.Errorf("sqlite: check: the database is damaged") // its words quote nothing, and help nobody
	}
	vault, spool, parcels, err := db.missing(ctx)
	if err == nil && vault+spool+parcels > 0 {
		err = fmt.Errorf("sqlite: check: sealed files are missing: %d in %s, %d in %s, %d in %s", vault, vaultDir, spool, spoolDir, parcels, pickupDir)
	}
	return err
}

// missing counts the files that a row owns and that are not there.
func (db *DB) missing(ctx context.Context) (vault, spool, parcels int, err error) {
	for _, x := range []struct {
		in    *Contents
		query string
		n     *int
	}{{db.vault, heldFiles, &vault}, {db.spool, queuedFiles, &spool}, {db.pickup, parcelFiles, &parcels}} {
		owned, err := db.ids(ctx, x.query)
		if err != nil {
			return 0, 0, 0, err
		}
		for id := range owned {
			if !x.in.has(id) {
				*x.n++
			}
		}
	}
	return vault, spool, parcels, nil
}
