package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrNoRoom says that stable storage could not take what was written: full,
// over quota, read-only or failing.
var ErrNoRoom error = noRoomError{}

type noRoomError struct{}

func (noRoomError) Error() string { return "no room on stable storage" }

// ErrKind is the word that stands for it in the log.
func (noRoomError) ErrKind() string { return "no_room" }

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Classify returns err without the path that standard-library errors quote,
// after the step it failed in, wrapping ErrNoRoom where stable storage is the
// reason. fs.ErrExist, fs.ErrNotExist and the errno are still found by
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
	if noRoom(err) {
		return fmt.Errorf("safefile: %s: %w: %w", step, ErrNoRoom, err)
	}
	return fmt.Errorf("safefile: %s: %w", step, err)
}

// noRoom reports the errors of write, fsync and rename that say that the
// medium, not the request, is at fault.
func noRoom(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EFBIG} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
