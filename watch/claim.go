package watch

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// body is what a Claim holds sealed.
type body struct {
	Path   string       `json:"-"`    // relative to the root
	Bytes  []byte       `json:"path"` // of Path: a file's name need not be text, and JSON holds text only
	Meta   dlp.FileMeta `json:"meta"`
	Inode  uint64       `json:"inode"`
	Size   int64        `json:"size"`
	MTime  int64        `json:"mtime"`  // nanoseconds since 1970
	Digest Key          `json:"digest"` // of the content that was judged

	Left     Key   `json:"left"`      // of the stub or NAME.age that stands, or is about to stand, in its place
	LeftSize int64 `json:"left_size"` // bytes of it

	Ext  string `json:"ext,omitempty"`  // of the encrypted form; "": .age, as before there were others
	Note []byte `json:"note,omitempty"` // the stub that is to stand beside the encrypted form; none: no stub
}

// errState is a Claim used out of order: a fault of the caller.
var errState = errors.New("watch: claim used out of order")

// claimState says which calls of dlp.Claim are in order.
type claimState uint8

const (
	unclaimed claimState = iota
	taken
	finished // removed, replaced or put back
)

// claim is dlp.Claim for one judged file. It belongs to the one goroutine
// that judges the file.
type claim struct {
	r     *root
	t     *tree
	id    dlp.ID
	b     body
	seen  stamp // of the file as it was judged
	held  stamp // of the file just after it was taken
	state claimState

	back     bool // it was put back
	recorded bool // the store has a Claim that is not ended: the sweep ends it
}

// ended notes that the store's Claim is gone, if err is nil.
func (c *claim) ended(err error) error {
	c.recorded = c.recorded && err != nil
	return err
}

// putClaim writes the claim and returns when it is durable.
func (r *root) putClaim(ctx context.Context, id dlp.ID, phase Phase, b body) error {
	b.Bytes = []byte(b.Path)
	text, err := json.Marshal(b)
	if err != nil {
		return step("encode claim", err)
	}
	sealed, err := r.w.deps.Keys.Seal(labelClaim+" "+string(id), text)
	if err != nil {
		return step("seal claim", err)
	}
	return step("write claim", r.w.deps.Store.PutClaim(ctx, Claim{ID: id, Root: r.key, Phase: phase, Sealed: sealed}))
}

func (r *root) openClaim(c Claim) (b body, err error) {
	text, err := r.w.deps.Keys.Open(labelClaim+" "+string(c.ID), c.Sealed)
	if err != nil {
		return b, step("open claim", err)
	}
	err = json.Unmarshal(text, &b)
	b.Path = string(b.Bytes)
	return b, step("decode claim", err)
}

// drop forgets the claim once nothing of it is left in the root's own folder.
func (r *root) drop(ctx context.Context, id dlp.ID) error {
	r.w.deps.Steps("drop claim")
	return step("drop claim", r.w.deps.Store.DeleteClaim(ctx, id))
}

// Take renames the file into ROOT/.stanch, the claim being durable before, and
// compares inode, size, mtime and digest with what was judged.
func (c *claim) Take(ctx context.Context) error {
	if c.state != unclaimed {
		return errState
	}
	dir, base := parent(c.b.Path)
	d, err := c.t.folder(dir)
	if err != nil {
		return changedIfGone(err)
	}
	defer d.close()
	if p, err := d.stat(base); err != nil || !p.same(c.seen) {
		return dlp.ErrChanged
	}
	c.r.w.deps.Steps("take: record")
	if err := c.r.putClaim(ctx, c.id, Taken, c.b); err != nil {
		return err
	}
	c.recorded = true
	c.r.w.deps.Steps("take: rename")
	if err := d.rename(base, c.t.own, string(c.id)); err != nil {
		return errors.Join(changedIfGone(err), c.ended(c.r.drop(ctx, c.id)))
	}
	c.state = taken
	c.r.count(CountTaken, 1)
	c.r.w.deps.Steps("take: sync")
	if err := errors.Join(c.t.own.sync(), d.sync()); err != nil {
		return errors.Join(err, c.PutBack(ctx))
	}
	c.r.w.deps.Steps("take: compare")
	if err := c.compare(ctx); err != nil {
		return errors.Join(err, c.PutBack(ctx))
	}
	return nil
}

