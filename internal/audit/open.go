package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stanch-dlp/stanch/internal/groupcommit"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// Open opens the log, or begins one where there is neither log nor head, and
// returns the events that await an outcome.
//
// What a crash left is set right: lines behind the head that carry their seal
// stand, and are told of by a TailKept; bytes that are no whole line are cut,
// and told of by a TailCut. ErrBroken, and no change, when the log is shorter
// than its head says or differs from it; ErrInUse while another process has
// it. The log is open until Close; ctx bounds the opening only.
func Open(ctx context.Context, opt Options) (*Log, []Pending, error) {
	return openWith(ctx, opt, openOS)
}

func openWith(ctx context.Context, opt Options, open opener) (*Log, []Pending, error) {
	if opt.Reserve == 0 {
		opt.Reserve = DefaultReserve
	}
	if opt.Log == nil {
		opt.Log = safelog.Discard()
	}
	c := committer{opt: opt, open: open}
	if err := c.openFiles(); err != nil {
		return nil, nil, errors.Join(err, c.abandon())
	}
	told, err := c.recover(ctx)
	if err == nil {
		c.anchored, c.checked = time.Time{}, time.Time{}
		err = c.tell(false) // before the first event: a head that says closed must not outlive it
	}
	if err != nil {
		if errors.Is(err, ErrBroken) {
			err = fmt.Errorf("%w; %s", err, advice)
		}
		return nil, nil, errors.Join(err, c.abandon())
	}
	if err := c.reserve(); err != nil {
		opt.Log.Warn("no room to reserve for the audit log", safelog.Err(err))
	}
	l := &Log{opt: opt, in: make(chan *request, maxQueue), pace: groupcommit.NewPace(), c: c}
	_ = l.publish(nil) // before it there was none
	pending := c.waiting.list()
	l.done.Go(l.run)
	for _, e := range told {
		if err := l.Note(ctx, e); err != nil {
			return nil, nil, errors.Join(err, l.Close())
		}
	}
	return l, pending, nil
}

// openFiles opens the three files and loads the key, or makes it for a log
// that does not exist yet.
func (c *committer) openFiles() error {
	for _, dir := range []string{c.opt.Dir, filepath.Dir(c.opt.AnchorPath)} {
		if err := safefile.MkdirAll(dir); err != nil {
			return fmt.Errorf("audit: folder: %w", err)
		}
	}
	for _, f := range []struct {
		file *file
		path string
	}{
		{&c.log, filepath.Join(c.opt.Dir, logName)},
		{&c.hashes, filepath.Join(c.opt.Dir, hashesName)},
		{&c.anchor.f, c.opt.AnchorPath},
	} {
		var err error
		if *f.file, err = c.open(f.path); err != nil {
			*f.file = nil
			return failed("open", err)
		}
	}
	if err := lock(c.log); err != nil {
		return err
	}
	return c.loadKeys()
}

func (c *committer) loadKeys() error {
	k, err := loadKeys(c.opt.Key)
	if errors.Is(err, fs.ErrNotExist) {
		begun, berr := c.begun()
		if berr != nil {
			return berr
		}
		if begun {
			return fmt.Errorf("%w; %s", broken(-1, "the key that signed it is missing"), advice)
		}
		if err = makeKey(c.opt.Key); err == nil {
			k, err = loadKeys(c.opt.Key)
		}
	}
	if err != nil {
		return err
	}
	if k.signer == nil {
		return errors.New("audit: key: a public key can verify the log, not write it")
	}
	c.keys, c.anchor.k = k, k
	return nil
}

// begun reports whether there is anything of a log.
func (c *committer) begun() (bool, error) {
	for _, f := range []file{c.log, c.anchor.f} {
		if n, err := f.Size(); err != nil || n > 0 {
			return n > 0, failed("size", err)
		}
	}
	_, err := os.Stat(filepath.Join(c.opt.Dir, checkpointName))
	return err == nil, nil
}

