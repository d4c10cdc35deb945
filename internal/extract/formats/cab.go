package formats

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/cab"
)

const mediaCab = "application/vnd.ms-cab-compressed"

// cab reads a cabinet's members, folder by folder. What goes on in another
// cabinet is told and not read.
func (j *job) cab(at place, b []byte) error {
	j.part(at, mediaCab)
	c, err := cab.Open(b)
	if err != nil {
		return gapOf(dlp.Corrupt, "cab")
	}
	l := &list{j: j, at: at}
	for _, f := range c.Files {
		l.name(f.Name, "name")
	}
	for _, s := range c.Others {
		l.name(s, "name")
	}
	order := make([]int, len(c.Files))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		f, g := c.Files[x], c.Files[y]
		return cmp.Or(cmp.Compare(f.Folder, g.Folder), cmp.Compare(f.Offset, g.Offset))
	})
	s := &solid{j: j, what: "cab member"}
	folder := -1
	for _, i := range order {
		if !j.more() {
			return nil
		}
		f := c.Files[i]
		in := at.inside(itoa(i + 1))
		in.name = decodeText([]byte(f.Name), "")
		if f.Folder < 0 {
			j.shut(in, dlp.Unsupported, "cab: goes on in another cabinet", f.Size)
			continue
		}
		if f.Folder != folder {
			folder = f.Folder
			s.of(func() (io.Reader, error) { return c.Folders[folder].Open() }, c.Folders[folder].Packed())
			if errors.Is(s.err, cab.ErrMethod) {
				s.err = gapOf(dlp.Unsupported, "cab "+c.Folders[folder].Method())
			}
		}
		s.member(in, f.Offset, f.Size)
		if err := j.overspent(); err != nil {
			return err
		}
	}
	if c.Cut {
		return gapOf(dlp.Corrupt, "cab")
	}
	return j.beside(&at, b[c.Size:])
}

// solid reads members that are packed as one, in the order in which they stand.
type solid struct {
	j      *job
	what   string // of the gap of a damaged member
	open   func() (io.Reader, error)
	packed int64
	r      io.Reader
	pos    int64 // of r
	err    error // why nothing more comes out
}

// of makes s read what open unpacks from that many bytes.
func (s *solid) of(open func() (io.Reader, error), packed int64) {
	*s = solid{j: s.j, what: s.what, open: open, packed: packed}
	s.r, s.err = open()
}

// member reads the member of that many bytes at offset. Members that lie over
// one another are unpacked anew, which counts against what a document may unpack to.
func (s *solid) member(at place, offset, size int64) {
	if s.err == nil && offset < s.pos {
		s.of(s.open, s.packed)
	}
	if s.err == nil {
		n, err := io.CopyN(io.Discard, &budget{j: s.j, r: s.r, packed: s.packed}, offset-s.pos)
		s.pos += n
		s.err = err
	}
	if s.err != nil {
		cause, detail := dlp.Corrupt, s.what
		if ge, ok := errors.AsType[*gapError](s.err); ok {
			cause, detail = ge.cause, ge.detail
		}
		s.j.shut(at, cause, detail, size)
		return
	}
	m := &whole{r: s.r, left: size}
	s.j.member(at, m, s.packed, size, s.what)
	if m.err == nil { // what was not looked at
		_, err := io.Copy(io.Discard, &budget{j: s.j, r: m, packed: s.packed})
		if m.err == nil {
			m.err = err
		}
	}
	s.pos += size - m.left
	s.err = m.err
	if s.err == nil && m.left > 0 {
		s.err = io.ErrUnexpectedEOF
	}
}

// whole is a reader of the next left bytes of r; fewer are an error.
type whole struct {
	r    io.Reader
	left int64
	err  error
}

// Read implements io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.left == 0 {
		return 0, io.EOF
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	switch {
	case err == io.EOF && w.left > 0:
		err = io.ErrUnexpectedEOF
	case err == io.EOF:
		err = nil
	}
	w.err = err
	return n, err
}
