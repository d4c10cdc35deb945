package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handled is what a domain takes away, by the ABI version that brought it.
// Source: landlock(7), "VERSIONS".
var handled = [...]struct{ fs, net, scope uint64 }{
	1: {fs: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM},
	2: {fs: unix.LANDLOCK_ACCESS_FS_REFER},
	3: {fs: unix.LANDLOCK_ACCESS_FS_TRUNCATE},
	4: {net: unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP},
	5: {fs: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	6: {scope: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
}

// landlock puts every thread into a domain that may do nothing which landlock
// knows: it has no rule at all, but to read and execute a Program's files.
func (s *State) landlock(p *Program) error {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		s.lack("landlock: " + why(errno))
		return nil
	}
	var attr struct{ fs, net, scope uint64 } // struct landlock_ruleset_attr
	size := unsafe.Sizeof(attr.fs)           // ABI 1
	for v := 1; v < len(handled) && v <= int(abi); v++ {
		attr.fs |= handled[v].fs
		attr.net |= handled[v].net
		attr.scope |= handled[v].scope
	}
	switch {
	case abi >= 6:
		size = unsafe.Sizeof(attr)
	case abi >= 4:
		size = unsafe.Offsetof(attr.scope)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("sandbox: landlock: make rules: %w", errno)
	}
	if err := permit(int(fd), p); err != nil {
		return errors.Join(err, unix.Close(int(fd)))
	}
	err := onEveryThread(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0)
	if err := errors.Join(err, unix.Close(int(fd))); err != nil {
		return fmt.Errorf("sandbox: landlock: %w", err)
	}
	s.Landlock = int(abi)
	if cgoBuild != "" {
		s.lack("landlock: " + cgoBuild)
	}
	return nil
}

func (s *State) lack(what string) {
	if s.Lacks != "" {
		s.Lacks += ", "
	}
	s.Lacks += what
}

// why says in constant words why the kernel does not have something.
func why(errno unix.Errno) string {
	switch errno {
	case unix.ENOSYS, unix.EINVAL:
		return "not in this kernel"
	case unix.EOPNOTSUPP:
		return "switched off when the kernel was started (lsm=)"
	case unix.EPERM, unix.EACCES:
		return "forbidden to this process, as by a container's filter"
	}
	return "does not work"
}
