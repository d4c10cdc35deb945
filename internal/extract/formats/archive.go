package formats

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/ar"
	"github.com/stanch-dlp/stanch/internal/extract/cpio"
)

// list writes the names that an archive gives, a line each, as its part's text.
type list struct {
	j    *job
	at   place
	full bool
}

// name adds a line; what is empty adds none.
func (l *list) name(raw, label string) {
	if raw == "" || l.full {
		return
	}
	if l.j.out.pos() > maxAside {
		l.full = true
		l.j.gap(l.at, dlp.TooLarge, "names", 0)
		return
	}
	l.j.out.field(decodeText([]byte(raw), ""), label, 0)
	l.j.out.writeString("\n")
}

// more reports whether another member may be read.
func (j *job) more() bool { return !j.full && j.out.err == nil }

// slice reads a member that stands unpacked in its archive.
func (j *job) slice(at place, b []byte) error {
	if err := j.spend(len(b)); err != nil {
		return err
	}
	j.leaf(at, memory(b))
	return nil
}

// shut tells of a member that was not read.
func (j *job) shut(at place, cause dlp.Cause, detail string, size int64) {
	if j.admit(at) {
		j.part(at, "application/octet-stream")
		j.gap(at, cause, detail, size)
	}
}

// beside reads what stands in front of or behind an archive, each piece as a
// further reading: no member, and yet not nothing. Zeros are padding.
func (j *job) beside(at *place, pieces ...[]byte) error {
	for _, b := range pieces {
		if len(bytes.Trim(b, "\x00\r\n \x1a")) == 0 || !j.more() {
			continue
		}
		p := at.again()
		at.readings++
		if err := j.slice(p, b); err != nil {
			return err
		}
	}
	return nil
}

// dictionary returns how many bytes a decoder may hold besides what is held now.
func (j *job) dictionary() int64 {
	const most = 128 << 20
	return min(most, max(j.lim.Memory-j.held, 1<<20))
}

// member reads what is unpacked from packed bytes. An error of the unpacking
// is a gap of the member, after all that came out before it.
func (j *job) member(at place, r io.Reader, packed, size int64, what string) {
	c := &catcher{r: &budget{j: j, r: r, packed: packed}}
	j.leaf(at, &stream{r: bufio.NewReaderSize(c, headSize), size: min(size, packed*j.lim.Ratio)})
	if c.err == nil {
		return
	}
	if ge, ok := errors.AsType[*gapError](c.err); ok {
		j.gap(at, ge.cause, ge.detail, 0)
		return
	}
	j.gap(at, dlp.Corrupt, what, 0)
}

// catcher keeps a reader's error and ends the stream there, so that what came
// out before is read.
type catcher struct {
	r   io.Reader
	err error
}

func (c *catcher) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, io.EOF
	}
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		c.err, err = err, io.EOF
	}
	return n, err
}

// ar reads an archive of Unix ar, such as a Debian package.
func (j *job) ar(at place, b []byte) error {
	j.part(at, "application/x-archive")
	l := &list{j: j, at: at}
	_ = ar.Read(b, func(m ar.Member) bool { // damage is told below
		l.name(m.Name, "name")
		return !l.full
	})
	if bytes.HasPrefix(b, []byte(ar.ThinMagic)) {
		return gapOf(dlp.Unsupported, "ar without content")
	}
	n := 0
	var over error
	err := ar.Read(b, func(m ar.Member) bool {
		n++
		in := at.inside(itoa(n))
		in.name = decodeText([]byte(m.Name), "")
		over = j.slice(in, m.Data)
		return over == nil && j.more()
	})
	if over != nil {
		return over
	}
	if err != nil {
		return gapOf(dlp.Corrupt, "ar")
	}
	return nil
}

// cpio reads a cpio archive. Links are names and nothing else.
func (j *job) cpio(at place, b []byte) error {
	j.part(at, "application/x-cpio")
	l := &list{j: j, at: at}
	_, _ = cpio.Read(b, func(m cpio.Member) bool { // damage is told below
		l.name(m.Name, "name")
		if m.Link {
			l.name(string(m.Data), "name")
		}
		return !l.full
	})
	n := 0
	var over error
	rest, err := cpio.Read(b, func(m cpio.Member) bool {
		n++
		if m.Dir || m.Link {
			return true
		}
		in := at.inside(itoa(n))
		in.name = decodeText([]byte(m.Name), "")
		over = j.slice(in, m.Data)
		return over == nil && j.more()
	})
	if over != nil {
		return over
	}
	if err != nil {
		return gapOf(dlp.Corrupt, "cpio")
	}
	return j.beside(&at, rest)
}

// trimKind returns what a gap calls a media type.
func trimKind(media string) string {
	return strings.TrimPrefix(strings.TrimPrefix(media, "application/"), "x-")
}
