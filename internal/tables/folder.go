package tables

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Folder is where imported tables are kept: a file for each, and one that names
// the table in use. It is made when the first table is added.
type Folder struct{ dir string }

// NewFolder returns the Folder at dir.
func NewFolder(dir string) *Folder { return &Folder{dir: dir} }

// Errors of a Folder.
var (
	// ErrBusy says that another command is changing the folder.
	ErrBusy = errors.New("another import is under way")
	// ErrNone says that there is no such table.
	ErrNone = errors.New("no such table")
	// ErrUnseen says that this user may not read whether a table is in use.
	ErrUnseen = errors.New("whether a table is in use cannot be read by this user")
	// ErrInUse says that a table that is in use was to be removed.
	ErrInUse = errors.New("it is in use")
)

// kept is how many versions are kept: the one in use and the one before.
const kept = 2

// Entry is one table of a Folder.
type Entry struct {
	About        // of a table that cannot be read: its name and version
	InUse bool   // rules ask it
	Table *Table // nil where Err is not
	Err   error  // why it cannot be read
}

const (
	useFile   = ICD10CM + ".use"
	tablePart = ICD10CM + "-"
	tableEnd  = ".table"
)

func (f *Folder) path(version string) string {
	return filepath.Join(f.dir, tablePart+version+tableEnd)
}

// InUse returns the table that rules are to ask, nil where none is. An error
// names the version and wraps ErrNewer, ErrDamaged or what reading it came to.
func (f *Folder) InUse() (*Table, error) {
	version, err := f.used()
	if err != nil || version == "" {
		return nil, err
	}
	t, err := f.load(version)
	if err != nil {
		return nil, fmt.Errorf("tables: %s: %s %s: %w", f.path(version), ICD10CM, version, err)
	}
	return t, nil
}

// used is the version in use, "" for none.
func (f *Folder) used() (string, error) {
	b, err := readSmall(filepath.Join(f.dir, useFile), 64)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("tables: %s: %w: %w", filepath.Join(f.dir, useFile), ErrUnseen, err)
	}
	if err != nil {
		return "", fmt.Errorf("tables: which %s is in use: %w", ICD10CM, err)
	}
	version := strings.TrimSuffix(string(b), "\n")
	if ValidVersion(version) != nil {
		return "", fmt.Errorf("tables: %s: which %s is in use: %w: it names no version", filepath.Join(f.dir, useFile), ICD10CM, ErrDamaged)
	}
	return version, nil
}

func (f *Folder) load(version string) (*Table, error) {
	b, err := readSmall(f.path(version), maxTable)
	if err != nil {
		return nil, err
	}
	t, err := decode(b)
	if err != nil {
		return nil, err
	}
	if t.Version != version {
		return nil, fmt.Errorf("%w: it is of version %s", ErrDamaged, t.Version)
	}
	return t, nil
}

// readSmall reads a file of at most limit bytes, of a longer one a byte more.
func readSmall(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, safefile.Classify("open", err)
	}
	defer file.Close() // read only
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	return b, safefile.Classify("read", err)
}

// List returns the tables of the folder by version, the newest first. A table
// that is in use and not there is listed with the error.
func (f *Folder) List() ([]Entry, error) {
	names, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tables: %w", safefile.Classify("read folder", err))
	}
	used, err := f.used()
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, n := range names {
		v, ours := strings.CutPrefix(n.Name(), tablePart)
		v, table := strings.CutSuffix(v, tableEnd)
		if ours && table && ValidVersion(v) == nil {
			versions = append(versions, v)
		}
	}
	if used != "" && !slices.Contains(versions, used) {
		versions = append(versions, used)
	}
	slices.SortFunc(versions, func(a, b string) int { return strings.Compare(effective(b), effective(a)) })
	var out []Entry
	for _, v := range versions {
		e := Entry{About: About{Name: ICD10CM, Version: v}, InUse: v == used}
		if e.Table, e.Err = f.load(v); e.Err == nil {
			e.About = e.Table.About
		}
		out = append(out, e)
	}
	return out, nil
}

