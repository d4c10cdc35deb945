package formats

import (
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/mac"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// smallFork is the most bytes of a resource fork that is told by its words
// alone: an empty one has 286, and what the Finder keeps there fits.
const smallFork = 4 << 10

const mediaBinHex = "application/mac-binhex40"

// binHex reads a file that stands in a text.
func (j *job) binHex(at place, b []byte) {
	if j.admit(at) {
		j.unit(at, wire.Normal, func() error { return j.macFile(at, kind{format: fBinHex, media: mediaBinHex}, b) })
	}
}

// macFile reads a file that was packed for mail on a Macintosh.
func (j *job) macFile(at place, k kind, b []byte) error {
	var f mac.File
	var err error
	switch k.format {
	case fBinHex:
		f, err = mac.BinHex(b, int(min(j.lim.Memory-j.held, j.lim.Decoded-j.decoded)))
		if e := j.spend(len(f.Data) + len(f.Resource)); e != nil {
			err = e
		}
	case fMacBinary:
		f, err = mac.Binary(b)
	default:
		f, err = mac.Apple(b)
	}
	j.part(at, k.media)
	for _, s := range []string{f.Name, f.Comment} {
		if s != "" {
			j.out.field(validString(s), "name", 0)
			j.out.writeString("\n")
		}
	}
	for _, s := range words(f.Resource) {
		j.out.writeString(s + "\n")
	}
	if len(f.Resource) > smallFork {
		j.gap(at, dlp.Unsupported, "resource fork", int64(len(f.Resource)))
	}
	if !f.Bare && (len(f.Data) > 0 || err == nil) {
		in := at.inside("1")
		in.name = f.Name
		j.leaf(in, memory(f.Data))
	}
	if err != nil {
		if _, ok := errors.AsType[*gapError](err); ok {
			return err
		}
		return gapOf(dlp.Corrupt, "macintosh file")
	}
	return nil
}

// words returns the stretches of printable ASCII in bytes of no known form.
func words(b []byte) (out []string) {
	const least = 4
	for _, s := range strings.FieldsFunc(string(b), func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		if len(strings.TrimSpace(s)) >= least {
			out = append(out, s)
		}
	}
	return out
}
