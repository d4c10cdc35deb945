package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unsafe"
)

// OutboxSize is the size in bytes of the memory that a child and its parent
// share: what an Outbox keeps, and the two numbers before it.
const OutboxSize = 256<<10 + outboxHead

const (
	// outboxHead is the length of what stands before the frames: how many
	// bytes were sent before them, and how many bytes they have. Each is a
	// uint64 in the machine's order.
	outboxHead = 16
	// outboxFull is how many bytes are sent without being asked to, so that
	// the parent works on them while the child makes more.
	outboxFull = 64 << 10
)

// Outbox is the child's way out: frames that are sent a few at a time, in one
// write. They lie in memory that the parent can read when the child is gone
// (Left), so a frame counts as told from the moment Put returns, sent or not.
type Outbox struct {
	w    io.Writer
	mem  []byte
	n    int // bytes of frames in mem
	last time.Time
}

// NewOutbox returns an Outbox that writes to w and keeps what is not yet
// written in mem, of OutboxSize bytes and beginning at a multiple of eight.
// With nil mem it is in memory of its own, which nobody else reads.
func NewOutbox(w io.Writer, mem []byte) *Outbox {
	if len(mem) < OutboxSize {
		mem = make([]byte, OutboxSize)
	}
	return &Outbox{w: w, mem: mem, last: time.Now()}
}

// Put adds one frame. b is at most MaxFrame bytes.
func (o *Outbox) Put(op Op, b []byte) error {
	if len(b) > MaxFrame {
		return fmt.Errorf("wire: frame of %d bytes is longer than %d", len(b), MaxFrame)
	}
	if room := len(o.mem) - outboxHead - o.n; room < headLen+len(b) {
		if err := o.Flush(); err != nil {
			return err
		}
		if room = len(o.mem) - outboxHead; room < headLen+len(b) {
			return o.direct(op, b)
		}
	}
	to := o.mem[outboxHead+o.n:]
	to[0] = byte(op)
	binary.LittleEndian.PutUint32(to[1:], uint32(len(b)))
	copy(to[headLen:], b)
	o.n += headLen + len(b)
	o.counter(1).Store(uint64(o.n)) // only now is the frame there
	if o.n >= outboxFull {
		return o.Flush()
	}
	return nil
}

// direct sends a frame that is longer than what can be kept.
func (o *Outbox) direct(op Op, b []byte) error {
	if err := Write(o.w, op, b); err != nil {
		return err
	}
	o.counter(0).Add(uint64(headLen + len(b)))
	return nil
}

// Flush sends all frames.
func (o *Outbox) Flush() error {
	o.last = time.Now()
	if o.n == 0 {
		return nil
	}
	if _, err := o.w.Write(o.mem[outboxHead : outboxHead+o.n]); err != nil {
		return fmt.Errorf("wire: write frames: %w", err)
	}
	o.counter(1).Store(0)
	o.counter(0).Add(uint64(o.n))
	o.n = 0
	return nil
}

// Since returns how long ago the parent was last sent something.
func (o *Outbox) Since() time.Duration { return time.Since(o.last) }

// counter is the i-th number before the frames. It is stored in one piece, and
// after what was written before.
func (o *Outbox) counter(i int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&o.mem[8*i]))
}

// Left returns the frames in mem, the memory of an Outbox whose process is
// gone, that follow the first got bytes of all it told: those of the frames
// that were received. It returns nil where there are none, or mem holds what no
// Outbox leaves. The frames are as little trusted as others.
func Left(mem []byte, got int64) []byte {
	if len(mem) < outboxHead {
		return nil
	}
	sent, n := binary.NativeEndian.Uint64(mem), binary.NativeEndian.Uint64(mem[8:])
	if n > uint64(len(mem)-outboxHead) || uint64(got) < sent || uint64(got)-sent >= n {
		return nil
	}
	return mem[outboxHead:][:n][uint64(got)-sent:]
}
