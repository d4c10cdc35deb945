package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/service"
)

const (
	// prepareWithin is how long a new program may take to load configuration
	// and rules and to compile the PDF reader; the old one serves meanwhile.
	prepareWithin = 5 * time.Minute
	// beginWithin is how long it may take from the free data folder to open
	// doors; clients wait in the sockets' queues meanwhile.
	beginWithin = 3 * time.Minute
	// aliveWithin is how long a door may be away from waiting for clients
	// before the service manager is told no more that serve is alive.
	aliveWithin = 30 * time.Second
)

func (a *app) upgradeCmd() *cobra.Command {
	return &cobra.Command{Use: "upgrade", Short: "Let the running serve give way to the program that is installed now", Args: cobra.NoArgs,
		Long: "Let the running serve give way to the program that is installed now, without closing a door.\n\n" +
			"The program at the path by which serve was started loads the configuration and the rules. Only when they hold,\n" +
			"the old process finishes the messages in hand and hands over its sockets, in which new clients wait. When the new\n" +
			"program cannot begin, the old one goes on, and this command ends with 2 and says why.\n\n" +
			"`kill -USR2` does the same without waiting. What the service manager sets for the process, such as its sandbox,\n" +
			"stays as it was; it changes with a restart.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.place()
			if err != nil {
				return err
			}
			return a.upgrade(cmd.Context(), p)
		}}
}

func (a *app) upgrade(ctx context.Context, p place) error {
	c, err := a.dial(ctx, p)
	if errors.Is(err, control.ErrNotServing) {
		return errors.Join(p.broken, errors.New("no serve runs on this data folder: there is nothing to upgrade"))
	}
	if err != nil {
		return err
	}
	before, err := c.Process(ctx)
	if err != nil {
		return fmt.Errorf("the running serve does not know how to give way (%w): restart it", err)
	}
	next, err := c.Upgrade(ctx)
	if err != nil {
		return fmt.Errorf("%w; the old program goes on", err)
	}
	for deadline := time.Now().Add(stopWithin + stopRest + 2*beginWithin); ; {
		now, err := c.Process(ctx)
		switch {
		case err == nil && now.PID == next && !now.Claiming:
			_, err := fmt.Fprintf(a.out, "stanch %s serves (process %d, before it %s as %d).\n", now.Version, now.PID, before.Version, before.PID)
			return err
		case err == nil && now.PID != next && now.PID != before.PID:
			return fmt.Errorf("the new program did not begin: stanch %s serves again, see its log", now.Version)
		case time.Now().After(deadline):
			return late(before, now, next, err)
		}
		if !pause(ctx, lookEvery) {
			return ctx.Err()
		}
	}
}

// late says who serves where an upgrade of before to the process next has not
// come to its end in time: now is who answered last, unless there is an err.
func late(before, now control.ProcessInfo, next int, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("nobody serves: see the log (%w)", err)
	case now.PID == next:
		return fmt.Errorf("stanch %s serves (process %d, before it %s as %d), but the service manager has not taken it for the service's process: its next stop may end it without order; see the log",
			now.Version, now.PID, before.Version, before.PID)
	}
	return fmt.Errorf("stanch %s still serves (process %d) and has not given way to process %d: see the log", now.Version, now.PID, next)
}

// handover is how far this serve is with giving way.
type handover struct {
	decided chan struct{} // closed when next is there
	closing chan struct{} // closed when serve stops, for whatever reason
	claimed chan struct{} // closed when the service manager knows this process

	mu     sync.Mutex
	busy   bool               // guarded by mu; somebody prepares a successor
	closed bool               // guarded by mu; too late for one
	next   *service.Successor // guarded by mu; prepared
	shared *service.Shared    // guarded by mu; with next
}

func newHandover() *handover {
	return &handover{decided: make(chan struct{}), closing: make(chan struct{}), claimed: make(chan struct{})}
}

// close ends preparing; from then on no successor is taken.
func (h *handover) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.closing)
	}
}

// Process says which process serves, for the control socket.
func (s *server) Process() control.ProcessInfo {
	p := control.ProcessInfo{PID: os.Getpid(), Version: version}
	select {
	case <-s.handover.claimed:
	default:
		p.Claiming = true
	}
	return p
}

// Upgrade starts the program that is installed now as this one's successor and
// returns once it is prepared, with its process id; this serve then stops. On
// an error it goes on.
func (s *server) Upgrade(ctx context.Context) (pid int, err error) {
	h := s.handover
	h.mu.Lock()
	busy := h.busy || h.closed
	h.busy = true
	h.mu.Unlock()
	if busy {
		return 0, errors.New("serve already gives way, or stops")
	}
	select { // until then the manager listens to another
	case <-h.claimed:
	case <-h.closing:
	}
	next, shared, err := s.successor(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = false
	if err == nil && h.closed {
		next.Kill()
		shared.Close()
		err = errors.New("serve stops")
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "no upgrade: the new program could not be prepared", safelog.Err(err))
		return 0, fmt.Errorf("the new program cannot begin: %w", err)
	}
	h.busy, h.next, h.shared = true, next, shared
	close(h.decided)
	return next.PID(), nil
}

