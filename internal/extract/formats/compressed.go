package formats

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// compressed reads the one file inside a gzip or bzip2 file, all members of
// the former joined.
func (j *job) compressed(at place, k kind, s *stream) error {
	b, err := j.load(s)
	j.part(at, k.media)
	if err != nil {
		return err
	}
	in := at.inside("1")
	var r io.Reader
	if k.format == fGzip {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return gapOf(dlp.Corrupt, "gzip")
		}
		in.name = z.Name
		if z.Name != "" || z.Comment != "" {
			j.out.field(validString(strings.TrimSpace(z.Name+"\n"+z.Comment)), "name", 0)
		}
		r = z
	} else {
		r = bzip2.NewReader(bytes.NewReader(b))
	}
	j.member(in, r, int64(len(b)), 0, strings.TrimPrefix(k.media, "application/"))
	return nil
}

// tar reads an archive's members. Links are names and nothing else.
func (j *job) tar(at place, b []byte) error {
	j.part(at, "application/x-tar")
	names := tar.NewReader(bytes.NewReader(b))
	for n := 0; n <= j.lim.Members; n++ {
		h, err := names.Next()
		if err != nil {
			break // told below, at the member where it happens
		}
		j.out.field(decodeText([]byte(h.Name), ""), "name", 0)
		j.out.writeString("\n")
		if h.Linkname != "" {
			j.out.field(decodeText([]byte(h.Linkname), ""), "name", 0)
			j.out.writeString("\n")
		}
	}
	r := tar.NewReader(bytes.NewReader(b))
	for n := 1; !j.full && j.out.err == nil; n++ {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return gapOf(dlp.Corrupt, "tar")
		}
		in := at.inside(itoa(n))
		in.name = decodeText([]byte(h.Name), "")
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeSymlink, tar.TypeLink:
			continue
		}
		j.member(in, r, int64(len(b)), h.Size, "tar member")
		if j.decoded > j.lim.Decoded {
			return gapOf(dlp.TooLarge, "unpacks to more than the document may")
		}
	}
	return nil
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
