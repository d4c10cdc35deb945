package formats

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/xlsb"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// officePackage is a zip that is an office document.
type officePackage struct {
	media string
	odf   bool
}

// officeOf tells an office document from another zip by the parts that make
// one. ECMA-376-2 10.1.2.2; OpenDocument 1.3 part 2, 3.2, 3.3.
func officeOf(z *zip.Reader) *officePackage {
	var types, manifest bool
	media := ""
	for _, f := range z.File {
		switch name := strings.ToLower(strings.TrimPrefix(f.Name, "/")); {
		case name == "[content_types].xml":
			types = true
		case name == "meta-inf/manifest.xml":
			manifest = true
		case strings.HasPrefix(name, "word/"):
			media = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
		case name == "xl/workbook.bin":
			media = mediaXLSB
		case strings.HasPrefix(name, "xl/") && media == mediaXLSB:
		case strings.HasPrefix(name, "xl/"):
			media = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
		case strings.HasPrefix(name, "ppt/"):
			media = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
		case strings.HasPrefix(name, "visio/"):
			media = "application/vnd.ms-visio.drawing"
		case strings.HasSuffix(name, ".fpage"):
			media = mediaXPS
		}
	}
	if types {
		if media == "" {
			media = "application/vnd.openxmlformats-package"
		}
		return &officePackage{media: media}
	}
	if manifest && slices.ContainsFunc(z.File, func(f *zip.File) bool { return f.Name == "content.xml" }) {
		return &officePackage{media: "application/vnd.oasis.opendocument", odf: true}
	}
	return nil
}

// office reads a package: its text as one part, then what is embedded in it.
func (j *job) office(at place, p *officePackage, z *zip.Reader) error {
	j.part(at, p.media)
	if len(z.File) > j.lim.Members {
		return gapOf(dlp.TooMany, "parts of a package")
	}
	l := &list{j: j, at: at} // no office program writes comments
	for _, f := range z.File {
		l.name(f.Comment, "comment")
	}
	l.name(z.Comment, "comment")
	d := &officeDoc{j: j, at: at, lists: map[string]*wordLists{}, done: map[*zip.File]bool{}}
	for _, f := range z.File {
		d.packed += int64(min(f.CompressedSize64, 1<<40))
	}
	files := slices.Clone(z.File)
	pages := map[string]int{}
	if p.media == mediaXPS {
		var err error
		if pages, err = d.pageOrder(files); err != nil {
			return err
		}
	}
	page := func(f *zip.File) int { // those that no document names come last
		return cmp.Or(pages[strings.ToLower(strings.TrimPrefix(f.Name, "/"))], len(pages)+1)
	}
	slices.SortStableFunc(files, func(a, b *zip.File) int {
		return cmp.Or(cmp.Compare(rank(a.Name), rank(b.Name)), cmp.Compare(page(a), page(b)), natural(a.Name, b.Name))
	})
	if err := d.workbook(files); err != nil {
		return err
	}
	if err := d.wordLists(files); err != nil {
		return err
	}
	if p.odf {
		if err := d.odfStyles(files); err != nil {
			return err
		}
	}
	embedded := map[*zip.File]bool{}
	for _, f := range files {
		if strings.HasSuffix(f.Name, "/") || d.done[f] {
			continue
		}
		if j.out.err != nil {
			return nil
		}
		isText, err := d.read(f, p)
		if err != nil {
			return err
		}
		if !isText {
			embedded[f] = true
		}
	}
	if err := d.unseen(); err != nil {
		return err
	}
	j.out.writeString("\n")
	n := 0
	for _, f := range z.File {
		if !embedded[f] {
			continue
		}
		n++
		in := at.inside(itoa(n))
		in.name = path.Base(decodeText([]byte(f.Name), ""))
		if j.full || j.out.err != nil {
			break
		}
		j.zipMember(in, f)
	}
	return nil
}

