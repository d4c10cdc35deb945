package formats

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// maxStack ends a runaway recursion before it eats the child's memory; the
// runtime's own bound is 1 GiB. The parsers here do not recurse by the input.
const maxStack = 64 << 20

// freeAfter is the number of held bytes after which memory goes back to the
// system at the end of a job, so that an idle child is small.
const freeAfter = 8 << 20

// Child is an extraction child's ends.
type Child struct {
	In  io.Reader // jobs come from here
	Out io.Writer // what is read of them goes here
	// Mem is shared with the parent, as wire.NewWriter has it; nil: nothing is.
	Mem []byte
	// Lock is nil, or what locks the process in once all it needs is open and
	// before it reads a byte of a document. With it, a Start comes first.
	Lock func(wire.Start) (wire.Ready, error)
	// Answers is nil, or where the words of pages come from, for a child that asks
	// for them.
	Answers io.Reader
	// Become turns the process into a program, and returns only if it cannot.
	Become func(*wire.Program) error
	// OnBegin is nil, or called when a unit has been announced; for tests of
	// children that break.
	OnBegin func(wire.Unit)
}

// Serve is the child's main loop, until In ends. It returns nil at a clean end,
// else why it cannot go on. It writes nothing anywhere else.
func (ch Child) Serve() error {
	debug.SetMaxStack(maxStack)
	c := &conn{r: wire.NewReader(bufio.NewReaderSize(ch.In, 64<<10)), w: wire.NewWriter(ch.Out, ch.Mem), begun: ch.OnBegin}
	var pdf pdfReader
	s, err := ch.start(c, &pdf)
	if err != nil {
		return fmt.Errorf("formats: start: %w", err)
	}
	if s.Program != nil {
		return ch.become(c, s.Program)
	}
	var pages *ocr
	if s.Skill >= wire.OCR && ch.Answers != nil {
		pages = &ocr{answers: wire.NewReader(ch.Answers)}
	}
	for {
		op, b, err := c.r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("formats: next job: %w", err)
		}
		switch op {
		case wire.OpWarm:
			if err := pdf.prove(string(b)); err != nil {
				return fmt.Errorf("formats: warm: %w", err)
			}
		case wire.OpTry:
			if err := c.tell(wire.OpTold, tried(string(b))); err != nil {
				return err
			}
			continue
		case wire.OpJob:
			head, err := wire.DecodeJob(b)
			if err != nil {
				return fmt.Errorf("formats: job: %w", err)
			}
			if err := serveJob(c, head, &pdf, pages); err != nil {
				return fmt.Errorf("formats: job: %w", err)
			}
		default:
			return fmt.Errorf("formats: %w: op %q", wire.ErrFrame, op)
		}
		if err := c.tell(wire.OpDone, nil); err != nil {
			return err
		}
	}
}

// start makes the child what its parent wants it to be, and says so.
func (ch Child) start(c *conn, pdf *pdfReader) (s wire.Start, err error) {
	var ready wire.Ready
	if ch.Lock != nil {
		op, b, err := c.r.Next()
		if err != nil {
			return s, err
		}
		if op != wire.OpStart {
			return s, fmt.Errorf("%w: op %q", wire.ErrFrame, op)
		}
		if s, err = wire.DecodeStart(b); err != nil {
			return s, err
		}
		if s.Skill >= wire.PDF {
			if err := pdf.prove(cacheFolder); err != nil {
				return s, err
			}
			debug.FreeOSMemory() // what loading it took
		}
		if ready, err = ch.Lock(s); err != nil {
			return s, err
		}
	}
	return s, c.tell(wire.OpReady, wire.AppendReady(nil, ready))
}

// become waits to be told, and is the program from then on. Nothing is read ahead:
// what follows is the program's.
func (ch Child) become(c *conn, p *wire.Program) error {
	frames := wire.NewReader(ch.In)
	for {
		op, b, err := frames.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("formats: wait to run: %w", err)
		case op == wire.OpTry:
			if err := c.tell(wire.OpTold, tried(string(b))); err != nil {
				return err
			}
		case op == wire.OpRun:
			return fmt.Errorf("formats: become a program: %w", ch.Become(p))
		default:
			return fmt.Errorf("formats: %w: op %q", wire.ErrFrame, op)
		}
	}
}

