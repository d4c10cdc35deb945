package e2e

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notified is what a kernel asks about the calls of a gateway: by a seccomp
// filter, seccomp_unotify(2). The gateway is begun by this test program, which
// puts the filter on and becomes the gateway.
type notified struct {
	answer   func(*notif) (errno unix.Errno, done bool)
	listener int
	stop     chan struct{}
	wg       sync.WaitGroup
}

// layerEnv marks the run of this test program that becomes a gateway, and says
// what the filter asks for.
const (
	layerEnv   = "STANCH_E2E_LAYER"
	diskLayer  = "disk"
	clockLayer = "clock"
)

// becomeGateway puts the filter on, hands its listener to the test over handle
// 3 and runs what the arguments name. It returns only on an error.
func becomeGateway(layer string) error {
	runtime.LockOSThread() // the filter is this thread's, and so the gateway's
	unix.CloseOnExec(3)
	filter := diskFilter()
	if layer == clockLayer {
		filter = clockFilter()
	}
	env := os.Environ()
	args := os.Args[1:]
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, env)
}

// startBehind is start behind a filter: l asks answer about each call that
// layer is about, and lets those through that it has not done.
func (g *gateway) startBehind(layer string, l *notified, answer func(*notif) (errno unix.Errno, done bool)) {
	g.t.Helper()
	if os.Getuid() != 0 {
		g.t.Skip("a layer looks into the gateway, which is root's to do")
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "listener")
	*l = notified{answer: answer, stop: make(chan struct{}), listener: -1}
	ready := make(chan error, 1)
	go func() { ready <- l.receive(pair[0]) }()
	g.via, g.extra = []string{os.Args[0]}, []*os.File{theirs}
	g.start(layerEnv + "=" + layer)
	g.via, g.extra = nil, nil
	theirs.Close()
	if err := <-ready; err != nil {
		if said := g.logged(); slices.ContainsFunc([]error{unix.ENOSYS, unix.EINVAL, unix.EPERM}, func(e error) bool {
			return strings.Contains(said, "layer: "+e.Error())
		}) {
			g.t.Skipf("this kernel has no such filter, or does not let us have it: %s", said)
		}
		g.t.Fatalf("no layer: %v\n%s", err, g.logged())
	}
	g.t.Cleanup(func() {
		g.kill() // before the layer, which its calls wait for
		close(l.stop)
		l.wg.Wait()
		unix.Close(l.listener)
	})
}

// receive takes the filter's listener and begins to answer it.
func (l *notified) receive(sock int) error {
	defer unix.Close(sock)
	b, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(sock, b, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return errors.Join(err, errors.New("no listener came"))
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return errors.Join(err, errors.New("no listener came"))
	}
	l.listener = fds[0]
	l.wg.Go(l.run)
	return nil
}

// notif and notifResp are struct seccomp_notif and seccomp_notif_resp.
type notif struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type notifResp struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

func (l *notified) run() {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		p := []unix.PollFd{{Fd: int32(l.listener), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 50); n <= 0 || p[0].Revents&unix.POLLIN == 0 {
			if err == nil && n > 0 {
				return // nobody is left behind the filter
			}
			continue
		}
		var n notif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // the call was given up
		}
		r := notifResp{id: n.id, flags: 1} // SECCOMP_USER_NOTIF_FLAG_CONTINUE
		if errno, done := l.answer(&n); done {
			r.flags, r.errno = 0, -int32(errno)
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(l.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r))) // the caller may be gone
	}
}
