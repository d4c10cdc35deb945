package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/rollout"
)

// rolloutOf is how far cfg's policies are brought in. Without a data folder none
// is in force.
func rolloutOf(cfg *config.Config) (rollout.State, error) {
	if len(cfg.Policy.Rollouts()) == 0 {
		return rollout.State{}, nil
	}
	return rollout.Load(cfg.DataDir)
}

// inForceNow are cfg's policies as far as they are brought in. Where that cannot be
// read, which the check of the rules tells, none of those is.
func inForceNow(cfg *config.Config) policy.Config {
	state, err := rolloutOf(cfg)
	if err != nil {
		return cfg.Policy
	}
	return cfg.Policy.RolledOut(state.Enforced)
}

// rollouts is the roll-out for the console's page.
type rollouts struct{ s *server }

// Policies are those that are being brought in, and the steps that were taken.
func (r rollouts) Policies() ([]policy.Policy, rollout.State, error) {
	j := r.s.inForce()
	if j == nil {
		return nil, rollout.State{}, errNotRead
	}
	state, err := rollout.Load(j.cfg.DataDir)
	return j.cfg.Policy.Rollouts(), state, err
}

// Behind reports whether state is not what judges now.
func (r rollouts) Behind(state rollout.State) (bool, error) {
	j := r.s.inForce()
	if j == nil {
		return false, errNotRead
	}
	p, err := j.policyBy(state)
	if err != nil {
		return false, err
	}
	return p.Digest() != j.policy.Digest(), nil
}

// policyBy is j's policy with what state brings in.
func (j *judges) policyBy(state rollout.State) (*policy.Engine, error) {
	return policy.New(j.cfg.Policy.RolledOut(state.Enforced), j.cfg.SMTP.InternalDomains)
}

// Take takes a step, on record before it is written, and has it hold from now on.
func (r rollouts) Take(ctx context.Context, base int, x rollout.Step) error {
	r.s.changing.Lock()
	defer r.s.changing.Unlock()
	now := r.s.inForce()
	if now == nil {
		return errNotRead
	}
	known := false
	for _, p := range now.cfg.Policy.Rollouts() {
		known = known || p.ID == x.Policy
	}
	if !known {
		return console.ErrNoRollout
	}
	next := *now
	e := audit.Event{Kind: audit.Rollout, Policy: x.Policy, Actor: x.By, Reason: fmt.Sprintf("%s:%d", x.Do, base+1)}
	_, err := rollout.Open(now.cfg.DataDir).Take(base, x, func(state rollout.State) (err error) {
		if next.policy, err = now.policyBy(state); err != nil {
			return err
		}
		e.PolicyDigest = next.policy.Digest()
		return r.s.gateway.Note(ctx, e)
	})
	if err != nil && e.PolicyDigest != "" { // it was on record
		e.Result = audit.ResultFailed
		err = errors.Join(err, r.s.gateway.Note(ctx, e))
	}
	if err != nil {
		return err
	}
	return r.s.putInForce(ctx, &next, x.By)
}
