package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	filippo "filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/files"
	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// needsIdentity has cmd ask for --identity in words that say what it is and who has
// it.
func needsIdentity(cmd *cobra.Command, what string) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("identity") {
			return nil
		}
		return fmt.Errorf("want --identity FILE, with %s: the file that `age-keygen -o FILE` wrote when the key was made, mode 0600; see `%s --help`", what, cmd.CommandPath())
	}
}

func (a *app) decryptCmd() *cobra.Command {
	var keyFiles []string
	var who reviewer
	var to string
	cmd := &cobra.Command{Use: "decrypt PATH... --identity FILE", Short: "Bring back files that the watcher encrypted",
		Long: "Write NAME beside each NAME.age, NAME.gpg or NAME.p7m, with its owner, mode, access list, extended\nattributes and times, and remove the encrypted file with the note beside it.\n" +
			"In a folder that stanch watches it is judged anew, and encrypted again: with --to DIR it is written into DIR, and the encrypted\nfile stays where it is.\n" +
			"A file that is there already is never overwritten. Run again after an interruption.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			who.files = keyFiles
			for _, path := range args {
				name := strings.TrimSuffix(path, filepath.Ext(path))
				if to != "" {
					name = filepath.Join(to, filepath.Base(name))
				}
				was, err := bringBack(path, name, keyFiles, who.all)
				if err == nil && to == "" {
					err = removeSealed(path, name, was)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", path, err))
					continue
				}
				fmt.Fprintln(a.out, name)
			}
			return errors.Join(errs...)
		}}
	who.cmd = cmd
	tpmDeviceFlag(cmd, &who.device)
	cmd.Flags().StringVar(&to, "to", "", "write the files into this folder, and leave the encrypted ones where they are")
	cmd.Flags().StringArrayVarP(&keyFiles, "identity", "i", nil, "file with age secret keys, an OpenPGP secret key, or a certificate's private key in PEM (repeatable)")
	needsIdentity(cmd, "an age or OpenPGP secret key, or a certificate's private key, that the files were encrypted to")
	return cmd
}

// secrets reads OpenPGP secret keys.
func secrets(files []string) ([]*openpgp.Secret, error) {
	var all []*openpgp.Secret
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		k, err := openpgp.ReadSecret(f)
		f.Close() // only read from
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, k)
	}
	return all, nil
}

// bringBack decrypts the file at path, by the kind that its name tells, to name. was is
// the file that it decrypted.
func bringBack(path, name string, keyFiles []string, ageKeys func() ([]filippo.Identity, error)) (was os.FileInfo, err error) {
	ext := filepath.Ext(path)
	if base := strings.TrimSuffix(path, ext); filepath.Base(base) == "." || base == "" || strings.HasSuffix(base, "/") {
		ext = ""
	}
	switch ext {
	case files.ExtAge:
		ids, err := ageKeys()
		if err != nil {
			return nil, err
		}
		return decryptFile(path, name, func(dst io.Writer, src io.Reader) error { return age.Decrypt(dst, src, ids) })
	case files.ExtPGP:
		keys, err := secrets(keyFiles)
		if err != nil {
			return nil, err
		}
		return decryptFile(path, name, func(dst io.Writer, src io.Reader) error { return openpgp.Decrypt(dst, src, keys) })
	case files.ExtCMS:
		ids, err := ageKeys()
		if err != nil {
			return nil, err
		}
		keys := age.Secrets(ids)
		if len(keys) == 0 {
			return nil, errors.New("it was encrypted to certificates: want the private key of one, in PEM without a passphrase, or in the TPM of this machine")
		}
		return decryptFile(path, name, func(dst io.Writer, src io.Reader) error { return files.DecryptCMS(dst, src, keys) })
	}
	return nil, errors.New("want a file named NAME.age, NAME.gpg or NAME.p7m")
}

// decryptFile writes name from the file at path. The plaintext has no name
// until it is whole and synced; only then may the encrypted file go: whenever it is
// cut short, one of the two stands, whole. Where both do, for it was cut short
// between, and they agree, nothing is left to do.
func decryptFile(path, name string, open func(io.Writer, io.Reader) error) (was os.FileInfo, err error) {
	src, err := openQuietly(path)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("it is a symbolic link: name the file itself")
	}
	if err != nil {
		return nil, err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if _, err := os.Lstat(name); err == nil {
		if same, err := stands(name, src, open); err != nil || !same {
			return nil, errors.Join(fmt.Errorf("%s is there already: move it away first", name), err)
		}
		return info, nil
	}
	onStep("decrypt: write")
	dst, err := newNameless(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dst.Close() // synced by then
	if err := open(dst, src); err != nil {
		return nil, errors.Join(err, dst.abort())
	}
	proc := fmt.Sprintf("/proc/self/fd/%d", dst.Fd())
	if err := errors.Join(dst.takeAfter(src, info), os.Chtimes(proc, accessed(info), info.ModTime()), dst.Sync()); err != nil {
		return nil, errors.Join(err, dst.abort())
	}
	onStep("decrypt: place")
	if err := dst.place(proc, name); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), dst.abort())
	}
	return info, safefile.SyncDir(filepath.Dir(name))
}

