package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const (
	// deskWithin is how long a command waits for a serve that has the data
	// folder and does not answer yet: one that starts compiles the PDF reader.
	deskWithin = 30 * time.Second
	// lockWithin is how long serve waits for who has the data folder and is no
	// serve that answers: a command, which is short, or a process that was killed
	// and that the kernel takes down, the lock not first.
	lockWithin = 10 * time.Second
	// answerWithin is how long a serve that has the folder may take to say so.
	answerWithin = time.Second
	lookEvery    = 100 * time.Millisecond
)

// inUseError says that another process has the data folder.
type inUseError struct {
	dir     string
	answers bool // it is a serve that answers
}

func (e *inUseError) Error() string {
	if e.answers {
		return fmt.Sprintf("data_dir %s: a serve runs on it already: stop it first, or `stanch upgrade` has it give way", e.dir)
	}
	return fmt.Sprintf("data_dir %s is in use by another stanch process that does not answer: if it is a serve that starts, wait for it, else stop it", e.dir)
}

// place is where a command finds the running serve. That takes no more of the
// configuration than the data folder: one that somebody is in the middle of
// changing, or has broken, must not keep an officer from the vault.
type place struct {
	dir    string
	cfg    *config.Config // nil where broken
	broken error          // what is wrong with the configuration
}

func (a *app) place() (p place, err error) {
	path, err := a.configFile()
	if err != nil {
		return p, err
	}
	if p.cfg, err = config.Load(path); err == nil {
		p.dir = p.cfg.DataDir
		return p, nil
	}
	p.broken = err
	if p.dir, err = config.DataDir(path); err != nil {
		return p, p.broken // it has what is wrong with data_dir, too
	}
	return p, nil
}

// dial returns the running serve, or control.ErrNotServing. It warns of a
// configuration that does not hold.
func (a *app) dial(ctx context.Context, p place) (*control.Client, error) {
	c, err := control.Dial(ctx, p.dir)
	if err == nil {
		a.warnOf(p)
	}
	return c, err
}

func (a *app) warnOf(p place) {
	if p.broken != nil {
		fmt.Fprintf(a.errs, "%v\nstanch: warning: the configuration does not hold, see above; of it only data_dir is used: %s\n", p.broken, p.dir)
	}
}

// withDesk runs do against the running serve, or else against the data folder
// itself, which it locks meanwhile and which takes a configuration that holds.
func (a *app) withDesk(ctx context.Context, do func(control.Desk, string) error) error {
	actor := control.Actor(os.Getuid())
	return a.withEither(ctx, func(c *control.Client) error { return do(c, actor) }, func(_ *node, g *gateway.Gateway) error { return do(g, actor) })
}

// withEither runs running against the running serve, or else alone as withDesk does.
func (a *app) withEither(ctx context.Context, running func(*control.Client) error, alone func(*node, *gateway.Gateway) error) error {
	p, err := a.place()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(deskWithin); ; {
		c, err := a.dial(ctx, p)
		if err == nil {
			return running(c)
		}
		if !errors.Is(err, control.ErrNotServing) {
			return err
		}
		if p.broken != nil {
			return fmt.Errorf("%w\nno serve answers on %s, and without one this takes a configuration that holds", p.broken, p.dir)
		}
		err = a.offline(ctx, p.cfg, alone)
		if _, busy := errors.AsType[*inUseError](err); !busy || time.Now().After(deadline) || !pause(ctx, lookEvery) {
			return err
		}
	}
}

// pause waits for d and reports whether ctx still stands.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errNoData says that no stanch has worked with the data folder.
var errNoData = errors.New("nothing has been served from it yet")

