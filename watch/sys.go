package watch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// folder is an open handle of a directory. Every name given to its methods is
// a single path component, and no method follows a symbolic link, so nothing
// that another user swaps in can lead out of the root. (os.Root alone does
// follow links that stay inside it.) Errors carry the step and the errno,
// never a name.
type folder struct{ f *os.File }

// stamp is what tells whether a file is still the one that was seen.
type stamp struct {
	dev, ino     uint64
	size         int64 // bytes
	mtime, ctime int64 // nanoseconds since 1970
	atime        int64 // likewise; it tells nothing apart
	mode         uint32
	uid, gid     uint32
	links        uint64 // names that the file has
}

// stampOf takes from st what tells files apart.
func stampOf(st *unix.Stat_t) stamp {
	return stamp{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), atime: st.Atim.Nano(),
		mode: st.Mode, uid: st.Uid, gid: st.Gid, links: uint64(st.Nlink)}
}

func (p stamp) regular() bool { return p.mode&unix.S_IFMT == unix.S_IFREG }
func (p stamp) symlink() bool { return p.mode&unix.S_IFMT == unix.S_IFLNK }
func (p stamp) isDir() bool   { return p.mode&unix.S_IFMT == unix.S_IFDIR }

// same reports whether p and q are one file with no change between them.
func (p stamp) same(q stamp) bool { return p.sameContent(q) && p.ctime == q.ctime }

// sameContent is same without ctime, which a rename moves on.
func (p stamp) sameContent(q stamp) bool {
	return p.dev == q.dev && p.ino == q.ino && p.size == q.size && p.mtime == q.mtime && p.regular() == q.regular()
}

// again calls f until it is not interrupted; slow file systems interrupt.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// step wraps err with the step that failed; nil stays nil.
func step(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("watch: %s: %w", name, err)
}

// plain returns err without the file name that a *os.PathError or
// *os.LinkError carries.
func plain(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// open opens name with flags beside O_NOFOLLOW and O_CLOEXEC.
func (d folder) open(name string, flags int, mode uint32) (*os.File, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Openat(int(d.f.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, step("open", err)
	}
	return os.NewFile(uintptr(fd), ""), nil
}

// openFile opens name for reading; a pipe that took its place does not block.
// Where this user may ask for that, reading leaves the access time as it is:
// who last used a file is to be seen in spite of us.
//
// Source: open(2), O_NOATIME: EPERM for who neither owns the file nor has
// CAP_FOWNER.
func (d folder) openFile(name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := d.open(name, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		return d.open(name, flags, 0)
	}
	return f, err
}

// openFolder opens the directory name.
func (d folder) openFolder(name string) (folder, error) {
	f, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return folder{f}, err
}

func (d folder) stat(name string) (stamp, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(int(d.f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return stampOf(&st), step("stat", err)
}

func (d folder) mkdir(name string, mode uint32) error {
	return step("make folder", again(func() error { return unix.Mkdirat(int(d.f.Fd()), name, mode) }))
}

func (d folder) unlink(name string) error {
	return step("remove", again(func() error { return unix.Unlinkat(int(d.f.Fd()), name, 0) }))
}

// rename moves name to other's newName, never over anything: unix.EEXIST.
// Where the file system has no such rename (NFS), a second link is made and
// the first removed. A newName that is already the same file only loses name.
func (d folder) rename(name string, other folder, newName string) error {
	from, to := int(d.f.Fd()), int(other.f.Fd())
	err := again(func() error { return unix.Renameat2(from, name, to, newName, unix.RENAME_NOREPLACE) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = again(func() error { return unix.Linkat(from, name, to, newName, 0) }); err == nil {
			return d.unlink(name)
		}
	}
	if errors.Is(err, unix.EEXIST) {
		a, errA := d.stat(name)
		b, errB := other.stat(newName)
		if errA == nil && errB == nil && a.regular() && a.dev == b.dev && a.ino == b.ino {
			return d.unlink(name)
		}
	}
	return step("rename", err)
}

func (d folder) sync() error { return step("sync folder", plain(d.f.Sync())) }

func (d folder) close() { _ = d.f.Close() } // read-only handle: nothing to lose

// chtimes gives name the times of m; an access time that is not known it
// leaves as it is.
func (d folder) chtimes(name string, m dlp.FileMeta) error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(m.ModTime.UnixNano())}
	if !m.AccessTime.IsZero() {
		ts[0] = unix.NsecToTimespec(m.AccessTime.UnixNano())
	}
	return step("set times", unix.UtimesNanoAt(int(d.f.Fd()), name, ts, unix.AT_SYMLINK_NOFOLLOW))
}

// fstat is stat of an open file.
func fstat(f *os.File) (stamp, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstat(int(f.Fd()), &st) })
	return stampOf(&st), step("stat", err)
}

// heldForWriting reports whether any process has f open for writing. Only the
// owner of a file or a process with CAP_LEASE can know, and only on a local
// file system; for others the answer is false, and size and times must do.
//
// Source: fcntl(2), "Leases": F_RDLCK can be set only where no writer is. It
// is given back at once, so that no one who opens the file has to wait.
func heldForWriting(f *os.File) bool {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return errors.Is(err, unix.EAGAIN)
	}
	// Cannot fail: the lease is ours. A leftover one would end with f.
	_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return false
}

// networked reports whether the file system of f is one whose changes other
// machines make without the kernel here telling of them.
func networked(f *os.File) bool {
	k, err := safefile.KindOf(f.Fd())
	return err != nil || k.Network // not known: the walks find everything
}

// split cuts a path relative to the root into its components, and refuses what
// no walk can have made.
func split(rel string) ([]string, error) {
	if rel == "." || rel == "" {
		return nil, nil
	}
	parts := strings.Split(rel, "/")
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || strings.ContainsRune(p, 0) {
			return nil, step("path", unix.EINVAL)
		}
	}
	return parts, nil
}

// parent cuts rel into the folder's path ("." for the root) and the last name.
func parent(rel string) (dir, base string) { return path.Dir(rel), path.Base(rel) }

// writeFile makes name in d with what fill writes and syncs it; on error
// nothing of it is left. The file belongs to this process, mode 0600.
func (d folder) writeFile(name string, fill func(io.Writer) error) (f *os.File, err error) {
	f, err = d.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err = fill(f); err == nil {
		err = step("sync", plain(f.Sync()))
	}
	if err != nil {
		_ = f.Close()      // the error that matters is err
		_ = d.unlink(name) // left for the sweep if this fails
		return nil, err
	}
	return f, nil
}

// removeIfThere unlinks name; that it is not there is no error.
func (d folder) removeIfThere(name string) error {
	if err := d.unlink(name); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// statPath follows the path of a root as configured, links included: whoever
// may change that path may change the configuration.
func statPath(name string) (stamp, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Stat(name, &st) })
	return stampOf(&st), step("stat", err)
}

// causeOf turns err into one word for logs: an errno's name, or what kind of
// error of ours it is. The text of a foreign error may hold anything.
func causeOf(err error) string {
	for _, own := range []struct {
		err  error
		word string
	}{{errOwnFolder, "own_folder"}, {errLocked, "locked"}, {ErrContent, "content"}, {errState, "out_of_order"},
		{dlp.ErrChanged, "changed"}, {dlp.ErrNoWay, "no_way"}} {
		if errors.Is(err, own.err) {
			return own.word
		}
	}
	if no, ok := errors.AsType[unix.Errno](err); ok {
		if name := unix.ErrnoName(no); name != "" {
			return strings.ToLower(name)
		}
	}
	return "other"
}
