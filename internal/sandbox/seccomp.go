package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a system call on the list, with what its argument must be. A rule
// looks at the lower half of one argument: all of these are ints in the kernel.
type call struct {
	name  string
	nr    uint32
	check check
	arg   int
	value uint32
	errno unix.Errno // of fails
}

type check uint8

const (
	always       check = iota // whatever its arguments
	lacks                     // none of value's bits are set
	equal                     // it is value
	hasBits                   // all of value's bits are set
	equalOrFails              // it is value, else the process is told errno and lives
	fails                     // never, and the process is told errno and lives
	codeOfFile                // mmap: what may be executed is a file's, and is not written
)

// goThread are the flags that Go's runtime makes a thread with
// (runtime/os_linux.go, cloneFlags); on amd64 it adds CLONE_SETTLS
// (runtime/sys_linux_amd64.s, clone).
const goThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD

// calls is the list: what Go's runtime and reading and writing two pipes need.
// Go sends signals to its threads only to preempt them, which GODEBUG switches
// off in a child, and to die.
// The test of every name is TestEachCallIsNeeded of internal/extract.
func calls(goarch string) []call {
	thread := uint32(goThread)
	if goarch == "amd64" {
		thread |= unix.CLONE_SETTLS
	}
	list := []call{
		{name: "read", nr: unix.SYS_READ},
		{name: "write", nr: unix.SYS_WRITE},
		{name: "pselect6", nr: unix.SYS_PSELECT6}, // formats waits for the next document
		{name: "epoll_pwait", nr: unix.SYS_EPOLL_PWAIT},
		{name: "futex", nr: unix.SYS_FUTEX},
		{name: "nanosleep", nr: unix.SYS_NANOSLEEP},
		{name: "sched_yield", nr: unix.SYS_SCHED_YIELD},
		{name: "madvise", nr: unix.SYS_MADVISE},
		{name: "munmap", nr: unix.SYS_MUNMAP},
		{name: "mmap", nr: unix.SYS_MMAP, check: lacks, arg: 2, value: unix.PROT_EXEC},
		{name: "mprotect", nr: unix.SYS_MPROTECT, check: lacks, arg: 2, value: unix.PROT_EXEC},
		{name: "clone", nr: unix.SYS_CLONE, check: threadCheck, arg: 0, value: thread},
		{name: "gettid", nr: unix.SYS_GETTID},
		{name: "sigaltstack", nr: unix.SYS_SIGALTSTACK},
		{name: "rt_sigprocmask", nr: unix.SYS_RT_SIGPROCMASK},
		{name: "rt_sigreturn", nr: unix.SYS_RT_SIGRETURN},
		{name: "restart_syscall", nr: unix.SYS_RESTART_SYSCALL},
		{name: "prctl", nr: unix.SYS_PRCTL, check: equal, arg: 0, value: unix.PR_SET_VMA}, // Go names its memory
		{name: "clock_gettime", nr: unix.SYS_CLOCK_GETTIME},                               // where the vDSO has none
		{name: "getrandom", nr: unix.SYS_GETRANDOM},
		{name: "exit", nr: unix.SYS_EXIT},
		{name: "exit_group", nr: unix.SYS_EXIT_GROUP},
	}
	return append(list, cgoCalls()...)
}

// Calls are the names on the list.
func Calls() []string {
	var names []string
	for _, c := range calls(runtime.GOARCH) {
		names = append(names, c.name)
	}
	return names
}

// seccomp filters the calls of every thread.
func (s *State) seccomp(c Config) error {
	end := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&end))); errno != 0 {
		s.lack("seccomp: " + why(errno))
		return nil
	}
	arch := auditArch(runtime.GOARCH)
	if arch == 0 {
		s.lack("seccomp: no list for this architecture")
		return nil
	}
	if c.Refuse {
		end = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	}
	p := assemble(arch, callsOf(runtime.GOARCH, c.Program != nil), c.Without, end)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(p)
	if errno != 0 {
		return fmt.Errorf("sandbox: seccomp: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("sandbox: seccomp: a thread has a filter of its own")
	}
	s.Seccomp = true
	return nil
}

// auditArch is what the kernel calls an architecture, 0 where there is no list.
func auditArch(goarch string) uint32 {
	switch goarch {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	}
	return 0
}

// Offsets in struct seccomp_data. seccomp(2). Both architectures are little
// endian, so an argument's lower half comes first.
const (
	atNumber = 0
	atArch   = 4
	atArgs   = 16
)

// assemble makes the filter: calls of another architecture's convention and
// those not on the list come to end. The x32 convention has numbers of its own,
// none of which is on it.
func assemble(arch uint32, list []call, without string, end uint32) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	jump := func(how uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	const allow = unix.SECCOMP_RET_ALLOW

	p := []unix.SockFilter{load(atArch), jump(unix.BPF_JEQ, arch, 1, 0), ret(end), load(atNumber)}
	for _, c := range list {
		if c.name == without {
			continue
		}
		arg := load(atArgs + 8*uint32(c.arg))
		var then []unix.SockFilter
		switch c.check {
		case always:
			then = []unix.SockFilter{ret(allow)}
		case lacks:
			then = []unix.SockFilter{arg, jump(unix.BPF_JSET, c.value, 1, 0), ret(allow), ret(end)}
		case equal:
			then = []unix.SockFilter{arg, jump(unix.BPF_JEQ, c.value, 0, 1), ret(allow), ret(end)}
		case equalOrFails:
			then = []unix.SockFilter{arg, jump(unix.BPF_JEQ, c.value, 0, 1), ret(allow), ret(unix.SECCOMP_RET_ERRNO | uint32(c.errno))}
		case hasBits:
			then = []unix.SockFilter{arg, {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.value},
				jump(unix.BPF_JEQ, c.value, 0, 1), ret(allow), ret(end)}
		case codeOfFile:
			then = []unix.SockFilter{load(atArgs + 8*2), jump(unix.BPF_JSET, unix.PROT_EXEC, 1, 0), ret(allow),
				jump(unix.BPF_JSET, unix.PROT_WRITE, 2, 0), load(atArgs + 8*3), jump(unix.BPF_JSET, unix.MAP_ANON, 0, 1), ret(end), ret(allow)}
		case fails:
			then = []unix.SockFilter{ret(unix.SECCOMP_RET_ERRNO | uint32(c.errno))}
		}
		p = append(append(p, jump(unix.BPF_JEQ, c.nr, 0, uint8(len(then)))), then...)
	}
	return append(p, ret(end))
}
