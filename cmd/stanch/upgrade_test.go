package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stanch-dlp/stanch/internal/control"
)

// upgraded is a serve that gave way to process 2, which claims itself until it
// was asked twice.
type upgraded struct {
	next  atomic.Bool
	asked atomic.Int32
}

func (u *upgraded) Status(context.Context) control.Status { return control.Status{} }

func (u *upgraded) Upgrade(context.Context) (int, error) {
	u.next.Store(true)
	return 2, nil
}

func (u *upgraded) Process() control.ProcessInfo {
	if !u.next.Load() {
		return control.ProcessInfo{PID: 1, Version: "1"}
	}
	return control.ProcessInfo{PID: 2, Version: "2", Claiming: u.asked.Add(1) <= 2}
}

// TestUpgradeWaitsForTheClaim: it returns no sooner than a stop is in order.
func TestUpgradeWaitsForTheClaim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ln, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	u := &upgraded{}
	srv := control.NewServer(struct{ control.Desk }{}, slog.New(slog.DiscardHandler))
	srv.Of(u)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	var out bytes.Buffer
	a := &app{out: &out, errs: &out}
	if err := a.upgrade(t.Context(), place{dir: dir}); err != nil || u.asked.Load() != 3 || !strings.Contains(out.String(), "stanch 2 serves (process 2, before it 1 as 1)") {
		t.Errorf("%v after %d questions, said %q; want the claim awaited", err, u.asked.Load(), out.String())
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestClaimIsTold: by the process that serves, until it is done.
func TestClaimIsTold(t *testing.T) {
	t.Parallel()
	s := &server{handover: newHandover()}
	if !s.Process().Claiming {
		t.Error("before the claim: not told")
	}
	close(s.handover.claimed)
	if s.Process().Claiming {
		t.Error("after it: still told")
	}
}

// TestLateUpgrade: past its deadline upgrade says who serves.
func TestLateUpgrade(t *testing.T) {
	t.Parallel()
	before, next := control.ProcessInfo{PID: 1, Version: "1"}, control.ProcessInfo{PID: 2, Version: "2", Claiming: true}
	for _, tt := range []struct {
		name string
		now  control.ProcessInfo
		err  error
		want string
	}{
		{"nobody", control.ProcessInfo{}, control.ErrNotServing, "nobody serves"},
		{"the new one", next, nil, "stanch 2 serves (process 2, before it 1 as 1), but the service manager has not taken it"},
		{"the old one", before, nil, "stanch 1 still serves (process 1) and has not given way to process 2"},
	} {
		if got := late(before, tt.now, next.PID, tt.err).Error(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
