package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// backBytes is how much of the log About reads at a time; more than a line.
const backBytes = 4 * maxLine

// Mention is what a line says of a document that it names.
type Mention struct {
	Time   time.Time `json:"time"`
	Kind   Kind      `json:"kind"`
	Doc    dlp.ID    `json:"doc"`
	Of     dlp.ID    `json:"of"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
}

// About calls use with each event on stable storage that names id as its doc
// or as what it is of, the newest first, until use returns false. It reads the
// log from its end: what was recorded lately is found soon.
func (l *Log) About(ctx context.Context, id dlp.ID, use func(Mention) bool) error {
	l.state.Lock()
	to := l.size
	l.state.Unlock()
	f, err := os.Open(filepath.Join(l.opt.Dir, logName))
	if err != nil {
		return failed("read", err)
	}
	defer f.Close() // read only
	return backwards(ctx, f, to, func(_ int64, line []byte) (bool, error) {
		if !bytes.Contains(line, []byte(id)) {
			return true, nil
		}
		var m Mention
		if err := json.Unmarshal(line, &m); err != nil {
			return false, broken(-1, "a line about %s is no event", id)
		}
		return m.Doc != id && m.Of != id || use(m), nil
	})
}
