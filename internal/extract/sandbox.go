package extract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// The values of Config.Sandbox. "" is SandboxRequired.
const (
	SandboxRequired = "required"
	SandboxPartial  = "partial"
	SandboxOff      = "off"
)

// ErrSandbox is wrapped by every error that says that children cannot be
// locked in as Config.Sandbox demands: nothing is read then.
var ErrSandbox = errors.New("the sandbox cannot be had")

// Sandbox says how children are locked in.
type Sandbox struct {
	Landlock int    // ABI version, 0: not
	Seccomp  bool   // their system calls are filtered
	Lacks    string // what is not there and why, "" when nothing
	Things   int    // how many different forbidden things were tried, and refused
	Trials   int    // how many trials that took: each lock by itself tries what it forbids
}

// Both reports whether both locks are closed. A test build, which cannot, passes.
func (s Sandbox) Both() bool { return s.Landlock > 0 && s.Seccomp || sandbox.TestBuild }

// Whole reports whether nothing is lacking, on any thread.
func (s Sandbox) Whole() bool { return s.Landlock > 0 && s.Seccomp && s.Lacks == "" }

// String is one line for an operator.
func (s Sandbox) String() string {
	var f []string
	if s.Landlock > 0 {
		f = append(f, fmt.Sprintf("landlock ABI %d", s.Landlock))
	}
	if s.Seccomp {
		f = append(f, "a filter of system calls")
	}
	if len(f) == 0 {
		f = append(f, "nothing")
	}
	out := "locked in by " + strings.Join(f, " and ")
	if s.Trials > 0 {
		out += fmt.Sprintf("; %d forbidden things were tried and refused, in %d trials", s.Things, s.Trials)
	}
	if s.Lacks != "" {
		out += "; lacking: " + s.Lacks
	}
	return out
}

// demand returns an error for a child that is less locked in than configured.
func (p *Pool) demand(r wire.Ready) error {
	if p.cfg.Sandbox == SandboxOff || sandbox.TestBuild {
		return nil
	}
	some, all := r.Landlock > 0 || r.Seccomp, r.Landlock > 0 && r.Seccomp
	switch {
	case all, some && p.cfg.Sandbox == SandboxPartial:
		return nil
	case some:
		return fmt.Errorf(`%w whole: %s. Want Linux 5.13 or later with landlock among lsm= and both allowed to this process (docs/sandbox.md), or set sandbox = "partial" in [extract] to make do with the rest`,
			ErrSandbox, r.Lacks)
	}
	return fmt.Errorf(`%w: %s. Want Linux 5.13 or later with landlock among lsm= and both allowed to this process (docs/sandbox.md); sandbox = "off" in [extract] reads without, with all rights of this user`,
		ErrSandbox, r.Lacks)
}

func seccompMode(on bool) int {
	if on {
		return unix.SECCOMP_MODE_FILTER
	}
	return 0
}

// Check starts a child, so that what keeps children from starting or from being
// locked in shows before there is a document. It returns how they are locked in.
func (p *Pool) Check(ctx context.Context) (Sandbox, error) {
	c, err := p.take(ctx, wire.Plain)
	if err != nil {
		return Sandbox{}, err
	}
	defer func() { p.put(wire.Plain, c) }()
	if c == nil {
		if c, err = p.spawn(wire.Plain); err != nil {
			return Sandbox{}, fmt.Errorf("extract: %w", err)
		}
	}
	return Sandbox{Landlock: c.ready.Landlock, Seccomp: c.ready.Seccomp, Lacks: c.ready.Lacks}, nil
}

// SelfTest has children try what they must not be able to do: each lock by
// itself, and a child as documents get it. The error wraps ErrSandbox when one
// of them can. With SandboxOff it tries nothing.
func (p *Pool) SelfTest(ctx context.Context) (Sandbox, error) {
	s, err := p.Check(ctx)
	if err != nil || p.cfg.Sandbox == SandboxOff || sandbox.TestBuild {
		return s, err
	}
	var kinds []kind
	if s.Landlock > 0 {
		kinds = append(kinds, p.kind(wire.Plain, sandbox.Landlock))
	}
	if s.Seccomp {
		refusing := p.kind(wire.Plain, sandbox.Seccomp)
		refusing.Refuse = true // so that one child can try all
		kinds = append(kinds, refusing)
	}
	kinds = append(kinds, p.kind(wire.Plain, sandbox.Limits))
	var wg sync.WaitGroup
	errs, tried := make([]error, len(kinds)+1), make([][]string, len(kinds)+1)
	for i, k := range kinds {
		wg.Go(func() { tried[i], errs[i] = p.tryAll(ctx, k, s.Landlock) })
	}
	if s.Seccomp {
		wg.Go(func() { tried[len(kinds)], errs[len(kinds)] = []string{dying}, p.tryDying(ctx) })
	}
	wg.Wait()
	things := map[string]bool{}
	for _, names := range tried {
		s.Trials += len(names)
		for _, name := range names {
			things[name] = true
		}
	}
	s.Things = len(things)
	if err := errors.Join(errs...); err != nil {
		return s, fmt.Errorf("extract: self-test: %w", err)
	}
	return s, nil
}

// tryAll has a child of that kind try all that its locks must refuse, and returns
// the names of what was.
func (p *Pool) tryAll(ctx context.Context, k kind, abi int) (tried []string, err error) {
	c, err := p.start(k)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	defer context.AfterFunc(ctx, func() { _ = c.proc.Kill() })()
	for _, t := range sandbox.Trials() {
		if !t.RefusedBy(sandbox.Layers(k.Layers), abi) {
			continue
		}
		if got := c.try(t.Name); got != refused {
			return tried, fmt.Errorf("%w: trial %q of lock %d: %s", ErrSandbox, t.Name, k.Layers, got)
		}
		tried = append(tried, t.Name)
	}
	return tried, nil
}

// dying is the trial of tryDying, one of sandbox.Trials.
const dying = "look at a file"

// tryDying has a child as documents get it make a call that is not on the list.
func (p *Pool) tryDying(ctx context.Context) error {
	c, err := p.spawn(wire.Plain)
	if err != nil {
		return err
	}
	defer c.kill()
	defer context.AfterFunc(ctx, func() { _ = c.proc.Kill() })()
	if got := c.try(dying); got != died {
		return fmt.Errorf("%w: trial %q: %s, want %s", ErrSandbox, dying, got, died)
	}
	return nil
}

// How a trial ends.
const (
	refused = "refused"
	died    = "ended by the filter"
	allowed = "allowed"
)

// try has the child try something and returns how that ended: one of the three
// above, or what else happened.
func (c *child) try(name string) string {
	if err := c.tell(wire.OpTry, []byte(name)); err != nil {
		return "child broke before"
	}
	op, b, err := c.r.Next()
	switch {
	case err == nil && op != wire.OpTold:
		return "child broke"
	case err == nil && len(b) == 0:
		return allowed
	case err == nil && strings.HasPrefix(string(b), wire.Refused):
		return refused
	case err == nil:
		return "failed otherwise: " + string(b)
	}
	<-c.gone // it has closed its end
	if ws, ok := c.state.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == unix.SIGSYS {
		return died
	}
	return "child ended: " + c.state.String()
}
