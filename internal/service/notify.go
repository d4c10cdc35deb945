package service

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier tells a service manager how this process does. The zero Notifier
// has nobody to tell. What it says may be lost: a service manager that does
// not hear is no reason to stop a mail relay.
//
// Source: sd_notify(3).
type Notifier struct {
	// Socket is the path of the datagram socket, "@" first where it has no
	// path, as $NOTIFY_SOCKET names it.
	Socket string
}

// Ready says that the doors are open, or that a reload has ended.
func (n Notifier) Ready(status string) { n.send("READY=1", "STATUS="+status) }

// Reloading says that new rules are being loaded; Ready ends it.
func (n Notifier) Reloading() {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return
	}
	n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(ts.Nano()/1000, 10))
}

// Stopping says that the doors close.
func (n Notifier) Stopping() { n.send("STOPPING=1", "STATUS=doors close, work in hand finishes") }

// Status says in a few words what is going on. The words reach logs.
func (n Notifier) Status(status string) { n.send("STATUS=" + status) }

// Watchdog says that the process is alive.
func (n Notifier) Watchdog() { n.send("WATCHDOG=1") }

// MainPID says that the service is another process from now on, and how that
// does: until then nobody listens to it.
func (n Notifier) MainPID(pid int, status string) {
	n.send("MAINPID="+strconv.Itoa(pid), "STATUS="+status)
}

func (n Notifier) send(lines ...string) {
	if n.Socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.Socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a full queue holds nothing up
	_, _ = fmt.Fprintln(c, strings.Join(lines, "\n"))   // see Notifier
}

// WatchdogEvery is how often the service manager wants to hear Watchdog at the
// least, twice as often as it demands; 0 where it does not ask.
//
// Source: sd_watchdog_enabled(3).
func WatchdogEvery(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}
