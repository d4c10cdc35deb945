package siem

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

const (
	lookEvery = time.Second
	maxBatch  = 100    // events that are sent before the cursor is written
	maxLook   = 20_000 // lines that are looked at before the rest of serve's work has its turn
	backoff   = time.Second
	maxWait   = time.Minute
	// LateAfter is how long an event waits before the alarm is raised.
	LateAfter = 15 * time.Minute
)

// Log is what is read of the audit log.
type Log interface {
	End() (audit.Place, error)
	Follow(ctx context.Context, from audit.Place, use func(line []byte, after audit.Place) bool) (audit.Place, bool, error)
	Since(ctx context.Context, t time.Time) (audit.Place, error)
	Checkpoint() ([]byte, error)
}

// Deps are what a Sender works with.
type Deps struct {
	Log      Log
	Dir      string // of the cursors: see Dir
	Hostname string
	Version  string // of stanch
	Logger   *slog.Logger
	Metrics  *metrics.Set
	OnStep   func(string) // for crash tests; may be nil
	// Skip reports documents of which nothing is told, as those of drills; nil: none.
	Skip func(dlp.ID) bool
}

// Sender tells all receivers.
type Sender struct {
	receivers []*receiver
}

// transport hands events to a receiver and returns how many, from the first on,
// it is known to have.
type transport interface {
	send(ctx context.Context, events []event) (int, error)
	close()
}

// receiver is one of them. All but late is of its one goroutine.
type receiver struct {
	Deps
	cfg   Config
	to    transport
	at    cursor
	dirty bool // at has gone on since it was written

	failing error // why the last try failed
	wait    time.Duration
	next    time.Time // not before then

	waiting atomic.Int64 // Unix time of the oldest event that waits; 0: none
}

// New reads secrets, certificates and cursors. A receiver that is new begins at
// the end of the log, which is written down at once.
func New(ctx context.Context, all []Config, d Deps) (*Sender, error) {
	s := &Sender{}
	if len(all) == 0 {
		return s, nil
	}
	if d.OnStep == nil {
		d.OnStep = func(string) {}
	}
	if err := safefile.MkdirAll(d.Dir); err != nil {
		return nil, err
	}
	var names []string
	for _, c := range all {
		r := &receiver{Deps: d, cfg: c}
		var err error
		if r.to, err = connect(&c, d.Version); err != nil {
			return nil, fmt.Errorf("siem: %s: %w", c.Name, err)
		}
		if err := r.open(ctx); err != nil {
			return nil, err
		}
		names = append(names, c.Name)
		s.receivers = append(s.receivers, r)
	}
	d.Metrics.SIEMs(names)
	return s, nil
}

// Check reads the secrets and certificates that New would, and says of each
// receiver what is wrong with them. The errors are *dlp.KeyError.
func Check(all []Config) (errs []error) {
	for i, c := range all {
		to, err := connect(&c, "")
		if e, ok := errors.AsType[*dlp.KeyError](err); ok {
			errs = append(errs, &dlp.KeyError{Key: fmt.Sprintf("siem[%d].%s", i, e.Key), Want: e.Want})
			continue
		}
		to.close()
	}
	return errs
}

// maxSecretFile bounds a file with a secret, in bytes.
const maxSecretFile = 256 << 10

// readSecret reads a file that its owner alone may read.
func readSecret(key, name string) ([]byte, error) {
	bad := func(want string) ([]byte, error) { return nil, &dlp.KeyError{Key: key, Want: want} }
	info, err := os.Stat(name)
	if err != nil {
		return bad("a file that can be read")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return bad("a file that its owner alone may read (chmod 600)")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return bad("a file that can be read")
	}
	if len(bytes.TrimSpace(b)) == 0 || len(b) > maxSecretFile {
		return bad("a file with the secret in it")
	}
	return b, nil
}

// connect makes the way to a receiver. Its errors are *dlp.KeyError.
func connect(c *Config, version string) (transport, error) {
	t, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	return newTransport(c, t, version)
}

// open reads the cursor, and finds the place anew where the log is another than
// the one it was taken in.
func (r *receiver) open(ctx context.Context) error {
	var err error
	r.at, err = readCursor(r.Dir, r.cfg.Name)
	if errors.Is(err, fs.ErrNotExist) {
		if r.at.Place, err = r.Log.End(); err != nil {
			return err
		}
		return r.at.write(r.Dir, r.cfg.Name)
	}
	if err != nil { // all of the log is sent again rather than none
		r.Logger.LogAttrs(ctx, slog.LevelError, "what was sent to a receiver is not known: all of the audit log is sent anew", slog.String("route", r.cfg.Name))
		r.at = cursor{}
		return nil
	}
	_, ok, err := r.Log.Follow(ctx, r.at.Place, func([]byte, audit.Place) bool { return false })
	if err != nil || ok {
		return err
	}
	// A backup was brought back that is older. What it has up to the last event
	// that was sent, the receiver has; what follows is new under old numbers.
	r.Logger.LogAttrs(ctx, slog.LevelWarn, "the audit log is another than the one a receiver was told of: it is told of what came after", slog.String("route", r.cfg.Name))
	r.at.Place, err = r.Log.Since(ctx, r.at.Time)
	return err
}

