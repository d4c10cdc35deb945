package formats

import (
	"github.com/stanch-dlp/stanch/internal/extract/metafile"
	"github.com/stanch-dlp/stanch/internal/extract/officeart"
	"github.com/stanch-dlp/stanch/internal/wire"
)

const (
	mediaEMF = "image/emf"
	mediaWMF = "image/wmf"

	maxMetafile = 32 << 20 // bytes of one among a document's pictures
)

// metafile reads the words of a Windows metafile, a line each. drawn: it shows
// more than words and lines, or was not read.
func (j *job) metafile(at place, k kind, s *stream) (drawn bool) {
	drawn = true
	j.unit(at, wire.Normal, func() error {
		j.part(at, k.media)
		b, err := j.load(s)
		if err != nil {
			return err
		}
		j.hold(4 * int64(len(b))) // its pieces of text, before they are lines
		p, err := metafile.Read(b)
		drawn = p.Drawn || err != nil
		for _, line := range p.Lines {
			if err := j.spend(len(line) + 1); err != nil {
				return err
			}
			j.out.writeString(line)
			j.out.writeString("\n")
		}
		return nil // a damaged one is a picture that was not read
	})
	return drawn
}

// metafiles writes the words of the metafiles among a document's pictures.
func (c *compound) metafiles(b []byte) error {
	room := min(c.j.lim.Memory-c.j.held, maxMetafile)
	if room <= 0 {
		return nil
	}
	_, err := officeart.Metafiles(b, room, func(m []byte) error { // one that was left out is among the pictures that are told
		p, _ := metafile.Read(m)
		for _, line := range p.Lines {
			if err := c.d.repeat(len(line) + 1); err != nil {
				return err
			}
			c.d.line([]byte(line))
		}
		return c.j.out.err
	})
	return err
}
