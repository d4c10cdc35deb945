package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/watch"
)

// Folders looks at the watched folders, each in a check of its own: one that
// does not answer keeps nobody from the others.
func Folders(ws []watch.Config) []Check {
	var out []Check
	for _, w := range ws {
		out = append(out, Check{Name: "watch", Run: func(context.Context) []Finding { return folder(w) }})
	}
	return out
}

func folder(w watch.Config) []Finding {
	info, err := os.Stat(w.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{bad(w.Path, "is not there: nothing in it is judged", "Make the folder, mount the share, or take its [[watch]] out.")}
	case err != nil:
		return []Finding{bad(w.Path, "cannot be looked at: "+plain(err), "Give the user that serves access to it.")}
	case !info.IsDir():
		return []Finding{bad(w.Path, "is no folder", "Name a folder in watch.path.")}
	}
	var out []Finding
	if err := unix.Access(w.Path, unix.R_OK|unix.X_OK); err != nil {
		out = append(out, bad(w.Path, "cannot be read by this user", "Give the user that serves the right to read it."))
	} else if err := unix.Access(w.Path, unix.W_OK); err != nil {
		out = append(out, bad(w.Path, "cannot be written to by this user: files are judged and cannot be taken away", "Give the user that serves the right to write in it and below it."))
	} else {
		out = append(out, good(w.Path, "can be read and written"))
	}
	kind, room, err := safefile.Stat(w.Path)
	if err != nil {
		return append(out, bad(w.Path, "its file system does not answer: "+plain(err), "Look at the mount with `findmnt -T "+w.Path+"`."))
	}
	if room.Free < 16<<20 {
		out = append(out, poor(w.Path, size(room.Free)+" free: a released file may find no room", "Make room there."))
	}
	switch {
	case w.Poll && !kind.Network:
		out = append(out, good(w.Path, "lies on %s, polled as watch.poll says", kind.Name))
	case kind.Network:
		after := w.Rescan.D()
		if after == 0 {
			after = 10 * time.Minute
		}
		out = append(out, poor(w.Path, fmt.Sprintf("lies on %s and is polled: a file is seen up to %s after it appears", kind.Name, after),
			"Run stanch on the machine that has the disk, or lower watch.rescan."))
	default:
		out = append(out, good(w.Path, "lies on %s, watched by events", kind.Name))
	}
	return out
}
