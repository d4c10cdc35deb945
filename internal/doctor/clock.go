package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ClockState is what the kernel knows of its clock.
type ClockState struct {
	Synchronised bool
	MaxError     time.Duration // the kernel's own estimate
}

// KernelClock asks adjtimex(2).
func KernelClock() (ClockState, error) {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return ClockState{}, fmt.Errorf("doctor: adjtimex: %w", err)
	}
	const unsynchronised = 0x0040 // STA_UNSYNC, linux/timex.h
	return ClockState{Synchronised: state != unix.TIME_ERROR && tx.Status&unsynchronised == 0,
		MaxError: time.Duration(tx.Maxerror) * time.Microsecond}, nil
}

// clockSample is how long the two clocks are compared for.
const clockSample = 500 * time.Millisecond

// Clock compares the wall clock with the monotonic one, and looks at whether
// something keeps it right. newest is a file whose time is known to have been
// written by this installation.
func Clock(kernel func() (ClockState, error), newest string) Check {
	return Check{Name: "clock", Run: func(ctx context.Context) []Finding {
		return append(clockKept(kernel), clockRuns(ctx), clockAhead(newest), clockZone())
	}}
}

func clockKept(kernel func() (ClockState, error)) []Finding {
	const object = "NTP"
	st, err := kernel()
	if err != nil {
		return []Finding{poor(object, "the kernel does not tell whether the clock is kept right", "See that a time service runs on the host.")}
	}
	if !st.Synchronised {
		return []Finding{poor(object, "the clock is not synchronised", "Run a time service such as chrony or systemd-timesyncd; in a container, on the host: audit log, expiry and certificates go by this clock.")}
	}
	return []Finding{good(object, "synchronised; the kernel's estimate of the error is at most %s", st.MaxError.Round(time.Millisecond))}
}

// clockRuns looks whether the wall clock is being moved while one looks at it.
func clockRuns(ctx context.Context) Finding {
	start := time.Now()
	t := time.NewTimer(clockSample)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	end := time.Now()
	return clockMoved(end, end.Sub(start), end.Round(0).Sub(start.Round(0)))
}

// mostSlew is how much the wall clock may move within clockSample: the kernel
// slews by half a thousandth, and reading the two clocks is not one step.
const mostSlew = 20 * time.Millisecond

// clockMoved says how the wall clock ran beside the monotonic one up to now.
func clockMoved(now time.Time, mono, wall time.Duration) Finding {
	const object = "wall clock"
	if off := (wall - mono).Abs(); off > mostSlew {
		return poor(object, fmt.Sprintf("moved by %s against the monotonic clock within %s", off.Round(time.Millisecond), mono.Round(time.Millisecond)),
			"See that one time service only sets the clock, and that it slews instead of stepping.")
	}
	return good(object, "%s, runs with the monotonic clock", now.UTC().Format(time.RFC3339))
}

// mostAhead is how far ahead what was written here before may be: so much is a
// time service that steps.
const mostAhead = time.Minute

// clockAhead compares with what was written here before.
func clockAhead(newest string) Finding {
	const object = "earlier files"
	info, err := os.Stat(newest)
	if err != nil {
		return good(object, "nothing was written here yet")
	}
	if ahead := time.Until(info.ModTime()); ahead > mostAhead {
		return bad(object, fmt.Sprintf("%s was written %s from now: the clock was set back, or ran ahead before", filepath.Base(newest), ahead.Round(time.Second)),
			"Set the clock by NTP, and see whether it or the file is wrong.")
	}
	return good(object, "none from the future")
}

func clockZone() Finding {
	zone, off := time.Now().Zone()
	name := os.Getenv("TZ")
	if name == "" {
		if link, err := os.Readlink("/etc/localtime"); err == nil {
			if _, rest, ok := strings.Cut(link, "zoneinfo/"); ok {
				name = rest
			}
		}
	}
	if name == "" {
		name = zone
	}
	return good("time zone", "%s, UTC%+03d:%02d; audit log and logs are in UTC", name, off/3600, max(off, -off)/60%60)
}
