package extract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// Compiling pdfium takes 8 to 30 s and 340 MiB; both bounds leave room for a
// slow machine. Reading it back takes 0.2 s.
const (
	warmTimeout = 5 * time.Minute
	warmMemory  = 1 << 30
)

// Warm makes sure that compiled pdfium lies in the cache folder and works. It
// is called before serving, so that the first PDF does not wait; Extract calls
// it where nobody did, for each document that has one. The work is done by a child of its own that ends with
// it. A damaged cache is made anew.
func (p *Pool) Warm(ctx context.Context) error {
	if p.warm.Load() {
		return nil
	}
	select {
	case <-p.warming:
		defer func() { p.warming <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("extract: warm: %w", context.Cause(ctx))
	case <-p.closing:
		return ErrClosed
	}
	if p.warm.Load() {
		return nil
	}
	if err := p.makeCache(); err != nil {
		return fmt.Errorf("extract: cache folder: %w", err)
	}
	err := p.warmOnce(ctx)
	if err != nil && ctx.Err() == nil {
		if rerr := emptyFolder(p.cache); rerr != nil {
			return fmt.Errorf("extract: warm: %w", errors.Join(err, rerr))
		}
		err = p.warmOnce(ctx)
	}
	if err != nil {
		return fmt.Errorf("extract: warm: %w", err)
	}
	p.warm.Store(true)
	return nil
}

// makeCache makes the cache folder, ours alone: what lies in it is run.
func (p *Pool) makeCache() error {
	if p.cache == "" {
		dir, err := os.MkdirTemp("", "stanch-pdfium-")
		if err != nil {
			return err
		}
		p.temp, p.cache = dir, dir
		return nil
	}
	if err := os.MkdirAll(p.cache, 0o700); err != nil {
		return err
	}
	fi, err := os.Lstat(p.cache)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.IsDir() || int(st.Uid) != os.Geteuid() {
		return errors.New("not a folder of this user")
	}
	if fi.Mode().Perm() != 0o700 {
		return os.Chmod(p.cache, 0o700)
	}
	return nil
}

func emptyFolder(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(dir, n.Name())); err != nil {
			return err
		}
	}
	return nil
}

// warmOnce has a child load pdfium through the cache, compiling it where it is
// not there, and read a page with it.
func (p *Pool) warmOnce(ctx context.Context) error {
	// It is not locked in, for it writes what it compiles, and reads no document.
	c, err := p.start(kind{memory: warmMemory, processors: 2})
	if err != nil {
		return err
	}
	defer c.kill()
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.proc.Kill() })
	defer stop()
	if err := wire.Write(c.in, wire.OpWarm, []byte(p.cache)); err != nil {
		return err
	}
	op, _, err := c.r.Next()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil || op != wire.OpDone {
		return errors.New("pdfium did not compile, or did not read the test page")
	}
	return nil
}
