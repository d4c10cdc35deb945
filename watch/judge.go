package watch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// work is one worker: it judges what has settled until ctx ends.
func (s *session) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-s.jobs:
			res := s.examine(ctx, e)
			res.e = e
			select {
			case <-ctx.Done():
				return
			case s.done <- res:
			}
		}
	}
}

// examine looks at one file and judges it if it has settled.
func (s *session) examine(ctx context.Context, e *entry) result {
	f, p, err := s.openSettled(e)
	switch {
	case errors.Is(err, errMoving), errors.Is(err, unix.EAGAIN): // EAGAIN: somebody's lease on it is being broken
		return result{kind: entryMoving, seen: p}
	case err != nil && isGone(err):
		return result{kind: entryDone}
	case err != nil:
		s.r.count(CountUnreadable, 1)
		s.r.log(ctx, slog.LevelError, "file not read", err)
		return result{kind: entryRetry}
	case f == nil:
		return result{kind: entryDone}
	}
	defer f.Close()
	rules := s.r.w.deps.RuleSet()
	prior, known, err := s.r.w.ledger.get(ctx, s.r.pathKey(e.rel))
	if err != nil {
		s.r.log(ctx, slog.LevelError, "file state not read", err)
		return result{kind: entryRetry}
	}
	if known && prior.explains(p, rules) {
		return result{kind: entryDone}
	}
	used := p.atime // before it is read here, which may move it on
	sum, p, err := hashFile(ctx, f)
	p.atime = used
	switch {
	case errors.Is(err, errMoving):
		s.r.count(CountChanged, 1)
		return result{kind: entryMoving, seen: p}
	case err != nil:
		if ctx.Err() == nil {
			s.r.count(CountUnreadable, 1)
			s.r.log(ctx, slog.LevelError, "file not read", err)
		}
		return result{kind: entryRetry}
	}
	j := &judged{s: s, rel: e.rel, f: f, p: p, sum: sum, rules: rules, state: State{
		Key: s.r.pathKey(e.rel), Root: s.r.key, Inode: p.ino, Size: p.size, MTime: p.mtime, CTime: p.ctime,
		Digest: s.r.contentKey(sum), RuleSet: rules, Action: dlp.Allow, Seen: time.Now()}}
	return j.decide(ctx, prior, known)
}

// openSettled opens the file of e for reading if it looks as it did a settle
// ago and nobody writes to it, or if it was waited for long enough. errMoving:
// wait on. A nil file without error: nothing to read there.
func (s *session) openSettled(e *entry) (*os.File, stamp, error) {
	dir, base := parent(e.rel)
	d, err := s.t.folder(dir)
	if err != nil {
		return nil, e.seen, err
	}
	defer d.close()
	p, err := d.stat(base)
	if err != nil || !p.regular() {
		return nil, e.seen, err
	}
	patient := time.Since(e.first) < s.r.cfg.MaxWait.D()
	if !p.same(e.seen) && patient {
		return nil, p, errMoving
	}
	f, err := d.openFile(base)
	if err != nil {
		return nil, p, err
	}
	now, err := fstat(f)
	switch {
	case err != nil:
	case !now.same(p) && patient:
		err = errMoving
	case !now.regular():
		_ = f.Close()
		return nil, now, nil
	case patient && !s.t.network && heldForWriting(f):
		err = errMoving
	}
	if err != nil {
		_ = f.Close()
		return nil, now, err
	}
	return f, now, nil
}

// judged is one file while it is judged.
type judged struct {
	s     *session
	rel   string
	f     *os.File
	p     stamp
	sum   [32]byte
	rules string
	state State // to be noted if the file stays where it is
}

// decide passes what needs no judging, and hands the rest to the Handler.
func (j *judged) decide(ctx context.Context, prior State, known bool) result {
	r := j.s.r
	if j.p.size == 0 {
		return j.pass(CountEmpty)
	}
	owner, ours, err := r.w.deps.Store.Marked(ctx, j.state.Digest)
	if err != nil {
		r.log(ctx, slog.LevelError, "marks not read", err)
		return result{kind: entryRetry}
	}
	if ours {
		j.state.Ours, j.state.Doc = true, owner
		return j.pass(CountOurs)
	}
	if known && prior.Digest == j.state.Digest {
		j.state.Released, j.state.Doc = prior.Released, prior.Doc
		if prior.RuleSet == j.rules && j.rules != "" {
			j.state.Action = prior.Action
			return j.pass(CountUnchanged)
		}
	}
	return j.hand(ctx)
}

// pass notes that the file stays.
func (j *judged) pass(c Count) result {
	j.s.r.count(c, 1)
	j.s.r.w.ledger.put(j.state)
	return result{kind: entryDone}
}

// hand gives the file to the Handler and sees to what comes of it.
func (j *judged) hand(ctx context.Context) result {
	r, t := j.s.r, j.s.t
	acl, err := safefile.AccessList(j.f)
	if err != nil {
		r.count(CountUnreadable, 1)
		r.log(ctx, slog.LevelError, "access list of a file not read", err)
		return result{kind: entryRetry}
	}
	doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Name: j.rel, Root: r.cfg.Path, Received: time.Now(),
		Size: j.p.size, Known: j.state.Released,
		File: &dlp.FileMeta{UID: int(j.p.uid), GID: int(j.p.gid), Mode: j.p.mode & 0o7777, ACL: acl,
			ModTime: time.Unix(0, j.p.mtime), AccessTime: time.Unix(0, j.p.atime), SHA256: j.sum, Links: j.p.links},
		Open: func() (io.ReadSeekCloser, error) {
			return &section{io.NewSectionReader(j.f, 0, j.p.size)}, nil
		}}
	c := &claim{r: r, t: t, id: doc.ID, seen: j.p, b: body{Path: j.rel, Meta: *doc.File, Inode: j.p.ino,
		Size: j.p.size, MTime: j.p.mtime, Digest: j.state.Digest}}
	t.begin(doc.ID)
	r.count(CountJudged, 1)
	out := j.call(ctx, doc, c)
	t.end(doc.ID)
	if c.recorded {
		// The Handler left it half way, or a step failed. Stopping must not
		// leave it so.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		r.sweep(ctx, t)
	}
	now, err := fstat(j.f)
	if err != nil {
		now = j.p
	}
	switch {
	case out.Kind == dlp.Changed, c.back && out.Kind == dlp.Held:
		r.count(CountChanged, 1)
		return result{kind: entryFresh, seen: now}
	case out.Kind == dlp.Held, out.Kind == dlp.Sealed, out.Kind == dlp.Rejected, out.Kind == dlp.Split:
		return result{kind: entryDone}
	case out.Kind != dlp.Reported && out.Kind != dlp.Passed:
		r.count(CountRetried, 1)
		return result{kind: entryRetry}
	case !now.same(j.p):
		r.count(CountChanged, 1)
		return result{kind: entryFresh, seen: now}
	}
	if len(out.Verdict.Rcpts) > 0 {
		j.state.Action = out.Verdict.Strictest().Action
	}
	r.w.ledger.put(j.state)
	return result{kind: entryDone}
}

// call is Handler.File; one that panics asks to be offered the file again.
func (j *judged) call(ctx context.Context, doc *dlp.Document, c *claim) (out dlp.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			j.s.r.count(CountPanic, 1)
			j.s.r.log(ctx, slog.LevelError, "judging a file panicked", nil, slog.String("doc", string(doc.ID)))
			out = dlp.Outcome{}
		}
	}()
	return j.s.r.w.deps.Handler.File(ctx, doc, c)
}

// section is one reader of the judged bytes; the file is closed by its judge.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }
