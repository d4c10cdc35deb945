package formats

import (
	"image"

	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/requests"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Of pages that are read as pictures.
const (
	scanDPI      = 300      // what scanners make, and the program is best at
	mostRendered = 12 << 20 // pixels: pdfium's memory has room for them and the picture
	mostOnTop    = 32       // objects of a page that are looked at for one that fills it
	fillsFrom    = 60       // percent of the page, from which a picture fills it
)

// filled reports a page that a picture fills, or a form that draws one: what its text says may not be
// what the picture shows.
func (d *pdfDoc) filled(page requests.Page) bool {
	n, err := d.in.FPDFPage_CountObjects(&requests.FPDFPage_CountObjects{Page: page})
	if err != nil {
		return false
	}
	w, h, err := d.size(page)
	if err != nil {
		return false
	}
	for i := range min(n.Count, mostOnTop) {
		o, err := d.in.FPDFPage_GetObject(&requests.FPDFPage_GetObject{Page: page, Index: i})
		if err != nil {
			return false
		}
		t, err := d.in.FPDFPageObj_GetType(&requests.FPDFPageObj_GetType{PageObject: o.PageObject})
		left := maxObjects
		if err != nil || t.Type != enums.FPDF_PAGEOBJ_IMAGE && (t.Type != enums.FPDF_PAGEOBJ_FORM || !d.holdsPicture(o.PageObject, maxForms, &left)) {
			continue
		}
		b, err := d.in.FPDFPageObj_GetBounds(&requests.FPDFPageObj_GetBounds{PageObject: o.PageObject})
		if err == nil && float64(b.Right-b.Left)*float64(b.Top-b.Bottom)*100 >= fillsFrom*w*h {
			return true
		}
	}
	return false
}

// size is a page's, in points.
func (d *pdfDoc) size(page requests.Page) (w, h float64, err error) {
	x, err := d.in.FPDF_GetPageWidth(&requests.FPDF_GetPageWidth{Page: page})
	if err != nil {
		return 0, 0, err
	}
	y, err := d.in.FPDF_GetPageHeight(&requests.FPDF_GetPageHeight{Page: page})
	if err != nil {
		return 0, 0, err
	}
	return x.Width, y.Height, nil
}

// readScans opens a part of the words on those pages. One that is not read is a
// gap, and the rest is read.
func (d *pdfDoc) readScans(at place, pages []int) error {
	d.j.part(at, "application/pdf")
	for n, i := range pages {
		if n == d.j.lim.Pages {
			return gapOf(dlp.TooMany, "pdf pages without text")
		}
		g, err := d.render(i)
		if trapped(err) {
			return err
		}
		if err != nil {
			d.j.gap(at, dlp.Image, "pdf page without text", 0)
			continue
		}
		d.j.guarded(at, func() error { return d.j.readPage(g) })
		if d.j.out.err != nil {
			return nil
		}
	}
	return nil
}

// render draws a page in grey.
func (d *pdfDoc) render(i int) (*image.Gray, error) {
	page := requests.Page{ByIndex: &requests.PageByIndex{Document: d.doc, Index: i}}
	w, h, err := d.size(page)
	if err != nil {
		return nil, err
	}
	x, y := w*scanDPI/72, h*scanDPI/72
	for x*y > mostRendered || x > wire.MaxSide || y > wire.MaxSide {
		x, y = x*7/8, y*7/8
	}
	r, err := d.in.RenderPageInPixels(&requests.RenderPageInPixels{Page: page, Width: max(int(x), 1), Height: max(int(y), 1),
		RenderFlags: enums.FPDF_RENDER_FLAG_ANNOT, ImageFormat: requests.RenderImageFormatGrayscale})
	if err != nil {
		return nil, err
	}
	defer r.Cleanup()
	m, ok := r.Result.RenderedImage.(*image.Gray)
	if !ok {
		return nil, gapOf(dlp.Image, "pdf page without text")
	}
	g := image.NewGray(image.Rect(0, 0, m.Rect.Dx(), m.Rect.Dy()))
	for row := range m.Rect.Dy() {
		copy(g.Pix[row*g.Stride:][:g.Stride], m.Pix[row*m.Stride:])
	}
	return g, nil
}
