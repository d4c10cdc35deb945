package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Op says what a frame is.
type Op byte

// Frames from the parent to the child.
const (
	OpStart Op = 'I' // a Start: the first frame, what the child is to be
	OpJob   Op = 'J' // a Job: a document follows
	OpData  Op = 'D' // the document's next bytes, at most MaxData
	OpEnd   Op = 'E' // the document's end; empty
	OpLost  Op = 'L' // the document's end: the parent could not read the rest; empty
	OpWarm  Op = 'W' // compile pdfium into the cache folder named, and prove it
	OpRun   Op = 'U' // become the Start's Program: all that follows is its standard input; empty
	OpWords Op = 'K' // a Words, on a pipe of its own: what was read of the page that the child told
	OpTry   Op = 'Y' // try what a locked child may not do, by the trial's name; the child answers OpTold
)

// Frames from the child to the parent.
const (
	OpReady  Op = 'R' // a Ready: the child waits for a job
	OpBegin  Op = 'B' // a Unit is about to be parsed
	OpFinish Op = 'F' // the innermost unit is done; empty
	OpPart   Op = 'P' // a PartInfo: closes the part before
	OpText   Op = 'T' // a Window of the open part
	OpGap    Op = 'G' // a Gap
	OpNamed  Op = 'K' // what a mail names as passwords, once it is read; only where the Job asks
	OpStop   Op = 'S' // no more of the document's bytes are wanted; empty
	OpWant   Op = 'A' // a Skill that the rest of the document needs; the child tells no more of it
	OpPage   Op = 'O' // a Page that is to be read, in OpPixels frames; the child waits for OpWords
	OpPixels Op = 'X' // the page's next pixels, at most MaxChunk
	OpTold   Op = 'V' // how OpTry failed, in words; empty: it did not
	OpDone   Op = 'N' // the job is done; empty
)

// MaxFrame is the most bytes a frame carries after its head: a Window of
// dlp.MaxWindow bytes with MaxSpans spans and their labels fits.
const MaxFrame = 4 << 20

// MaxData is the most document bytes in one OpData frame.
const MaxData = 256 << 10

// headLen is the length of a frame's head: the op and a little-endian uint32.
const headLen = 5

// ErrFrame is wrapped by every error that says the other side sent something
// which this package does not send.
var ErrFrame = errors.New("wire: not a frame")

// Write sends one frame. b is at most MaxFrame bytes.
func Write(w io.Writer, op Op, b []byte) error {
	if len(b) > MaxFrame {
		return fmt.Errorf("wire: frame of %d bytes is longer than %d", len(b), MaxFrame)
	}
	var h [headLen]byte
	h[0] = byte(op)
	binary.LittleEndian.PutUint32(h[1:], uint32(len(b)))
	if _, err := w.Write(h[:]); err != nil {
		return fmt.Errorf("wire: write frame: %w", err)
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("wire: write frame: %w", err)
	}
	return nil
}

// Reader reads frames. The zero Reader is not usable; make one with NewReader.
type Reader struct {
	r   io.Reader
	buf []byte
	got int64
}

// NewReader returns a Reader of the frames in r. It reads no further than the
// frame asked for, so a buffered r is the faster one.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Got returns how many bytes the frames had that were returned so far.
func (r *Reader) Got() int64 { return r.got }

// Next returns the next frame. Its bytes are valid until the next call. The
// error is io.EOF at a clean end between frames, ErrFrame for a length past
// MaxFrame, else the reader's.
func (r *Reader) Next() (Op, []byte, error) {
	var h [headLen]byte
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		if err == io.EOF {
			return 0, nil, io.EOF
		}
		return 0, nil, fmt.Errorf("wire: read head: %w", err)
	}
	n := int(binary.LittleEndian.Uint32(h[1:]))
	if n > MaxFrame {
		return 0, nil, fmt.Errorf("%w: length %d", ErrFrame, n)
	}
	if cap(r.buf) < n {
		r.buf = make([]byte, max(n, 4096))
	}
	b := r.buf[:n]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return 0, nil, fmt.Errorf("wire: read frame: %w", err)
	}
	r.got += headLen + int64(n)
	return Op(h[0]), b, nil
}