// abandon closes what openFiles opened.
func (c *committer) abandon() error {
	var errs []error
	for _, f := range []file{c.log, c.hashes, c.anchor.f} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// recover brings the committer to the end of the log, and returns the events
// that tell of what it had to set right.
func (c *committer) recover(ctx context.Context) ([]Event, error) {
	size, err := c.log.Size()
	if err != nil {
		return nil, failed("size", err)
	}
	h, ok, err := readAnchor(c.anchor.f, c.keys)
	switch {
	case errors.Is(err, errHead):
		return nil, broken(-1, "the head outside the folder is not signed by this log's key")
	case err != nil:
		return nil, err
	case !ok:
		return nil, c.begin(size)
	case size < h.bytes:
		n, err := countLines(ctx, c.log, size)
		if err != nil {
			return nil, err
		}
		return nil, broken(-1, "it ends at line %d, its head says %d", n, h.size)
	}
	if err := c.loadTree(ctx, h); err != nil {
		return nil, err
	}
	c.gen, c.bytes = h.gen, h.bytes
	if err := c.loadWaiting(ctx, h); err != nil {
		return nil, err
	}
	return c.recoverTail(h, size)
}

// begin writes line 0 of a new log. Line 0 alone, without a head, is what a
// crash while beginning leaves.
func (c *committer) begin(size int64) error {
	if _, err := os.Stat(filepath.Join(c.opt.Dir, checkpointName)); err == nil {
		return broken(-1, "its head outside the folder is missing")
	}
	line := genesis(c.keys.line, time.Now(), c.keys.public)
	if size > int64(len(line)) {
		return broken(-1, "its head outside the folder is missing")
	}
	var t tree
	if err := c.put(line, hashesOf(&t, line)); err != nil {
		return err
	}
	c.tree, c.bytes = t, int64(len(line))
	if err := c.log.Truncate(c.bytes); err != nil {
		return failed("begin", err)
	}
	for _, dir := range []string{c.opt.Dir, filepath.Dir(c.opt.AnchorPath)} {
		if err := safefile.SyncDir(dir); err != nil {
			return fmt.Errorf("audit: begin: %w", err)
		}
	}
	return nil
}

// hashesOf adds line to t and returns its stored hashes as bytes.
func hashesOf(t *tree, line []byte) []byte {
	var b []byte
	for _, h := range t.add(line) {
		b = append(b, h[:]...)
	}
	return b
}

// loadTree loads the frontier at the head from the file of hashes. If that
// file is not as it should be it is made again from the lines, provided that
// those are what the head says.
func (c *committer) loadTree(ctx context.Context, h head) error {
	stored := storedHashes{c.hashes}
	if root, err := tlog.TreeHash(h.size, stored); err == nil && root == h.root {
		if err := c.tree.load(h.size, stored); err == nil {
			return c.checkLast(h)
		}
	}
	var t tree
	end, err := eachLine(ctx, c.log, 0, h.bytes, func(_ int64, line []byte) bool { t.add(line); return true })
	if err != nil {
		return err
	}
	if end != h.bytes || t.n != h.size || t.root() != h.root {
		return broken(-1, "its lines are not those its head was signed for")
	}
	c.tree = tree{}
	var b []byte
	var at int64
	flush := func() error {
		_, err := c.hashes.WriteAt(b, at)
		at, b = at+int64(len(b)), b[:0]
		return failed("rebuild hashes", err)
	}
	_, err = eachLine(ctx, c.log, 0, h.bytes, func(_ int64, line []byte) bool {
		b = append(b, hashesOf(&c.tree, line)...)
		return len(b) < maxGroup || flush() == nil
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil || c.tree.n != h.size {
		return errors.Join(errors.New("audit: hashes not rebuilt"), err)
	}
	return nil
}

// checkLast checks that the lines end where the head says, with the last line
// it was signed for. The lines before it are Verify's to check.
func (c *committer) checkLast(h head) error {
	from := max(0, h.bytes-maxLine)
	b := make([]byte, h.bytes-from)
	if _, err := c.log.ReadAt(b, from); err != nil {
		return failed("read", err)
	}
	line := lastLine(b)
	want, err := storedHashes{c.hashes}.ReadHashes([]int64{tlog.StoredHashIndex(0, h.size-1)})
	if err != nil {
		return failed("read", err)
	}
	if line == nil || tlog.RecordHash(line) != want[0] {
		return broken(h.size-1, "it is not the line its head was signed for")
	}
	return nil
}

// loadWaiting finds the events that await an outcome among the lines up to the
// head.
func (c *committer) loadWaiting(ctx context.Context, h head) error {
	seq := uint64(h.lowSeq)
	end, err := eachLine(ctx, c.log, h.lowOffset, h.bytes, func(at int64, line []byte) bool {
		p, ok := parseLine(line, seq)
		if ok {
			c.remember(p, at)
			seq++
		}
		return ok
	})
	if err != nil {
		return err
	}
	if end != h.bytes || int64(seq) != h.size {
		return broken(int64(seq), "it is no event of this log")
	}
	return nil
}

func (c *committer) remember(p parsed, at int64) {
	c.waiting.note(Pending{Seq: p.Seq, Kind: p.Kind, Doc: p.Doc, Channel: p.channel(), Time: p.Time}, p.Ref, at)
}

// recoverTail takes over what a crash left behind the head.
func (c *committer) recoverTail(h head, size int64) ([]Event, error) {
	if h.closed && size > h.bytes {
		return nil, broken(h.size, "%d bytes follow the end of a log that was closed", size-h.bytes)
	}
	var hashes []byte
	end, err := eachLine(context.Background(), c.log, h.bytes, size, func(at int64, line []byte) bool {
		p, ok := parseLine(line, uint64(c.tree.n))
		if !ok || !checkMAC(c.keys.line, line) {
			return false
		}
		hashes = append(hashes, hashesOf(&c.tree, line)...)
		c.remember(p, at)
		return true
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.hashes.WriteAt(hashes, hashBytes(h.size)); err != nil {
		return nil, failed("recover", err)
	}
	for _, err := range []error{
		c.hashes.Truncate(hashBytes(c.tree.n)), c.log.Truncate(end), c.hashes.Datasync(), c.log.Datasync(),
	} {
		if err != nil {
			return nil, failed("recover", err)
		}
	}
	c.bytes = end
	var told []Event
	if c.tree.n > h.size {
		told = append(told, Event{Kind: TailKept, Ref: uint64(h.size)})
	}
	if size > end {
		told = append(told, Event{Kind: TailCut, Ref: uint64(c.tree.n)})
	}
	return told, nil
}
