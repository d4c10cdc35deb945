// Package rulefile keeps the one rule file that a site writes by its console, every
// version of it, and what is proposed for it.
//
// What is in force lies in site.toml; versions/000007.json has what the seventh
// version said, who saved it, when, and why. A version is synced before the file
// is renamed over, so a file that is there is one of its versions, unless somebody
// wrote it by hand. proposals/000003.json is the third proposal, and what became of it.
package rulefile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// MaxBytes bounds the text of a version.
const MaxBytes = 1 << 20

// MaxNote bounds why somebody saved one, in bytes.
const MaxNote = 500

// maxVersions bounds how many there are; one a working hour for five years.
const maxVersions = 10_000

// Errors that a caller chooses by.
var (
	ErrChanged   = errors.New("rulefile: somebody else changed it meanwhile")
	ErrNoVersion = errors.New("rulefile: no such version")
	ErrFull      = errors.New("rulefile: there are as many versions as are kept")
	ErrLarge     = errors.New("rulefile: larger than a rule file may be")
)

// Path is where the file lies in a data folder.
func Path(dataDir string) string { return filepath.Join(dataDir, "state", "rules", "site.toml") }

// Version is one that was saved.
type Version struct {
	N        int       `json:"n"`
	By       string    `json:"by"` // an actor; "" where it was written by hand
	At       time.Time `json:"at"`
	Note     string    `json:"note"`
	Back     int       `json:"back,omitempty"`     // the version that it goes back to
	Proposal int       `json:"proposal,omitempty"` // that it takes in
	Digest   string    `json:"digest"`             // of Text
	Text     string    `json:"text"`
}

// Digest names a text: SHA-256, lower-case hex.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Store is the file and its versions. Its methods may be called at the same time.
type Store struct {
	path string
	mu   sync.Mutex // one change at a time
}

// Open returns the store of a data folder, which makes its own folder when
// something is first saved.
func Open(dataDir string) *Store { return &Store{path: Path(dataDir)} }

// Path is where the file lies.
func (s *Store) Path() string { return s.path }

func (s *Store) versions() string { return filepath.Join(filepath.Dir(s.path), "versions") }

// Current returns the file's text, "" where there is none yet, and the newest
// version that says the same. n is 0 where none does: it was written by hand, or
// there is none.
func (s *Store) Current() (text string, n int, err error) {
	if text, err = s.text(); err != nil {
		return "", 0, err
	}
	all, err := s.numbers()
	if err != nil {
		return "", 0, err
	}
	for _, k := range all {
		if v, err := s.Version(k); err == nil && v.Text == text { // one that is damaged says nothing
			return text, k, nil
		}
	}
	return text, 0, nil
}

func (s *Store) text() (string, error) {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", safefile.Classify("read rules", err)
	}
	return string(b), nil
}

// numbers are those of all versions, the newest first.
func (s *Store) numbers() (all []int, err error) { return numbersIn(s.versions()) }

// numbersIn are those of what lies in dir, the newest first.
func numbersIn(dir string) (all []int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, safefile.Classify("list rules", err)
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".json")); err == nil && n > 0 && e.Name() == name(n) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all, nil
}

func name(n int) string { return fmt.Sprintf("%06d.json", n) }

// Version returns one, or ErrNoVersion.
func (s *Store) Version(n int) (v Version, err error) {
	b, err := os.ReadFile(filepath.Join(s.versions(), name(n)))
	if errors.Is(err, fs.ErrNotExist) || n <= 0 {
		return v, ErrNoVersion
	}
	if err != nil {
		return v, safefile.Classify("read version", err)
	}
	if err := json.Unmarshal(b, &v); err != nil || v.N != n || v.Digest != Digest(v.Text) {
		return v, fmt.Errorf("rulefile: version %d is damaged", n)
	}
	return v, nil
}

// List returns versions before that number, the newest first; 0: from the newest
// on. Those that are damaged are left out.
func (s *Store) List(before, limit int) (out []Version, err error) {
	return newest(s.versions(), before, limit, s.Version)
}

// newest reads those in dir before that number, the newest first; 0: from the newest
// on. What does not read is left out.
func newest[T any](dir string, before, limit int, read func(n int) (T, error)) (out []T, err error) {
	all, err := numbersIn(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if len(out) == limit {
			break
		}
		if before > 0 && n >= before {
			continue
		}
		if v, err := read(n); err == nil {
			out = append(out, v)
		}
	}
	return out, nil
}

// Save makes v, without number and digest, the newest version and the file. base
// is the digest of the text that it was made from: ErrChanged where the file says
// something else now. A text that was written by hand becomes a version first.
// between is called once all that may be refused has been looked at and before
// anything is written, with the number that v will have; its error ends it.
func (s *Store) Save(base string, v Version, between func(n int) error) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(v.Text) > MaxBytes || len(v.Note) > MaxNote {
		return 0, ErrLarge
	}
	text, current, err := s.Current()
	if err != nil {
		return 0, err
	}
	if Digest(text) != base {
		return 0, ErrChanged
	}
	all, err := s.numbers()
	if err != nil {
		return 0, err
	}
	if len(all) >= maxVersions {
		return 0, ErrFull
	}
	if n = 1; len(all) > 0 {
		n = all[0] + 1
	}
	byHand := text != "" && current == 0
	if byHand {
		n++
	}
	if err := between(n); err != nil {
		return 0, err
	}
	if byHand {
		if err := s.write(Version{N: n - 1, At: v.At, Note: "written by hand", Text: text}); err != nil {
			return 0, err
		}
	}
	v.N = n
	if err := s.write(v); err != nil {
		return 0, err
	}
	return n, safefile.WriteFile(s.path, []byte(v.Text), 0o600)
}

func (s *Store) write(v Version) error {
	v.Text = strings.ToValidUTF8(v.Text, "\ufffd") // as JSON has it; only what was written by hand can be otherwise
	v.Digest = Digest(v.Text)
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("rulefile: version %d cannot be written", v.N)
	}
	if err := safefile.MkdirAll(s.versions()); err != nil {
		return err
	}
	return safefile.WriteFile(filepath.Join(s.versions(), name(v.N)), b, 0o600)
}
