package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// ErrContent says that the content given to Restore is not the one its
// FileMeta names.
var ErrContent = errors.New("watch: the content to restore is not the one that was taken")

// Restore brings a released file back: to relpath below root, with its owner,
// mode and times, or, where a newer file stands, beside it as
// "NAME (released).EXT". Missing folders are made. What released says is
// entered before the file appears, so that the same reasons do not take it
// again. The stub of document id goes. When Restore returns the file is on
// stable storage, and name is its path below root.
//
// A repeat after a crash finds the file that the first call put there and
// returns its name. ErrNoRoot, ErrContent; after an error nothing of the file
// is left.
func (w *Watcher) Restore(ctx context.Context, rootPath, relpath string, meta dlp.FileMeta, id dlp.ID, content io.Reader, released dlp.Released) (name string, err error) {
	r, err := w.root(rootPath)
	if err != nil {
		return "", err
	}
	if parts, err := split(relpath); err != nil || len(parts) == 0 {
		return "", errors.Join(err, step("path", errState))
	}
	if _, err := dlp.ParseID(string(id)); err != nil {
		return "", step("restore", err)
	}
	t, err := r.acquire()
	if err != nil {
		return "", err
	}
	defer r.release(t)
	if err := t.beginAfter(ctx, id); err != nil {
		return "", fmt.Errorf("watch: restore %s: %w", id, err)
	}
	defer t.end(id)
	name, err = r.restore(ctx, t, relpath, meta, id, content, released)
	if err != nil {
		return name, fmt.Errorf("watch: restore %s: %w", id, err)
	}
	r.count(CountRestored, 1)
	return name, nil
}

// root finds the configured root with this path.
func (w *Watcher) root(p string) (*root, error) {
	abs, err := filepath.Abs(p)
	if err != nil {
		return nil, ErrNoRoot
	}
	for _, r := range w.roots {
		if r.path == abs || r.cfg.Path == p {
			return r, nil
		}
	}
	return nil, ErrNoRoot
}

func (r *root) restore(ctx context.Context, t *tree, rel string, meta dlp.FileMeta, id dlp.ID, content io.Reader, released dlp.Released) (string, error) {
	b := body{Path: rel, Meta: meta, Digest: r.contentKey(meta.SHA256)}
	done, err := t.find(rel, labelReleased, func(d folder, name, at string) bool {
		st, ok, err := r.w.ledger.get(ctx, r.pathKey(at))
		p, errStat := d.stat(name)
		return err == nil && ok && st.Doc == id && errStat == nil && p.ino == st.Inode
	})
	if err != nil {
		return "", err
	}
	if done != "" {
		if err := r.putClaim(ctx, id, Restoring, b); err != nil {
			return done, err
		}
		return done, r.endRestore(ctx, t, id, b)
	}
	r.w.deps.Steps("restore: record")
	if err := r.putClaim(ctx, id, Restoring, b); err != nil {
		return "", err
	}
	p, err := r.writeRestored(ctx, t, id, meta, content)
	if err != nil {
		return "", errors.Join(err, r.undoRestore(ctx, t, id, b))
	}
	st := State{Root: r.key, Inode: p.ino, Size: p.size, MTime: p.mtime, Digest: b.Digest, Action: dlp.Allow,
		Released: &released, Doc: id, Seen: time.Now()}
	used, err := t.place(string(id)+tempRestore, rel, labelReleased, func(at string) error {
		r.w.deps.Steps("restore: state")
		st.Key = r.pathKey(at)
		if err := r.w.ledger.putNow(ctx, st); err != nil {
			return err
		}
		r.w.deps.Steps("restore: place")
		return nil
	})
	if used == "" {
		return "", errors.Join(err, r.undoRestore(ctx, t, id, b))
	}
	if err != nil {
		return used, err
	}
	return used, r.endRestore(ctx, t, id, b)
}

// writeRestored writes the file into the root's own folder with its owner,
// mode and times, and syncs it.
func (r *root) writeRestored(ctx context.Context, t *tree, id dlp.ID, meta dlp.FileMeta, content io.Reader) (stamp, error) {
	temp := string(id) + tempRestore
	if err := t.own.removeIfThere(temp); err != nil {
		return stamp{}, err
	}
	r.w.deps.Steps("restore: write")
	h := sha256.New()
	f, err := t.own.writeFile(temp, func(w io.Writer) error {
		if _, err := io.Copy(io.MultiWriter(w, h), &ctxReader{ctx, content}); err != nil {
			return step("write", plain(err))
		}
		if [32]byte(h.Sum(nil)) != meta.SHA256 {
			return ErrContent
		}
		return nil
	})
	if err != nil {
		return stamp{}, err
	}
	defer f.Close()
	if err := own(f, meta); err != nil {
		return stamp{}, err
	}
	if err := t.own.chtimes(temp, meta); err != nil {
		return stamp{}, err
	}
	if err := f.Sync(); err != nil {
		return stamp{}, step("sync", plain(err))
	}
	return fstat(f)
}

// undoRestore removes what a restore left on its way in the root's own folder,
// and the claim. After a crash the sweep does this, and the caller of Restore
// begins again.
func (r *root) undoRestore(ctx context.Context, t *tree, id dlp.ID, b body) error {
	if err := t.own.removeIfThere(string(id) + tempRestore); err != nil {
		return err
	}
	if err := r.dropGone(ctx, t, id, b); err != nil {
		return err
	}
	return r.drop(ctx, id)
}

// endRestore takes the stub away once the file is in its place. The stub is
// known by its content: what somebody else put under its name stays.
func (r *root) endRestore(ctx context.Context, t *tree, id dlp.ID, b body) error {
	r.w.deps.Steps("restore: stub")
	if err := r.dropGone(ctx, t, id, b); err != nil {
		return err
	}
	var failed error
	_, err := t.find(stubPath(b.Path), labelNumber, func(d folder, name, _ string) bool {
		if !r.isStub(ctx, d, name, id) {
			return false
		}
		// It may be replaced this instant: look again where nobody else can.
		if failed = d.rename(name, t.own, string(id)+tempGone); failed == nil {
			failed = errors.Join(d.sync(), r.dropGone(ctx, t, id, b))
		}
		return true
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return r.undoRestore(ctx, t, id, b)
}

// dropGone deletes the stub that was moved into the root's own folder, or puts
// it back if it is none.
func (r *root) dropGone(ctx context.Context, t *tree, id dlp.ID, b body) error {
	gone := string(id) + tempGone
	if _, err := t.own.stat(gone); isGone(err) {
		return nil
	}
	if r.isStub(ctx, t.own, gone, id) {
		return t.own.removeIfThere(gone)
	}
	_, err := t.place(gone, stubPath(b.Path), labelPutBack, nil)
	return err
}

// isStub reports whether name in d holds what was marked as left for id.
func (r *root) isStub(ctx context.Context, d folder, name string, id dlp.ID) bool {
	sum, _, ok := hashIn(ctx, d, name, maxStub)
	if !ok {
		return false
	}
	owner, marked, err := r.w.deps.Store.Marked(ctx, r.contentKey(sum))
	return err == nil && marked && owner == id
}