func newTransport(c *Config, t *tls.Config, version string) (transport, error) {
	if c.webhook() {
		return newWebhook(c, t, version)
	}
	return newSyslog(c, t, version), nil
}

// Run tells the receivers until ctx ends. It never stops of itself.
func (s *Sender) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, r := range s.receivers {
		wg.Go(func() { r.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Late reports whether an event waits for longer than LateAfter.
func (s *Sender) Late() bool {
	for _, r := range s.receivers {
		if at := r.waiting.Load(); at != 0 && time.Since(time.Unix(at, 0)) > LateAfter {
			return true
		}
	}
	return false
}

func (r *receiver) run(ctx context.Context) {
	defer r.to.close()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		for !time.Now().Before(r.next) && r.pass(ctx) && ctx.Err() == nil {
		}
		r.show()
		select {
		case <-ctx.Done():
			if r.dirty {
				r.save(ctx)
			}
			return
		case <-t.C:
		}
	}
}

// pass looks at the lines that follow and sends what is to be sent. It reports
// whether there may be more at once.
func (r *receiver) pass(ctx context.Context) (more bool) {
	var batch []event
	lines := 0
	read, ok, err := r.Log.Follow(ctx, r.at.Place, func(line []byte, after audit.Place) bool {
		if lines == maxLook || len(batch) == maxBatch {
			more = true
			return false
		}
		lines++
		if e, ok := wanted(line, r.Hostname); ok && (r.Skip == nil || !r.Skip(dlp.ID(e.Doc))) {
			e.after = after
			batch = append(batch, e)
		}
		return true
	})
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil || !ok:
		r.failed(ctx, failure("audit_log"))
		return false
	}
	if len(batch) > 0 {
		r.waiting.CompareAndSwap(0, batch[0].Time.Unix())
		n, err := r.to.send(ctx, batch)
		if n > 0 {
			r.OnStep("siem sent")
			last := batch[n-1]
			r.at.Place, r.at.Time = last.after, last.Time
			r.Metrics.SIEMSent(r.cfg.Name, n)
			r.save(ctx)
		}
		if err != nil {
			if ctx.Err() == nil {
				r.waiting.Store(batch[n].Time.Unix())
				r.failed(ctx, err)
			}
			return false
		}
		r.took(ctx)
	}
	if r.waiting.Store(0); read != r.at.Place {
		r.at.Place, r.dirty = read, true // what is not sent costs no write: it is looked at again after a crash
	}
	return more || r.mark(ctx)
}

// mark sends the checkpoint where it is time and the log has grown. It returns
// false: what follows can wait.
func (r *receiver) mark(ctx context.Context) bool {
	every := r.cfg.CheckpointEvery.D()
	if every == 0 || time.Since(r.at.Marked) < every && !r.at.Marked.After(time.Now()) {
		return false
	}
	note, err := r.Log.Checkpoint()
	if err != nil {
		return false // a log that was just begun has none
	}
	e := checkpoint(note, r.Hostname, time.Now())
	if e.ID != r.at.Checkpoint {
		if _, err := r.to.send(ctx, []event{e}); err != nil {
			if ctx.Err() == nil {
				r.failed(ctx, err)
			}
			return false
		}
		r.took(ctx)
	}
	r.at.Checkpoint, r.at.Marked = e.ID, time.Now()
	r.save(ctx)
	return false
}

// failed puts the next try off, and says so once.
func (r *receiver) failed(ctx context.Context, err error) {
	if r.failing == nil {
		r.Logger.LogAttrs(ctx, slog.LevelWarn, "a receiver of events does not take them; they wait in the audit log", slog.String("route", r.cfg.Name), safelog.Err(err))
	}
	r.failing = err
	r.Metrics.SIEMFailed(r.cfg.Name)
	r.wait = min(max(2*r.wait, backoff), maxWait)
	r.next = time.Now().Add(r.wait)
}

func (r *receiver) took(ctx context.Context) {
	if r.failing != nil {
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "a receiver of events takes them again", slog.String("route", r.cfg.Name))
	}
	r.failing, r.wait, r.next = nil, 0, time.Time{}
}

// save writes the cursor. Where that fails events are sent once more after a
// crash, under the same ids.
func (r *receiver) save(ctx context.Context) {
	if err := r.at.write(r.Dir, r.cfg.Name); err != nil {
		r.dirty = true
		r.Logger.LogAttrs(ctx, slog.LevelWarn, "how far a receiver of events has come was not written down", slog.String("route", r.cfg.Name), safelog.Err(err))
		return
	}
	r.dirty = false
}

// show tells the metrics how far behind the receiver is.
func (r *receiver) show() {
	behind := time.Duration(0)
	if at := r.waiting.Load(); at != 0 {
		behind = max(time.Since(time.Unix(at, 0)), 0)
	}
	r.Metrics.SIEMBehind(r.cfg.Name, behind)
}