// offline runs do on the data folder while no serve owns it. It makes no data
// folder, and works only as the user whose it is: what another user, root too,
// leaves in it could not be read by serve.
func (a *app) offline(ctx context.Context, cfg *config.Config, do func(*node, *gateway.Gateway) error) (err error) {
	info, err := os.Stat(lockPath(cfg.DataDir))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("data_dir %s: %w", cfg.DataDir, errNoData)
	}
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("data_dir %s belongs to user %d: run this as that user, or while serve runs", cfg.DataDir, st.Uid)
	}
	n, err := openNode(ctx, cfg, safelog.New(a.errs, slog.LevelError), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	g, err := n.gateway(ctx, nil, nil, nil)
	if err != nil {
		return err
	}
	if _, err := n.watcher(g, func() string { return "" }); err != nil {
		return err
	}
	return do(n, g)
}

// noneYet lets a list be empty where nothing has been served yet, and says so.
func (a *app) noneYet(err error) error {
	if !errors.Is(err, errNoData) {
		return err
	}
	fmt.Fprintln(a.errs, "stanch:", err)
	return nil
}

// openServing is openNode for serve: it outlasts a command that works on the
// data folder and a process that is going, but not another serve.
func openServing(ctx context.Context, cfg *config.Config, log *slog.Logger, m *metrics.Set) (*node, error) {
	told := false
	for deadline := time.Now().Add(lockWithin); ; {
		n, err := openNode(ctx, cfg, log, m)
		if _, busy := errors.AsType[*inUseError](err); !busy || time.Now().After(deadline) {
			return n, err
		}
		if serves(ctx, cfg.DataDir) {
			return nil, &inUseError{dir: cfg.DataDir, answers: true}
		}
		if !told {
			told = true
			log.Warn("another process has the data folder: waiting a few seconds for it to let go")
		}
		if !pause(ctx, lookEvery) {
			return nil, err
		}
	}
}

// serves reports whether a serve answers on dir. That somebody listens is not
// enough: the socket of a process that was killed takes callers until the kernel
// comes to it.
func serves(ctx context.Context, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, err := control.Dial(ctx, dir)
	if err != nil {
		return false
	}
	_, err = c.Process(ctx)
	return err == nil
}

// plainly says what is wrong with an item in words for the person who asked
// about it; other errors stay as they are.
func plainly(id dlp.ID, err error) error {
	for _, known := range []struct {
		is   error
		text string
	}{
		{vault.ErrNotFound, "no such item; see `stanch quarantine list --all`"},
		{vault.ErrNoContent, "its content is gone"},
		{spool.ErrNotFound, "no such message; see `stanch queue list --all`"},
		{pickup.ErrEnded, "no such message, or it cannot be opened any more; see `stanch portal list --all`"},
		{pickup.ErrNoPasskey, "no such passkey; see `stanch portal passkeys`"},
		{gateway.ErrNotHeld, gateway.ErrNotHeld.Error()},
		{gateway.ErrNotQueued, gateway.ErrNotQueued.Error()},
		{gateway.ErrBusy, gateway.ErrBusy.Error()},
		{gateway.ErrSecond, gateway.ErrSecond.Error()},
		{gateway.ErrSame, gateway.ErrSame.Error()},
		{gateway.ErrOwn, gateway.ErrOwn.Error()},
		{gateway.ErrNotFor, gateway.ErrNotFor.Error()},
		{gateway.ErrNoWay, gateway.ErrNoWay.Error()},
		{gateway.ErrUnencrypted, gateway.ErrUnencrypted.Error()},
		{gateway.ErrReason, gateway.ErrReason.Error()},
		{gateway.ErrNote, gateway.ErrNote.Error()},
		{gateway.ErrNoteUnread, gateway.ErrNoteUnread.Error()},
		{gateway.ErrNoRoot, gateway.ErrNoRoot.Error()},
		{vault.ErrLocked, "the server cannot open this: give a reviewer's key with --identity FILE (`stanch vault keys` lists who can)"},
	} {
		if errors.Is(err, known.is) {
			return fmt.Errorf("%s: %s", id, known.text)
		}
	}
	return err
}
