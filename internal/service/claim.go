package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ClaimArg is the argument under which a program that calls Claim runs Claimant
// and nothing else.
const ClaimArg = "worker-mainpid"

const (
	// parentEvery is how often Claim looks whether the predecessor has ended.
	parentEvery = 10 * time.Millisecond
	// heardWithin is how long the manager may take to read what it was told.
	heardWithin = 10 * time.Second
)

// Claim makes the service manager see that this process is its own child, once
// the predecessor from has ended, and waits for that. Without a predecessor or
// a manager it does nothing.
//
// systemd looks who the parent of the main process is at the moment in which it
// is told MAINPID, and not again: that of a successor is the predecessor then.
// It takes a main process that is not its child for one whose end it would not
// see, and so a stop with KillMode=mixed sends SIGKILL right after SIGTERM. It
// does not listen to the id that it already has, so the service is another
// process for a moment: one that this process starts, and that gives the id
// back. From the first message to the return, what this process itself tells
// the manager may be lost, but for that.
//
// Sources: service_set_main_pid in systemd's src/core/service.c and
// unit_kill_context in its src/core/unit.c; BARRIER in sd_notify(3).
func (n Notifier) Claim(ctx context.Context, from *Predecessor) error {
	if n.Socket == "" || from == nil {
		return nil
	}
	if err := from.ended(ctx); err != nil {
		return err
	}
	// The file that is still open, whatever stands at its path by now.
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], ClaimArg}, Env: []string{"NOTIFY_SOCKET=" + n.Socket}, Stderr: os.Stderr}
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("main process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("main process: %w", err)
	}
	n.send("MAINPID=" + strconv.Itoa(cmd.Process.Pid))
	heard := n.barrier()
	// Also where it was not heard: what the claimant says comes behind it.
	_, err = in.Write([]byte{1})
	return errors.Join(heard, err, in.Close(), cmd.Wait())
}

// Claimant is the process that Claim starts: it reads from standard input that
// the manager takes it for the service, gives that back to its parent, and ends
// once that was heard.
func Claimant(getenv func(string) string) error {
	// An end of the input without a word is the end of the parent. This process
	// may be the service by then, so it fails: the manager starts another.
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("main process: %w", err)
	}
	n := Notifier{Socket: getenv("NOTIFY_SOCKET")}
	n.send("MAINPID=" + strconv.Itoa(os.Getppid()))
	return n.barrier()
}

// barrier waits until the manager has read everything that was said so far.
//
// Source: sd_notify_barrier(3): it closes the handle that comes with the word.
func (n Notifier) barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer r.Close()
	defer w.Close()
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.Socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer c.Close()
	deadline := time.Now().Add(heardWithin)
	if err := errors.Join(c.SetWriteDeadline(deadline), r.SetReadDeadline(deadline)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	if err := sendHandle(c, "BARRIER=1", w); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	w.Close() // the manager has the last one
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("notify: the service manager does not read what it is told")
	}
	return nil
}

// sendHandle sends word to whom c is connected to, and with it a handle of f.
func sendHandle(c *net.UnixConn, word string, f *os.File) error {
	to, err := c.SyscallConn()
	if err != nil {
		return err
	}
	of, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = of.Control(func(handle uintptr) {
		err := to.Write(func(fd uintptr) bool {
			sent = unix.Sendmsg(int(fd), []byte(word), unix.UnixRights(int(handle)), nil, unix.MSG_NOSIGNAL)
			return !errors.Is(sent, unix.EAGAIN)
		})
		if err != nil {
			sent = err
		}
	})
	return errors.Join(err, sent)
}

// ended waits until the predecessor has ended, and another process has become
// the parent of this one.
func (p *Predecessor) ended(ctx context.Context) error {
	t := time.NewTicker(parentEvery)
	defer t.Stop()
	for os.Getppid() == p.pid {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
