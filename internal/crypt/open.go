package crypt

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	filippo "filippo.io/age"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// The files of a key folder, and the one beside it that says which keys belong
// there.
const (
	indexFile   = "index.key"
	workFile    = "work.agekey"
	releaseFile = "release.agekey"
	idSuffix    = ".id"
)

// indexHeader is the first line of index.key; 64 hex digits follow on the next.
const indexHeader = "# stanch index key v1: seals the fields that lists show, and keys pseudonyms. Secret."

const workHeader = "# stanch work key: opens the outbox. Secret."

const releaseHeader = "# stanch release key: opens what is held for review. A default installation keeps it on the server. Secret."

// maxKeyFile bounds what is read of a key file, in bytes.
const maxKeyFile = 4096

// Open returns the keys in the folder dir, and makes them at the first start:
// when neither the folder's files nor the note dir+".id" exist. The caller
// holds the data folder's lock.
//
// A server that gave its release key up (ForgetRelease) has a Ring without one.
//
// ErrKeyMissing, ErrWrongKey and ErrBadKey name the file; nothing is written
// then.
func Open(dir string) (*Ring, error) {
	note, err := readNote(dir)
	if err != nil {
		return nil, err
	}
	fresh := note == nil
	if fresh {
		if err := safefile.MkdirAll(dir); err != nil {
			return nil, fmt.Errorf("crypt: key folder: %w", err)
		}
	}
	index, err := load(dir, indexFile, fresh, newIndex, parseIndex)
	if err != nil {
		return nil, err
	}
	work, err := load(dir, workFile, fresh, newIdentity(workHeader), parseIdentity)
	if err != nil {
		return nil, err
	}
	var release *filippo.X25519Identity
	if note[releaseFile] == takenAway {
		err = wipe(filepath.Join(dir, releaseFile)) // where a crash has left it
	} else {
		release, err = load(dir, releaseFile, fresh, newIdentity(releaseHeader), parseIdentity)
	}
	if err != nil {
		return nil, err
	}
	r, err := newRing(index, work, release)
	if err != nil {
		return nil, fmt.Errorf("crypt: derive: %w", err)
	}
	now := map[string]string{indexFile: r.ID(), workFile: work.Recipient().String(), releaseFile: takenAway}
	if release != nil {
		now[releaseFile] = release.Recipient().String()
	}
	if fresh {
		if err := writeNote(dir, now); err != nil {
			return nil, err
		}
		return r, nil
	}
	for _, name := range []string{indexFile, workFile, releaseFile} {
		if note[name] != now[name] {
			return nil, fmt.Errorf("%w: %s: bring back the file of the backup", ErrWrongKey, name)
		}
	}
	return r, nil
}

// takenAway stands in the note for the release key of a server that has none
// any more.
const takenAway = "none"

// ForgetRelease takes the release key away from the server for good, once all
// that it opened can be opened by the reviewers. dir is the folder of Open.
// The note is the point of no return: an Open after a crash behind it ends this.
func (r *Ring) ForgetRelease(dir string) error {
	if r.release == nil {
		return nil
	}
	now := map[string]string{indexFile: r.ID(), workFile: r.work.Recipient().String(), releaseFile: takenAway}
	if err := writeNote(dir, now); err != nil {
		return err
	}
	r.release = nil
	return wipe(filepath.Join(dir, releaseFile))
}

// wipe writes zeros over the small file at path, and deletes it. That it is not
// there is no error.
func wipe(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("crypt: %s: %w", filepath.Base(path), safefile.Classify("open", err))
	}
	_, err = f.Write(make([]byte, maxKeyFile))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("crypt: %s: %w", filepath.Base(path), safefile.Classify("wipe", err))
	}
	return safefile.Remove(path)
}

// load reads one key file. It makes a missing one only when fresh: a first
// start that was cut short left no note, and its files are kept.
func load[K any](dir, name string, fresh bool, create func() ([]byte, error), parse func([]byte) (K, error)) (K, error) {
	var none K
	path := filepath.Join(dir, name)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !fresh {
			return none, fmt.Errorf("%w: %s: bring back the file of the backup", ErrKeyMissing, name)
		}
		if b, err = create(); err == nil {
			err = safefile.WriteFile(path, b, 0o600)
		}
	}
	if err != nil {
		return none, fmt.Errorf("crypt: %s: %w", name, err)
	}
	k, err := parse(b)
	if err != nil {
		return none, fmt.Errorf("%w: %s", ErrBadKey, name) // the parser's text may quote the key
	}
	return k, nil
}

// readSmall reads a file of at most maxKeyFile bytes that only its owner can
// read.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, safefile.Classify("read", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open to others: want mode 0600, have %04o", info.Mode().Perm())
	}
	if info.Size() > maxKeyFile {
		return nil, ErrBadKey
	}
	b, err := os.ReadFile(path)
	return b, safefile.Classify("read", err)
}

func newIndex() ([]byte, error) {
	var key [32]byte
	rand.Read(key[:]) // never fails: crypto/rand.Read ends the program instead
	return fmt.Appendf(nil, "%s\n%x\n", indexHeader, key), nil
}

func parseIndex(b []byte) ([]byte, error) {
	key, err := hex.DecodeString(keyLine(b))
	if err != nil || len(key) != 32 {
		return nil, ErrBadKey
	}
	return key, nil
}

func newIdentity(header string) func() ([]byte, error) {
	return func() ([]byte, error) {
		id, err := filippo.GenerateX25519Identity()
		if err != nil {
			return nil, err
		}
		return fmt.Appendf(nil, "%s\n# public key: %s\n%s\n", header, id.Recipient(), id), nil
	}
}

func parseIdentity(b []byte) (*filippo.X25519Identity, error) {
	return filippo.ParseX25519Identity(keyLine(b))
}

// keyLine returns the one line of b that is neither empty nor a comment, ""
// when there is not exactly one.
func keyLine(b []byte) string {
	var key string
	for line := range bytes.Lines(b) {
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		if key != "" {
			return ""
		}
		key = s
	}
	return key
}

// readNote reads which keys belong to the folder, nil when nothing says so.
func readNote(dir string) (map[string]string, error) {
	b, err := readSmall(filepath.Clean(dir) + idSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("crypt: key note: %w", err)
	}
	note := make(map[string]string)
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) == 2 && f[0] != "#" {
			note[f[0]] = f[1]
		}
	}
	return note, nil
}

func writeNote(dir string, keys map[string]string) error {
	var b []byte
	b = append(b, "# Which keys belong in the folder beside this file. Not secret. stanch refuses others.\n"...)
	for _, name := range []string{indexFile, workFile, releaseFile} {
		b = fmt.Appendf(b, "%s %s\n", name, keys[name])
	}
	if err := safefile.WriteFile(filepath.Clean(dir)+idSuffix, b, 0o600); err != nil {
		return fmt.Errorf("crypt: key note: %w", err)
	}
	return nil
}
