package formats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/codepage"
	"github.com/stanch-dlp/stanch/internal/extract/officeart"
)

// publisher reads the texts of a publication and the words of its drawings. All
// else, pictures among it, is a gap.
//
// Source: no specification is public; Quill's directory of chunks as programs
// write it since Publisher 98: how many, and for each a name, its place and its length.
func (c *compound) publisher() error {
	rest := gapOf(dlp.Unsupported, "publisher, beside its text")
	quill := c.f.Child(c.dir, "Quill")
	var err error
	for _, name := range [][]string{{"QuillSub", "CONTENTS"}, {"CONTENTS"}} {
		e := quill
		for _, n := range name {
			if e != nil && e.Storage {
				e = c.f.Child(e, n)
			}
		}
		if e == nil || e.Storage {
			continue
		}
		b, damage := c.read(e)
		err = errors.Join(err, damage)
		c.used[quill] = true
		if e := quillTexts(b, c.Line); e != nil {
			return e
		}
	}
	if escher := c.f.Child(c.dir, "Escher"); escher != nil {
		c.used[escher] = true
		for _, e := range c.f.Within(escher) {
			if e.Storage {
				continue
			}
			b, damage := c.read(e)
			err = errors.Join(err, damage)
			for _, s := range officeart.Words(b) {
				if e := c.Line(validString(s)); e != nil {
					return e
				}
			}
		}
	}
	return errors.Join(oleGap(err), rest)
}

// oleGap is oleError, with nil left as it is.
func oleGap(err error) error {
	if err == nil {
		return nil
	}
	return oleError(err)
}

// quillTexts writes what the chunks of text say, a paragraph a line, until line
// has an error.
func quillTexts(b []byte, line func(text string) error) error {
	const first, head, entry = 0x18, 8, 24 // the first list of chunks; its head, and one chunk in it
	le := binary.LittleEndian
	if !bytes.HasPrefix(b, []byte("CHNKINK ")) {
		return nil
	}
	lineEnds := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n")
	end := uint64(len(b))
	for at := uint64(first); at+head <= end; {
		n, next := uint64(le.Uint16(b[at+2:])), uint64(le.Uint32(b[at+4:]))
		for e := at + head; n > 0 && e+entry <= end; e, n = e+entry, n-1 {
			from, size := uint64(le.Uint32(b[e+16:])), uint64(le.Uint32(b[e+20:]))
			if string(b[e+2:e+6]) == "TEXT" && from < end {
				s := codepage.Decode16(b[from:min(from+size, end)])
				if err := line(validString(lineEnds.Replace(s))); err != nil {
					return err
				}
			}
		}
		if next <= at { // lists follow one another
			break
		}
		at = next
	}
	return nil
}
