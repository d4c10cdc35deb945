// Package hook runs the command that a site wants run when an officer is
// called.
//
// It promises that the command gets nothing but what it is told in its
// environment, that what it prints goes nowhere, and that it, with all it
// started, is ended after its time.
package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/stanch-dlp/stanch/internal/safelog"
)

const (
	runsWithin = 30 * time.Second
	maxAtOnce  = 4               // commands that hang hold nobody else up, until so many do
	turnWithin = 5 * time.Second // then those who call go on without the command
)

// Command is a program with its arguments.
type Command struct {
	args  []string
	log   *slog.Logger
	slots chan struct{}
	runs  sync.WaitGroup
}

// New returns a Command. args[0] is an absolute path.
func New(args []string, log *slog.Logger) *Command {
	return &Command{args: args, log: log, slots: make(chan struct{}, maxAtOnce)}
}

var errBusy = errors.New("hook: as many commands as may run do")

// Call starts the command with env, the search path and nothing else in its
// environment, and returns once it runs. Of many calls at once some wait their
// turn, a few seconds at most and not past ctx. How it ends is logged.
func (c *Command) Call(turn context.Context, env map[string]string) error {
	turn, over := context.WithTimeout(turn, turnWithin)
	defer over()
	select {
	case c.slots <- struct{}{}:
	case <-turn.Done():
		return errBusy
	}
	ctx, cancel := context.WithTimeout(context.Background(), runsWithin) // it outlives who called: a pager that rang half is none
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	slices.Sort(cmd.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		<-c.slots
		return fmt.Errorf("hook: start: %w", err)
	}
	c.runs.Go(func() {
		defer cancel()
		defer func() { <-c.slots }()
		if err := cmd.Wait(); err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "command of a call failed", slog.Int("exit", cmd.ProcessState.ExitCode()), safelog.Err(err))
		}
	})
	return nil
}

// Wait waits for the commands under way, until ctx ends: what still runs then
// goes on.
func (c *Command) Wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { // ends with the commands, which have an end
		c.runs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
