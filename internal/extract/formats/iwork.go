package formats

import (
	"archive/zip"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/iwork"
)

const mediaIWork = "application/vnd.apple.iwork"

func isArchive(f *zip.File) bool { return strings.HasSuffix(strings.ToLower(f.Name), ".iwa") }

// isIWork reports a document of Pages, Numbers or Keynote since 2013, or the index of one.
func isIWork(z *zip.Reader) bool { return slices.ContainsFunc(z.File, isArchive) }

// iWork reads a document: its texts and tables, then its other files.
func (j *job) iWork(at place, z *zip.Reader) error {
	j.part(at, mediaIWork)
	if len(z.File) > j.lim.Members {
		return gapOf(dlp.TooMany, "parts of a package")
	}
	l := &list{j: j, at: at}
	for _, f := range z.File {
		l.name(f.Comment, "comment")
		if b := path.Base(f.Name); b == ".iwph" || b == ".iwpv2" { // a hint, and what a password is tried on
			return gapOf(dlp.Encrypted, "iwork")
		}
	}
	l.name(z.Comment, "comment")
	d := &officeDoc{j: j, at: at}
	var doc iwork.Document
	var all error
	for _, f := range z.File {
		if !isArchive(f) {
			continue
		}
		d.packed += int64(min(f.CompressedSize64, 1<<40))
		err := j.archive(&doc, d, f)
		if ge, ok := errors.AsType[*gapError](err); ok {
			all = ge
			break
		}
		all = errors.Join(all, err)
	}
	out := &iWorkText{rows: newRows(d)}
	found, err := doc.Show(out)
	out.end()
	if found.OldCells {
		j.gap(at, dlp.Unsupported, "cells of an early numbers", 0)
	}
	all = errors.Join(err, all)
	if all != nil {
		j.guarded(at, func() error { return iWorkError(all) })
	}
	for i, f := range z.File {
		if !j.more() {
			break
		}
		if !isArchive(f) {
			in := at.inside(itoa(i + 1))
			in.name = path.Base(decodeText([]byte(f.Name), ""))
			j.zipMember(in, f)
		}
	}
	return nil
}

// archive takes one file of archives into the document.
func (j *job) archive(doc *iwork.Document, d *officeDoc, f *zip.File) error {
	r, err := d.open(f)
	if err != nil {
		return err
	}
	defer r.Close() // it was only read
	room := j.lim.Memory - j.held
	b, err := io.ReadAll(io.LimitReader(r, room+1))
	if int64(len(b)) > room {
		return gapOf(dlp.TooLarge, "more than may be held")
	}
	n, bad := doc.Add(b, room-int64(len(b)))
	j.hold(n)
	if over := j.spend(int(n)); over != nil {
		return over
	}
	if errors.Is(bad, iwork.ErrTooLarge) {
		return gapOf(dlp.TooLarge, "more than may be held")
	}
	return errors.Join(err, bad)
}

func iWorkError(err error) error {
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	}
	switch {
	case errors.Is(err, iwork.ErrTooMany):
		return gapOf(dlp.TooMany, "iwork objects")
	case !errors.Is(err, iwork.ErrCorrupt) && errors.Is(err, iwork.ErrMethod):
		return gapOf(dlp.Unsupported, "iwork lzfse")
	}
	return gapOf(dlp.Corrupt, "iwork")
}

// iWorkText writes what a document holds; its rows take Row.
type iWorkText struct{ *rows }

// Text implements iwork.Sink.
func (t *iWorkText) Text(s string) error { return t.Line(validString(s)) }

// Table implements iwork.Sink.
func (t *iWorkText) Table(name string) error { return t.Sheet(name) }

// Comment implements iwork.Sink.
func (t *iWorkText) Comment(s string) error {
	t.d.j.out.field(validString(s), "comment", 0)
	return t.Line("")
}

// Word implements iwork.Sink.
func (t *iWorkText) Word(s string) error { return t.Line(validString(s)) }
