package safefile

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// aclName is the attribute in which Linux keeps a file's POSIX access list.
//
// Source: acl(5), xattr(7).
const aclName = "system.posix_acl_access"

// maxAttributes bounds the list of a file's attributes, and one of them, in
// bytes. Source: XATTR_LIST_MAX and XATTR_SIZE_MAX in linux/limits.h.
const maxAttributes = 64 << 10

// CopyAttributes gives dst the access list and the extended attributes of src,
// and no access list where src has none: a folder's default one would let more
// people in. Those of the user must follow; of the system's others, those that
// this user may set. A mode goes with the access list.
func CopyAttributes(dst, src *os.File) error {
	names, err := attributes(src)
	if err != nil {
		return err
	}
	if !slices.Contains(names, aclName) {
		if err := SetAccessList(dst, nil); err != nil {
			return err
		}
	}
	for _, name := range names {
		must := name == aclName || strings.HasPrefix(name, "user.")
		value := make([]byte, maxAttributes)
		var n int
		err := again(func() (err error) {
			n, err = unix.Fgetxattr(int(src.Fd()), name, value)
			return err
		})
		if err == nil {
			err = again(func() error { return unix.Fsetxattr(int(dst.Fd()), name, value[:n], 0) })
		}
		if err != nil && must {
			return Classify("copy attribute", err)
		}
	}
	return nil
}

// attributes lists the extended attributes of f, none where its file system
// has no such thing.
func attributes(f *os.File) ([]string, error) {
	list := make([]byte, maxAttributes)
	var n int
	err := again(func() (err error) {
		n, err = unix.Flistxattr(int(f.Fd()), list)
		return err
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, Classify("list attributes", err)
	}
	return strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 }), nil
}

// AccessList is the POSIX access list of f, in the form in which Linux hands it out;
// nil where it has none but its mode, or its file system none at all.
func AccessList(f *os.File) ([]byte, error) {
	var value []byte
	var n int
	err := again(func() (err error) {
		if n, err = unix.Fgetxattr(int(f.Fd()), aclName, nil); err != nil { // most files have none
			return err
		}
		value = make([]byte, n)
		n, err = unix.Fgetxattr(int(f.Fd()), aclName, value)
		return err
	})
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, Classify("read access list", err)
	}
	return value[:n], nil
}

// ErrNoAccessLists says that a file system keeps none.
var ErrNoAccessLists = errors.New("safefile: no access lists on this file system")

// SetAccessList gives f that access list, and its mode with it; nil takes away what
// it has, such as what a folder's default one gave it. ErrNoAccessLists.
func SetAccessList(f *os.File, acl []byte) error {
	if acl == nil {
		err := again(func() error { return unix.Fremovexattr(int(f.Fd()), aclName) })
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) {
			return Classify("remove access list", err)
		}
		return nil
	}
	err := again(func() error { return unix.Fsetxattr(int(f.Fd()), aclName, acl, 0) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return ErrNoAccessLists
	}
	return Classify("set access list", err)
}
