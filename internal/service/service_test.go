package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/service"
)

// playVar makes this test program play the part it names.
const playVar = "SERVICE_TEST_PLAY"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == service.ClaimArg {
		if err := service.Claimant(os.Getenv); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if part := os.Getenv(playVar); part != "" {
		if err := play(part); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// play is a process that was handed sockets.
func play(part string) error {
	ls, from, err := service.Inherit(os.Getenv)
	if err != nil {
		return err
	}
	defer ls.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	door := []service.Door{{Name: "smtp", Key: "smtp.listen", Addr: os.Getenv("SERVICE_TEST_ADDR")}}
	manager := service.Notifier{Socket: os.Getenv("NOTIFY_SOCKET")}
	switch part {
	case "gives way":
		return giveWay(ctx, manager)
	case "bind":
		_, err := ls.Bind(ctx, door)
		return err
	case "dies":
		return nil
	case "refuses":
		from.Failed(errors.New("stanch.toml:3: smtp.listen:\nwhat was expected"))
		return nil
	}
	lns, err := ls.Bind(ctx, door)
	if err != nil {
		return err
	}
	if err := from.Prepared(ctx); err != nil {
		return err
	}
	if part == "gives up" {
		from.Failed(errors.New("no folder"))
		return nil
	}
	from.Serving()
	if part == "claims" {
		if err := manager.Claim(ctx, from); err != nil {
			return err
		}
		manager.Status("claimed")
		return nil
	}
	c, err := lns[0].Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, "the new one\n")
	return err
}

// giveWay is a process that starts a successor, names it to the manager and
// ends.
func giveWay(ctx context.Context, manager service.Notifier) error {
	var none service.Listeners
	shared, err := none.Share()
	if err != nil {
		return err
	}
	s, err := service.Start(os.Args[0], []string{os.Args[0]}, append(os.Environ(), playVar+"=claims"), shared)
	if err != nil {
		return err
	}
	if err := errors.Join(s.Prepared(ctx), s.Go(ctx)); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // who claims too early does it now
	manager.MainPID(s.PID(), "gives way")
	return nil
}

func door(addr string) service.Door {
	return service.Door{Name: "smtp", Key: "smtp.listen", Addr: addr}
}

func bind(t *testing.T, ds ...service.Door) (*service.Listeners, []net.Listener) {
	t.Helper()
	ls, from, err := service.Inherit(func(string) string { return "" })
	if err != nil || from != nil {
		t.Fatalf("Inherit of nothing: %v, %v", from, err)
	}
	t.Cleanup(ls.Close)
	lns, err := ls.Bind(t.Context(), ds)
	if err != nil {
		t.Fatal(err)
	}
	return ls, lns
}

// activated runs this program as a service manager runs a service for which it
// holds the socket at addr, and returns what it printed.
func activated(t *testing.T, addr, name, wants string, env ...string) (string, error) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wants = strings.ReplaceAll(wants, "PORT", fmt.Sprint(ln.Addr().(*net.TCPAddr).Port))
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append([]string{playVar + "=bind", "SERVICE_TEST_ADDR=" + wants, "LISTEN_FDS=1", "LISTEN_FDNAMES=" + name}, env...)
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestActivation(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, addr, fdname, wants string
		want                      string // of the error; "" for none
	}{
		{"by address", "127.0.0.1:0", "stanch.socket", "127.0.0.1:PORT", ""},
		{"by address and name", "127.0.0.1:0", "smtp", "127.0.0.1:PORT", ""},
		{"host name", "127.0.0.1:0", "smtp", "localhost:PORT", ""},
		{"every address", "0.0.0.0:0", "smtp", ":PORT", ""},
		{"another address", "127.0.0.1:0", "smtp", "127.0.0.2:PORT", "is no door's: name its address in smtp.listen"},
		{"another door's name", "127.0.0.1:0", "metrics", "127.0.0.1:PORT", "is called metrics, and smtp.listen has its address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := activated(t, tt.addr, tt.fdname, tt.wants)
			if (err == nil) != (tt.want == "") || !strings.Contains(out, tt.want) {
				t.Errorf("got %v, %q, want %q", err, out, tt.want)
			}
		})
	}
}

