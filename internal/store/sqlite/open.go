package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/watch"
)

// Names in the data folder.
const (
	dbFile    = "stanch.db" // and stanch.db-wal, stanch.db-shm
	vaultDir  = "vault"
	spoolDir  = "spool"
	pickupDir = "pickup"
)

// Errors a caller chooses by.
var (
	// ErrNewer says that a later version of stanch wrote the database.
	ErrNewer = errors.New("sqlite: the database was written by a later version of stanch")
	// ErrForeign says that the file is a database, and not one of stanch's.
	ErrForeign = errors.New("sqlite: not a database of stanch")
	// ErrWrongKey says that the database was sealed under another index key.
	ErrWrongKey = errors.New("sqlite: the database belongs to another index key: bring back the keys folder of the backup")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("sqlite: closed")
)

// Options are what Open needs beside the folder.
type Options struct {
	// Lock is the data folder's lock, held by the caller until after Close.
	// Required: two processes on one folder would sweep each other's contents.
	Lock *safefile.Locked
	// KeyID names the index key, as crypt.Ring.ID gives it. The first Open
	// notes it, later ones compare. Required.
	KeyID string
	// Group is the most changes in one transaction. 0: 256. 1 is for measuring
	// what grouping gains.
	Group int
	// Scrub is how often what was deleted is written over. 0: a minute.
	Scrub time.Duration
	// FindReads is how often one Find reads an index. 0: findReads.
	FindReads int
	// Now is the clock by which ended messages and old repeats are forgotten.
	// Nil: time.Now.
	Now func() time.Time
	// Steps is called before each durable step with its name, such as
	// "commit: sync". It is a seam for crash tests, which end the process in
	// it. Nil outside them.
	Steps func(step string)
}

// DB is the database and the files beside it. Its methods may be called at the
// same time.
type DB struct {
	dir   string
	lock  *safefile.Locked
	group int
	now   func() time.Time
	steps func(string)

	scrubEvery time.Duration
	findReads  int

	write   *sql.DB // one connection, the committer's
	fold    *sql.DB // one connection, which folds the log into the database
	read    *sql.DB // connections that cannot write
	commits *committer

	stmts statements // of read, closed with it

	vault, spool *Contents
	pickup       *Contents
	kept         kept
	swept        int
	closing      sync.Once
	closeErr     error // guarded by closing
}

var (
	_ store.Store     = (*DB)(nil)
	_ vault.Store     = (*DB)(nil)
	_ spool.Store     = (*DB)(nil)
	_ watch.Store     = (*DB)(nil)
	_ vault.Contents  = (*Contents)(nil)
	_ spool.Contents  = (*Contents)(nil)
	_ pickup.Store    = (*DB)(nil)
	_ pickup.Contents = (*Contents)(nil)
)

// readers is how many connections read at the same time at most.
const readers = 4

// Open opens the data folder dir, which it makes where it is missing, brings
// the database to this version's form, takes away what was staged and never
// committed, and starts the committer. ErrNewer, ErrForeign, ErrWrongKey.
func Open(ctx context.Context, dir string, o Options) (*DB, error) {
	if o.Lock == nil || o.KeyID == "" {
		return nil, errors.New("sqlite: open: want the folder's lock and the index key's id")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Steps == nil {
		o.Steps = func(string) {}
	}
	if o.Group <= 0 || o.Group > maxGroup {
		o.Group = maxGroup
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	db := &DB{dir: dir, lock: o.Lock, group: o.Group, now: o.Now, steps: o.Steps, scrubEvery: cmp.Or(o.Scrub, time.Minute), findReads: cmp.Or(o.FindReads, findReads)}
	db.vault = &Contents{dir: filepath.Join(dir, vaultDir), steps: o.Steps}
	db.spool = &Contents{dir: filepath.Join(dir, spoolDir), steps: o.Steps}
	db.pickup = &Contents{dir: filepath.Join(dir, pickupDir), kind: parcelSuffix, steps: o.Steps}
	if err := db.prepare(); err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	if err := db.start(ctx, o.KeyID); err != nil {
		return nil, errors.Join(err, db.closePools())
	}
	return db, nil
}

// prepare makes folders and an empty database file that only the owner reads;
// SQLite gives its other files the same mode.
func (db *DB) prepare() error {
	for _, d := range []string{db.dir, db.vault.dir, db.spool.dir, db.pickup.dir} {
		if err := safefile.MkdirAll(d); err != nil {
			return err
		}
	}
	path := filepath.Join(db.dir, dbFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return safefile.Classify("chmod", os.Chmod(path, 0o600))
	}
	if err != nil {
		return safefile.Classify("create", err)
	}
	if err := f.Close(); err != nil {
		return safefile.Classify("create", err)
	}
	return safefile.SyncDir(db.dir)
}

func (db *DB) start(ctx context.Context, keyID string) error {
	var err error
	if db.write, err = sql.Open("sqlite", db.dsn("&_pragma=wal_autocheckpoint(0)")); err != nil { // see fold
		return fmt.Errorf("sqlite: open: %w", classify(err))
	}
	db.write.SetMaxOpenConns(1)
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: open: %w", classify(err))
	}
	if err := migrate(ctx, conn, keyID); err != nil {
		return errors.Join(err, conn.Close())
	}
	if err := checkPragmas(ctx, conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	if db.read, err = sql.Open("sqlite", db.dsn("&_pragma=query_only(1)")); err != nil {
		return errors.Join(fmt.Errorf("sqlite: open: %w", classify(err)), conn.Close())
	}
	if db.fold, err = sql.Open("sqlite", db.dsn("&_pragma=wal_autocheckpoint(0)")); err != nil {
		return errors.Join(fmt.Errorf("sqlite: open: %w", classify(err)), conn.Close())
	}
	db.fold.SetMaxOpenConns(1)
	db.stmts.on = db.read
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	if err := db.sweep(ctx); err != nil {
		return errors.Join(err, conn.Close())
	}
	db.commits = newCommitter(db, conn)
	return nil
}

// dsn is the database's address. busy_timeout covers the moments in which a
// backup or a checkpoint of another connection holds a lock.
func (db *DB) dsn(more string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(db.dir, dbFile)}
	return u.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)" +
		"&_pragma=secure_delete(on)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-16384)&_pragma=temp_store(memory)" + more
}

// checkPragmas asks SQLite whether it does what the promise rests on.
func checkPragmas(ctx context.Context, conn *sql.Conn) error {
	for _, p := range []struct{ name, want string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"secure_delete", "1"}, {"temp_store", "2"},
	} {
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil {
			return fmt.Errorf("sqlite: open: pragma %s: %w", p.name, classify(err))
		}
		if got != p.want {
			return fmt.Errorf("sqlite: open: pragma %s is %q, want %q: the file system may not allow it", p.name, got, p.want)
		}
	}
	return nil
}

// Swept says how many staged and never committed contents Open took away.
func (db *DB) Swept() int { return db.swept }

// VaultContents keeps the vault's large contents.
func (db *DB) VaultContents() *Contents { return db.vault }

// PickupContents keeps the large contents of parcels.
func (db *DB) PickupContents() *Contents { return db.pickup }

// SpoolContents keeps the outbox's large contents.
func (db *DB) SpoolContents() *Contents { return db.spool }

// Close commits what was handed over, ends the committer and closes the
// database. Commits after it are ErrClosed.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.closeErr = errors.Join(db.commits.close(), db.closePools())
	})
	return db.closeErr
}

func (db *DB) closePools() error {
	var errs []error
	for _, p := range []*sql.DB{db.read, db.fold, db.write} { // the writer last: it empties the log
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}
