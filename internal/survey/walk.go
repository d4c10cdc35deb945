package survey

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// item is one thing to read, or the error that stands in its place.
type item struct {
	path string
	err  error
}

// walk sends every regular file that paths lead to. A path that was named is
// followed through symbolic links; below a folder they are not followed, nor
// are devices, pipes and sockets read.
func walk(ctx context.Context, paths []string, out chan<- item) {
	send := func(it item) bool {
		select {
		case out <- it:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for _, p := range paths {
		if p == "-" {
			if !send(item{path: p}) {
				return
			}
			continue
		}
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() {
			if !send(item{path: p, err: err}) {
				return
			}
			continue
		}
		err = filepath.WalkDir(resolved(p), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				if !send(item{path: path, err: err}) {
					return fs.SkipAll
				}
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
			case d.Type().IsRegular():
				if !send(item{path: path}) {
					return fs.SkipAll
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.SkipAll) && !send(item{path: p, err: err}) {
			return
		}
	}
}

// resolved ends a folder's path so that WalkDir enters it even when the path
// itself is a symbolic link.
func resolved(p string) string {
	if fi, err := os.Lstat(p); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return p + string(filepath.Separator)
	}
	return p
}