// TestNotOurs holds that what was handed to another process is left alone.
func TestNotOurs(t *testing.T) {
	t.Parallel()
	env := map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "3"}
	ls, from, err := service.Inherit(func(k string) string { return env[k] })
	if err != nil || from != nil {
		t.Fatalf("got %v, %v, want nothing", from, err)
	}
	ls.Close()
	env = map[string]string{"LISTEN_PID": fmt.Sprint(os.Getpid()), "LISTEN_FDS": "many"}
	if _, _, err := service.Inherit(func(k string) string { return env[k] }); err == nil {
		t.Error("a number that is none: got no error")
	}
}

// TestBindIsAllOrNothing is not beside the tests that start processes: a child
// holds what was open at its start until it becomes another program.
func TestBindIsAllOrNothing(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free, err := net.Listen("tcp", "127.0.0.31:0") // where no other program takes the port meanwhile
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	var ls service.Listeners
	_, err = ls.Bind(t.Context(), []service.Door{door(free.Addr().String()), {Name: "metrics", Key: "metrics.listen", Addr: busy.Addr().String()}})
	if err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Fatalf("got %v, want an error that names metrics.listen", err)
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the other door stayed bound: %v", err)
	}
	again.Close()
}

func TestAlive(t *testing.T) {
	t.Parallel()
	ls, lns := bind(t, door("127.0.0.1:0"))
	if !ls.Alive(time.Now(), time.Minute) {
		t.Error("before the first Accept: got not alive")
	}
	dial := func() {
		c, err := net.Dial("tcp", lns[0].Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	}
	dial()
	c, err := lns[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if !ls.Alive(time.Now(), time.Minute) {
		t.Error("just after Accept: got not alive")
	}
	if ls.Alive(time.Now().Add(2*time.Minute), time.Minute) {
		t.Error("long after the last Accept, with nobody waiting: got alive")
	}
	lns[0].Close()
	if !ls.Alive(time.Now().Add(2*time.Minute), time.Minute) {
		t.Error("closed: got not alive")
	}
}

// listenAsManager is the service manager's socket, and where it stands.
func listenAsManager(t *testing.T) (path string, c *net.UnixConn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "n")
	if c, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, c
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	path, c := listenAsManager(t)
	n := service.Notifier{Socket: path}
	for _, tt := range []struct {
		say  func()
		want []string // beginnings of lines
	}{
		{func() { n.Ready("serving") }, []string{"READY=1", "STATUS=serving"}},
		{n.Reloading, []string{"RELOADING=1", "MONOTONIC_USEC="}},
		{n.Stopping, []string{"STOPPING=1", "STATUS="}},
		{n.Watchdog, []string{"WATCHDOG=1"}},
		{func() { n.MainPID(42, "serving") }, []string{"MAINPID=42", "STATUS=serving"}},
	} {
		tt.say()
		b := make([]byte, 4096)
		k, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(string(b[:k]), "\n"), "\n")
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("got %q, want lines that begin with %q", got, tt.want)
		}
	}
	service.Notifier{}.Ready("nobody hears")
	service.Notifier{Socket: path + ".gone"}.Ready("nobody hears")
}

// TestClaim: a successor whose predecessor has ended passes the service on to a
// process of its own, which gives it back: each says so while the manager
// listens to it, and the manager has heard it before the next word. Nothing is
// said while the manager has not let go of what a barrier brought.
func TestClaim(t *testing.T) {
	t.Parallel()
	path, c := listenAsManager(t)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	old := exec.Command(os.Args[0])
	old.Env = []string{playVar + "=gives way", "SERVICE_TEST_ADDR=127.0.0.1:0", "NOTIFY_SOCKET=" + path}
	old.Stdout, old.Stderr = os.Stderr, os.Stderr
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	main := old.Process.Pid
	for _, want := range []string{"MAINPID=", "MAINPID=", "BARRIER=1", "MAINPID=", "BARRIER=1", "STATUS=claimed"} {
		said, sender, release := heard(t, c)
		if want == "BARRIER=1" {
			silentFor(t, c, 100*time.Millisecond)
		}
		release()
		if sender != main && want != "BARRIER=1" { // which it hears of anybody
			t.Fatalf("%q came from %d while the service was %d", said, sender, main)
		}
		word, _, _ := strings.Cut(said, "\n")
		if !strings.HasPrefix(word, want) {
			t.Fatalf("got %q, want %q", word, want)
		}
		if next, ok := strings.CutPrefix(word, "MAINPID="); ok {
			if main, err = strconv.Atoi(next); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := old.Wait(); err != nil {
		t.Error(err)
	}
}

// silentFor waits for d, or until somebody speaks to a manager.
func silentFor(t *testing.T, c *net.UnixConn, d time.Duration) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 4096)); err == nil {
		t.Fatalf("%d bytes more were said before the barrier was heard", n)
	}
}

