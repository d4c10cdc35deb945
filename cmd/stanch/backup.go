package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	filippo "filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/backup"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// keysBeside is the file beside backups that has the keys of the vault: one for
// all of them, and the newest only.
const keysBeside = "stanch-vault.keys"

// Copy writes an encrypted copy of the data folder to w. See gateway.Copier.
func (n *node) Copy(ctx context.Context, w io.Writer, recipients []string) error {
	to, err := age.ParseRecipients(recipients)
	if err != nil {
		return err
	}
	b, err := backup.NewWriter(ctx, w, backup.Head{Made: time.Now().UTC(), Version: version, Periods: n.periods.Recipients()}, to)
	if err != nil {
		return err
	}
	if err := backup.Folder(ctx, b, n.cfg.DataDir, n.db, n.cfg.File); err != nil {
		return err
	}
	return b.Close()
}

// noteRestored puts on record that the data folder is one that was brought
// back, once, and begins new periods: the keys come from a file that lay open to
// whoever could write beside the backup, and nothing new is sealed to one of it.
func (n *node) noteRestored(ctx context.Context) error {
	is, err := n.db.Restored(ctx)
	if err != nil || !is {
		return err
	}
	if _, err := n.audit.Append(ctx, audit.Event{Kind: audit.Restored}); err != nil {
		return fmt.Errorf("record restore: %w", err)
	}
	if _, err := n.audit.Append(ctx, audit.Event{Kind: audit.VaultKey, Reason: audit.ReasonKeyBegun}); err != nil {
		return fmt.Errorf("record vault key: %w", err)
	}
	if err := n.periods.Rotate(); err != nil {
		return err
	}
	return n.db.NotedRestored(ctx)
}

func (a *app) backupCmd() *cobra.Command {
	var recipients []string
	var keys string
	cmd := &cobra.Command{Use: "backup DEST", Short: "Write an encrypted copy of everything, while serve runs or not",
		Long: "Write an encrypted copy of the data folder to the new file DEST, or to a new file in the folder DEST.\n" +
			"It is read back whole before it gets its name. The keys of the vault's periods are not in it: they\n" +
			"stand in " + keysBeside + " beside it, one file for all backups in that folder, replaced each time, so that\n" +
			"what has expired cannot be read from older backups either. A restore takes both.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.place()
			if err != nil {
				return err
			}
			if p.cfg != nil {
				recipients = append(recipients, p.cfg.Backup.Recipients...)
			}
			return a.backUp(cmd.Context(), args[0], keys, recipients)
		}}
	cmd.Flags().StringArrayVarP(&recipients, "recipient", "r", nil, "age public key that can open it, beside those of [backup] (repeatable)")
	cmd.Flags().StringVar(&keys, "keys", "", "where the keys of the vault go (default: "+keysBeside+" beside DEST)")
	return cmd
}

func (a *app) backUp(ctx context.Context, dest, keys string, recipients []string) error {
	slices.Sort(recipients)
	recipients = slices.Compact(recipients)
	if _, err := age.ParseRecipients(recipients); err != nil {
		return fmt.Errorf("%w: name them in [backup] recipients, or with --recipient", err)
	}
	if info, err := os.Stat(dest); err == nil && info.IsDir() {
		dest = filepath.Join(dest, "stanch-"+time.Now().UTC().Format("20060102T150405Z")+".backup")
	} else if err == nil {
		return fmt.Errorf("%s is there already: a backup is never written over", dest)
	}
	keys = cmp.Or(keys, filepath.Join(filepath.Dir(dest), keysBeside))
	once, public, err := age.Ephemeral(recipients)
	if err != nil {
		return err
	}
	out, err := newBackup(dest)
	if err != nil {
		return err
	}
	defer out.discard()
	var beside []byte
	err = a.withDesk(ctx, func(d control.Desk, actor string) error {
		onStep("backup: write")
		if err := out.write(func(w io.Writer) error { return d.Backup(ctx, append(recipients, public), actor, w) }); err != nil {
			return err
		}
		beside, err = d.VaultKeyFile(ctx) // after the copy, so that it has every key that the copy needs
		return err
	})
	if err != nil {
		return err
	}
	onStep("backup: verify")
	n, size, err := out.verify(once)
	if err != nil {
		return err
	}
	onStep("backup: keys")
	if err := replaceKeys(keys, beside); err != nil {
		return err
	}
	onStep("backup: name")
	if err := out.name(dest); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: %s, %d bytes of content, read back and whole\n%s: the keys of the vault; a restore takes them too, keep the newest only\n",
		dest, report.Count(n, "file"), size, keys)
	return err
}

// replaceKeys puts the keys of the vault where the backups' are, unless those
// are another installation's.
func replaceKeys(path string, now []byte) error {
	ids, err := age.PeriodIDs(now)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err == nil {
		was, err := age.PeriodIDs(old)
		if err != nil || !slices.ContainsFunc(was, func(id dlp.ID) bool { return slices.Contains(ids, id) }) {
			return fmt.Errorf("%s is not of this installation: its backups need it; choose another folder, or --keys", path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return safefile.WriteFile(path, now, 0o600)
}

// unnamed is a backup that is not whole yet, or not known to be. It has a name
// that says so, and a lock that says that somebody writes it.
type unnamed struct{ f *os.File }

const unnamedPattern = ".stanch-backup-*"

// newBackup begins a backup in the folder of dest, and takes away those there
// that were cut short.
func newBackup(dest string) (*unnamed, error) {
	dir := filepath.Dir(dest)
	left, err := filepath.Glob(filepath.Join(dir, unnamedPattern))
	if err != nil {
		return nil, err
	}
	for _, name := range left {
		if f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW, 0); err == nil {
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				_ = os.Remove(name) // nobody's; where it cannot go, it stays what it is
			}
			_ = f.Close() // nothing was written
		}
	}
	f, err := os.CreateTemp(dir, unnamedPattern) // 0600
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such folder: make it first, for the user that runs this alone", dir)
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &unnamed{f}, nil
}

func (u *unnamed) write(from func(io.Writer) error) error {
	if err := from(u.f); err != nil {
		return err
	}
	return u.f.Sync()
}

// verify reads it back from the disk with the key that was made for that.
func (u *unnamed) verify(with filippo.Identity) (files int, size int64, err error) {
	r, err := os.Open(u.f.Name())
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	_, err = backup.Read(r, []filippo.Identity{with}, func(_ string, n int64, _ io.Reader) error {
		files, size = files+1, size+n
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("what was written does not read back: %w", err)
	}
	return files, size, nil
}

func (u *unnamed) name(dest string) error {
	err := unix.Renameat2(unix.AT_FDCWD, u.f.Name(), unix.AT_FDCWD, dest, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) { // the file system cannot refuse to replace; nobody was there before
		err = os.Rename(u.f.Name(), dest)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dest, err)
	}
	return safefile.SyncDir(filepath.Dir(dest))
}

// discard takes away what has not got its name.
func (u *unnamed) discard() {
	_ = os.Remove(u.f.Name()) // it may have its name by now
	_ = u.f.Close()           // as above
}

func (a *app) restoreCmd() *cobra.Command {
	var r restoring
	cmd := &cobra.Command{Use: "restore SRC --identity FILE", Short: "Bring a backup back, into a new data folder",
		Long: "Bring a backup back, into the data folder of the configuration, or --data-dir, which must be new or empty.\n" +
			"What was in the outbox is set aside, since it may have been delivered after the backup was made:\n" +
			"`stanch queue list` shows it, `stanch queue retry` lets it go.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.src = args[0]
			return a.restore(cmd.Context(), &r)
		}}
	r.who.flag(cmd)
	cmd.Flags().Lookup("identity").Usage = "file with an age secret key that opens the backup, mode 0600 (repeatable)"
	cmd.Flags().StringVar(&r.keys, "keys", "", "the keys of the vault (default: "+keysBeside+" beside SRC)")
	cmd.Flags().StringVar(&r.dir, "data-dir", "", "restore into this folder, not into that of the configuration")
	cmd.Flags().BoolVar(&r.check, "check", false, "only read all of it, and say whether it is whole")
	needsIdentity(cmd, "the age secret key of somebody to whom the backup was made")
	return cmd
}

