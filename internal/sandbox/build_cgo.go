//go:build cgo

package sandbox

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// cgoBuild: with cgo, Go does not reach the threads that it did not make. The
// goroutine that locks stays on the thread that did, so that the parsers which
// it calls are inside; the filter of system calls holds for all.
const cgoBuild = "holds for one thread, for this was built with cgo (make build does not)"

// threadCheck: the C library adds flags of its own.
const threadCheck = hasBits

// cgoCalls is what the C library's threads need beside Go's.
func cgoCalls() []call {
	return []call{
		{name: "clone3", nr: unix.SYS_CLONE3, check: fails, errno: unix.ENOSYS}, // its flags lie in memory: the C library then takes clone
		{name: "set_robust_list", nr: unix.SYS_SET_ROBUST_LIST},
		{name: "rseq", nr: unix.SYS_RSEQ},
		{name: "sched_getaffinity", nr: unix.SYS_SCHED_GETAFFINITY},
		{name: "brk", nr: unix.SYS_BRK},
	}
}

func onEveryThread(nr, a, b uintptr) error {
	runtime.LockOSThread() // for good
	if _, _, errno := unix.Syscall6(nr, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
