package safefile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Kind is the kind of a file system.
type Kind struct {
	Name    string // "ext4", "nfs"; "0x…" where it is not known by name
	Network bool   // other machines change it without the kernel here telling of them
	Memory  bool   // what lies there is gone with the power
}

// kinds are the file systems known by name.
//
// Source: statfs(2) and linux/magic.h; the drivers of cluster file systems.
func kinds() map[uint32]Kind {
	return map[uint32]Kind{
		unix.EXT4_SUPER_MAGIC: {Name: "ext4"}, unix.XFS_SUPER_MAGIC: {Name: "xfs"}, unix.BTRFS_SUPER_MAGIC: {Name: "btrfs"},
		unix.F2FS_SUPER_MAGIC: {Name: "f2fs"}, 0x2fc12fc1: {Name: "zfs"}, unix.OVERLAYFS_SUPER_MAGIC: {Name: "overlay"},
		unix.TMPFS_MAGIC: {Name: "tmpfs", Memory: true}, unix.RAMFS_MAGIC: {Name: "ramfs", Memory: true},
		unix.NFS_SUPER_MAGIC: {Name: "nfs", Network: true}, unix.SMB_SUPER_MAGIC: {Name: "smb", Network: true},
		unix.SMB2_SUPER_MAGIC: {Name: "smb2", Network: true}, unix.CIFS_SUPER_MAGIC: {Name: "cifs", Network: true},
		unix.FUSE_SUPER_MAGIC: {Name: "fuse", Network: true}, unix.V9FS_MAGIC: {Name: "9p", Network: true},
		unix.CEPH_SUPER_MAGIC: {Name: "ceph", Network: true}, unix.AFS_SUPER_MAGIC: {Name: "afs", Network: true},
		unix.AFS_FS_MAGIC: {Name: "afs", Network: true}, unix.CODA_SUPER_MAGIC: {Name: "coda", Network: true},
		unix.OCFS2_SUPER_MAGIC: {Name: "ocfs2", Network: true},
		0x0bd00bd0:             {Name: "lustre", Network: true}, 0x47504653: {Name: "gpfs", Network: true},
		0x01161970: {Name: "gfs2", Network: true}, 0x786f4256: {Name: "vboxsf", Network: true},
		0xbacbacbc: {Name: "vmhgfs", Network: true},
	}
}

// Room is what a file system has left for a user without privileges.
type Room struct {
	Free, Size         uint64 // bytes
	FreeInodes, Inodes uint64 // 0 inodes: the file system does not count them
	ReadOnly           bool   // it is mounted so; see the function for what became so
}

// Stat tells what file system path lies on and how much room it has.
func Stat(path string) (Kind, Room, error) {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Statfs(path, &st) }); err != nil {
		return Kind{}, Room{}, Classify("stat file system", err)
	}
	block := uint64(st.Bsize)
	return kindOf(uint32(st.Type)), Room{Free: st.Bavail * block, Size: st.Blocks * block, FreeInodes: st.Ffree, Inodes: st.Files, ReadOnly: st.Flags&unix.ST_RDONLY != 0}, nil
}

// ReadOnly reports whether the file system on which the file at path lies takes
// no writes: it is mounted so, or became so after an error of its disk, of which
// a statfs does not tell (ext4 since Linux 6.12). It opens the file for writing
// and writes nothing.
func ReadOnly(path string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return errors.Is(err, unix.EROFS)
	}
	_ = f.Close() // nothing was written
	return false
}

// KindOf is the kind of the file system on which the open file fd lies.
func KindOf(fd uintptr) (Kind, error) {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Fstatfs(int(fd), &st) }); err != nil {
		return Kind{}, Classify("stat file system", err)
	}
	return kindOf(uint32(st.Type)), nil
}

func kindOf(magic uint32) Kind {
	if k, ok := kinds()[magic]; ok {
		return k
	}
	return Kind{Name: fmt.Sprintf("%#x", magic)}
}

// again calls f until it is not interrupted; slow file systems interrupt.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