type restoring struct {
	src, keys, dir string
	who            reviewer
	check          bool
}

func (a *app) restore(ctx context.Context, r *restoring) error {
	ids, err := r.who.identities()
	if err != nil {
		return err
	}
	r.keys = cmp.Or(r.keys, filepath.Join(filepath.Dir(r.src), keysBeside))
	keys, err := os.ReadFile(r.keys)
	if err == nil {
		_, err = age.PeriodIDs(keys)
	}
	if err != nil {
		return fmt.Errorf("the keys of the vault, without which nothing held opens: %w; name them with --keys", err)
	}
	src, err := os.Open(r.src)
	if err != nil {
		return err
	}
	defer src.Close()
	if r.check {
		n := 0
		head, err := backup.Read(src, ids, func(string, int64, io.Reader) error { n++; return nil })
		if err != nil {
			return fmt.Errorf("%s: %w", r.src, err)
		}
		if err := age.SamePeriods(keys, head.Periods); err != nil {
			return fmt.Errorf("%s: %w", r.keys, err)
		}
		_, err = fmt.Fprintf(a.out, "%s: whole: %s, made %s by stanch %s\n", r.src, report.Count(n, "file"), head.Made.Local().Format(time.DateTime), head.Version)
		return err
	}
	if r.dir == "" {
		p, err := a.place()
		if err != nil {
			return fmt.Errorf("%w; or say where to with --data-dir", err)
		}
		r.dir = p.dir
	}
	return a.restoreInto(ctx, r, src, ids, keys)
}

func (a *app) restoreInto(ctx context.Context, r *restoring, src io.Reader, ids []filippo.Identity, keys []byte) (err error) {
	onStep("bring back: begin")
	lock, err := backup.Begin(r.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	head, err := backup.Read(src, ids, func(name string, _ int64, in io.Reader) error {
		onStep("bring back: file")
		return backup.Put(r.dir, name, in)
	})
	if err != nil {
		return fmt.Errorf("%s: %w; %s is not usable, and the next restore takes it away", r.src, err, r.dir)
	}
	if err := age.SamePeriods(keys, head.Periods); err != nil {
		return fmt.Errorf("%s: %w; %s is not usable, and the next restore takes it away", r.keys, err, r.dir)
	}
	onStep("bring back: keys")
	if err := backup.Put(r.dir, backup.PeriodKeys, bytes.NewReader(keys)); err != nil {
		return err
	}
	onStep("bring back: database")
	paused, missing, err := sqlite.Restore(ctx, r.dir, time.Now())
	if err != nil {
		return err
	}
	if err := giveAway(r.dir); err != nil {
		return err
	}
	onStep("bring back: end")
	if err := backup.End(r.dir); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: brought back from a backup made %s by stanch %s\n", r.dir, head.Made.Local().Format(time.DateTime), head.Version)
	if missing > 0 {
		fmt.Fprintf(&b, "%s were missing already when it was made\n", report.Count(missing, "sealed file"))
	}
	if paused > 0 {
		fmt.Fprintf(&b, "%s set aside, since they may have been delivered after that: see `stanch queue list`; `stanch queue retry` lets one go, `stanch queue drop` gives it up\n", report.Count(paused, "message"))
	}
	fmt.Fprintf(&b, "the configuration of then is %s\n", filepath.Join(r.dir, backup.ConfigFile))
	_, err = io.WriteString(a.out, b.String())
	return err
}

// giveAway gives what root restored to the user whose folder it is.
func giveAway(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil || os.Geteuid() != 0 || st.Uid == 0 {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(st.Uid), int(st.Gid))
	})
}
