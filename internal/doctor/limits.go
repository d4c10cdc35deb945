package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/watch"
)

// Need is what a configuration asks of the machine.
type Need struct {
	SMTP     smtp.Config
	Milters  int // connections of the milter door
	Watch    []watch.Config
	Extract  extract.Config
	Children int   // that read at once, those in the background included
	Pictures int   // whose words are read at once, each by a child and the program
	Memory   int64 // of messages while they are judged, in bytes: buffer.memory_all
}

// files is how many files may be open at once: two ends for each session, the
// next hop's, the pipes of each child, and the data folder's own.
func (n Need) files() uint64 {
	return uint64(2*(n.SMTP.MaxConnections+n.Milters) + n.SMTP.NextHopIdle + 8*(n.Children+2*n.Pictures) + 200)
}

// bytes is how much memory may be in use at once: what the program itself
// takes, messages, and children at their limit.
func (n Need) bytes() uint64 {
	const own = 150 << 20
	return uint64(own + n.Memory + int64(n.Children)*int64(n.Extract.MaxMemory) + 2*int64(n.Pictures)*int64(n.Extract.OCR.MaxMemory))
}

// Limits compares what the configuration may ask for with what the machine
// allows. files is the limit of open files of the process that serves, and
// whose says whose it is. proc is where /proc is mounted, cgroup /sys/fs/cgroup.
func Limits(n Need, files uint64, whose, proc, cgroup string) Check {
	return Check{Name: "limits", Within: 30 * time.Second, Run: func(ctx context.Context) []Finding {
		return append(inotify(ctx, n, proc), openFiles(n, files, whose), memory(n, proc, cgroup), backlog(n, proc))
	}}
}

// OpenFiles is how many files this process may have open at most; the Go
// runtime raises the soft limit to the hard one.
func OpenFiles() uint64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return r.Max
}

func openFiles(n Need, have uint64, whose string) Finding {
	object := "open files of " + whose
	need := n.files()
	said := fmt.Sprintf("%d allowed, up to %d needed", have, need)
	if have < need {
		return bad(object, said+": connections are refused when they run out",
			fmt.Sprintf("Set LimitNOFILE=%d in the unit (`systemctl edit stanch`), or lower smtp.max_connections.", need))
	}
	return good(object, "%s", said)
}

func memory(n Need, proc, cgroup string) Finding {
	const object = "memory"
	total, from := memTotal(proc), "this machine"
	if limit, ok := cgroupLimit(proc, cgroup); ok && (total == 0 || limit < total) {
		total, from = limit, "this control group"
	}
	need := n.bytes()
	if total == 0 {
		return poor(object, "how much there is could not be read", "See that /proc is mounted.")
	}
	said := fmt.Sprintf("%s has %s; up to %s may be used: %d children of %s, and messages", from, size(total), size(need), n.Children, size(uint64(n.Extract.MaxMemory)))
	remedy := "Lower extract.workers, extract.max_memory or buffer.memory_all, or give it more memory."
	if n.Pictures > 0 {
		said += fmt.Sprintf("; %d for pictures of %s", 2*n.Pictures, size(uint64(n.Extract.OCR.MaxMemory)))
		remedy = "Lower extract.workers, extract.max_memory, extract.ocr.max_memory or buffer.memory_all, or give it more memory."
	}
	switch {
	case need > total:
		return bad(object, said+": the kernel may kill it under load", remedy)
	case need > total/4*3:
		return poor(object, said, remedy)
	}
	return good(object, "%s", said)
}

func memTotal(proc string) uint64 {
	b, err := os.ReadFile(filepath.Join(proc, "meminfo"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			n, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// cgroupLimit is the least memory.max from this process's control group
// upwards, false where none is set.
func cgroupLimit(proc, root string) (uint64, bool) {
	b, err := os.ReadFile(filepath.Join(proc, "self", "cgroup"))
	if err != nil {
		return 0, false
	}
	var least uint64
	for line := range strings.Lines(string(b)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for dir := filepath.Join(root, group); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			if n := number(filepath.Join(dir, "memory.max")); n > 0 && (least == 0 || n < least) {
				least = n
			}
		}
	}
	return least, least > 0
}

// number reads a file that holds one number; 0 where it does not.
func number(path string) uint64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return n
}

func backlog(n Need, proc string) Finding {
	const object = "net.core.somaxconn"
	if len(n.SMTP.AllDoors()) == 0 {
		return good(object, "no mail door")
	}
	have := number(filepath.Join(proc, "sys/net/core/somaxconn"))
	if have == 0 {
		return good(object, "not readable here")
	}
	if have < 256 {
		return poor(object, fmt.Sprintf("%d connections may wait to be accepted", have), "Run `sysctl -w net.core.somaxconn=1024`, and keep it in /etc/sysctl.d/.")
	}
	return good(object, "%d connections may wait to be accepted", have)
}

// countFolders bounds the count of folders under the roots.
const countFolders = 500_000

// inotify compares the folders to be watched with what the kernel allows.
func inotify(ctx context.Context, n Need, proc string) []Finding {
	var roots, folders uint64
	partial := false
	for _, w := range n.Watch {
		if w.Poll {
			continue
		}
		roots++
		seen, whole := foldersBelow(ctx, w.Path, uint64(w.MaxFolders))
		folders += seen
		partial = partial || !whole
	}
	if roots == 0 {
		return nil
	}
	const object = "fs.inotify.max_user_watches"
	have := number(filepath.Join(proc, "sys/fs/inotify/max_user_watches"))
	about := fmt.Sprint(folders)
	if partial {
		about = "at least " + about
	}
	var out []Finding
	switch {
	case have == 0:
		out = append(out, good(object, "not readable here; %s folders are to be watched", about))
	case have < folders:
		out = append(out, bad(object, fmt.Sprintf("%d allowed, %s folders are to be watched: the rest is found by the walks of rescan only", have, about),
			fmt.Sprintf("Run `sysctl -w fs.inotify.max_user_watches=%d`, and keep it in /etc/sysctl.d/.", 2*folders)))
	case have < 2*folders:
		out = append(out, poor(object, fmt.Sprintf("%d allowed, %s folders are to be watched, and other programs share them", have, about),
			fmt.Sprintf("Run `sysctl -w fs.inotify.max_user_watches=%d`, and keep it in /etc/sysctl.d/.", 4*folders)))
	default:
		out = append(out, good(object, "%d allowed, %s folders are to be watched", have, about))
	}
	const instances = "fs.inotify.max_user_instances"
	if have := number(filepath.Join(proc, "sys/fs/inotify/max_user_instances")); have > 0 && have < roots+8 {
		return append(out, poor(instances, fmt.Sprintf("%d allowed, %d needed by stanch alone", have, roots),
			fmt.Sprintf("Run `sysctl -w fs.inotify.max_user_instances=%d`, and keep it in /etc/sysctl.d/.", roots+128)))
	}
	return out
}

// foldersBelow counts folders, root included, up to most; whole is false when
// it stopped before.
func foldersBelow(ctx context.Context, root string, most uint64) (n uint64, whole bool) {
	if most == 0 || most > countFolders {
		most = countFolders
	}
	whole = true
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error { // a folder that cannot be read is its own check's
		if err != nil {
			return nil
		}
		if d.IsDir() {
			n++
		}
		if n >= most || ctx.Err() != nil {
			whole = false
			return fs.SkipAll
		}
		return nil
	})
	return n, whole
}
