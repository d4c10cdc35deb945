package formats

import (
	"errors"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/onenote"
)

const mediaOneNote = "application/onenote"

// oneNote reads a section of OneNote: its texts and tables, what stands beside
// them, then the files on its pages.
func (j *job) oneNote(at place, b []byte) error {
	j.part(at, mediaOneNote)
	n := &notes{rows: newRows(&officeDoc{j: j, at: at, packed: int64(len(b))})}
	found, err := onenote.Read(b, n)
	if errors.Is(err, onenote.ErrVersion) || errors.Is(err, onenote.ErrCorrupt) && len(n.files) == 0 {
		j.looseWords(b)
	}
	if found.Ink {
		j.gap(at, dlp.Image, "handwriting", 0)
	}
	if found.Elsewhere {
		j.gap(at, dlp.Unsupported, "a file that is elsewhere", 0)
	}
	sum := int64(0)
	for i, f := range n.files {
		if sum += int64(len(f.data)); sum > int64(len(b)) { // they lie in one another
			if over := n.d.repeat(len(f.data)); over != nil {
				err = errors.Join(over, err)
				break
			}
		}
		in := at.inside(itoa(i + 1))
		in.name = f.name
		if !j.more() {
			break
		}
		j.leaf(in, memory(f.data))
		if f.cut {
			j.gap(in, dlp.Corrupt, "onenote file", 0)
		}
	}
	return oneNoteError(err)
}

func oneNoteError(err error) error {
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	switch {
	case errors.Is(err, onenote.ErrEncrypted):
		return gapOf(dlp.Encrypted, "onenote")
	case errors.Is(err, onenote.ErrVersion):
		return gapOf(dlp.Unsupported, "onenote before 2007")
	case errors.Is(err, onenote.ErrTooMany):
		return gapOf(dlp.TooMany, "onenote objects")
	case errors.Is(err, onenote.ErrCorrupt):
		return gapOf(dlp.Corrupt, "onenote")
	}
	return err
}

// notes writes what a section holds.
type notes struct {
	*rows
	files []noteFile
}

// noteFile is a file on a page; its data is the section's own.
type noteFile struct {
	name string
	data []byte
	cut  bool
}

// Text implements onenote.Sink.
func (n *notes) Text(s string) error { return n.Line(validString(s)) }

// Row implements onenote.Sink.
func (n *notes) Row(cells []string, first bool) error {
	if first {
		n.s = &sheet{d: n.d, header: true}
	}
	return n.rows.Row(cells)
}

// Value implements onenote.Sink.
func (n *notes) Value(name, value string) error {
	n.d.j.out.field(validString(value), name, 0)
	n.d.j.out.writeString("\n")
	return n.spent(len(value) + 1)
}

// File implements onenote.Sink.
func (n *notes) File(name string, data []byte, cut bool) error {
	if len(n.files) <= n.d.j.lim.Members { // one more, so that the gap is told
		n.files = append(n.files, noteFile{validString(name), data, cut})
	}
	return n.d.j.out.err
}
