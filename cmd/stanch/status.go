package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/spool"
)

// gaugeEvery is how often the sizes of queue and vault, and the room left, are looked at.
const gaugeEvery = 15 * time.Second

// free is how many bytes the file system of the data folder dir still takes; ok
// is false, and free 0, where it takes no writes or does not answer.
func free(dir string) (free uint64, ok bool) {
	_, room, err := safefile.Stat(dir)
	if err != nil || room.ReadOnly || safefile.ReadOnly(lockPath(dir)) {
		return 0, false
	}
	return room.Free, true
}

// short reports whether dir takes less than least, or nothing.
func short(dir string, least dlp.Size) bool {
	n, ok := free(dir)
	return !ok || n < uint64(least)
}

// endpoints serves metrics and health when they are configured. The returned
// function ends that and waits.
func (s *server) endpoints(ctx context.Context) (stop func(context.Context) error) {
	s.health.Add("store", func(ctx context.Context) error {
		_, _, err := s.db.Counts(ctx)
		return err
	})
	s.health.Add("readers", func(context.Context) error {
		if s.unread.Load() {
			return errUnread
		}
		return nil
	})
	s.health.Alarm("urgent_held", s.gateway.UrgentHeld)
	s.health.Alarm("bypass", func() bool {
		_, on := s.bypass.Status()
		return on
	})
	s.health.Alarm("routes", func() bool {
		return slices.ContainsFunc(s.probes.List(), func(r probe.Status) bool { return r.Alarm })
	})
	s.health.Alarm("siem", s.siem.Late)
	s.health.Alarm("disk", func() bool { return short(s.cfg.DataDir, s.cfg.Metrics.MinFree) })
	s.health.Add("audit", func(context.Context) error { return s.audit.Ready() })
	if len(s.doors["metrics"]) == 0 {
		return func(context.Context) error { return nil }
	}
	ln := s.doors["metrics"][0]
	srv := &http.Server{Handler: metrics.Endpoints(s.metrics, &s.health), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: safelog.Constant(s.log, slog.LevelWarn, "metrics endpoint complained")}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(metrics.Bound(ln, metrics.MaxConnections)); !errors.Is(err, http.ErrServerClosed) {
			s.log.LogAttrs(ctx, slog.LevelError, "metrics endpoint ended", safelog.Err(err))
		}
	})
	return func(ctx context.Context) error {
		err := srv.Shutdown(ctx)
		wg.Wait()
		return err
	}
}

// Status is what serve says of itself to `stanch doctor`.
func (s *server) Status(ctx context.Context) control.Status {
	s.mu.Lock()
	st := control.Status{ProcessInfo: s.Process(), Loaded: s.loaded, Files: doctor.OpenFiles(), FIPS: fipsVersion()}
	if s.judges != nil { // nothing can be read yet: see mend
		st.RuleSet = s.judges.set.Digest()
	}
	switch {
	case s.judges == nil || s.unread.Load():
		st.Reading = "broken"
	case s.cfg.Scan.Enabled:
		st.Reading = control.ReadingOn
	default:
		st.Reading = control.ReadingOff
	}
	s.mu.Unlock()
	st.Failing, st.Alarms = s.health.Failing(ctx), s.health.Raised()
	return st
}

// gauges keeps the sizes of queue and vault, and the room left, current until ctx ends.
func (s *server) gauges(ctx context.Context) {
	t := time.NewTicker(gaugeEvery)
	defer t.Stop()
	for {
		if queued, held, err := s.db.Counts(ctx); err == nil {
			s.metrics.QueueMessages(queued)
			s.metrics.QuarantineHeld(held)
		} else if ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "queue and vault not counted", safelog.Err(err))
		}
		for _, st := range []spool.State{spool.Queued, spool.ToRead, spool.Poison} {
			if n, err := s.db.QueueCount(ctx, st); err == nil {
				s.metrics.QueueState(string(st), n)
			}
		}
		n, _ := free(s.cfg.DataDir) // 0 where nothing can be written
		s.metrics.DiskFree(n)
		for name, down := range s.hops.Down() {
			s.metrics.RouteHostsDown(name, down)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// banner says where everything is and what to try.
func (s *server) banner() {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "  %-14s %s\n", name, value) }
	fmt.Fprintf(&b, "stanch %s serves\n", version)
	for _, ln := range s.doors["smtp"] {
		line("mail", "smtp://"+ln.Addr().String()+"  goes on to "+s.cfg.SMTP.NextHop)
	}
	for _, ln := range s.doors["milter"] {
		line("milter", ln.Addr().Network()+":"+ln.Addr().String())
	}
	for _, w := range s.cfg.Watch {
		line("watched", w.Path)
	}
	for _, ln := range s.doors["portal"] {
		line("pickup pages", s.cfg.Portal.URL+"  answered at "+ln.Addr().String())
	}
	for _, ln := range s.doors["sender"] {
		line("sender's pages", s.cfg.Sender.URL+"  answered at "+ln.Addr().String())
	}
	line("data", abs(s.cfg.DataDir))
	if s.cfg.Metrics.Listen != "" {
		line("metrics", "http://"+s.cfg.Metrics.Listen+"/metrics, /healthz, /readyz")
	}
	for _, ln := range s.doors["console"] {
		line("console", "http://"+ln.Addr().String()+"/")
		if s.firstSignIn != "" {
			line("", s.firstSignIn)
			s.firstSignIn = ""
		}
	}
	if s.unread.Load() {
		line("rules", "none: nothing can be read; senders are to try again")
	} else {
		line("rules", fmt.Sprintf("%d, digest %.12s", len(s.judges.set.Rules()), s.judges.set.Digest()))
	}
	flag := ""
	if s.cfg.File != "" {
		flag = " --config " + s.cfg.File
	}
	fmt.Fprintf(&b, "try\n")
	line("see the queue", self()+" quarantine list"+flag)
	line("let one go", self()+" quarantine release ID"+flag)
	line("check the log", self()+" audit verify"+flag)
	line("new rules", fmt.Sprintf("kill -HUP %d", os.Getpid()))
	fmt.Fprint(s.app.out, b.String())
}

func abs(path string) string {
	if p, err := filepath.Abs(path); err == nil {
		return p
	}
	return path
}

// self is how this program was called, so that what is printed can be pasted.
func self() string {
	if len(os.Args) == 0 {
		return "stanch"
	}
	return os.Args[0]
}

// level is the slog level of that name; config has checked it.
func level(name string) slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(name)) // an unknown one stays info
	return l
}