// effective is the month from which a version holds, for sorting: a fiscal year
// from the October before.
func effective(version string) string {
	if strings.Contains(version, "-") {
		return version
	}
	return fmt.Sprintf("%04d-10", (&About{Version: version}).FiscalYear()-1)
}

// Add keeps t, puts it in use, and removes all but it and the table that was in
// use before; removed are their versions. Until it returns nil, what was in use
// stays in use.
func (f *Folder) Add(t *Table) (removed []string, err error) {
	b, err := t.encode()
	if err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	if err := safefile.MkdirAll(f.dir); err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	err = f.locked(func() error {
		before, err := f.used()
		if err != nil && !errors.Is(err, ErrDamaged) { // a damaged note is mended by this
			return err
		}
		if err := safefile.WriteFile(f.path(t.Version), b, 0o600); err != nil {
			return fmt.Errorf("tables: %w", err)
		}
		if err := f.name(t.Version); err != nil {
			return err
		}
		removed, err = f.prune(t.Version, before)
		return err
	})
	return removed, err
}

// name notes which version is in use.
func (f *Folder) name(version string) error {
	if err := safefile.WriteFile(filepath.Join(f.dir, useFile), []byte(version+"\n"), 0o600); err != nil {
		return fmt.Errorf("tables: %w", err)
	}
	return nil
}

// prune removes all tables but now, and before or else the newest, and what a
// crash left behind.
func (f *Folder) prune(now, before string) (removed []string, err error) {
	if err := safefile.RemoveTemps(f.dir); err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	all, err := f.List()
	if err != nil {
		return nil, err
	}
	keep := []string{now}
	if before != "" && before != now {
		keep = append(keep, before)
	}
	for _, e := range all {
		if slices.Contains(keep, e.Version) {
			continue
		}
		if len(keep) < kept {
			keep = append(keep, e.Version)
			continue
		}
		if err := safefile.Remove(f.path(e.Version)); err != nil {
			return removed, fmt.Errorf("tables: %w", err)
		}
		removed = append(removed, e.Version)
	}
	return removed, nil
}

// Use puts the table of that version in use, or with "" none: then rules ask
// the built-in structure. The error is ErrNone, or that of a table that cannot
// be read, which is not put in use.
func (f *Folder) Use(version string) error {
	return f.locked(func() error {
		if version == "" {
			if err := safefile.Remove(filepath.Join(f.dir, useFile)); err != nil {
				return fmt.Errorf("tables: %w", err)
			}
			return nil
		}
		if err := f.has(version); err != nil {
			return err
		}
		if _, err := f.load(version); err != nil {
			return fmt.Errorf("tables: %s %s: %w", ICD10CM, version, err)
		}
		return f.name(version)
	})
}

// has returns ErrNone where there is no such table.
func (f *Folder) has(version string) error {
	if ValidVersion(version) == nil {
		if _, err := os.Stat(f.path(version)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("tables: %s %s: %w", ICD10CM, version, ErrNone)
}

// Remove deletes a table that is not in use: else ErrInUse.
func (f *Folder) Remove(version string) error {
	return f.locked(func() error {
		if err := f.has(version); err != nil {
			return err
		}
		used, err := f.used()
		if err != nil {
			return err
		}
		if used == version {
			return fmt.Errorf("tables: %s %s: %w", ICD10CM, version, ErrInUse)
		}
		if err := safefile.Remove(f.path(version)); err != nil {
			return fmt.Errorf("tables: %w", err)
		}
		return nil
	})
}

// locked runs do while no other command changes the folder; without a folder
// there is nothing to change.
func (f *Folder) locked(do func() error) error {
	lock, err := safefile.Lock(filepath.Join(f.dir, "lock"))
	switch {
	case errors.Is(err, safefile.ErrLocked):
		return fmt.Errorf("tables: %w", ErrBusy)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("tables: %w: nothing was imported", ErrNone)
	case err != nil:
		return fmt.Errorf("tables: %w", err)
	}
	return errors.Join(do(), lock.Unlock())
}
