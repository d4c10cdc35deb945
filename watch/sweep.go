package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of a sweep.
const (
	nameBatch = 256      // entries of a folder read at once
	maxStub   = 64 << 10 // bytes: a larger file is no stub of ours
)

// sweep ends every claim that no goroutine works on: one whose file the vault
// has is finished, any other undone. What cannot be ended now stays in the
// root's own folder, neither lost nor in the clear, for the next sweep.
// Entries that no claim explains are left alone and reported: whatever they
// are, deleting them could lose a file.
func (r *root) sweep(ctx context.Context, t *tree) {
	claims, err := r.w.deps.Store.Claims(ctx, r.key)
	if err != nil {
		r.count(CountSweepFailed, 1)
		r.log(ctx, slog.LevelError, "claims not read", err)
		return
	}
	for _, c := range claims {
		if ctx.Err() != nil {
			return
		}
		if !t.begin(c.ID) {
			continue
		}
		err := r.settleAgain(ctx, t, c.ID)
		t.end(c.ID)
		if err != nil {
			r.count(CountSweepFailed, 1)
			r.log(ctx, slog.LevelError, "claim not ended", err, slog.String("doc", string(c.ID)))
		}
	}
}

// settleAgain reads the claim once more, now that nobody else works on it, and
// ends it.
func (r *root) settleAgain(ctx context.Context, t *tree, id dlp.ID) error {
	claims, err := r.w.deps.Store.Claims(ctx, r.key)
	if err != nil {
		return step("read claims", err)
	}
	i := slices.IndexFunc(claims, func(c Claim) bool { return c.ID == id })
	if i < 0 {
		return nil // ended meanwhile
	}
	if err := r.settle(ctx, t, claims[i]); err != nil {
		return err
	}
	r.count(CountSwept, 1)
	return nil
}

// settle ends one claim.
func (r *root) settle(ctx context.Context, t *tree, c Claim) error {
	b, err := r.openClaim(c)
	if err != nil {
		return err
	}
	id := string(c.ID)
	if c.Phase == Restoring {
		return r.undoRestore(ctx, t, c.ID, b)
	}
	p, err := t.own.stat(id)
	if isGone(err) { // never renamed, or ended but for the record
		for _, temp := range []string{tempSealed, tempStub} {
			if err := t.own.removeIfThere(id + temp); err != nil {
				return err
			}
		}
		return r.drop(ctx, c.ID)
	}
	if err != nil {
		return err
	}
	if c.Phase == Encrypting {
		at, err := t.find(sealedPath(b), labelNumber, r.holds(ctx, b.Left, b.LeftSize))
		if err != nil {
			return err
		}
		if at != "" {
			return r.finishEncrypt(ctx, t, c.ID, b)
		}
		return r.putBack(ctx, t, c.ID, b)
	}
	kept, err := r.kept(ctx, t, c.ID, b, p)
	if err != nil {
		return err
	}
	if !kept {
		return r.putBack(ctx, t, c.ID, b)
	}
	return r.finishRemove(ctx, t, c, b)
}

// kept reports whether the vault holds what lies in the root's own folder
// under id: the judged content, as it is now.
func (r *root) kept(ctx context.Context, t *tree, id dlp.ID, b body, p stamp) (bool, error) {
	kept, sha, err := r.w.deps.Handler.Kept(ctx, id)
	if err != nil {
		return false, fmt.Errorf("watch: ask the vault: %w", err)
	}
	if !kept || sha != b.Meta.SHA256 || !p.regular() {
		return false, nil
	}
	f, err := t.own.openFile(string(id))
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !t.network && heldForWriting(f) {
		return false, nil
	}
	sum, _, err := hashFile(ctx, f)
	if errors.Is(err, errMoving) {
		return false, nil
	}
	return sum == sha, err
}

// finishRemove ends a claim whose content the vault has.
func (r *root) finishRemove(ctx context.Context, t *tree, c Claim, b body) error {
	if c.Phase != Kept || !r.cfg.Stub {
		return r.remove(ctx, t, c.ID, b, nil)
	}
	at, err := t.find(stubPath(b.Path), labelNumber, r.holds(ctx, b.Left, b.LeftSize))
	if err != nil {
		return err
	}
	if at != "" {
		return r.removeTaken(ctx, t, c.ID)
	}
	f, err := t.own.openFile(string(c.ID) + tempStub)
	if err != nil {
		return r.remove(ctx, t, c.ID, b, nil)
	}
	sum, _, err := hashFile(ctx, f)
	_ = f.Close()
	if err != nil || r.contentKey(sum) != b.Left {
		return r.remove(ctx, t, c.ID, b, nil) // not whole: written anew
	}
	if _, err := t.place(string(c.ID)+tempStub, stubPath(b.Path), labelNumber, nil); err != nil {
		return err
	}
	return r.removeTaken(ctx, t, c.ID)
}

// holds returns a match for tree.find: a file of this size and content.
func (r *root) holds(ctx context.Context, digest Key, size int64) func(d folder, name, rel string) bool {
	return func(d folder, name, _ string) bool {
		sum, p, ok := hashIn(ctx, d, name, size)
		return ok && p.size == size && r.contentKey(sum) == digest
	}
}

// hashIn hashes the regular file name of d if it is at most limit bytes.
func hashIn(ctx context.Context, d folder, name string, limit int64) (sum [32]byte, p stamp, ok bool) {
	if p, err := d.stat(name); err != nil || !p.regular() || p.size > limit {
		return sum, p, false
	}
	f, err := d.openFile(name)
	if err != nil {
		return sum, p, false
	}
	defer f.Close()
	sum, p, err = hashFile(ctx, f)
	return sum, p, err == nil && p.regular()
}

// strangers counts the entries of the root's own folder that no claim
// explains, and says so once a sweep.
func (r *root) strangers(ctx context.Context, t *tree) {
	claims, err := r.w.deps.Store.Claims(ctx, r.key)
	if err != nil {
		return // the sweep has said so
	}
	known := make(map[string]bool, len(claims))
	for _, c := range claims {
		known[string(c.ID)] = true
	}
	n := 0
	err = t.own.each(ctx, func(name string) error {
		id, _, _ := strings.Cut(name, ".")
		if !known[id] && !t.working(dlp.ID(id)) {
			n++
		}
		return nil
	})
	if err != nil {
		r.log(ctx, slog.LevelError, "the root's own folder not read", err)
	}
	if n > 0 {
		r.count(CountStranger, n)
		r.log(ctx, slog.LevelError, "files in the root's own folder that no claim explains", nil, slog.Int("count", n))
	}
}

// working reports whether a goroutine works on id.
func (t *tree) working(id dlp.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, busy := t.active[id]
	return busy
}

// each calls f with the name of every entry of d, until f fails.
func (d folder) each(ctx context.Context, f func(name string) error) error {
	list, err := d.openFolder(".") // a handle of its own, read from the start
	if err != nil {
		return err
	}
	defer list.close()
	for {
		names, err := list.f.Readdirnames(nameBatch)
		for _, name := range names {
			if err := f(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ENOENT) || err == nil && len(names) == 0 {
			return nil
		}
		if err != nil {
			return step("list", plain(err))
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
