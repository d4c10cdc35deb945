// Package rollout keeps how far each policy is that is being brought in: watched
// only, or enforced.
//
// The configuration says which policies are (mode = "rollout"); this says which of
// them somebody has enforced. Each change is a step with author and note, and none
// is ever taken away. Where it cannot be read nothing is decided by it.
package rollout

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Do is what a step does.
type Do string

// The steps.
const (
	Watch   Do = "watch"   // begin to watch, or watch again what was enforced
	Enforce Do = "enforce" // enforce from now on
)

// Bounds.
const (
	MaxNote  = 500 // bytes
	MaxDays  = 90  // that a policy is to be watched
	maxSteps = 5000
	maxFile  = 8 << 20
)

// Errors that a caller chooses by.
var (
	ErrChanged = errors.New("rollout: somebody else took a step meanwhile")
	ErrStep    = errors.New("rollout: no such step")
	ErrFull    = errors.New("rollout: there are as many steps as are kept")
	ErrDamaged = errors.New("rollout: its file is damaged: restore state/rollout.json from a backup, or set mode of the policies and remove it")
)

// Step is one change.
type Step struct {
	N      int       `json:"n"`
	At     time.Time `json:"at"`
	By     string    `json:"by"` // an actor
	Policy string    `json:"policy"`
	Do     Do        `json:"do"`
	Days   int       `json:"days,omitempty"` // that it is to be watched
	Note   string    `json:"note"`
}

// State is all steps, the oldest first.
type State struct {
	V     int    `json:"v"`
	Steps []Step `json:"steps"`
}

const format = 1

// Last returns the newest step of a policy.
func (s State) Last(policy string) (last Step, ok bool) {
	for _, x := range s.Steps {
		if x.Policy == policy {
			last, ok = x, true
		}
	}
	return last, ok
}

// Enforced reports whether somebody had the policy enforced.
func (s State) Enforced(policy string) bool {
	last, _ := s.Last(policy)
	return last.Do == Enforce
}

// N is the number of the newest step.
func (s State) N() int { return len(s.Steps) }

// Path is where the steps lie in a data folder.
func Path(dataDir string) string { return filepath.Join(dataDir, "state", "rollout.json") }

// Load returns the steps of a data folder, none where nobody took any. ErrDamaged.
func Load(dataDir string) (s State, err error) {
	b, err := os.ReadFile(Path(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, safefile.Classify("read roll-out", err)
	}
	if len(b) > maxFile || json.Unmarshal(b, &s) != nil || s.V != format {
		return State{}, ErrDamaged
	}
	for i, x := range s.Steps {
		if x.N != i+1 || x.Policy == "" || x.Do != Watch && x.Do != Enforce {
			return State{}, ErrDamaged
		}
	}
	return s, nil
}

// Store takes steps. Its methods may be called at the same time.
type Store struct {
	dir string
	mu  sync.Mutex // one step at a time
}

// Open returns the store of a data folder.
func Open(dataDir string) *Store { return &Store{dir: dataDir} }

// Load returns all steps.
func (s *Store) Load() (State, error) { return Load(s.dir) }

// Take adds x, without its number. base is the number of the newest step that
// somebody saw: ErrChanged where there is a newer one. between is called with what
// will hold before anything is written; its error ends it.
func (s *Store) Take(base int, x Step, between func(State) error) (State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.Load()
	switch {
	case err != nil:
		return now, err
	case now.N() != base:
		return now, ErrChanged
	case now.N() >= maxSteps:
		return now, ErrFull
	case x.Policy == "" || x.Do != Watch && x.Do != Enforce || len(x.Note) > MaxNote || x.Days < 0 || x.Days > MaxDays || (x.Do == Watch) != (x.Days > 0):
		return now, ErrStep
	case x.Do == Enforce && now.Enforced(x.Policy):
		return now, ErrStep
	}
	x.N = base + 1
	now.V, now.Steps = format, append(now.Steps, x)
	if err := between(now); err != nil {
		return now, err
	}
	b, err := json.MarshalIndent(now, "", " ")
	if err != nil {
		return now, ErrStep
	}
	return now, safefile.WriteFile(Path(s.dir), b, 0o600)
}