// rank puts what a reader sees first before the rest.
func rank(name string) int {
	switch {
	case strings.HasPrefix(name, "docProps/"), strings.HasPrefix(name, "customXml/"):
		return 3
	case strings.HasSuffix(name, ".rels"), name == "[Content_Types].xml":
		return 4
	case name == "word/document.xml", name == "content.xml", strings.HasPrefix(name, "xl/worksheets/"), strings.HasPrefix(name, "ppt/slides/"),
		strings.HasPrefix(name, "visio/pages/page"), strings.HasPrefix(name, "visio/comments"):
		return 0
	case strings.HasPrefix(name, "word/"), strings.HasPrefix(name, "ppt/notesSlides/"):
		return 1
	}
	return 2
}

// natural orders "slide2" before "slide10".
func natural(a, b string) int {
	if len(a) != len(b) && strings.TrimRight(dirAndStem(a), "0123456789") == strings.TrimRight(dirAndStem(b), "0123456789") {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func dirAndStem(s string) string { return strings.TrimSuffix(s, path.Ext(s)) }

// officeDoc is the text of one package on its way out.
type officeDoc struct {
	j      *job
	at     place
	wb     workbook
	lists  map[string]*wordLists // by folder
	done   map[*zip.File]bool    // parts that are read
	odf    *odfStyles
	packed int64  // bytes of the package
	out    int64  // bytes of text that repeat what the package holds once
	groups uint32 // shapes of a drawing so far
}

// repeat counts text that comes out of a table of shared strings.
func (d *officeDoc) repeat(n int) error {
	if d.out += int64(n); d.out > wire.RatioFree && d.out > d.packed*d.j.lim.Ratio {
		return gapOf(dlp.TooLarge, "unpacks beyond the ratio")
	}
	return d.j.spend(n)
}

// spent counts n bytes that were written of a row or line. Its error is the first
// that the document met with.
func (d *officeDoc) spent(n int) error {
	if d.wb.err != nil {
		return d.wb.err
	}
	if err := d.repeat(n); err != nil {
		return err
	}
	return d.j.out.err
}

// open returns the bytes of one part, counted against the job's bounds.
func (d *officeDoc) open(f *zip.File) (io.ReadCloser, error) {
	if f.Flags&1 != 0 {
		return nil, gapOf(dlp.Encrypted, zipCipher(&zipEntry{flags: f.Flags, method: f.Method, extra: f.Extra}))
	}
	r, err := f.Open()
	if err != nil {
		return nil, gapOf(dlp.Corrupt, "zip member")
	}
	return struct {
		io.Reader
		io.Closer
	}{&budget{j: d.j, r: r, packed: int64(f.CompressedSize64)}, r}, nil
}

// part reads one part with read. An error that is no gap's is damage.
func (d *officeDoc) part(f *zip.File, read func(io.Reader) error) error {
	r, err := d.open(f)
	if err != nil {
		return err
	}
	err = read(r)
	_ = r.Close() // it was only read
	if ge, ok := errors.AsType[*gapError](err); ok {
		return ge
	} else if err != nil {
		return gapOf(dlp.Corrupt, "zip member")
	}
	return nil
}

// scan reads one part in XML.
func (d *officeDoc) scan(f *zip.File, h xmlHandler) error {
	return d.part(f, func(r io.Reader) error { return d.j.conn.xml.scan(r, h) })
}

// read writes the text of one part of the package; false when it is no XML, so
// that it is read as an embedded file.
func (d *officeDoc) read(f *zip.File, p *officePackage) (isText bool, err error) {
	r, err := d.open(f)
	if err != nil {
		return true, err
	}
	defer r.Close() // it was only read
	head := make([]byte, 1024)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if ge, ok := errors.AsType[*gapError](err); ok {
			return true, ge
		}
		return true, gapOf(dlp.Corrupt, "zip member")
	}
	head = head[:n]
	if n == 0 {
		return true, nil
	}
	if looksFont(head, int64(min(f.UncompressedSize64, 1<<40))) {
		return true, nil
	}
	if path.Ext(f.Name) == ".bin" && xlsb.Is(head) && !harmless(head, f) {
		if err := d.binary(f.Name, io.MultiReader(bytes.NewReader(head), r)); err != nil {
			return true, err
		}
		return true, d.wb.err
	}
	enc := textEncoding(head, "")
	if enc == "" || !strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(sample(head, enc), "\ufeff"), " \t\r\n"), "<") {
		return p.odf && (f.Name == "mimetype" || f.Name == "layout-cache") || harmless(head, f), nil // where LibreOffice broke its lines
	}
	if p.odf && f.Name == "META-INF/manifest.xml" {
		all, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err != nil {
			return true, err
		}
		if bytes.Contains(append(head, all...), []byte("encryption-data")) {
			return true, gapOf(dlp.Encrypted, "odf")
		}
		return true, nil
	}
	h := d.handler(f, p)
	err = d.j.conn.xml.scan(io.MultiReader(bytes.NewReader(head), r), h)
	h.finish()
	if err != nil {
		if ge, ok := errors.AsType[*gapError](err); ok {
			return true, ge
		}
		return true, gapOf(dlp.Corrupt, "zip member")
	}
	return true, d.wb.err
}

