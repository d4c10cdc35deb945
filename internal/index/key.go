package index

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Errors a caller chooses by.
var (
	// ErrNone says that no index has been built.
	ErrNone = errors.New("index: there is no patient index")
	// ErrNoKey says that there is no key file.
	ErrNoKey = errors.New("index: the key of the patient index is missing")
	// ErrBadKey says that a key file does not hold a key.
	ErrBadKey = errors.New("index: not a key of a patient index")
	// ErrWrongKey says that an index was made under another key.
	ErrWrongKey = errors.New("index: made under another key")
	// ErrNewer says that a newer stanch made the index.
	ErrNewer = errors.New("index: made by a newer stanch")
	// ErrDamaged says that a file is cut short, altered or no index at all.
	ErrDamaged = errors.New("index: cut short or damaged")
	// ErrTooMany says that a bound on rows, columns or deltas is passed.
	ErrTooMany = errors.New("index: too many")
	// ErrFewer says that an extract has less than half the rows of the index.
	ErrFewer = errors.New("index: an extract that looks cut short")
	// ErrBusy says that another command is at work on the index.
	ErrBusy = errors.New("index: another command is at work on it")
)

const keyHeader = "# stanch patient index key v1: who has it and the index can try numbers. Secret."

// maxKeyFile bounds what is read of a key file, in bytes.
const maxKeyFile = 4096

// Key is the secret under which an index is made.
type Key struct{ secret [32]byte }

// NewKey returns a random key.
func NewKey() *Key {
	k := &Key{}
	rand.Read(k.secret[:]) // never fails: crypto/rand.Read ends the program instead
	return k
}

// ID names the key without telling it.
func (k *Key) ID() string {
	id := k.derive(tagKeyID)
	return hex.EncodeToString(id[:16])
}

// derive is HMAC-SHA-256 of one byte that says what for, and parts.
func (k *Key) derive(tag byte, parts ...[]byte) [sha256.Size]byte {
	h := hmac.New(sha256.New, k.secret[:])
	h.Write([]byte{tag}) // a hash takes every write
	for _, p := range parts {
		h.Write(p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// LoadKey reads the key file at path. ErrNoKey, ErrBadKey; the text of neither
// quotes the file. It is refused where others than its owner can read it.
func LoadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("index: key: %w", safefile.Classify("stat", err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: open to others: want mode 0600, have %04o", ErrBadKey, info.Mode().Perm())
	}
	if info.Size() > maxKeyFile {
		return nil, ErrBadKey
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("index: key: %w", safefile.Classify("read", err))
	}
	return parseKey(b)
}

// parseKey reads 64 hex digits beside comments. A key of one byte repeated, such
// as zeros, is none: it would make an index that everybody can search.
func parseKey(b []byte) (*Key, error) {
	var line string
	for l := range bytes.Lines(b) {
		s := strings.TrimSpace(string(l))
		if s == "" || s[0] == '#' {
			continue
		}
		if line != "" {
			return nil, ErrBadKey
		}
		line = s
	}
	secret, err := hex.DecodeString(line)
	k := &Key{}
	if err != nil || len(secret) != len(k.secret) || bytes.Count(secret, secret[:1]) == len(secret) {
		return nil, ErrBadKey
	}
	copy(k.secret[:], secret)
	return k, nil
}

// Save writes the key to path, mode 0600, and makes its folder where it is
// missing. It never replaces a key.
func (k *Key) Save(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("index: key: %w", fs.ErrExist)
	}
	if err := safefile.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("index: key folder: %w", err)
	}
	if err := safefile.WriteFile(path, fmt.Appendf(nil, "%s\n%x\n", keyHeader, k.secret), 0o600); err != nil {
		return fmt.Errorf("index: key: %w", err)
	}
	return nil
}
