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
// no value, and it does not tell which error a write met with.
func classify(err error) error {
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & primaryCode {
	case lib.SQLITE_FULL:
		return fmt.Errorf("%w: %w", store.ErrNoRoom, err)
	case lib.SQLITE_READONLY:
		return fmt.Errorf("%w: %w", safefile.ErrReadOnly, err)
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", safefile.ErrFailing, err)
	}
	return err
}

// fatal reports an error that ends the whole transaction, not one statement:
// after it SQLite may have rolled everything back.
func fatal(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	return ok && e.Code()&primaryCode != lib.SQLITE_CONSTRAINT
}
