package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// WriteFile replaces the file at path with data. A reader, and a machine that
// comes up after a crash, finds either the old file or the whole new one.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// File is a file being written that has not got its name yet. It must end in
// Commit or Abort.
type File struct {
	f    *os.File
	path string
	done bool
}

// tmpPattern names files that have not got their name yet, in the folder they
// will stand in.
const tmpPattern = ".stanch-tmp-*"

// IsTemp reports whether name, without its folder, is that of a file that was
// never committed: what a crash leaves for a sweep.
func IsTemp(name string) bool {
	ok, err := filepath.Match(tmpPattern, name)
	return ok && err == nil
}

// RemoveTemps removes from dir the files that were never committed. Nobody may be
// writing there meanwhile.
func RemoveTemps(dir string) (err error) {
	entries, rerr := os.ReadDir(dir)
	if errors.Is(rerr, fs.ErrNotExist) {
		return nil
	}
	if rerr != nil {
		return Classify("read folder", rerr)
	}
	for _, e := range entries {
		if IsTemp(e.Name()) {
			err = errors.Join(err, Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// Create begins the file that is to stand at path. Its folder must exist.
func Create(path string, perm fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), tmpPattern)
	if err != nil {
		return nil, Classify("create", err)
	}
	file := &File{f: f, path: path}
	if err := f.Chmod(perm); err != nil {
		return nil, errors.Join(Classify("chmod", err), file.Abort())
	}
	return file, nil
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	return n, Classify("write", err)
}

// Commit syncs the file, gives it its name, in place of any file there, and
// syncs the folder. After an error the file has not got its name, or, where
// only the folder's sync failed, it is taken away again. The second call, and
// one after Abort, is an error.
func (f *File) Commit() error {
	if f.done {
		return Classify("commit", fs.ErrClosed)
	}
	if err := f.f.Sync(); err != nil {
		return errors.Join(Classify("sync", err), f.Abort())
	}
	if err := f.f.Close(); err != nil {
		f.done = true
		return errors.Join(Classify("close", err), remove(f.f.Name()))
	}
	f.done = true
	if err := os.Rename(f.f.Name(), f.path); err != nil {
		return errors.Join(Classify("rename", err), remove(f.f.Name()))
	}
	if err := SyncDir(filepath.Dir(f.path)); err != nil {
		return errors.Join(err, remove(f.path))
	}
	return nil
}

// Abort takes the unfinished file away. After Commit or Abort it does nothing.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(Classify("close", f.f.Close()), remove(f.f.Name()))
}

func remove(path string) error { return Classify("remove", os.Remove(path)) }

// Remove deletes the file at path and syncs its folder; that there is none is
// no error.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return Classify("remove", err)
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes the folder path, mode 0700, and those above it that are
// missing, each synced into its parent. A folder that is there is left as it
// is.
func MkdirAll(path string) error {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	if err == nil {
		if !info.IsDir() {
			return Classify("mkdir", unix.ENOTDIR)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Classify("mkdir", err)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return Classify("mkdir", err)
	}
	return SyncDir(parent)
}

// SyncDir makes the names in the folder path durable.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return Classify("open folder", err)
	}
	return errors.Join(Classify("sync folder", d.Sync()), Classify("close folder", d.Close()))
}

// lockLook is how often LockWithin looks.
const lockLook = 20 * time.Millisecond

// Locked is a lock that is held until Unlock or the end of the process.
type Locked struct{ f *os.File }

// Lock takes the lock file at path, which it makes, mode 0600, where it is
// missing. ErrLocked: another process, or another Lock, holds it. The lock is
// flock(2)'s: it ends with the process however that ends.
func Lock(path string) (*Locked, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, Classify("open lock", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("safefile: lock: %w", ErrLocked), f.Close())
	}
	if err != nil {
		return nil, errors.Join(Classify("lock", err), f.Close())
	}
	return &Locked{f: f}, nil
}

// LockWithin is Lock that waits for whoever holds it, within that time: ErrLocked.
func LockWithin(path string, within time.Duration) (*Locked, error) {
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(lockLook) // flock(2) with a deadline there is not
	defer tick.Stop()
	for {
		l, err := Lock(path)
		if !errors.Is(err, ErrLocked) {
			return l, err
		}
		select {
		case <-end.C:
			return nil, err
		case <-tick.C:
		}
	}
}

// ReadOnly reports whether the file system of the lock takes no writes.
func (l *Locked) ReadOnly() bool { return ReadOnly(l.f.Name()) }

// Unlock gives the lock up. The file stays: taking it away would let two
// processes lock two files of one name.
func (l *Locked) Unlock() error { return Classify("unlock", l.f.Close()) }
