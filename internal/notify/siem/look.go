package siem

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
)

// maxLookback is how many lines Look reads to find what waits.
const maxLookback = 1_000_000

// Status is how a receiver stands, seen from outside of serve.
type Status struct {
	Name    string
	New     bool      // nothing is known of it: serve has not run with it
	Unread  bool      // what is kept of it cannot be read, or is of another log
	Last    time.Time // of the last event it is known to have
	Waiting time.Time // of the oldest event it is not known to have; zero: none
}

// Look says how the receivers of a data folder stand, whether or not a serve
// runs. auditDir is the folder of the audit log.
func Look(ctx context.Context, dataDir, auditDir string, all []Config) ([]Status, error) {
	var out []Status
	for _, c := range all {
		s := Status{Name: c.Name}
		at, err := readCursor(Dir(dataDir), c.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.New = true
		case err != nil:
			s.Unread = true
		default:
			s.Last = at.Time
			n := 0
			_, ok, err := audit.FollowDir(ctx, auditDir, at.Place, func(line []byte, _ audit.Place) bool {
				if e, ok := wanted(line, ""); ok {
					s.Waiting = e.Time
				}
				n++
				return s.Waiting.IsZero() && n < maxLookback
			})
			if err != nil {
				return nil, err
			}
			s.Unread = !ok
		}
		out = append(out, s)
	}
	return out, nil
}
