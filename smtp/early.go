package smtp

import (
	"context"
	"crypto/tls"
	"errors"
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
	if _, said := peek(h.conn); said || h.br.Buffered() > 0 {
		return false
	}
	_, secured := h.conn.(*tls.Conn)
	return !secured || isTimeout(h.lookInside())
}

// saidMore reports whether more than was asked has been read off the connection
// already.
func (h *hop) saidMore() bool {
	if h.br.Buffered() > 0 {
		return true
	}
	_, secured := h.conn.(*tls.Conn)
	return secured && h.lookInside() == nil
}

// lookInside looks, without waiting, for what TLS has read together with the
// last answer, and leaves it there. A read whose time is over asks nothing of
// the connection below, and may be repeated: nil for an answer, a timeout where
// there is none, else how the connection ended.
func (h *hop) lookInside() error {
	h.limit = time.Time{}
	_ = h.conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection, as the next use will
	_, err := h.br.Peek(1)
	return err
}

// isTimeout reports whether err says that the time for it was over.
func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// inStep reports whether the next hop has not said more than was asked, as far
// as that is known: what it has sent and is still on its way cannot be.
func (h *hop) inStep() bool {
	if h.saidMore() {
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
	h.limit = time.Time{}
	_ = h.conn.SetReadDeadline(time.Now().Add(recordTimeout)) // fails only on a closed connection, as the next use will
	_, err := h.br.Peek(1)
	return err != nil
}

// meant reports whether the refusal that was read last was the answer to what
// was said last, and nothing said out of turn: goodbye must then be answered as
// goodbye, or by closing. Of all commands QUIT alone has an answer that cannot be
// that to a message. The connection is of no use after it.
func (h *hop) meant(ctx context.Context) bool {
	if h.saidMore() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, resetTimeout)
	defer cancel()
	if h.watch(ctx) {
		defer h.rest()
	}
	h.arm(ctx, resetTimeout)
	_, _ = h.bw.WriteString("QUIT\r\n")
	_ = h.bw.Flush() // what can be read tells whether it had closed
	r, err := h.reply()
	if err != nil {
		return hungUp(err) && ctx.Err() == nil
	}
	return r.Code == 221
}

// hungUp reports whether err, of reading an answer, says that the next hop closed.
func hungUp(err error) bool {
	return !errors.Is(err, errReply) && !errors.Is(err, errOutOfStep) && !isTimeout(err)
}

// unread reports whether the next hop cannot have read all that was sent, though
// it has answered.
func (h *hop) unread() (known bool) { return unreceived(h.conn) }

// unreceived reports whether the other end cannot have read all that was sent:
// its end of the connection has not even received all, which what it sends later
// acknowledges (RFC 9293 3.4), or it has closed with some of it unread, of which
// a reset tells (RFC 2525 2.17), also one that came behind its end. It looks once,
// does not wait, and leaves the error of a reset where it is, so that whoever looks
// or reads next sees it too: behind an error that was taken a connection only ends.
func unreceived(conn net.Conn) (known bool) {
	onSocket(conn, func(fd int) {
		if n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ); err == nil && n > 0 {
			known = true
			return
		}
		look := []unix.PollFd{{Fd: int32(fd)}} // asked or not, an error is told
		_, err := unix.Poll(look, 0)
		known = err == nil && look[0].Revents&unix.POLLERR != 0
	})
	return known
}

// recordTimeout is how long a TLS record that has begun to come is waited for.
const recordTimeout = 50 * time.Millisecond

// peek looks, without waiting, for what can be read from conn and leaves it
// there: n bytes, or with n 0 the end. ok is false where there is neither, or
// conn cannot be looked at.
func peek(conn net.Conn) (n int, ok bool) {
	onSocket(conn, func(fd int) {
		var b [1]byte
		var err error
		n, _, err = unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ok = err == nil // EAGAIN: nothing there
	})
	return n, ok
}

// onSocket calls look with the socket beneath conn, if there is one and it is
// open.
func onSocket(conn net.Conn, look func(fd int)) {
	if secured, is := conn.(*tls.Conn); is {
		conn = secured.NetConn()
	}
	sc, is := conn.(syscall.Conn)
	if !is {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return // closed here; the next use will find out
	}
	_ = raw.Control(func(fd uintptr) { look(int(fd)) }) // as above
}
