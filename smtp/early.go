package smtp

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spokeEarly reports whether the client has sent something before it was
// greeted, as programs do that do not listen. It looks once and does not wait,
// so that nobody else is slowed down. RFC 5321 3.1.
func spokeEarly(conn net.Conn) bool {
	n, ok := peek(conn)
	return ok && n > 0
}

// quiet reports whether the next hop has said nothing since its last answer, and
// has not closed. What TLS itself has to say, such as its own end, counts as
// said.
func (h *hop) quiet() bool {
	_, said := peek(h.conn)
	return !said
}

// inStep reports whether the next hop has not said more than was asked, as far
// as that is known: what it has sent and is still on its way cannot be.
func (h *hop) inStep() bool {
	if h.br.Buffered() > 0 {
		return false
	}
	n, said := peek(h.conn)
	if !said || n == 0 { // its end is found out by who asks next
		return true
	}
	if _, secured := h.conn.(*tls.Conn); !secured {
		return false
	}
	// Not every record beneath is an answer: a ticket is not.
	_ = h.conn.SetReadDeadline(time.Now().Add(recordTimeout)) // fails only on a closed connection, as the next use will
	_, err := h.br.Peek(1)
	return err != nil
}

// recordTimeout is how long a TLS record that has begun to come is waited for.
const recordTimeout = 50 * time.Millisecond

// peek looks, without waiting, for what can be read from conn and leaves it
// there: n bytes, or with n 0 the end. ok is false where there is neither, or
// conn cannot be looked at.
func peek(conn net.Conn) (n int, ok bool) {
	if secured, is := conn.(*tls.Conn); is {
		conn = secured.NetConn()
	}
	sc, is := conn.(syscall.Conn)
	if !is {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false // closed here; the next use will find out
	}
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		var perr error
		n, _, perr = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ok = perr == nil // EAGAIN: nothing there
	})
	return n, err == nil && ok
}