// tried tries what a locked child may not do and says how that failed.
func tried(name string) []byte {
	err := sandbox.Try(name)
	if err == nil {
		return nil
	}
	words := err.Error()
	if sandbox.Refused(err) {
		words = wire.Refused + words
	}
	return []byte(words[:min(len(words), wire.MaxTold)])
}

func serveJob(c *conn, head *wire.Job, pdf *pdfReader, pages *ocr) error {
	c.ended, c.rest = false, nil
	j := newJob(c, head, pdf, pages)
	defer j.pw.wipe()
	j.document(head)
	j.out.window() // it goes out with OpDone or OpStop
	if len(j.pw.named) > 0 {
		j.out.send(wire.OpNamed, wire.AppendNamed(j.out.frame[:0], j.pw.named))
	}
	moved := errors.Is(j.out.err, errMoved)
	c.reuse(j)
	if j.peak > freeAfter {
		j.out.flush() // first, since this takes a while
		debug.FreeOSMemory()
	}
	if j.out.err != nil && !moved {
		return j.out.err
	}
	return c.drain()
}

// conn is the child's end of the pipes. It is the io.Reader of the document at
// hand.
type conn struct {
	r     *wire.Reader
	w     *wire.Writer
	begun func(wire.Unit)
	rest  []byte // of the data frame at hand
	ended bool   // the document's end was seen

	// Lent to one document after another, nil while in use.
	doc         *bufio.Reader
	copied      []byte // of copyText
	loaded      []byte // of load
	frame, text []byte // of the emitter
	xml         xmlScanner
}

// most that is kept of a buffer from one document to the next, in bytes
const maxReused = 256 << 10

// most that is kept of a document's own
const maxLoaded = 2 << 20

// lend returns an empty buffer for n bytes.
func (c *conn) lend(n int64) []byte {
	if b := c.loaded; int64(cap(b)) >= n {
		c.loaded = nil
		return b
	}
	return make([]byte, 0, n)
}

// reuse takes back what a job that has ended was lent.
func (c *conn) reuse(j *job) {
	if j.whole != nil && cap(j.whole) <= maxLoaded {
		c.loaded = j.whole[:0]
	}
	out := j.out
	c.frame, c.text = nil, nil
	if cap(out.frame) <= maxReused {
		c.frame = out.frame[:0]
	}
	if cap(out.text) <= maxReused {
		c.text = out.text[:0]
	}
}

// document returns the reader of the document at hand.
func (c *conn) document() *bufio.Reader {
	if c.doc == nil {
		c.doc = bufio.NewReaderSize(c, headSize)
	}
	c.doc.Reset(c)
	return c.doc
}

// tell writes one frame and sends all that is buffered.
func (c *conn) tell(op wire.Op, b []byte) error {
	if err := c.w.Put(op, b); err != nil {
		return err
	}
	return c.w.Flush()
}

// Read reads the document at hand. io.ErrUnexpectedEOF: the parent could not
// read the rest of it.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		op, b, err := c.r.Next()
		if err != nil {
			return 0, err
		}
		switch op {
		case wire.OpData:
			c.rest = b
		case wire.OpEnd:
			c.ended = true
		case wire.OpLost:
			c.ended = true
			return 0, io.ErrUnexpectedEOF
		default:
			return 0, wire.ErrFrame
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// drain asks for no more of the document and waits for its end.
func (c *conn) drain() error {
	if c.ended {
		return nil
	}
	if err := c.tell(wire.OpStop, nil); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}

// errMoved says that a child which can read more takes the document on.
var errMoved = errors.New("formats: another child reads on")

// want has the parent give the rest of the document to a child with that skill.
// Nothing more is told by this one.
func (j *job) want(s wire.Skill) {
	j.out.window()
	if j.out.err == nil {
		j.out.err = j.conn.tell(wire.OpWant, wire.AppendSkill(nil, s))
	}
	if j.out.err == nil {
		j.out.err = errMoved
	}
}