// harmless reports a printer's settings, which Excel puts into every workbook:
// a DEVMODEW, version 4.1, of a few KiB.
//
// Source: [MS-RPRN] 2.2.2.1.
func harmless(head []byte, f *zip.File) bool {
	return f.UncompressedSize64 <= 64<<10 && len(head) >= 72 && head[64] == 0x01 && head[65] == 0x04
}

// officeHandler is told when its part has ended, however it did.
type officeHandler interface {
	xmlHandler
	finish()
}

// handler chooses how a part is read.
func (d *officeDoc) handler(f *zip.File, p *officePackage) officeHandler {
	if p.odf {
		return &wordText{d: d, odf: true, marks: newODFLists(d.odf)}
	}
	return &rootChooser{d: d, rels: strings.HasSuffix(f.Name, ".rels"), file: f.Name}
}

func (d *officeDoc) line(b []byte) {
	d.j.out.write(bytes.ToValidUTF8(b, []byte("\ufffd")))
	d.j.out.writeString("\n")
}

// wordText writes a part as a reader sees it: runs joined, paragraphs and rows
// as lines, cells parted by tabs. It serves WordprocessingML, PresentationML,
// DrawingML, comments, charts, properties and OpenDocument, whose words for a
// paragraph or a cell do not clash.
//
// Source: ECMA-376-1 17.3, 17.4, 21.1.2; OpenDocument 1.3 part 3, 5, 6, 9.
type wordText struct {
	d    *officeDoc
	odf  bool
	prop bool // every element is a line: document properties
	data bool // it is XML of another vocabulary: attributes hold values too

	line bool // something was written on this line
	cell int  // open table cells
	grid bool // it is SpreadsheetML 2003: a Cell is a cell
	date bool // a day and time of it is at hand

	aside  bool   // the text at hand is no text of the line: a field's instruction, deleted words
	beside []byte // such text, which comes below the line, to a bound
	owed   bool   // a paragraph of the cell ended, and another may follow

	tables []*wordTable // that are open, the innermost last
	list   listText
	marks  itemMarks // nil, or those of another kind of document
	plain  bool      // names of what is at hand are those of a design
	who    string    // who made the last change of a list of these
}

