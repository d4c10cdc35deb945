package formats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	pdferrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Bounds of a PDF.
const (
	pdfMemory   = 192 << 20 // of pdfium's own memory: a child lives through most bombs with it
	maxPages    = 20000
	maxBadPages = 100  // in a row, after which the page tree is taken for broken
	maxObjects  = 2000 // looked at on a page for pictures
	maxForms    = 8    // that draw one another
	maxAnnots   = 5000 // of a page
	maxChars    = 4 << 20
	manyPaths   = 8  // on a page without text, from which they may be its letters
	manyUnread  = 5  // letters in a row of which the font does not say what they are
	fewLetters  = 64 // of a page that shows a picture: what else it says is taken for a stamp
)

var errNoPDF = gapOf(dlp.Unsupported, "pdf reader not available")

// pdfReader is pdfium, loaded before the process is locked in.
type pdfReader struct {
	pool pdfium.Pool
	in   pdfium.Pdfium
}

// testPage holds a word that prove looks for.
const testPage = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n" +
	"4 0 obj<</Length 40>>stream\nBT /F1 12 Tf 10 100 Td (stanch) Tj ET \nendstream endobj\ntrailer<</Root 1 0 R>>\n"

// open loads pdfium through the cache folder dir, compiling it where the
// folder does not have it.
func (p *pdfReader) open(dir string) error {
	if p.pool != nil {
		return nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return fmt.Errorf("open cache: %w", err)
	}
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(reserve))
	p.pool, err = webassembly.Init(webassembly.Config{
		Context: ctx, MaxIdle: 1, MaxTotal: 1, Stdout: io.Discard, Stderr: io.Discard,
		FSConfig: wazero.NewFSConfig(), // none: by default the module sees the root folder
		RuntimeConfig: wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache).
			WithMemoryLimitPages(pdfMemory >> 16). // of 64 KiB
			WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling),
	})
	if err != nil {
		return fmt.Errorf("load pdfium: %w", err)
	}
	return p.renew()
}

// renew starts an instance where there is none. It takes memory and nothing else
// from the system.
func (p *pdfReader) renew() (err error) {
	switch {
	case p.in != nil:
		return nil
	case p.pool == nil:
		return errNoPDF
	}
	if p.in, err = p.pool.GetInstance(time.Minute); err != nil {
		p.in = nil
		return fmt.Errorf("start pdfium: %w", err)
	}
	return nil
}

// drop gives a broken instance up; the next PDF gets a fresh one.
func (p *pdfReader) drop() {
	if p.in != nil {
		_ = p.in.Close() // it is broken
	}
	p.in = nil
}

// prove loads pdfium and reads a page with it.
func (p *pdfReader) prove(dir string) error {
	if err := p.open(dir); err != nil {
		return err
	}
	b := []byte(testPage)
	doc, err := p.in.OpenDocument(&requests.OpenDocument{File: &b})
	if err != nil {
		return err
	}
	d := &pdfDoc{in: p.in, doc: doc.Document}
	text, err := d.page(0, nil)
	if err != nil || !strings.Contains(text, "stanch") {
		return errors.New("test page was not read")
	}
	return nil
}

