package formats

import (
	"bytes"
	"errors"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/iso"
	"github.com/stanch-dlp/stanch/internal/wire"
)

const mediaISO = "application/x-iso9660-image"

// isoFront is what an image leaves to others in front of its first descriptor.
// ECMA-119 6.2.1.
const isoFront = 16 * 2048

// iso reads an image of a disc: the union of its trees, since programs differ in
// which of them they show. Links are names and nothing else. What stands in the
// system area is a further reading: of the whole where its bytes begin another
// format, else of the area alone.
func (j *job) iso(at place, b []byte) error {
	j.part(at, mediaISO)
	l := &list{j: j, at: at}
	seen := map[string]bool{}
	im, _ := iso.Read(b, func(e iso.Entry) bool { // damage is told below
		for _, s := range []string{e.Name, e.Link} {
			if !seen[s] {
				seen[s] = true
				l.name(s, "name")
			}
		}
		return !l.full
	})
	for _, s := range im.Words {
		l.name(s, "name")
	}
	n := 0
	var over error
	_, err := iso.Read(b, func(e iso.Entry) bool {
		if e.Dir || e.Again || e.Link != "" || e.Size == 0 && !e.Cut {
			return true
		}
		n++
		in := at.inside(itoa(n))
		in.name = decodeText([]byte(e.Name), "")
		switch {
		case e.Packed:
			j.shut(in, dlp.Unsupported, "zisofs", e.Size)
		case len(e.Pieces) == 1:
			over = j.slice(in, e.Pieces[0])
		default:
			r := make([]io.Reader, len(e.Pieces))
			for i, p := range e.Pieces {
				r[i] = bytes.NewReader(p)
			}
			j.member(in, io.MultiReader(r...), int64(len(b)), e.Size, "member of a disc")
			over = j.overspent()
		}
		if e.Cut {
			j.gap(in, dlp.Corrupt, "cut", e.Size)
		}
		return over == nil && j.more()
	})
	if over != nil {
		return over
	}
	j.guarded(at, func() error { // and yet there may be more to it
		switch {
		case errors.Is(err, iso.ErrPartition):
			return gapOf(dlp.Unsupported, "udf: virtual or metadata partition")
		case err != nil:
			return gapOf(dlp.Corrupt, "disc image")
		}
		return nil
	})
	front := b[:isoFront]
	if k := sniff(front, place{}); k.format > fText && k.format != fISO {
		p := at.again()
		at.readings++
		if j.admit(p) {
			if err := j.spend(len(b)); err != nil {
				return err
			}
			j.unit(p, wire.Normal, func() error { return j.read(p, k, memory(b)) })
		}
		front = nil
	}
	return j.beside(&at, bytes.Trim(front, "\x00"), b[im.End:])
}
