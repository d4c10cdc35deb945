package audit

import (
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// Names of the files in Options.Dir.
const (
	logName        = "log"
	hashesName     = "hashes"
	checkpointName = "checkpoint"
)

// leastKept is the least room that is looked for ahead, in bytes: a block.
const leastKept = 4 << 10

// committer holds what only the goroutine that writes may touch.
type committer struct {
	opt    Options
	keys   *keys
	open   opener
	log    file
	hashes file
	anchor anchorFile

	tree    tree // over the lines that are synced
	bytes   int64
	waiting waiting
	gen     uint64

	logEnd, hashEnd int64     // up to where room is allocated
	noReserve       bool      // the file system cannot allocate ahead
	damaged         bool      // the files may hold more than is synced: mend before the next group
	anchored        time.Time // when the head outside was last synced
	checked         time.Time // when the checkpoint was last written

	lineRoom, hashRoom []byte // for a group
}

// maxRoom is how much room for a group is kept for the next, in bytes.
const maxRoom = 64 << 10

// write records the first n events of group, gives each its number, and syncs
// them. n is less than all only with an error.
func (c *committer) write(group []*request) (n int, err error) {
	if c.damaged {
		if err := c.mend(); err != nil {
			return 0, err
		}
	}
	short := c.reserve()
	var (
		lines, hashes = c.lineRoom[:0], c.hashRoom[:0]
		t             = c.tree
		places        = make([]int64, 0, len(group))
	)
	defer func() {
		c.lineRoom, c.hashRoom = nil, nil
		if max(cap(lines), cap(hashes)) <= maxRoom {
			c.lineRoom, c.hashRoom = lines, hashes
		}
	}()
	for _, r := range group {
		start := len(lines)
		lines = sealLine(lines, c.keys.line, uint64(t.n), r.fields)
		if short != nil && (c.bytes+int64(len(lines)) > c.logEnd || hashBytes(t.n+1) > c.hashEnd) {
			lines, err = lines[:start], short
			break
		}
		r.p.Seq = uint64(t.n)
		places = append(places, c.bytes+int64(start))
		for _, h := range t.add(lines[start:]) {
			hashes = append(hashes, h[:]...)
		}
	}
	if len(places) == 0 {
		return 0, err
	}
	if werr := c.put(lines, hashes); werr != nil {
		c.damaged = true
		if merr := c.mend(); merr != nil {
			c.opt.Log.Error("audit log not mended", safelog.Err(merr))
		}
		return 0, werr
	}
	c.tree, c.bytes = t, c.bytes+int64(len(lines))
	for i, at := range places {
		c.waiting.note(group[i].p, group[i].ref, at)
	}
	_ = c.tell(false) // it has said so: the events stand, and the head of the next group covers them
	return len(places), err
}

// put writes a group behind what is synced, and syncs it. The hashes need no
// sync: Open makes them again from the lines.
func (c *committer) put(lines, hashes []byte) error {
	if _, err := c.log.WriteAt(lines, c.bytes); err != nil {
		return failed("write", err)
	}
	if _, err := c.hashes.WriteAt(hashes, hashBytes(c.tree.n)); err != nil {
		return failed("write", err)
	}
	if err := c.log.Datasync(); err != nil {
		return failed("write", err)
	}
	return nil
}

// mend makes the files what they were when they were last synced. After a
// failed sync the kernel may hold pages as clean that never reached the disk,
// so the files are opened anew and cut: what failed counts as never written.
func (c *committer) mend() error {
	if err := c.reopen(&c.log, logName, c.bytes); err != nil {
		return err
	}
	if err := c.reopen(&c.hashes, hashesName, hashBytes(c.tree.n)); err != nil {
		return err
	}
	c.logEnd, c.hashEnd = c.bytes, hashBytes(c.tree.n) // cutting frees what was allocated
	c.damaged = false
	return nil
}

func (c *committer) reopen(f *file, name string, size int64) error {
	fresh, err := c.open(filepath.Join(c.opt.Dir, name))
	if err != nil {
		return failed("reopen", err)
	}
	got, err := fresh.Size()
	if err == nil && got < size {
		err = errShort
	}
	if err == nil {
		err = fresh.Truncate(size)
	}
	if err == nil {
		err = fresh.Datasync()
	}
	if err != nil {
		return errors.Join(failed("cut", err), fresh.Close())
	}
	old := *f
	*f = fresh
	// The lock lies on the old handle and goes with it.
	return errors.Join(failed("close", old.Close()), lock(fresh))
}

var errShort = errors.New("audit: the file is shorter than what was synced")

func lock(f file) error {
	if err := f.Lock(); err != nil {
		return ErrInUse
	}
	return nil
}

// reserve keeps room allocated ahead of both files. Its error says that there
// is no more room to be had; what is allocated can still be written.
func (c *committer) reserve() error {
	if c.noReserve {
		return nil
	}
	ahead := c.opt.Reserve
	if c.logEnd-c.bytes < ahead-ahead/8 { // in steps, not for each group
		if err := c.allocate(c.log, c.bytes, ahead, &c.logEnd); err != nil {
			return err
		}
	}
	used := hashBytes(c.tree.n)
	ahead /= 3 // a line has 64 bytes of hashes, and 200 bytes at least
	if c.hashEnd-used < ahead-ahead/8 {
		return c.allocate(c.hashes, used, ahead, &c.hashEnd)
	}
	return nil
}

// allocate keeps n bytes of f behind from. Where it is not known what is kept
// already, as after a restart, and there is no room for all, it looks for what an
// earlier process kept: that can be had again on a full disk.
func (c *committer) allocate(f file, from, n int64, end *int64) error {
	err := f.Allocate(from, n)
	for errors.Is(err, unix.ENOSPC) && *end <= from && n > leastKept {
		n /= 2
		err = f.Allocate(from, n)
	}
	switch {
	case err == nil:
		*end = from + n
		return nil
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		c.noReserve = true
		c.opt.Log.Warn("file system cannot keep room for the audit log")
		return nil
	}
	return failed("allocate", err)
}

// tell writes the head to the anchor, and now and then to the checkpoint. The
// lines are safe by then: a failure is told and tried again with the next
// group.
func (c *committer) tell(closed bool) error {
	c.gen++
	h := head{size: c.tree.n, root: c.tree.root(), gen: c.gen, bytes: c.bytes, closed: closed}
	h.lowSeq, h.lowOffset = c.waiting.low(c.tree.n, c.bytes)
	now := time.Now()
	err := c.anchor.write(h)
	if err == nil && (closed || now.Sub(c.anchored) >= anchorSync) {
		if err = c.anchor.f.Datasync(); err == nil {
			c.anchored = now
		}
	}
	if err == nil && (closed || now.Sub(c.checked) >= anchorSync) {
		c.checked = now // a full disk is met once a second, not with each group
		err = c.checkpoint(h)
	}
	if err != nil {
		c.opt.Log.Error("head of the audit log not written", safelog.Err(err), slog.Int64("seq", c.tree.n))
	}
	return err
}

// checkpoint writes the head into the log's folder, for those who are handed a
// copy of it.
func (c *committer) checkpoint(h head) error {
	b, err := h.encode(c.keys)
	if err != nil {
		return err
	}
	return safefile.WriteFile(filepath.Join(c.opt.Dir, checkpointName), b, 0o600)
}

// close writes the last head and closes the files.
func (c *committer) close() error {
	var errs []error
	if !c.damaged {
		// The hashes are synced here only, so that a clean start needs no rebuild.
		errs = append(errs, c.hashes.Datasync(), c.tell(true))
	}
	errs = append(errs, c.log.Close(), c.hashes.Close(), c.anchor.f.Close())
	for i, err := range errs {
		errs[i] = failed("close", err)
	}
	return errors.Join(errs...)
}
