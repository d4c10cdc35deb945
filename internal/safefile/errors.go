package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrNoRoom says that stable storage could not take what was written. It is full
// or over quota where the error is ErrNoRoom itself; ErrReadOnly and ErrFailing
// are ErrNoRoom too (errors.Is), for what follows is the same, and say what is
// to be mended.
var ErrNoRoom error = &storageError{text: "no room on stable storage", kind: "no_room"}

var (
	// ErrReadOnly says that stable storage cannot be written to.
	ErrReadOnly error = &storageError{text: "stable storage is read-only", kind: "read_only"}
	// ErrFailing says that stable storage failed.
	ErrFailing error = &storageError{text: "stable storage fails", kind: "storage_fails"}
)

type storageError struct{ text, kind string }

func (e *storageError) Error() string { return e.text }

// ErrKind is the word that stands for it in the log.
func (e *storageError) ErrKind() string { return e.kind }

// Is makes every storageError ErrNoRoom.
func (e *storageError) Is(target error) bool { return target == ErrNoRoom }

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Classify returns err without the path that standard-library errors quote,
// after the step it failed in, wrapping ErrNoRoom, ErrReadOnly or ErrFailing where
// stable storage is the reason. fs.ErrExist, fs.ErrNotExist and the errno are still found by
// errors.Is. A nil err stays nil.
func Classify(step string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	if why := storage(err); why != nil {
		return fmt.Errorf("safefile: %s: %w: %w", step, why, err)
	}
	return fmt.Errorf("safefile: %s: %w", step, err)
}

// storage sorts the errors of write, fsync and rename that say that the medium,
// not the request, is at fault; nil for others.
func storage(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return ErrNoRoom
	case errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	case errors.Is(err, syscall.EIO):
		return ErrFailing
	}
	return nil
}
