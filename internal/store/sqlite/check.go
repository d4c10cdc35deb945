package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Checked is what Check saw.
type Checked struct {
	Held, Queued int
	Bytes        int64 // of the database file
}

// ErrDamaged says that SQLite found damage in the database.
var ErrDamaged = errors.New("sqlite: the database is damaged")

// Check reads the database in dir, whether or not a process has it open, and
// changes nothing: SQLite's own quick check of its form, whether the version
// is one of ours, and how much is held and queued. It ends with ctx.
//
// fs.ErrNotExist, ErrForeign, ErrNewer, ErrDamaged.
func Check(ctx context.Context, dir string) (Checked, error) {
	path := filepath.Join(dir, dbFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Checked{}, fmt.Errorf("sqlite: check: %w", fs.ErrNotExist)
	}
	if err != nil {
		return Checked{}, fmt.Errorf("sqlite: check: %w", classify(err))
	}
	out := Checked{Bytes: info.Size()}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path}
	dsn := u.String() + "?mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		// Closed in order: SQLite need not, and without the right to write
		// cannot, make the files by which processes agree.
		dsn += "&immutable=1"
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return out, fmt.Errorf("sqlite: check: %w", classify(err))
	}
	defer db.Close() // read only
	db.SetMaxOpenConns(1)
	err = check(ctx, db, &out)
	return out, err
}

func check(ctx context.Context, db *sql.DB, out *Checked) error {
	fail := func(err error) error {
		if strings.Contains(err.Error(), "malformed") || strings.Contains(err.Error(), "not a database") {
			return fmt.Errorf("%w: it cannot be read", ErrDamaged)
		}
		return fmt.Errorf("sqlite: check: %w", classify(err))
	}
	var app, version int
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return fail(err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fail(err)
	}
	if app != applicationID {
		return ErrForeign
	}
	if version > len(migrations) {
		return ErrNewer
	}
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return fail(err)
	}
	if said != "ok" {
		return fmt.Errorf("%w: quick_check does not pass", ErrDamaged)
	}
	err := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM holds WHERE state = 'held'), (SELECT count(*) FROM outbox WHERE state = 'queued')").
		Scan(&out.Held, &out.Queued)
	if err != nil {
		return fail(err)
	}
	return nil
}
