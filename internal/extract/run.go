package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/chunk"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// maxItems is how many parts and gaps a child may tell of for each member that
// it may read: a part, its MIME header, a second reading and a gap of each.
const maxItems = 8

// maxBlanks is how many children may break on a document before they begin it.
const maxBlanks = 2

// run is one document on its way through one child after another. It belongs
// to the goroutine of Extract.
type run struct {
	p    *Pool
	doc  *dlp.Document
	sink dlp.Sink

	passwords []string         // for encrypted parts, the likeliest first
	names     dlp.PasswordSink // hears what the document names as passwords; nil: nobody does

	skill wire.Skill // what the rest of it needs
	most  wire.Skill // that any child has
	left  time.Time  // when it gave its child back, to wait for another; zero before

	pages   int           // that the program read, or did not
	reading time.Duration // how long that took

	restarts int                 // children that broke on a unit
	blanks   int                 // children that broke before any
	end      time.Time           // when the document's own time is up; moved by what is not its fault
	parts    map[string]struct{} // delivered by children before this one
	gaps     map[dlp.Gap]struct{}
	done     []string // units that were read to their end
	broken   []string // units that broke one
}

func newRun(p *Pool, doc *dlp.Document, sink dlp.Sink) *run {
	r := &run{p: p, doc: doc, sink: sink, most: wire.PDF}
	if p.ocrThere() {
		r.most = wire.OCR
	}
	if pw := p.passwords.Load(); pw != nil {
		r.passwords = *pw
	}
	if s, ok := sink.(dlp.PasswordSink); ok && doc.Channel == dlp.Mail && p.cfg.PasswordTries > 0 {
		r.names = s
		r.passwords = takingTurns(s.Passwords(), r.passwords)
	}
	r.passwords = slices.Concat(doc.Passwords, r.passwords)
	return r
}

// entered gives the document back the time it waited for a child.
func (r *run) entered() {
	if r.left.IsZero() { // it begins
		r.end = time.Now().Add(r.p.cfg.DocumentTimeout.D())
		return
	}
	r.end = r.end.Add(time.Since(r.left))
}

// canMove sees to it that there can be a child of the skill that the rest of the
// document needs; has is that of the child at hand. Where none can be had, what
// needs it is a gap, and the rest is read without.
func (r *run) canMove(ctx context.Context, has wire.Skill) error {
	r.left = time.Now()
	if s, ok := r.sink.(dlp.SlowSink); ok {
		slow := dlp.PDFReader
		if r.skill == wire.OCR {
			slow = dlp.OCRReader
		}
		err := s.Slow(ctx, slow)
		if errors.Is(err, dlp.ErrWithout) {
			r.most, r.skill = r.skill-1, has
			return nil
		}
		if err != nil {
			return fmt.Errorf("extract: %s: %w", r.doc.ID, err)
		}
	}
	if r.skill == wire.OCR {
		if f := r.p.ocr(); f.lacks != "" { // it was there, and cannot be used
			r.most, r.skill = wire.PDF, has
			return nil
		}
	}
	err := r.p.Warm(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrSandbox):
		return fmt.Errorf("extract: %s: %w", r.doc.ID, err)
	}
	r.p.log.LogAttrs(ctx, slog.LevelError, "pdf reader cannot be had", slog.String("doc", string(r.doc.ID)))
	r.skill, r.most = wire.Plain, wire.Plain
	return nil
}

// try reads the document with c. again means that c broke and is gone, that
// what broke it has been told to the sink, and that the rest is still to read.
func (r *run) try(ctx context.Context, c *child) (again bool, err error) {
	f, err := r.doc.Open()
	if err != nil {
		c.kill()
		return false, fmt.Errorf("extract: open %s: %w", r.doc.ID, err)
	}
	t := &try{run: r, c: c, items: maxItems * (r.p.cfg.MaxMembers + 16),
		parts: map[string]struct{}{}, sent: make(chan struct{})}
	t.watch = watch{part: time.Now().Add(r.p.cfg.PartTimeout.D()), end: r.end, limit: int64(r.p.memory(c.skill))}

	var wg sync.WaitGroup
	r.p.enter(ctx, t)
	if r.doc.Channel == dlp.Mail && r.doc.Size <= smallDocument-4096 { // the rest is for the job
		t.send(f) // the pipe is empty: it takes all of it at once
	} else {
		wg.Go(func() { t.send(f) })
	}
	err = t.receive(ctx)
	r.p.guard.leave(t)
	if err != nil {
		c.end() // also so that a write which nobody reads ends
	}
	wg.Wait()
	_ = f.Close() // it was only read
	if err == nil {
		r.moved(t)
		return false, nil
	}
	defer c.free()
	if t.wants > r.skill && ctx.Err() == nil && t.readErr == nil { // it was slow to let go, or broke then
		r.moved(t)
		return false, nil
	}
	if errors.Is(err, errBroken) && ctx.Err() == nil && t.readErr == nil {
		err = t.receiveLeft()
	}
	r.end = t.watch.end
	switch {
	case ctx.Err() != nil:
		return false, fmt.Errorf("extract: %s: %w", r.doc.ID, context.Cause(ctx))
	case t.readErr != nil:
		return false, fmt.Errorf("extract: read %s: %w", r.doc.ID, t.readErr)
	}
	if se, ok := errors.AsType[*sinkError](err); ok {
		return false, fmt.Errorf("extract: %s: %w", r.doc.ID, se.err)
	}
	return r.stepOver(ctx, t)
}