// claim has the service manager see that this process is its own child, where
// a predecessor has started it.
func (s *server) claim(ctx context.Context) {
	defer close(s.handover.claimed)
	if err := s.handed.manager.Claim(ctx, s.handed.from); err != nil && ctx.Err() == nil {
		s.log.LogAttrs(ctx, slog.LevelError, "the service manager takes this process for another's child: its next stop may end it without order", safelog.Err(err))
	}
}

// successor starts the installed program and waits until it is prepared.
func (s *server) successor(ctx context.Context) (*service.Successor, *service.Shared, error) {
	path, err := installed()
	if err != nil {
		return nil, nil, err
	}
	shared, err := s.handed.listeners.Share()
	if err != nil {
		return nil, nil, err
	}
	next, err := service.Start(path, os.Args, os.Environ(), shared)
	if err != nil {
		shared.Close()
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, prepareWithin)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-s.handover.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := next.Prepared(ctx); err != nil {
		next.Kill()
		shared.Close()
		return nil, nil, err
	}
	return next, shared, nil
}

// installed is the program at the path by which this one was started: a new
// one, or a link to it, may have taken the old one's place.
func installed() (string, error) {
	if len(os.Args) == 0 {
		return os.Executable()
	}
	if filepath.Base(os.Args[0]) == os.Args[0] {
		return exec.LookPath(os.Args[0])
	}
	return os.Args[0], nil
}

// pass lets the successor begin, once this process has let go of everything.
// If it does not, this program starts again: as a new process from the file
// that is still open, whatever stands at its path by now.
func (s *server) pass(ctx context.Context) error {
	h := s.handover
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		return nil
	}
	defer h.shared.Close()
	if ctx.Err() != nil { // told to stop before it could begin
		h.next.Kill()
		return nil
	}
	err := s.begin(ctx, h.next)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	s.log.LogAttrs(ctx, slog.LevelError, "the new program did not begin; the old one starts again", safelog.Err(err))
	fmt.Fprintf(s.app.errs, "stanch: upgrade: %v\n", err)
	again, err := service.Start("/proc/self/exe", os.Args, os.Environ(), h.shared)
	if err != nil {
		return fmt.Errorf("upgrade: nobody serves: %w", err)
	}
	prepare, cancel := context.WithTimeout(ctx, prepareWithin)
	defer cancel()
	if err := again.Prepared(prepare); err != nil {
		again.Kill()
		return fmt.Errorf("upgrade: nobody serves: %w", err)
	}
	if err := s.begin(ctx, again); err != nil && ctx.Err() == nil {
		return fmt.Errorf("upgrade: nobody serves: %w", err)
	}
	return nil
}

// begin tells next to begin and waits until its doors are open; then the
// service is next. If that fails next has ended, and if ctx ends too.
func (s *server) begin(ctx context.Context, next *service.Successor) error {
	within, cancel := context.WithTimeout(ctx, beginWithin)
	defer cancel()
	if err := next.Go(within); err != nil {
		if ctx.Err() == nil {
			next.Kill()
			return err
		}
		// Told to stop in between, and with it whoever serves.
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopWithin+stopRest)
		defer done()
		next.Terminate(stop)
		return err
	}
	s.handed.manager.MainPID(next.PID(), statusServing)
	s.log.LogAttrs(ctx, slog.LevelInfo, "the new program serves", slog.Int("pid", next.PID()))
	return nil
}

// alive tells the service manager, as often as it wants to hear it, that serve
// is alive, until ctx ends: the doors wait for clients and the store answers.
// While serve stops or gives way every wait has an end of its own.
func (s *server) alive(ctx context.Context) {
	every := service.WatchdogEvery(os.Getenv)
	if every == 0 {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if s.answers(ctx, every) {
			s.handed.manager.Watchdog()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// answers reports whether doors and store do what they are there for. A store
// that says that it cannot is alive: a restart would not mend a full disk.
func (s *server) answers(ctx context.Context, within time.Duration) bool {
	select {
	case <-s.handover.closing:
		return true
	default:
	}
	if !s.handed.listeners.Alive(time.Now(), aliveWithin) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := make(chan struct{})
	go func() { // ends with ctx, or hangs with the store, which is then not told alive
		defer close(asked)
		_, _, _ = s.db.Counts(ctx) // that it answers is enough
	}()
	select {
	case <-asked:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
