package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Config is the [backup] table.
type Config struct {
	// Recipients are the age public keys that can open a backup. Their secret keys belong where this server is not.
	Recipients []string `toml:"recipients"`
}

// Validate reports more recipients than one archive has.
func (c *Config) Validate() error {
	if len(c.Recipients) > 20 {
		return &dlp.KeyError{Key: "backup.recipients", Want: "at most 20 public keys"}
	}
	return nil
}

// Names in a data folder, and in an archive.
const (
	database = "stanch.db"
	// PeriodKeys is the one file of keys that no archive holds: destroying a key
	// is to reach the contents in every archive.
	PeriodKeys = "keys/vault.keys"
	// ConfigFile is where an archive, and a restored folder, has the
	// configuration that was in force.
	ConfigFile = "restored.toml"
	// Unfinished marks a data folder that a restore did not come to the end of.
	// Nothing serves from it.
	Unfinished = "restore.unfinished"
	lockFile   = "lock"
)

// places are what an archive may hold, in the order in which it is read where
// serve goes on writing: first the database, then what may know more than it. Of
// the log its head goes first, since it says how much of the rest must be there, and
// so does what says which file of the patient index is the newest.
var places = []string{database, "keys.id", "keys/", "vault/", "spool/", "pickup/", "state/audit.head", "audit/checkpoint", "audit/log", "audit/", "state/",
	"tables/", "patients/newest", "patients/", ConfigFile}

// passing are files of state that mean nothing to another process.
var passing = []string{"state/outbox.hand", "state/outbox.alive", PeriodKeys}

// Snapshotter copies the database as it stands at one moment to a new file, and
// keeps every file that the copy names where it is until release.
type Snapshotter interface {
	Snapshot(ctx context.Context, path string) (release func(), err error)
}

// Folder adds everything of the data folder dir to w. config is the file of the
// configuration, "" for none. It takes its copy of the database in dir/tmp.
func Folder(ctx context.Context, w *Writer, dir string, db Snapshotter, config string) (err error) {
	tmp, err := os.MkdirTemp(filepath.Join(dir, "tmp"), "backup-*")
	if err != nil {
		return fmt.Errorf("backup: %w", safefile.Classify("make folder", err))
	}
	defer func() { err = errors.Join(err, safefile.Classify("remove folder", os.RemoveAll(tmp))) }()
	copied := filepath.Join(tmp, database)
	release, err := db.Snapshot(ctx, copied)
	if err != nil {
		return err
	}
	defer release()
	done := map[string]bool{}
	add := func(name, from string) error {
		if done[name] {
			return nil
		}
		done[name] = true
		return addFile(w, name, from)
	}
	for _, p := range places {
		switch {
		case p == database:
			err = add(p, copied)
		case p == ConfigFile && config != "":
			err = add(p, config)
		case p == ConfigFile:
		case strings.HasSuffix(p, "/"):
			err = walk(dir, p, func(name string) error { return add(name, filepath.Join(dir, filepath.FromSlash(name))) })
		default:
			err = add(p, filepath.Join(dir, filepath.FromSlash(p)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walk calls each for every file below dir/place that is to be kept.
func walk(dir, place string, each func(name string) error) error {
	return filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(place)), func(at string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("backup: %w", safefile.Classify("read folder", err))
		}
		if !d.Type().IsRegular() || safefile.IsTemp(d.Name()) {
			return nil
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if name := filepath.ToSlash(rel); !slices.Contains(passing, name) {
			return each(name)
		}
		return nil
	})
}

// addFile adds as much of a file as there is of it now. One that is not there,
// or that is gone by now, is none that the database names.
func addFile(w *Writer, name, from string) error {
	f, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("backup: %w", safefile.Classify("open", err))
	}
	defer f.Close() // only read from
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("backup: %w", safefile.Classify("stat", err))
	}
	return w.Add(name, info.Size(), f)
}

// Begin takes the folder dir, which it makes, for a restore: it must not be
// there, be empty, or hold what an earlier restore did not come to the end of,
// which is taken away. The lock is the caller's to give back.
func Begin(dir string) (*safefile.Locked, error) {
	if err := safefile.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("backup: data_dir: %w", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("backup: data_dir: %w", safefile.Classify("read folder", err))
	}
	ours := slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == Unfinished })
	if !ours && slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() != lockFile }) {
		return nil, fmt.Errorf("backup: %s is not empty: restore into a new folder, or move this one away", dir)
	}
	lock, err := safefile.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("backup: data_dir: %w", err)
	}
	if err := safefile.WriteFile(filepath.Join(dir, Unfinished), []byte("A restore is under way here, or was cut short: run `stanch restore` again.\n"), 0o600); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	for _, e := range names {
		if e.Name() == lockFile || e.Name() == Unfinished {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return nil, errors.Join(fmt.Errorf("backup: %w", safefile.Classify("clear folder", err)), lock.Unlock())
		}
	}
	return lock, nil
}

// Put writes one entry into the folder of a restore, and syncs it.
func Put(dir, name string, r io.Reader) error {
	to := filepath.Join(dir, filepath.FromSlash(name))
	if err := safefile.MkdirAll(filepath.Dir(to)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	f, err := safefile.Create(to, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(fmt.Errorf("backup: %w", safefile.Classify("write", err)), f.Abort())
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// End makes the folder of a restore one that can be served from.
func End(dir string) error {
	if err := safefile.Remove(filepath.Join(dir, Unfinished)); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}
