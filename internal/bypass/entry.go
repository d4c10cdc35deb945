package bypass

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// The file of one bypass: DIR/ID.bypass, JSON of an entry, sealed under the
// index key and bound to its id (docs/flow.md, What is kept).
const (
	version = 1
	suffix  = ".bypass"
)

// States of an entry on disk.
const (
	stateAsked  = "asked"  // not on record yet, and not in force
	stateOn     = "on"     // on record and in force
	stateEnding = "ending" // over, and its end is not known to be on record
	stateEnded  = "ended"
)

type entry struct {
	Version int       `json:"v"`
	State   string    `json:"state"`
	ID      dlp.ID    `json:"id"`
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason"`
	Began   time.Time `json:"began"`
	Ends    time.Time `json:"ends"`
	LeftMS  int64     `json:"left_ms"`        // of its time when the entry was written
	UntilMS int64     `json:"until_ms"`       // Clock.Up at its end, while Boot is the same
	Boot    string    `json:"boot,omitempty"` // in which it began
	Passed  int64     `json:"passed"`
	Ended   time.Time `json:"ended,omitzero"`
	How     string    `json:"how,omitempty"`
	By      string    `json:"by,omitempty"`

	said bool // its end is on record
}

func (e *entry) left() time.Duration  { return time.Duration(e.LeftMS) * time.Millisecond }
func (e *entry) until() time.Duration { return time.Duration(e.UntilMS) * time.Millisecond }

func (e *entry) bypass() Bypass {
	return Bypass{ID: e.ID, Actor: e.Actor, Reason: e.Reason, Began: e.Began, Ends: e.Ends, Passed: e.Passed, Ended: e.Ended,
		How: e.How, By: e.By}
}

func (s *Switch) path(id dlp.ID) string { return filepath.Join(s.o.Dir, string(id)+suffix) }

func bound(id dlp.ID) string { return "bypass " + string(id) }

// save makes e durable.
func (s *Switch) save(e entry) error {
	s.o.Steps("bypass: " + e.State)
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("bypass: %s: %w", e.ID, err)
	}
	sealed, err := s.o.Keys.Seal(bound(e.ID), b)
	if err != nil {
		return fmt.Errorf("bypass: seal %s: %w", e.ID, err)
	}
	if err := safefile.MkdirAll(s.o.Dir); err != nil {
		return fmt.Errorf("bypass: %s: %w", e.ID, err)
	}
	if err := safefile.WriteFile(s.path(e.ID), sealed, 0o600); err != nil {
		return fmt.Errorf("bypass: keep %s: %w", e.ID, err)
	}
	s.o.Steps("bypass: " + e.State + " kept")
	return nil
}

// load reads all entries. Its error tells of those that could not be read; the
// others are returned all the same.
func (s *Switch) load() ([]entry, error) {
	files, err := os.ReadDir(s.o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, safefile.Classify("read folder", err)
	}
	var all []entry
	var errs []error
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), suffix)
		if safefile.IsTemp(f.Name()) {
			_ = os.Remove(filepath.Join(s.o.Dir, f.Name())) // one that stays is looked at next time
		}
		id, err := dlp.ParseID(name)
		if !ok || err != nil {
			continue
		}
		e, err := s.read(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, e)
	}
	return all, errors.Join(errs...)
}

func (s *Switch) read(id dlp.ID) (entry, error) {
	sealed, err := os.ReadFile(s.path(id))
	if err != nil {
		return entry{}, fmt.Errorf("bypass: %s: %w", id, safefile.Classify("read", err))
	}
	b, err := s.o.Keys.Open(bound(id), sealed)
	if err != nil {
		return entry{}, fmt.Errorf("bypass: open %s: %w", id, err)
	}
	var e entry
	if err := json.Unmarshal(b, &e); err != nil || e.Version != version || e.ID != id {
		return entry{}, fmt.Errorf("bypass: %s is of a form that this version does not know", id)
	}
	return e, nil
}
