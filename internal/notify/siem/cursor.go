package siem

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// cursor is how far a receiver has come: a file of JSON, replaced as a whole.
type cursor struct {
	V          int         `json:"v"`
	Place      audit.Place `json:"place"`                // behind the last line that it has, or that is not sent
	Time       time.Time   `json:"time"`                 // of the last event it has; zero: none
	Checkpoint string      `json:"checkpoint,omitempty"` // id of the last one it has
	Marked     time.Time   `json:"marked"`               // when that was sent
}

const cursorVersion = 1

// Dir is where the cursors of a data folder lie.
func Dir(dataDir string) string { return filepath.Join(dataDir, "state", "siem") }

var errCursor = errors.New("siem: what is kept of a receiver cannot be read")

// readCursor reads the cursor of a receiver; fs.ErrNotExist for a new one.
func readCursor(dir, name string) (cursor, error) {
	var c cursor
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return c, fs.ErrNotExist
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.V != cursorVersion || c.Place.Offset < 0 {
		return cursor{}, errCursor
	}
	return c, nil
}

func (c cursor) write(dir, name string) error {
	c.V = cursorVersion
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("siem: cursor: %w", err)
	}
	return safefile.WriteFile(filepath.Join(dir, name), append(b, '\n'), 0o600)
}