// openQuietly opens the file at path to read it, and where this user may ask for
// that without moving its access time on. It follows no link and waits for no pipe.
func openQuietly(path string) (*os.File, error) {
	const flags = os.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) { // open(2): neither its owner nor CAP_FOWNER
		return os.OpenFile(path, flags, 0)
	}
	return f, err
}

// accessed is the access time of info, zero where it is not known.
func accessed(info os.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Atim.Unix())
	}
	return time.Time{}
}

// stands reports whether the file at name is what opens from src.
func stands(name string, src *os.File, open func(io.Writer, io.Reader) error) (bool, error) {
	f, err := openQuietly(name)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return false, err
	}
	want, got := sha256.New(), sha256.New()
	if err := open(want, src); err != nil {
		return false, err
	}
	if _, err := io.Copy(got, f); err != nil {
		return false, err
	}
	return bytes.Equal(want.Sum(nil), got.Sum(nil)), nil
}

// removeSealed removes the encrypted file at path, where that is still the one that
// was decrypted, and before it the note of it.
func removeSealed(path, name string, was os.FileInfo) error {
	onStep("decrypt: remove")
	if is, err := os.Lstat(path); err != nil || !os.SameFile(is, was) || is.Size() != was.Size() || !is.ModTime().Equal(was.ModTime()) {
		return errors.Join(fmt.Errorf("%s was brought back, and another file stands in the place of the encrypted one: it is left", name), err)
	}
	note := name + ".stanch.txt"
	b := make([]byte, len(files.NoteLine))
	if f, err := os.OpenFile(note, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
		_, err = io.ReadFull(f, b)
		f.Close() // only read from
		if err == nil && string(b) == files.NoteLine {
			if err := os.Remove(note); err != nil {
				return err
			}
		}
	}
	onStep("decrypt: unlink")
	if err := os.Remove(path); err != nil {
		return err
	}
	return safefile.SyncDir(filepath.Dir(path))
}

// nameless is a file being written that nobody finds by a name.
type nameless struct {
	*os.File
	temp string // the name it has after all, on file systems that have no files without
}

// newNameless begins a file in dir that only this user may read.
func newNameless(dir string) (*nameless, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		return &nameless{File: os.NewFile(uintptr(fd), "")}, nil
	case !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR): // open(2): the file system's word, and an old kernel's
		return nil, &os.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	return newNamed(dir)
}

// namedPattern is what files are called while they are decrypted where none can be
// without a name.
const namedPattern = ".stanch-decrypt-*"

// newNamed is newNameless where the file system has only files with names. It is
// locked while it is written: those that nobody has locked a process that was
// killed left behind, in the clear, and they are removed first.
func newNamed(dir string) (*nameless, error) {
	left, err := filepath.Glob(filepath.Join(globless(dir), namedPattern))
	if err != nil {
		return nil, err
	}
	for _, name := range left {
		if err := removeLeft(name); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp(dir, namedPattern)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: lock: %w", f.Name(), err), f.Close(), os.Remove(f.Name()))
	}
	return &nameless{f, f.Name()}, nil
}

// globless is dir as a pattern that means dir alone.
func globless(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// removeLeft removes the file at name unless a process is still writing it.
func removeLeft(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ELOOP) {
		return nil // gone, another user's, or none of ours
	}
	if err != nil {
		return err
	}
	defer f.Close() // it gives the lock back
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// takeAfter gives the file the owner, group, mode, access list and attributes of
// src. Who may not give it its owner keeps it as theirs, and without the bits that
// let others act as them; who may not give it its group either, without the rights of
// a group: theirs is another.
func (n *nameless) takeAfter(src *os.File, info os.FileInfo) error {
	const acting = os.ModeSetuid | os.ModeSetgid
	mode := info.Mode() & (os.ModePerm | acting | os.ModeSticky)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		err := n.Chown(int(st.Uid), int(st.Gid))
		if errors.Is(err, os.ErrPermission) {
			mode &^= acting
			if err = n.Chown(-1, int(st.Gid)); errors.Is(err, os.ErrPermission) {
				mode &^= 0o070
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	if err := safefile.CopyAttributes(n.File, src); err != nil {
		return err
	}
	return n.Chmod(mode) // behind chown, which clears bits, and the access list, which it bounds
}

// place gives the file its name, never over another. proc is its handle's path.
func (n *nameless) place(proc, name string) error {
	if n.temp == "" {
		return unix.Linkat(unix.AT_FDCWD, proc, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	}
	return placeNamed(n.temp, name, func(from, to string) error {
		return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	})
}

// placeNamed gives the file at temp its name by rename, which replaces nothing.
// Where the file system has no such rename (NFS), a second name is made and the
// first removed.
func placeNamed(temp, name string, rename func(from, to string) error) error {
	err := rename(temp, name)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err = os.Link(temp, name); err == nil {
			return os.Remove(temp)
		}
	}
	return err
}

// abort leaves nothing of the file.
func (n *nameless) abort() error {
	if n.temp == "" {
		return nil
	}
	return os.Remove(n.temp)
}
