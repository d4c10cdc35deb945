package formats

import (
	"io"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// MemFile is the handle under which a child finds the memory that it shares
// with its parent: the one after the standard three.
const MemFile = 3

// CacheFile is the handle of the folder of compiled pdfium, for a child that is
// to read PDF.
const CacheFile = 4

// AnswersFile is the handle where a child reads the words of pages, if it asks
// for them.
const AnswersFile = 5

// cacheFolder is that folder's name in the child.
var cacheFolder = "/proc/self/fd/" + strconv.Itoa(CacheFile)

const (
	stdinFile  = 0
	stdoutFile = 1
)

// Process is the Child whose ends are those that a Pool gives to the process
// it starts: standard input, standard output, MemFile and CacheFile.
func Process() (Child, error) {
	mem, err := unix.Mmap(MemFile, 0, wire.SharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return Child{}, err
	}
	if err := unix.Close(MemFile); err != nil {
		return Child{}, err
	}
	return Child{In: stdin{}, Out: stdout{}, Mem: mem, Lock: lock, Answers: answers{}, Become: become}, nil
}

// lock opens what can only be opened now, closes what is not needed any more,
// and locks the process in.
func lock(s wire.Start) (wire.Ready, error) {
	time.Sleep(time.Nanosecond) // Go's timers open two handles
	if s.Skill >= wire.PDF {
		if err := unix.Close(CacheFile); err != nil {
			return wire.Ready{}, err
		}
	}
	if s.Layers == 0 {
		return wire.Ready{}, nil
	}
	c := sandbox.Config{Layers: sandbox.Layers(s.Layers), Data: s.Data, Refuse: s.Refuse, Without: s.Without}
	if s.Program != nil {
		c.Program = &sandbox.Program{Run: s.Program.Run, Read: s.Program.Read}
	}
	st, err := sandbox.Lock(c)
	return wire.Ready{Landlock: st.Landlock, Seccomp: st.Seccomp, Lacks: st.Lacks}, err
}

// become makes the process a program.
func become(p *wire.Program) error {
	path, err := unix.BytePtrFromString(p.Path)
	if err != nil {
		return err
	}
	args, err := syscall.SlicePtrFromStrings(append([]string{p.Path}, p.Args...))
	if err != nil {
		return err
	}
	env, err := syscall.SlicePtrFromStrings(p.Env)
	if err != nil {
		return err
	}
	// Not syscall.Exec, which sets a limit on handles anew.
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&env[0])))
	return errno
}

// answers is AnswersFile.
type answers struct{}

// Read reads what there is, waiting for the first byte.
func (answers) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(AnswersFile, p)
		if err == nil {
			return ended(n)
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
}

// soon is how long the next job is waited for with the processor in hand.
const soon = 100 * time.Millisecond

// stdin is standard input, read by a process that does one thing at a time.
//
// A system call that waits makes Go's scheduler look after the goroutines that
// could run meanwhile: it wakes a thread that looks again every 20 µs, for each
// document. Here none can run, so for a short time stdin waits without
// telling the scheduler; after that the process is idle, and does. It waits by
// pselect6, since to poll, a process must be allowed a handle (poll(2), EINVAL),
// which one that is locked in is not.
type stdin struct{}

// Read reads what there is, waiting for the first byte.
func (stdin) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var fds unix.FdSet
	fds.Set(stdinFile)
	wait := unix.NsecToTimespec(int64(soon))
	n, _, _ := unix.RawSyscall6(unix.SYS_PSELECT6, stdinFile+1, uintptr(unsafe.Pointer(&fds)), 0, 0, uintptr(unsafe.Pointer(&wait)), 0)
	if int(n) == 1 { // what is there, or the end, is read without waiting
		n, _, errno := unix.RawSyscall(unix.SYS_READ, stdinFile, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		runtime.KeepAlive(p)
		if errno == 0 {
			return ended(int(n))
		}
	}
	for {
		n, err := unix.Read(stdinFile, p)
		if err == nil {
			return ended(n)
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
}

// stdout is standard output, written as stdin is read: with the processor in hand.
// It waits while its pipe is full, and nothing else could run meanwhile.
type stdout struct{}

// Write writes all of p.
func (stdout) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, stdoutFile, uintptr(unsafe.Pointer(&p[done])), uintptr(len(p)-done))
		runtime.KeepAlive(p)
		switch errno {
		case 0:
			done += int(n)
		case unix.EINTR:
		default:
			return done, errno
		}
	}
	return done, nil
}

func ended(n int) (int, error) {
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
