package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Bounds of room in data_dir. A mail of the largest size is held twice while it
// is sealed, and the audit log keeps 8 MiB in reserve.
const (
	roomFail   = 256 << 20
	roomWarn   = 2 << 30
	inodesFail = 1_000
	inodesWarn = 20_000
	syncTries  = 9
	syncSlow   = 50 * time.Millisecond // a held message takes several; at this rate a sender waits noticeably
	othersMode = 0o077
)

// DataDir looks at the data folder: mode, owner, file system, room, and how
// long it takes until what is written is on stable storage.
func DataDir(dir string) Check {
	return Check{Name: "data_dir", Run: func(ctx context.Context) []Finding {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return []Finding{absentDir(dir)}
		}
		if err != nil {
			return []Finding{bad(dir, "cannot be looked at: "+plain(err), "Run this as the user that serves, for example `sudo -u stanch stanch doctor`.")}
		}
		if !info.IsDir() {
			return []Finding{bad(dir, "is no folder", "Name a folder in data_dir.")}
		}
		out := []Finding{dirMode(dir, info), dirOwner(dir, info)}
		out = append(out, fileSystem(dir)...)
		return append(out, syncs(ctx, dir))
	}}
}

func absentDir(dir string) Finding {
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if _, err := os.Stat(up); err == nil {
			if unix.Access(up, unix.W_OK) != nil {
				return bad(dir, "is not there, and cannot be made in "+up,
					fmt.Sprintf("Make it for the user that serves: `install -d -m 0700 -o stanch -g stanch %s`.", dir))
			}
			return poor(dir, "is not there yet: nothing has been served from it", "It is made at the first `stanch serve`.")
		}
		if up == filepath.Dir(up) {
			return bad(dir, "is not there, nor is any folder above it", "Name a folder that can be made in data_dir.")
		}
	}
}

func dirMode(dir string, info fs.FileInfo) Finding {
	if mode := info.Mode().Perm(); mode&othersMode != 0 {
		return bad(dir, fmt.Sprintf("mode %04o: other users can enter it", mode), "Run `chmod 0700 "+dir+"`.")
	}
	return good(dir, "mode %04o", info.Mode().Perm())
}

func dirOwner(dir string, info fs.FileInfo) Finding {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return poor(dir, "its owner is not known", "See that it belongs to the user that serves.")
	}
	for _, name := range []string{"lock", "stanch.db", "keys", "audit", "vault", "spool", "pickup", "state", "tables"} {
		in, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			continue // not there yet, or looked at by its own check
		}
		if s, ok := in.Sys().(*syscall.Stat_t); ok && s.Uid != st.Uid {
			return bad(filepath.Join(dir, name), fmt.Sprintf("belongs to user %d, the folder to user %d: a command run as another user left it", s.Uid, st.Uid),
				fmt.Sprintf("Run `chown -R %d:%d %s` while nothing serves.", st.Uid, st.Gid, dir))
		}
	}
	if me := os.Geteuid(); me != 0 && me != int(st.Uid) {
		return bad(dir, fmt.Sprintf("belongs to user %d, and this is user %d", st.Uid, me), fmt.Sprintf("Run this as user %d, or give the folder to the user that serves.", st.Uid))
	}
	return good(dir, "belongs to user %d", st.Uid)
}

// noWrites is what a data folder that takes no writes means.
const noWrites = "nothing can be held, sent on later or put on record, so senders are told to come again"

func fileSystem(dir string) []Finding {
	kind, room, err := safefile.Stat(dir)
	if err != nil {
		return []Finding{bad(dir, "its file system does not answer: "+plain(err), "Look at the mount with `findmnt -T "+dir+"`.")}
	}
	var out []Finding
	switch {
	case kind.Memory:
		out = append(out, bad(dir, "lies on "+kind.Name+", in memory: what is held is lost with the power", "Set data_dir to a folder on a disk."))
	case kind.Network:
		out = append(out, poor(dir, "lies on a network file system ("+kind.Name+"): locks and syncs may not hold what they promise",
			"Set data_dir to a folder on a local disk."))
	default:
		out = append(out, good(dir, "lies on %s", kind.Name))
	}
	free := fmt.Sprintf("%s free of %s", size(room.Free), size(room.Size))
	more := "Make room on the file system of " + dir + ", or move data_dir to a larger one."
	switch {
	case room.ReadOnly:
		out = append(out, bad(dir, "its file system is mounted read-only: "+noWrites, "Look at the mount with `findmnt -T "+dir+"`, and at `dmesg` for an error that made it so."))
	case safefile.ReadOnly(filepath.Join(dir, "lock")): // of which a statfs does not tell
		out = append(out, bad(dir, "its file system became read-only after an error of its disk: "+noWrites,
			"Look at `dmesg` for the error. Stop stanch, check the disk and the file system (`fsck`), mount it again, and start."))
	case room.Free < roomFail:
		out = append(out, bad(dir, free+": mail that must be held is refused when it is full", more))
	case room.Free < roomWarn:
		out = append(out, poor(dir, free, more))
	default:
		out = append(out, good(dir, "%s", free))
	}
	if room.Inodes > 0 {
		left := fmt.Sprintf("%d inodes free of %d", room.FreeInodes, room.Inodes)
		switch {
		case room.FreeInodes < inodesFail:
			out = append(out, bad(dir, left, more))
		case room.FreeInodes < inodesWarn:
			out = append(out, poor(dir, left, more))
		default:
			out = append(out, good(dir, "%s", left))
		}
	}
	return out
}

// syncs writes and syncs small files, as a hold does, and takes them away.
func syncs(ctx context.Context, dir string) Finding {
	at := filepath.Join(dir, "tmp") // swept at start
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		at = dir
	}
	var took []time.Duration
	for range syncTries {
		if ctx.Err() != nil {
			break
		}
		d, err := syncOnce(at)
		if err != nil {
			return bad(at, "what is written does not reach stable storage: "+plain(err), "Look at the disk and the mount with `dmesg` and `findmnt -T "+dir+"`.")
		}
		took = append(took, d)
	}
	if len(took) == 0 {
		return bad(at, "no write was tried in time", "Look at the disk: it does not answer.")
	}
	slices.Sort(took)
	median, worst := took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond)
	said := fmt.Sprintf("a write is on stable storage after %s (median of %d; the slowest %s)", median, len(took), worst)
	if median > syncSlow {
		return poor(at, said, "Set data_dir to a folder on a faster disk: every hold waits for it.")
	}
	return good(at, "%s", said)
}

// syncOnce leaves nothing; what a crash leaves has a name that a start sweeps.
func syncOnce(dir string) (took time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".stanch-tmp-doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, 4096)); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// plain returns an error's text without the path it quotes: the finding names
// what was looked at.
func plain(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// size writes bytes as people read them.
func size(n uint64) string {
	for _, u := range []struct {
		name string
		of   uint64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.of {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.of), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
