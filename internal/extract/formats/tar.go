package formats

import (
	"archive/tar"
	"bytes"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// tar reads an archive's members: version 7, ustar, pax and GNU headers. Links
// are names and nothing else. Programs differ in whether they read on behind
// the end mark: what stands there is read too.
func (j *job) tar(at place, b []byte) error {
	j.part(at, "application/x-tar")
	l := &list{j: j, at: at}
	for rest := b; len(rest) > 0 && !l.full; {
		rest, _ = walkTar(rest, func(h *tar.Header, _ io.Reader) bool { // damage is told below
			l.name(h.Name, "name")
			l.name(h.Linkname, "name")
			l.name(h.PAXRecords["comment"], "comment")
			return !l.full
		})
		rest = nextTar(rest)
	}
	n, rest := 0, b
	var over error
	for {
		var err error
		rest, err = walkTar(rest, func(h *tar.Header, r io.Reader) bool {
			n++
			in := at.inside(itoa(n))
			in.name = decodeText([]byte(h.Name), "")
			switch h.Typeflag {
			case tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
				return true
			}
			j.member(in, r, int64(len(b)), h.Size, "tar member")
			over = j.overspent()
			return over == nil && j.more()
		})
		if over != nil || !j.more() {
			return over
		}
		if err != nil {
			return gapOf(dlp.Corrupt, "tar")
		}
		next := nextTar(rest)
		if next == nil {
			return j.beside(&at, rest)
		}
		rest = next
	}
}

// walkTar calls member for each header up to the end mark, or until it returns
// false, and returns what stands behind.
func walkTar(b []byte, member func(*tar.Header, io.Reader) bool) (rest []byte, err error) {
	src := bytes.NewReader(b)
	r := tar.NewReader(src)
	for {
		h, err := r.Next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return b[len(b)-src.Len():], err
		}
		if !member(h, r) {
			return nil, nil
		}
	}
}

// nextTar returns b from the next tar header on, past blocks of zeros; nil where
// there is none.
func nextTar(b []byte) []byte {
	for len(b) >= 512 {
		if isTar(b) {
			return b
		}
		if len(bytes.TrimLeft(b[:512], "\x00")) > 0 {
			return nil
		}
		b = b[512:]
	}
	return nil
}
