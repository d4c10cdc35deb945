package extract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// ChildArg is the first argument of an extraction child. A program that makes
// a Pool serves a formats.Process, and does nothing else, when os.Args[1] is
// ChildArg.
const ChildArg = "worker-extract"

// readerVersion counts what is read and how: a change makes verdicts of before
// stale. Semantic version 2.0.0.
const readerVersion = "0.50.0"

// ErrBusy says that Config.Queue documents wait already.
var ErrBusy = errors.New("extract: too many documents wait")

// ErrClosed says that the Pool is closed.
var ErrClosed = errors.New("extract: pool is closed")

// Metrics counts children. Its methods are called from many goroutines.
type Metrics interface {
	ExtractSandbox(layer string, abi int) // layer is landlock or seccomp; 0: children are not locked in by it
	ExtractStarted()
	ExtractKill(cause dlp.Cause) // timeout, too_large or crashed
}

// Deps are a Pool's neighbours.
type Deps struct {
	Log     *slog.Logger // nil: nothing is logged
	Metrics Metrics      // nil: nothing is counted

	// CacheDir is where compiled pdfium is kept from one run to the next, in a
	// folder of its own with mode 0700. "": a temporary folder of the Pool's
	// own, gone with Close.
	CacheDir string
}

// Pool keeps children and hands them documents. Its methods may be called
// from many goroutines.
type Pool struct {
	cfg Config
	log *slog.Logger
	met Metrics

	lanes   [wire.Skills]lane
	without string // a call to leave off the children's list, "" but in a test of it
	closing chan struct{}
	within  time.Duration // closeWithin, but in a test of it
	once    sync.Once

	// children counts the goroutines that own a child process each, and guard's.
	children sync.WaitGroup
	guard    guard

	ocrOnce   sync.Once
	ocrFound  atomic.Pointer[program]  // tesseract; nil: not looked for yet
	passwords atomic.Pointer[[]string] // for encrypted parts; nil: none

	warming chan struct{} // holds one token; guards the three below
	warm    atomic.Bool   // compiled pdfium lies in cache
	cache   string
	temp    string // folder to remove in Close, "" for none
}

// lane is the children of one skill: documents that need another wait elsewhere.
type lane struct {
	// slots holds the lane's places: an idle child, or nil where one is still to be
	// started. Who takes a place puts it back.
	slots   chan *child
	waiting atomic.Int64
}

// NewPool returns a Pool that tries the passwords in cfg.PasswordsFile. It starts no child before the first document.
func NewPool(cfg Config, d Deps) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Pool{cfg: cfg, log: d.Log, met: d.Metrics, closing: make(chan struct{}), within: closeWithin, warming: make(chan struct{}, 1)}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.met == nil {
		p.met = noMetrics{}
	}
	if d.CacheDir != "" {
		dir, err := filepath.Abs(filepath.Join(d.CacheDir, "pdfium"))
		if err != nil {
			return nil, fmt.Errorf("extract: cache folder: %w", err)
		}
		p.cache = dir
	}
	if err := p.LoadPasswords(cfg.PasswordsFile); err != nil {
		return nil, err
	}
	p.warming <- struct{}{}
	for skill, places := range [wire.Skills]int{wire.Plain: cfg.Children(), wire.PDF: cfg.PDFChildren(), wire.OCR: max(1, cfg.OCR.Workers)} {
		p.lanes[skill].slots = make(chan *child, places)
		for range places {
			p.lanes[skill].slots <- nil
		}
	}
	return p, nil
}

type noMetrics struct{}

func (noMetrics) ExtractSandbox(string, int) {}
func (noMetrics) ExtractStarted()            {}
func (noMetrics) ExtractKill(dlp.Cause)      {}

// Version names what reads: a change of it means that a document may read
// differently than before. It is "VERSION+pdfium.LIBRARY", and where OCR
// has said that pictures are read "+tesseract.VERSION" with the languages.
func (p *Pool) Version() string {
	lib := "unknown"
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, m := range bi.Deps {
			if m.Path == "github.com/klippa-app/go-pdfium" {
				lib = m.Version
			}
		}
	}
	v := readerVersion + "+pdfium." + lib
	if f := p.ocrFound.Load(); f != nil && f.lacks == "" {
		v += "+tesseract." + f.version + "." + strings.Join(p.cfg.OCR.Languages, ".")
	}
	return v
}

// Extract reads doc and hands sink what it finds. nil means that every piece
// of doc was either handed to sink or told to it as a Gap. An error means that
// this is not so: ctx ended, the sink refused (its error is wrapped), no child
// could be started, doc could not be opened or read, ErrBusy or ErrClosed.
// The end of ctx is seen within some 20 ms; a document read by then is read.
func (p *Pool) Extract(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error {
	if ctx.Err() != nil { // nothing is begun for a client that has gone
		return fmt.Errorf("extract: %s: %w", doc.ID, context.Cause(ctx))
	}
	r := newRun(p, doc, sink)
	for {
		skill := r.skill
		c, err := p.take(ctx, skill)
		if err != nil {
			return err
		}
		r.entered()
		err = r.read(ctx, &c)
		p.giveBack(skill, c)
		if err != nil || r.skill == skill {
			return err
		}
		if err := r.canMove(ctx, skill); err != nil {
			return err
		}
	}
}

// read reads on with children of one skill, beginning with c, until the document
// is done or needs another. It leaves in c what goes back to the lane.
func (r *run) read(ctx context.Context, c **child) (err error) {
	for skill := r.skill; ; {
		if *c == nil {
			if *c, err = r.p.spawn(skill); err != nil {
				return fmt.Errorf("extract: start child for %s: %w", r.doc.ID, err)
			}
		}
		again, err := r.try(ctx, *c)
		if (*c).ended() {
			(*c).free()
			*c = (*c).successor()
		}
		if err != nil || !again || r.skill != skill {
			return err
		}
	}
}

// take waits for a place among the children with that skill.
func (p *Pool) take(ctx context.Context, skill wire.Skill) (*child, error) {
	l := &p.lanes[skill]
	if l.waiting.Add(1) > int64(p.cfg.Queue)+int64(cap(l.slots)) {
		l.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer l.waiting.Add(-1)
	select {
	case <-p.closing:
		return nil, ErrClosed
	default:
	}
	select {
	case c := <-l.slots:
		if c != nil && c.ended() { // it died while it was idle
			c.free()
			c = c.successor()
		}
		return c, nil
	case <-p.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("extract: wait for a child: %w", context.Cause(ctx))
	}
}

func (p *Pool) put(skill wire.Skill, c *child) { p.lanes[skill].slots <- c }

// closeWithin is how long Close lets an idle child end by itself. One that is
// stopped or hangs in the kernel never would; serve's own end is promised.
const closeWithin = 2 * time.Second

// Close waits for the documents in hand, ends every child and removes the
// temporary cache folder. Later calls of Extract return ErrClosed.
func (p *Pool) Close() error {
	var err error
	p.once.Do(func() {
		close(p.closing)
		for i := range p.lanes {
			for range cap(p.lanes[i].slots) {
				c := <-p.lanes[i].slots
				p.children.Go(func() { // none waits for another that hangs
					for ; c != nil; c = c.successor() {
						c.stop(p.closing, p.within)
					}
				})
			}
		}
		<-p.warming
		p.children.Wait()
		if p.temp != "" {
			err = os.RemoveAll(p.temp)
		}
	})
	return err
}
