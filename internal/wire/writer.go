package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unsafe"
)

// SharedSize is the size in bytes of the memory that a child and its parent
// share: what a Writer keeps, and the two numbers before it.
const SharedSize = 256<<10 + sharedHead

const (
	// sharedHead is the length of what stands before the frames: how many
	// bytes were sent before them, and how many bytes they have. Each is a
	// uint64 in the machine's order.
	sharedHead = 16
	// flushAt is how many bytes are sent without being asked to, so that
	// the parent works on them while the child makes more.
	flushAt = 64 << 10
)

// Writer is the child's way out: frames that are sent a few at a time, in one
// write. They lie in memory that the parent can read when the child is gone
// (Left), so a frame counts as told from the moment Put returns, sent or not.
type Writer struct {
	out  io.Writer
	mem  []byte
	n    int // bytes of frames in mem
	last time.Time
}

// NewWriter returns a Writer that writes to out and keeps what is not yet
// written in mem, of SharedSize bytes and beginning at a multiple of eight.
// With nil mem it is in memory of its own, which nobody else reads.
func NewWriter(out io.Writer, mem []byte) *Writer {
	if len(mem) < SharedSize {
		mem = make([]byte, SharedSize)
	}
	return &Writer{out: out, mem: mem, last: time.Now()}
}

// Put adds one frame. b is at most MaxFrame bytes.
func (w *Writer) Put(op Op, b []byte) error {
	if len(b) > MaxFrame {
		return fmt.Errorf("wire: frame of %d bytes is longer than %d", len(b), MaxFrame)
	}
	if room := len(w.mem) - sharedHead - w.n; room < headLen+len(b) {
		if err := w.Flush(); err != nil {
			return err
		}
		if room = len(w.mem) - sharedHead; room < headLen+len(b) {
			return w.direct(op, b)
		}
	}
	to := w.mem[sharedHead+w.n:]
	to[0] = byte(op)
	binary.LittleEndian.PutUint32(to[1:], uint32(len(b)))
	copy(to[headLen:], b)
	w.n += headLen + len(b)
	w.counter(1).Store(uint64(w.n)) // only now is the frame there
	if w.n >= flushAt {
		return w.Flush()
	}
	return nil
}

// direct sends a frame that is longer than what can be kept.
func (w *Writer) direct(op Op, b []byte) error {
	if err := Write(w.out, op, b); err != nil {
		return err
	}
	w.counter(0).Add(uint64(headLen + len(b)))
	return nil
}

// Flush sends all frames.
func (w *Writer) Flush() error {
	w.last = time.Now()
	if w.n == 0 {
		return nil
	}
	if _, err := w.out.Write(w.mem[sharedHead : sharedHead+w.n]); err != nil {
		return fmt.Errorf("wire: write frames: %w", err)
	}
	w.counter(1).Store(0)
	w.counter(0).Add(uint64(w.n))
	clear(w.mem[sharedHead : sharedHead+w.n]) // a text is not kept until the process ends
	w.n = 0
	return nil
}

// Since returns how long ago the parent was last sent something.
func (w *Writer) Since() time.Duration { return time.Since(w.last) }

// counter is the i-th number before the frames. It is stored in one piece, and
// after what was written before.
func (w *Writer) counter(i int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&w.mem[8*i]))
}

// Left returns the frames in mem, the memory of a Writer whose process is
// gone, that follow the first got bytes of all it told: those of the frames
// that were received. It returns nil where there are none, or mem holds what no
// Writer leaves. The frames are as little trusted as others.
func Left(mem []byte, got int64) []byte {
	if len(mem) < sharedHead {
		return nil
	}
	sent, n := binary.NativeEndian.Uint64(mem), binary.NativeEndian.Uint64(mem[8:])
	if n > uint64(len(mem)-sharedHead) || uint64(got) < sent || uint64(got)-sent >= n {
		return nil
	}
	return mem[sharedHead:][:n][uint64(got)-sent:]
}
