package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// tree is an opened root: a handle of the folder itself and one of its own
// folder ROOT/.stanch. Everything below is reached from these handles, one
// component at a time, without following links.
type tree struct {
	top, own  folder
	at, ownAt stamp
	network   bool // events do not tell of what other machines do
	refs      int  // users; guarded by root.mu

	mu     sync.Mutex
	active map[dlp.ID]chan struct{} // claims that a goroutine works on, not for the sweep; each is closed when that ends; guarded by mu
}

// errOwnFolder says that ROOT/.stanch cannot be used; nothing of the root is
// touched until it can.
var errOwnFolder = errors.New("watch: the root's .stanch is not a folder that only this user can enter")

// errLocked says that another process has the root.
var errLocked = errors.New("watch: another process watches this root")

// openTree opens the root at path and makes or checks its own folder.
func openTree(path string) (*tree, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRoot, plain(err))
	}
	t := &tree{top: folder{f}, active: make(map[dlp.ID]chan struct{})}
	if t.at, err = fstat(f); err == nil {
		t.network = networked(f)
		t.own, t.ownAt, err = openOwn(t.top, t.at)
	}
	if err != nil {
		t.top.close()
		return nil, err
	}
	return t, nil
}

// openOwn opens .stanch in top, making it where it is not there. It is ours by
// its place, its owner and its mode: a folder, not a link, of this user, 0700,
// on the root's file system. The lock keeps a second process out.
func openOwn(top folder, at stamp) (folder, stamp, error) {
	if err := top.mkdir(claimFolder, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return folder{}, stamp{}, err
	}
	own, err := top.openFolder(claimFolder)
	if err != nil {
		return folder{}, stamp{}, fmt.Errorf("%w: %w", errOwnFolder, err)
	}
	p, err := fstat(own.f)
	switch {
	case err != nil:
	case p.uid != uint32(os.Geteuid()) || p.mode&0o7777 != 0o700 || p.dev != at.dev:
		err = errOwnFolder
	default:
		err = again(func() error { return unix.Flock(int(own.f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errLocked
		} else {
			err = nil // a file system without locks: data_dir's own lock must do
		}
	}
	if err != nil {
		own.close()
		return folder{}, stamp{}, err
	}
	return own, p, nil
}

func (t *tree) close() {
	t.own.close()
	t.top.close()
}

// begin marks id as being worked on; false when it already is.
func (t *tree) begin(id dlp.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.active[id]; busy {
		return false
	}
	t.active[id] = make(chan struct{})
	return true
}

// beginAfter is begin that waits for who works on id now: a sweep after a
// crash, most likely.
func (t *tree) beginAfter(ctx context.Context, id dlp.ID) error {
	for !t.begin(id) {
		t.mu.Lock()
		ended := t.active[id]
		t.mu.Unlock()
		if ended == nil {
			continue // it ended in between
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (t *tree) end(id dlp.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.active[id])
	delete(t.active, id)
}

// isGone reports that a name does not lead to a file or folder of the root:
// it is missing, or something else, such as a link, stands there.
func isGone(err error) bool {
	for _, e := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ESTALE, unix.ENAMETOOLONG} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// folder opens the folder rel, "." for the root itself. The caller closes it.
func (t *tree) folder(rel string) (folder, error) {
	parts, err := split(rel)
	if err != nil {
		return folder{}, err
	}
	d, err := t.top.openFolder(".")
	for _, name := range parts {
		if err != nil {
			return folder{}, err
		}
		var next folder
		next, err = d.openFolder(name)
		d.close()
		d = next
	}
	return d, err
}

// nearest opens the folder rel as far as it exists and returns the path it
// came to. With create, missing folders are made with the owner and mode of
// the one they lie in. What stands in the way (a file, a link) ends the path
// there: a file must go somewhere inside the root rather than be lost.
func (t *tree) nearest(rel string, create bool) (d folder, at string, err error) {
	parts, err := split(rel)
	if err != nil {
		return folder{}, "", err
	}
	if d, err = t.top.openFolder("."); err != nil {
		return folder{}, "", err
	}
	at = "."
	for _, name := range parts {
		next, err := d.openFolder(name)
		if create && errors.Is(err, unix.ENOENT) {
			if err = d.makeLike(name); err == nil {
				next, err = d.openFolder(name)
			}
		}
		if err != nil {
			return d, at, nil
		}
		d.close()
		d, at = next, path.Join(at, name)
	}
	return d, at, nil
}

// makeLike makes the folder name with the owner and mode of d itself.
func (d folder) makeLike(name string) error {
	p, err := fstat(d.f)
	if err != nil {
		return err
	}
	if err := d.mkdir(name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	made, err := d.openFolder(name)
	if err != nil {
		return err
	}
	defer made.close()
	// Without the right to give a folder away it stays this user's.
	_ = made.f.Chown(int(p.uid), int(p.gid))
	if err := unix.Fchmod(int(made.f.Fd()), p.mode&0o7777); err != nil {
		return step("set mode", err)
	}
	return errors.Join(made.sync(), d.sync())
}

// place moves the file temp of the root's own folder to rel, or to the first
// variant of its name where nothing stands, and syncs both folders. before, if
// not nil, is called with each path before the file may appear there. It
// returns the path used, "" when the file was not moved.
func (t *tree) place(temp, rel, label string, before func(rel string) error) (string, error) {
	const tries = 5 // a folder may go just when the file is to be put into it
	for range tries {
		used, err := t.placeOnce(temp, rel, label, before)
		if used != "" || !errors.Is(err, unix.ENOENT) {
			return used, err
		}
		if _, there := t.own.stat(temp); there != nil {
			return "", err
		}
	}
	return "", step("place", unix.ENOENT)
}

func (t *tree) placeOnce(temp, rel, label string, before func(rel string) error) (string, error) {
	dir, base := parent(rel)
	d, at, err := t.nearest(dir, true)
	if err != nil {
		return "", err
	}
	defer d.close()
	for i := range maxVariants {
		name := variant(base, label, i)
		if before != nil {
			if _, err := d.stat(name); err == nil {
				continue
			}
			if err := before(path.Join(at, name)); err != nil {
				return "", err
			}
		}
		switch err := t.own.rename(temp, d, name); {
		case err == nil:
			return path.Join(at, name), errors.Join(d.sync(), t.own.sync())
		case !errors.Is(err, unix.EEXIST):
			return "", err
		}
	}
	return "", step("place", unix.EEXIST)
}

// find looks through rel and the variants of its name for a file for which
// match is true, and returns its path; "" when there is none. Variants may be
// missing in between: an older one goes before a newer.
func (t *tree) find(rel, label string, match func(d folder, name, rel string) bool) (string, error) {
	const maxMissing = 16 // in a row
	dir, base := parent(rel)
	d, at, err := t.nearest(dir, false)
	if err != nil {
		return "", err
	}
	defer d.close()
	missing := 0
	for i := 0; i < maxVariants && missing < maxMissing; i++ {
		name := variant(base, label, i)
		switch _, err := d.stat(name); {
		case err == nil:
			missing = 0
			if match(d, name, path.Join(at, name)) {
				return path.Join(at, name), nil
			}
		case isGone(err):
			missing++
		default:
			return "", err
		}
	}
	return "", nil
}

// hashFile returns the SHA-256 of f from byte 0 to its end, and its stamp,
// which was the same before and after; errMoving when it was not.
func hashFile(ctx context.Context, f *os.File) (sum [32]byte, p stamp, err error) {
	before, err := fstat(f)
	if err != nil {
		return sum, p, err
	}
	h := sha256.New()
	// One byte more than the size shows that the file grew; a file that grows
	// for ever must not be read for ever.
	n, err := io.Copy(h, &ctxReader{ctx, io.NewSectionReader(f, 0, before.size+1)})
	if err != nil {
		return sum, p, step("read", plain(err))
	}
	p, err = fstat(f)
	switch {
	case err != nil:
		return sum, p, err
	case n != before.size || !p.same(before):
		return sum, p, errMoving
	}
	return [32]byte(h.Sum(nil)), p, nil
}

var errMoving = errors.New("watch: the file changed while it was read")

// ctxReader ends a long read when ctx does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
