package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
)

// Audit looks at the two ends of the audit log, which takes the same time
// however long it is. `stanch audit verify` proves all of it.
func Audit(dir, anchor, key string, now func() time.Time) Check {
	return Check{Name: "audit", Run: func(ctx context.Context) []Finding {
		if _, err := os.Stat(filepath.Join(dir, "checkpoint")); errors.Is(err, fs.ErrNotExist) {
			if names, err := os.ReadDir(dir); err != nil || len(names) == 0 {
				return []Finding{poor(dir, "no log yet: nothing has been served", "It is begun at the first `stanch serve`.")}
			}
		}
		e, err := audit.Peek(ctx, dir, anchor, key)
		if errors.Is(err, audit.ErrBroken) {
			return []Finding{bad(dir, err.Error(), "Run `stanch audit verify`, keep the folder as evidence, and read docs/audit.md before you do anything else.")}
		}
		if err != nil {
			return []Finding{bad(dir, "could not be looked at: "+plain(err), "Run this as the user that serves.")}
		}
		state := "open, or cut short by a crash"
		if e.Closed {
			state = "closed whole"
		}
		out := []Finding{good(dir, "%d events, both ends hold, %s; `stanch audit verify` proves all of it", e.Events, state)}
		if ahead := e.Last.Sub(now()); ahead > time.Minute {
			out = append(out, bad(dir, fmt.Sprintf("its last event lies %s in the future: the clock was set back, or ran ahead before", ahead.Round(time.Second)),
				"Set the clock by NTP; new events then stand before older ones until the time has passed."))
		}
		return out
	}}
}

// Store has SQLite check the form of the database that holds vault and outbox.
func Store(dir string) Check {
	return Check{Name: "store", Within: 30 * time.Second, Run: func(ctx context.Context) []Finding {
		path := filepath.Join(dir, "stanch.db")
		const restore = "Stop stanch, bring back data_dir from the backup, and keep the damaged file."
		c, err := sqlite.Check(ctx, dir)
		switch {
		case err == nil:
			return []Finding{good(path, "%d held, %d in the outbox, %s; its form holds", c.Held, c.Queued, size(uint64(max(0, c.Bytes))))}
		case errors.Is(err, fs.ErrNotExist):
			return []Finding{poor(path, "no database yet: nothing has been served", "It is made at the first `stanch serve`.")}
		case errors.Is(err, sqlite.ErrDamaged), errors.Is(err, sqlite.ErrForeign):
			return []Finding{bad(path, err.Error(), restore)}
		case errors.Is(err, sqlite.ErrNewer):
			return []Finding{bad(path, err.Error(), "Install that version again: an older one cannot read it.")}
		case ctx.Err() != nil:
			return []Finding{poor(path, fmt.Sprintf("%s, not checked within the time", size(uint64(max(0, c.Bytes)))), "Look again when the disk is less busy.")}
		}
		return []Finding{bad(path, "could not be read: "+plain(err), "Run this as the user that serves.")}
	}}
}
