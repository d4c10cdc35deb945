package watch

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"path"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// extAge is what the encrypted form's name ended in before there were others.
const extAge = ".age"

// Encrypt leaves NAME with the suffix of its root's encryption, with the owner, mode, access list, extended attributes
// and times of the file, in its place. The plain file goes only when the sealed one is on stable storage and
// the plain one was not touched meanwhile. A file with several names is not
// encrypted: it would stay in the clear under the others.
func (c *claim) Encrypt(ctx context.Context) error {
	if c.state != taken {
		return errState
	}
	if c.r.w.deps.Encryption == nil {
		return dlp.ErrNoWay
	}
	how, err := c.r.w.deps.Encryption(c.r.cfg)
	if err != nil {
		return err
	}
	if c.held.links > 1 {
		// It came by another name since it was judged, and would stay in the
		// clear under it: judged anew, it is seen to have several.
		return errors.Join(dlp.ErrChanged, c.PutBack(ctx))
	}
	if err := c.Check(ctx); err != nil {
		return err
	}
	c.r.w.deps.Steps("encrypt: write")
	b, err := c.seal(ctx, how)
	if err != nil {
		_ = c.t.own.removeIfThere(string(c.id) + tempSealed) // PutBack and the sweep remove it too
		return err
	}
	if err := c.Check(ctx); err != nil {
		return err
	}
	c.r.w.deps.Steps("encrypt: mark")
	if err := c.r.w.deps.Store.Mark(ctx, b.Left, c.id); err != nil {
		return step("mark encrypted file", err)
	}
	if len(b.Note) > 0 {
		if err := c.r.w.deps.Store.Mark(ctx, c.r.contentKey(sha256.Sum256(b.Note)), c.id); err != nil {
			return step("mark stub", err)
		}
	}
	c.r.w.deps.Steps("encrypt: record")
	if err := c.r.putClaim(ctx, c.id, Encrypting, b); err != nil {
		return err
	}
	c.r.w.deps.Steps("encrypt: place")
	used, err := c.t.place(string(c.id)+tempSealed, sealedPath(b), labelNumber, nil)
	if used == "" {
		return err
	}
	c.state = finished // from here on it is finished, now or by a sweep, never undone
	if err != nil {
		return err
	}
	return c.ended(c.r.finishEncrypt(ctx, c.t, c.id, b))
}

// sealedPath is where the encrypted form of b's file stands.
func sealedPath(b body) string {
	dir, base := parent(b.Path)
	ext := b.Ext
	if ext == "" {
		ext = extAge
	}
	return path.Join(dir, withSuffix(base, ext))
}

// finishEncrypt leaves the stub and deletes the plain file once the encrypted
// form stands. The sweep ends here too.
func (r *root) finishEncrypt(ctx context.Context, t *tree, id dlp.ID, b body) error {
	if len(b.Note) > 0 {
		at, err := t.find(stubPath(b.Path), labelNumber, r.holds(ctx, r.contentKey(sha256.Sum256(b.Note)), int64(len(b.Note))))
		if err != nil {
			return err
		}
		if at == "" {
			if err := r.leave(t, id, b, b.Note); err != nil {
				return err
			}
		}
	}
	r.w.deps.Steps("encrypt: unlink")
	if err := t.own.removeIfThere(string(id)); err != nil {
		return err
	}
	if err := t.own.sync(); err != nil {
		return err
	}
	r.count(CountEncrypted, 1)
	return r.drop(ctx, id)
}

// seal writes the encrypted form into the root's own folder and returns the
// body of the claim with its digest.
func (c *claim) seal(ctx context.Context, how Encryption) (body, error) {
	b := c.b
	b.Ext = how.Ext
	if c.r.cfg.Stub {
		b.Note = []byte(how.Note)
	}
	src, err := c.t.own.openFile(string(c.id))
	if err != nil {
		return b, err
	}
	defer src.Close()
	temp := string(c.id) + tempSealed
	if err := c.t.own.removeIfThere(temp); err != nil {
		return b, err
	}
	plainSum, sealedSum := sha256.New(), sha256.New()
	f, err := c.t.own.writeFile(temp, func(w io.Writer) error {
		n := &countWriter{w: io.MultiWriter(w, sealedSum)}
		in := io.TeeReader(&ctxReader{ctx, io.LimitReader(src, c.held.size+1)}, plainSum)
		err := how.Write(n, in)
		b.LeftSize = n.n
		return step("encrypt", plain(err))
	})
	if err != nil {
		return b, err
	}
	defer f.Close()
	if [32]byte(plainSum.Sum(nil)) != c.b.Meta.SHA256 {
		return b, errors.Join(dlp.ErrChanged, c.PutBack(ctx))
	}
	b.Left = c.r.contentKey([32]byte(sealedSum.Sum(nil)))
	if err := safefile.CopyAttributes(f, src); err != nil {
		return b, step("copy attributes", err)
	}
	if err := own(f, b.Meta); err != nil {
		return b, err
	}
	if err := c.t.own.chtimes(temp, b.Meta); err != nil {
		return b, err
	}
	return b, step("sync", plain(f.Sync()))
}

// countWriter counts the bytes that pass.
type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
