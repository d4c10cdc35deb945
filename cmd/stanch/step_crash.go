//go:build crashtest

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	steps   atomic.Int64
	crashAt = os.Getenv("STANCH_CRASH_AT")
)

// onStep ends the process as kill -9 does, before the step that
// STANCH_CRASH_AT names: "STEP" or "STEP#N" for the Nth time it is reached.
// This file is in binaries built for the crash tests only.
func onStep(step string) {
	name, nth, _ := strings.Cut(crashAt, "#")
	if name != step {
		return
	}
	want, err := strconv.ParseInt(nth, 10, 64)
	if err != nil {
		want = 1
	}
	if steps.Add(1) == want {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {}
	}
}
