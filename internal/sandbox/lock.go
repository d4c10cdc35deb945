package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Layers says which of the locks are to be closed.
type Layers uint8

// The locks. Each stands by itself: what one lets through by mistake, another
// refuses.
const (
	// Landlock: no file or folder opened by its name (looking at one, changing
	// folder and the like stay); by TCP no socket bound or connected from ABI 4;
	// no signal and no abstract socket to others from ABI 6.
	Landlock Layers = 1 << iota
	Seccomp         // no system call but those on the list
	Limits          // no further handle, no byte written to a file, no memory past the bound

	All = Landlock | Seccomp | Limits
)

// Config says how a process is locked in. The zero value closes nothing.
type Config struct {
	Layers Layers
	// Data is how many bytes of private writable memory, used or not, the process
	// may have beyond what it has now: what RLIMIT_DATA counts. 0 allows no more.
	Data int64
	// Refuse lets a call that is not on the list fail with EPERM and the process
	// live on, so that one process can try many: for the self-test, and no child
	// that reads documents.
	Refuse bool
	// Without is "", or a call to leave off the list. For tests of the list.
	Without string
	// Program is nil, or what the process is to become: it may then read those
	// files, and execute a program.
	Program *Program
}

// Program is a program of somebody else's that a locked process becomes, by
// execve: the locks stay.
type Program struct {
	Run  []string // files that may be executed: the program and its loader
	Read []string // files that may be read: its libraries and its data. One that is not there is passed over
}

// programHandles is how many handles a Program may have: the standard three, and
// the file that it loads at the moment.
const programHandles = 16

// State says what Lock could do here.
type State struct {
	Landlock int    // the kernel's ABI version, 0: not there
	Seccomp  bool   // calls are filtered
	Lacks    string // why one of them is not there, or holds for less than all: constant words
}

// TestBuild says that this program was built with the race detector, which fits
// into no lock: Lock then locks nothing, and says so.
const TestBuild = raceBuild != ""

// tasksMore is how many processes and threads the machine may have beyond those
// of now before a locked process is refused another thread: far more than it
// needs, and an end to a bomb of threads. RLIMIT_NPROC counts all of a user's.
const tasksMore = 4096

// Lock locks the process in, for good. Where the kernel has no landlock or no
// seccomp the State says so and the rest is closed all the same: it is for the
// caller to refuse that. An error means that what is there did not work.
func Lock(c Config) (State, error) {
	var s State
	if raceBuild != "" { // its shadow memory and its calls fit into no bound
		s.Lacks = raceBuild
		return s, nil
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return s, fmt.Errorf("sandbox: not dumpable: %w", err)
	}
	if err := onEveryThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return s, fmt.Errorf("sandbox: no new privileges: %w", err)
	}
	if c.Layers&Limits != 0 {
		if err := limit(c.Data); err != nil {
			return s, err
		}
	}
	if c.Layers&Landlock != 0 {
		if err := s.landlock(c.Program); err != nil {
			return s, err
		}
	}
	if c.Layers&Limits != 0 { // after landlock, which needs a handle
		handles := uint64(0)
		if c.Program != nil {
			handles = programHandles
		}
		if err := set(unix.RLIMIT_NOFILE, handles); err != nil {
			return s, err
		}
	}
	if c.Layers&Seccomp != 0 {
		if err := s.seccomp(c); err != nil {
			return s, err
		}
	}
	return s, nil
}

func limit(data int64) error {
	now, err := dataNow()
	if err != nil {
		return err
	}
	tasks, err := tasksNow()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		resource int
		most     uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_DATA, now + uint64(data)},
		{unix.RLIMIT_NPROC, tasks + tasksMore},
	} {
		if err := set(l.resource, l.most); err != nil {
			return err
		}
	}
	return nil
}

// set lowers both bounds of a resource.
func set(resource int, most uint64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil {
		return fmt.Errorf("sandbox: limit %d: %w", resource, err)
	}
	most = min(most, l.Max) // it may be lower already
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return fmt.Errorf("sandbox: limit %d: %w", resource, err)
	}
	return nil
}

// dataNow is how many bytes RLIMIT_DATA counts now.
func dataNow() (uint64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("sandbox: own size: %w", err)
	}
	_, rest, ok := bytes.Cut(b, []byte("VmData:"))
	f := bytes.Fields(rest[:min(len(rest), 64)])
	if ok && len(f) > 0 {
		if kib, err := strconv.ParseUint(string(f[0]), 10, 64); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("sandbox: own size: no VmData")
}

// tasksNow is how many processes and threads the machine has. proc_loadavg(5).
func tasksNow() (uint64, error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, fmt.Errorf("sandbox: tasks: %w", err)
	}
	if f := bytes.Fields(b); len(f) > 3 {
		if _, all, ok := bytes.Cut(f[3], []byte("/")); ok {
			if n, err := strconv.ParseUint(string(all), 10, 32); err == nil {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("sandbox: tasks: no count")
}
