package watch

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a walk and of what is remembered of files.
const (
	maxDepth   = 1024                // folders inside folders; deeper ones are reported and not read
	seenEvery  = 24 * time.Hour      // how exactly State.Seen is kept
	forgetUnit = 30 * 24 * time.Hour // states of files not seen for so long are deleted
)

// inode is a folder on its file system, whatever its name.
type inode struct{ dev, ino uint64 }

// watches knows which folders are watched, as a tree, so that a folder that
// went takes those below it along.
type watches struct {
	byPath  map[string]*watched
	byInode map[inode]*watched
}

// watched is one watched folder.
type watched struct {
	rel  string
	at   inode
	walk int // the complete walk that last found it
	kids map[*watched]struct{}
}

func newWatches() watches {
	return watches{byPath: make(map[string]*watched), byInode: make(map[inode]*watched)}
}

// walk is the walker: it ends what a crash left, walks everything, and then
// what events named, until ctx ends or the root was replaced.
func (s *session) walk(ctx context.Context) {
	tick := time.NewTicker(s.r.cfg.Rescan.D())
	defer tick.Stop()
	for full := true; ctx.Err() == nil; {
		if full {
			if !s.reconcile(ctx) {
				return
			}
			full = false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			full = true
		case <-s.r.recheck:
			full = true
		case <-s.dirty.wake:
			paths, gone, all := s.dirty.take()
			full = all
			s.visitAll(ctx, paths, gone)
		}
	}
}

// visitAll looks at what events named: first at what went, so that a folder
// that only has a new name is watched under that.
func (s *session) visitAll(ctx context.Context, paths []string, gone map[string]bool) {
	for _, rel := range paths {
		if gone[rel] {
			s.unwatch(rel)
		}
	}
	for _, rel := range paths {
		if ctx.Err() != nil {
			return
		}
		s.visit(ctx, rel, gone[rel])
	}
}

// visit looks at one path.
func (s *session) visit(ctx context.Context, rel string, gone bool) {
	if rel == "." {
		if gone {
			s.dirty.addAll() // the root itself went: see whether another came
		}
		return
	}
	dir, base := parent(rel)
	d, err := s.t.folder(dir)
	if err != nil {
		s.unwatch(rel)
		return
	}
	defer d.close()
	p, err := d.stat(base)
	switch {
	case err != nil:
		s.unwatch(rel)
	case !p.isDir():
		s.unwatch(rel)
		s.offer(ctx, rel, p, nil)
	default:
		if w := s.watches.byPath[rel]; w == nil || w.at != (inode{p.dev, p.ino}) {
			s.descend(ctx, rel, &walkCount{})
		}
	}
}

// walkCount is what a walk adds up.
type walkCount struct {
	full      int // number of the complete walk; 0 for a partial one
	symlinks  int
	skipped   int
	unwatched int
}

// reconcile ends open claims and walks the whole root. It returns false when
// the root's path leads somewhere else and the session must end.
func (s *session) reconcile(ctx context.Context) bool {
	if p, err := statPath(s.r.path); err != nil || p.dev != s.t.at.dev || p.ino != s.t.at.ino {
		if ctx.Err() == nil {
			s.r.log(ctx, slog.LevelWarn, "watched folder was replaced", err)
		}
		return false
	}
	s.r.sweep(ctx, s.t)
	s.r.strangers(ctx, s.t)
	n := &walkCount{full: s.walks() + 1}
	s.descend(ctx, ".", n)
	if ctx.Err() != nil {
		return true // the caller sees that ctx has ended
	}
	for _, w := range s.watches.byPath {
		if w.walk != n.full {
			s.unwatch(w.rel) // moved out of the root, or its going was not told
		}
	}
	if _, err := s.r.w.deps.Store.PruneStates(ctx, s.r.key, time.Now().Add(-forgetUnit)); err != nil {
		s.r.log(ctx, slog.LevelError, "old file states not deleted", err)
	}
	if n.unwatched > 0 {
		s.r.log(ctx, slog.LevelError, "folders cannot be watched and are polled: raise fs.inotify.max_user_watches or max_folders",
			nil, slog.Int("count", n.unwatched))
	}
	s.r.count(CountReconcile, 1)
	var before int
	s.r.setStatus(func(st *RootStatus) {
		before = st.Symlinks
		st.Walks, st.Reconciled = n.full, time.Now()
		st.Symlinks, st.Skipped, st.Unwatched, st.Folders = n.symlinks, n.skipped, n.unwatched, len(s.watches.byPath)
	})
	if n.symlinks != before {
		s.r.log(ctx, slog.LevelInfo, "symbolic links are not followed: what they lead to is judged where it lies, if that is watched",
			nil, slog.String("reason", "symlink"), slog.Int("count", n.symlinks))
	}
	return true
}

func (s *session) walks() (n int) {
	s.r.setStatus(func(st *RootStatus) { n = st.Walks })
	return n
}

// descend walks the folder rel and everything below it, each folder watched
// before it is read: what appears between the two is seen twice, not never.
func (s *session) descend(ctx context.Context, rel string, n *walkCount) {
	type level struct {
		rel   string
		depth int
	}
	for stack := []level{{rel, 0}}; len(stack) > 0 && ctx.Err() == nil; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if at.depth > maxDepth {
			s.r.count(CountUnreadable, 1)
			s.r.log(ctx, slog.LevelError, "folders too deep to be read", nil)
			continue
		}
		s.list(ctx, at.rel, n, func(name string) {
			stack = append(stack, level{path.Join(at.rel, name), at.depth + 1})
		})
	}
}

