package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Trial is something that a locked process must not be able to do.
type Trial struct {
	Name string
	// Landlock is the ABI version from which landlock alone refuses it, 0 when it
	// does not; Seccomp and Limits say the same of those.
	Landlock int
	Seccomp  bool
	Limits   bool
	run      func() error // nil: it could
}

// RefusedBy reports whether a process with those layers, and landlock of that
// ABI version, must refuse it.
func (t Trial) RefusedBy(l Layers, abi int) bool {
	return l&Landlock != 0 && t.Landlock > 0 && abi >= t.Landlock || l&Seccomp != 0 && t.Seccomp || l&Limits != 0 && t.Limits
}

// Try tries what is named and returns why that failed, nil when it could be
// done. A locked process may not live to return.
func Try(name string) error {
	for _, t := range Trials() {
		if t.Name == name {
			return t.run()
		}
	}
	return fmt.Errorf("sandbox: no trial %q", name) // not nil, and not one of the errors that are waited for
}

// Refused reports whether err is how the kernel refuses, and not some other
// failure that says nothing. EAFNOSUPPORT is how RestrictAddressFamilies= of a
// systemd unit does: what is forbidden from outside is forbidden.
func Refused(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EACCES, unix.EMFILE, unix.ENOMEM, unix.EAFNOSUPPORT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// trialProgram is there wherever this program runs: itself.
const trialProgram = "/proc/self/exe"

// Trials are all of them. Each works, or fails for another reason than
// Refused, where nothing is locked.
func Trials() []Trial {
	return []Trial{
		{Name: "read a file", Landlock: 1, Seccomp: true, Limits: true, run: func() error { return open(trialProgram, unix.O_RDONLY) }},
		{Name: "list a folder", Landlock: 1, Seccomp: true, Limits: true, run: func() error { return open("/", unix.O_RDONLY|unix.O_DIRECTORY) }},
		{Name: "write a file", Landlock: 1, Seccomp: true, Limits: true, run: func() error { return open("/dev/null", unix.O_WRONLY) }},
		{Name: "make a folder", Seccomp: true, run: func() error { return notThere(unix.Mkdir("/stanch-trial/none", 0o700)) }},
		{Name: "remove a file", Seccomp: true, run: func() error { return notThere(unix.Unlink("/stanch-trial/none")) }},
		{Name: "look at a file", Seccomp: true, run: func() error { var st unix.Stat_t; return unix.Stat("/", &st) }},
		{Name: "follow a link", Seccomp: true, run: func() error { _, err := unix.Readlink(trialProgram, make([]byte, 64)); return err }},
		{Name: "connect by TCP", Landlock: 4, Seccomp: true, Limits: true, run: connect},
		{Name: "make a UDP socket", Seccomp: true, Limits: true, run: func() error { return socket(unix.AF_INET, unix.SOCK_DGRAM) }},
		{Name: "make a Unix socket", Seccomp: true, Limits: true, run: func() error { return socket(unix.AF_UNIX, unix.SOCK_STREAM) }},
		{Name: "make a netlink socket", Seccomp: true, Limits: true, run: func() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) }},
		{Name: "start a process", Seccomp: true, run: fork},
		{Name: "run a program", Landlock: 1, Seccomp: true, run: func() error {
			// With a descriptor list that cannot be, so that where nothing is
			// locked it fails with EFAULT after the right to run was checked.
			p, _ := unix.BytePtrFromString(trialProgram)
			_, _, errno := unix.Syscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p)), 1, 0)
			return errno
		}},
		{Name: "trace the parent", Landlock: 1, Seccomp: true, run: func() error { return unix.PtraceSeize(unix.Getppid()) }},
		{Name: "signal the parent", Landlock: 6, Seccomp: true, run: func() error { return unix.Kill(unix.Getppid(), 0) }},
		{Name: "signal the parent's thread", Landlock: 6, Seccomp: true, run: func() error { return unix.Tgkill(unix.Getppid(), unix.Getppid(), 0) }},
		{Name: "read the parent's memory", Seccomp: true, run: func() error {
			b := make([]byte, 8)
			l := []unix.Iovec{{Base: &b[0], Len: 8}}
			_, err := unix.ProcessVMReadv(unix.Getppid(), l, []unix.RemoteIovec{{Base: 4096, Len: 8}}, 0)
			return err
		}},
		{Name: "become dumpable", Seccomp: true, run: func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }},
		{Name: "outlive the parent", Seccomp: true, run: func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) }},
		{Name: "run written memory", Seccomp: true, run: func() error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
			return err
		}},
		{Name: "make memory executable", Seccomp: true, run: func() error {
			b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				return err
			}
			return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
		}},
		{Name: "memory past the limit", Limits: true, run: func() error {
			_, err := unix.Mmap(-1, 0, 1<<40, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
			return err
		}},
		{Name: "raise a limit", Seccomp: true, run: func() error {
			return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
		}},
		{Name: "use io_uring", Seccomp: true, run: func() error {
			var params [120]byte // struct io_uring_params
			_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
			return none(errno)
		}},
		{Name: "load a kernel program", Seccomp: true, run: func() error {
			_, _, errno := unix.Syscall(unix.SYS_BPF, 0, 0, 0)
			return none(errno)
		}},
		{Name: "make a namespace", Seccomp: true, run: func() error { return unix.Unshare(0) }},
		{Name: "make unnamed memory", Seccomp: true, Limits: true, run: func() error {
			_, err := unix.MemfdCreate("trial", 0)
			return err
		}},
		{Name: "another handle", Seccomp: true, Limits: true, run: func() error { _, err := unix.Dup(0); return err }},
	}
}

func open(path string, how int) error {
	fd, err := unix.Open(path, how|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func notThere(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func none(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// connect dials a port of this machine where nobody listens: a refusal comes
// from the kernel before that is known.
func connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
	return errors.Join(err, unix.Close(fd))
}

// fork makes a process that ends at once.
func fork() error {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0) // it does not return
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}
