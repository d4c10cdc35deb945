package watch

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// Bounds of the events of one root.
const (
	eventBuffer = 4096  // events between fsnotify and the reader
	maxDirty    = 65536 // paths waiting for the walker; past it the whole root is walked
)

// newNotifier is fsnotify as a Notifier.
func newNotifier() (Notifier, error) {
	w, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		return nil, err
	}
	return fsNotifier{w}, nil
}

type fsNotifier struct{ *fsnotify.Watcher }

func (n fsNotifier) Events() <-chan fsnotify.Event { return n.Watcher.Events }
func (n fsNotifier) Errors() <-chan error          { return n.Watcher.Errors }

// dirty is the set of paths that events named, in the order of the first event
// of each. The reader adds, the walker takes all.
type dirty struct {
	wake chan struct{} // holds one when there is something to take

	mu    sync.Mutex
	paths []string        // relative to the root; guarded by mu
	gone  map[string]bool // for each of paths: an event said that it went; guarded by mu
	all   bool            // events were lost: the whole root is dirty; guarded by mu
}

func newDirty() *dirty {
	return &dirty{wake: make(chan struct{}, 1), gone: make(map[string]bool)}
}

// add notes one path.
func (d *dirty) add(rel string, gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all {
		return
	}
	if was, known := d.gone[rel]; known {
		d.gone[rel] = was || gone
		return
	}
	if len(d.paths) == maxDirty {
		d.setAll()
		return
	}
	d.paths = append(d.paths, rel)
	d.gone[rel] = gone
	d.signal()
}

// addAll notes that everything may have changed.
func (d *dirty) addAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setAll()
}

func (d *dirty) setAll() {
	d.all, d.paths = true, nil
	clear(d.gone)
	d.signal()
}

func (d *dirty) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // signalled already
	}
}

// take empties the set.
func (d *dirty) take() (paths []string, gone map[string]bool, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	paths, gone, all = d.paths, d.gone, d.all
	d.paths, d.gone, d.all = nil, make(map[string]bool), false
	return paths, gone, all
}

// read drains the events into the set and does nothing else, so that the
// kernel's queue does not fill while files are read.
func (s *session) read(ctx context.Context) {
	events, errs := s.notifier.Events(), s.notifier.Errors()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				return
			}
			if rel, ok := s.relative(e.Name); ok {
				s.dirty.add(rel, e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename))
			}
		case err, ok := <-errs:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				s.r.count(CountOverflow, 1)
			}
			s.dirty.addAll() // whatever went wrong, events may be missing
		}
	}
}

// relative turns the path of an event into one below the root, "." for the
// root itself; false for what lies in no place of the root.
func (s *session) relative(name string) (string, bool) {
	if name == "" {
		return "", false
	}
	rel, err := filepath.Rel(s.r.path, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return rel, true
}