// readPDF reads a PDF page by page: text, annotations, form fields, attached
// files. A page without text that shows a picture is a gap.
func (j *job) readPDF(at place, b []byte) error {
	if err := j.pdf.renew(); err != nil {
		j.part(at, "application/pdf")
		return errNoPDF
	}
	opened, tried, err := j.openPDF(b)
	at.opened = tried && err == nil
	j.part(at, "application/pdf")
	if err != nil {
		if trapped(err) || strings.Contains(err.Error(), "memory") {
			j.pdf.drop()
			return gapOf(dlp.TooLarge, "pdf")
		}
		if wantsPassword(err) {
			return gapOf(dlp.Encrypted, "pdf")
		}
		return gapOf(dlp.Corrupt, "pdf")
	}
	d := &pdfDoc{j: j, in: j.pdf.in, doc: opened.Document, b: b}
	scans, files, err := d.read(at)
	if !trapped(err) && len(scans) > 0 && j.ocr != nil {
		in := at.again()
		at.readings++
		j.unit(in, wire.Slow, func() error {
			serr := d.readScans(in, scans)
			if trapped(serr) {
				err = serr
				return gapOf(dlp.TooLarge, "pdf")
			}
			return serr
		})
	}
	if trapped(err) {
		j.pdf.drop() // the instance is lost, and the document with it
		return gapOf(dlp.TooLarge, "pdf")
	}
	d.closeForm()
	if _, cerr := d.in.FPDF_CloseDocument(&requests.FPDF_CloseDocument{Document: d.doc}); cerr != nil {
		j.pdf.drop()
	}
	if len(scans) > 0 && j.ocr == nil {
		j.want(wire.OCR) // the rest of the PDF is the other child's too
		return nil
	}
	for i, f := range files {
		in := at.inside(itoa(i + 1))
		in.name = f.name
		if f.lost {
			j.gap(in, dlp.Corrupt, "pdf attachment", 0)
			continue
		}
		j.leaf(in, memory(f.data))
	}
	if z, _, zerr := openZip(b); zerr == nil && len(z.File) > 0 { // a file that other programs open as a zip
		in := at.again()
		j.unit(in, wire.Normal, func() error { return j.zipOf(in, b, false) })
	} else if i := lastIndex(b, []byte("%%EOF")); i >= 0 {
		j.behind(&at, b[i:])
	}
	return err
}

// openPDF opens b, with a candidate where it wants a password; tried says that it
// does.
func (j *job) openPDF(b []byte) (doc *responses.OpenDocument, tried bool, err error) {
	doc, err = j.pdf.in.OpenDocument(&requests.OpenDocument{File: &b})
	if err == nil || !wantsPassword(err) {
		return doc, false, err
	}
	j.unlock(func(pw string) bool {
		if !wantsPassword(err) {
			return false
		}
		doc, err = j.pdf.in.OpenDocument(&requests.OpenDocument{File: &b, Password: &pw})
		return err == nil
	})
	return doc, true, err
}

func wantsPassword(err error) bool {
	return errors.Is(err, pdferrors.ErrPassword) || strings.Contains(err.Error(), "password")
}

// trapped reports an error after which the instance cannot be used.
func trapped(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "wasm error") || strings.Contains(err.Error(), "closed"))
}

// pdfDoc is one open document.
type pdfDoc struct {
	j   *job
	in  pdfium.Pdfium
	doc references.FPDF_DOCUMENT
	b   []byte

	linked int // links of its pages that were followed
	form   *references.FPDF_FORMHANDLE
}

type attached struct {
	name string
	data []byte
	lost bool
}

// read writes the document's text and returns its attached files, and its pages
// on which words stand in a picture, where those can be read.
func (d *pdfDoc) read(at place) (scans []int, files []attached, err error) {
	n, err := d.in.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: d.doc})
	if err != nil {
		return nil, nil, err
	}
	ocr := d.j.most >= wire.OCR
	bad, pictures, lost, cut := 0, 0, 0, false
	var pinned []attached
	for i := range min(n.PageCount, maxPages) {
		seen := pageNotes{look: ocr}
		text, err := d.page(i, &seen)
		if trapped(err) {
			return nil, nil, err
		}
		if err != nil {
			lost++
			if bad++; bad >= maxBadPages {
				break
			}
			continue
		}
		bad = 0
		text = strings.Map(plainHyphen, validString(text))
		if err := d.j.spend(len(text)); err != nil {
			return nil, nil, err
		}
		d.j.out.writeString(text)
		d.j.out.writeString("\n")
		switch {
		case ocr && (seen.picture || seen.filled):
			scans = append(scans, i)
		case seen.picture:
			pictures++
		}
		for _, s := range seen.notes {
			d.j.out.writeString(validString(s))
			d.j.out.writeString("\n")
		}
		pinned, cut = append(pinned, seen.files...), cut || seen.cut
		d.j.out.window() // the clock of a slow document starts for each page that comes
		if d.j.out.err != nil {
			return nil, nil, nil
		}
	}
	d.meta()
	if err := d.outline(at); err != nil {
		return nil, nil, err
	}
	if err := d.xmp(); err != nil {
		return nil, nil, err
	}
	if err := d.forms(at); err != nil {
		return nil, nil, err
	}
	if cut {
		d.j.gap(at, dlp.TooMany, "pdf links", 0)
	}
	if n.PageCount > maxPages {
		d.j.gap(at, dlp.TooMany, "pdf pages", 0)
	}
	if lost > 0 || n.PageCount == 0 {
		d.j.gap(at, dlp.Corrupt, "pdf page", 0)
	}
	if pictures > 0 {
		d.j.gap(at, dlp.Image, "pdf page without text", 0)
	}
	files, err = d.attachments()
	return scans, append(files, pinned...), err
}

