package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// kept are files whose rows have ended while a snapshot is held that may name
// them: they are removed with its release.
type kept struct {
	mu      sync.Mutex
	holders int           // guarded by mu
	gone    []goneContent // guarded by mu
}

// remove removes the file of x, or leaves that to the release of the last
// snapshot.
func (k *kept) remove(x goneContent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holders > 0 {
		k.gone = append(k.gone, x)
		return
	}
	_ = os.Remove(x.in.path(x.id)) // what is missed, the sweep at the next start finds
}

func (k *kept) held() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.holders > 0
}

func (k *kept) hold() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holders++
	return sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.holders--; k.holders > 0 {
			return
		}
		for _, x := range k.gone {
			_ = os.Remove(x.in.path(x.id)) // as above
		}
		k.gone = nil
	})
}

// Snapshot writes the database as it stands at one moment to the new file at
// path, and reads it whole to see that it is sound. Every sealed file that it
// names stays in its place until what it returns is called. Commits go on meanwhile.
func (db *DB) Snapshot(ctx context.Context, path string) (_ func(), err error) {
	release := db.kept.hold()
	defer func() {
		if err != nil {
			release()
		}
	}()
	db.steps("snapshot: copy")
	pool, err := sql.Open("sqlite", db.dsn(""))
	if err != nil {
		return nil, fmt.Errorf("sqlite: snapshot: %w", classify(err))
	}
	defer pool.Close() // it only reads
	if _, err := pool.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return nil, fmt.Errorf("sqlite: snapshot: %w", classify(err))
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("sqlite: snapshot: %w", safefile.Classify("chmod", err))
	}
	db.steps("snapshot: check")
	if _, err := Check(ctx, filepath.Dir(path)); err != nil {
		return nil, err
	}
	return release, nil
}

// metaRestored is the row of meta that a restore leaves, until it is on record.
const metaRestored = "restored"

// Restore prepares the database of a restored folder dir: every message that
// was to be delivered or read is set aside, since it may have been delivered
// after the copy was made. It returns how many were set aside, and how many
// sealed files that the database names are not there, as they were not when the
// copy was made. ErrForeign, ErrNewer, ErrDamaged.
func Restore(ctx context.Context, dir string, now time.Time) (paused, missing int, err error) {
	if _, err := Check(ctx, dir); err != nil {
		return 0, 0, err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(dir, dbFile)}
	pool, err := sql.Open("sqlite", u.String()+"?mode=rw&_pragma=synchronous(full)&_pragma=secure_delete(on)")
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: restore: %w", classify(err))
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	pool.SetMaxOpenConns(1)
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: restore: %w", classify(err))
	}
	defer tx.Rollback() // after Commit it does nothing
	res, err := tx.ExecContext(ctx, "UPDATE outbox SET state = ?, why = ? WHERE ended = 0", string(spool.Poison), string(spool.WhyRestored))
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: restore: %w", classify(err))
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: restore: %w", classify(err))
	}
	if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO meta VALUES (?, ?)", metaRestored, now.UTC().Format(time.RFC3339)); err != nil {
		return 0, 0, fmt.Errorf("sqlite: restore: %w", classify(err))
	}
	if err := tx.Commit(); err != nil {
		return 0, 0, fmt.Errorf("sqlite: restore: %w", classify(err))
	}
	db := &DB{dir: dir, read: pool}
	db.vault, db.spool = &Contents{dir: filepath.Join(dir, vaultDir)}, &Contents{dir: filepath.Join(dir, spoolDir)}
	db.pickup = &Contents{dir: filepath.Join(dir, pickupDir), kind: parcelSuffix}
	vault, spool, parcels, err := db.missing(ctx)
	return int(n), vault + spool + parcels, err
}

// Restored reports whether the database is one that was brought back and that
// this is not on record yet.
func (db *DB) Restored(ctx context.Context) (bool, error) {
	var at string
	err := db.read.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", metaRestored).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sqlite: restored: %w", classify(err))
	}
	return true, nil
}

// NotedRestored forgets that the database was brought back: it is on record.
func (db *DB) NotedRestored(ctx context.Context) error {
	return db.commits.do(ctx, 0, func(g *group) error {
		_, err := g.exec("DELETE FROM meta WHERE name = ?", metaRestored)
		return err
	})
}
