package milter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// maxPacket is the longest packet that is read, in bytes: the largest that the
// protocol has a flag for (SMFIP_MDS_1M), and its command.
const maxPacket = 1<<20 + 1

// maxMacros is the longest list of macros of one command, in bytes: the library
// keeps each until the connection ends. Mail servers send some hundred bytes.
const maxMacros = 64 << 10

// The commands of a mail server. Source: libmilter/mfdef.h, SMFIC_*.
const (
	cmdAbort   = 'A'
	cmdBody    = 'B'
	cmdConnect = 'C'
	cmdMacro   = 'D'
	cmdEnd     = 'E'
	cmdHelo    = 'H'
	cmdNewConn = 'K'
	cmdHeader  = 'L'
	cmdMail    = 'M'
	cmdEOH     = 'N'
	cmdOptions = 'O'
	cmdQuit    = 'Q'
	cmdRcpt    = 'R'
	cmdData    = 'T'
	cmdUnknown = 'U'
)

// guard stands between a mail server's connection and the library: it hands on
// whole packets of a proper form, bounds how long one may take, and ends the
// connection, as if the server had, on anything else. What the library would
// crash on, allocate without bound, pass over or put into a log with an address
// in it does not reach it.
type guard struct {
	conn   net.Conn
	in     *bufio.Reader
	idle   time.Duration
	packet time.Duration // for one packet, in or out
	// command is called with each packet before it is handed on; an error ends
	// the connection.
	command func(code byte) error

	buf     []byte // what is handed on before anything else is read
	body    int    // bytes of a body that follow buf
	spoke   bool   // the first packet was read
	last    byte   // command of the packet before
	closing sync.Once
	closed  chan struct{}

	mu      sync.Mutex // guards all below
	reading bool       // inside a packet: its time is its own
	busy    bool       // inside a message: not to be stopped
	used    bool       // a message was begun
	stopsAt time.Time  // until when it may wait for a message; zero: the door is not closing
}

// farewell is for how long a connection stays open between messages once the door is
// closing: its client is turned away where it goes on, for most servers hear nothing
// once they have written to a connection that is closed.
const farewell = 3 * time.Second

// shutDown is the packet that has a server turn its client away with 421, as the
// answer to a command: a reply code, since the one that the protocol has for it
// (SMFIR_SHUTDOWN) is none to Sendmail.
//
// Source: libmilter/mfdef.h, SMFIR_REPLYCODE.
var shutDown = append([]byte{0, 0, 0, byte(1 + len(goodbye))}, "y"+goodbye...)

const goodbye = "421 4.3.2 Service shutting down, try again\x00"

func newGuard(conn net.Conn, idle, packet time.Duration, command func(byte) error) *guard {
	return &guard{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), idle: idle, packet: packet, command: command,
		closed: make(chan struct{})}
}

// Read hands on what was let through. Whatever ends the connection is
// net.ErrClosed, about which the library says nothing.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.buf) == 0 && g.body == 0 {
		if err := g.next(); err != nil {
			return 0, net.ErrClosed
		}
	}
	if len(g.buf) > 0 {
		n := copy(p, g.buf)
		g.buf = g.buf[n:]
		return n, nil
	}
	n, err := g.in.Read(p[:min(len(p), g.body)])
	g.body -= n
	if err != nil {
		return n, net.ErrClosed
	}
	return n, nil
}

var (
	errPacket   = errors.New("milter: not a proper packet")
	errStopping = errors.New("milter: stopping")
)

// next reads a packet and checks it. A body is not gathered: its bytes may be
// any, and follow as they come.
func (g *guard) next() error {
	for {
		if err := g.await(); err != nil {
			return err
		}
		_, err := g.in.Peek(1)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !g.mayStop() { // otherwise it was woken
			return err
		}
	}
	g.begin()
	var head [5]byte
	if _, err := io.ReadFull(g.in, head[:]); err != nil {
		return err
	}
	size, code := binary.BigEndian.Uint32(head[:4]), head[4]
	if size < 1 || size > maxPacket || g.spoke != (code != cmdOptions) {
		return errPacket
	}
	g.spoke = true
	away := g.setBusy(code)
	if code == cmdBody {
		g.buf, g.body = head[:], int(size)-1
	} else {
		b := make([]byte, len(head)+int(size)-1)
		copy(b, head[:])
		if _, err := io.ReadFull(g.in, b[len(head):]); err != nil {
			return err
		}
		if !proper(code, b[len(head):]) {
			return errPacket
		}
		g.buf = b
	}
	if err := g.command(code); err != nil || !away {
		return err
	}
	return g.turnAway()
}

// turnAway answers a MAIL that comes while the door is closing, and stays until the
// server has left, for a while.
func (g *guard) turnAway() error {
	if _, err := g.Write(shutDown); err != nil {
		return err
	}
	_ = g.conn.SetReadDeadline(time.Now().Add(farewell)) // fails only on a closed connection, as the read will
	_, _ = io.Copy(io.Discard, g.in)                     // nothing of it counts any more
	return errStopping
}