// TestClaimantWithoutParent: it may be the service by now, so it fails.
func TestClaimantWithoutParent(t *testing.T) {
	t.Parallel()
	path, _ := listenAsManager(t)
	cmd := exec.Command(os.Args[0], service.ClaimArg)
	cmd.Env = []string{"NOTIFY_SOCKET=" + path}
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("ended well, without a word from its parent: %s", out)
	}
}

// heard is the next message to a manager and who sent it; release closes the
// handles that came with it.
func heard(t *testing.T, c *net.UnixConn) (said string, sender int, release func()) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b, oob := make([]byte, 4096), make([]byte, 4096)
	n, k, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	ms, err := unix.ParseSocketControlMessage(oob[:k])
	if err != nil {
		t.Fatal(err)
	}
	var handles []int
	for i := range ms {
		if fds, err := unix.ParseUnixRights(&ms[i]); err == nil {
			handles = append(handles, fds...)
		}
		if cred, err := unix.ParseUnixCredentials(&ms[i]); err == nil {
			sender = int(cred.Pid)
		}
	}
	return strings.TrimSuffix(string(b[:n]), "\n"), sender, func() {
		for _, fd := range handles {
			unix.Close(fd) // that it was read is all it says
		}
	}
}

func TestWatchdogEvery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"x", "", 0}, {"-5", "", 0}, {"30000000", "1", 0},
		{"30000000", "", 15 * time.Second}, {"30000000", fmt.Sprint(os.Getpid()), 15 * time.Second},
	} {
		got := service.WatchdogEvery(func(k string) string {
			return map[string]string{"WATCHDOG_USEC": tt.usec, "WATCHDOG_PID": tt.pid}[k]
		})
		if got != tt.want {
			t.Errorf("%q, %q: got %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}

// successor starts this program in a part, to take over from one with a door.
func successor(t *testing.T, part string) (*service.Successor, net.Listener) {
	t.Helper()
	ls, lns := bind(t, door("127.0.0.1:0"))
	shared, err := ls.Share()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shared.Close)
	s, err := service.Start(os.Args[0], []string{os.Args[0]},
		[]string{playVar + "=" + part, "SERVICE_TEST_ADDR=" + lns[0].Addr().String(), "LISTEN_FDS=7", "LISTEN_PID=1"}, shared)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s, lns[0]
}

// TestHandover: who dials while the old one is gone and the new one does not
// accept yet is served by the new one.
func TestHandover(t *testing.T) {
	t.Parallel()
	s, ln := successor(t, "takes over")
	if err := s.Prepared(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		ended <- err
	}()
	ln.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Accept of a shared socket that was closed: got %v, want %v", err, net.ErrClosed)
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("between the two: %v", err)
	}
	defer c.Close()
	if err := s.Go(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "the new one\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSuccessorThatFails(t *testing.T) {
	t.Parallel()
	s, _ := successor(t, "refuses")
	if err := s.Prepared(t.Context()); err == nil || err.Error() != "stanch.toml:3: smtp.listen:; what was expected" {
		t.Errorf("refuses: got %v", err)
	}
	s, _ = successor(t, "dies")
	if err := s.Prepared(t.Context()); err == nil {
		t.Error("dies: got no error")
	}
	s, _ = successor(t, "gives up")
	if err := s.Prepared(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Go(t.Context()); err == nil || err.Error() != "no folder" {
		t.Errorf("gives up: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, _ = successor(t, "takes over")
	if err := s.Prepared(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Go(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ended wait: got %v, want %v", err, context.Canceled)
	}
	if _, err := service.Start("/nonexistent/stanch", nil, nil, &service.Shared{}); err == nil {
		t.Error("no program: got no error")
	}
}

func TestIsDoor(t *testing.T) {
	doors := []service.Door{door("127.0.0.1:2525"), door(":25"), door("[::1]:587"), door("unix:/run/m.sock")}
	for addr, want := range map[string]bool{
		"127.0.0.1:2525": true, "127.0.0.1:2526": false, "127.0.0.2:2525": false,
		"[::]:25": true, "0.0.0.0:25": true, "127.0.0.1:25": false,
		"[::1]:587": true, "unix:/run/m.sock": true, "unix:/run/n.sock": false,
	} {
		if got, err := service.IsDoor(addr, doors); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", addr, got, err, want)
		}
	}
}
