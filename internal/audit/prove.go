package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Proof is one line of the log and what shows that it stands in the tree of a
// signed checkpoint.
type Proof struct {
	Seq  int64            `json:"seq"`
	Line string           `json:"line"` // without its LF
	Path tlog.RecordProof `json:"path"` // RFC 6962 2.1.1, base64 each
}

// Event returns the line taken apart.
func (p *Proof) Event() (x Line, err error) {
	if err := json.Unmarshal([]byte(p.Line), &x); err != nil {
		return x, broken(p.Seq, "it is no event")
	}
	return x, nil
}

// Evidence is all that the log says of some documents, provably: whoever has
// the public key and this needs nothing else to check it.
type Evidence struct {
	Checkpoint string  `json:"checkpoint"` // a signed note
	PublicKey  string  `json:"public_key"` // that it is signed with
	Size       int64   `json:"size"`       // lines under the checkpoint
	Root       string  `json:"root"`       // of the tree over them, base64
	Events     []Proof `json:"events"`     // the oldest first
	Cut        bool    `json:"cut,omitempty"`
}

// ErrNotProved says that evidence does not hold together.
var ErrNotProved = errors.New("audit: the evidence does not hold")

// Evidence returns the lines on stable storage that name one of ids, as what
// they are about or what that is of, at most limit of the newest, each with the
// proof that it is in the log. It reads back to since.
func (l *Log) Evidence(ctx context.Context, ids []dlp.ID, since time.Time, limit int) (Evidence, error) {
	out, h, f, err := l.signed()
	if err != nil {
		return out, err
	}
	defer f.Close() // read only
	asked := make(map[string]bool, len(ids))
	for _, id := range ids {
		asked[string(id)] = true
	}
	err = backwards(ctx, f, h.bytes, func(_ int64, line []byte) (bool, error) {
		if !asked[field(line, `"doc":"`)] && !asked[field(line, `"of":"`)] {
			return since.IsZero() || !early(line, since), nil
		}
		if len(out.Events) == limit {
			out.Cut = true
			return false, nil
		}
		p := Proof{Line: strings.TrimSuffix(string(line), "\n")}
		x, err := p.Event()
		p.Seq = int64(x.Seq)
		out.Events = append(out.Events, p)
		return true, err
	})
	if err != nil {
		return out, err
	}
	slices.Reverse(out.Events)
	return out, l.prove(h.size, out.Events)
}

// ErrNotYet says that there is no such event, or no checkpoint signs for it yet.
var ErrNotYet = errors.New("audit: no checkpoint signs for such an event; a new one does so within a second")

// EvidenceOf returns the event seq with its proof, checked. ErrNotYet; ErrBroken where
// the line is not what was signed.
func (l *Log) EvidenceOf(seq int64) (Evidence, error) {
	out, h, f, err := l.signed()
	if err != nil {
		return out, err
	}
	defer f.Close() // read only
	if seq <= 0 || seq >= h.size {
		return out, ErrNotYet
	}
	line, err := lineOf(f, seq, h.bytes)
	if err != nil {
		return out, err
	}
	out.Events = []Proof{{Seq: seq, Line: string(line)}}
	if err := l.prove(h.size, out.Events); err != nil {
		return out, err
	}
	if err := out.Check(out.PublicKey); err != nil {
		return out, broken(seq, "it is not what was signed")
	}
	return out, nil
}

// signed returns evidence without events under the newest checkpoint, what that signs
// for, and the log's lines, which the caller closes.
func (l *Log) signed() (out Evidence, h head, f *os.File, err error) {
	mark, err := l.Checkpoint()
	if err != nil {
		return out, h, nil, err
	}
	if h, err = decodeHead(mark, l.c.keys); err != nil {
		return out, h, nil, broken(-1, "its checkpoint is not signed by this key")
	}
	out = Evidence{Checkpoint: string(mark), PublicKey: l.c.keys.public, Size: h.size, Root: h.root.String()}
	if f, err = os.Open(filepath.Join(l.opt.Dir, logName)); err != nil {
		return out, h, nil, failed("read", err)
	}
	return out, h, f, nil
}

// VerifyNow is Verify of this log as it is now.
func (l *Log) VerifyNow(ctx context.Context) (Report, error) {
	return Verify(ctx, l.opt.Dir, l.opt.AnchorPath, l.opt.Key)
}

// lineOf returns the line seq, without its LF, of the size bytes of f.
func lineOf(f io.ReaderAt, seq, size int64) ([]byte, error) {
	buf := make([]byte, 2*maxLine)
	// next is the first line that begins at off or later.
	next := func(off int64) ([]byte, int64, error) {
		from := max(0, off-1)
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-from)], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, failed("read", err)
		}
		b := buf[:n]
		if off > 0 {
			_, b, _ = bytes.Cut(b, []byte{'\n'})
		}
		line, _, whole := bytes.Cut(b, []byte{'\n'})
		var x Line
		if !whole {
			return nil, size, nil // there is none behind off
		}
		if err := json.Unmarshal(line, &x); err != nil {
			return nil, 0, broken(-1, "a line is no event")
		}
		return line, int64(x.Seq), nil
	}
	var amiss error
	off := sort.Search(int(size), func(off int) bool {
		if amiss != nil {
			return true
		}
		_, at, err := next(int64(off))
		amiss = err
		return at >= seq
	})
	if amiss != nil {
		return nil, amiss
	}
	line, at, err := next(int64(off))
	if err == nil && at != seq {
		err = broken(seq, "it is not there")
	}
	return line, err
}

// prove fills in the path of each of ps in the tree of size lines.
func (l *Log) prove(size int64, ps []Proof) error {
	f, err := os.Open(filepath.Join(l.opt.Dir, hashesName))
	if err != nil {
		return failed("hashes", err)
	}
	defer f.Close() // read only
	for i := range ps {
		if ps[i].Path, err = tlog.ProveRecord(size, ps[i].Seq, storedHashes{osFile{f}}); err != nil {
			return failed("prove", err)
		}
	}
	return nil
}

// field is the id behind key in a line as encode writes it, "" for none.
func field(line []byte, key string) string {
	_, rest, ok := bytes.Cut(line, []byte(key))
	if !ok {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(id)
}

// early reports a line that tells of a time so long before since that none
// before it matters.
func early(line []byte, since time.Time) bool {
	t, err := time.Parse(time.RFC3339Nano, field(line, `"time":"`))
	return err == nil && t.Before(since.Add(-disorder))
}

// Check reports whether every event of e stands in the log whose checkpoint is
// signed by publicKey. It needs no log. ErrNotProved. That no other event
// speaks of the same documents is not shown by it: the whole log shows that.
func (e *Evidence) Check(publicKey string) error {
	v, err := note.NewVerifier(strings.TrimSpace(publicKey))
	if err != nil || v.Name() != origin {
		return errKey
	}
	h, err := decodeHead([]byte(e.Checkpoint), &keys{verifier: v})
	if err != nil {
		return errors.Join(ErrNotProved, errors.New("its checkpoint is not signed by this key"))
	}
	if e.Size != h.size || e.Root != h.root.String() {
		return errors.Join(ErrNotProved, errors.New("it says another size or root than its checkpoint"))
	}
	for i := range e.Events {
		p := &e.Events[i]
		if p.Seq < 0 || p.Seq >= h.size || strings.Contains(p.Line, "\n") ||
			tlog.CheckRecord(p.Path, h.size, h.root, p.Seq, tlog.RecordHash([]byte(p.Line+"\n"))) != nil {
			return errors.Join(ErrNotProved, broken(p.Seq, "it is not what stood in the log"))
		}
	}
	return nil
}
