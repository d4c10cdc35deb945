//go:build !cgo

package sandbox

import "syscall"

// cgoBuild says what a build with cgo cannot do; "" for one without.
const cgoBuild = ""

// threadCheck: Go's runtime makes threads with these flags and no other.
const threadCheck = equal

func cgoCalls() []call { return nil }

// onEveryThread makes a system call on all threads there are; later ones inherit
// what it did.
func onEveryThread(nr, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(nr, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
