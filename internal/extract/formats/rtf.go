package formats

import (
	"bytes"
	"errors"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/rtf"
)

const mediaRTF = "text/rtf"

// rtf reads a document in Rich Text Format, its HTML where Outlook has wrapped
// some in it, and what is embedded.
func (j *job) rtf(at place, b []byte) error {
	j.part(at, mediaRTF)
	to := &rtfParts{j: j, at: at, before: func() {}}
	to.cells.tell = func(line []byte) { to.joined = append(append(to.joined, line...), '\n') }
	if rtf.Wraps(b) {
		to.before = func() { j.unwrapHTML(at, b) }
	}
	err := rtf.Read(b, to)
	to.endText()
	if to.before != nil {
		to.before()
	}
	switch {
	case errors.Is(err, rtf.ErrTooMany):
		return gapOf(dlp.TooMany, "rtf objects")
	case err != nil && j.out.err == nil:
		return gapOf(dlp.Corrupt, "rtf")
	}
	return nil
}

// unwrapHTML reads the HTML in a document as a further reading of it.
func (j *job) unwrapHTML(at place, b []byte) {
	var page pageText
	if err := rtf.HTML(b, &page); err != nil && len(page.b) == 0 {
		return // the document itself is told as damaged
	}
	q := at.again()
	q.media, q.charset, q.decoded = "text/html", encUTF8, true
	j.leaf(q, memory(page.b))
}

// pageText gathers the HTML of a document.
type pageText struct{ b []byte }

// Text implements rtf.Sink.
func (p *pageText) Text(b []byte) error {
	p.b = append(p.b, b...)
	return nil
}

// File implements rtf.Sink.
func (p *pageText) File(rtf.File) error { return nil }

// rtfParts makes parts of what a document holds.
type rtfParts struct {
	j      *job
	at     place
	n      int    // members so far
	before func() // to be done before the first member; nil once it was
	cells  joiner
	cell   []byte // at hand
	joined []byte // lines that are told below the text
	ended  bool
}

// Text implements rtf.Sink.
func (r *rtfParts) Text(b []byte) error {
	r.j.out.write(b)
	for len(b) > 0 {
		n := bytes.IndexAny(b, "\t\n")
		if n < 0 {
			r.keep(b)
			break
		}
		r.keep(b[:n])
		if b[n] == '\t' || len(r.cell) > 0 {
			r.cells.cell(r.cell)
		}
		if b[n] == '\n' {
			r.cells.endRow()
			if len(r.joined) > maxJoined {
				r.j.out.write(r.joined)
				r.joined = r.joined[:0]
			}
		}
		r.cell, b = r.cell[:0], b[n+1:]
	}
	return r.j.out.err
}

// keep keeps the beginning and the end of a long cell.
func (r *rtfParts) keep(b []byte) {
	const most = 4 << 10
	if len(r.cell)+len(b) > 2*most {
		r.cell = append(r.cell[:min(len(r.cell), most)], ' ')
		b = b[max(0, len(b)-most):]
	}
	r.cell = append(r.cell, b...)
}

// endText tells, once, what numbers the cells make.
func (r *rtfParts) endText() {
	if r.ended {
		return
	}
	r.ended = true
	r.cells.finish()
	r.j.out.write(r.joined)
}

// File implements rtf.Sink.
func (r *rtfParts) File(f rtf.File) error {
	r.endText()
	if r.before != nil {
		r.before()
		r.before = nil
	}
	r.n++
	in := r.at.inside(itoa(r.n))
	in.name = f.Name
	if k := sniff(f.Data[:min(len(f.Data), headSize)], in); f.Kind == rtf.Picture && k.format != fImage && k.format != fZip {
		if f.Media == "" {
			f.Media = "image/x-unknown"
		}
		if r.j.admit(in) {
			r.j.image(in, kind{format: fImage, media: f.Media}, memory(f.Data))
		}
		return r.j.out.err
	}
	r.j.leaf(in, memory(f.Data))
	if f.Cut {
		r.j.gap(in, dlp.Corrupt, "object", 0)
	}
	return r.j.out.err
}
