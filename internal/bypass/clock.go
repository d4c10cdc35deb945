package bypass

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells time twice: by the wall, which people and other machines set, and
// since the machine came up, which nobody sets.
type Clock interface {
	Wall() time.Time
	// Up returns how long the machine has been up, sleep included, and which
	// time of being up this is. Two answers with equal, non-empty boot compare.
	Up() (since time.Duration, boot string)
}

// System is the machine's own Clock.
type System struct{}

// Wall returns the wall clock.
func (System) Wall() time.Time { return time.Now().Round(0) } // without Go's own monotonic reading

// Up reads CLOCK_BOOTTIME, which goes on over sleep and over the end of this
// process. The boot is "" where the kernel does not tell it.
//
// Source: clock_gettime(2), random(4) (boot_id).
func (System) Up() (time.Duration, string) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, ""
	}
	return time.Duration(ts.Nano()), boot()
}

func boot() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