// plainHyphen turns pdfium's marks for a hyphen at a line's end into one.
func plainHyphen(r rune) rune {
	if r == 0xfffe || r == 2 {
		return '-'
	}
	return r
}

// unread reports letters in a row that are seen on a page, and of which its fonts do
// not say what they are: numbers of glyphs stand in their place.
func unread(text string) bool {
	n := 0
	for _, r := range text {
		switch {
		case r == ' ' || r == '-' || r == '/' || r == '.' || r == 2: // also a hyphen's mark
		case r < ' ' && r != '\t' && r != '\r' && r != '\n', r == '\ufffd', unicode.Is(unicode.Co, r):
			if n++; n >= manyUnread {
				return true
			}
		default:
			n = 0
		}
	}
	return false
}

// pageNotes is what a page holds beside its text.
type pageNotes struct {
	look    bool // whether a picture fills the page is asked
	filled  bool
	picture bool     // there is one, and hardly any text
	notes   []string // annotations' and form fields' text
	drawn   bool     // some have an appearance
	files   []attached
	cut     bool // there are more links than are followed
}

// page returns a page's text and notes what else is on it.
func (d *pdfDoc) page(i int, notes *pageNotes) (string, error) {
	p, err := d.in.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: d.doc, Index: i})
	if err != nil {
		return "", err
	}
	page := requests.Page{ByReference: &p.Page}
	text, err := d.pageText(page)
	if err == nil && notes != nil {
		few := len(strings.Join(strings.Fields(text), "")) < fewLetters
		notes.picture = unread(text) || few && d.shows(page, strings.TrimSpace(text) == "")
		notes.filled = notes.look && !notes.picture && d.filled(page)
		if err = d.annotations(page, notes); err == nil && notes.drawn {
			err = d.appearances(page, text, few, notes)
		}
	}
	if _, cerr := d.in.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: p.Page}); err == nil {
		err = cerr
	}
	return text, err
}

func (d *pdfDoc) pageText(page requests.Page) (string, error) {
	t, err := d.in.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: page})
	if err != nil {
		return "", err
	}
	n, err := d.in.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: t.TextPage})
	var b strings.Builder
	if err == nil {
		for at := 0; at < n.Count && err == nil; at += maxChars {
			var s string
			s, err = d.chars(t.TextPage, at, min(maxChars, n.Count-at))
			b.WriteString(s)
		}
	}
	if _, cerr := d.in.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: t.TextPage}); err == nil {
		err = cerr
	}
	return b.String(), err
}

func (d *pdfDoc) chars(p references.FPDF_TEXTPAGE, at, n int) (string, error) {
	s, err := d.in.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: p, StartIndex: at, Count: n})
	if err != nil {
		return "", err
	}
	return s.Text, nil
}

