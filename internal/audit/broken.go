package audit

import "fmt"

// BrokenError says what of a log is not as it was written, and where. It is
// ErrBroken to errors.Is.
type BrokenError struct {
	What string
	Line int64 // from 0, the first line that differs; -1 where it is not one line
}

// Error names the damage; it holds nothing of the log's content.
func (e *BrokenError) Error() string {
	if e.Line < 0 {
		return ErrBroken.Error() + ": " + e.What
	}
	return fmt.Sprintf("%v: line %d: %s", ErrBroken, e.Line, e.What)
}

// Is reports ErrBroken.
func (e *BrokenError) Is(target error) bool { return target == ErrBroken }

func broken(line int64, format string, args ...any) error {
	return &BrokenError{What: fmt.Sprintf(format, args...), Line: line}
}

// advice is added where a broken log keeps the gateway from starting.
const advice = "nothing was changed; restore the audit folder and its head from a backup, or keep both elsewhere as evidence and begin a new log in their place"