// list watches and reads one folder: files are offered, folders go to deeper.
func (s *session) list(ctx context.Context, rel string, n *walkCount, deeper func(name string)) {
	d, err := s.t.folder(rel)
	if err != nil {
		s.unwatch(rel)
		if !isGone(err) {
			s.r.count(CountUnreadable, 1)
			s.r.log(ctx, slog.LevelError, "folder not read", err)
		}
		return
	}
	defer d.close()
	at, err := fstat(d.f)
	if err != nil || at.dev == s.t.ownAt.dev && at.ino == s.t.ownAt.ino {
		return // the root's own folder is known by its handle, not by its name
	}
	s.watch(ctx, rel, at, n)
	err = d.each(ctx, func(name string) error {
		p, err := d.stat(name)
		switch {
		case err != nil: // gone again
		case p.isDir():
			deeper(name)
		default:
			s.offer(ctx, path.Join(rel, name), p, n)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.r.count(CountUnreadable, 1)
		s.r.log(ctx, slog.LevelError, "folder not read", err)
	}
}

// watch asks for events of the folder rel, whose handle looks like at. Asking
// again for one that is watched costs little and mends a watch that the kernel
// dropped unnoticed.
func (s *session) watch(ctx context.Context, rel string, at stamp, n *walkCount) {
	if s.notifier == nil {
		return
	}
	key := inode{at.dev, at.ino}
	if w := s.watches.byInode[key]; w != nil && w.rel != rel {
		s.unwatch(w.rel) // it was moved here
	}
	w := s.watches.byPath[rel]
	if w != nil && w.at != key {
		s.unwatch(rel) // another folder has the name now
		w = nil
	}
	if w == nil && len(s.watches.byPath) >= s.r.cfg.MaxFolders {
		n.unwatched++
		s.r.count(CountUnwatched, 1)
		return
	}
	// The path may lead elsewhere by now: then a later event or walk finds the
	// folder under its new name, and events from elsewhere name nothing here.
	if err := s.notifier.Add(filepath.Join(s.r.path, rel)); err != nil {
		s.unwatch(rel)
		if ctx.Err() == nil && !errors.Is(err, unix.ENOENT) {
			n.unwatched++
			s.r.count(CountUnwatched, 1)
			if n.full == 0 { // a complete walk says so once, with the number
				s.r.log(ctx, slog.LevelError, "folder cannot be watched and is polled", err)
			}
		}
		return
	}
	if w == nil {
		w = &watched{rel: rel, at: key, kids: make(map[*watched]struct{})}
		s.watches.byPath[rel], s.watches.byInode[key] = w, w
		if up := s.watches.byPath[path.Dir(rel)]; up != nil && up != w {
			up.kids[w] = struct{}{}
		}
		s.r.setStatus(func(st *RootStatus) { st.Folders = len(s.watches.byPath) })
	}
	if n.full > 0 {
		w.walk = n.full
	}
}

// unwatch ends the watches of the folder rel and of all below it, if it is
// watched.
func (s *session) unwatch(rel string) {
	w := s.watches.byPath[rel]
	if w == nil {
		return
	}
	if up := s.watches.byPath[path.Dir(rel)]; up != nil {
		delete(up.kids, w)
	}
	for stack := []*watched{w}; len(stack) > 0; {
		w := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for kid := range w.kids {
			stack = append(stack, kid)
		}
		delete(s.watches.byPath, w.rel)
		if s.watches.byInode[w.at] == w {
			delete(s.watches.byInode, w.at)
		}
		// The kernel ends the watch of a deleted folder itself: no error to mind.
		_ = s.notifier.Remove(filepath.Join(s.r.path, w.rel))
	}
}

// offer hands a file to the settler unless its state says that this very file
// was judged under the present rules. n is nil for a single path.
func (s *session) offer(ctx context.Context, rel string, p stamp, n *walkCount) {
	if n == nil {
		n = &walkCount{}
	}
	switch {
	case p.symlink():
		s.r.count(CountSymlink, 1)
		n.symlinks++
		return
	case !p.regular():
		s.r.count(CountSkipped, 1)
		n.skipped++
		return
	}
	st, ok, err := s.r.w.ledger.get(ctx, s.r.pathKey(rel))
	if err != nil && ctx.Err() == nil {
		s.r.log(ctx, slog.LevelError, "file state not read", err) // read as if it were new
	}
	if err == nil && ok && st.explains(p, s.r.w.deps.RuleSet()) {
		if now := time.Now(); now.Sub(st.Seen) > seenEvery {
			st.Seen = now
			s.r.w.ledger.put(st)
		}
		return
	}
	select {
	case s.found <- candidate{rel, p}:
	case <-ctx.Done():
	}
}

// explains reports whether nothing is left to do for a file that looks like p.
func (st *State) explains(p stamp, ruleSet string) bool {
	return st.Inode == p.ino && st.Size == p.size && st.MTime == p.mtime && st.CTime == p.ctime &&
		(st.Ours || st.RuleSet == ruleSet && ruleSet != "")
}