func (w *wordText) start(name string, a attrs) {
	w.openTable(name, a)
	if w.list.lists != nil {
		w.list.start(name, a)
	}
	switch name {
	case "tc", "table-cell":
		w.cell++
	case "Properties", "coreProperties", "document-meta":
		w.prop = true
	}
	switch name {
	case "instrText", "delText", "delInstrText":
		w.aside = true
	case "fldChar":
		w.part()
	case "Row":
		if w.grid {
			w.newline()
		}
	}
	switch name {
	case "p", "h", "tr", "row", "table-row", "pt", "si", "cm", "comment", "footnote", "endnote", "property":
		w.newline()
	case "tab":
		w.write("\t")
	case "br", "cr", "line-break":
		w.write("\n")
		w.line = false
	case "s": // ODF: blanks
		if w.odf {
			w.write(" ")
		}
	case "noBreakHyphen":
		w.write("-")
	case "sym":
		if r := a.get("char"); len(r) == 4 {
			w.write(symbol(r))
		}
	case "table-cell", "covered-table-cell":
		v := a.get("date-value")
		if v == "" {
			v = a.get("value")
		}
		if v != "" {
			w.write(v + "\t")
			if name == "table-cell" {
				w.kept()
			}
		}
	}
	if w.marks != nil {
		w.number(w.marks.start(name, a))
	}
	w.words(name, a)
	if w.data {
		w.values(a)
	}
	if name == "s" && !w.odf {
		if v := a.get("v"); v != "" {
			w.d.line([]byte(v))
		}
	}
}

func (w *wordText) end(name string) {
	w.endTable(name)
	if w.marks != nil {
		w.marks.end(name)
	}
	if w.list.lists != nil {
		w.number(w.list.end(name))
	}
	if n := len(w.list.joined); n > 0 && (name == "p" || name == "h") && len(w.beside) < maxBeside {
		w.part()
		w.beside, w.list.joined = append(append(w.beside, w.list.joined...), '\n'), w.list.joined[:0]
	}
	switch name {
	case "instrText", "delText", "delInstrText":
		w.aside = false
		return
	case "del":
		w.part()
	case "Cell":
		if w.grid {
			w.write("\t")
		}
	}
	if w.prop {
		w.newline()
		return
	}
	if w.cell > 0 && (name == "p" || name == "h") {
		w.owed = w.line
		return
	}
	switch name {
	case "p", "h", "tr", "row", "table-row", "pt", "si", "v", "property", "title", "subject", "creator", "keywords",
		"description", "lastModifiedBy", "category", "Company", "Manager", "comment", "lpwstr", "lpstr",
		"contentStatus", "HLinks", "oddHeader", "oddFooter", "text":
		w.newline()
	case "tc", "table-cell":
		w.cell = max(w.cell-1, 0)
		w.owed = false
		w.write("\t")
	}
}

func (w *wordText) text(b []byte) {
	if w.aside && len(w.beside) < maxBeside {
		w.beside = append(w.beside, b...)
		return
	}
	if len(bytes.TrimSpace(b)) == 0 && (!w.line || bytes.IndexByte(b, '\n') >= 0) {
		return
	}
	w.pay()
	w.d.j.out.write(w.dayOf(b))
	w.line = true
	if n := len(w.list.joined); n > 0 && n < maxBeside {
		w.list.joined = append(w.list.joined, b...)
	}
}

// maxBeside bounds what waits for the end of its line; past it, text comes as it
// stands.
const maxBeside = 64 << 10

// part ends a piece of what stands beside the line.
func (w *wordText) part() {
	if n := len(w.beside); n > 0 && w.beside[n-1] != '\n' {
		w.beside = append(w.beside, '\n')
	}
}

// pay parts two paragraphs of one cell, which stays on its row's line.
func (w *wordText) pay() {
	if w.owed {
		w.owed = false
		w.d.j.out.writeString(" ")
	}
}

func (w *wordText) write(s string) {
	w.pay()
	w.d.j.out.writeString(s)
	w.line = true
}

func (w *wordText) newline() {
	if w.owed || w.cell > 0 && !w.prop {
		return
	}
	if w.line {
		w.d.j.out.writeString("\n")
		w.line = false
	}
	w.finish()
}

// finish writes what stands beside the line.
func (w *wordText) finish() {
	if w.part(); len(w.beside) > 0 {
		w.d.j.out.write(w.beside)
		w.beside = w.beside[:0]
	}
}