// await arms the wait for a packet. Where the door is closing and no message is
// under way it ends in errStopping, and the server is told before it asks: one that
// looks reads it as the answer to its next command.
func (g *guard) await() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading = false
	if g.busy && (g.last == cmdEnd || g.last == cmdAbort) {
		g.busy = false
		if g.closes() { // the client of that message may go on too
			g.stopsAt = time.Now().Add(farewell)
		}
	}
	wait := time.Now().Add(g.idle)
	if !g.spoke {
		wait = time.Now().Add(g.packet)
	}
	if g.closes() {
		if wait = g.stopsAt; !time.Now().Before(wait) {
			if g.spoke {
				_, _ = g.Write(shutDown) // a server that is gone needs no telling
			}
			return errStopping
		}
	}
	return g.conn.SetReadDeadline(wait)
}

// begin gives the packet that has begun its time.
func (g *guard) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading = true
	_ = g.conn.SetReadDeadline(time.Now().Add(g.packet)) // fails only on a closed connection, as the read will
}

// setBusy notes the command of a packet, and reports whether it begins a message that
// is to be turned away. The first of a connection is not: its client was just let in.
func (g *guard) setBusy(code byte) (away bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if code == cmdMail {
		away = g.closes() && g.used
		g.busy, g.used = true, true
	}
	if code != cmdMacro {
		g.last = code
	}
	return away
}

// closes reports whether the door is closing and no message is under way. The
// caller holds mu.
func (g *guard) closes() bool { return !g.stopsAt.IsZero() && !g.busy }

// mayStop is closes for those that do not hold mu.
func (g *guard) mayStop() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closes()
}

// stop asks the connection to end between messages; one that waits does so no longer
// than farewell. Called by another goroutine.
func (g *guard) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopsAt = time.Now().Add(farewell)
	if !g.reading && !g.busy {
		_ = g.conn.SetReadDeadline(g.stopsAt) // fails only when it is closed already
	}
}

// proper reports whether data is what belongs to the command code. An end of
// message with data is refused: the library would pass over it.
func proper(code byte, data []byte) bool {
	switch code {
	case cmdOptions:
		return len(data) >= 12
	case cmdConnect:
		return properConnect(data)
	case cmdHelo, cmdUnknown:
		return len(data) > 0 && bytes.IndexByte(data, 0) == len(data)-1
	case cmdMail, cmdRcpt:
		return len(data) > 0 && data[len(data)-1] == 0
	case cmdHeader:
		return len(data) > 1 && data[len(data)-1] == 0 && bytes.Count(data, []byte{0}) == 2 && data[0] != 0
	case cmdMacro:
		return len(data) > 0 && len(data) <= maxMacros && properMacro(data[0]) && (len(data) == 1 || data[len(data)-1] == 0)
	case cmdData, cmdEOH, cmdEnd, cmdAbort, cmdQuit, cmdNewConn:
		return len(data) == 0
	}
	return false
}

// properMacro reports whether macros of that command are known to the library.
func properMacro(code byte) bool {
	return strings.IndexByte("CHMRTNEULAB", code) >= 0
}

// properConnect reads host name, family, port and address.
func properConnect(data []byte) bool {
	_, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(rest) == 0 {
		return false
	}
	family := rest[0]
	if family == 'U' {
		return true
	}
	if len(rest) < 4 || rest[len(rest)-1] != 0 {
		return false
	}
	addr := string(rest[3 : len(rest)-1])
	switch family {
	case 'L':
		return true
	case '4':
		a, err := netip.ParseAddr(addr)
		return err == nil && a.Is4()
	case '6':
		a, err := netip.ParseAddr(strings.Trim(strings.TrimPrefix(addr, "IPv6:"), "[]"))
		return err == nil && a.Is6() && a.Zone() == ""
	}
	return false
}

// Write answers the server within the time of a packet.
func (g *guard) Write(p []byte) (int, error) {
	_ = g.conn.SetWriteDeadline(time.Now().Add(g.packet)) // fails only on a closed connection, as the write will
	n, err := g.conn.Write(p)
	if err != nil {
		return n, net.ErrClosed // what the library says nothing about
	}
	return n, nil
}

// Close ends the connection.
func (g *guard) Close() error {
	g.closing.Do(func() {
		_ = g.conn.Close() // nothing more can be done with it
		close(g.closed)
	})
	return nil
}

// LocalAddr, RemoteAddr and the deadlines complete net.Conn. Deadlines are the
// guard's own.
func (g *guard) LocalAddr() net.Addr              { return g.conn.LocalAddr() }
func (g *guard) RemoteAddr() net.Addr             { return g.conn.RemoteAddr() }
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }
