package smtp

import (
	"net"

	"golang.org/x/sys/unix"
)

// spokeEarly reports whether the client has sent something before it was
// greeted, as programs do that do not listen. It looks once and does not wait,
// so that nobody else is slowed down. RFC 5321 3.1.
func spokeEarly(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false // the connection is closed; the first write will find out
	}
	var n int
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) // EAGAIN: nothing there, n is -1
	})
	return err == nil && n > 0
}