// changedIfGone is dlp.ErrChanged for a file that is not at its place any more.
func changedIfGone(err error) error {
	if isGone(err) {
		return dlp.ErrChanged
	}
	return err
}

// compare checks that the taken file is the judged one, whole and with no
// writer, and notes how it looks now.
func (c *claim) compare(ctx context.Context) error {
	p, err := c.t.own.stat(string(c.id))
	if err != nil {
		return err
	}
	if !p.sameContent(c.seen) || !p.regular() {
		return dlp.ErrChanged
	}
	f, err := c.t.own.openFile(string(c.id))
	if err != nil {
		return err
	}
	defer f.Close()
	if c.writer(f) {
		return dlp.ErrChanged
	}
	sum, p, err := hashFile(ctx, f)
	if errors.Is(err, errMoving) || err == nil && (sum != c.b.Meta.SHA256 || !p.sameContent(c.seen)) {
		return dlp.ErrChanged
	}
	c.held = p
	return err
}

// writer reports whether f is known to be open for writing. Network file
// systems answer for themselves, not for their other clients.
func (c *claim) writer(f *os.File) bool { return !c.t.network && heldForWriting(f) }

// Open reads the taken file.
func (c *claim) Open() (io.ReadSeekCloser, error) {
	if c.state != taken {
		return nil, errState
	}
	f, err := c.t.own.openFile(string(c.id))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Check compares size, mtime and ctime with those of just after Take, and asks
// for a writer.
func (c *claim) Check(ctx context.Context) error {
	if c.state != taken {
		return errState
	}
	c.r.w.deps.Steps("check")
	if err := c.untouched(); err != nil {
		return errors.Join(err, c.PutBack(ctx))
	}
	return nil
}

func (c *claim) untouched() error {
	f, err := c.t.own.openFile(string(c.id))
	if err != nil {
		return changedIfGone(err)
	}
	defer f.Close()
	busy := c.writer(f)
	p, err := fstat(f)
	if err == nil && (busy || !p.same(c.held)) {
		err = dlp.ErrChanged
	}
	return err
}

// Remove looks once more, leaves the stub if the root asks for stubs, and
// deletes the file. Who wrote to it since Check gets it back, with
// dlp.ErrChanged, although the vault has the older content: a hold too many is
// better than a lost change.
func (c *claim) Remove(ctx context.Context, stub []byte) error {
	if c.state != taken {
		return errState
	}
	c.r.w.deps.Steps("remove: check")
	if err := c.untouched(); err != nil {
		// Its ctime alone moves when another of its names goes; then what was
		// compared after Take decides.
		if err = c.compare(ctx); err != nil {
			return errors.Join(err, c.PutBack(ctx))
		}
	}
	c.state = finished // from here on it is finished, now or by a sweep, never undone
	return c.ended(c.r.remove(ctx, c.t, c.id, c.b, stub))
}

// remove leaves the stub and deletes the taken file. The sweep ends here too.
func (r *root) remove(ctx context.Context, t *tree, id dlp.ID, b body, stub []byte) error {
	if r.cfg.Stub {
		if err := r.leaveStub(ctx, t, id, b, stub); err != nil {
			return err
		}
	}
	return r.removeTaken(ctx, t, id)
}

// removeTaken deletes the taken file and then the claim.
func (r *root) removeTaken(ctx context.Context, t *tree, id dlp.ID) error {
	r.w.deps.Steps("remove: unlink")
	if err := t.own.removeIfThere(string(id)); err != nil {
		return err
	}
	if err := t.own.sync(); err != nil {
		return err
	}
	r.count(CountRemoved, 1)
	return r.drop(ctx, id)
}

// leaveStub puts NAME.stanch.txt beside where the file was. Its digest is
// entered before it appears, so that it is not judged.
func (r *root) leaveStub(ctx context.Context, t *tree, id dlp.ID, b body, text []byte) error {
	if len(text) == 0 && r.w.deps.Stub != nil {
		text = r.w.deps.Stub(ctx, id)
	}
	if len(text) == 0 {
		text = fmt.Appendf(nil, "This file was taken away for review.\nIts number is %s.\n", id)
	}
	b.Left, b.LeftSize = r.contentKey(sha256.Sum256(text)), int64(len(text))
	r.w.deps.Steps("stub: mark")
	if err := r.w.deps.Store.Mark(ctx, b.Left, id); err != nil {
		return step("mark stub", err)
	}
	r.w.deps.Steps("stub: record")
	if err := r.putClaim(ctx, id, Kept, b); err != nil {
		return err
	}
	return r.leave(t, id, b, text)
}

// leave writes text into the root's own folder, with the owner of b and a mode
// that lets nobody run it, and puts it to where b's stub stands.
func (r *root) leave(t *tree, id dlp.ID, b body, text []byte) error {
	temp := string(id) + tempStub
	if err := t.own.removeIfThere(temp); err != nil {
		return err
	}
	r.w.deps.Steps("stub: write")
	f, err := t.own.writeFile(temp, func(w io.Writer) error {
		_, err := w.Write(text)
		return step("write stub", plain(err))
	})
	if err != nil {
		return err
	}
	defer f.Close()
	m := b.Meta
	m.Mode &= 0o666 // whoever could read the file can read the stub; nothing runs it
	if err := own(f, m); err != nil {
		return err
	}
	r.w.deps.Steps("stub: place")
	_, err = t.place(temp, stubPath(b.Path), labelNumber, nil)
	return err
}

// stubPath is where the stub of the file at rel stands.
func stubPath(rel string) string {
	dir, base := parent(rel)
	return path.Join(dir, withSuffix(base, stubSuffix))
}

// own gives f the owner, access list and mode of m, that list alone whatever its
// folder gives to new files, and syncs it. Without the right to give
// a file away it stays this user's, and loses the bits that would then let
// others act as this user; and where it may not even have its group, or its list,
// those of a group: this user's is another, and in a list they bound everybody named.
func own(f *os.File, m dlp.FileMeta) error {
	mode := m.Mode & 0o7777
	if err := safefile.SetAccessList(f, m.ACL); errors.Is(err, safefile.ErrNoAccessLists) {
		mode &^= 0o070
	} else if err != nil {
		return step("set access list", err)
	}
	if err := f.Chown(m.UID, m.GID); err != nil {
		mode &^= 0o6000
		if err := f.Chown(-1, m.GID); err != nil {
			mode &^= 0o070
		}
	}
	if err := unix.Fchmod(int(f.Fd()), mode); err != nil { // after chown, which clears setuid, and the list, which it bounds
		return step("set mode", err)
	}
	return step("sync", plain(f.Sync()))
}

// PutBack renames the file to its place, or beside what stands there now.
func (c *claim) PutBack(ctx context.Context) error {
	if c.back {
		return nil // a failed Check or Remove has done so
	}
	if c.state != taken {
		return errState
	}
	// The caller may be gone; the file must not stay behind for that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := c.r.putBack(ctx, c.t, c.id, c.b); err != nil {
		return err
	}
	c.state, c.back = finished, true
	return c.ended(nil)
}

func (r *root) putBack(ctx context.Context, t *tree, id dlp.ID, b body) error {
	for _, temp := range []string{tempSealed, tempStub} {
		if err := t.own.removeIfThere(string(id) + temp); err != nil {
			return err
		}
	}
	r.w.deps.Steps("put back: place")
	if _, err := t.place(string(id), b.Path, labelPutBack, nil); err != nil {
		return err
	}
	r.count(CountPutBack, 1)
	return r.drop(ctx, id)
}
