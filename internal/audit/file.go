package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// file is what the log needs of a file; tests put one in between that fails.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Datasync() error
	Truncate(size int64) error
	// Allocate reserves room for n bytes from off on, past the end too,
	// without changing the size.
	Allocate(off, n int64) error
	Size() (int64, error)
	// Lock takes the file for this process.
	Lock() error
}

// opener opens, or makes with mode 0600, the file at path for reading and
// writing.
type opener func(path string) (file, error)

type osFile struct{ *os.File }

func openOS(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Datasync flushes content and size, and not the times, to stable storage.
func (f osFile) Datasync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f osFile) Allocate(off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Lock() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// failed names the step in which err came up, takes away the path that the
// standard library quotes, and adds ErrFull where the disk has no room.
func failed(step string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("audit: %s: %w: %w", step, ErrFull, err)
	}
	return fmt.Errorf("audit: %s: %w", step, err)
}
