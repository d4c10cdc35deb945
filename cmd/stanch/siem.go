package main

import (
	"context"
	"errors"

	"github.com/stanch-dlp/stanch/internal/notify/siem"
)

// openSIEM makes what tells the receivers of events.
func (s *server) openSIEM(ctx context.Context) (*siem.Sender, error) {
	if errs := badSecrets(s.cfg); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return siem.New(ctx, s.cfg.SIEM, siem.Deps{Log: s.audit, Dir: siem.Dir(s.cfg.DataDir), Hostname: s.cfg.SMTP.Hostname,
		Version: version, Logger: s.log, Metrics: s.metrics, OnStep: onStep, Skip: s.isDrill})
}
