package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/patterns"
)

// judge loads the rules and policies of cfg, with the tests of what the site has
// written: `config check` and `doctor` run those of the packs. draft, if not nil, takes the place of the file that the console writes.
func (s *server) judge(ctx context.Context, cfg *config.Config, draft *string) (*judges, error) {
	return s.judgeBy(ctx, cfg, func(src patterns.Source) patterns.Source {
		if draft == nil {
			return src
		}
		return withText(src, rulefile.Path(cfg.DataDir), *draft)
	})
}

// judgeBy is judge by the rules that edit makes of those of cfg.
func (s *server) judgeBy(ctx context.Context, cfg *config.Config, edit func(patterns.Source) patterns.Source) (*judges, error) {
	src := rulesOf(cfg)
	src.Tested = true
	var err error
	if src.Patients, err = openPatients(cfg); err != nil {
		return nil, err
	}
	t, err := s.table(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return newJudges(ctx, cfg, edit(src), t, s.extract)
}

// enforce puts the rules and policies of cfg in force.
func (s *server) enforce(ctx context.Context, cfg *config.Config, actor string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	j, err := s.judge(ctx, cfg, nil)
	if err != nil {
		return err
	}
	return s.putInForce(ctx, j, actor)
}

// putInForce has j judge from now on; its caller holds changing.
func (s *server) putInForce(ctx context.Context, j *judges, actor string) error {
	if err := s.gateway.Changed(ctx, actor, j.set.Digest(), j.policy.Digest(), j.tableVersion()); err != nil {
		return err
	}
	// First the rules, then their digest: a file judged in between is noted
	// under the old digest, and read again.
	s.gateway.SetRules(j.rules(s.cfg, s.prove))
	s.mu.Lock()
	before := s.judges
	s.judges, s.loaded = j, time.Now()
	s.mu.Unlock()
	s.announce(j, j.cfg)
	if s.watcher != nil {
		s.watcher.Recheck()
	}
	digest := slog.String("ruleset", j.set.Digest())
	if before != nil && before.set.Digest() == j.set.Digest() && before.policy.Digest() == j.policy.Digest() && before.tableVersion() == j.tableVersion() {
		s.log.Info("rules and policies were read again and are as before", digest)
		return nil
	}
	s.log.Info("new rules and policies are in force", digest)
	return nil
}
