package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// fileSuffix ends the name of every sealed content: any age program that holds
// the key opens it.
const fileSuffix = ".age"

// Contents keeps large sealed contents as files: DIR/xx/ID.age, where xx is
// the first two characters of ID; those of parcels are ID.sealed, which age
// does not open.
type Contents struct {
	dir   string
	kind  string // ends the name of every file; "" is fileSuffix
	steps func(string)
}

func (c *Contents) path(id dlp.ID) string {
	return filepath.Join(c.dir, string(id[:min(2, len(id))]), string(id)+c.suffix())
}

// suffix ends the name of every content.
func (c *Contents) suffix() string { return cmp.Or(c.kind, fileSuffix) }

// has reports whether id's file is there.
func (c *Contents) has(id dlp.ID) bool {
	_, err := os.Stat(c.path(id))
	return err == nil
}

// Put keeps what write writes. See vault.Contents. An error of the disk is
// store.ErrNoRoom.
func (c *Contents) Put(ctx context.Context, id dlp.ID, inline int, write func(io.Writer) error) ([]byte, error) {
	if _, err := dlp.ParseID(string(id)); err != nil {
		return nil, err // it becomes a file's name
	}
	s := &stage{ctx: ctx, in: c, id: id, inline: inline, small: make([]byte, 0, 4<<10)}
	if err := write(s); err != nil {
		return nil, errors.Join(err, s.abort())
	}
	if s.file == nil {
		return s.small, nil
	}
	c.steps("put: name")
	if err := s.file.Commit(); err != nil {
		return nil, err
	}
	c.steps("put: named")
	return nil, nil
}

// Open opens what Put kept.
func (c *Contents) Open(_ context.Context, id dlp.ID) (io.ReadCloser, error) {
	if _, err := dlp.ParseID(string(id)); err != nil {
		return nil, err
	}
	f, err := os.Open(c.path(id))
	if err != nil {
		return nil, safefile.Classify("open content", err)
	}
	return f, nil
}

// Remove deletes it; that it is not there is no error.
func (c *Contents) Remove(_ context.Context, id dlp.ID) error {
	if _, err := dlp.ParseID(string(id)); err != nil {
		return err
	}
	return safefile.Remove(c.path(id))
}

// stage keeps what is written in memory up to a bound, and past it in a file
// that has not got its name yet.
type stage struct {
	ctx    context.Context // of the one Put that the stage lives in
	in     *Contents
	id     dlp.ID
	inline int
	small  []byte
	file   *safefile.File
}

// Write appends.
func (s *stage) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if s.file == nil && len(s.small)+len(p) <= s.inline {
		s.small = append(s.small, p...)
		return len(p), nil
	}
	if s.file == nil {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

func (s *stage) spill() error {
	path := s.in.path(s.id)
	if s.in.has(s.id) { // what may be committed is never written over
		return fmt.Errorf("sqlite: content of %s: %w", s.id, fs.ErrExist)
	}
	if err := safefile.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	s.in.steps("put: create")
	f, err := safefile.Create(path, 0o600)
	if err != nil {
		return err
	}
	s.file = f
	_, err = io.Copy(f, bytes.NewReader(s.small))
	s.small = nil
	s.in.steps("put: write")
	return err
}

func (s *stage) abort() error {
	if s.file == nil {
		return nil
	}
	return s.file.Abort()
}

// each calls f for every file in c that is ours: a content, or one that never
// got its name (id is "").
func (c *Contents) each(f func(id dlp.ID, path string) error) error {
	folders, err := os.ReadDir(c.dir)
	if err != nil {
		return safefile.Classify("read folder", err)
	}
	for _, d := range folders {
		if !d.IsDir() || len(d.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(c.dir, d.Name()))
		if err != nil {
			return safefile.Classify("read folder", err)
		}
		for _, e := range files {
			if id, ours := c.contentID(e); ours {
				if err := f(id, filepath.Join(c.dir, d.Name(), e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contentID says whose content a file is by its name.
func (c *Contents) contentID(e fs.DirEntry) (id dlp.ID, ours bool) {
	if !e.Type().IsRegular() {
		return "", false
	}
	if safefile.IsTemp(e.Name()) {
		return "", true
	}
	name := e.Name()
	if filepath.Ext(name) != c.suffix() {
		return "", false
	}
	id, err := dlp.ParseID(name[:len(name)-len(c.suffix())])
	return id, err == nil
}
