package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Labels of Keys.
const (
	labelPath    = "watch path"
	labelContent = "watch content"
	labelClaim   = "watch claim"
)

// Watcher watches the configured roots.
type Watcher struct {
	deps   Deps
	roots  []*root
	ledger *ledger
}

// New checks the configuration and the neighbours; it opens nothing yet.
func New(cfgs []Config, d Deps) (*Watcher, error) {
	if err := ValidateAll(cfgs); err != nil {
		return nil, err
	}
	if d.Handler == nil || d.Store == nil || d.Keys == nil || d.RuleSet == nil {
		return nil, errors.New("watch: Handler, Store, Keys and RuleSet are required")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Count == nil {
		d.Count = func(Count, int) {}
	}
	if d.Steps == nil {
		d.Steps = func(string) {}
	}
	if d.Notify == nil {
		d.Notify = newNotifier
	}
	w := &Watcher{deps: d, ledger: newLedger(d.Store, d.Log)}
	for i, c := range cfgs {
		c = c.WithDefaults()
		abs, err := filepath.Abs(c.Path)
		if err != nil {
			return nil, &dlp.KeyError{Key: fmt.Sprintf("watch[%d].path", i), Want: "a path that can be made absolute"}
		}
		w.roots = append(w.roots, &root{w: w, index: i, cfg: c, path: abs,
			key:     d.Keys.MAC(labelPath, []byte(abs)),
			recheck: make(chan struct{}, 1)})
	}
	return w, nil
}

// Run watches until ctx ends, then waits for the files in hand and returns
// nil. A root that cannot be opened is logged, counted and tried again; it
// does not stop the others. Run is called once.
func (w *Watcher) Run(ctx context.Context) error {
	var flusher sync.WaitGroup
	stop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	flusher.Go(func() { w.ledger.run(stop) })
	var wg sync.WaitGroup
	for _, r := range w.roots {
		wg.Go(func() { r.run(ctx) })
	}
	wg.Wait()
	cancel()
	flusher.Wait()
	return nil
}

// Recheck walks every root soon, to read again what was judged under another
// rule set than Deps.RuleSet now names. It does not wait.
func (w *Watcher) Recheck() {
	for _, r := range w.roots {
		select {
		case r.recheck <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// RootStatus is how one root fares.
type RootStatus struct {
	Path       string    // as configured
	Open       bool      // the folder and its own folder could be opened
	Polled     bool      // no events: found by walks alone
	Folders    int       // watched by events
	Unwatched  int       // that could not be watched, in the last complete walk
	Symlinks   int       // symbolic links passed over, in the last complete walk
	Skipped    int       // pipes, sockets and devices passed over, in the last complete walk
	Pending    int       // files that wait to settle, to be judged or to be offered again
	Reconciled time.Time // end of the last complete walk; zero before the first
	Walks      int       // complete walks since the start
}

// Status returns how each root fares, in the order of the configuration.
func (w *Watcher) Status() []RootStatus {
	out := make([]RootStatus, len(w.roots))
	for i, r := range w.roots {
		r.setStatus(func(s *RootStatus) { out[i] = *s })
		out[i].Path = r.cfg.Path
	}
	return out
}

// root is one configured folder for the life of a Watcher.
type root struct {
	w       *Watcher
	index   int
	cfg     Config
	path    string // absolute
	key     Key
	recheck chan struct{}

	mu   sync.Mutex
	tree *tree // nil while closed; guarded by mu

	statusMu sync.Mutex // apart, so that a file system that hangs does not hang Status
	status   RootStatus // guarded by statusMu
}

// acquire opens the root, or returns the tree that is open if path still leads
// to it. The caller releases it.
func (r *root) acquire() (*tree, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tree; t != nil {
		if p, err := statPath(r.path); err == nil && p.dev == t.at.dev && p.ino == t.at.ino {
			t.refs++
			return t, nil
		}
		r.tree = nil // its users keep it until they release it
	}
	t, err := openTree(r.path)
	if err != nil {
		return nil, err
	}
	t.refs, r.tree = 1, t
	return t, nil
}

func (r *root) release(t *tree) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.refs--; t.refs > 0 {
		return
	}
	if r.tree == t {
		r.tree = nil
	}
	t.close()
}

// run opens the root and watches it, again and again until ctx ends: a share
// may be mounted late, or another one in its place.
func (r *root) run(ctx context.Context) {
	const firstWait, maxWait = time.Second, time.Minute
	wait := firstWait
	for ctx.Err() == nil {
		t, err := r.acquire()
		if err == nil {
			wait = firstWait
			r.setStatus(func(s *RootStatus) { s.Open = true })
			newSession(r, t).run(ctx)
			r.release(t)
			r.setStatus(func(s *RootStatus) { *s = RootStatus{Walks: s.Walks, Reconciled: s.Reconciled} })
			continue
		}
		r.count(CountRootFailed, 1)
		r.log(ctx, slog.LevelError, "watched folder cannot be opened", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, maxWait)
	}
}

// setStatus is the one way to r.status.
func (r *root) setStatus(f func(*RootStatus)) {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	f(&r.status)
}

func (r *root) count(c Count, n int) { r.w.deps.Count(c, n) }

// log writes a constant message with the number of the root in the
// configuration. Errors of this package and of the kernel carry no names.
func (r *root) log(ctx context.Context, level slog.Level, msg string, err error, attrs ...slog.Attr) {
	attrs = append(attrs, slog.Int("root", r.index))
	if err != nil {
		attrs = append(attrs, slog.String("cause", causeOf(err)))
	}
	r.w.deps.Log.LogAttrs(ctx, level, msg, attrs...)
}

// pathKey is the Key of a path below the root.
func (r *root) pathKey(rel string) Key {
	return r.w.deps.Keys.MAC(labelPath, []byte(r.path), []byte(rel))
}

// contentKey is the Key of a content.
func (r *root) contentKey(sha [32]byte) Key { return r.w.deps.Keys.MAC(labelContent, sha[:]) }
