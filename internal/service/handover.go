package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// handoverVar holds the process id of a stanch that gives way to the one it
// has started. LISTEN_PID cannot be used: a parent does not know the id before
// there is a child.
const handoverVar = "STANCH_HANDOVER"

// managedVar is how many of the sockets that are handed over, from the first,
// the service manager holds open too.
const managedVar = "STANCH_MANAGED"

// linkName is what the first handle is called, over which the two speak. Each
// word is a line:
//
//	new: prepared           configuration and rules hold
//	old: go                 the data folder is free
//	new: serving            the doors are open
//	new: failed TEXT        instead of either
//
// An old process that goes without a word has died, and the new one begins.
const linkName = "handover"

const (
	wordPrepared = "prepared"
	wordGo       = "go"
	wordServing  = "serving"
	wordFailed   = "failed"
)

// maxWord bounds a line of the link.
const maxWord = 4096

// errGone says that the other end of the link has closed.
var errGone = errors.New("the process ended")

// Successor is a process that was started to take over from this one.
type Successor struct {
	cmd  *exec.Cmd
	link *link
	done chan struct{} // closed when the process has ended
}

// Start starts the program at path as the successor of this process, with
// these arguments and this environment, in which everything of this package is
// replaced.
func Start(path string, args, env []string, shared *Shared) (*Successor, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("successor: link: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), linkName)
	defer theirs.Close()
	l, err := newLink(os.NewFile(uintptr(pair[0]), linkName))
	if err != nil {
		return nil, fmt.Errorf("successor: %w", err)
	}
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "LISTEN_PID" || name == "WATCHDOG_PID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES" || name == handoverVar || name == managedVar
	})
	env = append(env, handoverVar+"="+strconv.Itoa(os.Getpid()), "LISTEN_FDS="+strconv.Itoa(len(shared.files)+1),
		managedVar+"="+strconv.Itoa(shared.managed),
		"LISTEN_FDNAMES="+strings.Join(append([]string{linkName}, shared.names...), ":"))
	cmd := &exec.Cmd{Path: path, Args: args, Env: env, Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles: append([]*os.File{theirs}, shared.files...)}
	if err := cmd.Start(); err != nil {
		_ = l.conn.Close() // nobody reads from it any more
		return nil, fmt.Errorf("successor: %w", err)
	}
	s := &Successor{cmd: cmd, link: l, done: make(chan struct{})}
	go func() { // ends with the process
		_ = cmd.Wait() // the link says what there is to say
		close(s.done)
	}()
	return s, nil
}

// PID is the process id of the successor.
func (s *Successor) PID() int { return s.cmd.Process.Pid }

// Prepared waits until the successor could begin.
func (s *Successor) Prepared(ctx context.Context) error { return s.link.expect(ctx, wordPrepared) }

// Go tells the successor to begin, and waits until its doors are open.
func (s *Successor) Go(ctx context.Context) error {
	if err := s.link.say(wordGo); err != nil {
		return err
	}
	return s.link.expect(ctx, wordServing)
}

// Terminate asks the successor to stop and waits for that, at most until ctx
// ends.
func (s *Successor) Terminate(ctx context.Context) {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	s.Kill()
}

// Kill ends the successor and waits for its end.
func (s *Successor) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
	_ = s.link.conn.Close() // nobody reads from it any more
}

// Predecessor is the process that this one was started by to take over from.
type Predecessor struct {
	link *link
	pid  int
}

func newPredecessor(f *os.File, pid int) (*Predecessor, error) {
	l, err := newLink(f)
	if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	return &Predecessor{l, pid}, nil
}

// Prepared says that this process could begin, and waits until it may. That
// the other is gone means that it may.
func (p *Predecessor) Prepared(ctx context.Context) error {
	err := errors.Join(p.link.say(wordPrepared), p.link.expect(ctx, wordGo))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, errGone) && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("handover: %w", err)
	}
	return nil
}

// Serving says that the doors are open.
func (p *Predecessor) Serving() {
	_ = p.link.say(wordServing) // it may be gone, and this process serves all the same
	_ = p.link.conn.Close()     // nobody reads from it any more
}

// Failed says why this process does not begin.
func (p *Predecessor) Failed(err error) {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	_ = p.link.say(wordFailed + " " + text[:min(len(text), maxWord/2)]) // it sees the end of the link in any case
	_ = p.link.conn.Close()                                             // nobody reads from it any more
}

// link is one end of the pair.
type link struct {
	conn net.Conn
	in   *bufio.Reader
}

// newLink makes a link of a handle; f is closed either way.
func newLink(f *os.File) (*link, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	return &link{c, bufio.NewReaderSize(c, maxWord)}, nil
}

func (l *link) say(word string) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err := l.conn.Write([]byte(word + "\n"))
	return err
}

// expect reads one word until ctx ends.
func (l *link) expect(ctx context.Context, want string) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := l.in.ReadSlice('\n')
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return errGone
	}
	word, text, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
	switch word {
	case want:
		return nil
	case wordFailed:
		return errors.New(text)
	}
	return fmt.Errorf("got %q, want %q", word, want)
}
