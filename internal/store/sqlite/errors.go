package sqlite

import (
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/store"
)

// primaryCode masks the primary result code out of an extended one.
//
// Source: https://www.sqlite.org/rescode.html.
const primaryCode = 0xff

// classify turns SQLite's words for a medium that cannot take a write into
// store.ErrNoRoom, or one of safefile's that says more. SQLite's own text names
// no value, and it does not tell which error a write met with; see writing.
func classify(err error) error {
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & primaryCode {
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: %w", store.ErrNoRoom, err)
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY:
		return fmt.Errorf("%w: %w", safefile.ErrFailing, err)
	}
	return err
}

// writing is classify for an error of a write, which SQLite reports alike whether
// the file system fails or became read-only under the open files: that is asked.
func (db *DB) writing(err error) error {
	if c := classify(err); !errors.Is(c, safefile.ErrFailing) || !db.lock.ReadOnly() {
		return c
	}
	return fmt.Errorf("%w: %w", safefile.ErrReadOnly, err)
}

// fatal reports an error that ends the whole transaction, not one statement:
// after it SQLite may have rolled everything back.
func fatal(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	return ok && e.Code()&primaryCode != lib.SQLITE_CONSTRAINT
}
