package smtp_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// States of a TCP connection as its own machine has them (tcp(7), TCP_INFO).
const (
	established = 1
	finWait2    = 5 // we have closed our half, and the other end received it
	closed      = 7 // by a reset, where we have not closed
	closeWait   = 8 // the other end has closed its half
)

// tcpState is the state of conn.
func tcpState(t *testing.T, conn *net.TCPConn) (state int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Error(err)
			return
		}
		state = int(info.State)
	}); err != nil {
		t.Fatal(err)
	}
	return state
}

// pair returns both ends of a connection, the client's with a small receive
// buffer. Ours has sent n bytes.
func pair(t *testing.T, n int) (ours, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client = conn.(*net.TCPConn)
	if err := client.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	conn, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours = conn.(*net.TCPConn)
	t.Cleanup(func() { ours.Close(); client.Close() })
	if _, err := ours.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	return ours, client
}

// program gives the client's end of a connection to a process that never reads
// from it.
func program(t *testing.T, client *net.TCPConn) *exec.Cmd {
	t.Helper()
	f, err := client.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("sleep", "600")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // fails where it is gone already
	client.Close()
	return cmd
}

const answers = 60 // bytes of a 250 and a 221

// TestNoAcknowledgementByAClientKilled: a client killed after the answers had come
// to its machine, and before it read them, has not read them, whenever that is.
func TestNoAcknowledgementByAClientKilled(t *testing.T) {
	for _, when := range []string{"before we look", "while it may close by itself", "after we have closed"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			d := open(t, nil)
			ours, client := pair(t, answers)
			cmd := program(t, client)
			eventually(t, "its machine has the answers", func() bool { return !smtp.Unreceived(ours) })
			kill := func() {
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
			over := make(chan struct{})
			start := func() {
				go func() {
					defer close(over)
					d.AcknowledgeEnd(t.Context(), ours, dlp.NewID())
				}()
			}
			switch when {
			case "before we look":
				kill()
				eventually(t, "the reset is here", func() bool { return tcpState(t, ours) == closed })
				start()
			case "while it may close by itself":
				start()
				kill()
			default:
				start()
				eventually(t, "our half is closed", func() bool { return tcpState(t, ours) == finWait2 })
				kill()
			}
			<-over
			if got := d.handler.acknowledged(); got != "[]" {
				t.Errorf("got %s, want none", got)
			}
		})
	}
}

// TestNoAcknowledgementByAnEndAlone: a client that says it will send no more has not
// read the answers where its machine has not even received them, or where it was
// gone with some of them unread.
func TestNoAcknowledgementByAnEndAlone(t *testing.T) {
	for name, sent := range map[string]int{"not received": 1 << 20, "not read": answers} {
		t.Run(name, func(t *testing.T) {
			d := open(t, nil)
			ours, client := pair(t, sent)
			if sent == answers {
				eventually(t, "its machine has the answers", func() bool { return !smtp.Unreceived(ours) })
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "its end is here", func() bool { return tcpState(t, ours) == closeWait })
			if sent == answers {
				client.Close()
				eventually(t, "the reset is here", func() bool { return tcpState(t, ours) == closed })
			}
			d.AcknowledgeEnd(t.Context(), ours, dlp.NewID())
			if got := d.handler.acknowledged(); got != "[]" {
				t.Errorf("got %s, want none", got)
			}
		})
	}
}

// TestUnreceivedStays: that a client was gone with answers unread is seen however
// often one looks, and also behind the end that it had sent first.
func TestUnreceivedStays(t *testing.T) {
	for _, end := range []bool{false, true} {
		t.Run(fmt.Sprintf("its half closed before: %v", end), func(t *testing.T) {
			ours, client := pair(t, answers)
			eventually(t, "its machine has the answers", func() bool { return !smtp.Unreceived(ours) })
			if end {
				if err := client.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, ours); err != nil {
					t.Fatal(err)
				}
			}
			client.Close()
			eventually(t, "the reset is here", func() bool { return tcpState(t, ours) == closed })
			for range 3 {
				if !smtp.Unreceived(ours) {
					t.Fatal("the answers count as received")
				}
			}
		})
	}
}

// TestEndOfAClientThatStays: a client that neither reads nor closes has
// acknowledged nothing when its time is over; and we close our half only where its
// machine has all of the answers.
func TestEndOfAClientThatStays(t *testing.T) {
	for name, tc := range map[string]struct{ sent, state int }{
		"its machine has the answers": {answers, finWait2},
		"its machine has no room":     {1 << 20, established},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, nil)
			ours, _ := pair(t, tc.sent)
			d.AcknowledgeEnd(t.Context(), ours, dlp.NewID())
			if got := d.handler.acknowledged(); got != "[]" {
				t.Errorf("got %s, want none", got)
			}
			if got := tcpState(t, ours); got != tc.state {
				t.Errorf("the connection is in state %d, want %d", got, tc.state)
			}
		})
	}
}

// TestNoEarlyEndOverTLS: over TLS we do not close before the client does: the end
// is a record more, which breaks the connection of a client that has closed.
func TestNoEarlyEndOverTLS(t *testing.T) {
	t.Parallel()
	d := holding(t, dlp.NewID(), func() {})
	c := d.overTLS(t, d.hello(t))
	c.envelope("c@d.test")
	c.say("DATA\r\n", "354")
	c.send(pipelined)
	c.want("250 2.0.0 Held", "221", "closed")
	c.conn.Close()
	eventually(t, "the session ends", func() bool { return d.Sessions() == 0 })
	if got := d.handler.acknowledged(); got != "[]" {
		t.Errorf("got %s of a client that we closed on, want none", got)
	}
}