// moved notes what t's child has dealt with, if it wants another to go on.
func (r *run) moved(t *try) {
	r.end = t.watch.until()
	if t.wants > r.skill {
		r.keepParts(t)
		r.skill = t.wants
	}
}

// keepParts notes the parts that t's child has delivered.
func (r *run) keepParts(t *try) {
	if r.parts == nil {
		r.parts = make(map[string]struct{}, len(t.parts))
	}
	for path := range t.parts {
		r.parts[path] = struct{}{}
	}
}

// stepOver tells the sink what c broke on and says whether to go on without.
func (r *run) stepOver(ctx context.Context, t *try) (again bool, err error) {
	cause := t.watch.reason()
	r.p.met.ExtractKill(cause)
	var unit wire.Unit
	if n := len(t.stack); n > 0 {
		unit = t.stack[n-1]
	}
	r.p.log.LogAttrs(ctx, slog.LevelWarn, "extraction child ended", slog.String("doc", string(r.doc.ID)),
		slog.String("part", unit.Path), slog.String("cause", cause.String()), slog.String("result", t.c.ending()))

	if t.begun {
		r.restarts++
	} else {
		r.blanks++ // it died while it was idle: nothing of this document did it
	}
	whole := unit.Path == "" && t.begun || r.restarts > r.p.cfg.MaxRestarts || r.blanks > maxBlanks || t.watch.over()
	r.keepParts(t)
	if unit.Path != "" {
		r.broken = append(r.broken, unit.Path)
		if err := r.gap(dlp.Gap{Path: unit.Path, Name: unit.Name, Cause: cause}); err != nil {
			return false, err
		}
	}
	if whole {
		return false, r.gap(dlp.Gap{Cause: cause, Detail: "rest of the document"})
	}
	return true, nil
}

func (r *run) gap(g dlp.Gap) error {
	if err := r.sink.Gap(g); err != nil {
		return fmt.Errorf("extract: %s: %w", r.doc.ID, err)
	}
	return nil
}

// skips lists the units that the next child leaves out.
func (r *run) skips() []wire.Skip {
	s := make([]wire.Skip, 0, len(r.done)+len(r.broken))
	for _, path := range r.broken {
		s = append(s, wire.Skip{Path: path, Broken: true})
	}
	for _, path := range r.done {
		s = append(s, wire.Skip{Path: path})
	}
	return s
}

// try is one child's go at the document.
type try struct {
	*run
	c     *child
	watch watch

	// Of the goroutine that receives.
	stack []wire.Unit
	begun bool
	items int
	parts map[string]struct{} // delivered by this child
	open  bool                // a part is open
	drop  bool                // an earlier child delivered the open part
	next  int64               // offset of the open part's next window
	wants wire.Skill          // that the rest needs, once the child has said so

	// Of the goroutine that sends, until sent is closed.
	readErr error
	sent    chan struct{}
	stop    atomic.Bool // the child wants no more bytes
}

// sinkError is an error of the sink's, not of the child's.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }

// errBroken says that the child ended, or sent what no child sends.
var errBroken = errors.New("extract: child broke")

// send hands the document to the child. An error of the pipe is not kept: who
// receives sees it too.
func (t *try) send(f io.Reader) {
	defer close(t.sent)
	job := wire.Job{Size: t.doc.Size, Mail: t.doc.Channel == dlp.Mail, Most: t.most, Logos: t.p.cfg.OCR.Logos, Burned: t.p.cfg.TrustBurnedIn, Limits: t.p.cfg.limits(), Skip: t.skips(),
		Passwords: t.passwords, Names: t.names != nil, Tries: t.p.cfg.PasswordTries + 2*len(t.doc.Passwords), TriesAll: t.p.cfg.MaxPasswordTries + 2*len(t.doc.Passwords)} // they take turns with what the document names
	if wire.Write(t.c.w, wire.OpJob, wire.AppendJob(nil, &job)) != nil {
		return
	}
	buf := t.c.room(t.doc.Size)
	defer clear(buf) // it held the document
	for !t.stop.Load() {
		n, ended, err := chunk.Read(buf, f)
		if n > 0 && wire.Write(t.c.w, wire.OpData, buf[:n]) != nil {
			return
		}
		if ended {
			break
		}
		if err != nil {
			t.readErr = err
			_ = t.c.tell(wire.OpLost, nil) // the error is told anyway
			return
		}
	}
	_ = t.c.tell(wire.OpEnd, nil)
}

// receive relays what the child tells until it is done. A nil error means that
// the child has read the document and waits for the next.
func (t *try) receive(ctx context.Context) error {
	for {
		op, b, err := t.c.r.Next()
		if err != nil {
			return errBroken
		}
		switch op {
		case wire.OpStop:
			t.stop.Store(true)
		case wire.OpWant:
			err = t.want(b)
		case wire.OpPage:
			if t.wants > 0 {
				return errBroken
			}
			err = t.page(ctx, b)
		case wire.OpDone:
			if len(t.stack) > 0 && t.wants == 0 {
				return errBroken
			}
			<-t.sent
			return t.readErr
		default:
			if t.wants > 0 {
				return errBroken
			}
			err = t.relay(op, b)
		}
		if err != nil {
			return err
		}
	}
}

// receiveLeft relays what a child that broke had told before it did, and returns
// errBroken or the sink's error.
func (t *try) receiveLeft() error {
	frames := t.c.left()
	for {
		op, b, err := frames.Next()
		if err != nil {
			return errBroken
		}
		if err := t.relay(op, b); err != nil {
			return err
		}
	}
}

// relay hands on one frame about the document.
func (t *try) relay(op wire.Op, b []byte) error {
	switch op {
	case wire.OpBegin:
		return t.begin(b)
	case wire.OpFinish:
		return t.finish()
	case wire.OpPart:
		return t.part(b)
	case wire.OpText:
		return t.text(b)
	case wire.OpGap:
		return t.gapFrom(b)
	case wire.OpNamed:
		return t.named(b)
	}
	return errBroken
}

func (t *try) begin(b []byte) error {
	u, err := wire.DecodeUnit(b)
	if err != nil || len(t.stack) > t.p.cfg.MaxDepth*4 {
		return errBroken
	}
	t.begun = true
	t.stack = append(t.stack, u)
	t.restartClock()
	return nil
}

func (t *try) finish() error {
	n := len(t.stack)
	if n == 0 {
		return errBroken
	}
	t.done = append(t.done, t.stack[n-1].Path)
	t.stack = t.stack[:n-1]
	t.open = false
	t.restartClock()
	return nil
}

func (t *try) restartClock() {
	d := t.p.cfg.PartTimeout.D()
	if n := len(t.stack); n > 0 && t.stack[n-1].Class == wire.Slow {
		d = t.p.cfg.PDFTimeout.D()
	}
	t.watch.restart(d, 0)
}

func (t *try) part(b []byte) error {
	p, err := wire.DecodePart(b)
	if err != nil || t.items == 0 {
		return errBroken
	}
	t.items--
	if _, twice := t.parts[p.Path]; twice {
		return errBroken
	}
	t.parts[p.Path] = struct{}{}
	_, t.drop = t.run.parts[p.Path]
	t.open, t.next = true, 0
	if t.drop {
		return nil
	}
	return t.deliver(func() error { return t.sink.Part(p) })
}

func (t *try) text(b []byte) error {
	w, err := wire.DecodeWindow(b)
	if err != nil || !t.open || w.Offset != t.next {
		return errBroken
	}
	t.next += int64(len(w.Text))
	if n := len(t.stack); n > 0 && t.stack[n-1].Class == wire.Stream {
		t.watch.restart(t.p.cfg.PartTimeout.D(), t.p.cfg.DocumentTimeout.D())
	}
	if t.drop {
		return nil
	}
	return t.deliver(func() error { return t.sink.Text(w) })
}

func (t *try) gapFrom(b []byte) error {
	g, err := wire.DecodeGap(b)
	if err != nil || t.items == 0 {
		return errBroken
	}
	t.items--
	if _, told := t.gaps[g]; told {
		return nil
	}
	if t.gaps == nil {
		t.gaps = map[dlp.Gap]struct{}{}
	}
	t.gaps[g] = struct{}{}
	return t.deliver(func() error { return t.sink.Gap(g) })
}

// named hands on what the document names as passwords. A child tells it once, at
// the document's end.
func (t *try) named(b []byte) error {
	words, err := wire.DecodeNamed(b)
	if err != nil || t.names == nil || len(words) == 0 || len(t.stack) > 0 {
		return errBroken
	}
	t.names.Named(words)
	t.names = nil
	return nil
}

// want notes what the rest of the document needs. The units at hand are that
// child's to begin again.
func (t *try) want(b []byte) error {
	s, err := wire.DecodeSkill(b)
	if err != nil || t.wants > 0 || s <= t.skill || s > t.most {
		return errBroken
	}
	t.wants = s
	return nil
}

// deliver calls the sink while the child's clock stands still.
func (t *try) deliver(f func() error) error {
	t.watch.pause()
	defer t.watch.resume()
	if err := f(); err != nil {
		return &sinkError{err}
	}
	return nil
}
