package extract

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// What is wrong with a list of passwords, inside a PasswordsError.
var (
	// ErrPasswordsKind says that the path is that of a folder or device.
	ErrPasswordsKind = errors.New("want a regular file")
	// ErrPasswordsMode says that others than its owner may read the file.
	ErrPasswordsMode = errors.New("can be read by others than its owner: chmod 600")
	// ErrPasswords says that a line is no password, or one too many.
	ErrPasswords = errors.New("want a password a line, at most 1,000 of at most 256 bytes, in UTF-8")
)

// PasswordsError says what is wrong with a list of passwords, and where. It holds
// nothing of the list.
type PasswordsError struct {
	Path string
	Line int // from 1; 0 where it is the file as a whole
	Err  error
}

// Error returns PATH:LINE: what, or PATH: what.
func (e *PasswordsError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}

// Unwrap returns Err.
func (e *PasswordsError) Unwrap() error { return e.Err }

// SetPasswords has later documents tried with these, the likeliest first. It may
// be called while documents are read; the slice stays the Pool's.
func (p *Pool) SetPasswords(pw []string) { p.passwords.Store(&pw) }

// ReadPasswords returns the lines of the file at path that are not empty; none
// for "". Its error is a *PasswordsError with one of the errors above, or with why
// the file could not be read.
func ReadPasswords(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	fail := func(line int, err error) ([]string, error) {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // without the path, which is told once
		}
		return nil, &PasswordsError{Path: path, Line: line, Err: err}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe that nobody writes to must not stop us
	if err != nil {
		return fail(0, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return fail(0, err)
	case !info.Mode().IsRegular():
		return fail(0, ErrPasswordsKind)
	case info.Mode().Perm()&0o077 != 0:
		return fail(0, ErrPasswordsMode)
	}
	const most = wire.MaxPasswords * (wire.MaxPassword + 2)
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return fail(0, err)
	}
	defer clear(b)
	var all []string
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			continue
		}
		if len(all) == wire.MaxPasswords || len(line) > wire.MaxPassword || !utf8.ValidString(line) {
			return fail(n, ErrPasswords)
		}
		all = append(all, line)
	}
	if len(b) > most { // empty lines, and more than is read
		return fail(0, ErrPasswords)
	}
	return all, nil
}

// LoadPasswords has later documents tried with the passwords in the file at path.
// The error is ReadPasswords's; then those of before stay.
func (p *Pool) LoadPasswords(path string) error {
	pw, err := ReadPasswords(path)
	if err != nil {
		return err
	}
	p.SetPasswords(pw)
	return nil
}

// takingTurns puts two lists together, so that of any number of tries each has
// half of those that the other leaves.
func takingTurns(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	all := make([]string, 0, len(a)+len(b))
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			all = append(all, a[i])
		}
		if i < len(b) {
			all = append(all, b[i])
		}
	}
	return all
}
