package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stanch-dlp/stanch/internal/crypt"
)

// Keys looks at the key folder: every key is there, is the one that belongs
// there, and can be read by nobody else. It says where the release key is.
// auditKey is the path of the audit log's signing key.
func Keys(dir, auditKey string) Check {
	return Check{Name: "keys", Run: func(context.Context) []Finding {
		if _, err := os.Stat(filepath.Clean(dir) + ".id"); errors.Is(err, fs.ErrNotExist) {
			return keysBeforeStart(dir)
		}
		var out []Finding
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&othersMode != 0 {
			out = append(out, bad(dir, fmt.Sprintf("mode %04o: other users can enter it", info.Mode().Perm()), "Run `chmod 0700 "+dir+"`."))
		}
		out = append(out, ring(dir), signing(auditKey))
		return out
	}}
}

func keysBeforeStart(dir string) []Finding {
	if names, err := os.ReadDir(dir); err == nil && len(names) > 0 {
		return []Finding{poor(dir, "a first start was cut short: it holds keys, and nothing says which belong there", "Run `stanch serve`: it goes on where it stopped.")}
	}
	return []Finding{poor(dir, "no keys yet: nothing has been served", "They are made at the first `stanch serve`.")}
}

// ring opens the keys as serve does. The note beside the folder is there, so
// that nothing is made.
func ring(dir string) Finding {
	const bring = "Bring back the folder keys of the backup, and read docs/vault.md before you do anything else."
	r, err := crypt.Open(dir)
	switch {
	case err == nil && r.Release() == nil:
		return good(dir, "the index and the work key are there and belong here; the release key was taken away: what is held opens with a reviewer's key only")
	case err == nil:
		return good(dir, "all three are there and belong here; the release key is on this server (release.agekey), so that whoever is root here can read what is held")
	case errors.Is(err, crypt.ErrKeyMissing):
		return bad(dir, plainKey(err), bring)
	case errors.Is(err, crypt.ErrWrongKey), errors.Is(err, crypt.ErrBadKey):
		return bad(dir, plainKey(err), bring)
	case errors.Is(err, fs.ErrPermission):
		return bad(dir, "this user may not read them", "Run this as the user that serves.")
	}
	return bad(dir, plainKey(err), "Run `chmod 0600 "+filepath.Join(dir, "*")+"`, and see that they belong to the user that serves.")
}

// plainKey is err without our package's name in front.
func plainKey(err error) string {
	s := err.Error()
	if rest, ok := strings.CutPrefix(s, "crypt: "); ok {
		return rest
	}
	return s
}

func signing(path string) Finding {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad(path, "the audit log's signing key is missing", "Bring back the folder keys of the backup: without it the log cannot go on.")
	case err != nil:
		return bad(path, "cannot be looked at: "+plain(err), "Run this as the user that serves.")
	case info.Mode().Perm()&othersMode != 0:
		return bad(path, fmt.Sprintf("mode %04o: other users can read it", info.Mode().Perm()), "Run `chmod 0600 "+path+"`.")
	}
	return good(path, "the audit log's signing key is there, mode %04o", info.Mode().Perm())
}
