package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	filippo "filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

func (a *app) decryptCmd() *cobra.Command {
	var keyFiles []string
	cmd := &cobra.Command{Use: "decrypt PATH... --identity FILE", Short: "Bring back files that the watcher encrypted",
		Long: "Write NAME beside each NAME.age, with its owner, mode, access list, extended attributes\nand times, and remove NAME.age.\n" +
			"A file that is there already is never overwritten.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ids, err := identities(keyFiles)
			if err != nil {
				return err
			}
			var errs []error
			for _, path := range args {
				if err := decryptFile(path, ids); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", path, err))
					continue
				}
				fmt.Fprintln(a.out, strings.TrimSuffix(path, ".age"))
			}
			return errors.Join(errs...)
		}}
	cmd.Flags().StringArrayVarP(&keyFiles, "identity", "i", nil, "file with age secret keys (repeatable)")
	_ = cmd.MarkFlagRequired("identity") // the flag exists
	return cmd
}

func identities(files []string) ([]filippo.Identity, error) {
	var all []filippo.Identity
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		ids, err := age.ParseIdentities(f)
		f.Close() // only read from
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, ids...)
	}
	return all, nil
}

// decryptFile writes NAME from NAME.age. The plaintext has the encrypted
// file's mode from its first byte, and its name only when it is whole.
func decryptFile(path string, ids []filippo.Identity) (err error) {
	name, ok := strings.CutSuffix(path, ".age")
	if !ok || filepath.Base(name) == "." {
		return errors.New("want a file named NAME.age")
	}
	src, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already: move it away first", name)
	}
	dst, err := os.CreateTemp(filepath.Dir(name), ".stanch-decrypt-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dst.Close(), os.Remove(dst.Name()))
		}
	}()
	if err := age.Decrypt(dst, src, ids); err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := dst.Chown(int(st.Uid), int(st.Gid)); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	if err := errors.Join(dst.Chmod(info.Mode().Perm()), safefile.CopyAttributes(dst, src), dst.Sync(), os.Chtimes(dst.Name(), time.Time{}, info.ModTime())); err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, dst.Name(), unix.AT_FDCWD, name, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := safefile.SyncDir(filepath.Dir(name)); err != nil {
		return err
	}
	return errors.Join(dst.Close(), os.Remove(path))
}
