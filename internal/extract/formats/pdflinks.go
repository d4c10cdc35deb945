package formats

import (
	"strings"

	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Bounds of what leads about in a PDF.
const (
	maxBookmarks = 20000
	maxLinks     = 20000 // of a document
)

// outline writes the titles of the document's bookmarks, a line each. A list that
// goes round ends at the bound.
//
// Source: ISO 32000-1 12.3.3.
func (d *pdfDoc) outline(at place) error {
	parents, n := []*references.FPDF_BOOKMARK{nil}, 0 // nil: of the document
	for len(parents) > 0 {
		parent := parents[0]
		parents = parents[1:]
		first, err := d.in.FPDFBookmark_GetFirstChild(&requests.FPDFBookmark_GetFirstChild{Document: d.doc, Bookmark: parent})
		if trapped(err) {
			return err
		}
		if err != nil {
			continue
		}
		for b := first.Bookmark; b != nil; {
			if n++; n > maxBookmarks {
				d.j.gap(at, dlp.TooMany, "pdf bookmarks", 0)
				return nil
			}
			if err := d.bookmark(*b); err != nil {
				return err
			}
			parents = append(parents, b)
			next, err := d.in.FPDFBookmark_GetNextSibling(&requests.FPDFBookmark_GetNextSibling{Document: d.doc, Bookmark: *b})
			if trapped(err) {
				return err
			}
			if err != nil {
				break
			}
			b = next.Bookmark
		}
	}
	return nil
}

func (d *pdfDoc) bookmark(b references.FPDF_BOOKMARK) error {
	t, err := d.in.FPDFBookmark_GetTitle(&requests.FPDFBookmark_GetTitle{Bookmark: b})
	if trapped(err) {
		return err
	}
	if err != nil || strings.TrimSpace(t.Title) == "" {
		return nil // it shows nothing
	}
	s := validString(t.Title)
	d.j.out.writeString(s)
	d.j.out.writeString("\n")
	return d.j.spend(len(s))
}

// links notes where the links of a page lead to outside the document.
//
// Source: ISO 32000-1 12.6.4.7.
func (d *pdfDoc) links(page requests.Page, notes *pageNotes) error {
	for at := 0; d.linked < maxLinks; d.linked++ {
		l, err := d.in.FPDFLink_Enumerate(&requests.FPDFLink_Enumerate{Page: page, StartPos: at})
		if trapped(err) {
			return err
		}
		if err != nil || l.Link == nil || l.NextStartPos == nil {
			return nil
		}
		at = *l.NextStartPos
		a, err := d.in.FPDFLink_GetAction(&requests.FPDFLink_GetAction{Link: *l.Link})
		if trapped(err) {
			return err
		}
		if err != nil || a.Action == nil {
			continue // it leads to a page
		}
		u, err := d.in.FPDFAction_GetURIPath(&requests.FPDFAction_GetURIPath{Document: d.doc, Action: *a.Action})
		if trapped(err) {
			return err
		}
		if err == nil && u.URIPath != nil && *u.URIPath != "" {
			notes.notes = append(notes.notes, *u.URIPath)
		}
	}
	notes.cut = true
	return nil
}
