package index

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// maxShared is in how many rows a token may stand: a telephone of more patients
// than that, or a number that stands for "none", names nobody.
const maxShared = 16

// entry is a token and the row it came from, as row<<2|field.
type entry struct {
	token
	ref uint32
}

func (a entry) compare(b entry) int {
	switch {
	case a.hi != b.hi:
		return less(a.hi < b.hi)
	case a.lo != b.lo:
		return less(a.lo < b.lo)
	case a.ref != b.ref:
		return less(a.ref < b.ref)
	}
	return 0
}

func less(is bool) int {
	if is {
		return -1
	}
	return 1
}

// file writes one file of an index, section by section. It must end in commit or
// abort.
type file struct {
	out  *safefile.File
	w    *bufio.Writer
	at   uint64
	sum  hash.Hash
	foot footer
	err  error // the first
}

func createFile(path string, k kind, seq uint64, now time.Time, key *Key) (*file, error) {
	out, err := safefile.Create(path, 0o600)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	id := key.derive(tagKeyID)
	f := &file{out: out, w: bufio.NewWriterSize(out, 1<<20), sum: sha256.New(),
		foot: footer{Version: Version, Kind: k, Seq: seq, Created: now.Unix(), KeyID: [16]byte(id[:16])}}
	f.write(head())
	return f, nil
}

// write appends to the section in hand.
func (f *file) write(b []byte) {
	if f.err != nil {
		return
	}
	_, f.err = f.w.Write(b)
	f.sum.Write(b) // a hash takes every write
	f.at += uint64(len(b))
}

// begin begins section n.
func (f *file) begin(n int) {
	f.sum.Reset()
	f.foot.Sections[n].Off = f.at
}

// end ends section n.
func (f *file) end(n int) {
	s := &f.foot.Sections[n]
	s.Len = f.at - s.Off
	copy(s.Sum[:], f.sum.Sum(nil))
}

// commit ends the file, gives it its name and returns its seal.
func (f *file) commit(key *Key) (seal [sealSize]byte, err error) {
	tail := f.foot.tail(key)
	f.write(tail)
	if f.err == nil {
		f.err = f.w.Flush()
	}
	if f.err != nil {
		return seal, fmt.Errorf("index: write: %w", errors.Join(f.err, f.out.Abort()))
	}
	if err := f.out.Commit(); err != nil {
		return seal, fmt.Errorf("index: %w", err)
	}
	copy(seal[:], tail[footerSize(f.foot.Version):])
	return seal, nil
}

func (f *file) abort() error { return f.out.Abort() }

// blocks puts records into blocks.
type blocks struct {
	f   *file
	buf [blockSize]byte
	n   int    // records in buf
	no  uint64 // of the block in buf
}

func (b *blocks) add(hi uint64, lo, ref uint32) {
	at := b.buf[b.n*recSize:]
	binary.BigEndian.PutUint64(at, hi)
	binary.BigEndian.PutUint32(at[8:], lo)
	binary.BigEndian.PutUint32(at[12:], ref)
	if b.n++; b.n == perBlock {
		b.flush()
	}
}

func (b *blocks) flush() {
	if b.n == 0 {
		return
	}
	sealBlock(b.buf[:], b.n, b.no)
	b.f.write(b.buf[:])
	clear(b.buf[:])
	b.n = 0
	b.no++
}

// tableWriter writes table, directory and filter from entries in ascending
// order.
type tableWriter struct {
	f      *file
	table  blocks
	dir    []byte
	filter *filterWriter
	group  [maxShared + 1]entry
	n      int // entries of the token in hand; maxShared+1: too many
}

// newTableWriter prepares for at most entries tokens.
func newTableWriter(f *file, entries uint64) *tableWriter {
	w := &tableWriter{f: f, filter: newFilterWriter(entries)}
	w.table.f = f
	f.foot.Parts = w.filter.parts
	f.begin(secTable)
	return w
}

// add takes the next entry.
func (w *tableWriter) add(e entry) {
	if w.n > 0 && w.group[0].token != e.token {
		w.settle()
	}
	if w.n > 0 && w.group[w.n-1] == e {
		return
	}
	if w.n <= maxShared {
		w.group[w.n] = e
		w.n++
	}
}

// settle writes the token in hand.
func (w *tableWriter) settle() {
	n := w.n
	w.n = 0
	if n > maxShared {
		w.f.foot.Common++
		return
	}
	for _, e := range w.group[:n] {
		if w.table.n == 0 {
			w.dir = binary.BigEndian.AppendUint64(w.dir, e.hi)
		}
		w.table.add(e.hi, e.lo, e.ref)
		w.f.foot.Entries++
		w.f.foot.Tokens[e.ref&3]++
	}
	if n > 0 {
		w.filter.add(w.group[0].hi)
	}
}

// close writes what stands behind the table.
func (w *tableWriter) close() error {
	w.settle()
	w.table.flush()
	filter, err := w.filter.close()
	if err != nil {
		return err
	}
	f := w.f
	f.end(secTable)
	f.begin(secDir)
	f.write(w.dir)
	f.end(secDir)
	f.begin(secFilter)
	f.write(filter)
	f.end(secFilter)
	return f.err
}