// shows reports a picture among a page's objects, or in forms that it draws; of a blank
// page, one without text, also lines and curves, which letters may be made of.
func (d *pdfDoc) shows(page requests.Page, blank bool) bool {
	n, err := d.in.FPDFPage_CountObjects(&requests.FPDFPage_CountObjects{Page: page})
	if err != nil {
		return true
	}
	paths := 0
	for i := range min(n.Count, maxObjects) {
		o, err := d.in.FPDFPage_GetObject(&requests.FPDFPage_GetObject{Page: page, Index: i})
		if err != nil {
			return true
		}
		t, err := d.in.FPDFPageObj_GetType(&requests.FPDFPageObj_GetType{PageObject: o.PageObject})
		if err != nil || t.Type == enums.FPDF_PAGEOBJ_IMAGE {
			return true
		}
		if t.Type == enums.FPDF_PAGEOBJ_PATH {
			paths++
		}
		form := t.Type == enums.FPDF_PAGEOBJ_FORM
		if blank && (form || paths >= manyPaths) {
			return true // it draws something that is no text
		}
		if left := maxObjects; form && d.holdsPicture(o.PageObject, maxForms, &left) {
			return true
		}
	}
	return n.Count > maxObjects
}

// holdsPicture reports a picture in a form, or in one that it draws; left is how many
// objects are still looked at.
func (d *pdfDoc) holdsPicture(form references.FPDF_PAGEOBJECT, deep int, left *int) bool {
	n, err := d.in.FPDFFormObj_CountObjects(&requests.FPDFFormObj_CountObjects{PageObject: form})
	if err != nil || deep == 0 {
		return true
	}
	for i := range n.Count {
		if *left--; *left < 0 {
			return true
		}
		o, err := d.in.FPDFFormObj_GetObject(&requests.FPDFFormObj_GetObject{PageObject: form, Index: uint64(i)})
		if err != nil {
			return true
		}
		t, err := d.in.FPDFPageObj_GetType(&requests.FPDFPageObj_GetType{PageObject: o.PageObject})
		if err != nil || t.Type == enums.FPDF_PAGEOBJ_IMAGE || t.Type == enums.FPDF_PAGEOBJ_FORM && d.holdsPicture(o.PageObject, deep-1, left) {
			return true
		}
	}
	return false
}

// meta writes what the document says of itself. ISO 32000-1 14.3.3.
func (d *pdfDoc) meta() {
	for _, tag := range []string{"Title", "Author", "Subject", "Keywords"} {
		m, err := d.in.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: d.doc, Tag: tag})
		if err == nil && strings.TrimSpace(m.Value) != "" {
			d.j.out.writeString(tag + ": ")
			d.j.out.field(validString(m.Value), tag, 0)
			d.j.out.writeString("\n")
		}
	}
}

// attachment reads one attached file. An error means that pdfium broke.
func (d *pdfDoc) attachment(a references.FPDF_ATTACHMENT) (f attached, err error) {
	if name, err := d.in.FPDFAttachment_GetName(&requests.FPDFAttachment_GetName{Attachment: a}); err == nil {
		f.name = name.Name
	}
	data, err := d.in.FPDFAttachment_GetFile(&requests.FPDFAttachment_GetFile{Attachment: a})
	if trapped(err) {
		return f, err
	}
	if err != nil {
		f.lost = true
		return f, nil
	}
	f.data = data.Contents
	return f, nil
}

func (d *pdfDoc) attachments() ([]attached, error) {
	n, err := d.in.FPDFDoc_GetAttachmentCount(&requests.FPDFDoc_GetAttachmentCount{Document: d.doc})
	if err != nil {
		return nil, err
	}
	var files []attached
	total := int64(0)
	for i := range n.AttachmentCount {
		if i >= d.j.lim.Members {
			return files, gapOf(dlp.TooMany, "pdf attachments")
		}
		f := attached{lost: true}
		a, err := d.in.FPDFDoc_GetAttachment(&requests.FPDFDoc_GetAttachment{Document: d.doc, Index: i})
		if err == nil {
			if f, err = d.attachment(a.Attachment); err != nil {
				return files, err
			}
		}
		if total += int64(len(f.data)); d.j.held+total > d.j.lim.Memory {
			return files, gapOf(dlp.TooLarge, "pdf attachments")
		}
		files = append(files, f)
	}
	return files, nil
}
