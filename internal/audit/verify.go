package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// Report is what Verify saw.
type Report struct {
	Events    uint64 // in the log, line 0 not counted
	Anchored  uint64 // of them, those the signed head covers
	Bytes     int64  // of whole lines
	Torn      int64  // bytes behind the last event: a write under way, or what a crash left for the next start to cut
	Root      string // of the tree at the signed head, base64
	Closed    bool   // the log was closed whole
	PublicKey string // that the head was checked with
}

// Verify checks a log, open or not, against its signed head and changes
// nothing: every line, their order and number, the hashes, the signatures of
// head and checkpoint. keyPath holds the private or the public key; with the
// public one alone, events behind the head are counted as Torn. Each of kept is
// a checkpoint of this log that was kept elsewhere: the log must go on from it.
//
// ErrBroken (a *BrokenError) says what differs and where; any other error
// that it could not be checked.
func Verify(ctx context.Context, dir, anchorPath, keyPath string, kept ...[]byte) (Report, error) {
	for try := 1; ; try++ {
		v := verifier{dir: dir}
		err := v.heads(anchorPath, keyPath)
		if err == nil {
			err = v.open(kept)
		}
		if err == nil {
			err = v.read(ctx)
		}
		if err == nil {
			err = v.judge()
		}
		if !errors.Is(err, ErrBroken) || try == 3 || !v.moved(anchorPath) {
			return v.Report, err
		}
		// The log was opened or closed while it was read: read it again.
	}
}

// moved reports whether the head is another one by now.
func (v *verifier) moved(anchorPath string) bool {
	f, err := os.Open(anchorPath)
	if err != nil || v.keys == nil {
		return false
	}
	defer f.Close() // read only
	h, ok, err := readAnchor(f, v.keys)
	return err == nil && ok && h.gen != v.head.gen
}

type verifier struct {
	Report
	dir  string
	keys *keys
	head head // the anchor's
	mark head // the checkpoint's
	kept []past

	tree     tree
	atHead   tlog.Hash // root at the head's size
	atMark   tlog.Hash // root at the checkpoint's size
	endHead  int64     // where the head's last line ends
	differs  int64     // first line whose hashes are not those stored; -1 for none
	trailing int64     // bytes of the file
}

// past is a checkpoint that was kept elsewhere, and the root that the log has
// at its size.
type past struct {
	head
	at tlog.Hash
}

// open reads the checkpoints that were kept elsewhere.
func (v *verifier) open(kept [][]byte) error {
	for _, b := range kept {
		h, err := decodeHead(b, v.keys)
		switch {
		case err != nil:
			return broken(-1, "the checkpoint that was kept is not signed by its key")
		case h.size > v.head.size:
			return broken(v.head.size, "its head says %d lines, the checkpoint that was kept %d", v.head.size, h.size)
		}
		v.kept = append(v.kept, past{head: h})
	}
	return nil
}

// heads reads checkpoint and anchor, in this order: on an open log the anchor
// is never the older one.
func (v *verifier) heads(anchorPath, keyPath string) error {
	var err error
	if v.keys, err = loadKeys(keyPath); err != nil {
		return err
	}
	v.PublicKey = v.keys.public
	b, err := os.ReadFile(filepath.Join(v.dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return broken(-1, "its checkpoint is missing")
	}
	if err != nil {
		return failed("checkpoint", err)
	}
	if v.mark, err = decodeHead(b, v.keys); err != nil {
		return broken(-1, "its checkpoint is not signed by this key")
	}
	f, err := os.Open(anchorPath)
	if errors.Is(err, fs.ErrNotExist) {
		return broken(-1, "its head outside the folder is missing")
	}
	if err != nil {
		return failed("head", err)
	}
	defer f.Close() // read only
	h, ok, err := readAnchor(f, v.keys)
	switch {
	case errors.Is(err, errHead) || err == nil && !ok:
		return broken(-1, "its head outside the folder is not signed by this key")
	case err != nil:
		return err
	case v.mark.size > h.size:
		return broken(-1, "its head outside the folder says %d lines, its checkpoint %d", h.size, v.mark.size)
	}
	v.head, v.Closed, v.Anchored = h, h.closed, uint64(h.size-1)
	return nil
}

// read goes over all lines.
func (v *verifier) read(ctx context.Context) error {
	f, err := os.Open(filepath.Join(v.dir, logName))
	if errors.Is(err, fs.ErrNotExist) {
		return broken(0, "the log is gone")
	}
	if err != nil {
		return failed("log", err)
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return failed("log", err)
	}
	hf, err := os.Open(filepath.Join(v.dir, hashesName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("hashes", err)
	}
	var stored io.Reader
	if err == nil {
		defer hf.Close() // read only
		stored = bufio.NewReaderSize(hf, 256<<10)
	}
	v.differs, v.trailing = -1, info.Size()
	v.Bytes, err = eachLine(ctx, f, 0, info.Size(), func(at int64, line []byte) bool {
		if v.tree.n >= v.head.size { // behind the head each line has its seal alone
			if _, ok := parseLine(line, uint64(v.tree.n)); !ok || v.keys.line == nil || !checkMAC(v.keys.line, line) {
				return false
			}
		}
		stored = v.compare(v.tree.add(line), stored)
		if v.tree.n == v.head.size {
			v.atHead, v.endHead = v.tree.root(), at+int64(len(line))
		}
		if v.tree.n == v.mark.size {
			v.atMark = v.tree.root()
		}
		for i := range v.kept {
			if v.tree.n == v.kept[i].size {
				v.kept[i].at = v.tree.root()
			}
		}
		return true
	})
	v.Torn = v.trailing - v.Bytes
	v.Events = uint64(max(0, v.tree.n-1))
	return err
}

// compare checks the hashes of a line against those stored, and returns what
// to compare the next with: nil once they end or differ. A file of hashes that
// is too short is no evidence; Open makes it again.
func (v *verifier) compare(hs []tlog.Hash, stored io.Reader) io.Reader {
	if stored == nil || v.tree.n > v.head.size {
		return nil
	}
	for _, h := range hs {
		var got tlog.Hash
		if _, err := io.ReadFull(stored, got[:]); err != nil {
			return nil
		}
		if got != h {
			v.differs = v.tree.n - 1
			return nil
		}
	}
	return stored
}

// judge says what the reading comes to.
func (v *verifier) judge() error {
	v.Root = v.head.root.String()
	switch {
	case v.tree.n < v.head.size:
		return broken(v.differs, "it ends at line %d, its head says %d", v.tree.n, v.head.size)
	case v.atHead != v.head.root && v.differs >= 0:
		return broken(v.differs, "it is not what was signed: changed, put in or taken out")
	case v.atHead != v.head.root:
		return broken(-1, "its lines are not those its head was signed for")
	case v.endHead != v.head.bytes:
		return broken(-1, "its lines end at byte %d, its head says %d", v.endHead, v.head.bytes)
	case v.atMark != v.mark.root:
		return broken(-1, "its lines are not those its checkpoint was signed for")
	case v.differs >= 0:
		return broken(v.differs, "its stored hash was changed; the line itself is what was signed")
	case v.Closed && v.trailing > v.head.bytes:
		return broken(v.head.size, "%d bytes follow the end of a log that was closed", v.trailing-v.head.bytes)
	}
	for _, k := range v.kept {
		if k.at != k.root {
			return broken(-1, "its first %d lines are not those that the checkpoint that was kept was signed for", k.size)
		}
	}
	return nil
}

// String tells the report in one line.
func (r Report) String() string {
	return fmt.Sprintf("%d events, %d of them under the signed head, root %s", r.Events, r.Anchored, r.Root)
}
