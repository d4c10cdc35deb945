package console

import (
	"log/slog"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/safelog"
)

func (c *Console) downloadRoutes() []route {
	return []route{{"POST /items/{id}/download", download, c.download}}
}

// download hands out the content as it came. The gateway has it on record before
// the first byte; one that breaks off is cut, so that nobody takes it for the whole.
func (c *Console) download(w http.ResponseWriter, r *http.Request, u User) {
	id, keys, err := c.itemOf(r, u)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	out := &saved{ResponseWriter: w, name: string(id) + ".bin"}
	if err := c.Desk.Export(r.Context(), id, keys, u.Actor(), out); err != nil {
		if !out.begun {
			c.fail(w, r, u, err)
			return
		}
		c.Log.LogAttrs(r.Context(), slog.LevelWarn, "a download broke off", safelog.Err(err))
		panic(http.ErrAbortHandler)
	}
}

// saved answers with a file once there is a byte of it. What it is, is not said: no
// browser shows it.
type saved struct {
	http.ResponseWriter
	name  string
	begun bool
}

// Write writes p.
func (s *saved) Write(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.Header().Set("Content-Type", "application/octet-stream")
		s.Header().Set("Content-Disposition", `attachment; filename="`+s.name+`"`)
	}
	return s.ResponseWriter.Write(p)
}
