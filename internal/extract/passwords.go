package extract

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Errors of a list of passwords.
var (
	// ErrPasswordsMode says that others than its owner may read the file.
	ErrPasswordsMode = errors.New("extract: the passwords file can be read by others than its owner: chmod 600")
	// ErrPasswords says that the file is no list of passwords.
	ErrPasswords = errors.New("extract: the passwords file does not hold a password a line, at most 1,000 of at most 256 bytes, in UTF-8")
)

// SetPasswords has later documents tried with these, the likeliest first. It may
// be called while documents are read; the slice stays the Pool's.
func (p *Pool) SetPasswords(pw []string) { p.passwords.Store(&pw) }

// ReadPasswords returns the lines of the file at path that are not empty; none
// for "". The error is ErrPasswordsMode, ErrPasswords, or why the file could not
// be read; it holds nothing of the file.
func ReadPasswords(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, safefile.Classify("open passwords", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, safefile.Classify("look at passwords", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, ErrPasswordsMode
	}
	const most = wire.MaxPasswords * (wire.MaxPassword + 2)
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, safefile.Classify("read passwords", err)
	}
	defer clear(b)
	if len(b) > most || !utf8.Valid(b) {
		return nil, ErrPasswords
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			continue
		}
		if len(all) == wire.MaxPasswords || len(line) > wire.MaxPassword {
			return nil, ErrPasswords
		}
		all = append(all, line)
	}
	return all, nil
}

// LoadPasswords has later documents tried with the passwords in the file at path.
// The error is ReadPasswords's; then those of before stay.
func (p *Pool) LoadPasswords(path string) error {
	pw, err := ReadPasswords(path)
	if err != nil {
		return fmt.Errorf("extract: passwords_file: %w", err)
	}
	p.SetPasswords(pw)
	return nil
}
