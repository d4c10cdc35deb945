package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// permit lets a domain read, and where it must execute, a Program's files.
//
// Source: landlock_add_rule(2).
func permit(rules int, p *Program) error {
	if p == nil {
		return nil
	}
	for _, f := range []struct {
		paths []string
		may   uint64
	}{
		{p.Run, unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE},
		{p.Read, unix.LANDLOCK_ACCESS_FS_READ_FILE},
	} {
		for _, path := range f.paths {
			fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return fmt.Errorf("sandbox: landlock: a file of the program: %w", err)
			}
			var rule [12]byte // struct landlock_path_beneath_attr, packed
			binary.NativeEndian.PutUint64(rule[:], f.may)
			binary.NativeEndian.PutUint32(rule[8:], uint32(fd))
			_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
				uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
			_ = unix.Close(fd) // it was only named
			if errno != 0 {
				return fmt.Errorf("sandbox: landlock: rule: %w", errno)
			}
		}
	}
	return nil
}

// programCalls is what a Program needs beyond calls: its loader, the C library
// and reading its files, to become it. It starts no thread, so it gets none.
func programCalls(goarch string) []call {
	list := []call{
		{name: "execve", nr: unix.SYS_EXECVE}, // landlock says of what
		// For writing no file is opened, and none is made.
		{name: "openat", nr: unix.SYS_OPENAT, check: lacks, arg: 2,
			value: unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY | unix.O_PATH},
		{name: "close", nr: unix.SYS_CLOSE},
		{name: "fstat", nr: unix.SYS_FSTAT},
		{name: "newfstatat", nr: fstatat(goarch), check: equalOrFails, arg: 3, value: unix.AT_EMPTY_PATH, errno: unix.EACCES}, // of an open file
		{name: "lseek", nr: unix.SYS_LSEEK},
		{name: "pread64", nr: unix.SYS_PREAD64},
		{name: "writev", nr: unix.SYS_WRITEV},
		{name: "fcntl", nr: unix.SYS_FCNTL, check: equal, arg: 1, value: unix.F_GETFD},
		{name: "set_tid_address", nr: unix.SYS_SET_TID_ADDRESS},
		{name: "prlimit64", nr: unix.SYS_PRLIMIT64, check: equal, arg: 2, value: 0}, // asking, not setting
		{name: "sysinfo", nr: unix.SYS_SYSINFO},
		// It asks, is told that there is none, and goes on.
		{name: "faccessat", nr: unix.SYS_FACCESSAT, check: fails, errno: unix.ENOENT},
		{name: "readlinkat", nr: unix.SYS_READLINKAT, check: fails, errno: unix.EACCES},
		{name: "ioctl", nr: unix.SYS_IOCTL, check: fails, errno: unix.ENOTTY},
	}
	if cgoBuild == "" { // with it they are there already
		list = append(list,
			call{name: "set_robust_list", nr: unix.SYS_SET_ROBUST_LIST},
			call{name: "rseq", nr: unix.SYS_RSEQ},
			call{name: "brk", nr: unix.SYS_BRK},
			call{name: "sched_getaffinity", nr: unix.SYS_SCHED_GETAFFINITY})
	}
	if goarch == "amd64" {
		list = append(list,
			call{name: "arch_prctl", nr: 158},                              // where its thread's data lies
			call{name: "access", nr: 21, check: fails, errno: unix.ENOENT}) // as faccessat
	}
	return list
}

// fstatat is the number of newfstatat, which has a name of its own on each
// architecture. syscalls(2).
func fstatat(goarch string) uint32 {
	if goarch == "amd64" {
		return 262
	}
	return 79
}

// ProgramCalls are the names that are on the list of a Program alone.
func ProgramCalls() []string {
	var names []string
	for _, c := range programCalls(runtime.GOARCH) {
		names = append(names, c.name)
	}
	return names
}

// callsOf is the list of a process that is to become a Program, or not.
func callsOf(goarch string, program bool) []call {
	list := calls(goarch)
	if !program {
		return list
	}
	for i := range list {
		if list[i].name == "mmap" { // a loader maps code, from files
			list[i].check, list[i].value = codeOfFile, 0
		}
	}
	return append(list, programCalls(goarch)...)
}
