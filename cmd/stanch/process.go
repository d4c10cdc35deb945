package main

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// keepMemory sees to it that what stands in memory, which is mail and keys, is
// neither written to a core file nor read by other programs of this user. The
// children inherit the limit.
//
// Source: core(5), PR_SET_DUMPABLE in prctl(2): a core_pattern that is a
// program does not mind the limit.
func keepMemory() error {
	return errors.Join(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}), unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// timerSlack is how late a timer of this process may go off. Go's runtime has a
// thread that sleeps for 20 µs at a time while there is work, to look after the
// others: with the kernel's 50 µs of slack that took a tenth of the door's
// processor time, with 500 µs a twelfth. Nothing here is timed more finely than
// this; stanch.service has the same.
const timerSlack = 4 * time.Millisecond

// slackTimers gives every thread that slack; those to come, and the children,
// inherit it. It saves time only: where we may not, all works without.
//
// Source: timerslack_ns in proc_pid_timerslack_ns(5), which wants CAP_SYS_NICE;
// stanch.service has TimerSlackNSec= instead.
func slackTimers() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", []byte(strconv.FormatInt(timerSlack.Nanoseconds(), 10)), 0)
	}
}
