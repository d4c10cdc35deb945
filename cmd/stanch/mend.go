package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stanch-dlp/stanch/internal/safelog"
)

// errUnread says that readers or rules could not be prepared yet.
var errUnread = errors.New("nothing can be read")

// mendEvery is how often a serve that cannot read tries to prepare its readers.
const mendEvery = 30 * time.Second

// mend prepares readers and rules until that succeeds or ctx ends, where serve
// began without: with [bypass] enabled it does, so that somebody can let mail
// pass. A SIGHUP tries at once.
func (s *server) mend(ctx context.Context) {
	for s.unread.Load() {
		t := time.NewTimer(mendEvery)
		select {
		case <-t.C:
		case <-s.hup:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return
		}
		if err := s.prepareAgain(ctx); err != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "still nothing can be read", safelog.Err(err))
			fmt.Fprintf(s.app.errs, "stanch: prepare readers and rules: %v\n", err)
			continue
		}
		s.unread.Store(false)
	}
}

func (s *server) prepareAgain(ctx context.Context) error {
	if err := s.extract.Warm(ctx); err != nil {
		return fmt.Errorf("prepare the PDF reader: %w", err)
	}
	cfg, err := s.loadAgain()
	if err != nil {
		return err
	}
	return s.enforce(ctx, cfg, "repair")
}
